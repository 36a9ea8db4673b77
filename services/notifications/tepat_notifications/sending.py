"""Sends the notices that are due: a duty, so one instance at a time.

Invariants
- A notice is marked *sending*, in a committed transaction, before anything leaves. Whoever takes the duty and finds
  one in that state cannot know whether it went out: it becomes *doubtful*, is told so, and is not sent again.
- What a notice says is settled when it is about to be sent: what was cleared before is not in it.
- Where it is certain that a notice was not sent (refused, or no address) its agency has heard nothing: what it
  would have said comes with its next try, or once it is given up with the next digest.
- Everything is written through the duty's own connection. An instance that lost the duty can still end a send under
  way, but neither record it nor start another.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter
from tepat_chassis.database import Connection, Lock, kept_open, lock_key
from tepat_chassis.duty import HEARTBEAT
from tepat_chassis.standing import InForce, Standing

from tepat_notifications import texts
from tepat_notifications.channels import AT_ONCE, Channels, Letter
from tepat_notifications.domain import Outcome, Province, State, retry_at
from tepat_notifications.hearings import Hearings
from tepat_notifications.store import Ended, Sending, Store, every, queries
from tepat_notifications.texts import Texts

log = structlog.get_logger()

DUTY = "notices"
NOTHING = "nothing was left to tell when it was due"


class Sender:
    """The duty of sending.

    Args:
        clock: the time by which notices are due.
        link: makes the address at which a notice is acknowledged; none where recipients cannot reach this service.
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
    ) -> None:
        self._store = store
        self._hearings = Hearings(store.gather)
        self._link = link
        self._channels = channels
        self._standing = standing
        self._texts = Texts()
        self._clock = clock
        self._ended = Counter(
            "tepat_notices", "Tries of notices, by how they ended", ["kind", "state"], registry=registry
        )
        #: Wakes the duty at its next rest; it may end there instead, when it is stopping.
        self.wake: Callable[[], None] = lambda: None

    async def work(self, connection: Any) -> AsyncIterator[bool]:
        """Send what is due; rest where nothing is."""
        in_force = await kept_open(connection, self._standing.first())
        await self._doubt(connection, in_force.document)
        while True:
            in_force = await self._standing.refresh() or in_force
            letters = await self._claim(connection, in_force)
            if letters is None:
                await self._wake_in_time(connection)
            else:
                await self._send(connection, letters, in_force.document)
                self.wake()
            yield False

    async def _wake_in_time(self, connection: Connection) -> None:
        due = await queries.next_due(connection)
        if due is not None:
            wait = (due - self._clock()).total_seconds()
            if wait < HEARTBEAT:
                asyncio.get_running_loop().call_later(max(wait, 0), self.wake)

    async def _doubt(self, connection: Any, province: Province) -> None:
        """What a dead instance left between a send and its record."""
        async with connection.transaction():
            await _lock(connection)
            left = [row["delivery_id"] async for row in queries.unfinished(connection)]
            reason = "the service ended while it was being sent"
            await self._settle(connection, [Ended(each, State.DOUBTFUL, reason) for each in left], province)
        if left:
            log.warning("notices in doubt: whether they went out is not known", notices=len(left))

    # -- claiming ----------------------------------------------------------------------------------

    async def _claim(self, connection: Any, in_force: InForce[Province]) -> list[tuple[Letter, int]] | None:
        """Mark the notices that are due as sending, and write them; none: there are none due.

        Gives each letter with the number of tries it has had, this one included.
        """
        province, now = in_force.document, self._clock()
        async with connection.transaction():
            await _lock(connection)
            await self._hearings.prepare(connection, province, now)
            due = await every(queries.due(connection, now=now, at_most=AT_ONCE))
            if not due:
                return None
            ids = [row["delivery_id"] for row in due]
            content = await self._store.gather_notices(connection, ids)
            news = await self._hearings.gather(connection, ids, now)
            sending: list[Sending] = []
            skipped: list[Ended] = []
            letters: list[tuple[Letter, int]] = []
            for row in due:
                link = self._link(row["delivery_id"])
                told, causes = _content(content[row["delivery_id"]], news.get(row["delivery_id"]), link)
                why = NOTHING if not causes else self._unreachable(row["agency"], row["channel"], province)
                if why is not None:
                    skipped.append(Ended(row["delivery_id"], State.SKIPPED, why, causes=causes))
                    continue
                contact = province.contacts[row["agency"]]
                text = self._texts.write(row["kind"], row["agency"], told, province, channel=row["channel"])
                letter = Letter(row["delivery_id"], self._channels.url(row["channel"], contact), *text)
                recipient = self._channels.recipient(row["channel"], contact)
                sending.append(Sending(row["delivery_id"], recipient, *text, causes))
                letters.append((letter, row["attempts"] + 1))
            await self._store.sending(connection, sending, now)
            await self._hearings.sending(connection, [each.delivery_id for each in sending], now)
            await self._settle(connection, skipped, province)
        if skipped:
            log.info("notices skipped", notices=len(skipped), reasons=sorted({str(each.reason) for each in skipped}))
        return letters

    def _unreachable(self, agency: str, channel: str, province: Province) -> str | None:
        """Why an agency cannot be told; none where it can."""
        contact = province.contacts.get(agency)
        if contact is None:
            return "the policy does not know this agency"
        if channel not in self._channels.names:
            return f"the channel {channel} is no longer there"
        missing = self._channels.missing(channel, contact)
        return f"the agency's contact has no {' or '.join(missing)}" if missing else None

    # -- sending -----------------------------------------------------------------------------------

    async def _send(self, connection: Any, letters: Sequence[tuple[Letter, int]], province: Province) -> None:
        """Send letters beside each other, and record each as it ends; the duty's session is kept alive meanwhile."""
        tries = {
            asyncio.ensure_future(self._channels.send(letter)): (letter.delivery_id, attempts)
            for letter, attempts in letters
        }
        waiting = set(tries)
        while waiting:
            done, waiting = await asyncio.wait(waiting, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                await connection.execute("select 1")
                continue
            now = self._clock()
            ended = [_ended(*tries[each], each.result(), now) for each in done]
            async with connection.transaction():
                await _lock(connection)
                await self._settle(connection, ended, province)
            self._tell(ended)

    async def _settle(self, connection: Connection, ended: Sequence[Ended], province: Province) -> None:
        now = self._clock()
        for kind, state in await self._store.settle(connection, ended, now, province.next_digest(now)):
            self._ended.labels(kind, state).inc()
        await self._hearings.settle(connection, [each.delivery_id for each in ended], now)

    def _tell(self, ended: Sequence[Ended]) -> None:
        for each in ended:
            if each.state is State.SENT:
                log.info("notice sent", delivery=str(each.delivery_id))
            else:
                log.warning(
                    f"notice {each.state}", delivery=str(each.delivery_id), reason=each.reason,
                    again_at=each.due_at.isoformat() if each.due_at else None,
                )  # fmt: skip


def _content(
    found: Mapping[str, Sequence[Any]], news: Sequence[Any] | None, link: str | None
) -> tuple[dict[str, Any], int]:
    """What a notice says, and of how many causes; 0 and nothing where nothing is left. ``news``: by routes."""
    if news is not None:
        told = texts.heard(news, link)
        return told, told["number"]
    if found["refusals"]:
        told = texts.refused(found["refusals"])
        return told, told["number"]
    told = texts.told(found["tallies"], found["cases"])
    return told, told["number"]


def _ended(delivery_id: UUID, attempts: int, outcome: Outcome, now: datetime) -> Ended:
    again = retry_at(attempts, now) if outcome.state is State.FAILED else None
    return Ended(delivery_id, outcome.state, outcome.reason, again)


async def _lock(connection: Connection) -> None:
    """Hold the service's exclusive lock until the transaction ends, as ``Database.transaction`` does."""
    await connection.execute(f"select {Lock.EXCLUSIVE.value}({lock_key('facts')})")
