"""Eligibility's database: what was told, where persons live, and what was decided. SQL stands in ``sql/``.

Invariants
- Of facts about one thing the greatest holds, whatever the order they come in; a fact that changes something leaves
  a mark in its transaction.
- Residences, touched households, sweeps in progress and decisions are written by the duty alone, one session at a
  time: what it computes is never computed on what another overwrites.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import date, datetime
from importlib.resources import files
from typing import Any, NamedTuple
from uuid import UUID

import aiosql
from tepat_chassis.database import Connection

from tepat_eligibility.domain import WITHDRAWN, Decision

queries: Any = aiosql.from_path(
    str(files("tepat_eligibility") / "sql" / "queries"), "asyncpg", mandatory_parameters=False
)


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


class Announced(NamedTuple):
    """A decision that was kept and is to be announced; ``trace`` of what led to it, where one thing did."""

    row: Any
    trace: str | None


#: What is decided of a subject by programme, the region it stands under and the trace that leads to it.
Wanted = Mapping[tuple[UUID, str], tuple[Decision, str | None]]


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
    agencies, ids, revisions, times, event_ids, digests, niks, programmes, outcomes, days, regions, traces = map(
        list, zip(*told, strict=True)
    )
    await queries.take_verifications(
        connection,
        agencies=agencies, ids=ids, revisions=revisions, times=times, event_ids=event_ids, digests=digests, niks=niks,
        programmes=programmes, outcomes=outcomes, days=days, regions=regions, traces=traces,
    )  # fmt: skip


async def keep(
    connection: Connection,
    wanted: Wanted,
    *,
    judged: Sequence[UUID],
    only: Sequence[str] | None,
    deciding: Iterable[tuple[str, str]],
    traces: Mapping[UUID, str | None],
    version: str,
    as_of: date,
    now: datetime,
) -> list[Announced]:
    """Make decisions stand as wanted; those that differ from what was announced, with their new revisions.

    Args:
        judged: all subjects looked at: what stands of them and is not wanted is withdrawn.
        only: the programmes looked at, where not all were.
        deciding: unit and code of the programmes that decide today, which tells why one is withdrawn.
    """
    stamped = {"policy_version": version, "as_of": as_of, "decided_at": now}
    numbers: dict[Decision, int] = {}
    number_of = [numbers.setdefault(decision, len(numbers) + 1) for decision, _ in wanted.values()]
    rows = []
    if wanted:
        units, programmes, decisions, reasons = map(list, zip(*numbers, strict=True))
        rows = await every(
            queries.decide(
                connection,
                subjects=[subject for subject, _ in wanted],
                numbers=number_of,
                regions=[region for _, region in wanted.values()],
                units=units,
                programmes=programmes,
                decisions=decisions,
                reasons=reasons,
                **stamped,
            )
        )
    stand = {"subjects": judged, "withdrawn": list(WITHDRAWN.values()), "only": only}
    if await queries.standing(connection, **stand) > len(wanted):
        still = frozenset(deciding)
        unwanted = [
            (row["subject"], row["programme"], WITHDRAWN[_why(row["unit"], (row["unit"], row["programme"]) in still)])
            for row in await every(queries.standing_of(connection, **stand))
            if (row["subject"], row["programme"]) not in wanted
        ]
        subjects, programmes, reasons = map(list, zip(*unwanted, strict=True))
        rows += await queries.withdraw(connection, subjects=subjects, programmes=programmes, reasons=reasons, **stamped)
    return [Announced(row, traces.get(row["subject"])) for row in rows]


def _why(unit: str, decides: bool) -> str:
    """Why nothing is decided of a subject any longer."""
    if not decides:
        return "effective"
    return "members" if unit == "household" else "stands_for"
