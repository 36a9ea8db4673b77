"""Finds who may be one person under two NIKs, as they arrive, against everyone known.

Invariants
- What is found rests on facts and links, and not on the order in which they came: each person's traits and keys are
  their own, how rare a name is stands in the model, and a key that grows beyond `CROWD`, or shrinks below it, has all
  under it looked at again.
- Compared are persons of whom facts tell and who stand for themselves; so two NIKs that are merged are no pair.
- Tables `traits` and `block` hold exactly those, once nothing is left to look at.
- No value of anybody's leaves here, only at what level two agree.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Final, NamedTuple
from uuid import UUID

from tepat_chassis.database import Connection

from tepat_registry import domain
from tepat_registry.domain import Held, Number
from tepat_registry.linkage import compare, names
from tepat_registry.linkage.compare import Levels, Traits
from tepat_registry.linkage.model import Model, model, probability
from tepat_registry.store import Store, queries

CROWD: Final = 200
"""A key that more persons share says nothing: who is compared at all shares another one."""


class Duplicate(NamedTuple):
    """Two NIKs that may be one person: at what levels they agree, the sum of their weights, the least area that holds
    both, and the trace of the fact told last of those looked at."""

    a: Number
    b: Number
    levels: Levels
    weight: float
    region: str | None
    trace: str

    @property
    def evidence(self) -> dict[str, Any]:
        """How each field agrees, in words, and what is made of it."""
        return {
            "band": model().band(self.weight),
            **{field: words[level] for (field, (_, words)), level in zip(FIELDS, self.levels, strict=True)},
            "probability": round(probability(self.weight), 4),
        }


FIELDS: Final = tuple(compare.FIELDS.items())


async def find(
    connection: Connection, store: Store, niks: Iterable[Number], persons: Sequence[UUID]
) -> tuple[list[Duplicate], set[Number]]:
    """The pairs around whom something else is known of now, and of whom each pair is found.

    Args:
        niks: those of whom a fact or a link changed.
        persons: pseudonyms of those to be looked at again, whether anything changed or not; others are ignored.
    """
    again = {row["nik"] async for row in queries.niks_called(connection, pseudonyms=persons)} if persons else set()
    every = list({*niks, *again})
    facts = await store.facts(every)
    themselves = {row["nik"] async for row in queries.for_themselves(connection, niks=list(facts))}
    now = {nik: traits(nik, facts[nik], store.recent) for nik in themselves}
    was = await _kept(connection, every)
    asking = again | {nik for nik in now.keys() | was.keys() if now.get(nik) != was.get(nik)}
    if not asking:
        return [], set()
    met = await _meet(connection, store, asking, now, was)
    pairs = {(min(nik, other), max(nik, other)) for nik, others in met.items() for other in others}
    now |= await _kept(connection, {nik for pair in pairs for nik in pair} - now.keys())
    known, found = model(), []
    for a, b in pairs:
        levels = compare.levels(now[a], now[b])
        if known.band(weight := known.weight(levels)) != "different":
            told = [(fact.time, fact.trace) for nik in (a, b) for fact in facts.get(nik, ())]
            found.append(Duplicate(a, b, levels, weight, _both(now[a].region, now[b].region), max(told)[1]))
    return found, asking


def traits(nik: Number, facts: Sequence[Held], recent: Set[str]) -> Traits:
    """What a person is compared by; ``facts`` and ``recent`` as in ``domain.holding``. The name is that of the agency
    trusted most."""
    held = domain.holding(facts, recent, ("sex", "birth_date", "region"))
    name = facts[0].data["name"]
    words = names.form(name) if names.tells(name) else ()
    return _traits(
        model(), nik, words, held["birth_date"].data["birth_date"], held["sex"].data["sex"],
        held["region"].data["region"], ((fact.agency, fact.household) for fact in facts),
    )  # fmt: skip


def _traits(
    known: Model, nik: Number, words: tuple[str, ...], born: str, sex: str, region: str,
    listed: Iterable[tuple[str, str]],
) -> Traits:  # fmt: skip
    return Traits(str(nik), words, known.rarity(words), born, sex, region, frozenset(listed))


async def _kept(connection: Connection, niks: Iterable[Number]) -> dict[Number, Traits]:
    """What these are compared by, as it is kept."""
    known, kept = model(), {}
    async for nik, words, born, sex, region, listed in queries.traits_of(connection, niks=list(niks)):
        pairs = listed.split(" ")
        kept[nik] = _traits(
            known, nik, tuple(words.split()), born, sex, region, zip(pairs[::2], pairs[1::2], strict=True)
        )
    return kept


async def _meet(
    connection: Connection, store: Store, asking: set[Number], now: Mapping[Number, Traits],
    was: Mapping[Number, Traits],
) -> dict[Number, set[Number]]:  # fmt: skip
    """Keep what these are compared by now, and whom each of them shares a key with."""
    keys = {nik: compare.blocks(now[nik]) if nik in now else set[int]() for nik in asking}
    before = {nik: compare.blocks(was[nik]) if nik in was else set[int]() for nik in asking}
    left = [(key, nik) for nik in asking for key in before[nik] - keys[nik]]
    joined = [(key, nik) for nik in asking for key in keys[nik] - before[nik]]
    await _keep(connection, {nik: now.get(nik) for nik in asking if now.get(nik) != was.get(nik)}, left, joined)

    came, went = Counter(key for key, _ in joined), Counter(key for key, _ in left)
    wanted = {key for of in keys.values() for key in of} | went.keys()
    under: dict[int, list[Number]] = {}
    crossed: set[Number] = set()
    rows = queries.met(connection, keys=list(wanted), most=[CROWD + 1 + came[key] for key in wanted])
    async for key, niks in rows:
        if len(niks) <= CROWD:
            under[key] = niks
        if (len(niks) - came[key] + went[key] <= CROWD) != (len(niks) <= CROWD):
            crossed.update(niks)
    await store.look((), [UUID(store.nik(nik)) for nik in crossed - asking])
    return {nik: {other for key in of for other in under.get(key, ())} - {nik} for nik, of in keys.items()}


async def _keep(
    connection: Connection, changed: Mapping[Number, Traits | None], left: Sequence[tuple[int, Number]],
    joined: Sequence[tuple[int, Number]],
) -> None:  # fmt: skip
    """Keep the traits of those that have any, and forget the others'; take them from under keys, and put them there."""
    if gone := [nik for nik, of in changed.items() if of is None]:
        await queries.forget_traits(connection, niks=gone)
    if kept := {nik: of for nik, of in changed.items() if of is not None}:
        await queries.keep_traits(
            connection, niks=list(kept), words=[" ".join(of.words) for of in kept.values()],
            born=[of.born for of in kept.values()], sexes=[of.sex for of in kept.values()],
            regions=[of.region for of in kept.values()],
            listed=[" ".join(part for each in sorted(of.listed) for part in each) for of in kept.values()],
        )  # fmt: skip
    for write, rows in ((queries.leave, left), (queries.join_, joined)):
        if rows:
            keys, niks = zip(*rows, strict=True)
            await write(connection, keys=keys, niks=niks)


def _both(one: str, other: str) -> str | None:
    """The least area that holds both; none where they share no province."""
    shared = []
    for a, b in zip(one.split("."), other.split("."), strict=False):
        if a != b:
            break
        shared.append(a)
    return ".".join(shared) or None
