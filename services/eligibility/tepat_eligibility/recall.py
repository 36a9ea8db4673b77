"""What our own topics hold, read once by a new database, so that revisions go on above them, and rounds are known.

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
from tepat_eligibility.rankings import PART, RANKINGS
from tepat_eligibility.store import explain, queries

log = structlog.get_logger()


async def recall(kafka: str, database: Database) -> None:
    """Read our own topics to their end, unless this database did before.

    Raises:
        aiokafka.errors.KafkaError: the broker cannot be read.
    """
    if await queries.recalled(database.pool):
        return
    records = await read_to_end(kafka, [DECISIONS, RANKINGS], partial(_keep, database))
    await queries.number_on(database.pool)
    await queries.set_recalled(database.pool)
    log.info("own topics read", topics=[DECISIONS, RANKINGS], records=records)


async def _keep(database: Database, batch: Sequence[ConsumerRecord]) -> None:
    """Keep the records of one partition."""
    await (_keep_rankings if batch[0].topic == RANKINGS else _keep_decisions)(database, batch)


async def _keep_rankings(database: Database, batch: Sequence[ConsumerRecord]) -> None:
    """Keep rounds, part by part; of a part told anew the last, which comes last."""
    for data in {record.key: orjson.loads(record.value)["data"] for record in batch if record.value}.values():
        async with database.transaction() as connection:
            await queries.recall_ranking(
                connection, round=data["round"], number=data["number"], as_of=date.fromisoformat(data["as_of"]),
                made_at=datetime.fromisoformat(data["made_at"]), places=data["places"], ranked=data["of"],
                programme=data["programme"], unit=data["unit"], region=data["region"], rank_by=data["rank_by"],
                policy_version=data["policy_version"], who=data["made_by"], revision=data["revision"],
            )  # fmt: skip
            last = data["part"] * PART
            await queries.forget_places(connection, round=data["round"], first=last - PART + 1, last=last)
            told = data["ranked"]
            await queries.recall_places(
                connection, round=data["round"], subjects=[each["subject"] for each in told],
                ranks=[each["place"] for each in told], left_out=[each["left_out"] for each in told],
                scores=[each.get("score") for each in told], reached=[each["reached"] for each in told],
                regions=[each.get("region") for each in told],
            )  # fmt: skip


async def _keep_decisions(database: Database, batch: Sequence[ConsumerRecord]) -> None:
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
