"""Distribution's database: the ledger, who is who, and what was announced. SQL stands in ``sql/``.

Invariants
- Payouts are taken under the shared lock; whoever changes who is who, or the policy, holds the exclusive one.
  So a payout is resolved against what everyone agrees on, or resolved anew by whoever changes it.
- Every statement that changes a payout, a membership or a rule leaves a mark in its transaction. Overlaps are
  judged from marks alone, in one session at a time, against a snapshot that holds all marked facts.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from importlib.resources import files
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import aiosql
import asyncpg
import structlog
from tepat_chassis.database import Connection, copy_binary, kept_open, lock_key
from tepat_chassis.quarantine import Told
from tepat_contracts.policy import Policy

from tepat_distribution import domain, found, rows

log = structlog.get_logger()

queries: Any = aiosql.from_path(
    str(files("tepat_distribution") / "sql" / "queries"), "asyncpg", mandatory_parameters=False
)


async def every(rows: AsyncIterator[Any]) -> list[Any]:
    """The rows of a query, all at once."""
    return [row async for row in rows]


@asynccontextmanager
async def undisturbed(connection: Connection) -> AsyncIterator[None]:
    """Let nothing be forgotten during a duty's step. To be begun before its transaction, or that reads what was.

    A step that fails ends its session, and the lock with it.
    """
    await connection.execute(f"select pg_advisory_lock_shared({FORGETTING})")
    yield
    await connection.execute(f"select pg_advisory_unlock_shared({FORGETTING})")


@asynccontextmanager
async def disturbing(connection: Connection) -> AsyncIterator[None]:
    """Wait for the steps that are being made, and let none begin. As ``undisturbed`` beside itself."""
    await connection.execute(f"select pg_advisory_lock({FORGETTING})")
    yield
    await connection.execute(f"select pg_advisory_unlock({FORGETTING})")


def day(told: str | None) -> date | None:
    """The day that is told, if any is."""
    return date.fromisoformat(told) if told is not None else None


BY_KEY = "set enable_seqscan = off; set enable_bitmapscan = off"
"""What is looked up is few beside the ledger: a few rows each, by index, from the first batch on."""
BY_KEY_NOW = BY_KEY.replace("set ", "set local ")
"""Until the transaction ends."""

MARKS_AT_ONCE = 8
"""Two a batch: one of what is new in the ledger, one of what changed there."""
MARKS_WAITING = 16
"""With more, pages of crowds among them, taking waits for judging: these are a few seconds' work. More than one step
takes, so that judging never waits for taking."""
REJUDGED_AT_ONCE = 20_000
PAIRS_AT_ONCE = 100_000
"""A step with more is taken apart: families that were paid for a year make some 40,000."""
PAIRS_OF_A_PAGE = 50_000
"""A crowd is judged in pieces of about a second's work, and what else is touched comes between them."""
DIFFERENCES_AT_ONCE = 2_000
"""Turned into announcements in some 50 ms, in which the loop stands still."""
RECALLED_AT_ONCE = 8_000
PAYOUTS_OF_A_TOUCH = 5_000
"""Looked at for findings together, in some 0.2 s."""
LOOK = "notify findings"
FORGETTING = lock_key("forgetting")
ARRIVING = ("agencies", "payout_ids", "niks", "tolds", "told_kks", "starts")
FRESH_MARK = (
    "fresh", "agencies", "payout_ids", "programmes", "starts", "ends", "persons", "households", "ranks", "appended",
)  # fmt: skip


class Staged(NamedTuple):
    """A payout event ready to be taken: its key, the order in which it holds, its row as packed."""

    payout: tuple[int, str]
    order: tuple[int, int, int, str]
    packed: bytes
    packed_id: bytes
    layout: rows.Layout
    record: Told
    agency: str


#: Whom a decision is about: programme, person or household.
Subject = tuple[str, str]

#: Finds the records held at (agency, partition, offset), by their places; those no longer kept are left out.
Recall = Callable[[Sequence[tuple[str, int, int]]], Coroutine[Any, Any, Mapping[tuple[str, int, int], str]]]


class Store:
    """Reads and writes distribution's tables, a batch at a time."""

    def __init__(self, data_of: Callable[[Told], str], recall: Recall) -> None:
        self._data_of = data_of
        self._recall = recall
        self._rebuilt = False
        self._sources = deque([self._take_marks, self._take_page, self._take_rejudged])

    # -- facts -------------------------------------------------------------------------------------

    async def take_payouts(
        self, connection: Connection, staged: Sequence[Staged], beaten: Sequence[Staged] = ()
    ) -> None:
        """Take payouts by the order in which their events hold, keep those that do not, and mark what they touch.

        By key, so that instances with the same payouts lock them in one order.

        Args:
            beaten: events about the same payouts that hold over none of them.
        """
        taken = sorted(staged, key=attrgetter("payout"))
        every_one = [*taken, *sorted(beaten, key=attrgetter("payout"))]
        known = await self._known(connection, every_one)
        taken, behind = every_one[: len(taken)], every_one[len(taken) :]
        fresh = [row for at, row in enumerate(taken) if at not in known]
        held = [row for at, row in enumerate(taken) if at in known]
        try:
            async with connection.transaction():
                await self._take_fresh(connection, fresh)
        except asyncpg.UniqueViolationError:  # another instance has taken one of them meanwhile
            held = taken
        if held:
            await copy_binary(connection, "stage", rows.COLUMNS, [row.packed for row in held])
            if unmoved := await every(queries.take_staged(connection)):
                await queries.tell_ended(connection)
                await queries.keep_beaten(connection)
                await self._settle_misused(connection, held, unmoved)
        if behind:
            await queries.forget_staged(connection)
            await copy_binary(connection, "stage", rows.COLUMNS, [row.packed for row in behind])
            await queries.tell_ended(connection)
            await queries.keep_beaten(connection)
        await connection.execute("notify mark")

    async def _known(self, connection: Connection, taken: list[Staged]) -> set[int]:
        """Which of these the ledger holds, by number; those that the registry knows otherwise are changed so."""
        await copy_binary(connection, "arriving", ARRIVING, [rows.row((
            rows.array("smallint", [row.packed[row.layout.agency] for row in taken]),
            rows.array("text", [row.packed_id for row in taken]),
            rows.array("uuid", [row.packed[row.layout.nik] for row in taken]),
            rows.array("uuid", [row.packed[row.layout.told] for row in taken]),
            rows.array("boolean", [row.packed[row.layout.told_kk] for row in taken]),
            rows.array("date", [row.packed[row.layout.starts] for row in taken]),
        ))])  # fmt: skip
        held = set()
        for known in await every(queries.known(connection)):
            at = known["n"] - 1
            if known["held"]:
                held.add(at)
            else:
                packed = rows.moved(taken[at].packed, known["person"], known["household"])
                taken[at] = taken[at]._replace(packed=packed)
        return held

    async def _take_fresh(self, connection: Connection, fresh: Sequence[Staged]) -> None:
        """Take payouts that the ledger has not, and leave a mark that tells all that judging needs of them."""
        await copy_binary(connection, "payout", rows.COLUMNS, [row.packed for row in fresh])
        live, at = [row for row in fresh if row.layout is rows.OF_LIVE], rows.OF_LIVE
        if live:
            packed = [row.packed for row in live]
            await copy_binary(connection, "mark", FRESH_MARK, [rows.row((
                rows.TRUE,
                rows.array("smallint", [each[at.agency] for each in packed]),
                rows.array("text", [row.packed_id for row in live]),
                rows.array("smallint", [each[at.programme] for each in packed]),
                rows.array("date", [each[at.starts] for each in packed]),
                rows.array("date", [each[at.ends] for each in packed]),
                rows.array("uuid", [each[at.person] for each in packed]),
                rows.array("uuid", [each[at.household] for each in packed]),
                rows.array("smallint", [each[at.rank] for each in packed]),
                min(each[at.appended] for each in packed),
            ))])  # fmt: skip

    async def _settle_misused(self, connection: Connection, staged: Sequence[Staged], unmoved: list[Any]) -> None:
        """Events that tie with the one held: the greater canonical data holds (overlap.md, "Ledger")."""
        agencies, payout_ids = map(list, zip(*unmoved, strict=True))
        ties = await every(queries.misused(connection, agencies=agencies, payout_ids=payout_ids))
        if not ties:
            return
        by_payout = {row.payout: row for row in staged}
        places = {}
        for tie in ties:
            row = by_payout[tie["agency"], tie["payout_id"]]
            places[row.payout] = (row.agency, tie["held_partition"], tie["held_offset"])
        held = await kept_open(connection, self._recall(list(set(places.values()))))
        greater = [
            payout
            for payout, place in places.items()
            if place in held and self._data_of(by_payout[payout].record) > held[place]
        ]
        log.warning(
            "event ids used for more than one event", events=len(ties), replaced=len(greater),
            expired=len(places) - sum(place in held for place in places.values()),
        )  # fmt: skip
        if greater:
            agencies, payout_ids = map(list, zip(*greater, strict=True))
            await queries.keep_staged(connection, agencies=agencies, payout_ids=payout_ids)
            await queries.yield_to_misused(connection, agencies=agencies, payout_ids=payout_ids)
            await every(queries.take_staged(connection))

    async def take_persons(self, connection: Connection, persons: Sequence[Mapping[str, Any]]) -> set[UUID]:
        """Take what is newer; the persons whose payouts may stand elsewhere now."""
        anybody = await queries.anybody_told(connection)
        taken = await every(queries.take_persons(
            connection,
            niks=[p["person"] for p in persons], stand_for=[p["stands_for"] for p in persons],
            alone=[p["alone"] for p in persons], revisions=[p["revision"] for p in persons],
            deceased_on=[day(p.get("deceased_on")) for p in persons],
        ))  # fmt: skip
        await self._note(connection, {row[g] for row in taken if row["otherwise"] for g in ("nik", "stands_for")})
        if taken and not anybody:  # from now on who is not known is said not to be
            await queries.sweep_findings(connection)
        newer = {row["nik"] for row in taken}
        agencies = await self._numbered(connection, {m["agency"] for p in persons for m in p["memberships"]})
        facts = [
            (UUID(p["person"]), agencies[m["agency"]], date.fromisoformat(m["since"]),
             date.fromisoformat(m["until"]) if m.get("until") else date.max, m["household"])
            for p in persons if UUID(p["person"]) in newer for m in p["memberships"]
        ]  # fmt: skip
        if newer:
            await queries.forget_memberships(connection, niks=list(newer))
        if facts:
            niks, numbers, since, until, households = map(list, zip(*facts, strict=True))
            await queries.take_memberships(
                connection, niks=niks, agencies=numbers, since=since, until=until, households=households
            )
        return newer | {row["stood_for"] for row in taken}

    async def forget_persons(self, connection: Connection, niks: Sequence[str]) -> set[UUID]:
        """Forget what the registry said of NIKs; the persons whose payouts may stand elsewhere now."""
        gone = await every(queries.forget_persons(connection, niks=niks))
        await queries.forget_memberships(connection, niks=niks)
        await queries.forget_members(connection, niks=niks)
        if gone and not await queries.anybody_told(connection):
            await queries.sweep_findings(connection)
        concerned = {row[name] for row in gone for name in ("nik", "stands_for")}
        await self._note(connection, concerned)
        return concerned

    async def _note(self, connection: Connection, groups: set[UUID]) -> None:
        """Have all payouts of these persons and households looked at."""
        if groups:
            await queries.touch_groups(connection, groups=list(groups))
            await connection.execute(LOOK)

    async def take_decisions(
        self, connection: Connection, told: Mapping[Subject, Mapping[str, Any]], forgotten: Sequence[Subject]
    ) -> None:
        """Take what is newer of what eligibility decided, and forget what it withdrew without a word."""
        codes = sorted({programme for programme, _ in (*told, *forgotten)})
        if set(codes) - {row["code"] for row in await every(queries.programmes(connection))}:
            await queries.learn_programmes(connection, codes=codes)
        if forgotten:
            programmes, subjects = map(list, zip(*forgotten, strict=True))
            await queries.forget_decisions(connection, programmes=programmes, subjects=subjects)
        if told:
            await queries.take_decisions(
                connection, programmes=[programme for programme, _ in told], subjects=[subject for _, subject in told],
                revisions=[data["revision"] for data in told.values()],
                standings=[found.standing(data) for data in told.values()],
                as_of=[day(data["as_of"]) for data in told.values()],
                regions=[data.get("region") for data in told.values()],
            )  # fmt: skip
        await connection.execute(LOOK)

    async def take_renewals(self, connection: Connection, households: Sequence[Mapping[str, Any]]) -> set[UUID]:
        """Take what is newer; the households whose payouts may stand elsewhere now."""
        taken = await every(queries.take_renewals(
            connection,
            households=[h["household"] for h in households], stand_for=[h["stands_for"] for h in households],
            revisions=[h["revision"] for h in households],
        ))  # fmt: skip
        return {row["stood_for"] for row in taken} | {row["household"] for row in taken}

    async def resolve_again(self, connection: Connection, persons: set[UUID], households: set[UUID]) -> None:
        """Resolve the live payouts of persons and households anew, and mark what moved."""
        await connection.execute(BY_KEY_NOW)
        await queries.resolve_again(connection, persons=list(persons), households=list(households))
        await connection.execute("notify mark")

    async def _numbered(self, connection: Connection, codes: set[str]) -> dict[str, int]:
        if codes:
            await queries.learn_agencies(connection, codes=sorted(codes))
        return {row["code"]: row["id"] for row in await every(queries.agencies(connection))}

    async def numbered(
        self, connection: Connection, agencies: set[str], programmes: set[str]
    ) -> tuple[dict[str, int], dict[str, int]]:
        """The ledger's numbers of all agencies and programmes, these ones learnt where they are new."""
        numbers = await self._numbered(connection, agencies)
        await queries.learn_programmes(connection, codes=sorted(programmes))
        return numbers, {row["code"]: row["id"] for row in await every(queries.programmes(connection))}

    # -- policy ------------------------------------------------------------------------------------

    async def follow(self, connection: Connection, policy: Policy) -> tuple[dict[str, int], dict[str, int]]:
        """Follow a policy: ranks of trust, programmes, rules; the ledger's numbers of agencies and programmes."""
        agencies, programmes = await self.numbered(
            connection, {agency.id for agency in policy.agencies}, {programme.code for programme in policy.programmes}
        )
        reranked = await every(queries.rank_agencies(
            connection,
            codes=[agency.id for agency in policy.agencies], ranks=[agency.trust_rank for agency in policy.agencies],
        ))  # fmt: skip
        if reranked:
            disputed = {row["nik"] for row in await every(queries.disputed_persons(connection))}
            await self.resolve_again(connection, disputed, set())
        await queries.set_repeatable(connection, codes=[p.code for p in policy.programmes if p.repeatable])
        wanted = {
            (programmes[rule.a], programmes[rule.b], *rule[2:-1], programmes.get(rule.prefer or ""))
            for rule in domain.rules(policy, programmes)
            if rule.a in programmes and rule.b in programmes
        }
        if wanted != {tuple(row) for row in await every(queries.rules(connection))}:
            await queries.forget_rules(connection)
            if wanted:
                a, b, ids, persons, strengths, starts, ends, preferred = map(list, zip(*wanted, strict=True))
                await queries.set_rules(
                    connection, a=a, b=b, ids=ids, persons=persons, strengths=strengths, starts=starts, ends=ends,
                    preferred=preferred,
                )  # fmt: skip
            await queries.rejudge_all(connection)
        await self._set_terms(connection, policy, programmes)
        await connection.execute("notify mark")
        return agencies, programmes

    async def _set_terms(self, connection: Connection, policy: Policy, programmes: Mapping[str, int]) -> None:
        """Keep what findings go by; where that is something else, look at every payout again."""
        terms = {(programmes[each.programme], *each[1:]) for each in found.terms(policy)}
        caps = {(programmes[each.programme], *each[1:]) for each in found.caps(policy)}
        kept = {(*tuple(row)[:-1], tuple(row["regions"])) for row in await every(queries.terms(connection))}
        if terms == kept and caps == {tuple(row) for row in await every(queries.caps(connection))}:
            return
        await queries.forget_terms(connection)
        for programme, person, decided, starts, ends, period, regions in terms:
            await queries.set_term(
                connection, programme=programme, person=person, decided=decided, starts=starts, ends=ends,
                period=period, regions=regions,
            )  # fmt: skip
        if caps:
            numbers, components, amounts = map(list, zip(*caps, strict=True))
            await queries.set_caps(connection, programmes=numbers, components=components, amounts=amounts)
        await queries.sweep_findings(connection)
        await connection.execute(LOOK)

    # -- judging -----------------------------------------------------------------------------------

    async def touch(self, connection: Connection, now: datetime) -> bool:
        """Take the oldest marks, the oldest page of a crowd or the next step of a rejudging, in turns, so that none
        waits for the end of another; whether there was anything to judge.
        """
        if not self._rebuilt:
            if await queries.rebuilding(connection):
                return False
            self._rebuilt = not await queries.judge_recalled(connection, payouts=RECALLED_AT_ONCE, now=now)
        for _ in range(len(self._sources)):
            source = self._sources[0]
            self._sources.rotate(-1)
            if await source(connection, now):
                return True
        return False

    async def _take_marks(self, connection: Connection, now: datetime) -> int:
        """Also note the households, and the payouts for what else may be found of them: a page's were when it was
        left, and a policy by which overlaps are judged otherwise changes nothing in either.
        """
        if taken := int(await queries.take_marks(connection, page=False, marks=MARKS_AT_ONCE, now=now)):
            await queries.take_subjects(connection)
            await queries.touch_households(connection, now=now)
            await queries.touch_findings(connection, now=now, payouts=PAYOUTS_OF_A_TOUCH)
        return taken

    async def _take_page(self, connection: Connection, now: datetime) -> int:
        if taken := int(await queries.take_marks(connection, page=True, marks=1, now=now)):
            await queries.take_subjects(connection)
        return taken

    async def _take_rejudged(self, connection: Connection, now: datetime) -> int:  # noqa: ARG002 – as the others
        if taken := int(await queries.rejudge_step(connection, payouts=REJUDGED_AT_ONCE)):
            await queries.take_subjects(connection)
        return taken

    async def gather(self, connection: Connection) -> int:
        """Gather whom the subjects share a household or person with, and what was announced of them.

        A crowd is left for later steps, marked anew: how many payouts these are.
        """
        await self._share(connection, PAIRS_AT_ONCE + 1)
        if not await queries.crowded(connection, pairs=PAIRS_AT_ONCE):
            return 0
        left = await queries.put_back(connection, at_most=domain.GROUP_LIMIT, pairs=PAIRS_OF_A_PAGE)
        await queries.forget_gathered(connection)
        await self._share(connection, None)
        return int(left)

    async def _share(self, connection: Connection, pairs: int | None) -> None:
        await queries.share_households(connection, at_most=domain.GROUP_LIMIT, pairs=pairs)
        await queries.share_persons(connection, at_most=domain.GROUP_LIMIT, pairs=pairs)
        await queries.recall_announced(connection, pairs=pairs)

    async def resized(self, connection: Connection, version: str, now: datetime) -> list[Any]:
        """Of the gathered the groups that became too large or are no longer.

        Their payouts are marked, and all is gathered anew, since in these groups other rules apply now.
        """
        if resized := await every(queries.resized(connection, at_most=domain.GROUP_LIMIT)):
            groups = [row["g"] for row in resized]
            await queries.resize(
                connection,
                groups=groups,
                persons=[row["person"] for row in resized],
                revisions=[row["revision"] + 1 for row in resized],
                large=[row["large"] for row in resized],
                regions=[row["region"] for row in resized],
                version=version,
                now=now,
            )
            await queries.mark_groups(connection, groups=groups)
            await queries.forget_gathered(connection)
            await self.gather(connection)
        return resized

    async def differences(self, connection: Connection) -> AsyncIterator[list[Any]]:
        """The gathered pairs that differ from what was announced, some at a time."""
        cursor = await connection.cursor(queries.differences.sql)
        while part := await cursor.fetch(DIFFERENCES_AT_ONCE):
            yield part

    async def announce(
        self, connection: Connection, announcements: Sequence[domain.Announcement], now: datetime
    ) -> None:
        """Keep what is announced now."""
        kept = [a.row for a in announcements if a.row is not None]
        cleared = [a for a in announcements if a.row is None]
        if kept:
            await connection.copy_records_to_table("announced", records=kept)
            await queries.announce(connection)
        if cleared:
            await queries.clear(
                connection, at=now, ids=[a.overlap_id for a in cleared], revisions=[a.revision for a in cleared],
                reasons=[a.data["reason"] for a in cleared],
                ended_a=[a.data["payouts"][0].get("ended") for a in cleared],
                ended_b=[a.data["payouts"][1].get("ended") for a in cleared],
            )  # fmt: skip

    async def codes(self, connection: Connection) -> tuple[dict[int, str], dict[int, str]]:
        """Agencies and programmes by the ledger's numbers."""
        return (
            {row["id"]: row["code"] for row in await every(queries.agencies(connection))},
            {row["id"]: row["code"] for row in await every(queries.programmes(connection))},
        )
