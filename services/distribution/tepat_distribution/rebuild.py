"""What our own topics hold, read once by a new database, so that revisions go on above it.

Invariants
- Nothing is judged before this is done and the inbound records that stood then are taken again: judged by half a
  history, overlaps that stand would be cleared and announced anew.
- What is read is kept with the greatest revision of each key since its last tombstone, however often it is read: by
  one instance after the other, since what a tombstone takes away another could bring back meanwhile.
- In the end both sides of each overlap announced are judged: what the ledger no longer explains is cleared; and each
  household told of, and each payout something was found of, is looked at again.
- What people decided of overlaps stands as it was told, and holds as long as they are announced as they were judged.
"""

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import structlog
from aiokafka import ConsumerRecord
from tepat_chassis.database import Connection, Database, Lock, kept_open, lock_key
from tepat_chassis.kafka import filled, read_to_end
from tepat_contracts.envelope import AGENCY_ID_PATTERN
from tepat_contracts.events.ours import CASE_TOLD, FINDING_RAISED
from tepat_contracts.topics import CLEARANCES, Kind, agency_of, is_inbound

from tepat_distribution import cases, progress
from tepat_distribution.aid import AID, AID_TOLD, digest
from tepat_distribution.cases import CASES
from tepat_distribution.detect import FINDINGS, OVERLAPS
from tepat_distribution.domain import DECISIONS, STATES, VERDICTS
from tepat_distribution.found import OF_GROUP, TOO_LARGE
from tepat_distribution.rounds import ROUNDS
from tepat_distribution.store import Store, queries

log = structlog.get_logger()

OURS = (OVERLAPS, CASES, FINDINGS, AID, ROUNDS)
FROM_SERVICES = ("registry.persons.v1", "registry.households.v1", "eligibility.decisions.v1")
_FORGET: Mapping[str, Any] = {
    OVERLAPS: queries.unrecall_overlaps, CASES: queries.unrecall_cases, FINDINGS: queries.unrecall_findings,
    AID: queries.unrecall_aid,
}  # fmt: skip
ANSWERS = re.compile(CLEARANCES.name.replace(".", r"\.").format(agency=f"({AGENCY_ID_PATTERN})"))


def _is_history(topic: str) -> bool:
    """Whether the ledger, or what is found of it, is made of this topic."""
    return topic in FROM_SERVICES or is_inbound(topic, Kind.PAYOUTS)


async def recall(kafka: str, database: Database, store: Store) -> None:
    """Read our own topics to their end, unless this database did before.

    Raises:
        aiokafka.errors.KafkaError: the broker cannot be read.
    """
    connection = await database.connect()
    try:
        await connection.execute(f"select pg_advisory_lock({lock_key('recall')})")
        if not await queries.recalled(connection):
            await kept_open(connection, _recall(kafka, database, store))
    finally:
        await connection.close(timeout=1)


async def _recall(kafka: str, database: Database, store: Store) -> None:
    ends = await filled(kafka, _is_history)
    answers = {partition.topic for partition in await filled(kafka, lambda topic: ANSWERS.fullmatch(topic) is not None)}
    if answers:
        await read_to_end(kafka, sorted(answers), partial(_keep_answers, database, store))
    records = await read_to_end(kafka, OURS, partial(_keep, database, store))
    async with database.transaction(Lock.EXCLUSIVE) as connection:
        await cases.recalled(connection, datetime.now(UTC))
    await queries.set_recalled(
        database.pool,
        topics=[partition.topic for partition in ends], partitions=[partition.partition for partition in ends],
        until=list(ends.values()),
    )  # fmt: skip
    log.info("own topics read", topics=OURS, records=records)


async def _keep(database: Database, store: Store, batch: Sequence[ConsumerRecord]) -> None:
    """Keep the latest record of each key, and what is left of earlier announcements of overlaps."""
    if batch[0].topic == ROUNDS:
        await progress.keep(database, batch)
        return
    topic, latest = batch[0].topic, dict[str, Any]()
    gone, earlier = dict[str, None](), defaultdict[str, list[Any]](list)
    for record in batch:
        key = record.key.decode()
        known = latest.pop(key, None)
        if record.value is None:
            earlier.pop(key, None)
            gone[key] = None
            continue
        told = sorted(filter(None, (known, orjson.loads(record.value))), key=_revision)
        latest[key] = told[-1]
        if topic == OVERLAPS:
            earlier[key] += told[:-1]
    if gone:
        await _FORGET[topic](database.pool, keys=list(gone))
    overlaps = list(latest.values()) if topic == OVERLAPS else []
    decided = [event["data"] for event in latest.values() if event["type"] == CASE_TOLD]
    large: list[Any] = []
    findings: list[Any] = []
    for event in latest.values():
        if "finding_id" in event["data"]:
            (large if event["data"]["rule"] == TOO_LARGE else findings).append(event)
    aid = [event for event in latest.values() if event["type"] == AID_TOLD]
    if overlaps:
        async with database.transaction(Lock.EXCLUSIVE) as connection:
            before = [event for events in earlier.values() for event in events]
            await _keep_overlaps(connection, store, before, queries.recall_earlier)
            await _keep_overlaps(connection, store, overlaps, queries.announce)
    if decided:
        await queries.recall_cases(database.pool, **cases.columns(decided))
    if findings:
        async with database.transaction(Lock.EXCLUSIVE) as connection:
            await _keep_findings(connection, store, findings)
    if large:
        groups = [event["data"] for event in large]
        await queries.recall_large(
            database.pool,
            groups=[data.get("person") or data["household"] for data in groups],
            persons=["person" in data for data in groups],
            revisions=[data["revision"] for data in groups],
            large=[event["type"] == FINDING_RAISED for event in large],
            regions=[data.get("region") for data in groups], versions=[data.get("policy_version") for data in groups],
            at=[datetime.fromisoformat(event["time"]) for event in large],
        )  # fmt: skip
    if aid:
        told = [event["data"] for event in aid]
        await queries.recall_aid(
            database.pool,
            households=[data["household"] for data in told], revisions=[data.pop("revision") for data in told],
            at=[datetime.fromisoformat(event["time"]) for event in aid], digests=[digest(data) for data in told],
        )  # fmt: skip


def _revision(event: Mapping[str, Any]) -> int:
    return int(event["data"]["revision"])


async def _keep_findings(connection: Connection, store: Store, events: Sequence[Any]) -> None:
    payouts = [payout for event in events for payout in event["data"]["payouts"]]
    agencies, programmes = await store.numbered(
        connection,
        {payout["agency"] for payout in payouts},
        {event["data"]["programme"] for event in events if "programme" in event["data"]},
    )
    rows = [_finding(event, agencies, programmes) for event in events]
    await connection.copy_records_to_table("announced_finding", records=rows)
    await queries.keep_findings(connection)


def _finding(event: Mapping[str, Any], agencies: Mapping[str, int], programmes: Mapping[str, int]) -> tuple[Any, ...]:
    """An announcement as a row of table ``announced_finding``."""
    data, raised = event["data"], event["type"] == FINDING_RAISED
    return (
        UUID(data["finding_id"]), data["revision"], raised, data["rule"], data["rule"] in OF_GROUP,
        UUID(data["person"]) if "person" in data else None, UUID(data["household"]) if "household" in data else None,
        programmes[data["programme"]] if raised else None, [agencies[each["agency"]] for each in data["payouts"]],
        [each["payout_id"] for each in data["payouts"]], data.get("region"),
        orjson.dumps(data["evidence"]).decode() if raised else None, data.get("policy_version"),
        datetime.fromisoformat(event["time"]),
    )  # fmt: skip


async def _keep_overlaps(
    connection: Connection, store: Store, events: Sequence[Any], keep: Callable[[Connection], Awaitable[object]]
) -> None:
    sides = [side for event in events for side in event["data"]["payouts"]]
    agencies, programmes = await store.numbered(
        connection,
        {side["agency"] for side in sides},
        {side["programme"] for side in sides if "programme" in side},
    )
    rows = [_row(event, agencies, programmes) for event in events]
    await connection.copy_records_to_table("announced", records=rows)
    await keep(connection)


async def _keep_answers(database: Database, store: Store, batch: Sequence[ConsumerRecord]) -> None:
    """Keep what was last answered about each payout, so that it is not answered again."""
    last = {record.key: record for record in batch}
    if gone := [key.decode() for key, record in last.items() if record.value is None]:
        await queries.unrecall_answers(database.pool, agency=agency_of(batch[0].topic), keys=gone)
    latest = {
        key: (agency_of(record.topic), orjson.loads(record.value)["data"])
        for key, record in last.items() if record.value is not None
    }  # fmt: skip
    if not latest:
        return
    told = [data for _, data in latest.values()]
    async with database.transaction(Lock.EXCLUSIVE) as connection:
        await store.numbered(connection, {agency for agency, _ in latest.values()}, set())
        await queries.recall_clearances(
            connection,
            as_of=[datetime.fromisoformat(data["as_of"]) for data in told],
            revisions=[data["revision"] for data in told], agencies=[agency for agency, _ in latest.values()],
            decisions=[DECISIONS.index(data["decision"]) for data in told],
            payout_ids=[data["payout_id"] for data in told], versions=[data["policy_version"] for data in told],
            overlap_ids=[",".join(data["overlaps"]) for data in told],
            reasons=["\n".join(data["reasons"]) for data in told],
        )  # fmt: skip


def _row(event: Mapping[str, Any], agencies: Mapping[str, int], programmes: Mapping[str, int]) -> tuple[Any, ...]:
    """An announcement as a row of table ``announced``."""
    data, at = event["data"], datetime.fromisoformat(event["time"])
    a, b = data["payouts"]
    key = (
        agencies[a["agency"]], a["payout_id"], agencies[b["agency"]], b["payout_id"],
        UUID(data["overlap_id"]), data["revision"],
    )  # fmt: skip
    if event["type"] == "tepat.overlap.cleared.v1":
        return (*key, False, *[None] * 18, at, data["reason"], a.get("ended"), b.get("ended"))
    during, person = data["during"], data.get("person")
    return (
        *key, True, data["rule"], data["scope"] == "person", VERDICTS.index(data["verdict"]),
        date.fromisoformat(during["from"]), date.fromisoformat(during["to"]), UUID(data["household"]), data["region"],
        data["amount_at_risk"], a["amount"], b["amount"], programmes[a["programme"]], programmes[b["programme"]],
        a["revision"], b["revision"], STATES.index(a["state"]), STATES.index(b["state"]),
        UUID(person) if person else None, data["policy_version"], at, None, None, None,
    )  # fmt: skip
