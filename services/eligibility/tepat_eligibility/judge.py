"""The duty of deciding: from marks to residences, from residences to decisions, from decisions to events.

Invariants
- One instance decides at a time, in the session that holds the duty; each step is one transaction: what it takes,
  what it keeps and what it announces, all or nothing.
- What a step takes it takes before it reads facts and policy, so it sees at least what left the mark; what commits
  later leaves a mark of its own.
- Every cause (a fact, a late or repeated one, another policy, another day) ends in a mark or a sweep, and so in the
  one `decide` below, which announces nothing but differences. What becomes of objections depends on facts and day in
  the same way, and changes no decision: only visits do.

Where persons live is settled for all that are marked before households are decided: a family whose members arrive
one after the other is then decided once. A long stream of marks is interrupted, so that decisions do not wait for
its end.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import asyncpg
import orjson
import structlog
from tepat_chassis.database import Connection, Database, Lock, lock_key
from tepat_chassis.outbox import Message, put
from tepat_chassis.standing import InForce, Standing
from tepat_contracts import envelope
from tepat_contracts.events.ours import DECISION_MADE
from tepat_contracts.policy import kept_since

from tepat_eligibility import rankings, store
from tepat_eligibility.domain import (
    Day,
    Objection,
    Told,
    became,
    card,
    having,
    niks_of,
    same_village,
    today,
    turned,
    turns_on,
)
from tepat_eligibility.households import Households, Stands, facts
from tepat_eligibility.policed import Policed
from tepat_eligibility.store import SERVICE, Announced, every, queries, visits_of

log = structlog.get_logger()

DECISIONS = "eligibility.decisions.v1"
MARKS_AT_ONCE = 5_000
HOUSEHOLDS_AT_ONCE = 3_000
PAGES_AT_ONCE = 8
"""Pages of so many households that a step of a sweep decides."""
SETTLED_IN_A_ROW = 8


class Judge:
    """The duty of deciding.

    Args:
        database: where a sweep reads ahead, in a session beside the one that holds the duty.
        clock: gives the present, with an offset.
    """

    def __init__(
        self,
        standing: Standing[Policed],
        database: Database,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._standing = standing
        self._database = database
        self._clock = clock
        self._in_a_row = 0
        self._households: tuple[tuple[Any, ...], Households] | None = None
        self._compared: dict[store.Pair, store.Differing] = {}

    async def work(self, connection: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[bool]:
        """One step a transaction, until nothing is left."""
        while True:
            async with connection.transaction():
                more = await self.step(connection)
            yield more

    async def step(self, connection: Connection) -> bool:
        """Do what comes first: turn the day, forget the erased, settle the marked, decide the touched, go on with a
        sweep.
        """
        policy = await self._policy(connection)
        if policy is None:
            return False
        day = Day(today(self._clock(), policy.document.time_zone))
        if await self._turn(connection, policy, day) or await self._erase(connection):
            return True
        interrupted = self._in_a_row >= SETTLED_IN_A_ROW
        if not interrupted and (marks := await every(queries.take_marks(connection, at_most=MARKS_AT_ONCE))):
            self._in_a_row += 1
            await self._settle(connection, {row["g"]: row["trace"] for row in marks}, day)
            return True
        self._in_a_row = 0
        if touched := await every(queries.take_touched(connection, at_most=HOUSEHOLDS_AT_ONCE)):
            await self._decide(connection, {row["household"]: row["trace"] for row in touched}, day)
            return True
        return await self._sweep(connection, day) or interrupted

    async def _policy(self, connection: Connection) -> InForce[Policed] | None:
        """The policy in force, as of this statement."""
        seq = await Standing.seq(connection)
        in_force = self._standing.in_force
        if seq is not None and (in_force is None or in_force.seq < seq):
            in_force = await self._standing.refresh()
        return in_force

    async def _restated(self, connection: Connection) -> InForce[Policed]:
        """The policy in force once work was taken: at least the one that caused it."""
        policy = await self._policy(connection)
        assert policy is not None
        return policy

    # -- the day -----------------------------------------------------------------------------------

    async def _turn(self, connection: Connection, policy: InForce[Policed], day: Day) -> bool:
        """Let it be another day: mark those it changes, sweep the programmes it changes for all."""
        before = await queries.day(connection)
        if before == day.date:
            return False
        await queries.turn_to(connection, day=day.date)
        if before is None:
            return True
        if before < day.date:
            await queries.mark_turning(connection, day=day.date)
        else:  # another time zone: what turned forward once must turn back
            await queries.mark_everybody(connection)
        await queries.mark_lapsing(connection, day=day.date)
        await queries.mark_coming(connection, before=min(before, day.date), day=max(before, day.date))
        kept = kept_since(policy.document.index.policy.retention.verifications, day.date)
        if retired := await queries.retire(connection, before=kept):
            log.info("visits, lists and objections no longer kept", records=retired, before=kept.isoformat())
        await store.forget_explanations(connection)
        if programmes := turned(policy.document.programmes, before, day.date):
            await queries.start_sweep(connection)
        if await queries.to_clear(connection):
            orphans = [row["subject"] for row in await every(queries.orphans(connection))]
            await self._keep(connection, self._page(dict.fromkeys(orphans), policy, day))
        log.info("the day turned", day=day.iso, programmes=programmes)
        return True

    # -- residences --------------------------------------------------------------------------------

    async def _settle(self, connection: Connection, marks: Mapping[str, str | None], day: Day) -> None:
        """Find where marked persons live today, and touch the households they leave, enter or stay in."""
        policy = await self._restated(connection)
        rows = await every(queries.marked(connection, g=",".join(marks)))
        standing, gone = [], []
        touched: dict[str, str | None] = {}
        stood_for: dict[str, str | None] = {}
        for row in rows:
            told, was = orjson.loads(row["told"]), row["household"]
            trace = marks.get(row["person"]) or marks.get(was)
            if was is not None:
                touched[was] = trace
            if told["stands_for"] == told["person"]:
                standing.append((told, card(told, policy.document.ranks, day), trace))
            else:
                gone.append(told["person"])
                stood_for[told["stands_for"]] = trace
        cards = {each for _, each, _ in standing if each is not None}
        renewed = {
            row["household"]: row["stands_for"]
            for row in await every(queries.renewed(connection, households=",".join(cards)))
        }
        homes = [told["alone"] if each is None else renewed.get(each, each) for told, each, _ in standing]
        touched |= {home: trace for home, (_, _, trace) in zip(homes, standing, strict=True)}
        if gone:
            await queries.unsettle(connection, persons=",".join(gone))
            await self._keep(connection, self._page({each: marks.get(each) for each in gone}, policy, day))
        if persons := [told for told, _, _ in standing]:
            await queries.settle(
                connection, persons=",".join(told["person"] for told in persons), households=",".join(homes),
                turns_on=",".join(turns_on(told, day) or "" for told in persons),
                aliases=";".join(",".join(told["aliases"]) for told in persons),
                regions=",".join(told.get("region", "") for told in persons),
                born=",".join(told.get("birth_date", "") for told in persons),
                facts="\n".join(facts(told) for told in persons),
            )  # fmt: skip
        await queries.touch(
            connection,
            households=",".join(touched), traces=",".join(trace or "" for trace in touched.values()),
            persons=",".join(stood_for), person_traces=",".join(trace or "" for trace in stood_for.values()),
        )  # fmt: skip
        await self._hear(connection, {*marks, *stood_for}, persons, policy, day)

    # -- objections --------------------------------------------------------------------------------

    async def _hear(
        self, connection: Connection, niks: set[str], persons: Sequence[Told], policy: InForce[Policed], day: Day
    ) -> None:
        """Settle the objections that concern these NIKs, or another NIK of one person with them."""
        roots = await self._told(connection, niks - {told["person"] for told in persons})
        niks = niks | {alias for told in (*persons, *roots.values()) for alias in told["aliases"]}
        filed = await every(queries.objections_of(connection, niks=",".join(niks)))
        if not filed:
            return
        known = await self._told(connection, {row["nik"] for row in filed})
        known |= await self._told(connection, {told["stands_for"] for told in known.values()} - known.keys())
        whom = {
            row["nik"]: known.get(known[row["nik"]]["stands_for"]) if row["nik"] in known else None for row in filed
        }
        names = {nik: [nik] if told is None else niks_of(told) for nik, told in whom.items()}
        visits = await visits_of(connection, {each for one in names.values() for each in one})
        ruled = policy.document.index.policy
        agencies = {code: having(code, ruled) for code in {row["programme"] for row in filed}}
        settled = []
        for row in filed:
            nik, objection = row["nik"], Objection(row["programme"], row["grounds"], row["region"], row["filed_on"])
            village = same_village(objection, whom[nik], policy.document.ranks)
            made = [v for each in names[nik] for v in visits.get(each, ())]
            state, visit = became(objection, village, made, agencies[objection.programme], day.date)
            by = (visit.verified_on, f"{visit.agency}/{visit.verification_id}") if visit is not None else (None, None)
            settled.append((row["agency"], row["objection_id"], state, village, *by))
        columns = ("agencies", "ids", "states", "villages", "settled_on", "settled_by")
        told = dict(zip(columns, map(list, zip(*settled, strict=True)), strict=True))
        if rows := await every(queries.settle_objections(connection, **told)):
            log.info("objections settled", **Counter(row["state"] for row in rows))

    @staticmethod
    async def _told(connection: Connection, niks: Collection[str]) -> dict[str, Told]:
        """What is told of persons."""
        rows = await every(queries.told_of(connection, niks=",".join(niks))) if niks else []
        return {row["person"]: orjson.loads(row["told"]) for row in rows}

    async def _erase(self, connection: Connection) -> bool:
        """Let the erased live nowhere; what was decided of them becomes a tombstone, as does what was decided of
        households that they leave empty, and all of these leave the rounds. Whether there were any.

        The lock is for a round that is being made of decisions as they were.
        """
        if not await queries.any_erased(connection):
            return False
        await connection.execute(f"select {Lock.EXCLUSIVE.value}({lock_key('facts')})")
        persons = [row["person"] for row in await every(queries.take_erased(connection, at_most=MARKS_AT_ONCE))]
        left = await every(queries.left_by_erased(connection, persons=persons))
        emptied = [row["household"] for row in left if row["emptied"]]
        rows = await every(queries.erase_decisions(connection, subjects=[*persons, *emptied]))
        await rankings.forget(connection, [*persons, *emptied], self._clock())
        await put(connection, [Message(DECISIONS, f"{row['programme']}|{row['subject']}", None) for row in rows])
        if stays := {row["household"]: None for row in left if not row["emptied"]}:
            await queries.touch(
                connection, households=",".join(stays), traces="," * (len(stays) - 1), persons="", person_traces=""
            )
        return True

    # -- decisions ---------------------------------------------------------------------------------

    async def _sweep(self, connection: Connection, day: Day) -> bool:
        """Decide the next households again: while a page is judged, the one before is kept and the next one read.

        What is read beside the step was committed before it, and no page of a step has to do with another.
        """
        sweep = await queries.first_sweep(connection)
        if sweep is None:
            return False
        policy, judged = await self._restated(connection), None
        async with self._database.pool.acquire() as beside:
            page = await self._read_after(beside, sweep["after"], policy, day)
            for number in range(PAGES_AT_ONCE):
                if page is None:
                    break
                judging = asyncio.create_task(asyncio.to_thread(page.judge))
                last = page.last if number + 1 < PAGES_AT_ONCE else None
                reading = asyncio.create_task(self._read_after(beside, last, policy, day))
                try:
                    if judged is not None:
                        await self._keep(connection, judged)
                finally:
                    await asyncio.wait({judging, reading})  # no step begins while another is at work
                await judging
                await page.verify(connection)
                judged, page = page, await reading
        if judged is None:
            await queries.end_sweep(connection, id=sweep["id"])
        else:
            await self._keep(connection, judged)
            await queries.sweep_on(connection, id=sweep["id"], after=judged.last)
        return True

    async def _read_after(
        self, connection: Connection, after: str | None, policy: InForce[Policed], day: Day
    ) -> "_Page | None":
        """The next page of households, in the order of their pseudonyms; none after none."""
        if after is None:
            return None
        rows = await every(queries.households_after(connection, after=after, at_most=HOUSEHOLDS_AT_ONCE))
        if not rows:
            return None
        page = self._page(dict.fromkeys(row["household"] for row in rows), policy, day)
        await page.read(connection)
        return page

    async def _decide(self, connection: Connection, households: dict[str, str | None], day: Day) -> None:
        """Decide households and those who live in them; announce what differs."""
        policy = await self._restated(connection)
        page = self._page(households, policy, day)
        await page.read(connection)
        await asyncio.to_thread(page.judge)
        await page.verify(connection)
        await self._keep(connection, page)

    def _page(self, traces: dict[str, str | None], policy: InForce[Policed], day: Day) -> "_Page":
        """A page, judged by what was made of households like them as long as policy and day are these."""
        of = (policy.seq, day.iso)
        if self._households is None or self._households[0] != of:
            self._households = of, Households(policy.document.deciding(day), day)
        return _Page(traces, policy, day, self._households[1])

    async def _keep(self, connection: Connection, page: "_Page") -> None:
        """Make decisions stand as wanted, and put what differs into the outbox."""
        if not page.stands:
            return
        started, now = perf_counter(), self._clock()
        policy, day = page.policy, page.day
        deciding = [(programme.unit, programme.code) for programme in policy.document.deciding(day)]
        if len(self._compared) > Households.KEPT:
            self._compared.clear()
        rows = await store.keep(
            connection, page.stands, compared=self._compared, deciding=deciding, version=policy.version,
            as_of=day.date, now=now,
        )  # fmt: skip
        standing = asyncio.create_task(store.stand(connection, page.stands))
        try:
            messages = await asyncio.to_thread(page.messages, rows, now)
        finally:
            await standing
        await put(connection, messages)
        if rows:
            log.info(
                "decisions announced", decisions=len(rows), subjects=len(page.stands),
                ms=round((perf_counter() - started) * 1e3),
            )  # fmt: skip


class _Page:
    """Subjects looked at, and those of whom other is to stand than does: nothing, until read, judged and verified.

    Args:
        named: households, or subjects of whom nothing is to stand; each with the trace of what it was marked for.
    """

    def __init__(
        self, named: dict[str, str | None], policy: InForce[Policed], day: Day, households: Households
    ) -> None:
        self.policy, self.day = policy, day
        self.stands = [Stands(name) for name in named]
        self._named, self._households = named, households
        self._residents: str | None = None

    async def read(self, connection: Connection) -> None:
        """Read who lives in the households."""
        self._residents = await queries.residents(connection, households=",".join(self._named))

    def judge(self) -> None:
        """Find out what is to stand of the households and of those who live in them, as far as nobody must visit."""
        empty, self.stands = dict.fromkeys(self._named), []
        for household, members in store.residents(self._residents):
            self.stands += self._households.differing(members)
            del empty[household]
        self.stands += map(Stands, empty)

    async def verify(self, connection: Connection) -> None:
        """Find out what visits make of those of whom it depends on them."""
        unverified = [each for each in self.stands if each.decided.unverified]
        if unverified:
            visits = await visits_of(connection, {nik for each in unverified for nik in each.niks})
            verified = (self._households.verified(each, visits) for each in unverified)
            self.stands = [each for each in self.stands if not each.decided.unverified]
            self.stands += [each for each in verified if each.differs]

    @property
    def last(self) -> str:
        """The last of the households, in the order they were named in."""
        return next(reversed(self._named))

    def messages(self, rows: Sequence[Announced], now: datetime) -> list[Message]:
        """What tells of decisions, each with the trace that its subject was marked with."""
        traces = self._named | {
            each.subject: self._named[each.residents[0].household] for each in self.stands if each.residents
        }
        version = self.policy.version
        return [_message(row, traces.get(row.subject), version, self.day, now) for row in rows]


def _message(made: Announced, trace: str | None, version: str, day: Day, now: datetime) -> Message:
    subject, decision, region, revision = made
    key = f"{decision.programme}|{subject}"
    data = {
        "programme": decision.programme, "unit": decision.unit, decision.unit: subject, "revision": revision,
        "decision": decision.decision, "reasons": orjson.Fragment(decision.reasons), "policy_version": version,
        "as_of": day.date,
    }  # fmt: skip
    if decision.due is not None:
        data["due"] = orjson.Fragment(decision.due)
    if decision.score is not None:
        data["score"] = orjson.Fragment(decision.score)
    if region is not None:
        data["region"] = region
    event = envelope.event(
        service=SERVICE, type=DECISION_MADE, id=f"{key}-{revision}", time=now, subject=key, data=data, traceparent=trace
    )
    return Message(DECISIONS, key, envelope.write(event))
