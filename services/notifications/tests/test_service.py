"""The service as a process on a real broker, killed at each step of a notice's way: none is sent twice."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from tepat_chassis.database import Database
from tepat_chassis.kafka import declare, known
from tepat_contracts import envelope
from tepat_contracts.topics import own
from tepat_local import tokens

from .conftest import MIGRATIONS, POLICY, Mail, overlap

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

PARTITIONS = 2
SECONDS = 60


def event(type_name: str, data: dict[str, Any], service: str = "distribution") -> bytes:
    return envelope.write(
        envelope.event(service=service, type=type_name, id=str(uuid4()), time=datetime.now(UTC), data=data)
    )


def detected(number: int, revision: int = 1, **what: Any) -> bytes:
    o = overlap(number, revision, **what)
    return event("tepat.overlap.detected.v1", {
        "overlap_id": o.overlap_id, "revision": revision, "rule": o.rule, "verdict": o.verdict, "scope": "household",
        "household": o.household, "region": o.region, "amount_at_risk": o.amount_at_risk, "policy_version": "n-1",
        "during": {"from": o.starts, "to": o.ends},
        "payouts": [
            {"agency": o.agency_a, "payout_id": o.payout_a, "revision": 0, "state": "planned",
             "programme": o.programme_a, "amount": o.amount_a},
            {"agency": o.agency_b, "payout_id": o.payout_b, "revision": 0, "state": "planned",
             "programme": o.programme_b, "amount": o.amount_b},
        ],
    })  # fmt: skip


def cleared(number: int, revision: int) -> bytes:
    o = overlap(number, revision)
    payouts = [
        {"agency": o.agency_a, "payout_id": o.payout_a},
        {"agency": o.agency_b, "payout_id": o.payout_b},
    ]
    told = {"overlap_id": o.overlap_id, "revision": revision, "payouts": payouts, "reason": "payout_ended"}
    return event("tepat.overlap.cleared.v1", told)


def rejected(agency: str, offset: int) -> bytes:
    place = {"topic": f"agency.{agency}.payouts.v1", "partition": 0, "offset": offset}
    return event("tepat.event.rejected.v1", place | {"reason": "nik_invalid", "message": "…"})


async def until(happens: Callable[[], Any], what: str) -> Any:
    """What ``happens`` gives, once it gives something."""
    async with asyncio.timeout(SECONDS):
        while True:
            value = happens()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.05)
    raise AssertionError(what)


@dataclass
class Running:
    """A notifications service of its own: topics are the broker's, so agencies have names of their own."""

    kafka: str
    database: str
    data: Path
    mail: Mail
    secrets: Path
    producer: AIOKafkaProducer
    routes: dict[str, Any] = field(default_factory=lambda: {"digest_at": "07:00"})
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> subprocess.Popen[bytes]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TEPAT_KAFKA": self.kafka,
            "TEPAT_NOTIFICATIONS_URL": self.database,
            "TEPAT_SECRETS": str(self.secrets),
            "TEPAT_JWKS": str(self.data / "keys" / "jwks.json"),
            "TEPAT_ISSUER": tokens.ISSUER,
            "TEPAT_PARTITIONS": str(PARTITIONS),
            "TEPAT_HTTP_PORT": str(self.port),
            "TEPAT_NOTIFICATIONS_SMTP": self.mail.address,
            "TEPAT_NOTIFICATIONS_GATHER_SECONDS": "0.3",
            "TEPAT_NOTIFICATIONS_LINK": self.url,
        }
        with (self.data / f"log-{len(self.processes)}").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tepat_notifications"], env=environment, stdout=log, stderr=log, cwd=self.data
            )
        self.processes.append(process)
        return process

    def kill(self) -> None:
        """Kill -9 the process that was started last."""
        self.processes[-1].send_signal(signal.SIGKILL)
        self.processes[-1].wait(10)

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.data.glob("log-*")))

    async def publish(self, topic: str, *values: bytes, partition: int | None = None) -> None:
        """Publish as a relay does, in one transaction; records of one overlap in its partition."""
        async with self.producer.transaction():
            sent = [await self.producer.send(topic, value, key=b"any", partition=partition) for value in values]
            await asyncio.gather(*sent)

    async def apply(self) -> None:
        document = POLICY | {"routes": self.routes}
        await self.publish("policy.v1", event("tepat.policy.applied.v1", document, "policy"))

    async def fetch(self, query: str) -> list[Any]:
        connection = await asyncpg.connect(self.database)
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    async def states(self) -> dict[str, list[str]]:
        rows = await self.fetch("select agency, state from delivery order by delivery_id")
        found: dict[str, list[str]] = {}
        for row in rows:
            found.setdefault(row["agency"], []).append(row["state"])
        return found

    async def get(self, path: str, role: str = "reader", **params: Any) -> Any:
        async with httpx.AsyncClient(base_url=self.url) as client:
            token = (self.data / "tokens" / role).read_text()
            answer = await client.get(path, params=params, headers={"Authorization": f"Bearer {token}"})
            answer.raise_for_status()
            return answer.json()

    async def post(self, path: str, body: Any, role: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url) as client:
            token = (self.data / "tokens" / role).read_text()
            return await client.post(path, json=body, headers={"Authorization": f"Bearer {token}"})

    async def idle(self) -> None:
        """Wait until it has taken and sent everything."""

        async def told() -> bool:
            try:
                status = await self.get("/v1/status")
            except httpx.HTTPError:
                assert self.processes[-1].poll() is None, self.log()[-4_000:]
                return False
            return bool(status["ready"] and status["idle"])

        await until(told, "idle")

    async def delivered(self) -> list[dict[str, Any]]:
        """The data on notifications.deliveries.v1 about this database's notices, by partition and offset."""
        topic = "notifications.deliveries.v1"
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.kafka, isolation_level="read_committed", auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            partitions = await partitions_of(self.kafka, topic)
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            found = []
            while any([await consumer.position(p) < ends[p] for p in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [orjson.loads(record.value)["data"] for record in records]
        finally:
            await consumer.stop()
        ours = {str(row["delivery_id"]) for row in await self.fetch("select delivery_id from delivery")}
        return [each for each in found if each["delivery_id"] in ours]


@pytest.fixture
async def running(kafka: str, database: str, tmp_path: Path, mail: Mail, secrets: Path) -> AsyncIterator[Running]:
    tokens.issue(tmp_path)
    await declare(kafka, own(PARTITIONS))
    await declare(kafka, [known(f"agency.{agency['id']}.receipts.v1", PARTITIONS) for agency in POLICY["agencies"]])
    await from_here_on(kafka, database)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"test-{uuid4()}")
    await producer.start()
    made = Running(kafka, database, tmp_path, mail, secrets, producer)
    yield made
    for process in made.processes:
        process.kill()
        process.wait(10)
    await producer.stop()


async def partitions_of(kafka: str, *names: str) -> list[TopicPartition]:
    """The partitions of topics, of all where none is named."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        described = await admin.describe_topics(list(names) or None)
        return [TopicPartition(topic["topic"], p["partition"]) for topic in described for p in topic["partitions"]]
    finally:
        await admin.close()


async def from_here_on(kafka: str, url: str) -> None:
    """Let the service begin behind what other tests have written."""
    database = Database(url, service="notifications")
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    await database.open(*MIGRATIONS)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(await partitions_of(kafka))
        await database.pool.executemany(
            "insert into position values ($1, $2, $3)", [(p.topic, p.partition, end) for p, end in ends.items()]
        )
    finally:
        await consumer.stop()
        await database.close()


async def test_from_topics_to_mailbox_and_back_to_a_topic(running: Running) -> None:
    running.start()
    await running.apply()
    announced = [detected(number) for number in range(300)]
    await running.publish("distribution.overlaps.v1", *announced, partition=0)
    await running.publish("distribution.overlaps.v1", detected(1_000, verdict="review"), b"not JSON", partition=1)
    await running.publish("agency.dinsos.receipts.v1", *(rejected("dinsos", offset) for offset in range(5)))
    await running.mail.wait(2)
    await running.idle()
    told = sum("300 pasang" in text.get_content() or "300 pairs" in text.get_content() for text in running.mail.texts)
    assert told == 2

    # Announced again, in another order and older revisions last: nobody is told anything new.
    await running.publish(
        "distribution.overlaps.v1", *reversed(announced), detected(1, 3), detected(1, 2, amount_a=1), partition=0
    )
    await running.idle()
    assert len(running.mail.texts) == 2
    assert '"event":"a record cannot be read and is passed over"' in running.log().replace('": "', '":"')

    summary = await running.get("/v1/notices/summary")
    assert summary == {
        "by_state": {"queued": 3, "sent": 2}, "by_kind": {"digest": 2, "overlaps": 2, "rejections": 1},
        "by_channel": {"email": {"queued": 3, "sent": 2}}, "sent": 2, "climbed": 0,
    }  # fmt: skip
    assert (await running.get("/v1/status"))["channels"] == {"email": "closed"}
    assert (await running.post("/v1/digests/run", {"now": True}, "reader")).status_code == 403
    assert (await running.post("/v1/digests/run", {"now": "perhaps"}, "operator")).status_code == 422
    assert (await running.post("/v1/digests/run", {}, "operator")).json() == {"due": 0}
    assert (await running.post("/v1/digests/run", {"now": True}, "operator")).json() == {"due": 3}
    await running.mail.wait(5)
    await running.idle()
    acts = await running.fetch("select who, act, detail from act order by id")
    assert [(row["who"], row["act"], json.loads(row["detail"])) for row in acts] == [
        ("operator", "digests.run", {"now": False, "due": 0}), ("operator", "digests.run", {"now": True, "due": 3}),
    ]  # fmt: skip
    assert "5 data ditolak" in next(text["Subject"] for text in running.mail.texts if "ditolak" in text["Subject"])

    page = await running.get("/v1/notices", limit=3)
    rest = await running.get("/v1/notices", limit=3, cursor=page["next"])
    assert len(page["items"]) == 3 and len(rest["items"]) == 2 and rest["next"] is None  # noqa: PT018
    (one,) = (await running.get("/v1/notices", agency="dinsos", kind="overlaps", state="sent"))["items"]
    assert (one["causes"], one["verdict"], one["recipient"]) == (300, "exclusive", "pkh@dinsos.invalid")
    assert "body" not in one

    for name in (str(overlap(7).overlap_id), "dinsos/PKH-7", "PKH-7", overlap(7).code, str(overlap(7).household)):
        steps = (await running.get(f"/v1/trace/{name.replace('/', '%2F')}"))["steps"]
        assert [step["what"] for step in steps] == ["overlap taken", *2 * ["notice sending"], *2 * ["notice sent"]]
        assert {step["detail"]["overlap_id"] for step in steps} == {str(overlap(7).overlap_id)}
    assert (await running.get("/v1/trace/himbara/PKH-7"))["steps"] == []
    assert (await running.get("/v1/trace/nothing"))["steps"] == []

    recorded = await running.delivered()
    assert len(recorded) == 5
    assert {each["state"] for each in recorded} == {"sent"}
    read = {f"agency.{agency['id']}.receipts.v1" for agency in POLICY["agencies"]}
    assert read <= set((await running.get("/v1/status"))["topics"])


async def test_a_report_is_told_by_route_climbs_and_is_acknowledged_by_link(running: Running) -> None:
    people = [{"name": "Miroto", "role": "lurah", "region": "33.74.01.1001", "contact": {"email": "l@kel.invalid"}}]
    then = [{"to": {"agency": "dinsos"}}]
    route = {"kinds": ["report"], "to": {"officers": "lurah"}, "acknowledge": {"within": "PT2S", "then": then}}
    overlaps = {"kinds": ["overlap"], "to": {"officers": "lurah"}, "when": "digest"}
    running.routes = {"recipients": {"lurah": people}, "notices": [route, overlaps]}
    running.start()
    await running.apply()
    report = {"report_id": "L-1", "revision": 1, "agency": "dpmd", "kind": "flood", "region": "33.74.01.1001",
              "step": "kelurahan", "state": "waiting", "in_charge": "dinsos"}  # fmt: skip
    await running.publish("registry.reports.v1", event("tepat.report.routed.v1", report, "registry"))
    texts = await running.mail.wait(2)
    assert [text["To"] for text in texts] == ["l@kel.invalid", "pkh@dinsos.invalid"]
    await running.publish("distribution.overlaps.v1", detected(7), partition=0)
    await running.idle()
    trace = (await running.get(f"/v1/trace/{overlap(7).code}"))["steps"]
    assert [step["what"] for step in trace] == ["overlap taken", "notice waiting"]
    assert (await running.post("/v1/digests/run", {"now": True}, "operator")).json()["due"] >= 1
    await running.mail.wait(3)
    await running.idle()
    trace = (await running.get(f"/v1/trace/{overlap(7).code}"))["steps"]
    assert [step["what"] for step in trace] == ["overlap taken", "notice sending", "notice sent"]
    assert trace[-1]["detail"]["agency"] == "lurah/Miroto"

    (link,) = {word for word in texts[0].get_content().split() if "/v1/acknowledge/" in word}
    code = texts[0].get_content().partition("Kasus ")[2][:8]
    told = await running.get(f"/v1/notices/{code}")
    (cause,) = told["causes"]
    assert [(each["recipient"], each["level"], each["state"]) for each in cause["heard"]] == [
        ("lurah/Miroto", 0, "sent"), ("dinsos", 1, "sent"),
    ]  # fmt: skip
    assert cause["awaited"]["level"] == 1
    assert (await running.post(f"/v1/notices/{code}/acknowledge", {}, "reader")).status_code == 403
    assert (await running.post("/v1/notices/NOSUCH/acknowledge", {}, "officer")).status_code == 404
    async with httpx.AsyncClient() as client:
        assert "Konfirmasi / Confirm" in (await client.get(link)).text
        assert "sudah dikonfirmasi" in (await client.post(link)).text
    assert (await running.post(f"/v1/notices/{code}/acknowledge", {}, "officer")).json()["acknowledged"] == 0
    (climbed,) = (await running.get("/v1/notices", level=1))["items"]
    assert climbed["agency"] == "dinsos"
    assert climbed["acknowledged_at"]
    await running.idle()
    recorded = await running.delivered()
    assert {(each["agency"], each["level"]) for each in recorded if "acknowledged" in each} == {
        ("lurah", 0), ("dinsos", 1),
    }  # fmt: skip


async def crashed_and_taken_up(running: Running) -> dict[str, list[str]]:
    """Kill the service, start it anew and let it do all that is left."""
    running.kill()
    running.mail.at_recipient = lambda address: None
    running.mail.at_text = lambda server: None
    running.start()
    await running.idle()
    # What comes after goes out as ever.
    await running.publish("distribution.overlaps.v1", detected(2), partition=0)
    await until(lambda: len([1 for _, code in running.mail.tellings() if code == overlap(2).code]) == 2, "the next")
    await running.idle()
    return await running.states()


def blocking() -> tuple[Callable[..., None], Any]:
    """A mail server that stays at a step, and when it was reached."""
    reached, end = threading.Event(), threading.Event()

    def stay(_: Any) -> None:
        reached.set()
        end.wait(20)

    return stay, reached


@pytest.mark.parametrize("step", ["queued", "before the text", "text taken, answer not", "recorded"])
async def test_killed_at_each_step_nothing_is_sent_twice(running: Running, step: str) -> None:
    stay, reached = blocking()
    if step == "before the text":
        running.mail.at_recipient = stay
    elif step == "text taken, answer not":

        def keep(server: Any) -> None:
            running.mail.texts.append(running.mail.parsed[-1])
            stay(server)

        running.mail.at_text = keep
    running.start()
    await running.apply()
    await running.publish("distribution.overlaps.v1", detected(1), partition=0)
    if step == "queued":
        await until(running.states, "queued")
    elif step == "recorded":
        await running.mail.wait(2)
        await running.idle()
    else:
        assert await asyncio.to_thread(reached.wait, SECONDS)
    states = await crashed_and_taken_up(running)
    first = [code for _, code in running.mail.tellings() if code == overlap(1).code]
    addresses = sorted(address for address, code in running.mail.tellings() if code == overlap(1).code)
    assert len(addresses) == len(set(addresses))
    match step:
        case "before the text":
            # Both were being sent: nobody got anything, and nobody can know.
            assert first == []
            assert states == {"dinsos": ["doubtful", "sent"], "himbara": ["doubtful", "sent"]}
        case "text taken, answer not":
            assert len(first) in (1, 2)
            assert {each for row in states.values() for each in row} == {"doubtful", "sent"}
        case _:
            assert len(first) == 2
            assert states == {"dinsos": ["sent", "sent"], "himbara": ["sent", "sent"]}
    doubted = [each for each in await running.delivered() if each["state"] == "doubtful"]
    assert sorted(each["agency"] for each in doubted) == sorted(a for a, row in states.items() if "doubtful" in row)
    for each in doubted:
        assert each["causes"] == [str(overlap(1).overlap_id)]
        assert each["reason"] == "the service ended while it was being sent"


async def test_a_stop_ends_in_time_and_what_waits_goes_out_later(running: Running) -> None:
    process = running.start()
    await running.apply()
    await running.publish("distribution.overlaps.v1", detected(1, verdict="review"), partition=0)
    await running.idle()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 5) == 0
    running.start()
    await running.idle()
    assert (await running.post("/v1/digests/run", {"now": True}, "operator")).json() == {"due": 2}
    assert len(await running.mail.wait(2)) == 2
