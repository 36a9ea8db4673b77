"""Who is to hear of what by the policy's routes, and whether anybody has acknowledged it: causes, hearers, timers.

Invariants
- Whoever writes here holds the service's exclusive lock. What waits to be told always is what is true, by the policy
  in force: a cause that ends, is answered or says something else takes with it what was not told yet.
- Nobody hears one thing of a cause twice, and of its end only who heard of it. Who heard of an overlap hears in a
  digest what of it has changed since, whatever the routes say of it by then.
- A timer is a row. It starts once somebody at its level has been told; when it is over one level more is told,
  however long ago that was, and only then its own timer starts: an outage ends in one step, not in all of them.
- A policy holds for what is announced after it, and for what still waits to be told or acknowledged.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson
import structlog
from tepat_chassis import outbox
from tepat_chassis.database import Connection
from tepat_contracts.policy import NoticeKind

from tepat_notifications.domain import Province
from tepat_notifications.routing import Cause, Plan, Terms, after_quiet, goes_at, next_hour
from tepat_notifications.store import CAUSES_NAMED, LONGEST_GATHER_SECONDS, every, queries, recorded
from tepat_notifications.texts import LISTED

log = structlog.get_logger()

CLIMB_AT_ONCE = 1_000
NAMESPACE = uuid5(NAMESPACE_URL, "urn:tepat:service:notifications")


class Stated(NamedTuple):
    """What is told of, as it was announced, in the order of the columns of table ``stated``.

    ``state`` is *awaits* (somebody must act), *answered* (somebody did) or *over*; ``news`` what is to be heard of it.
    ``key`` is its id on its topic, ``subject`` the id that deliveries name.
    """

    cause_id: UUID
    kind: NoticeKind
    key: str
    code: str
    subject: UUID
    revision: int
    state: str
    news: str
    verdict: str | None
    amount: int | None
    programmes: Sequence[str]
    agencies: Sequence[str]
    region: str | None
    said: str
    by: str | None
    trace: str | None
    announced_at: datetime
    taken_at: datetime


class End(NamedTuple):
    """How the wait for an acknowledgement ended, and by whom."""

    cause_id: UUID
    how: str
    by: str | None = None


def cause_id(kind: NoticeKind, key: str) -> UUID:
    """The id of a cause here."""
    return uuid5(NAMESPACE, f"{kind}/{key}")


class Hearings:
    """Reads and writes what is told by routes, a batch at a time.

    Args:
        gather: seconds a notice at once waits for what comes with it.
    """

    def __init__(self, gather: float) -> None:
        self._gather = gather

    # -- what is taken -----------------------------------------------------------------------------

    async def take(self, connection: Connection, stated: Iterable[Stated], province: Province, now: datetime) -> None:
        """Keep what is newer of the kinds that are routed, and queue what it means for their recipients.

        What somebody did in a case answers its overlap too.
        """
        stated = list(stated)
        routed = [each for each in stated if each.kind in province.directory.kinds]
        answered = [
            End(cause_id("overlap", each.key), "event", each.by)
            for each in stated
            if each.kind == "case" and each.by is not None
        ]
        if routed:
            await connection.copy_records_to_table("stated", records=routed)
            await self.judge(connection, await _ids(queries.take_causes(connection)), province, now)
        await self._end(connection, answered, now)

    async def count(
        self, connection: Connection, refused: Sequence[tuple[Stated, tuple[str, int, int]]],
        resolved: Sequence[tuple[str, int, int]], province: Province, now: datetime,
    ) -> None:  # fmt: skip
        """Count records refused, each with its place, into their causes; those taken since are not told any more."""
        changed: list[UUID] = []
        if refused:
            topics, partitions, offsets = map(list, zip(*(place for _, place in refused), strict=True))
            causes = [each.cause_id for each, _ in refused]
            numbers: dict[UUID, int] = {}
            for each in causes:
                numbers[each] = numbers.get(each, 0) + 1
            stated = {each.cause_id: each for each, _ in refused}
            await connection.copy_records_to_table("stated", records=[
                each._replace(said=_json(orjson.loads(each.said) | {"records": numbers[each.cause_id]}))
                for each in stated.values()
            ])  # fmt: skip
            changed += await _ids(queries.count_refused(connection))
            await queries.place_refused(
                connection, topics=topics, partitions=partitions, offsets=offsets, causes=causes
            )
        if resolved:
            topics, partitions, offsets = map(list, zip(*resolved, strict=True))
            fewer = queries.count_resolved(connection, topics=topics, partitions=partitions, offsets=offsets)
            changed += await _ids(fewer)
        await self.judge(connection, changed, province, now)

    async def follow(self, connection: Connection, province: Province, now: datetime) -> None:
        """Let a new policy hold for what waits."""
        ids = await _ids(queries.unsettled(connection))
        await queries.unopen(connection)
        await self.judge(connection, ids, province, now, anew=True)

    async def judge(
        self, connection: Connection, ids: Sequence[UUID], province: Province, now: datetime, *, anew: bool = False
    ) -> None:
        """Find who is still to hear of causes, as they stand, and open their notices."""
        if not ids:
            return
        rows = await every(queries.to_judge(connection, ids=ids))
        told = [
            row["cause_id"]
            for row in rows
            if row["kind"] == "overlap" or (row["state"] == "over" and row["kind"] != "rejection")
        ]
        heard: dict[UUID, list[Any]] = {}
        for row in await every(queries.hearers(connection, ids=told)):
            heard.setdefault(row["cause_id"], []).append(row)
        wanted: list[tuple[UUID, str, int, Terms, str]] = []
        awaited: dict[UUID, timedelta] = {}
        ends: list[End] = []
        for row in rows:
            plan = Plan() if row["state"] == "over" else _plan(row, province)
            planned = {
                each.recipient: (row["cause_id"], each.recipient, level, each.terms, each.moment)
                for level, hearers in enumerate(plan.levels[: row["level"] + 1])
                for each in hearers
            }
            known = {
                each["recipient"]: (row["cause_id"], each["recipient"], each["level"], _terms(each), "digest")
                for each in heard.get(row["cause_id"], ())
            }
            wanted += (known | planned).values()
            if row["state"] == "over":
                ends.append(End(row["cause_id"], "ended"))
                continue
            if row["state"] == "answered":
                ends.append(End(row["cause_id"], "event", row["by"]))
            elif plan.within is not None and plan.levels:
                awaited[row["cause_id"]] = plan.within
            elif anew:
                ends.append(End(row["cause_id"], "ended"))
        await self._want(connection, ids, wanted, province, now, anew=anew)
        if awaited:
            await queries.await_(connection, ids=list(awaited), withins=list(awaited.values()), now=now)
        await self._end(connection, ends, now)
        await queries.arm(connection, ids=ids, now=now)

    async def _want(
        self, connection: Connection, ids: Sequence[UUID], wanted: Sequence[tuple[UUID, str, int, Terms, str]],
        province: Province, now: datetime, *, anew: bool,
    ) -> None:  # fmt: skip
        known = list({terms for _, _, _, terms, _ in wanted})
        kept = await every(queries.keep_terms(connection, given=_json([[*each] for each in known])))
        numbers = {known[row["place"] - 1]: row["terms_id"] for row in kept}
        soon = now + timedelta(seconds=self._gather)
        soonest = {terms: after_quiet(terms, soon) for terms in known}
        digests = {terms: after_quiet(terms, next_hour(province.digest_at, terms.zone, now)) for terms in known}
        await connection.copy_records_to_table("wanted", records=[
            (cause, recipient, level, numbers[terms], moment, (soonest if moment == "now" else digests)[terms],
             digests[terms])
            for cause, recipient, level, terms, moment in wanted
        ])  # fmt: skip
        await queries.unwant(connection, ids=ids)
        recipients = {row["recipient"] for row in await every(queries.want(connection, anew=anew))}
        await connection.execute("truncate wanted")
        await self._open(connection, recipients, now)

    async def _open(self, connection: Connection, recipients: Iterable[str], now: datetime) -> None:
        await queries.open_routed(
            connection, recipients=sorted(recipients), now=now, gather=self._gather, longest=LONGEST_GATHER_SECONDS
        )

    # -- what is told ------------------------------------------------------------------------------

    async def prepare(self, connection: Connection, province: Province, now: datetime) -> None:
        """Before what is due is claimed: let climb what nobody acknowledged, hold back what may not go now."""
        while climbed := await self._climb(connection, province, now):
            log.info("nobody acknowledged in time: the next level's turn", causes=climbed)
        await self._hold(connection, province, now)

    async def _hold(self, connection: Connection, province: Province, now: datetime) -> None:
        """Put off the notices that are due in quiet hours, or to whoever has been told enough today."""
        told: dict[str, int] = {}
        later = []
        for row in await every(queries.due_routed(connection, now=now)):
            today = row["today"] + told.get(row["agency"], 0)
            at = goes_at(_terms(row), now, today, province.digest_at)
            if at > now:
                later.append((row["delivery_id"], at))
            else:
                told[row["agency"]] = told.get(row["agency"], 0) + 1
        if later:
            ids, dues = map(list, zip(*later, strict=True))
            await queries.postpone(connection, ids=ids, dues=dues)

    async def gather(self, connection: Connection, ids: Sequence[UUID], now: datetime) -> dict[UUID, list[Any]]:
        """Write into notices what there is to tell, and read it."""
        await queries.gather_news(connection, ids=ids, now=now)
        found: dict[UUID, list[Any]] = {}
        for row in await every(queries.news(connection, ids=ids, at_most=LISTED)):
            found.setdefault(row["delivery_id"], []).append(dict(row) | {"said": orjson.loads(row["said"])})
        return found

    async def sending(self, connection: Connection, ids: Sequence[UUID], now: datetime) -> None:
        """These are being told: from here on their causes are to be acknowledged in time."""
        await queries.arm(connection, ids=await _ids(queries.told_of(connection, ids=ids)), now=now)

    async def settle(self, connection: Connection, ids: Sequence[UUID], now: datetime) -> None:
        """Follow how notices went, once that is recorded; open those for what their recipients hear next."""
        causes = await _ids(queries.told_of(connection, ids=ids))
        await queries.unheard_news(connection, ids=ids)
        await queries.arm(connection, ids=causes, now=now)
        await self._open(connection, [row["agency"] async for row in queries.recipients(connection, ids=ids)], now)

    async def forget(self, connection: Connection, ids: Sequence[UUID]) -> None:
        """Know nothing of causes any more: whoever was still to hear of them hears nothing."""
        if ids:
            await queries.forget_causes(connection, ids=ids)

    # -- whether it is acknowledged ----------------------------------------------------------------

    async def _climb(self, connection: Connection, province: Province, now: datetime) -> int:
        """Turn to the next level with what nobody has acknowledged in time; how many causes that were."""
        ids = await _ids(queries.overdue(connection, now=now, at_most=CLIMB_AT_ONCE))
        if not ids:
            return 0
        climbing: dict[UUID, int] = {}
        ends: list[End] = []
        for row in await every(queries.to_judge(connection, ids=ids)):
            if row["level"] + 1 < len(_plan(row, province).levels):
                climbing[row["cause_id"]] = row["level"] + 1
            else:
                ends.append(End(row["cause_id"], "unanswered"))
        await queries.climb(connection, ids=list(climbing), levels=list(climbing.values()), now=now)
        await self._end(connection, ends, now)
        await self.judge(connection, list(climbing), province, now)
        return len(ids)

    async def acknowledge(
        self, connection: Connection, ids: Sequence[UUID], how: str, by: str, now: datetime
    ) -> list[UUID]:
        """Somebody has acknowledged causes, by a *link*, a *reply* or in *person*; those that still waited for it."""
        return await self._end(connection, [End(each, how, by) for each in ids], now)

    async def _end(self, connection: Connection, ends: Sequence[End], now: datetime) -> list[UUID]:
        if not ends:
            return []
        ids, hows, bys = map(list, zip(*ends, strict=True))
        ended = await _ids(queries.end_wait(connection, ids=ids, hows=hows, bys=bys, now=now))
        if ended:
            rows = await every(queries.acknowledge_deliveries(connection, ids=ended, now=now, at_most=CAUSES_NAMED))
            await outbox.put(connection, [recorded(row, now) for row in rows])
        return ended


def _plan(row: Mapping[str, Any], province: Province) -> Plan:
    return province.directory.plan(Cause(
        row["kind"], row["verdict"], row["amount"], row["programmes"], row["agencies"], row["region"]
    ))  # fmt: skip


def _terms(row: Mapping[str, Any]) -> Terms:
    return Terms(
        tuple(row["channels"]), row["language"], row["zone"], row["quiet_from"], row["quiet_to"], row["at_most"]
    )


async def _ids(rows: Any) -> list[UUID]:
    return [row["cause_id"] async for row in rows]


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
