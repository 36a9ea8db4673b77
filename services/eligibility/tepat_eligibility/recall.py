"""What our own topic holds, read once by a new database, so that revisions go on above it.

Invariants
- Nothing is announced before this is done: it runs ahead of the subscriptions, and what is read is kept with the
  greatest revision of each key, however often it is read and by however many instances.
- What is announced already, unchanged, is not announced again; what no longer stands is withdrawn when the day turns.
"""

from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from typing import Any

import orjson
import structlog
from aiokafka import ConsumerRecord
from tepat_chassis.database import Database
from tepat_chassis.kafka import read_to_end

from tepat_eligibility.domain import WITHDRAWN, Decision
from tepat_eligibility.judge import DECISIONS
from tepat_eligibility.store import explain, queries

log = structlog.get_logger()


async def recall(kafka: str, database: Database) -> None:
    """Read our own topic to its end, unless this database did before.

    Raises:
        aiokafka.errors.KafkaError: the broker cannot be read.
    """
    if await queries.recalled(database.pool):
        return
    records = await read_to_end(kafka, [DECISIONS], partial(_keep, database))
    await queries.set_recalled(database.pool)
    log.info("own topic read", topic=DECISIONS, records=records)


async def _keep(database: Database, batch: Sequence[ConsumerRecord]) -> None:
    """Keep the latest record of each key."""
    latest: dict[bytes, tuple[Any, ...]] = {}
    gone: set[bytes] = set()
    decisions: list[Decision] = []
    for record in batch:
        gone.discard(record.key)
        if record.value is None:
            gone.add(record.key)
            latest.pop(record.key, None)
        else:
            event = orjson.loads(record.value)
            data = event["data"]
            held = latest.get(record.key)
            if held is None or held[-1] < data["revision"]:
                decision = _decision(data)
                decisions.append(decision)
                latest[record.key] = (
                    data[data["unit"]], decision.programme, decision.unit, decision.decision, decision.id,
                    decision.reasons in WITHDRAWN.values(), data.get("region"), data["policy_version"],
                    date.fromisoformat(data["as_of"]), datetime.fromisoformat(event["time"]), data["revision"],
                )  # fmt: skip
    if latest:
        columns = (
            "subjects", "programmes", "units", "decisions", "explanations", "withdrawn", "regions", "versions", "days",
            "times", "revisions",
        )  # fmt: skip
        told = dict(zip(columns, map(list, zip(*latest.values(), strict=True)), strict=True))
        async with database.transaction() as connection:
            await explain(connection, decisions)
            await queries.recall(connection, **told)
    if gone:
        programmes, _, subjects = zip(*(key.decode().rpartition("|") for key in gone), strict=True)
        await queries.recall_gone(database.pool, programmes=list(programmes), subjects=list(subjects))


def _decision(data: dict[str, Any]) -> Decision:
    """The decision that an event of ours tells."""
    reasons, due, score = (
        orjson.dumps(data[name]).decode() if name in data else None for name in ("reasons", "due", "score")
    )
    return Decision(data["unit"], data["programme"], data["decision"], reasons or "[]", due, score)
