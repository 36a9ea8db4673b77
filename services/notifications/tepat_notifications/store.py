"""Notifications' database: what agencies are to hear and have heard, and every notice's way. SQL stands in ``sql/``.

Invariants
- Whoever writes here holds the service's exclusive lock: topics' batches, the sender and people's acts follow one
  another, so what an agency is still to hear always agrees with what it heard last.
- What is to be told is found by what changed, never by going through all overlaps.
- Every end of a notice is published in the transaction that records it.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import aiosql
from tepat_chassis import outbox
from tepat_chassis.database import Connection
from tepat_chassis.outbox import Message
from tepat_contracts import envelope

from tepat_notifications.domain import ORDER, VERDICT, State
from tepat_notifications.texts import LISTED

if TYPE_CHECKING:
    from tepat_notifications.handlers import Overlap, Rejection

queries: Any = aiosql.from_path(
    str(files("tepat_notifications") / "sql" / "queries"), "asyncpg", mandatory_parameters=False
)


async def every(rows: AsyncIterator[Any]) -> list[Any]:
    """The rows of a query, all at once."""
    return [row async for row in rows]


SERVICE = "notifications"
TOPIC = "notifications.deliveries.v1"
LONGEST_GATHER_SECONDS = 60.0
CAUSES_NAMED = 100
"""Overlap ids that the record of a delivery names; it gives the number of all."""


class Ended(NamedTuple):
    """How a notice's try ended. ``due_at``: when it is tried again; ``causes`` and ``via``: set anew where given."""

    delivery_id: UUID
    state: State
    reason: str | None = None
    due_at: datetime | None = None
    causes: int | None = None
    via: str | None = None
    message_id: str | None = None


class Moved(NamedTuple):
    """A notice that takes another channel, or waits for the one it has or for one of several."""

    delivery_id: UUID
    via: str | None
    due_at: datetime


class Sending(NamedTuple):
    """A notice as it is about to be sent."""

    delivery_id: UUID
    recipient: str
    subject: str
    body: str
    causes: int


class Store:
    """Reads and writes notifications' tables, a batch at a time.

    Args:
        channels: the names of the channels, in the order in which a notice takes them. What is told belongs to a line,
            named after the first.
        gather: seconds a notice at once waits for what comes with it.
    """

    def __init__(self, channels: Sequence[str], gather: float) -> None:
        self._order = list(channels)
        self._channels = self._order[:1]
        self.gather = gather

    # -- what is taken -----------------------------------------------------------------------------

    async def take_overlaps(
        self, connection: Connection, overlaps: Sequence["Overlap"], now: datetime, digest_at: datetime,
        *, routed: bool = False,
    ) -> None:  # fmt: skip
        """Keep what is newer, and queue what it means for the agencies, unless the policy's routes say who hears."""
        await connection.copy_records_to_table("taken", records=[each[:-1] for each in overlaps])
        changed = await queries.take_overlaps(connection, channels=[] if routed else self._channels)
        if changed and not routed:
            await queries.judge(connection)
            agencies = {o.agency_a for o in overlaps} | {o.agency_b for o in overlaps}
            await self.queue(connection, agencies, now, digest_at)

    async def take_rejections(
        self,
        connection: Connection,
        rejections: Sequence["Rejection"],
        resolved: Sequence[tuple[str, int, int]],
        now: datetime,
        digest_at: datetime,
        *,
        routed: bool = False,
    ) -> list["Rejection"]:
        """Keep records refused and leave out those taken since; queue the agencies' digests, unless the policy's routes
        say who hears of them. Those not known before; where they are routed, whoever counts them resolves.
        """
        new: list[Rejection] = []
        if rejections:
            agencies, topics, partitions, offsets, reasons, pointers, times = map(list, zip(*rejections, strict=True))
            taken = queries.take_rejections(
                connection, agencies=agencies, topics=topics, partitions=partitions, offsets=offsets,
                reasons=reasons, pointers=pointers, times=times,
            )  # fmt: skip
            places = {(row["topic"], row["partition"], row["offset"]) async for row in taken}
            known = {(each.topic, each.partition, each.offset): each for each in rejections}
            new = [known[place] for place in sorted(places)]
        if resolved and not routed:
            topics, partitions, offsets = map(list, zip(*resolved, strict=True))
            await queries.resolve(connection, topics=topics, partitions=partitions, offsets=offsets)
        if not routed:
            await self.queue(connection, {r.agency for r in rejections}, now, digest_at)
        return new

    async def queue(self, connection: Connection, agencies: Iterable[str], now: datetime, digest_at: datetime) -> None:
        """Open notices for what agencies are to hear, where none is open."""
        await queries.queue(
            connection, agencies=sorted(agencies), channels=self._channels, order=self._order, now=now,
            digest_at=digest_at, gather=self.gather, longest=LONGEST_GATHER_SECONDS,
        )  # fmt: skip

    async def retime(self, connection: Connection, now: datetime, digest_at: datetime) -> None:
        """Let the digests that wait be due at another hour."""
        await queries.retime(connection, now=now, digest_at=digest_at)

    async def forget_overlaps(self, connection: Connection, ids: Sequence[UUID]) -> None:
        """Know nothing of overlaps any more, and tell nobody of them."""
        await queries.forget_overlaps(connection, ids=ids)

    # -- what is told ------------------------------------------------------------------------------

    async def gather_notices(self, connection: Connection, ids: Sequence[UUID]) -> dict[UUID, dict[str, list[Any]]]:
        """Write into notices what there is to tell, and read it: ``tallies``, ``cases`` and ``refusals`` of each."""
        await queries.gather(connection, ids=ids)
        await queries.mark_rejections(connection, ids=ids)
        found: dict[UUID, dict[str, list[Any]]] = {i: {"tallies": [], "cases": [], "refusals": []} for i in ids}
        for name, rows in (
            ("tallies", await every(queries.tallies(connection, ids=ids))),
            ("cases", await every(queries.cases(connection, ids=ids, order=list(ORDER), at_most=LISTED))),
            ("refusals", await every(queries.refusals(connection, ids=ids))),
        ):
            for row in rows:
                found[row["delivery_id"]][name].append(row)
        return found

    async def sending(self, connection: Connection, notices: Sequence[Sending], now: datetime) -> None:
        """From here on these may have gone out."""
        if notices:
            ids, recipients, subjects, bodies, causes = map(list, zip(*notices, strict=True))
            await queries.sending(
                connection, ids=ids, recipients=recipients, subjects=subjects, bodies=bodies, causes=causes, now=now
            )

    async def settle(
        self, connection: Connection, ended: Sequence[Ended], now: datetime, digest_at: datetime
    ) -> list[tuple[str, str, str]]:
        """Record and publish how notices went; the kind, channel and state of each.

        What a notice did not tell its next try will, or once it is given up the next digest.
        """
        if not ended:
            return []
        ids, states, reasons, dues, causes, vias, message_ids = map(list, zip(*ended, strict=True))
        settled = queries.settle(
            connection, ids=ids, states=states, reasons=reasons, dues=dues, causes=causes, vias=vias,
            message_ids=message_ids, now=now, at_most=CAUSES_NAMED,
        )  # fmt: skip
        rows = await every(settled)
        await outbox.put(connection, [recorded(row, now) for row in rows])
        untold = [row for row in rows if row["state"] in (State.FAILED, State.SKIPPED)]
        if untold:
            await self.unheard(connection, [row["delivery_id"] for row in untold])
            await queries.park(connection, ids=[row["delivery_id"] for row in untold if row["due_at"] is None])
        await self.queue(connection, {row["agency"] for row in rows}, now, digest_at)
        return [(row["kind"], row["over"], row["state"]) for row in rows]

    async def unheard(self, connection: Connection, ids: Sequence[UUID]) -> None:
        """What these notices would have told is still to be heard."""
        await queries.unheard(connection, ids=ids)
        await queries.judge(connection)

    async def again(self, connection: Connection, delivery_id: UUID, *, doubted: bool, now: datetime) -> UUID:
        """Queue a notice once more that has ended, one in doubt as if it had told nothing; the notice that goes."""
        if doubted:
            await self.unheard(connection, [delivery_id])
            await queries.unheard_again(connection, id=delivery_id, now=now)
        await queries.revive(connection, id=delivery_id)
        by: UUID = await queries.reopen(connection, id=delivery_id, now=now)
        return by

    async def move(self, connection: Connection, moved: Sequence[Moved]) -> None:
        """Let notices take another channel, or wait."""
        if moved:
            ids, vias, dues = map(list, zip(*moved, strict=True))
            await queries.move(connection, ids=ids, vias=vias, dues=dues)

    async def repeat(self, connection: Connection, ids: Sequence[UUID], now: datetime) -> None:
        """From here on these, which may have gone out, may have gone out once more."""
        if ids:
            await queries.repeat(connection, ids=ids, now=now)

    async def reported(
        self, connection: Connection, channel: str, reports: Sequence[tuple[UUID, int, State]], now: datetime
    ) -> list[tuple[str, str, str]]:
        """Keep what a gateway reports of tries that it took, and publish what changed; as ``settle``."""
        ids, attempts, receipts = map(list, zip(*reports, strict=True))
        changed = queries.report(
            connection, channel=channel, ids=ids, attempts=attempts, receipts=receipts, now=now, at_most=CAUSES_NAMED
        )
        rows = await every(changed)
        await outbox.put(connection, [recorded(row, now) for row in rows])
        return [(row["kind"], row["over"], _state(row)) for row in rows]


def _state(row: Any) -> str:
    """A notice's state as it is shown: what was sent may have been delivered and read since."""
    state: str = row["state"]
    return row["receipt"] or state if state == State.SENT else state


def recorded(row: Any, now: datetime) -> Message:
    """What is published of a notice. Of an officer it names the group: no name stands on a topic."""
    delivery_id = str(row["delivery_id"])
    data = {
        "delivery_id": delivery_id,
        "revision": row["revision"],
        "agency": row["agency"].partition("/")[0],
        "channel": row["over"],
        "kind": row["kind"],
        "verdict": VERDICT.get(row["kind"]),
        "state": _state(row),
        "causes": [str(each) for each in row["overlap_ids"]],
        "count": row["causes"],
        "attempts": row["attempts"],
        "at": now,
        "reason": row["reason"],
        "level": row["level"],
        "acknowledged": row["acknowledged_at"]
        and {"at": row["acknowledged_at"], "how": "event" if row["acknowledged_how"] == "event" else "person"},
    }
    event = envelope.event(
        service=SERVICE, type="tepat.delivery.recorded.v1", id=f"{delivery_id}-{row['revision']}", time=now,
        data={name: value for name, value in data.items() if value is not None}, subject=delivery_id,
        traceparent=row["trace"],
    )  # fmt: skip
    return Message(TOPIC, delivery_id, envelope.write(event))
