"""How likely two persons are one, by the levels at which their fields agree: Fellegi and Sunter's sum of weights.

``model.json`` holds what Splink was trained to on an invented population (``bench/linkage``): for each level of each
field `m`, how often two NIKs of one person are at it, and `u`, how often two persons' are; the share of pairs that are
one person; and from which odds on a pair is told of; and how rare each word of a name is. All but the bands and the
words stands there twice, for kin, who share a card, and for others: who lives together also shares names, places and,
being twins, the day of birth, so that agreeing says less of them.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from math import log2
from typing import Any, Final, Literal, NamedTuple, Self

import orjson

from tepat_registry.linkage.compare import FIELDS, ONE_CARD, Levels

PLACE: Final = list(FIELDS).index("place")

Band = Literal["same", "to_judge", "different"]


class Weights(NamedTuple):
    """In bits: of each field by its level, and of a pair before anything is compared."""

    of: tuple[tuple[float, ...], ...]
    prior: float

    @classmethod
    def told(cls, told: Mapping[str, Any]) -> Self:
        """As ``model.json`` has them. Raises ValueError where they were trained for other levels."""
        weights = []
        for name, (_, words) in FIELDS.items():
            m, u = told["fields"][name]["m"], told["fields"][name]["u"]
            if not len(m) == len(u) == len(words):
                raise ValueError(f"the model was trained for other levels of {name}: train it again")
            weights.append(tuple(log2(one / chance) for one, chance in zip(m, u, strict=True)))
        return cls(tuple(weights), log2(told["prior"]))


class Model(NamedTuple):
    """What is made of levels.

    Args:
        same, to_judge: weights in bits from which on a pair is in that band.
        bits: how rare each word is: of 2 ** bits persons one has it; ``unseen``: how rare one that is not among them
            counts, which where it is borne may be common.
    """

    kin: Weights
    others: Weights
    same: float
    to_judge: float
    bits: Mapping[str, float]
    unseen: float

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As ``model.json`` has it. Raises ValueError where it was trained for other levels."""
        bands, words = told["bands"], told["words"]
        return cls(
            Weights.told(told["kin"]), Weights.told(told["others"]), bands["same"], bands["to_judge"], words["bits"],
            words["unseen"],
        )  # fmt: skip

    def rarity(self, words: Iterable[str]) -> float:
        """How rare a name of these words is, in bits, as if each were given by itself."""
        return sum(self.bits.get(word, self.unseen) for word in {*words})

    def weight(self, levels: Levels) -> float:
        """The logarithm of the odds, to base 2, that two persons are one."""
        weights = self.kin if levels[PLACE] == ONE_CARD else self.others
        return weights.prior + sum(of[level] for of, level in zip(weights.of, levels, strict=True))

    def band(self, weight: float) -> Band:
        """What is made of a weight."""
        return "same" if weight >= self.same else "to_judge" if weight >= self.to_judge else "different"


def probability(weight: float) -> float:
    """The probability that two persons are one, 0 to 1."""
    return float(1 / (1 + 2.0**-weight))


@cache
def model() -> Model:
    """The model kept with this package."""
    return Model.of(orjson.loads((files("tepat_registry.linkage") / "model.json").read_bytes()))
