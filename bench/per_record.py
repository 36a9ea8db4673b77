"""The same work by a handler called once per record, as FastStream's own users would first write it.

Each record is validated, its payout upserted by revision, its household's overlaps recomputed, the difference
announced, and the record acknowledged: one transaction and one announcement at a time. The acknowledgement commits no
position (a plain ``KafkaMessage`` has none to commit): a broker of 4.1 takes some 10 ms for each, ten times the rest.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import asyncpg
import orjson
import psutil
from aiokafka import ConsumerRecord
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from tepat_chassis.pseudonyms import Pseudonyms
from tepat_contracts.door import Door, Refused
from tepat_contracts.policy import PolicyIndex, from_document
from tepat_contracts.topics import Kind, Topic

from bench import workload

OVERLAPS = Topic("bench.per_record.overlaps.v1", "overlap id", "compact", ("bench",), ("bench",), partitions=6)
STATES = {"tepat.payout.disbursed.v1": 1, "tepat.payout.cancelled.v1": 2}
EXCLUSIVE, REVIEW = ("PKH", "BLT-DD"), ("PKH", "BPNT")

SCHEMA = """
create table payout (payout_id text primary key, revision bigint, rank int, event_time timestamptz, event_id text,
    person uuid, household uuid, programme text, starts date, ends date, amount bigint);
create index on payout (household);
create table overlap (overlap_id uuid primary key, household uuid, verdict text, amount bigint, live boolean);
create index on overlap (household);"""

UPSERT = """
insert into payout values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (payout_id) do update set revision = excluded.revision, rank = excluded.rank,
    event_time = excluded.event_time, event_id = excluded.event_id, person = coalesce(excluded.person, payout.person),
    household = coalesce(excluded.household, payout.household),
    programme = coalesce(excluded.programme, payout.programme), starts = coalesce(excluded.starts, payout.starts),
    ends = coalesce(excluded.ends, payout.ends), amount = coalesce(excluded.amount, payout.amount)
where (excluded.revision, excluded.rank, excluded.event_time, excluded.event_id)
    > (payout.revision, payout.rank, payout.event_time, payout.event_id)
returning household"""

PAIRS = """
select a.payout_id as a, b.payout_id as b, a.person = b.person as same, a.programme as pa, b.programme as pb,
       least(a.amount, b.amount) as amount
from payout a join payout b on b.household = a.household and a.payout_id < b.payout_id
     and a.starts <= b.ends and b.starts <= a.ends
where a.household = $1 and a.rank < 2 and b.rank < 2"""


async def run(
    kafka: str,
    url: str,
    cpu_seconds: Callable[[], dict[str, float]],
    records: int,
    taken_to: dict[int, int] | None = None,
) -> dict[str, Any]:
    """Take ``records`` of the workload, one by one; payouts a second. ``taken_to`` is told how far, by partition."""
    pool = await asyncpg.create_pool(url, min_size=1, max_size=2)
    await pool.execute(SCHEMA)
    broker = KafkaBroker(kafka, apply_types=False, logger=None)
    publisher = broker.publisher(OVERLAPS.name)
    door, pseudonyms = Door(Kind.PAYOUTS), Pseudonyms(b"k" * 32)
    policy = PolicyIndex(from_document(workload.POLICY))
    done, taken = asyncio.Event(), 0
    started = 0.0
    cpu: dict[str, float] = {}

    def spent() -> dict[str, float]:
        return cpu_seconds() | {"engine": time.process_time()}

    async def handle(message: KafkaMessage) -> None:
        nonlocal taken, started, cpu
        if taken == 0:
            started, cpu = time.perf_counter(), spent()
        record: Any = message.raw_message
        await _take(record, pool, door, policy, pseudonyms, publisher)
        await message.ack()
        if taken_to is not None:
            taken_to[record.partition] = record.offset + 1
        taken += 1
        if taken == records:
            done.set()

    async def whole(message: ConsumerRecord) -> KafkaMessage:
        return KafkaMessage(raw_message=message, body=b"", consumer=subscriber.consumer)

    async def undecoded(message: KafkaMessage) -> KafkaMessage:
        return message

    subscriber: Any = broker.subscriber(
        workload.TOPIC, group_id="per-record", auto_offset_reset="earliest", ack_policy=AckPolicy.MANUAL,
        parser=whole, decoder=undecoded,
    )  # fmt: skip
    subscriber(handle)
    await broker.start()
    await done.wait()
    seconds = time.perf_counter() - started
    after = spent()
    await broker.stop()
    await pool.close()
    return {
        "payouts_per_second": records / seconds,
        "seconds": seconds,
        "cpu_seconds_per_million": {part: (after[part] - cpu[part]) / records * 1e6 for part in after},
        "rss_mb": psutil.Process().memory_info().rss / 1e6,
        "payouts": records,
    }


async def _take(
    record: ConsumerRecord, pool: Any, door: Any, policy: PolicyIndex, pseudonyms: Pseudonyms, publisher: Any
) -> None:
    try:
        event = door.admit(record.value, record.headers, workload.AGENCY, policy)
    except Refused:
        return
    data, rank = event["data"], STATES[event["type"]]
    row: list[Any] = [data["payout_id"], data["revision"], rank, event["time"], event["id"]]
    if rank == 1:
        nik, kk, covers = data["recipient"]["nik"], data["recipient"]["kk"], data["covers"]
        row += [
            uuid.UUID(bytes=pseudonyms.nik(nik)), uuid.UUID(bytes=pseudonyms.kk(kk)), data["programme"],
            covers["from"], covers["to"], data["benefit"]["amount"],
        ]  # fmt: skip
    else:
        row += [None] * 6
    async with pool.acquire() as connection, connection.transaction():
        household = await connection.fetchval(UPSERT, *row)
        if household is None:
            return
        wanted = {}
        for pair in await connection.fetch(PAIRS, household):
            programmes = (pair["pa"], pair["pb"])
            exclusive = (pair["pa"] == pair["pb"] and pair["same"]) or set(programmes) == set(EXCLUSIVE)
            if exclusive or set(programmes) == set(REVIEW):
                identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{pair['a']}|{pair['b']}")
                wanted[identity] = ("exclusive" if exclusive else "review", pair["amount"])
        have = {
            o["overlap_id"]: (o["verdict"], o["amount"])
            for o in await connection.fetch("select * from overlap where household = $1 and live", household)
        }
        for identity in have.keys() | wanted.keys():
            if have.get(identity) != wanted.get(identity):
                verdict, amount = wanted.get(identity) or have[identity]
                await connection.execute(
                    "insert into overlap values ($1, $2, $3, $4, $5) on conflict (overlap_id) "
                    "do update set verdict = $3, amount = $4, live = $5",
                    identity, household, verdict, amount, identity in wanted,
                )  # fmt: skip
                told = {"overlap_id": str(identity), "verdict": verdict, "amount": amount, "live": identity in wanted}
                await publisher.publish(orjson.dumps(told), key=str(identity).encode())
