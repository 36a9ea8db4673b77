"""The service as a process, on a real broker and a real database: by its topics and its answers alone.

Topics are the broker's, so each test has a province of its own: another secret, households and agencies of other
names.
"""

import asyncio
import os
import secrets as random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
from aiokafka import AIOKafkaProducer
from pydantic import TypeAdapter
from tepat_chassis.kafka import declare, known, read_to_end
from tepat_chassis.pseudonyms import Pseudonyms, as_uuid
from tepat_contracts import envelope
from tepat_contracts.events.ours import DecisionMade
from tepat_contracts.topics import Kind, inbound_name, own, receipts_name
from tepat_local import tokens

from .conftest import g, nik, person, policy, programme, renewed, visited

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

PARTITIONS = 2
SECONDS = 120
PERSONS = "registry.persons.v1"
HOUSEHOLDS = "registry.households.v1"
DECISIONS = "eligibility.decisions.v1"


async def until(happens: Callable[[], Awaitable[Any]], what: Callable[[], str]) -> Any:
    """What ``happens`` gives, once it gives something."""
    try:
        async with asyncio.timeout(SECONDS):
            while not (value := await happens()):  # noqa: ASYNC110 – another process, which signals nothing
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(what()) from None
    return value


@dataclass
class Province:
    """Eligibility as processes, what it is told, and what it announces."""

    kafka: str
    database: str
    data: Path
    producer: AIOKafkaProducer
    name: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)

    def agency(self, role: str) -> str:
        return f"{role}-{self.name}"

    def home(self, name: str) -> str:
        """The name of a household of this province."""
        return f"{self.name} {name}"

    def nik(self, serial: int) -> str:
        pseudonyms = Pseudonyms((self.data / "secrets" / "main").read_bytes())
        return str(as_uuid(pseudonyms.nik(nik(serial))))

    def lives(self, home: str) -> dict[str, Any]:
        return {"agency": self.agency("dinsos"), "household": g(home), "since": "2020-01-01", "region": "33.74"}

    def start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.ports.append(free.getsockname()[1])
        environment = {
            "PATH": os.environ["PATH"],
            "TEPAT_KAFKA": self.kafka,
            "TEPAT_ELIGIBILITY_URL": self.database,
            "TEPAT_SECRETS": str(self.data / "secrets"),
            "TEPAT_JWKS": str(self.data / "keys" / "jwks.json"),
            "TEPAT_ISSUER": tokens.ISSUER,
            "TEPAT_PARTITIONS": str(PARTITIONS),
            "TEPAT_HTTP_PORT": str(self.ports[-1]),
            "TEPAT_BATCH_RECORDS": "200",
        }
        with (self.data / f"log-{len(self.processes)}").open("wb") as log:
            command = [sys.executable, "-m", "tepat_eligibility"]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.data)
        self.processes.append(process)

    def stop(self) -> None:
        self.processes[-1].send_signal(signal.SIGKILL)
        self.processes[-1].wait(10)

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.data.glob("log-*")))

    def end_of_log(self) -> str:
        return self.log()[-4_000:]

    async def ready(self, document: dict[str, Any]) -> None:
        """Apply a policy, its agencies belonging to this province, and wait until it is in force."""
        for agency in document["agencies"]:
            agency["id"] = self.agency(agency["id"])
        document["version"] = version = f"{document['version']}-{self.name}"
        told = envelope.event(
            service="policy", type="tepat.policy.applied.v1", id=version, time=datetime.now(UTC), data=document
        )
        await self.producer.send_and_wait("policy.v1", envelope.write(told), key=version.encode())

        async def followed() -> bool:
            return (await self.status()).get("policy_version") == version

        await until(followed, self.end_of_log)

    async def tell(self, topic: str, events: Iterable[dict[str, Any]]) -> None:
        """Publish what the registry tells."""
        sent = []
        for told in events:
            key = (told["data"].get("person") or told["data"]["household"]).encode()
            sent.append(await self.producer.send(topic, envelope.write(told), key=key))
        await asyncio.gather(*sent)

    async def status(self, process: int = -1) -> dict[str, Any]:
        try:
            return (await self.get("status", process)).json()  # type: ignore[no-any-return]
        except httpx.HTTPError:
            assert self.processes[process].poll() is None, self.end_of_log()
            return {}

    async def idle(self) -> None:
        """Wait until all that was published is taken, decided and announced, whichever instance it falls to."""

        async def rests() -> bool:
            living = [n for n, process in enumerate(self.processes) if process.returncode is None]
            told = [await self.status(n) for n in living]
            return all(status.get("ready") and status.get("idle") for status in told)

        await until(rests, self.end_of_log)

    async def get(self, path: str, process: int = -1, **params: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.ports[process]}/v1/") as client:
            token = (self.data / "tokens" / "reader").read_text()
            return await client.get(path, params=params, headers={"Authorization": f"Bearer {token}"})

    async def read(self, topic: str) -> list[Any]:
        """All committed records of a topic, partition by partition, by offset."""
        records: list[Any] = []

        async def keep(batch: Sequence[Any]) -> None:
            records.extend(batch)

        await read_to_end(self.kafka, [topic], keep)
        return sorted(records, key=lambda record: (record.partition, record.offset))

    async def decided(self, subjects: set[str]) -> dict[tuple[str, str], dict[str, Any]]:
        """The last decision announced of each. By offset revisions never fall, and none has two contents."""
        last: dict[tuple[str, str], dict[str, Any]] = {}
        contents: dict[tuple[str, int], Any] = {}
        for record in await self.read(DECISIONS):
            data = orjson.loads(record.value)["data"]
            subject = data[data["unit"]]
            assert record.key.decode() == f"{data['programme']}|{subject}"
            if subject not in subjects:
                continue
            TypeAdapter(DecisionMade).validate_json(orjson.dumps(data))
            key = data["programme"], subject
            assert data["revision"] >= last.get(key, data)["revision"]
            assert contents.setdefault((record.key, data["revision"]), data) == data
            last[key] = data
        return last


@pytest.fixture
async def province(kafka: str, database: str, tmp_path: Path) -> AsyncIterator[Province]:
    tokens.issue(tmp_path)
    tokens.make_secrets(tmp_path / "secrets")
    await declare(kafka, own(PARTITIONS))
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    made = Province(kafka, database, tmp_path, producer, random.token_hex(4))
    yield made
    await producer.stop()
    for process in made.processes:
        process.kill()
        process.wait(10)


PKH = programme("PKH", "household.decile <= 4", needs_verification=True)


async def test_from_facts_and_visits_to_decisions(province: Province) -> None:
    province.start()
    await province.ready(policy(PKH))
    topic = inbound_name(province.agency("dinsos"), Kind.VERIFICATIONS)
    await declare(province.kafka, [known(topic, PARTITIONS)])
    who, home = province.nik(1), province.home("mawar")
    await province.tell(PERSONS, [person(who, province.lives(home), attributes={"decile": 3})])
    await province.idle()
    assert (await province.decided({g(home)}))["PKH", g(home)]["decision"] == "needs_verification"

    def visit(serial: int, **more: Any) -> bytes:
        return orjson.dumps(
            {**visited(serial, **more), "source": envelope.agency_source(province.agency("dinsos"))}, default=str
        )

    values = [visit(1), b"{", visit(2, programme="BPNT"), visit(0), visit(2)]
    expected: dict[int, str | None] = {}
    for value, reason in zip(values, (None, "malformed", "programme_unknown", "nik_invalid", None), strict=True):
        place = await province.producer.send_and_wait(topic, value, partition=0)
        expected[place.offset] = reason

    async def taken() -> bool:
        return topic in (await province.status()).get("topics", ())

    await until(taken, province.end_of_log)
    await province.idle()
    assert (await province.decided({g(home)}))["PKH", g(home)]["decision"] == "eligible"

    found: dict[int, str | None] = {}
    for record in await province.read(receipts_name(province.agency("dinsos"))):
        data = orjson.loads(record.value)["data"]
        offsets = [data["offset"]] if "reason" in data else range(data["from_offset"], data["to_offset"] + 1)
        found |= dict.fromkeys(offsets, data.get("reason"))
    assert found == expected

    listed = (await province.get("decisions", household=g(home))).json()["items"]
    assert [(row["programme"], row["decision"], row["revision"]) for row in listed] == [("PKH", "eligible", 2)]
    assert listed[0]["reasons"][-1] == {"criterion": "verification", "outcome": True}
    assert (await province.get("decisions", decision="ineligible", household=g(home))).json()["items"] == []
    assert (await province.get("decisions", person=g(home))).json()["items"] == []
    assert (await province.get("decisions", decision="perhaps")).status_code == 422
    for name in (g(home), f"PKH|{g(home)}", who, "V-1"):
        steps = (await province.get(f"trace/{name}")).json()["steps"]
        whats = [step["what"] for step in steps]
        assert set(whats) <= {"person taken", "verification taken", "decision made"}
        assert "person taken" in whats or name == "V-1"
    assert (await province.get(f"trace/PKH|{g(home)}")).json()["steps"][-1]["detail"]["decision"] == "eligible"
    assert (await province.get("trace/nobody")).json() == {"steps": []}
    assert nik(1) not in province.log()


async def test_listings_are_paged(province: Province) -> None:
    province.start()
    await province.ready(policy(programme(f"P-{province.name}", "household.size > 0")))
    homes = [province.home(str(n)) for n in range(5)]
    await province.tell(
        PERSONS,
        (person(f"of {home}", province.lives(home), region=f"33.74.0{n + 1}") for n, home in enumerate(homes)),
    )
    await province.idle()
    found: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = (await province.get("decisions", programme=f"P-{province.name}", limit=2, **cursor)).json()
        found += [row["household"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert sorted(found) == found
    assert set(found) >= set(map(g, homes))


async def test_killed_at_any_moment_two_instances_announce_the_same(province: Province) -> None:
    """Persons are told again and again, their households and deciles changing; what is last holds."""
    first = programme(f"A-{province.name}", "household.decile <= 4")
    second = programme(f"B-{province.name}", "household.size > 2")
    province.start()
    await province.ready(policy(first, second))
    people = [province.home(f"p{n}") for n in range(300)]
    homes = {province.home(f"h{n}") for n in range(120)}
    province.start()
    for revision in range(1, 10):
        living = {who: province.home(f"h{(n // 3 + revision) % 110}") for n, who in enumerate(people)}
        await province.tell(
            PERSONS,
            (
                person(
                    who, province.lives(living[who]), revision=revision,
                    attributes={"decile": (n // 3 + revision * 7) % 10 + 1},
                )
                for n, who in enumerate(people)
            ),
        )  # fmt: skip
        await province.tell(
            HOUSEHOLDS,
            (renewed(province.home(f"h{n}"), province.home(f"h{n + revision % 3}"), revision) for n in range(0, 9, 3)),
        )
        if revision % 4 == 0:
            province.stop()
            province.start()
        if revision == 5:
            await province.ready(policy(programme(first["code"], "household.decile <= 6"), second, version="t-2"))
    await province.idle()
    final = {n: (n // 3 + 63) % 10 + 1 for n in range(300)}
    card = {n: (n // 3 + 9) % 110 for n in range(300)}
    members: dict[str, list[int]] = {}
    for n in range(300):
        members.setdefault(g(province.home(f"h{card[n]}")), []).append(final[n])
    expected = {}
    for home, deciles in members.items():
        expected[first["code"], home] = "eligible" if min(deciles) <= 6 else "ineligible"
        expected[second["code"], home] = "eligible" if len(deciles) > 2 else "ineligible"
    decided = await province.decided(set(map(g, homes)))
    stand = {
        key: data["decision"]
        for key, data in decided.items()
        if data["reasons"] != [{"criterion": "members", "outcome": False}]
    }
    assert stand == expected


async def test_a_new_database_goes_on_above_what_is_announced(province: Province) -> None:
    code = f"C-{province.name}"
    province.start()
    await province.ready(policy(programme(code, "household.decile <= 4")))
    home = province.home("mawar")
    for revision, decile in ((1, 3), (2, 9), (3, 4)):
        await province.tell(
            PERSONS, [person(f"of {home}", province.lives(home), revision=revision, attributes={"decile": decile})]
        )
        await province.idle()
    before = await province.decided({g(home)})
    assert before[code, g(home)]["revision"] == 3
    province.stop()
    connection = await asyncpg.connect(province.database)
    await connection.execute("drop schema public cascade; create schema public")
    await connection.close()
    province.start()
    await province.idle()
    assert await province.decided({g(home)}) == before
    await province.tell(PERSONS, [person(f"of {home}", province.lives(home), revision=4, attributes={"decile": 8})])
    await province.idle()
    after = (await province.decided({g(home)}))[code, g(home)]
    assert (after["revision"], after["decision"]) == (4, "ineligible")


async def test_what_a_proposed_policy_would_decide_is_told_and_nothing_comes_of_it(province: Province) -> None:
    province.start()
    await province.ready(policy(PKH))
    homes = [province.home(str(n)) for n in range(6)]
    await province.tell(
        PERSONS,
        [
            person(province.nik(n), province.lives(home), attributes={"decile": n}, region="65.02.01.1001")
            for n, home in enumerate(homes, start=1)
        ],
    )
    await province.idle()
    ends = len(await province.read(DECISIONS))
    proposed = policy(programme("PKH", "household.decile <= 2", amount=750_000, period="quarter"), version="t-2")

    async def asked(role: str, body: Any) -> httpx.Response:
        token = (province.data / "tokens" / role).read_text()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{province.ports[-1]}/v1/", timeout=60) as client:
            return await client.post("simulations", json=body, headers={"Authorization": f"Bearer {token}"})

    assert (await asked("reader", {"policy": proposed})).status_code == 403
    assert (await asked("policy", {"policy": {**proposed, "programmes": [{"code": "PKH"}]}})).status_code == 422
    answer = await asked("policy", {"policy": proposed})
    assert answer.headers["content-type"] == "application/jsonl"
    told = [orjson.loads(line) for line in answer.content.splitlines()]
    of_here = [row for row in told[-1]["result"]["changes"] if row["area"] == "65.02"]  # others' are on the topic too
    found = {(row["before"], row["after"]): (row["subjects"], row["gained"]) for row in of_here}
    assert found == {
        ("needs_verification", "eligible"): (2, 1_500_000), ("needs_verification", "ineligible"): (2, 0),
        ("ineligible", "ineligible"): (2, 0),
    }  # fmt: skip
    await province.idle()
    assert len(await province.read(DECISIONS)) == ends
    assert (await province.status())["policy_version"] != "t-2"
