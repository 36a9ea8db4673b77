"""Waiting for what became of records: the receipts an agency gets.

Kept here: a record counts as answered once an accepted range or a rejection names its offset, however often it is
named; only the rejections are held, by their event's id.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer

from tepat_cli.sending import Spans


@dataclass
class Answered:
    """What the services said: rejections by event id, and those that name none."""

    rejected: dict[str, dict[str, Any]] = field(default_factory=dict)
    nameless: list[dict[str, Any]] = field(default_factory=list)
    missing: int = 0


async def wait(consumer: AIOKafkaConsumer, topic: str, sent: dict[int, Spans], patience: float) -> Answered:
    """Reads receipts until all that was `sent` to `topic` is answered, or none came for `patience` seconds."""
    answered = Answered()
    clock = asyncio.get_running_loop().time
    until = clock() + patience
    while (left := sum(map(len, sent.values()))) and clock() < until:
        for batch in (await consumer.getmany(timeout_ms=500)).values():
            for record in batch:
                if _note(orjson.loads(record.value), topic, sent, answered):
                    until = clock() + patience
    answered.missing = left
    return answered


def _note(event: dict[str, Any], topic: str, sent: dict[int, Spans], answered: Answered) -> bool:
    """Notes a receipt; whether it was about something sent and not answered yet."""
    data = event["data"]
    if data.get("topic") != topic or data.get("partition") not in sent:
        return False
    spans = sent[data["partition"]]
    before = len(spans)
    if event["type"] == "tepat.events.accepted.v1":
        spans.remove(data["from_offset"], data["to_offset"])
    elif event["type"] == "tepat.event.rejected.v1":
        spans.remove(data["offset"], data["offset"])
        if len(spans) < before:
            if isinstance(data.get("event_id"), str):
                answered.rejected[data["event_id"]] = data
            else:
                answered.nameless.append(data)
    return len(spans) < before
