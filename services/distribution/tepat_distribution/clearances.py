"""Answers whether a planned payout may go: clear, hold, or unknown.

Invariants
- An answer follows from what stands announced, what people released, who is silent and how far all was read; what is
  answered is what differs from the last answer. Judging notes the payouts concerned in its own transaction, so none is
  passed over.
- Nothing is called clear before every payout that any agency sent up to the same moment of the broker is read and
  judged. Whoever waits for that longer than ``PATIENCE`` is answered unknown, and again once it is so.
- The broker is asked where its partitions end after it is settled whom an answer is for: what it held then is in it.
  It is not asked while nobody waits.
- One instance answers at a time, in the session that holds the duty.
"""

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from tepat_chassis.database import Connection
from tepat_chassis.failpoints import reach
from tepat_chassis.outbox import Message, put
from tepat_chassis.standing import Standing
from tepat_contracts import envelope
from tepat_contracts.events.ours import CLEARANCE_ISSUED
from tepat_contracts.topics import Kind, clearances_name, inbound_name

from tepat_distribution import domain
from tepat_distribution.found import TOO_LARGE
from tepat_distribution.outgoing import SERVICE
from tepat_distribution.policed import Policed
from tepat_distribution.store import Store, every, queries, undisturbed

log = structlog.get_logger()

PATIENCE: Final = timedelta(seconds=1.5)
TOUCHES_AT_ONCE: Final = 8
ASKED_AT_ONCE: Final = 10_000
"""Answered in some 200 ms."""
ALL_READ: Final = 2**62

#: Where the partitions of agencies' payouts end.
Ends = Callable[[], Awaitable[Mapping[TopicPartition, int]]]


class Silence(NamedTuple):
    """Of payouts of a programme: an agency that is silent since a time of the broker in milliseconds, or ever."""

    programme: int
    agency: int
    since: int | None


class Clearer:
    """The duty of answering."""

    def __init__(
        self,
        store: Store,
        standing: Standing[Policed],
        ends: Ends,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._standing = standing
        self._ends = ends
        self._clock = clock

    async def step(self, connection: Connection) -> bool:
        """Answer the oldest payouts touched, in a transaction of its own; whether more may be to do at once."""
        in_force = await self._standing.refresh()
        if in_force is None:
            return False
        waiting = await queries.waiting(connection)
        ends = await self._where() if waiting["anybody"] else None
        async with undisturbed(connection), connection.transaction(isolation="repeatable_read"):
            now = self._clock()
            silent = await silences(connection, in_force.document, now)
            differs = await _keep(connection, silent)
            if not waiting["anybody"]:
                return differs
            covered = await self._covered(connection, ends)
            asked = await queries.ask_touched(connection, newest=waiting["newest"] or 0, touches=TOUCHES_AT_ONCE)
            again = not asked and await queries.ask_again(connection, payouts=ASKED_AT_ONCE)
            await queries.let_wait(connection, covered=covered, now=now)
            await queries.ask_waiting(connection, covered=covered, patience=now - PATIENCE, payouts=ASKED_AT_ONCE)
            await queries.forget_unplanned(connection)
            answered = await self._answer(connection, silent, in_force.document.index.policy.version, now)
            reach("clear.before_commit")
        reach("clear.after_commit")
        return bool(asked or again or answered >= ASKED_AT_ONCE)

    async def _where(self) -> Mapping[TopicPartition, int] | None:
        """Where agencies' payouts end now; none where the broker does not answer."""
        try:
            return await self._ends()
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("where payouts end is not known: nothing is called clear", error=type(error).__name__)
            return None

    async def _covered(self, connection: Connection, ends: Mapping[TopicPartition, int] | None) -> int:
        """The broker's time, in milliseconds, before which all is read and judged."""
        if ends is None:
            return 0
        row = await queries.reading(
            connection, topics=[each.topic for each in ends], partitions=[each.partition for each in ends],
            ends=list(ends.values()),
        )  # fmt: skip
        return ALL_READ if row["covered"] is None else int(row["covered"])

    async def _answer(self, connection: Connection, silent: AbstractSet[Silence], version: str, now: datetime) -> int:
        """Answer about those asked where the answer differs; how many these are."""
        agencies, _ = await self._store.codes(connection)
        since = {each.agency: each.since for each in silent}
        words = [silent_in_words(agencies[agency], at) for agency, at in since.items()]
        crowds = await every(queries.crowds_asked(connection))
        kept = queries.issue_clearances(
            connection, now=now, version=version, silent=list(since), words=words,
            crowds=[row["g"] for row in crowds], crowded=[crowded_in_words(row["g"], row["person"]) for row in crowds],
        )  # fmt: skip
        if rows := [row async for row in kept if row["differs"]]:
            await put(connection, [_message(row, agencies[row["agency"]], version, now) for row in rows])
            log.info("clearances issued", payouts=len(rows))
        return len(rows)


async def silences(connection: Connection, policy: Policed, now: datetime) -> set[Silence]:
    """Which agencies are silent now, by all that was taken of them, and for payouts of which programmes."""
    sources = domain.sources(policy.index.policy)
    topics = {agency: inbound_name(agency, Kind.PAYOUTS) for agencies in sources.values() for agency in agencies}
    rows = await every(queries.heard(connection, topics=sorted(topics.values()))) if topics else []
    heard = {row["topic"]: row["at"] for row in rows}
    return {
        Silence(policy.programmes[programme], policy.agencies[agency], heard.get(topics[agency]))
        for programme, agencies in sources.items()
        for agency, after in agencies.items()
        if domain.is_silent(heard.get(topics[agency]), after, now)
    }


async def _keep(connection: Connection, silent: AbstractSet[Silence]) -> bool:
    """Keep which agencies are silent, and have answered again whom that concerns; whether others are than before."""
    if silent == {tuple(row) for row in await every(queries.silences(connection))}:
        return False
    programmes, agencies, since = map(list, zip(*silent, strict=True)) if silent else ([], [], [])
    await queries.set_silences(connection, programmes=programmes, agencies=agencies, since=since)
    log.info("silent agencies", agencies=len(set(agencies)), programmes=len(set(programmes)))
    return True


def silent_in_words(agency: str, since: int | None) -> str:
    """That an agency is silent, since a time of the broker in milliseconds, or ever."""
    if since is None:
        return f"silent: {agency} was never heard of"
    return f"silent: {agency} since {datetime.fromtimestamp(since // 1000, UTC).isoformat().replace('+00:00', 'Z')}"


def crowded_in_words(g: UUID, person: bool) -> str:
    """That a household or person has so many payouts that none of them is held against the others."""
    return (
        f"too_many: the {'person' if person else 'household'} has more than {domain.GROUP_LIMIT:,} payouts, "
        f"which are not looked through: see finding {domain.finding_id(TOO_LARGE, g)}"
    )


def _message(row: Any, agency: str, version: str, now: datetime) -> Message:
    data = {
        "payout_id": row["payout_id"], "revision": row["revision"], "decision": domain.DECISIONS[row["decision"]],
        "overlaps": row["overlap_ids"], "reasons": row["reasons"], "policy_version": version, "as_of": now,
    }  # fmt: skip
    event = envelope.event(
        service=SERVICE, type=CLEARANCE_ISSUED, id=str(uuid4()), time=now, subject=row["payout_id"], data=data,
        traceparent=row["trace"],
    )  # fmt: skip
    return Message(clearances_name(agency), row["payout_id"], envelope.write(event))
