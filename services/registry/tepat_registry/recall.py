"""What our own topics hold, read once by a new database, so that revisions go on above it.

Invariants
- Nothing is announced before this is done: it runs ahead of the subscriptions, and what is read is kept with the
  greatest revision of each key, however often it is read and by however many instances.
- Content is kept as a digest, so that what is announced already, unchanged, is not announced again.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
import structlog
from aiokafka import ConsumerRecord
from tepat_chassis.database import Database
from tepat_chassis.kafka import read_to_end
from tepat_contracts.events.ours import SUSPECT_DISMISSED

from tepat_registry.store import HOUSEHOLDS, PERSONS, REPORTS, SUSPECTS, digest, identity, queries

log = structlog.get_logger()

TOPICS = (PERSONS, HOUSEHOLDS, SUSPECTS, REPORTS)


async def recall(kafka: str, database: Database) -> None:
    """Read our own topics to their end, unless this database did before.

    Raises:
        aiokafka.errors.KafkaError: the broker cannot be read.
    """
    known = {row["topic"] async for row in queries.recalled(database.pool)}
    topics = [topic for topic in TOPICS if topic not in known]
    if not topics:
        return
    records = await read_to_end(kafka, topics, partial(_keep, database))
    await queries.set_recalled(database.pool, topics=topics)
    log.info("own topics read", topics=topics, records=records)


async def _keep(database: Database, batch: Sequence[ConsumerRecord]) -> None:
    """Keep the latest record of each key."""
    latest: dict[str, Any] = {}
    suspects: dict[str, tuple[str, dict[str, Any], datetime]] = {}
    gone: set[str] = set()
    for record in batch:
        key = str(identity(record.topic, record.key.decode()))
        gone.discard(key)
        if record.value is None:
            gone.add(key)
        else:
            event = orjson.loads(record.value)
            data = event["data"]
            revision = data.pop("revision")
            if key not in latest or revision >= latest[key][0]:
                latest[key] = revision, digest(event["type"], data), datetime.fromtimestamp(record.timestamp / 1e3, UTC)
            if record.topic == SUSPECTS:
                suspects[data["pair"]] = event["type"], data, latest[key][2]
    if suspects:
        await _keep_decisions(database, suspects)
    if latest:
        revisions, digests, times = map(list, zip(*latest.values(), strict=True))
        await queries.recall(database.pool, keys=list(latest), revisions=revisions, digests=digests, at=times)
    if gone:
        await queries.recall_gone(database.pool, keys=list(gone))


async def _keep_decisions(database: Database, latest: Mapping[str, tuple[str, dict[str, Any], datetime]]) -> None:
    """Keep what was dismissed, which nothing else tells of."""
    dismissed = [(data, at) for type_, data, at in latest.values() if type_ == SUSPECT_DISMISSED]
    await queries.dismissed(
        database.pool,
        reopened=[pair for pair, (type_, _, _) in latest.items() if type_ != SUSPECT_DISMISSED],
        pairs=[data["pair"] for data, _ in dismissed], kinds=[data["kind"] for data, _ in dismissed],
        a=[data["pair"].partition("+")[0] for data, _ in dismissed],
        b=[data["pair"].partition("+")[2] for data, _ in dismissed],
        persons=[orjson.dumps(data["persons"]).decode() for data, _ in dismissed],
        evidence=[orjson.dumps(data["evidence"], option=orjson.OPT_SORT_KEYS).decode() for data, _ in dismissed],
        regions=[data.get("region") for data, _ in dismissed], by=[data["decided_by"] for data, _ in dismissed],
        reasons=[data["reason"] for data, _ in dismissed], at=[at for _, at in dismissed],
    )  # fmt: skip
