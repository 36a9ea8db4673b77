"""How far two persons agree, field by field: each field in few levels.

The levels are those that the model was trained on: `bench/linkage/splink/train.py` says them again as Splink's
conditions, and `bench.linkage train` stops where the two differ on a pair. Fields that go together are one field here –
the day of birth and the NIK, which holds it; the village and the card –, since the model adds up what each field says.

Invariants
- Who is compared with whom makes no difference.
- A level says how two values relate, never what they are: it may be told where a value may not.
- What a person is compared by, and which keys they are found under, rests on that person alone: how rare a name is
  stands in the model, and is not counted as people arrive.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler
from tepat_contracts import regions


class Traits(NamedTuple):
    """What persons are compared by.

    Args:
        nik: 16 digits.
        words: of the name, as `names.form` gives them; none where it tells nobody apart.
        rarity: of the name in bits: of 2 ** rarity persons one has all of these words.
        born: a date as ISO 8601 has it.
        listed: the cards under which agencies list the person, as (agency, household).
    """

    nik: str
    words: tuple[str, ...]
    rarity: float
    born: str
    sex: str
    region: str
    listed: frozenset[tuple[str, str]]

    @property
    def odd(self) -> bool:
        """Whether the NIK tells of another day of birth, of the other sex, or of a kecamatan that there is not."""
        year, month, day = self.born[2:4], self.born[5:7], int(self.born[8:])
        told = f"{day + 40 * (self.sex == 'P'):02d}{month}{year}"
        return self.nik[6:12] != told or not regions.known(f"{self.nik[:2]}.{self.nik[2:4]}.{self.nik[4:6]}")


STEP: Final = 4
"""Bits from one level of a name's rarity to the next."""
RAREST: Final = 5
ALIKE: Final = 0.92
SOMEWHAT_ALIKE: Final = 0.85
"""Similarities by Jaro and Winkler, of 1."""
UNKNOWN: Final = ("01-01", "12-31")
"""How a day that nobody knows is written."""
NEAR: Final = 10
"""Serials less far apart are those of neighbours in a register."""


def _rarity(bits: float) -> int:
    return min(int(bits // STEP), RAREST)


def name(a: Traits, b: Traits) -> int:
    """10 to 15 the same words, the rarer the more; 4 to 9 the one's words are among the other's, likewise; 3 alike, and
    a word in common; 2 alike; 1 somewhat alike; 0 different."""
    one, other = set(a.words), set(b.words)
    if one == other:
        return 10 + _rarity(a.rarity)
    if one < other or other < one:
        return 4 + _rarity(min(a.rarity, b.rarity))
    alike = JaroWinkler.similarity(" ".join(a.words), " ".join(b.words), score_cutoff=SOMEWHAT_ALIKE)
    if alike >= ALIKE:
        return 2 + (not one.isdisjoint(other))
    return int(alike >= SOMEWHAT_ALIKE)


def birth(a: Traits, b: Traits) -> int:  # noqa: PLR0911 – one for each level
    """13 the same day, and NIKs that differ by a slip of the pen, one of them odd; 12 another day and such NIKs; 11 the
    same day and such NIKs, their serials far apart; 10 of two areas; 9 the same day, NIKs of neighbours in a register;
    8 the same day; 7 the same, but one that is written where nobody knows it; 6 a day unknown; 5 day and month
    swapped; 4 a digit off; 3 the same day in the NIKs; 2 the same year, 1 the same day of another; 0 different."""
    one, other = a.born, b.born
    same, register = one == other, a.nik[:12] == b.nik[:12]
    if DamerauLevenshtein.distance(a.nik, b.nik, score_cutoff=1) <= 1:
        if a.odd != b.odd:
            return 13 if same else 12
        if same and register and abs(int(a.nik[12:]) - int(b.nik[12:])) >= NEAR:
            return 11
        if same and not register:
            return 10
    if same:
        return 9 if register else 7 if one[5:] in UNKNOWN else 8
    year, day = one[:4] == other[:4], one[5:] == other[5:]
    if year and (one[5:] in UNKNOWN or other[5:] in UNKNOWN):
        return 6
    if year and (one[5:7], one[8:]) == (other[8:], other[5:7]):
        return 5
    if (one[:7] == other[:7] and abs(int(one[8:]) - int(other[8:])) in (1, 10)) or (
        day and abs(int(one[:4]) - int(other[:4])) in (1, 10)
    ):
        return 4
    return 3 if a.nik[6:12] == b.nik[6:12] else 2 if year else int(day)


def sex(a: Traits, b: Traits) -> int:
    """1 the same, 0 different."""
    return int(a.sex == b.sex)


ONE_CARD: Final = 4


def place(a: Traits, b: Traits) -> int:
    """4 one card; 3, 2, 1 one village, kecamatan, kabupaten; 0 different."""
    if not {card for _, card in a.listed}.isdisjoint(card for _, card in b.listed):
        return ONE_CARD
    one, other = a.region, b.region
    return 3 if one == other else 2 if one[:8] == other[:8] else 1 if one[:5] == other[:5] else 0


def lists(a: Traits, b: Traits) -> int:
    """1 no agency lists both, 0 one does: who lists two NIKs has more often told them apart."""
    return int({agency for agency, _ in a.listed}.isdisjoint(agency for agency, _ in b.listed))


_RARE = ("a very common one", "a common one", "a frequent one", "a seldom one", "a rare one", "a very rare one")

FIELDS: Final[Mapping[str, tuple[Callable[[Traits, Traits], int], tuple[str, ...]]]] = {
    "name": (name, (
        "different", "somewhat alike", "alike", "alike, with a word in common",
        *(f"one within the other, {rare}" for rare in _RARE), *(f"the same, {rare}" for rare in _RARE),
    )),
    "birth": (birth, (
        "different", "the same day of another year", "the same year", "another day, the same in the NIKs",
        "a digit off",
        "day and month swapped", "the same year, a day unknown", "the same, a day that stands for unknown", "the same",
        "the same, NIKs of neighbours in a register", "the same, NIKs a digit apart in their areas",
        "the same, NIKs a digit apart in serials far apart", "another day, NIKs a digit apart of which one is odd",
        "the same, NIKs a digit apart of which one is odd",
    )),
    "sex": (sex, ("different", "the same")),
    "place": (place, ("different", "one kabupaten", "one kecamatan", "one village", "one card")),
    "lists": (lists, ("an agency lists both", "no agency lists both")),
}  # fmt: skip
"""How each field is compared, and what each level says, from 0 on."""

Levels = tuple[int, ...]


def levels(a: Traits, b: Traits) -> Levels:
    """The level of each of `FIELDS`, in their order."""
    return name(a, b), birth(a, b), sex(a, b), place(a, b), lists(a, b)


def blocks(traits: Traits) -> set[int]:
    """Keys of which two persons must share one to be compared at all, as 64-bit numbers.

    - the day of birth and how a word of the name begins: whatever else differs;
    - the year, or the day of it, and the whole name: days or years wrong or unknown;
    - the card and how a word begins: a person listed twice in one family.

    Whoever has no name is compared with nobody: a day, a village and a card alone would make one of many.
    """
    if not traits.words:
        return set()
    whole = " ".join(sorted(traits.words))
    starts = {word[:2] for word in traits.words}
    return {
        int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), signed=True)
        for key in (
            *(f"d{traits.born}{start}" for start in starts),
            f"y{traits.born[:4]}{whole}",
            f"m{traits.born[5:]}{whole}",
            *(f"c{card}{start}" for card in {card for _, card in traits.listed} for start in starts),
        )
    }
