"""A population as the registry compares it: who meets whom under a key, and at what levels they agree.

It is the finder's work without a database: the same traits, keys, levels and limit.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import log2
from typing import Final, NamedTuple

from tepat_registry.duplicates import CROWD
from tepat_registry.linkage import compare, names
from tepat_registry.linkage.compare import Levels, Traits

from bench.linkage.people import People

KEPT: Final = 10
"""A word that fewer persons have is not kept in the model: it is rare, and may be one family's own."""


class Met(NamedTuple):
    """Two persons that share a key, as places in the population, the earlier first; and whether they are one."""

    a: int
    b: int
    levels: Levels
    one: bool


class Population:
    """Persons of a seed, in the order in which they arrive.

    Args:
        bits: how rare words are; counted here where it is not told.
    """

    def __init__(self, seed: int, persons: int, words: Mapping[str, float] | None = None, unseen: float = 0) -> None:
        people = People(seed, persons)
        self.one = set(people.pairs())
        forms = [names.form(each.name) for each in people.listed]
        if words is None:
            counts = Counter(word for form in forms for word in {*form})
            words = {word: log2(len(forms) / count) for word, count in counts.items() if count >= KEPT}
            # A name that is not known here may be a common one where it is: it counts as names do in the mean.
            unseen = sum(words[word] * counts[word] for word in words) / sum(map(counts.__getitem__, words))
        self.words, self.unseen = words, unseen
        self.traits = [
            Traits(
                each.nik, form, sum(words.get(word, unseen) for word in {*form}), each.born.isoformat(), each.sex,
                each.region, frozenset(each.cards),
            )
            for each, form in zip(people.listed, forms, strict=True)
        ]  # fmt: skip

    @cached_property
    def met(self) -> list[Met]:
        """Everyone who shares a key with somebody, each pair once."""
        return [self._met(a, b) for a, b in self._pairs()]

    def _met(self, a: int, b: int) -> Met:
        one, other = self.traits[a], self.traits[b]
        pair = min(one.nik, other.nik), max(one.nik, other.nik)
        return Met(a, b, compare.levels(one, other), pair in self.one)

    def _pairs(self) -> Iterator[tuple[int, int]]:
        under: defaultdict[int, list[int]] = defaultdict(list)
        for place, traits in enumerate(self.traits):
            for key in compare.blocks(traits):
                under[key].append(place)
        seen = set()
        for places in under.values():
            if len(places) <= CROWD:
                for n, b in enumerate(places):
                    for a in places[:n]:
                        if (a, b) not in seen:
                            seen.add((a, b))
                            yield a, b
