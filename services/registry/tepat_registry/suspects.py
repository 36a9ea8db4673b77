"""Looks for what may be wrong about who is who, and announces what a person must decide.

Suspected are cards that a whole family left for a new one (``renewal``), and two NIKs that may be one person
(``duplicate``). The machine decides nothing: it raises, and clears what holds no longer; a person lets the registry
take it, or dismisses it.

Invariants
- One instance looks at a time, in the session that holds the duty; a step is one transaction, in which what was to be
  looked at is taken off and what was found is kept and put into the outbox.
- Every change of a fact or a link leaves something to look at in its transaction, so that what is suspected in the end
  depends on what is known, and not on the order in which it came.
- What was dismissed stays dismissed, whatever is found.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

import asyncpg
import orjson
import structlog
from tepat_chassis.database import Connection, kept_open
from tepat_chassis.failpoints import reach
from tepat_chassis.standing import Standing
from tepat_contracts.events import ours

from tepat_registry import domain, duplicates
from tepat_registry.domain import Held, Number
from tepat_registry.handlers import InUse, store_of
from tepat_registry.store import SUSPECTS, News, Store, queries

log = structlog.get_logger()

RENEWAL: Final = "renewal"
DUPLICATE: Final = "duplicate"
LOOKS_AT_ONCE: Final = 8
NIKS_AT_ONCE: Final = 2_000
MOST: Final = 10
"""So many possible duplicates of one person are raised, the most probable ones; the others wait until these are decided
or cleared."""
FAMILY: Final = 40
"""Under one card there are no more people of one family; a card with more is an error of data, and nobody's move."""


class Suspicion(NamedTuple):
    """What is found of two persons or two cards; ``evidence`` names no value of anybody's."""

    kind: str
    a: str
    b: str
    evidence: Mapping[str, Any]
    region: str | None
    trace: str | None
    persons: Sequence[str]

    @property
    def pair(self) -> str:
        """What it is known by."""
        return f"{self.a}+{self.b}"

    @classmethod
    def of(cls, row: Any) -> Self:
        """As it stands in table ``suspect``."""
        return cls(
            row["kind"], str(row["a"]), str(row["b"]), orjson.loads(row["evidence"]), row["region"], row["trace"],
            orjson.loads(row["persons"]),
        )  # fmt: skip

    def news(self, type_: str, **more: str) -> News:
        """What is announced of it."""
        data = {"pair": self.pair, "kind": self.kind, "evidence": self.evidence, "persons": self.persons, **more}
        data |= {"region": self.region} if self.region is not None else {}
        data |= {"households": [self.a, self.b]} if self.kind == RENEWAL else {}
        return News(SUSPECTS, type_, self.pair, data, self.trace)


class Suspects:
    """The duty of looking."""

    def __init__(self, standing: Standing[InUse], clock: Callable[[], datetime]) -> None:
        self._standing = standing
        self._clock = clock

    async def work(self, connection: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[bool]:
        """One step after the other, until nothing is left to look at."""
        while True:
            in_force = await kept_open(connection, self._standing.first())
            async with connection.transaction(isolation="repeatable_read"):
                more = await self._step(connection, in_force.document)
                reach("look.before_commit")
            yield more

    async def _step(self, connection: Connection, policy: InUse) -> bool:
        looks = [row async for row in queries.take_looks(connection, most=LOOKS_AT_ONCE, enough=NIKS_AT_ONCE)]
        if not looks:
            return False
        niks = {nik for row in looks for nik in row["niks"]}
        households = {card for row in looks for card in row["households"]}
        store = store_of(connection, policy, self._clock())
        renewals, cards = await _renewals(connection, store, niks, households)
        same, persons = await _duplicates(connection, store, niks, households)
        await self._settle(connection, store, renewals + same, cards | persons)
        return True

    async def _settle(self, connection: Connection, store: Store, found: Sequence[Suspicion], about: set[str]) -> None:
        """Raise what is found, of one person the most probable, and clear what stood suspected of those looked at and
        is found no more."""
        wanted = {each.pair: each for each in found}
        stood = [row["pair"] async for row in queries.suspects_of(connection, of=list(about))]
        if not (stood or wanted):
            return
        cleared = [row async for row in queries.clear_suspects(connection, pairs=[*{*stood} - wanted.keys()])]
        changed = [row async for row in queries.raise_(
            connection, now=self._clock(), pairs=list(wanted), kinds=[each.kind for each in found],
            a=[each.a for each in found], b=[each.b for each in found],
            persons=[orjson.dumps(each.persons).decode() for each in found],
            evidence=[orjson.dumps(each.evidence, option=orjson.OPT_SORT_KEYS).decode() for each in found],
            regions=[each.region for each in found], traces=[each.trace for each in found],
        )] if wanted else []  # fmt: skip
        of = about | {str(row[end]) for row in cleared for end in "ab"} | {end for s in found for end in (s.a, s.b)}
        weighed = {
            row["pair"]: row async for row in queries.weigh(connection, of=list(of), most=MOST, now=self._clock())
        }
        raised = [Suspicion.of(row) for row in weighed.values() if row["state"] == "raised"] + [
            wanted[row["pair"]] for row in changed if row["state"] == "raised" and row["pair"] not in weighed
        ]
        gone = [row for row in cleared if row["was"] == "raised"] + [
            row for row in weighed.values() if row["state"] == "withheld"
        ]
        await store.announce([_cleared(row) for row in gone] + [each.news(ours.SUSPECT_RAISED) for each in raised])
        if raised or gone:
            log.info("suspects announced", raised=len(raised), cleared=len(gone))


def _cleared(row: Any) -> News:
    return News(SUSPECTS, ours.SUSPECT_CLEARED, row["pair"], {"pair": row["pair"], "kind": row["kind"]}, row["trace"])


# --- cards that a whole family left for another one


async def _renewals(
    connection: Connection, store: Store, niks: set[Number], households: set[UUID]
) -> tuple[list[Suspicion], set[str]]:
    """The renewals suggested around these NIKs and cards, and the cards around which every one is found."""
    around = await _cards(connection, niks, households)
    movers = [row["nik"] async for row in queries.moved(connection, households=list(around), most=FAMILY + 1)]
    facts = await store.facts(movers)
    ends = await _cards(connection, movers, ())
    pairs = {pair for held in facts.values() for pair in domain.moves(_as_they_stand(held, ends))}
    if not pairs:
        return [], {*around.values()}
    ends = await _cards(connection, (), {card for pair in pairs for card in pair})
    under: dict[str, set[Number]] = {}
    async for card, nik in queries.people_of(connection, households=list(ends), most=FAMILY + 1):
        under.setdefault(ends[str(card)], set()).add(nik)
    facts = await store.facts(set().union(*under.values()))
    ends = await _cards(connection, facts, ())
    known = {nik: _as_they_stand(held, ends) for nik, held in facts.items()}
    found = []
    for start, into in sorted(pairs):
        both = under.get(start, set()) | under.get(into, set())
        if max(len(under.get(card, ())) for card in (start, into)) <= FAMILY:
            move = domain.moved_together(start, into, {nik: known[nik] for nik in both if nik in known})
            if move is not None:
                found.append(_suggested(move, known, store))
    return found, {*around.values()}


async def _duplicates(
    connection: Connection, store: Store, niks: set[Number], persons: set[UUID]
) -> tuple[list[Suspicion], set[str]]:
    """Who may be one person with one of these, and the persons of whom every such pair is found."""
    pairs, asking = await duplicates.find(connection, store, niks, list(persons))
    found = []
    for pair in pairs:
        a, b = sorted((store.nik(pair.a), store.nik(pair.b)))
        found.append(Suspicion(DUPLICATE, a, b, pair.evidence, pair.region, pair.trace, [a, b]))
    return found, {store.nik(nik) for nik in asking}


def _suggested(move: domain.Move, known: Mapping[Number, Sequence[Held]], store: Store) -> Suspicion:
    told = [domain.household_on(known[nik], move.day) for nik in sorted(move.persons)]
    last = max((fact for fact in told if fact is not None), key=lambda fact: (fact.time, fact.trace))
    return Suspicion(
        RENEWAL, move.start, move.into, {"day": move.day, "members": len(move.persons)},
        last.data["region"], last.trace, sorted(map(store.nik, move.persons)),
    )  # fmt: skip


async def _cards(connection: Connection, niks: Iterable[Number], households: Iterable[UUID | str]) -> dict[str, str]:
    """The cards that facts about these NIKs name, these, and all that belong together with them: each with the one
    that it stands for.
    """
    rows = queries.around(connection, niks=list(niks), households=list(households))
    return {str(row["card"]): str(row["stands_for"]) async for row in rows}


def _as_they_stand(facts: Sequence[Held], ends: Mapping[str, str]) -> list[Held]:
    """Facts with each card as the one that it stands for."""
    return [fact._replace(household=ends[fact.household]) for fact in facts]
