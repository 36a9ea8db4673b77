"""Sends the notices that are due: a duty, so one instance at a time.

Invariants
- A notice is marked *sending*, in a committed transaction, before anything leaves. Whoever takes the duty and finds
  one in that state cannot know whether it went out: it becomes *doubtful*, is told so, and is sent again only where
  its channel takes a notice once by its key; then word for word.
- What a notice says is settled when it is about to be sent: what was cleared before is not in it.
- Where it is certain that a notice was not sent (refused, or no address) its agency has heard nothing: what it
  would have said comes with its next try, or once it is given up with the next digest.
- Everything is written through the duty's own connection. An instance that lost the duty can still end a send under
  way, but neither record it nor start another.
- Each channel has places of its own, and no step waits for a try: a slow one holds up nothing but itself.
"""

import asyncio
import random
import re
import time
from collections import Counter as Count
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from tepat_chassis.database import Connection, Lock, kept_open, lock_key
from tepat_chassis.duty import HEARTBEAT
from tepat_chassis.standing import NothingInForceError, Standing

from tepat_notifications import texts
from tepat_notifications.channels import Channels, Letter
from tepat_notifications.channels.base import Report
from tepat_notifications.domain import Outcome, Province, State
from tepat_notifications.hearings import Hearings
from tepat_notifications.store import Ended, Moved, Sending, Store, every, queries
from tepat_notifications.texts import Texts
from tepat_notifications.trying import Breaker, after

log = structlog.get_logger()

DUTY = "notices"
NOTHING = "nothing was left to tell when it was due"
CRASHED = "the service ended while it was being sent"
CHOSEN_AT_ONCE = 1_000
GATHER_SECONDS = 0.01
"""How long what has ended waits for what ends with it, to be recorded in one transaction."""
FINISH_SECONDS = 1.5
"""How long, at a stop, tries under way are waited for."""
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)


class Left(NamedTuple):
    """What is known of a notice whose try has ended.

    ``tries``: over this channel, the last one included; ``doubted``: an earlier one is in doubt; ``further``: the
    channel that comes next.
    """

    delivery_id: UUID
    channel: str
    tries: int
    doubted: bool
    further: str | None


class Try(NamedTuple):
    """A notice on its way over a channel."""

    left: Left
    letter: Letter
    breaker: Breaker


Tries = dict["asyncio.Task[Outcome]", Try]


class Sender:
    """The duty of sending.

    Args:
        clock: the time by which notices are due.
        link: makes the address at which a notice is acknowledged; none where recipients cannot reach this service.
        chance: from 0 up to 1, spreads the tries of what failed together.
    """

    def __init__(
        self,
        store: Store,
        channels: Channels,
        standing: Standing[Province],
        *,
        clock: Callable[[], datetime],
        registry: CollectorRegistry,
        link: Callable[[UUID], str | None] = lambda _: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._hearings = Hearings(store.gather)
        self._link = link
        self._channels = channels
        self._standing = standing
        self._texts = Texts()
        self._clock = clock
        self._chance = chance
        self._ended = Counter(
            "tepat_notices", "Tries of notices, by how they ended", ["kind", "channel", "state"], registry=registry
        )
        self._seconds = Histogram(
            "tepat_notice_seconds", "Time a try took", ["channel"], buckets=SECONDS, registry=registry
        )
        self._under_way = Gauge("tepat_notices_under_way", "Tries under way", ["channel"], registry=registry)
        breakers = Gauge(
            "tepat_channel_open", "Whether a channel is left alone after failures: 0 no, 1 wholly or for some",
            ["channel"], registry=registry,
        )  # fmt: skip
        for name in channels.names:
            breakers.labels(name).set_function(partial(self._left_alone, name))
        #: Wakes the duty at its next rest; it may end there instead, when it is stopping.
        self.wake: Callable[[], None] = lambda: None

    def _left_alone(self, channel: str) -> float:
        return float(self._channels.states(self._clock())[channel] != "closed")

    async def work(self, connection: Any) -> AsyncIterator[bool]:
        """Send what is due; rest where nothing is, or until one of the tries under way ends."""
        in_force = await kept_open(connection, self._standing.first())
        tries: Tries = {}
        await self._doubt(connection, in_force.document)
        try:
            while True:
                in_force = await self._standing.refresh() or in_force
                await self._step(connection, tries, in_force.document)
                yield False
                if tries:
                    await asyncio.sleep(GATHER_SECONDS)
        finally:
            await self._finish(connection, tries, in_force.document)

    async def _step(self, connection: Any, tries: Tries, province: Province) -> None:
        """Record the tries that ended, and begin those that are due."""
        now = self._clock()
        async with connection.transaction():
            await _lock(connection)
            ended = await self._record(connection, tries, province)
            begun, more = await self._claim(
                connection, Count(each.left.channel for each in tries.values()), province, now
            )
        self._tell(ended)
        for each in begun:
            self._begin(tries, each)
        if more:
            self.wake()
        else:
            await self._wake_in_time(connection, now)

    async def _wake_in_time(self, connection: Connection, now: datetime) -> None:
        due = await queries.next_due(connection, now=now)
        if due is not None:
            wait = (due - now).total_seconds()
            if wait < HEARTBEAT:
                asyncio.get_running_loop().call_later(wait, self.wake)

    async def _doubt(self, connection: Any, province: Province) -> None:
        """What a dead instance left between a send and its record."""
        async with connection.transaction():
            await _lock(connection)
            rows = await every(queries.unfinished(connection))
            left = [
                Left(row["delivery_id"], row["via"], max(row["tries"], 1), True, self._further(row, province))
                for row in rows
            ]
            await self._end(connection, dict.fromkeys(left, Outcome(State.DOUBTFUL, CRASHED)), province)
        if left:
            log.warning("notices in doubt: whether they went out is not known", notices=len(left))

    # -- claiming ----------------------------------------------------------------------------------

    async def _claim(
        self, connection: Any, under_way: Mapping[str, int], province: Province, now: datetime
    ) -> tuple[list[Try], bool]:
        """Mark the notices that are due as sending, and write them; whether there may be more to claim at once."""
        names = self._channels.names
        await self._hearings.prepare(connection, province, now)
        unreachable = await self._choose(connection, province, now)
        chosen = [each for each in unreachable if each[0]["state"] != State.DOUBTFUL]
        room = {name: self._channels.room(name, under_way.get(name, 0), now) for name in names}
        due = await every(queries.due(connection, now=now, channels=names, room=list(room.values())))
        moved: list[Moved] = []
        skipped = [Ended(row["delivery_id"], State.DOUBTFUL, why) for row, why in unreachable
                   if row["state"] == State.DOUBTFUL]  # fmt: skip
        repeated: list[Try] = []
        for row in due:
            contact = province.contacts.get(row["agency"])
            via, until, why = self._route(self._order(row), contact, now)
            if via is None and until is not None:
                moved.append(Moved(row["delivery_id"], row["via"], until))
            elif row["state"] == State.DOUBTFUL and via is not None and contact is not None:
                repeated.append(self._try(row, (row["subject"], row["body"]), contact, province))
            elif row["state"] == State.DOUBTFUL:
                skipped.append(Ended(row["delivery_id"], State.DOUBTFUL, why))
            elif via is not None and via != row["via"]:
                moved.append(Moved(row["delivery_id"], via, now))
                self._channels.breaker(via, contact or {}).ended(None, now)
            else:
                chosen.append((row, why))
        begun, nothing = await self._write(connection, chosen, province, now)
        skipped += nothing
        await self._store.move(connection, moved)
        await self._store.repeat(connection, [each.letter.delivery_id for each in repeated], now)
        await self._settle(connection, skipped, province)
        if skipped:
            log.info("notices skipped", notices=len(skipped), reasons=sorted({str(each.reason) for each in skipped}))
        return begun + repeated, bool(moved or skipped or chosen)

    async def _choose(self, connection: Any, province: Province, now: datetime) -> list[tuple[Any, str | None]]:
        """Choose the channels of notices that have none; those that no channel reaches, and why."""
        moved: list[Moved] = []
        unreachable: list[tuple[Any, str | None]] = []
        for row in await every(
            queries.unrouted(connection, now=now, channels=self._channels.names, at_most=CHOSEN_AT_ONCE)
        ):
            contact = province.contacts.get(row["agency"])
            via, until, why = self._route(self._order(row), contact, now)
            if via is None and until is None:
                unreachable.append((row, why))
                continue
            if via is not None:
                self._channels.breaker(via, contact or {}).ended(None, now)
            moved.append(Moved(row["delivery_id"], via, until or now))
        await self._store.move(connection, moved)
        return unreachable

    async def _write(
        self, connection: Any, chosen: Sequence[tuple[Any, str | None]], province: Province, now: datetime
    ) -> tuple[list[Try], list[Ended]]:
        """Write what notices say and mark them as sending; beside those, the ones that are not sent, and why."""
        if not chosen:
            return [], []
        ids = [row["delivery_id"] for row, _ in chosen]
        content = await self._store.gather_notices(connection, ids)
        news = await self._hearings.gather(connection, ids, now)
        await queries.locate(connection, ids=ids)
        sending: list[Sending] = []
        skipped: list[Ended] = []
        begun: list[Try] = []
        for row, unreachable in chosen:
            link = self._link(row["delivery_id"])
            told, causes = _content(
                row["agency"], content[row["delivery_id"]], news.get(row["delivery_id"]), link, province
            )
            why = unreachable if causes else NOTHING
            if why is not None:
                skipped.append(Ended(row["delivery_id"], State.SKIPPED, why, causes=causes))
                if unreachable is None:
                    self._channels.breaker(row["via"], province.contacts[row["agency"]]).ended(None, now)
                continue
            contact = province.contacts[row["agency"]]
            text = self._texts.write(
                row["kind"], row["agency"], told | {"replied_to": self._channels.replied_to(row["via"])}, province,
                limit=self._channels.limit(row["via"]),
            )  # fmt: skip
            begun.append(self._try(row, text, contact, province))
            recipient = self._channels.recipient(row["via"], contact)
            sending.append(Sending(row["delivery_id"], recipient, *text, causes))
        await self._store.sending(connection, sending, now)
        await self._hearings.sending(connection, [each.delivery_id for each in sending], now)
        return begun, skipped

    def _try(self, row: Any, text: tuple[str, str], contact: Mapping[str, str], province: Province) -> Try:
        doubted = row["state"] == State.DOUBTFUL
        return Try(
            Left(row["delivery_id"], row["via"], row["tries"] + 1, doubted, self._further(row, province)),
            Letter(
                row["delivery_id"],
                row["attempts"] + 1,
                row["agency"],
                contact,
                *text,
                short=text[1] if self._channels.limit(row["via"]) is not None else None,
            ),
            self._channels.breaker(row["via"], contact),
        )

    def _further(self, row: Any, province: Province) -> str | None:
        """The channel a notice takes when its present one has failed."""
        contact = province.contacts.get(row["agency"], {})
        after_this = self._order(row)[1:]
        return next((each for each in after_this if self._channels.unreachable(each, contact) is None), None)

    @staticmethod
    def _order(row: Any) -> list[str]:
        """The channels left to a notice, the present one first; after doubt only that one."""
        order: list[str] = row["channels"] or [row["channel"]]
        if row["via"] is None:
            return order
        if row["state"] == State.DOUBTFUL or row["via"] not in order:
            return [row["via"]]
        return order[order.index(row["via"]) :]

    def _route(
        self, order: Sequence[str], contact: Mapping[str, str] | None, now: datetime
    ) -> tuple[str | None, datetime | None, str | None]:
        """The first channel that reaches the contact and is not left alone just now; else when to look again, where
        one reaches it; else why none does."""
        if contact is None:
            return None, None, "the policy does not know this agency"
        until: datetime | None = None
        reasons = []
        for name in order:
            why = self._channels.unreachable(name, contact)
            if why is not None:
                reasons.append(why)
                continue
            breaker = self._channels.breaker(name, contact)
            if breaker.admits(now):
                return name, None, None
            again = breaker.again_at(now)
            until = again if until is None else min(until, again)
        return None, until, "; ".join(reasons)

    # -- sending -----------------------------------------------------------------------------------

    def _begin(self, tries: Tries, one: Try) -> None:
        task = asyncio.create_task(self._sent(one))
        task.add_done_callback(lambda _: self.wake())
        tries[task] = one

    async def _sent(self, one: Try) -> Outcome:
        began = time.perf_counter()
        channel = one.left.channel
        with self._under_way.labels(channel).track_inprogress():
            outcome = await self._channels.send(channel, one.letter)
        self._seconds.labels(channel).observe(time.perf_counter() - began)
        return outcome

    async def _record(self, connection: Any, tries: Tries, province: Province) -> list[Ended]:
        """Record the tries that ended."""
        now = self._clock()
        outcomes = {}
        for task in [each for each in tries if each.done()]:
            one = tries.pop(task)
            one.breaker.ended(task.result(), now)
            outcomes[one.left] = task.result()
        return await self._end(connection, outcomes, province)

    async def _end(self, connection: Any, outcomes: Mapping[Left, Outcome], province: Province) -> list[Ended]:
        """Record how tries went. What gateways reported of them before settles doubt, and undoes an acceptance."""
        if not outcomes:
            return []
        reported = await every(queries.reported_before(connection, ids=[left.delivery_id for left in outcomes]))
        reports = {row["delivery_id"]: _reported(row) for row in reported}
        ended = []
        for left, outcome in outcomes.items():
            report = reports.get(left.delivery_id)
            if report is None or outcome.state is State.FAILED:
                ended.append(self._stands(left, outcome))
            else:
                ended.append(self._stands(left._replace(doubted=False), report._replace(message_id=outcome.message_id)))
        await self._settle(connection, ended, province)
        return ended

    def _stands(self, left: Left, outcome: Outcome) -> Ended:
        """How a notice stands after a try."""
        step = after(
            outcome, tries=left.tries, keyed=self._channels.keyed(left.channel), doubted=left.doubted,
            further=left.further, now=self._clock(), chance=self._chance(),
        )  # fmt: skip
        return Ended(
            left.delivery_id, step.state, outcome.reason, step.due_at, via=step.channel, message_id=outcome.message_id
        )

    async def reported(self, connection: Connection, channel: str, reports: Sequence[Report]) -> None:
        """Keep what a gateway reports of its tries, under the service's exclusive lock, whoever holds the duty.

        Raises NothingInForceError before there is a policy.
        """
        in_force = await self._standing.refresh()
        if in_force is None:
            raise NothingInForceError
        now, province = self._clock(), in_force.document
        ours = [(*tried, each) for each in reports if (tried := _tried(each.reference)) is not None]
        took = [(notice, attempt, each.state) for notice, attempt, each in ours if each.state is not State.FAILED]
        if took:
            for kind, over, state in await self._store.reported(connection, channel, took, now):
                self._ended.labels(kind, over, state).inc()
        lost = [
            (notice, attempt, f"the gateway reports: {each.reason or 'not delivered'}")
            for notice, attempt, each in ours if each.state is State.FAILED
        ]  # fmt: skip
        if lost:
            ids, attempts, reasons = map(list, zip(*lost, strict=True))
            told = {"ids": ids, "attempts": attempts, "reasons": reasons, "channel": channel}
            await queries.refuse(connection, **told)
            ended = [
                self._stands(
                    Left(row["delivery_id"], row["via"], row["tries"], False, self._further(row, province)),
                    Outcome(State.FAILED, row["reason"], "recipient"),
                )
                for row in await every(queries.undelivered(connection, **told))
            ]
            await self._settle(connection, ended, province)
            await connection.execute(f"notify {DUTY}")

    async def _finish(self, connection: Any, tries: Tries, province: Province) -> None:
        """The duty ends: record what still ends in time. The rest is found in *sending* by who takes it next."""
        try:
            if tries and not connection.is_closed():
                await asyncio.wait(tries, timeout=FINISH_SECONDS)
                async with connection.transaction():
                    await _lock(connection)
                    ended = await self._record(connection, tries, province)
                self._tell(ended)
        finally:
            for task in tries:
                task.cancel()
            await self._channels.close()

    async def _settle(self, connection: Connection, ended: Sequence[Ended], province: Province) -> None:
        now = self._clock()
        for kind, channel, state in await self._store.settle(connection, ended, now, province.next_digest(now)):
            self._ended.labels(kind, channel, state).inc()
        await self._hearings.settle(connection, [each.delivery_id for each in ended], now)

    def _tell(self, ended: Sequence[Ended]) -> None:
        sent = [each for each in ended if each.state is State.SENT]
        if sent:
            log.info("notices sent", notices=len(sent), deliveries=[str(each.delivery_id) for each in sent])
        for each in ended:
            if each.state is not State.SENT:
                log.warning(
                    f"notice {each.state}", delivery=str(each.delivery_id), reason=each.reason, next=each.via,
                    again_at=each.due_at.isoformat() if each.due_at else None,
                )  # fmt: skip


def _content(
    recipient: str, found: Mapping[str, Sequence[Any]], news: Sequence[Any] | None, link: str | None, province: Province
) -> tuple[dict[str, Any], int]:
    """What a notice says, and of how many causes; 0 and nothing where nothing is left. ``news``: by routes."""
    if news is not None:
        told = texts.heard(texts.ruled(news, recipient, province), link)
        return told, told["number"]
    if found["refusals"]:
        told = texts.refused(found["refusals"])
        return told, told["number"]
    told = texts.told(*(texts.advised(found[name], recipient, province) for name in ("tallies", "cases")))
    return told, told["number"]


def _tried(reference: str) -> tuple[UUID, int] | None:
    """Which try of which notice a gateway means; none: one that we did not send."""
    found = re.fullmatch(r"([0-9a-f-]{36})\.(\d{1,6})", reference)
    try:
        return (UUID(found[1]), int(found[2])) if found else None
    except ValueError:
        return None


def _reported(row: Any) -> Outcome:
    """What a gateway reported of a try, as an outcome."""
    if row["receipt"] is not None:
        return Outcome(State.SENT)
    return Outcome(State.FAILED, row["refused"], "recipient")


async def _lock(connection: Connection) -> None:
    """Hold the service's exclusive lock until the transaction ends, as ``Database.transaction`` does."""
    await connection.execute(f"select {Lock.EXCLUSIVE.value}({lock_key('facts')})")
