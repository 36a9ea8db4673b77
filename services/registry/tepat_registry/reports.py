"""Lets reports from below go where they go, and announces where they stand.

Invariants
- One instance does so at a time, in the session that holds the duty; a step is one transaction, in which reports are
  taken off what is to be looked at, walked (`routing.walk`), kept, and put into the outbox where they stand otherwise.
- A deadline is a column, not a timer: whoever holds the duty finds what has passed, after a restart or a long outage
  too, and walks all of it at once. Only where a report stands in the end is announced; its timeline has every step.
- Whatever may change a way leaves something to look at in its transaction: what is told of a report, an institution
  known late, a policy that puts others in charge.
- Names and texts stay in `report_told`: neither `report` nor the topic has any.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime, time
from itertools import pairwise
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import asyncpg
import orjson
import structlog
from tepat_chassis.database import Connection, kept_open
from tepat_chassis.failpoints import reach
from tepat_chassis.outbox import Message, put
from tepat_chassis.standing import Standing
from tepat_contracts.events import ours
from tepat_contracts.events.reports import REPORT_FILED
from tepat_contracts.policy import kept_since, report_routes

from tepat_registry import routing
from tepat_registry.domain import VILLAGE, holding
from tepat_registry.handlers import InUse, store_of
from tepat_registry.linkage.names import form
from tepat_registry.routing import Charge, Helping, Told, Way
from tepat_registry.store import REPORTS, News, Store, identity, queries, read

log = structlog.get_logger()

ROWS_AT_ONCE: Final = 4
DUE_AT_ONCE: Final = 500
Name = tuple[str, str]


class Routed(NamedTuple):
    """A report's way, what it is announced under, and the areas by which what covers it may be known."""

    way: Way
    key: str
    areas: Sequence[str]


class Reports:
    """The duty of letting reports go, and the ways they went."""

    def __init__(self, standing: Standing[InUse], clock: Callable[[], datetime]) -> None:
        self._standing = standing
        self._clock = clock
        self._charges: dict[int, Charge] = {}

    async def work(self, connection: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[bool]:
        """One step after the other, until nothing is left to look at and no deadline has passed."""
        while True:
            in_force = await kept_open(connection, self._standing.first())
            async with connection.transaction(isolation="repeatable_read"):
                more = await self._step(connection, in_force.document)
                reach("route.before_commit")
            yield more

    async def _step(self, connection: Connection, policy: InUse) -> bool:
        rows = [row async for row in queries.take_routes(connection, most=ROWS_AT_ONCE)]
        due = [row async for row in queries.due_reports(connection, now=self._clock(), most=DUE_AT_ONCE)]
        about = {name for row in rows for name in row["about"]} | {row["about"] for row in due}
        if about:
            await self._route(
                connection, store_of(connection, policy, self._clock()), await self.ways(connection, about)
            )
        return bool(rows or due) or await self._retire(connection, policy)

    async def _retire(self, connection: Connection, policy: InUse) -> bool:
        """Forget, when there is nothing else to do, the reports that the policy keeps no longer."""
        ruled, now = policy.index.policy, self._clock()
        zone = ZoneInfo(ruled.time_zone)
        first = kept_since(ruled.retention.reports, now.astimezone(zone).date())
        before = datetime.combine(first, time.min, zone)
        retired = await store_of(connection, policy, now).retire_reports(before, DUE_AT_ONCE)
        if retired:
            log.info("reports no longer kept", reports=retired, before=first.isoformat())
        return bool(retired)

    async def ways(self, connection: Connection, about: Collection[str]) -> dict[Name, Routed]:
        """The ways until now of the reports of these ids, of whichever agency."""
        told: dict[bool, list[Told]] = {True: [], False: []}
        async for row in queries.told_of(connection, about=list(about), filed=REPORT_FILED):
            told[row["type"] == REPORT_FILED].append(
                Told(row["at"], row["agency"], row["about"], row["revision"], read(row["data"]), row["trace"])
            )
        filings: dict[Name, list[Told]] = {}
        filed: dict[str, dict[str, datetime]] = {}
        for each in told[True]:
            filings.setdefault((each.agency, each.about), []).append(each)
            first = filed.setdefault(each.about, {})
            first[each.agency] = min(each.at, first.get(each.agency, each.at))
        answers: dict[Name | None, list[Told]] = {}
        for each in told[False]:
            answers.setdefault(routing.answered(each, filed), []).append(each)
        wanted = {name: each for name, each in filings.items() if name[1] in about}
        areas = {name: sorted(set(routing.areas(each))) for name, each in wanted.items()}
        charges = await self._read_charges(connection)
        helping = await _helping(connection, areas, charges)
        now = self._clock()
        return {
            name: Routed(
                routing.walk(each, answers.get(name, ()), charges, helping[name], now),
                routing.key(*name, filed[name[1]]),
                areas[name],
            )
            for name, each in wanted.items()
        }

    async def _route(self, connection: Connection, store: Store, ways: Mapping[Name, Routed]) -> None:
        """Keep where reports stand, and announce it; withdraw what is announced under other keys now."""
        if not ways:
            return
        rows = [
            {
                "agency": agency, "about": about, "key": each.key, "kind": each.way.data["kind"],
                "region": each.way.data["region"], "areas": " ".join(each.areas), "step": each.way.step,
                "state": each.way.state, "in_charge": each.way.in_charge, "since": each.way.since,
                "due_at": each.way.deadline, "filed_at": each.way.filed_at, "moved_at": each.way.timeline[-1].at,
                "outcome": each.way.outcome,
            }
            for (agency, about), each in ways.items()
        ]  # fmt: skip
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        before = {row["before"] async for row in queries.stand_at(connection, **columns)} - {None}
        left = {str(identity(REPORTS, key)): key for key in before - {each.key for each in ways.values()}}
        if left:
            withdrawn = [row["key"] async for row in queries.withdraw(connection, keys=list(left))]
            await put(connection, [Message(REPORTS, left[str(key)], None) for key in withdrawn])
        await store.announce([
            News(
                REPORTS, ours.REPORT_ROUTED, each.key,
                routing.announced(agency, about, each.way, {store.nik(nik) for nik in niks(each.way.data)}),
                each.way.trace,
            )
            for (agency, about), each in ways.items()
        ])  # fmt: skip
        log.info("reports routed", reports=len(ways))

    async def _read_charges(self, connection: Connection) -> list[Charge]:
        """Who had charge by each policy taken, where it differs from the one before."""
        after = max(self._charges, default=0)
        async for row in queries.charges(connection, after=after):
            routes = report_routes(orjson.loads(row["routes"])) if row["routes"] is not None else None
            self._charges[row["seq"]] = Charge(row["taken_at"], row["version"], routes, frozenset(row["agencies"]))
        told = [self._charges[seq] for seq in sorted(self._charges)]
        return told[:1] + [
            each for before, each in pairwise(told) if (each.routes, each.agencies) != (before.routes, before.agencies)
        ]


async def _helping(
    connection: Connection, areas: Mapping[Name, Sequence[str]], charges: Sequence[Charge]
) -> dict[Name, list[Helping]]:
    """What was told of the institutions that may cover each report's region; nothing where neighbours are not asked."""
    found: dict[Name, list[Helping]] = {name: [] for name in areas}
    if not any(charge.routes is not None and charge.routes.neighbours is not None for charge in charges):
        return found
    known: dict[Name, list[Helping]] = {}
    async for row in queries.helping(connection, areas=sorted({area for each in areas.values() for area in each})):
        known.setdefault((row["agency"], row["about"]), []).append(
            Helping(row["at"], row["agency"], row["about"], row["revision"], row["kind"], frozenset(row["areas"]))
        )
    by_area: dict[str, set[Name]] = {}
    for institution, revisions in known.items():
        for area in frozenset[str]().union(*(each.areas for each in revisions)):
            by_area.setdefault(area, set()).add(institution)
    for name, each in areas.items():
        near = set[Name]().union(*(by_area.get(area, ()) for area in each))
        found[name] = [told for institution in sorted(near) for told in known[institution]]
    return found


def niks(data: Mapping[str, Any]) -> list[int]:
    """The NIKs that a report names."""
    return [int(person["nik"]) for person in data["people"] if person.get("nik") is not None]


class Matched(NamedTuple):
    """Whom of the registry a person in a report is: by their `nik`; by `name_and_birth_date`, which within the
    kelurahan one person alone has; or `possible`: by their name alone, which nobody else there has, or one of several
    of that name born on that day. ``persons`` are the pseudonyms: of a NIK its own, whether the registry knows it
    (`known`) or not; else of whoever it stands for. What is possible counts nowhere else (view `naming`).
    """

    by: str | None
    persons: Sequence[str]
    known: bool


async def match(connection: Connection, store: Store, data: Mapping[str, Any], policy: InUse) -> list[Matched]:
    """Whom the registry knows of a report's people, in their order."""
    known = {row["number"] async for row in queries.known_persons(connection, niks=niks(data))}
    unnumbered = [person for person in data["people"] if person.get("nik") is None]
    by_name: dict[tuple[str, ...], list[tuple[str | None, str]]] = {}
    if unnumbered and data["region"].count(".") == VILLAGE:
        wanted = {form(person["name"]) for person in unnumbered}
        there = {row["nik"]: row["stands_for"] async for row in queries.residents(connection, region=data["region"])}
        for nik, facts in (await store.facts(there)).items():
            holds = holding(facts, policy.recent)
            name = form(holds["name"].data["name"])
            if name in wanted and holds["region"].data["region"] == data["region"]:
                by_name.setdefault(name, []).append((holds["birth_date"].data["birth_date"], store.nik(there[nik])))
    return [_matched(person, known, store, by_name) for person in data["people"]]


def _matched(
    person: Mapping[str, Any], known: Collection[int], store: Store,
    by_name: Mapping[tuple[str, ...], Sequence[tuple[str | None, str]]],
) -> Matched:  # fmt: skip
    if person.get("nik") is not None:
        return Matched("nik", [store.nik(int(person["nik"]))], int(person["nik"]) in known)
    namesakes = by_name.get(form(person["name"]), ())
    born = person.get("birth_date")
    found = sorted({who for day, who in namesakes if born in (None, day)})
    if born is not None and len(found) == 1:
        return Matched("name_and_birth_date", found, known=True)
    possible = found if born is not None or len(found) == 1 else []
    return Matched("possible" if possible else None, possible, bool(possible))
