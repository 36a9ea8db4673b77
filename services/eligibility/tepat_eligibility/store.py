"""Eligibility's database: what was told, where persons live, and what was decided. SQL stands in ``sql/``.

Invariants
- Of facts about one thing the greatest holds, whatever the order they come in; a fact that changes something leaves
  a mark in its transaction.
- Residences, touched households, sweeps in progress and decisions are written by the duty alone, one session at a
  time: what it computes is never computed on what another overwrites.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from importlib.resources import files
from typing import Any, Final, NamedTuple
from uuid import UUID

import aiosql
from tepat_chassis.database import Connection

from tepat_eligibility.domain import WITHDRAWN, Decision, Visit

queries: Any = aiosql.from_path(
    str(files("tepat_eligibility") / "sql" / "queries"), "asyncpg", mandatory_parameters=False
)


WITHDRAWALS: Final = list(WITHDRAWN.values())
"""The reasons that only withdrawals have."""
BY_HASH: Final = "set local enable_hashjoin = on"
"""For what a statement has gathered itself: `sql/session.sql` has the rest looked up by key."""
BY_KEY: Final = "set local enable_hashjoin = off"


async def every(rows: AsyncIterator[Any]) -> list[Any]:
    """The rows of a query, all at once."""
    return [row async for row in rows]


class PersonTold(NamedTuple):
    """A record of the registry's persons; ``told`` is its data as JSON."""

    person: str
    revision: int
    told: str
    trace: str | None


class RenewalTold(NamedTuple):
    """A record of the registry's households."""

    household: str
    stands_for: str
    revision: int
    trace: str | None


class VisitTold(NamedTuple):
    """A verification that was admitted, keyed by its first two fields, ordered by the next four."""

    agency: str
    verification_id: str
    revision: int
    time: datetime
    event_id: str
    digest: bytes
    nik: UUID
    programme: str | None
    outcome: str
    verified_on: date
    region: str
    trace: str | None
    batch: str
    reason: str | None
    officer: str
    evidence: str


class ListedTold(NamedTuple):
    """A NIK on the list of a batch that was admitted, keyed by its first three fields, ordered by the next four."""

    agency: str
    batch: str
    nik: UUID
    revision: int
    time: datetime
    event_id: str
    digest: bytes
    programme: str | None
    region: str
    listed_on: date
    trace: str | None


class ObjectionTold(NamedTuple):
    """An objection that was admitted, keyed by its first two fields, ordered by the next four."""

    agency: str
    objection_id: str
    revision: int
    time: datetime
    event_id: str
    digest: bytes
    nik: UUID
    programme: str
    grounds: str
    region: str
    filed_on: date
    filed_by: str
    evidence: str
    trace: str | None


class Wanted:
    """Decisions as they should stand, column by column; at most one a subject and programme.

    Subjects are pseudonyms as text: thousands of them go to the database as one text, at a tenth of an array's cost.
    """

    def __init__(self) -> None:
        self.numbered: dict[Decision, int] = {}
        self.subjects: list[str] = []
        self.numbers: list[int] = []
        self.regions: list[str] = []

    def __len__(self) -> int:
        return len(self.subjects)

    def add(self, subject: str, decision: Decision, region: str | None) -> None:
        """Want a decision of a subject, told with the region it lives in."""
        self.subjects.append(subject)
        self.numbers.append(self.numbered.setdefault(decision, len(self.numbered) + 1))
        self.regions.append(region or "")

    def told(self, places: Sequence[int] | None = None) -> dict[str, str]:
        """Subjects, numbers and regions as a statement takes them: all, or those in some places."""
        columns: tuple[Sequence[Any], ...] = (self.subjects, self.numbers, self.regions)
        if places is not None:
            columns = tuple([column[place] for place in places] for column in columns)
        subjects, numbers, regions = columns
        return {"subjects": ",".join(subjects), "numbers": ",".join(map(str, numbers)), "regions": ",".join(regions)}

    def said(self) -> dict[str, list[Any]]:
        """The decisions that the numbers stand for, field by field."""
        named = ("units", "programmes", "decisions", "reasons", "due", "scores")
        told = [
            (each.unit, each.programme, each.decision, each.reasons, each.due, each.score) for each in self.numbered
        ]
        fields = zip(*told, strict=True) if told else [()] * len(named)
        return dict(zip(named, map(list, fields), strict=True))


async def take_persons(connection: Connection, told: Sequence[PersonTold]) -> None:
    """Keep and mark what is newer; one record a person."""
    persons, revisions, data, traces = map(list, zip(*told, strict=True))
    await queries.take_persons(connection, persons=persons, revisions=revisions, told=data, traces=traces)


async def take_renewals(connection: Connection, told: Sequence[RenewalTold]) -> None:
    """Keep and mark what is newer; one record a card."""
    households, stand_for, revisions, traces = map(list, zip(*told, strict=True))
    await queries.take_renewals(
        connection, households=households, stand_for=stand_for, revisions=revisions, traces=traces
    )


async def take_visits(connection: Connection, told: Sequence[VisitTold]) -> None:
    """Keep and mark what holds; one record a visit."""
    names = (
        "agencies", "ids", "revisions", "times", "event_ids", "digests", "niks", "programmes", "outcomes", "days",
        "regions", "traces", "batches", "reasons", "officers", "evidence",
    )  # fmt: skip
    await queries.take_verifications(connection, **_columns(names, told))


async def take_listed(connection: Connection, told: Sequence[ListedTold]) -> None:
    """Keep what holds; one record a batch, NIK and agency."""
    names = (
        "agencies", "batches", "niks", "revisions", "times", "event_ids", "digests", "programmes", "regions", "days",
        "traces",
    )  # fmt: skip
    await queries.take_listed(connection, **_columns(names, sorted(told, key=lambda each: (each[1], each[2], each[0]))))


async def take_objections(connection: Connection, told: Sequence[ObjectionTold]) -> None:
    """Keep and mark what holds; one record an objection."""
    names = (
        "agencies", "ids", "revisions", "times", "event_ids", "digests", "niks", "programmes", "grounds", "regions",
        "days", "filers", "evidence", "traces",
    )  # fmt: skip
    await queries.take_objections(connection, **_columns(names, sorted(told)))


def _columns(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """The rows column by column, as statements take them."""
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


async def visits_of(connection: Connection, niks: Collection[str]) -> Mapping[str, list[Visit]]:
    """The visits made to NIKs, by NIK."""
    visits = defaultdict[str, list[Visit]](list)
    for nik, *visit in await every(queries.visits(connection, niks=",".join(niks))):
        visits[nik].append(Visit(*visit))
    return visits


async def keep(
    connection: Connection,
    wanted: Wanted,
    *,
    judged: Sequence[str],
    only: Sequence[str] | None,
    deciding: Iterable[tuple[str, str]],
    version: str,
    as_of: date,
    now: datetime,
) -> list[Any]:
    """Make decisions stand as wanted; those that differ from what was announced, with their new revisions.

    Args:
        judged: all subjects looked at: what stands of them and is not wanted is withdrawn.
        only: the programmes looked at, where not all were.
        deciding: unit and code of the programmes that decide today, which tells why one is withdrawn.
    """
    stamped = {"policy_version": version, "as_of": as_of, "decided_at": now}
    said = wanted.said()
    await connection.execute(BY_HASH)
    differing = await every(
        queries.differing(
            connection, judged=",".join(judged), only=only, withdrawn=WITHDRAWALS, **wanted.told(), **said
        )
    )
    await connection.execute(BY_KEY)
    rows = []
    if places := [row["place"] for row in differing if row["place"] is not None]:
        rows = await every(queries.decide(connection, **wanted.told(places), **said, **stamped))
    still = frozenset(deciding)
    unwanted = [
        (row["subject"], row["programme"], WITHDRAWN[_why(row["unit"], (row["unit"], row["programme"]) in still)])
        for row in differing
        if row["place"] is None
    ]
    if unwanted:
        subjects, programmes, reasons = map(list, zip(*unwanted, strict=True))
        rows += await every(
            queries.withdraw(connection, subjects=subjects, programmes=programmes, reasons=reasons, **stamped)
        )
    return rows


def _why(unit: str, decides: bool) -> str:
    """Why nothing is decided of a subject any longer."""
    if not decides:
        return "effective"
    return "members" if unit == "household" else "stands_for"
