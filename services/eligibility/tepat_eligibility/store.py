"""Eligibility's database: what was told, where persons live, and what was decided. SQL stands in ``sql/``.

Invariants
- Of facts about one thing the greatest holds, whatever the order they come in; a fact that changes something leaves
  a mark in its transaction.
- Residences, touched households, sweeps in progress and decisions are written by the duty alone, one session at a
  time: what it computes is never computed on what another overwrites.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

import aiosql
from tepat_chassis.database import Connection

from tepat_eligibility.domain import WITHDRAWN, Decision, Visit
from tepat_eligibility.households import Resident, Stands

SERVICE: Final = "eligibility"
queries: Any = aiosql.from_path(
    str(files("tepat_eligibility") / "sql" / "queries"), "asyncpg", mandatory_parameters=False
)


BY_HASH: Final = """
set local enable_hashjoin = on; set local enable_bitmapscan = off; set local plan_cache_mode = force_generic_plan"""
"""For what a statement has gathered itself, planned once: `sql/session.sql` has the rest looked up by key."""
WHOLE: Final = "set local enable_hashjoin = on; set local enable_seqscan = on"
"""For what looks at tables from end to end."""
BY_KEY: Final = """
set local enable_hashjoin = off; set local enable_bitmapscan = on; set local enable_seqscan = off;
set local plan_cache_mode = force_custom_plan"""
"""As before either."""


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


class Announced(NamedTuple):
    """A decision to be announced."""

    subject: str
    decision: Decision
    region: str | None
    revision: int


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


def residents(told: str | None) -> Iterator[tuple[str, list[Resident]]]:
    """Households and who lives there, out of the text that a query tells them in."""
    rows = map(Resident._make, (line.split("\t") for line in told.split("\n"))) if told else ()
    for household, members in groupby(rows, itemgetter(0)):
        yield household, list(members)


class Differing(NamedTuple):
    """In what it differs what stands of a subject and what is to stand, by programme."""

    wanted: tuple[Decision, ...]
    """Of the decisions wanted those that stand otherwise or not at all."""
    unwanted: tuple[tuple[Literal["person", "household"], str], ...] = ()
    """Those that stand and are not wanted, with their unit."""


Wanted: TypeAlias = tuple[str, Decision, str]
"""A subject, what is decided of it and the region it is told with (empty where it is not known)."""
Pair: TypeAlias = tuple[str, str, bool]
"""What stands and what is to stand, by their folds, and whether they are told with different regions."""


async def keep(
    connection: Connection,
    stands: Sequence[Stands],
    *,
    compared: dict[Pair, Differing],
    deciding: Iterable[tuple[str, str]],
    version: str,
    as_of: date,
    now: datetime,
) -> list[Announced]:
    """Make decisions stand as wanted; those that differ from what was announced, with their new revisions. That all of
    it stands is for `stand` to say.

    Args:
        stands: subjects of whom anything differs, each once: what stands of one and is not wanted is withdrawn.
        compared: what is known to differ between two folds, and is learnt here: only one subject a pair is looked at
            decision by decision.
        deciding: unit and code of the programmes that decide today, which tells why one is withdrawn.
    """
    pairs = [_pair(each) for each in stands]
    unknown = {pair: each for pair, each in zip(pairs, stands, strict=True) if pair and pair not in compared}
    looked = [*unknown.values(), *(each for pair, each in zip(pairs, stands, strict=True) if pair is None)]
    found = await _differing(connection, looked) if looked else {}
    compared |= {pair: found[each.subject] for pair, each in unknown.items()}
    stamped = {"policy_version": version, "as_of": as_of, "decided_at": now}
    still, announced = frozenset(deciding), list[Announced]()
    wanted, unwanted = list[Wanted](), list[Wanted]()
    for pair, (subject, _, region, _, _) in zip(pairs, stands, strict=True):
        differing = compared[pair] if pair else found[subject]
        wanted += [(subject, made, region) for made in differing.wanted]
        unwanted += [(subject, _withdrawn(*of, decides=of in still), "") for of in differing.unwanted]
    if told := {made for _, made, _ in (*wanted, *unwanted)}:
        await explain(connection, told)
    if wanted:
        announced += _announced(wanted, await every(queries.decide(connection, **_told(wanted), **stamped)))
    if unwanted:
        announced += _announced(unwanted, await every(queries.withdraw(connection, **_told(unwanted), **stamped)))
    return announced


async def stand(connection: Connection, stands: Sequence[Stands]) -> None:
    """Keep what stands of subjects from now on, as one number each."""
    await queries.stand(
        connection, subjects=",".join([each.subject for each in stands]),
        folds=",".join([each.decided.fold for each in stands]), regions=",".join([each.region for each in stands]),
    )  # fmt: skip


def _pair(stands: Stands) -> Pair | None:
    """What two subjects have in common of whom the same differs; none where it is not known what stands."""
    if stands.stood is None or stands.stood.endswith("?"):
        return None
    fold, _, region = stands.stood.partition(" ")
    return fold, stands.decided.fold, region != stands.region


async def _differing(connection: Connection, stands: Sequence[Stands]) -> dict[str, Differing]:
    """In what it differs what stands of subjects and what is to stand, decision by decision."""
    told = _told([(each.subject, made, each.region) for each in stands for made in each.decided.decisions])
    await connection.execute(BY_HASH)
    rows = await every(queries.differing(connection, judged=",".join(each.subject for each in stands), **told))
    await connection.execute(BY_KEY)
    wanted, unwanted = defaultdict[str, set[str]](set), defaultdict[str, list[tuple[Any, str]]](list)
    for row in rows:
        if row["wanted"]:
            wanted[row["subject"]].add(row["programme"])
        else:
            unwanted[row["subject"]].append((row["unit"], row["programme"]))
    return {
        each.subject: Differing(
            tuple(made for made in each.decided.decisions if made.programme in wanted[each.subject]),
            tuple(unwanted[each.subject]),
        )
        for each in stands
    }


def _told(wanted: Sequence[Wanted]) -> dict[str, str]:
    """Decisions of subjects, as statements take them: a text a column, at a tenth of an array's cost."""
    return {
        "subjects": ",".join([subject for subject, _, _ in wanted]),
        "units": ",".join([made.unit for _, made, _ in wanted]),
        "programmes": "\n".join([made.programme for _, made, _ in wanted]),
        "decisions": ",".join([made.decision for _, made, _ in wanted]),
        "explanations": ",".join([str(made.id) for _, made, _ in wanted]),
        "regions": ",".join([region for _, _, region in wanted]),
    }


def _announced(wanted: Sequence[Wanted], rows: Iterable[tuple[int, str | None, int]]) -> list[Announced]:
    """What a statement gives back of them: places from 1, regions and revisions."""
    return [Announced(*wanted[place - 1][:2], region, revision) for place, region, revision in rows]


async def explain(connection: Connection, decisions: Iterable[Decision]) -> None:
    """Keep what decisions are explained by; each once, in one order for all who keep some at the same time."""
    told = sorted({each.id: (each.id, each.reasons, each.due, each.score) for each in decisions}.values())
    await queries.explain(connection, **_columns(("ids", "reasons", "due", "scores"), told))


@cache
def _withdrawn(unit: Literal["person", "household"], programme: str, *, decides: bool) -> Decision:
    """What withdraws a decision, and says why nothing is decided of a subject any longer."""
    why = "effective" if not decides else "members" if unit == "household" else "stands_for"
    return Decision(unit, programme, "ineligible", WITHDRAWN[why])


async def forget_explanations(connection: Connection) -> None:
    """Forget what no decision is explained by any more."""
    await connection.execute(WHOLE)
    await queries.forget_explanations(connection)
    await connection.execute(BY_KEY)
