"""A district decided: `python -m services.eligibility.tests.measure`.

30,000 households and 110,000 persons stand on registry.persons.v1; the service, a process on an embedded broker and
database of its own, is timed from its start until every decision of the sample policy is on eligibility.decisions.v1.
Then one criterion is changed, and timed again. Before that: microseconds an evaluation.
"""

import asyncio
import gc
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from tepat_chassis.kafka import declare
from tepat_contracts import envelope, policy, topics
from tepat_contracts.events.ours import PERSON_RESOLVED
from tepat_eligibility.domain import Day, Programme, household_view, person_view
from tepat_local import files, kafka, postgres, tokens
from tepat_local.ports import Ports
from tepat_local.testing import running, wait

HOUSEHOLDS = 30_000
PARTITIONS = 6
POLICY = Path(__file__).parents[3] / "demo" / "tepat_demo" / "policy.yaml"
CHILDREN = "household.members.exists(m, m.age < 6 || m.school_level in ['SD', 'SMP', 'SMA']) && household.decile <= 4"


def district(households: int = HOUSEHOLDS) -> list[list[dict[str, Any]]]:
    """Households of persons as the registry resolves them."""
    rng = random.Random(1)

    def g() -> str:
        return str(UUID(int=rng.getrandbits(128)))

    made = []
    for _ in range(households):
        household, decile, region = g(), rng.randint(1, 10), f"33.74.{rng.randint(1, 16):02d}.{rng.randint(1001, 1015)}"
        members = []
        for _ in range(rng.choice((2, 3, 4, 4, 4, 5))):
            who = g()
            members.append({
                "person": who, "revision": 1, "stands_for": who, "alone": g(), "aliases": [], "region": region,
                "memberships": [
                    {"agency": "dinsos-jateng", "household": household, "since": "2020-01-01", "region": region}
                ],
                "birth_date": date(rng.randint(1940, 2025), rng.randint(1, 12), rng.randint(1, 28)).isoformat(),
                "sex": rng.choice("LP"),
                "attributes": {"decile": decile, "school_level": rng.choice(("SD", "SMP", "SMA", "none"))},
            })  # fmt: skip
        made.append(members)
    return made


def evaluations(households: list[list[dict[str, Any]]]) -> None:
    """Microseconds a decision: the sample policy's criteria, and one that looks at every member."""
    day = Day(datetime.now(UTC).date())
    views = [[person_view(told, day) for told in members] for members in households]
    whole = [household_view(members) for members in views]
    told = {each.code: each for each in policy.load(POLICY.read_text()).programmes}
    pkh, pip = told["PKH"], told["PIP"]
    for name, ruled in (
        ("a household's decile", pkh),
        ("a pupil", pip),
        ("every member", pkh.model_copy(update={"criteria": CHILDREN})),
    ):
        programme = Programme(ruled)
        people = [
            (view if ruled.unit == "person" else None, household)
            for members, household in zip(views, whole, strict=True)
            for view in members[: None if ruled.unit == "person" else 1]
        ]
        started = time.process_time()
        for person, household in people:
            programme.decide(person, household, day)
        kept = len(programme._decided)
        micros = (time.process_time() - started) / len(people) * 1e6
        print(f"{name}: {micros:.1f} µs a decision over {len(people):,}, {kept:,} evaluated")


@asynccontextmanager
async def producing(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, max_batch_size=512 * 1024)
    await producer.start()
    yield producer
    await producer.stop()


async def apply(producer: AIOKafkaProducer, document: dict[str, Any]) -> None:
    event = envelope.event(
        service="policy", type="tepat.policy.applied.v1", id=document["version"], time=datetime.now(UTC), data=document
    )
    await producer.send_and_wait("policy.v1", envelope.write(event), key=document["version"].encode())


async def announced(bootstrap: str, wanted: int) -> None:
    """Wait until so many decisions are on their topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed")
    await consumer.start()
    partitions = [TopicPartition("eligibility.decisions.v1", n) for n in range(PARTITIONS)]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    seen = 0
    while seen < wanted:
        seen += sum(map(len, (await consumer.getmany(timeout_ms=500)).values()))
    await consumer.stop()


async def measure(bootstrap: str, database: str, data: Path) -> None:
    households = district()
    evaluations(households)
    persons = [told for members in households for told in members]
    random.Random(2).shuffle(persons)
    await declare(bootstrap, topics.own(PARTITIONS))
    document = policy.load(POLICY.read_text()).document()
    async with producing(bootstrap) as producer:
        await apply(producer, document)
        for told in persons:
            event = envelope.event(
                service="registry", type=PERSON_RESOLVED, id=f"{told['person']}-1", time=datetime.now(UTC), data=told
            )
            await producer.send("registry.persons.v1", envelope.write(event), key=told["person"].encode())
        await producer.flush()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        flags = {
            "kafka": bootstrap, "eligibility-url": database, "secrets": data / "secrets",
            "jwks": data / "keys" / "jwks.json", "issuer": tokens.ISSUER, "partitions": PARTITIONS, "http-port": port,
        }  # fmt: skip
        started = time.perf_counter()
        with (data / "service.log").open("wb") as log:
            service = subprocess.Popen(  # noqa: ASYNC220 – nothing else runs here
                [sys.executable, "-m", "tepat_eligibility", *(f"--{name}={value}" for name, value in flags.items())],
                stdout=log, env={"PATH": os.environ["PATH"]},
            )  # fmt: skip
        try:
            wanted = 3 * len(households) + len(persons)
            await announced(bootstrap, wanted)
            told_by(started, service, f"{len(households):,} households, {len(persons):,} persons", wanted, data)
            document["version"] = "another"
            document["programmes"][0]["criteria"] = "household.decile <= 3"
            started, poorest = time.perf_counter(), sum(m[0]["attributes"]["decile"] == 4 for m in households)
            await apply(producer, document)
            await announced(bootstrap, wanted + poorest)
            told_by(started, service, "another policy", poorest, data)
        finally:
            service.terminate()
            service.wait(10)


def told_by(started: float, service: "subprocess.Popen[bytes]", what: str, decisions: int, data: Path) -> None:
    seconds = time.perf_counter() - started
    busy = sum(psutil.Process(service.pid).cpu_times()[:2])
    logged = [orjson.loads(line) for line in (data / "service.log").read_bytes().splitlines()]
    kept = sum(line.get("decisions", 0) for line in logged)
    print(
        f"{what}: {decisions:,} decisions on the topic in {seconds:.1f} s ({decisions / seconds:,.0f}/s); "
        f"{kept:,} announced so far, the service busy for {busy:.1f} s, load {os.getloadavg()[0]:.1f}"
    )


def main() -> None:
    gc.disable()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder)
        tokens.issue(data)
        tokens.make_secrets(data / "secrets")
        ports = Ports(data / "ports.json")
        broker = kafka.Kafka(data / "kafka", ports["kafka"], ports["controller"])
        broker.prepare()
        stack.enter_context(running(broker.command(), data, "kafka"))
        wait(lambda: kafka.answers(broker.bootstrap), "kafka", data)
        server = postgres.Postgres(data / "postgres", ports["postgres"], files.socket_dir(data) / "pg")
        server.prepare()
        stack.enter_context(running(server.command(), data, "postgres", server.account))
        url = server.url("postgres", postgres.ADMIN)
        wait(lambda: postgres.answers(url), "postgres", data)
        asyncio.run(measure(broker.bootstrap, url, data))


if __name__ == "__main__":
    main()
