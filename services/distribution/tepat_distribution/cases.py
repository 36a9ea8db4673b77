"""Keeps the cases of overlaps: what was done in them, whom they let go, and when they are overdue.

Invariants
- Whoever does anything in a case holds the row of its overlap, changed in the same transaction: a step of judging that
  would announce the overlap otherwise waits, or fails and is made again. So nobody judges facts that have changed, and
  no change escapes a judgement.
- What was done is kept, told, and carried over to ``released`` in one transaction; a revision is told once.
- A new database takes cases and overlaps from two topics, of which either may tell more: what stands announced is
  followed before anything is let go.
- A deadline is a column, or follows from when an overlap was announced; it is no timer. Of the overlaps that nobody has
  touched a row a step of judging notes which deadline runs, so that judging costs no more for it.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
import structlog
from tepat_chassis.database import Connection
from tepat_chassis.failpoints import reach
from tepat_chassis.outbox import put
from tepat_contracts.events.ours import CASE_TOLD
from tepat_contracts.policy import Cases

from tepat_distribution import resolving
from tepat_distribution.domain import STATES, VERDICTS, Announcement
from tepat_distribution.outgoing import message
from tepat_distribution.resolving import Case, Facts
from tepat_distribution.store import every, queries, undisturbed

log = structlog.get_logger()

CASES: Final = "distribution.cases.v1"
DUE_AT_ONCE: Final = 1_000
CLOCKS_AT_ONCE: Final = 1
"""A part of a step of judging: some thousands of overlaps."""
LONGEST_TERM: Final = timedelta(days=366)
"""Of a policy. What was announced longer ago than this nobody need look at."""


class Standing(NamedTuple):
    """A case as it stands, the facts it is about, and what the ledger says became of the money, in rupiah."""

    facts: Facts
    case: Case
    became: tuple[str, int] | None


def standing(row: Any, terms: Cases) -> Standing:
    """A row of view ``cases`` whose overlap is known whole; of ``cases_named`` also what became of the money, and
    whether its rule prefers one of the two.
    """
    facts = facts_of(row)
    case = resolving.read(orjson.loads(row["told"])) if row["told"] is not None else resolving.opened(facts, terms)
    what = row.get("what")
    return Standing(facts, case, (what, row["amount"]) if what is not None else None)


def overlap_of(row: Any) -> dict[str, Any]:
    """An overlap as it was announced, of a row of ``cases``."""
    return {
        "overlap_id": row["overlap_id"], "rule": row["rule"], "verdict": VERDICTS[row["strength"]],
        "scope": "person" if row["by_person"] else "household", "person": row["person"],
        "household": row["household"], "during": {"from": row["starts"], "to": row["ends"]}, "region": row["region"],
        "amount_at_risk": row["amount_at_risk"],
        "payouts": [
            {
                "agency": row[f"agency_{side}"], "payout_id": row[f"payout_{side}"],
                "programme": row[f"code_{side}"], "amount": row[f"amount_{side}"], "state": STATES[row[f"rank_{side}"]],
            }
            for side in "ab"
        ],
    }  # fmt: skip


def facts_of(row: Any) -> Facts:
    """What a case is about, of a row of ``cases``."""
    overlap = overlap_of(row)
    a, b = overlap["payouts"]
    return Facts(
        overlap_id=row["overlap_id"], revision=row["overlap_revision"], live=row["live"], verdict=overlap["verdict"],
        states=(a["state"], b["state"]), payouts=((a["agency"], a["payout_id"]), (b["agency"], b["payout_id"])),
        programmes=(a["programme"], b["programme"]), amount_at_risk=row["amount_at_risk"], region=row["region"],
        ends=row["ends"], announced_at=row["announced_at"], digest=resolving.digest(overlap),
        prefers=bool(row.get("prefers")),
    )  # fmt: skip


async def terms_in_force(connection: Connection) -> Cases:
    """What the policy in force says of cases."""
    told = await queries.terms_in_force(connection)
    return Cases.model_validate_json(told) if told is not None else Cases()


async def of(connection: Connection, ids: Collection[UUID], terms: Cases) -> list[Standing]:
    """The cases of these overlaps as they stand."""
    return [standing(row, terms) for row in await every(queries.cases_named(connection, ids=list(ids)))]


async def keep(connection: Connection, done: Sequence[Standing], now: datetime) -> list[dict[str, Any]]:
    """Keep cases that are one act further, tell of them, and let payments go or no longer; what is told."""
    told = {
        facts.overlap_id: resolving.told(case, facts, resolving.money(case, facts, became))
        for facts, case, became in done
    }
    kept = [row["overlap_id"] for row in await every(queries.keep_cases(connection, **columns(told.values())))]
    if kept:
        await queries.release(connection, ids=kept, lets_go=list(resolving.LETS_GO), holds=list(resolving.HOLDS))
        await connection.execute("notify mark")
    out = [told[overlap_id] for overlap_id in kept]
    await put(connection, [
        message(CASES, each["overlap_id"], CASE_TOLD, each["revision"], now, each) for each in out
    ])  # fmt: skip
    return out


def columns(told: Collection[dict[str, Any]]) -> dict[str, list[Any]]:
    """Records of cases as columns of table ``overlap_case``."""
    cases = [resolving.read(each) for each in told]
    return {
        "ids": [each["overlap_id"] for each in told],
        "revisions": [case.revision for case in cases],
        "states": [case.state for case in cases],
        "deadlines": [case.deadline for case in cases],
        "dues": [case.due for case in cases],
        "counts": [case.counts(each.get("verdict", "review")) for case, each in zip(cases, told, strict=True)],
        "told": [orjson.dumps(each).decode() for each in told],
    }


async def follow(connection: Connection, announcements: Sequence[Announcement], now: datetime) -> None:
    """Reopen what was judged of facts that are announced otherwise now, and close what has ended, in the transaction
    that announces it. Those that excluded themselves until a payout ended are closed though nobody touched them, so
    that what became of their money is told.
    """
    exclusive = [each.overlap_id for each in announcements if each.data.get("verdict") == "exclusive"]
    if exclusive:
        await queries.start_clock(connection, at=now, ids=exclusive)
    reasons = {each.overlap_id: each.data.get("reason") for each in announcements}
    concerned = await every(queries.cases_concerned(
        connection, announced=[each for each, reason in reasons.items() if reason is None],
        cleared=[each for each, reason in reasons.items() if reason is not None],
        ended=[each for each, reason in reasons.items() if reason == "payout_ended"],
    ))  # fmt: skip
    if not concerned:
        return
    terms = await terms_in_force(connection)
    after = []
    for facts, case, became in await of(connection, [row["overlap_id"] for row in concerned], terms):
        followed = resolving.followed(case, facts, terms, reasons[facts.overlap_id], now)
        if followed is not None:
            after.append(Standing(facts, followed, became))
    await keep(connection, after, now)


async def recalled(connection: Connection, now: datetime) -> None:
    """Let go what the cases read back let go, once they follow the overlaps read back."""
    doubted = await every(queries.recalled_in_doubt(connection))
    terms = await terms_in_force(connection)
    after = [
        Standing(facts, followed, became)
        for facts, case, became in await of(connection, [row["overlap_id"] for row in doubted], terms)
        if (followed := resolving.followed(case, facts, terms, None, now)) is not None
    ]
    await keep(connection, after, now)
    await queries.recall_released(connection, lets_go=list(resolving.LETS_GO), holds=list(resolving.HOLDS))


class Deadlines:
    """The duty of telling which cases are overdue, each once."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock

    async def step(self, connection: Connection) -> bool:
        """Tell of those overdue the longest, in a transaction of its own; whether there may be more."""
        now = self._clock()
        async with undisturbed(connection), connection.transaction():
            if await queries.being_rebuilt(connection):
                return False
            terms = await terms_in_force(connection)
            until = now - (terms.within or LONGEST_TERM)
            taken = await every(queries.take_clock(connection, until=until, rows=CLOCKS_AT_ONCE))
            ids = {row["overlap_id"] for row in taken} - {None}
            due = await every(queries.due_cases(connection, now=now, at_most=DUE_AT_ONCE))
            ids |= {row["overlap_id"] for row in due}
            if ids:
                await every(queries.lock_overlaps(connection, ids=list(ids)))
            after = [
                Standing(facts, overdue, became)
                for facts, case, became in await of(connection, ids, terms)
                if (overdue := resolving.overdue(case, facts, now)) is not None
            ]
            await keep(connection, after, now)
            reach("cases.before_commit")
        if after:
            log.info("cases overdue", cases=len(after))
        return bool(taken or due)
