"""The load: a sample district, then another, with visits between, at a steady pace until told to stop.

Invariants
- One seed gives one sequence of records, whatever happens to the servers meanwhile.
- Of every record sent it is known whether, and for what reason, the door must refuse it.
- A record that the broker did not confirm is sent again; where it stood there after all it stands twice, which an
  agency may do.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any
from zlib import crc32

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from tepat_contracts.envelope import STRUCTURED_HEADERS
from tepat_demo.district import REGISTRAR, District, Message

from .servers import PARTITIONS

HOUSEHOLDS = 400
VISIT_EVERY = 12
"""Records of the district between two visits."""
AT_ONCE = 20
PATIENCE_MS = 600_000
"""How long the client holds on to a record while the broker is away."""


def records(seed: int) -> Iterator[tuple[Message, str | None]]:
    """Records without end, each with the reason for which it must be refused. District after district has the same
    ids: what one told of a payout or person the next one corrects."""
    for number in count():
        niks: list[str] = []
        for index, (message, refused) in enumerate(District(seed * 1_000 + number, HOUSEHOLDS).judged()):
            yield message, refused
            if refused is None and b"tepat.person.recorded.v1" in message[2]:
                niks.append(message[1].decode())
            if index % VISIT_EVERY == 0 and niks:
                yield _visit(f"{number}-{index}", niks[index % len(niks)]), None


def _visit(id_: str, nik: str) -> Message:
    data = {
        "verification_id": f"V-{id_}", "revision": 0, "batch": f"B-{id_}", "nik": nik, "outcome": "confirmed",
        "verified_on": "2026-02-01", "officer": "petugas", "region": "33.74.01.1001", "answers": {},
    }  # fmt: skip
    value = event(REGISTRAR, "verification.recorded", f"visit:{id_}", data)
    return f"agency.{REGISTRAR}.verifications.v1", id_.encode(), value


def event(agency: str, type_: str, id_: str, data: dict[str, Any]) -> bytes:
    """An event of an agency, as its bytes."""
    return json.dumps({
        "specversion": "1.0", "id": id_, "source": f"urn:tepat:agency:{agency}", "type": f"tepat.{type_}.v1",
        "time": "2026-01-05T08:00:00+07:00", "data": data,
    }).encode()  # fmt: skip


def fingerprint(value: bytes | None) -> bytes:
    """By which a record is known again on its topic."""
    return hashlib.sha256(value or b"").digest()


class Load:
    """Sends records at a pace, in a task of its own.

    `refusals` are the reasons by fingerprint, of all those sent so far; a value is sent for one reason only.
    """

    def __init__(self, kafka: str, seed: int, a_second: float) -> None:
        self.refusals: dict[bytes, str] = {}
        self.sent: Counter[str] = Counter()
        self._records = records(seed)
        self._a_second = a_second
        self._stopping = asyncio.Event()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=kafka, enable_idempotence=True, compression_type="zstd", linger_ms=5,
            request_timeout_ms=PATIENCE_MS, max_batch_size=128 * 1024,
        )  # fmt: skip

    async def run(self) -> None:
        """Send until stopped."""
        await self._producer.start()
        try:
            while not self._stopping.is_set():
                await self._portion()
                try:
                    await asyncio.wait_for(self._stopping.wait(), AT_ONCE / self._a_second)
                except TimeoutError:
                    continue
        finally:
            await self._producer.stop()

    def stop(self) -> None:
        """End after the portion in hand."""
        self._stopping.set()

    async def _portion(self) -> None:
        portion = [next(self._records) for _ in range(AT_ONCE)]
        for (_, _, value), refused in portion:
            if refused is not None:
                self.refusals[fingerprint(value)] = refused
        left = [message for message, _ in portion]
        while left:
            sent = await asyncio.gather(*map(self._send, left), return_exceptions=True)
            for error in sent:
                if isinstance(error, BaseException) and not isinstance(error, KafkaError | OSError):
                    raise error
            left = [message for message, error in zip(left, sent, strict=True) if isinstance(error, BaseException)]

    async def _send(self, message: Message) -> None:
        topic, key, value = message
        await self._producer.send_and_wait(
            topic, value, key=key, partition=crc32(key) % PARTITIONS, headers=STRUCTURED_HEADERS
        )
        self.sent[topic.split(".")[2]] += 1
