"""Tells how far each round is, by area, and reads it back into a new database.

Invariants
- An act notes in its own transaction that its round is to be told; what is told is read after that, so in the end every
  round is told as it stands, at most once a minute, and only where that differs from the last time.
- No pseudonym is told, nor who gave what to whom.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import orjson
import structlog
from aiokafka import ConsumerRecord
from tepat_chassis.database import Connection, Database
from tepat_chassis.outbox import put

from tepat_distribution.aid import digest
from tepat_distribution.outgoing import message
from tepat_distribution.rounds import ROUND_HELD, ROUNDS
from tepat_distribution.store import every, queries

log = structlog.get_logger()

ROUND_TOLD: Final = "tepat.round.told.v1"
ROUNDS_AT_ONCE: Final = 50
VILLAGE, KABUPATEN = 13, 5
"""Characters of such a code."""
COUNTED: Final = ("allocated", "handed", "delivered", "returned", "unclaimed", "left")


class Progress:
    """The duty of telling how far rounds are."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock

    async def step(self, connection: Connection) -> bool:
        """Tell of the rounds due the longest, in a transaction of its own; whether there were any."""
        now = self._clock()
        async with connection.transaction():
            due = await every(queries.due_rounds(connection, now=now, at_most=ROUNDS_AT_ONCE))
            rounds = await every(queries.rounds_told_of(connection, rounds=[row["round"] for row in due]))
            if rounds:
                await self._tell(connection, rounds, now)
        return bool(due)

    async def _tell(self, connection: Connection, rounds: Sequence[Any], now: datetime) -> None:
        names = [row["round"] for row in rounds]
        areas: dict[str, list[dict[str, Any]]] = defaultdict(list)
        lengths = [VILLAGE if "." in row["region"] else KABUPATEN for row in rounds]
        for area in await every(queries.areas(connection, rounds=names, lengths=lengths, regions=[])):
            areas[area["round"]].append({name: area[name] for name in ("region", *COUNTED)})
        told = {row["round"]: _told(row, areas[row["round"]]) for row in rounds}
        changed = await every(queries.tell_rounds(
            connection, rounds=names, digests=[digest(told[name]) for name in names], now=now
        ))  # fmt: skip
        await put(connection, [
            message(ROUNDS, f"round|{name}", ROUND_TOLD, revision, now, {**told[name], "revision": revision})
            for name, revision in changed
        ])  # fmt: skip
        log.info("rounds told", rounds=len(changed))


def _told(row: Any, areas: list[dict[str, Any]]) -> dict[str, Any]:
    told = {
        "round": row["round"], "programme": row["programme"], "region": row["region"], "day": row["day"].isoformat(),
        "closes": row["closes"].isoformat(), "state": "open" if row["open"] else "closed", "kind": kind(row),
        "packages": row["packages"], "stock": row["stock"], "ranked": row["ranked"], "areas": areas,
    }  # fmt: skip
    return told if row["each"] is None else {**told, "each": row["each"]}


def kind(row: Any) -> str:
    """What a round gives."""
    return "goods" if row["each"] is None else "cash"


async def keep(database: Database, batch: Sequence[ConsumerRecord]) -> None:
    """Keep what our own topic told: revisions go on above it, and where rounds were held still counts.

    Whom a round was for, and who got it, is told on no topic: a round lost with its database is not opened again.
    """
    latest = {record.key: orjson.loads(record.value) for record in batch if record.value is not None}
    rounds = [event for event in latest.values() if event["type"] == ROUND_TOLD]
    held = [_held(event) for event in latest.values() if event["type"] == ROUND_HELD]
    for event in rounds:
        data, at = event["data"], datetime.fromisoformat(event["time"])
        held += [
            (data["programme"], area["region"], date.fromisoformat(data["day"]), data["round"], area["delivered"],
             data["revision"], at, event["source"])
            for area in data["areas"] if area["delivered"]
        ]  # fmt: skip
    told = [(event["data"].pop("revision"), event) for event in rounds]
    async with database.transaction() as connection:
        await queries.recall_rounds(
            connection, rounds=[event["data"]["round"] for _, event in told], revisions=[each for each, _ in told],
            at=[datetime.fromisoformat(event["time"]) for _, event in told],
            digests=[digest(event["data"]) for _, event in told],
        )  # fmt: skip
        columns = "programmes", "regions", "days", "rounds", "packages", "revisions", "at", "by"
        await queries.recall_held(connection, **{name: [row[at] for row in held] for at, name in enumerate(columns)})


def _held(event: Any) -> tuple[Any, ...]:
    data = event["data"]
    return (
        data["programme"], data["region"], date.fromisoformat(data["day"]), "", data["packages"], data["revision"],
        datetime.fromisoformat(event["time"]), data["reported_by"],
    )  # fmt: skip
