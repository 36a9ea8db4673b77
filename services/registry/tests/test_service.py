"""The service as a process, on a real broker and a real database: by its topics and its answers alone.

Topics are the broker's, so each test has a province of its own: another secret, and agencies of other names.
"""

import asyncio
import itertools
import os
import secrets as random
import signal
import socket
import subprocess
import sys
from collections import Counter, defaultdict
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
from tepat_contracts.events.ours import OUTBOUND
from tepat_contracts.topics import Kind, inbound_name, own, receipts_name
from tepat_local import tokens

from .conftest import answered, filed, institution, merged, number, policy, recorded, renewed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

PARTITIONS = 2
SECONDS = 90
OWN = ("registry.persons.v1", "registry.households.v1", "registry.suspects.v1", "registry.reports.v1")
PROGRESS = "registry.progress.v1"

ANI, BUDI, CITRA = number(1), number(2), number(3)
MAWAR, MELATI = number(11), number(12)


async def until(happens: Callable[[], Awaitable[Any]], what: str) -> Any:
    """What ``happens`` gives, once it gives something."""
    try:
        async with asyncio.timeout(SECONDS):
            while not (value := await happens()):  # noqa: ASYNC110 – another process, which signals nothing
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(what) from None
    return value


@dataclass
class Province:
    """A registry process, what agencies send it, and what it announces."""

    kafka: str
    database: str
    data: Path
    producer: AIOKafkaProducer
    pseudonyms: Pseudonyms
    name: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    port: int = 0

    def agency(self, role: str) -> str:
        return f"{role}-{self.name}"

    def topic(self, role: str, kind: Kind = Kind.BENEFICIARIES) -> str:
        return inbound_name(self.agency(role), kind)

    def nik(self, told: str) -> str:
        return str(as_uuid(self.pseudonyms.nik(told)))

    def kk(self, told: str) -> str:
        return str(as_uuid(self.pseudonyms.kk(told)))

    # -- the process

    def start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "TEPAT_KAFKA": self.kafka,
            "TEPAT_REGISTRY_URL": self.database,
            "TEPAT_SECRETS": str(self.data / "secrets"),
            "TEPAT_JWKS": str(self.data / "keys" / "jwks.json"),
            "TEPAT_ISSUER": tokens.ISSUER,
            "TEPAT_PARTITIONS": str(PARTITIONS),
            "TEPAT_HTTP_PORT": str(self.port),
            "TEPAT_BATCH_RECORDS": "200",
        }
        with (self.data / f"log-{len(self.processes)}").open("wb") as log:
            command = [sys.executable, "-m", "tepat_registry"]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self.data)
        self.processes.append(process)

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.processes[-1].send_signal(number)
        self.processes[-1].wait(10)

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.data.glob("log-*")))

    async def ready(self, document: dict[str, Any]) -> None:
        """Apply a policy, its agencies belonging to this province, and wait until it is in force."""
        for agency in document["agencies"]:
            agency["id"] = self.agency(agency["id"])
        told = envelope.event(
            service="policy", type="tepat.policy.applied.v1", id=document["version"], time=datetime.now(UTC),
            data=document,
        )  # fmt: skip
        await self.producer.send_and_wait("policy.v1", envelope.write(told), key=document["version"].encode())

        async def followed() -> bool:
            return (await self.status()).get("policy_version") == document["version"]

        await until(followed, f"the policy was not followed\n{self.log()[-4_000:]}")

    async def declare(self, *roles: str) -> None:
        names = [self.topic(role, kind) for role in roles for kind in (Kind.BENEFICIARIES, Kind.REPORTS)]
        await declare(self.kafka, [known(name, PARTITIONS) for name in names])

        async def read() -> bool:
            return set(names) <= set((await self.status()).get("topics", ()))

        await until(read, f"topics are not read\n{self.log()[-4_000:]}")

    async def send(self, events: Iterable[dict[str, Any]], kind: Kind = Kind.BENEFICIARIES) -> None:
        """Publish events, each on its agency's topic."""
        sent = []
        for told in events:
            agency = self.agency(told["source"].rpartition(":")[2])
            value = orjson.dumps({**told, "source": envelope.agency_source(agency)})
            sent.append(await self.producer.send(inbound_name(agency, kind), value))
        await asyncio.gather(*sent)

    async def status(self) -> dict[str, Any]:
        try:
            return (await self.get("status")).json()  # type: ignore[no-any-return]
        except httpx.HTTPError:
            assert self.processes[-1].poll() is None, self.log()[-4_000:]
            return {}

    async def idle(self) -> None:
        """Wait until all that was published is taken and announced."""

        async def rests() -> bool:
            status = await self.status()
            return bool(status.get("ready") and status.get("idle"))

        await until(rests, f"it does not rest\n{self.log()[-4_000:]}")

    async def get(self, path: str, role: str = "reader", **params: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}/v1/") as client:
            token = (self.data / "tokens" / role).read_text()
            return await client.get(path, params=params, headers={"Authorization": f"Bearer {token}"})

    async def post(self, path: str, body: object, role: str = "reader") -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}/v1/") as client:
            token = (self.data / "tokens" / role).read_text()
            return await client.post(path, json=body, headers={"Authorization": f"Bearer {token}"})

    # -- what it announces

    async def read(self, *topics: str) -> list[Any]:
        """All committed records of topics, partition by partition, by offset."""
        records: list[Any] = []

        async def keep(batch: Sequence[Any]) -> None:
            records.extend(batch)

        await read_to_end(self.kafka, topics, keep)
        return sorted(records, key=lambda record: (record.topic, record.partition, record.offset))

    async def announced(self, topic: str, ours: set[str]) -> dict[str, dict[str, Any]]:
        """The last record of each key of ours. By offset revisions never fall, and none has two contents."""
        last: dict[str, dict[str, Any]] = {}
        contents: dict[tuple[str, int], Any] = {}
        for record in await self.read(topic):
            event = orjson.loads(record.value)
            key, revision = record.key.decode(), event["data"]["revision"]
            if key not in ours:
                continue
            TypeAdapter(OUTBOUND[event["type"]].data).validate_python(event["data"])
            assert revision >= last.get(key, event)["data"]["revision"]
            assert contents.setdefault((key, revision), event["data"]) == event["data"]
            last[key] = event
        return last

    async def persons(self, *niks: str) -> dict[str, dict[str, Any]]:
        """What stands announced of these NIKs."""
        told = await self.announced("registry.persons.v1", {self.nik(each) for each in niks})
        return {each: told[self.nik(each)]["data"] for each in niks if self.nik(each) in told}


@pytest.fixture
async def province(kafka: str, database: str, tmp_path: Path) -> AsyncIterator[Province]:
    tokens.issue(tmp_path)
    tokens.make_secrets(tmp_path / "secrets")
    await declare(kafka, own(PARTITIONS))
    producer = AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=3 * 1024 * 1024)
    await producer.start()
    pseudonyms = Pseudonyms((tmp_path / "secrets" / "main").read_bytes())
    made = Province(kafka, database, tmp_path, producer, pseudonyms, random.token_hex(4))
    yield made
    await producer.stop()
    for process in made.processes:
        process.kill()
        process.wait(10)


async def test_bad_records_between_good_ones(province: Province) -> None:
    province.start()
    await province.ready(policy())
    await province.declare("dinsos", "lsm")
    topic = province.topic("dinsos")

    def told(event: dict[str, Any], **changes: Any) -> bytes:
        agency = province.agency(event["source"].rpartition(":")[2])
        return orjson.dumps({**event, "source": envelope.agency_source(agency), **changes})

    binary = recorded(CITRA, MAWAR)
    headers = [(f"ce_{name}", str(binary[name]).encode()) for name in ("specversion", "id", "type", "time")]
    headers.append(("ce_source", envelope.agency_source(province.agency("dinsos")).encode()))
    sent: list[tuple[str, bytes | None, list[tuple[str, bytes]], str | None]] = [
        (topic, told(recorded(ANI, MAWAR, note="\0")), [], None),  # a NUL in a field that nobody knows
        (topic, None, [], "malformed"),
        (topic, b"{", [], "malformed"),
        (topic, b"\xff\xfe", [], "malformed"),
        (topic, b"[" * 10_000, [], "malformed"),
        (topic, told(recorded(ANI, MAWAR, name="x" * 1_048_577)), [], "malformed"),
        (topic, told(recorded("3374010102900000", MAWAR)), [], "nik_invalid"),
        (topic, told(recorded(ANI, "9974010102900001")), [], "kk_invalid"),
        (topic, told(recorded(ANI, MAWAR, region="33.99")), [], "region_unknown"),
        (topic, told(recorded(ANI, MAWAR, name="a\0b")), [], "schema"),
        (topic, told(recorded(ANI, MAWAR, revision="0")), [], "schema"),
        (topic, told(recorded(ANI, MAWAR, since="0000-01-01")), [], "schema"),
        (topic, told(recorded(ANI, MAWAR), type="tepat.person.dreamt.v1"), [], "unknown_type"),
        (topic, told(recorded(ANI, MAWAR), source="urn:tepat:agency:another"), [], "source_mismatch"),
        (province.topic("lsm"), told(merged(ANI, BUDI, agency="lsm")), [], "not_permitted"),
        (topic, told(recorded(BUDI, MELATI, since="9999-12-31", until="9999-12-31")), [], None),
        (topic, orjson.dumps(binary["data"]), headers, None),
    ]
    expected = {}
    for name, value, attributes, reason in sent:
        place = await province.producer.send_and_wait(name, value, key=b"any", headers=attributes, partition=0)
        expected[name, 0, place.offset] = reason
    await province.idle()

    found: dict[tuple[str, int, int], str | None] = {}
    for record in await province.read(*(receipts_name(province.agency(role)) for role in ("dinsos", "lsm"))):
        data = orjson.loads(record.value)["data"]
        if "reason" in data:
            offsets: Iterable[int] = [data["offset"]]
        else:
            offsets = range(data["from_offset"], data["to_offset"] + 1)
        for offset in offsets:
            assert (data["topic"], data["partition"], offset) not in found, "told twice"
            found[data["topic"], data["partition"], offset] = data.get("reason")
    assert found == expected

    persons = await province.persons(ANI, BUDI, CITRA)
    assert persons[ANI]["memberships"][0]["household"] == province.kk(MAWAR)
    assert persons[BUDI]["memberships"] == [
        {
            "agency": province.agency("dinsos"), "household": province.kk(MELATI), "since": "9999-12-31",
            "until": "9999-12-31", "region": "33.74.01.1001",
        }
    ]  # fmt: skip
    assert persons[CITRA]["stands_for"] == province.nik(CITRA)
    quarantined = (await province.get("quarantine/summary")).json()["items"]
    told_reasons = Counter(reason for reason in expected.values() if reason)
    ours = [row for row in quarantined if row["agency"].endswith(province.name)]
    assert Counter({row["reason"]: row["records"] for row in ours}) == told_reasons
    assert not any(each in province.log() for each in (ANI, BUDI, CITRA, MAWAR, MELATI))


async def test_killed_at_any_moment_it_announces_the_same(province: Province) -> None:
    """Each NIK is told again and again, its household changing; what is last holds."""
    province.start()
    await province.ready(policy())
    await province.declare("dinsos")
    niks = [number(serial) for serial in range(1, 301)]
    for revision in range(1, 11):
        cards = [number(1_000 + revision * 7 + index // 4) for index in range(len(niks))]
        await province.send(recorded(who, card, revision=revision) for who, card in zip(niks, cards, strict=True))
        await province.send(merged(niks[i], niks[(i + revision) % 300], revision=revision) for i in range(0, 300, 10))
        if revision % 3 == 0:
            province.stop()
            province.start()
    await province.idle()

    persons = await province.persons(*niks)
    assert [persons[who]["memberships"][0]["household"] for who in niks] == [province.kk(card) for card in cards]
    into = {niks[i]: niks[(i + 10) % 300] for i in range(0, 300, 10)}
    assert {who for who in niks if persons[who]["stands_for"] != persons[who]["person"]} == set(into) - {niks[0]}
    assert all(persons[who]["stands_for"] == province.nik(niks[0]) for who in into)
    suspects = await province.announced("registry.suspects.v1", set(map(province.nik, niks)))
    assert {key for key, event in suspects.items() if event["type"].endswith("raised.v1")} == {province.nik(niks[0])}
    (circle,) = (await province.get("suspects", kind="merge_circle")).json()["items"]
    assert (circle["pair"], len(circle["persons"])) == (province.nik(niks[0]), 30)
    answer = await province.post(f"suspects/{circle['pair']}/dismiss", {"reason": "it is none"}, "registrar")
    assert answer.status_code == 409
    listed = (await province.get("suspects", limit=1000)).json()["items"]
    assert listed[0] == circle
    chances = [each["evidence"].get("probability", 1.0) for each in listed]
    assert chances == sorted(chances, reverse=True)


async def test_a_new_database_goes_on_above_what_is_announced(province: Province) -> None:
    province.start()
    await province.ready(policy())
    await province.declare("dinsos")
    await province.send([recorded(ANI, MAWAR), merged(ANI, BUDI), merged(BUDI, ANI), renewed(MAWAR, MELATI)])
    await province.send([filed("R-1" + province.name)], Kind.REPORTS)
    await province.idle()
    await province.send([recorded(ANI, MELATI, revision=1), merged(BUDI, None, revision=1)])
    await province.idle()
    keys = {*map(province.nik, (ANI, BUDI)), *map(province.kk, (MAWAR, MELATI)), "R-1" + province.name}
    before = {topic: await province.announced(topic, keys) for topic in OWN}

    async def told() -> Any:
        """What it last told of its progress, once that covers all of this province's facts."""
        event = (await province.announced(PROGRESS, {"registry"})).get("registry")
        through = event["data"]["through"].get(province.topic("dinsos"), []) if event is not None else []
        return event and sum(through) == 6 and event["data"]

    progress = await until(told, "progress was not told")
    province.stop()

    connection = await asyncpg.connect(province.database)
    await connection.execute("drop schema public cascade; create schema public")
    await connection.close()
    province.start()
    await province.idle()
    for topic in OWN:  # checks that revisions only grow
        after = await province.announced(topic, keys)
        assert after.keys() == before[topic].keys()
        for key, event in after.items():
            assert {**event["data"], "revision": 0} == {**before[topic][key]["data"], "revision": 0}
            assert event["type"] == before[topic][key]["type"]

    assert (await until(told, "progress was not told again"))["revision"] > progress["revision"]

    revision = (await province.persons(ANI))[ANI]["revision"]
    assert revision > 1
    await province.send([recorded(ANI, MAWAR, revision=2)])
    await province.idle()
    assert (await province.persons(ANI))[ANI]["revision"] == revision + 1


async def test_trust_decides_anew_when_the_policy_changes(province: Province) -> None:
    province.start()
    await province.ready(policy("one", dinsos=1, dukcapil=2))
    await province.declare("dinsos", "dukcapil")
    await province.send(
        [
            recorded(ANI, MAWAR, "dinsos", region="33.74.01", deceased_on="2025-01-01"),
            recorded(ANI, MELATI, "dukcapil", region="33.74.02", deceased_on="2025-02-02"),
            recorded(BUDI, MELATI, "dukcapil"),
        ]
    )
    await province.idle()
    before = await province.persons(ANI, BUDI)
    assert (before[ANI]["region"], before[ANI]["deceased_on"]) == ("33.74.01", "2025-01-01")

    await province.ready(policy("two", dinsos=None, dukcapil=2))
    await province.idle()
    after = await province.persons(ANI, BUDI)
    assert (after[ANI]["region"], after[ANI]["deceased_on"]) == ("33.74.02", "2025-02-02")
    assert after[BUDI] == before[BUDI]


async def test_what_people_may_see(province: Province) -> None:
    province.start()
    await province.ready(policy())
    await province.declare("dinsos")
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    strange = "3399010102900001"
    await province.send(
        [
            recorded(ANI, MAWAR, _traceparent=trace, _id=f"person {ANI}", attributes={"decile": 1}),
            recorded(strange, MAWAR, birth_date="1990-02-02"),
            renewed(MAWAR, MELATI),
            institution("W-1"),
            institution("W-2", regions=["33.74.02"]),
            institution("W-3", active=False),
        ]
    )
    await province.idle()
    await province.send([merged(BUDI, ANI, _id="merge-1")])
    await province.send([filed("R-1"), answered("R-1", _id="answer-1"), answered("R-2")], Kind.REPORTS)
    await province.idle()

    path = f"persons/{province.nik(ANI)}"
    masked = (await province.get(path)).json()
    assert masked["nik"] == "337401••••••0001"
    assert masked["memberships"][0]["kk"] == "337401••••••0011"
    assert masked["aliases"] == [province.nik(BUDI)]
    assert not {"birth_date", "names", "attributes"} & masked.keys()
    assert (await province.get(path, purpose="house visit")).status_code == 403
    disclosed = (await province.get(path, "officer", purpose=f"house visit to {ANI}")).json()
    assert (disclosed["nik"], disclosed["names"], disclosed["memberships"][0]["kk"]) == (ANI, ["Siti Aminah"], MAWAR)
    connection = await asyncpg.connect(province.database)
    act = await connection.fetchrow("select who, act, target, detail::text from act")
    await connection.close()
    assert act is not None
    assert tuple(act)[:3] == ("officer", "disclose", province.nik(ANI))
    assert "house visit" in act["detail"]
    assert ANI not in act["detail"]
    assert (await province.get(f"persons/{province.nik(CITRA)}")).status_code == 404
    warned = (await province.get(f"persons/{province.nik(strange)}")).json()["warnings"]
    assert [each["warnings"] for each in warned] == [["region", "birth_date"]]

    for name in (province.nik(ANI), f"person {ANI}"):
        answer = await province.get(f"trace/{name}")
        assert ANI not in answer.text
        steps = {step["what"]: step["detail"] for step in answer.json()["steps"]}
        taken = steps["person recorded"]
        assert (taken["topic"], taken["traceparent"]) == (province.topic("dinsos"), trace)
        assert taken["person"] == province.nik(ANI)
        assert taken["household"] == province.kk(MAWAR)
        assert steps["person announced"]["topic"] == "registry.persons.v1"
    merges = (await province.get("trace/merge-1")).json()["steps"]
    assert {step["what"] for step in merges} == {"merged", "person announced"}
    family = (await province.get(f"trace/{province.kk(MAWAR)}")).json()["steps"]
    assert {step["what"] for step in family} == {
        "person recorded", "card renewed", "person announced", "household announced",
    }  # fmt: skip
    answers = (await province.get("trace/answer-1")).json()["steps"]
    assert [step["what"] for step in answers] == ["tepat.report.answered.v1"]
    reports = (await province.get(f"trace/{province.agency('dinsos')}/R-1")).json()["steps"]
    assert {step["what"] for step in reports} == {"tepat.report.filed.v1", "tepat.report.answered.v1"}
    assert (await province.get(f"trace/{province.agency('himbara')}/R-1")).json()["steps"] == []

    listed = (await province.get("institutions")).json()["items"]
    assert [each["institution_id"] for each in listed] == ["W-1", "W-2"]
    listed = (await province.get("institutions", region="33.74.01.1001")).json()["items"]
    assert [each["institution_id"] for each in listed] == ["W-1"]
    unfiled = (await province.get("reports/unfiled")).json()["items"]
    assert [(each["report_id"], each["outcome"]) for each in unfiled] == [("R-2", "helped")]

    events = [orjson.loads(record.value) for record in await province.read("registry.persons.v1")]
    ours = [each for each in events if each["data"]["person"] == province.nik(ANI)]
    assert ours[0]["traceparent"] == trace
    routed = await province.announced("registry.reports.v1", {"R-1", "R-2"})
    ours_reports = {
        key: event["data"] for key, event in routed.items() if event["data"]["agency"].endswith(province.name)
    }
    assert {key: (data["step"], data["state"], data["households"]) for key, data in ours_reports.items()} == {
        "R-1": ("filed", "closed", 3)
    }


async def test_who_says_what_and_in_whose_household_when(province: Province) -> None:
    province.start()
    await province.ready(policy(recent=["pregnant"]))
    await province.declare("dinsos", "dukcapil", "lsm")
    later = {"_time": "2026-02-01T00:00:00Z"}
    await province.send([
        recorded(ANI, MAWAR, "dukcapil", until="2026-03-02", relation="head"),
        recorded(ANI, MELATI, "dukcapil", since="2026-03-03", attributes={"pregnant": False}),
        recorded(ANI, MAWAR, "dinsos", sex="L", attributes={"decile": 2, "pregnant": True}, **later),
        recorded(BUDI, MAWAR, "dinsos", relation="spouse"),
        recorded(CITRA, MELATI, "lsm", deceased_on="2025-01-01"),
    ])  # fmt: skip
    await province.idle()
    assert (await province.post("lookup", {"nik": ANI})).json() == {"kind": "person", "pseudonym": province.nik(ANI)}
    assert (await province.post("lookup", {"kk": MELATI})).json()["pseudonym"] == province.kk(MELATI)
    assert (await province.post("lookup", {"nik": MELATI})).status_code == 404
    refused = await province.post("lookup", {"nik": ANI, "kk": MAWAR})
    assert refused.status_code == 422
    assert ANI not in refused.text

    path = f"persons/{province.nik(ANI)}"
    told = (await province.get(path, "officer", purpose="house visit", on="2026-03-03")).json()
    by = {role: province.agency(role) for role in ("dukcapil", "dinsos")}
    said = {field: [(word["agency"], word["value"], word["holds"]) for word in told["said"][field]]
            for field in ("sex", "pregnant", "decile")}  # fmt: skip
    assert said == {
        "sex": [(by["dukcapil"], "P", True), (by["dinsos"], "L", False)],
        "pregnant": [(by["dukcapil"], False, False), (by["dinsos"], True, True)],
        "decile": [(by["dinsos"], 2, True)],
    }
    assert told["attributes"] == {"decile": 2, "pregnant": True}
    assert told["on"] == {
        "day": "2026-03-03", "household": province.kk(MELATI), "agency": by["dukcapil"], "since": "2026-03-03",
    }  # fmt: skip
    masked = (await province.get(path, on="2019-12-31")).json()
    assert masked["on"] == {"day": "2019-12-31"}
    assert [word["agency"] for word in masked["said"]["decile"]] == [by["dinsos"]]
    assert not any("value" in word for word in masked["said"]["decile"])

    async def members(card: str, **of: str) -> list[str]:
        answer = (await province.get(f"households/{province.kk(card)}", **of)).json()
        assert ANI not in str(answer)
        return [member["person"] for member in answer["members"]]

    assert set(await members(MAWAR)) == {province.nik(ANI), province.nik(BUDI)}
    assert set(await members(MAWAR, on="2026-03-02")) == {province.nik(ANI), province.nik(BUDI)}
    assert await members(MAWAR, on="2026-03-03") == [province.nik(BUDI)]
    assert set(await members(MELATI, on="2026-03-03")) == {province.nik(ANI), province.nik(CITRA)}
    await province.send([renewed(MAWAR, MELATI)])
    await province.idle()
    for card in (MAWAR, MELATI):
        assert len(await members(card, on="2026-03-03")) == 3
    assert (await province.get(f"households/{province.nik(ANI)}")).status_code == 404


async def test_a_family_under_a_new_card_is_for_somebody_to_decide(province: Province) -> None:
    province.start()
    await province.ready(policy())
    await province.declare("dinsos", "lsm")
    pair = f"{province.kk(MAWAR)}+{province.kk(MELATI)}"

    async def move(*who: str, day: str = "2026-03-03") -> None:
        await province.send([recorded(nik, card, since=since) for nik in who
                             for card, since in ((MAWAR, "2020-01-01"), (MELATI, day))])  # fmt: skip
        await province.idle()

    async def told() -> list[str]:
        events = [orjson.loads(record.value) for record in await province.read("registry.suspects.v1")]
        return [each["type"].split(".")[2] for each in events if each["data"]["pair"] == pair]

    async def act(what: str, role: str = "registrar", **body: str) -> httpx.Response:
        answer = await province.post(f"suspects/{pair}/{what}", {"reason": f"asked {ANI} at home", **body}, role)
        await province.idle()
        return answer

    await province.send([recorded(BUDI, MAWAR)])
    await move(ANI)  # who marries or leaves alone is no renewal
    assert await told() == []
    await move(ANI, BUDI)
    assert await told() == ["raised"]
    listed = (await province.get("suspects", kind="renewal")).json()["items"]
    [ours] = [each for each in listed if each["pair"] == pair]
    assert ours["evidence"] == {"day": "2026-03-03", "members": 2}
    assert set(ours["persons"]) == {province.nik(ANI), province.nik(BUDI)}
    assert (await province.get(f"suspects/{pair}")).json() == ours

    assert (await act("dismiss", "officer")).status_code == 403
    assert (await act("dismiss")).json()["state"] == "dismissed"
    assert (await act("dismiss")).status_code == 409
    await move(CITRA)
    assert await told() == ["raised", "dismissed"]  # it does not come back, whatever is told
    assert (await act("reopen")).json()["state"] == "raised"
    assert (await province.get(f"suspects/{pair}")).json()["evidence"]["members"] == 3
    assert (await act("merge", agency=province.agency("lsm"))).status_code == 409
    assert (await act("merge", agency=province.agency("dinsos"))).status_code == 200

    async def stands_for() -> str:
        return str((await province.get(f"households/{province.kk(MAWAR)}")).json()["stands_for"])

    async def renewed_now() -> bool:
        return await stands_for() == province.kk(MELATI)

    await until(renewed_now, "the renewal is not taken")
    await province.idle()
    assert (await told())[-1] == "cleared"
    assert (await act("unmerge", agency=province.agency("dinsos"))).status_code == 200

    async def taken_back() -> bool:
        return await stands_for() == province.kk(MAWAR)

    await until(taken_back, "the renewal is not taken back")
    await province.idle()
    assert (await told())[-1] == "raised"
    assert await told() == ["raised", "dismissed", "raised", "raised", "cleared", "raised"]

    assert (await act("dismiss")).status_code == 200
    connection = await asyncpg.connect(province.database)
    acts = [row["act"] for row in await connection.fetch("select act, detail::text from act order by id")]
    details = "".join(row["detail"] for row in await connection.fetch("select detail::text from act"))
    await connection.close()
    assert acts == [f"suspect.{what}" for what in ("dismissed", "raised", "merge", "unmerge", "dismissed")]
    assert ANI not in details + province.log()


async def test_two_niks_that_may_be_one_person_are_for_somebody_to_decide(province: Province) -> None:
    province.start()
    await province.ready(policy())
    await province.declare("dinsos", "dukcapil")
    first, second, other = "3374011705800001", "3374017105800001", "3374010902900001"
    told = {"sex": "L", "birth_date": "1980-05-17"}
    pair = "+".join(sorted(map(province.nik, (first, second))))

    async def announced() -> list[str]:
        events = [orjson.loads(record.value) for record in await province.read("registry.suspects.v1")]
        return [each["type"].split(".")[2] for each in events if each["data"]["pair"] == pair]

    async def act(what: str, role: str = "registrar", **body: str) -> httpx.Response:
        answer = await province.post(f"suspects/{pair}/{what}", {"reason": f"saw {first} himself", **body}, role)
        await province.idle()
        return answer

    async def stands_for() -> str:
        return str((await province.get(f"persons/{province.nik(second)}")).json()["stands_for"])

    await province.send([
        recorded(first, MAWAR, name="Djoko Soesilo", **told),
        recorded(other, MELATI, name="Siti Aminah", birth_date="1990-02-09", sex="L"),
    ])  # fmt: skip
    await province.idle()
    await province.send([recorded(second, MAWAR, "dukcapil", name="H. Joko Susilo", **told)])
    await province.idle()
    assert await announced() == ["raised"]
    listed = (await province.get("suspects", kind="duplicate")).json()["items"]
    [ours] = [each for each in listed if set(each["persons"]) & set(map(province.nik, (first, second, other)))]
    assert (ours["pair"], ours["region"], ours["evidence"]["band"]) == (pair, "33.74.01.1001", "same")
    assert ours["evidence"]["place"] == "one card"
    assert "households" not in ours

    dinsos = province.agency("dinsos")
    assert (await act("unmerge", agency=dinsos)).status_code == 422
    assert (await act("merge", agency=dinsos)).status_code == 422  # into whom?
    assert (await act("merge", agency=dinsos, into=province.nik(other))).status_code == 422
    assert (await act("merge", "officer", agency=dinsos, into=province.nik(first))).status_code == 403
    assert await stands_for() == province.nik(second)
    assert (await act("merge", agency=dinsos, into=province.nik(first))).status_code == 200

    async def is_one() -> bool:
        return await stands_for() == province.nik(first)

    await until(is_one, "the merge is not taken")
    await province.idle()
    assert (await announced())[-1] == "cleared"
    resolved = await province.announced("registry.persons.v1", {province.nik(first)})
    assert resolved[province.nik(first)]["data"]["aliases"] == [province.nik(second)]
    settled = (await province.get(f"suspects/{pair}")).json()
    assert [settled[name] for name in ("state", "decision", "into")] == ["cleared", "merge", province.nik(first)]
    assert (await act("merge", agency=dinsos, into=province.nik(first))).status_code == 409
    assert (await act("unmerge", agency=dinsos)).status_code == 200

    async def is_two() -> bool:
        return not await is_one()

    await until(is_two, "the merge is not taken back")
    await province.idle()
    assert await announced() == ["raised", "cleared", "raised"]

    assert (await act("dismiss")).status_code == 200
    await province.send([recorded(second, MAWAR, "dukcapil", revision=1, name="Joko Susilo", **told)])
    await province.idle()
    assert await announced() == ["raised", "cleared", "raised", "dismissed"]  # it does not come back
    await province.send(
        [recorded(second, MELATI, "dukcapil", revision=2, name="Dewi Lestari", birth_date="1999-01-02")]
    )
    await province.idle()
    assert (await act("reopen")).status_code == 200
    assert (await announced())[-2:] == ["raised", "cleared"]  # and once it is asked for, it holds no more
    connection = await asyncpg.connect(province.database)
    details = "".join(row["detail"] for row in await connection.fetch("select detail::text from act"))
    await connection.close()
    assert first not in details + province.log()


async def test_how_much_of_a_town_is_covered_through_the_months(province: Province) -> None:
    province.start()
    await province.ready(policy())
    await province.declare("dinsos")
    villages = ["33.71.01.1003", "33.71.01.1007", "33.71.02.1003", "33.71.02.1004", "33.71.03.1002"]

    def wksbm(number: int, month: int, **told: Any) -> dict[str, Any]:
        return institution(
            f"W-{number}", regions=[villages[number]], _time=f"2019-{month:02}-28T10:00:00+07:00", **told
        )

    await province.send([
        *[wksbm(number, number + 1) for number in range(5)],
        wksbm(0, 6, revision=1, active=False),
        wksbm(0, 7, revision=2),
        institution("PSM-1", kind="PSM", regions=["33.71.03"], _time="2019-03-01T00:00:00+07:00"),
        wksbm(0, 1, revision=0, _id="zz", name="told again"),
    ])  # fmt: skip
    await province.idle()
    told = (await province.get("coverage", region="33.71", kind="WKSBM", on="2019-12-31", since="2019-01-15")).json()
    assert (told["kelurahan"], told["covered"]) == (17, 5)
    assert [each["covered"] for each in told["through_time"]] == [1, 2, 3, 4, 5, 4, 5, 5, 5, 5, 5, 5]
    by = (await province.get("coverage", region="33.71", by="kecamatan", on="2019-12-31")).json()
    assert [(each["region"], each["covered"]) for each in by["items"]] == [
        ("33.71.01", 2), ("33.71.02", 2), ("33.71.03", by["items"][2]["kelurahan"]),
    ]  # fmt: skip
    listed = (await province.get("institutions", region="33.71")).json()["items"]
    assert len(listed) == 6, "those that cover a part of it as well"
    assert (await province.get("institutions", region="33.74")).json()["items"] == []
    await province.send([institution("PSM-2", kind="LKS", regions=["33.71"], _time="2099-02-01T00:00:00+07:00")])
    await province.idle()  # its clock is wrong: it counts from when it was told
    assert len((await province.get("institutions", region="33.71.02.1003")).json()["items"]) == 2
    told = (await province.get("coverage", region="33.71", kind="LKS", on="2099-12-31")).json()
    assert told["covered"] == 17
    assert (await province.get("coverage", region="99.99")).status_code == 422


async def test_a_household_with_all_it_receives_and_those_who_receive_nothing(province: Province) -> None:
    paid = {
        "agency": "dinsos", "payout_id": "P-1", "person": province.nik(ANI), "programme": "PKH",
        "covers": {"from": "2026-01-01", "to": "2026-03-31"}, "kind": "cash", "amount": 750_000, "state": "disbursed",
        "region": "33.74.01.1001",
    }  # fmt: skip
    ended = {**paid, "payout_id": "P-0", "state": "returned", "covers": {"from": "2025-10-01", "to": "2025-12-31"}}
    province.start()
    pkh = {"code": "PKH", "name": {"id": "PKH", "en": "PKH"}, "unit": "household"}
    await province.ready(policy() | {"programmes": [pkh]})
    await province.declare("dinsos")
    for revision, payouts in ((2, [ended, paid]), (1, [paid])):  # before anybody is known; the older one comes late
        data = {"household": province.kk(MAWAR), "revision": revision, "payouts": payouts}
        TypeAdapter(OUTBOUND["tepat.aid.told.v1"].data).validate_python(data)
        told = envelope.event(
            service="distribution", type="tepat.aid.told.v1", id=f"a-{revision}", time=datetime.now(UTC), data=data
        )
        await province.producer.send_and_wait(
            "distribution.aid.v1", envelope.write(told), key=province.kk(MAWAR).encode(), partition=0
        )
    await province.idle()
    alone = (await province.get(f"households/{province.kk(MAWAR)}")).json()
    assert (alone["members"], alone["payouts"]) == ([], [ended, paid])

    await province.send([
        recorded(ANI, MAWAR, attributes={"decile": 2, "ppks": ["korban_bencana_alam"]}, name="Ani Rahayu"),
        recorded(BUDI, MELATI, attributes={"decile": 1}), institution("I-1"),
        institution("I-2", regions=["33.75"]), institution("I-3", active=False),
    ])  # fmt: skip
    await province.send(
        [
            filed("R-" + province.name, kind="unserved_poor", people=[{"name": "Ani", "nik": ANI}], text="rahasia"),
            filed("N-" + province.name, kind="disability", people=[{"name": "ANI RAHAYU", "birth_date": "1990-02-01"}]),
        ],
        Kind.REPORTS,
    )
    await province.idle()
    path = f"households/{province.kk(MAWAR)}"
    seen = await province.get(path)
    told = seen.json()
    assert seen.headers["tepat-time-zone"] == "Asia/Jakarta"
    assert [(await province.get(path, on=day)).json()["payouts"] for day in ("1900-01-01", "2025-12-31")] == [
        [], [ended],
    ]  # fmt: skip
    for path_, asked in (
        ("suspects", {"kind": "bogus"}), ("suspects", {"region": "bogus"}), ("institutions", {"region": "bogus"}),
        ("reports", {"kind": "bogus"}), ("reports", {"step": "bogus"}), ("reports", {"region": "bogus"}),
        ("unserved", {"except": "NOPE"}), ("unserved/count", {"except": "NOPE"}),
    ):  # fmt: skip
        refused = await province.get(path_, **asked)
        assert [each["pointer"] for each in refused.json()["errors"]] == [f"query/{next(iter(asked))}"]
    assert (await province.get("reports", step="neighbours", kind="flood", region="33.74")).json()["items"] == []
    assert (told["payouts"], told["ppks"]) == ([ended, paid], ["korban_bencana_alam"])
    assert [member["person"] for member in told["members"]] == [province.nik(ANI)]
    assert [each["institution_id"] for each in told["institutions"]] == ["I-1"]
    assert sorted((each["report_id"], each["kind"]) for each in told["reports"]) == [
        ("N-" + province.name, "disability"), ("R-" + province.name, "unserved_poor"),
    ]  # fmt: skip
    assert not any(secret in seen.text for secret in (ANI, MAWAR, "Ani Rahayu", "rahasia", "birth_date"))

    assert (await province.get(path, purpose="a visit")).status_code == 403
    connection = await asyncpg.connect(province.database)
    assert await connection.fetchval("select count(*) from act where act = 'disclose'") == 0
    shown = (await province.get(path, "officer", purpose="a visit to 3374010102900001")).json()
    (member,) = shown["members"]
    assert (member["nik"], member["names"], member["memberships"][0]["kk"]) == (ANI, ["Ani Rahayu"], MAWAR)
    row = await connection.fetchrow("select * from act where act = 'disclose'")
    await connection.close()
    assert (row["target"], row["who"] != "") == (province.kk(MAWAR), True)
    assert [str(each) for each in row["persons"]] == [province.nik(ANI)]
    assert ANI not in row["detail"]

    asked = {"region": "33.74", "on": "2026-03-31"}
    items = (await province.get("unserved", **asked)).json()["items"]
    assert [(each["household"], each["never"]) for each in items] == [(province.kk(MELATI), True)]
    later = asked | {"on": "2026-04-10"}
    first = (await province.get("unserved", **later, limit=1)).json()
    second = (await province.get("unserved", **later, limit=1, cursor=first["next"])).json()
    assert [each["household"] for each in first["items"] + second["items"]] == [
        province.kk(MELATI), province.kk(MAWAR),
    ]  # fmt: skip
    assert (second["items"][0]["days"], second["items"][0]["since"], second["next"]) == (10, "2026-03-31", None)
    told = (await province.get("unserved/count", **later, by="kecamatan")).json()
    assert [(each["region"], each["needy"], each["households"], each["never"]) for each in told["items"]] == [
        ("33.74.01", 2, 2, 1)
    ]
    assert (await province.get("unserved", **{**later, "except": "PKH", "days": 11})).json()["items"][0]["never"]
    assert (await province.get("unserved", region="33.74.99.9999")).status_code == 422

    before = (await province.get(path)).json()
    province.stop()
    connection = await asyncpg.connect(province.database)
    await connection.execute("drop schema public cascade; create schema public")
    await connection.close()
    province.start()
    await province.idle()
    assert (await province.get(path)).json() == before
    assert (await province.get("unserved", **asked)).json()["items"] == items


async def test_a_report_goes_up_while_nobody_answers_also_when_killed(province: Province) -> None:
    """Deadlines of seconds: routed at once, up in time, over a kill in the midst; readable to the end."""
    document = policy(**dict.fromkeys(("rt", "kelurahan", "kota", "provinsi")))
    document["routes"] = {"reports": {
        "steps": [{"step": step, "within": "PT4S"} for step in ("kelurahan", "kecamatan", "kota", "province")],
        "in_charge": [{"step": step, "agency": province.agency(agency)} for step, agency in
                      (("kelurahan", "kelurahan"), ("kota", "kota"), ("province", "provinsi"))],
    }}  # fmt: skip
    province.start()
    await province.ready(document)
    await province.declare("rt", "kelurahan")
    mine, other = (f"R-{n}-{province.name}" for n in (1, 2))
    people = [{"nik": ANI, "name": "Bu Ani"}, {"name": "Siti Aminah"}]
    await province.send([recorded(BUDI, MAWAR, agency="kelurahan")])
    await province.idle()

    async def stands(key: str, *wanted: str) -> Any:
        async def so() -> Any:
            data = (await province.announced("registry.reports.v1", {key})).get(key, {}).get("data", {})
            return data if data.get("step") in wanted and data.get("state") == wanted[-1] else None

        return await until(so, f"{key} does not come to {wanted}\n{province.log()[-4_000:]}")

    await province.send([filed(mine, "rt", people=people), filed(other, "rt", people=[])], Kind.REPORTS)
    first = await stands(mine, "kelurahan", "kota", "province", "waiting")
    assert first["people"] == [province.nik(ANI)]
    await province.send([answered(other, "kelurahan", outcome="helped")], Kind.REPORTS)
    await stands(other, "kelurahan", "kota", "province", "closed")
    province.stop()
    await asyncio.sleep(5)  # the deadlines pass while nobody is there
    province.start()
    await stands(mine, "province", "overdue")

    listed = (await province.get("reports", overdue=True)).json()["items"]
    assert [(each["agency"], each["report_id"], each["in_charge"]) for each in listed] == [
        (province.agency("rt"), mine, province.agency("provinsi"))
    ]
    assert (await province.get("reports", region="33.71")).json()["items"] == []
    path = f"reports/{province.agency('rt')}/{mine}"
    answer = await province.get(path)
    told = answer.json()
    assert [entry["what"] for entry in told["timeline"]] == [
        "filed", "asked", "unanswered", "nobody", "asked", "unanswered", "asked", "unanswered", "overdue",
    ]  # fmt: skip
    asked = [entry for entry in told["timeline"] if entry["what"] == "asked"]
    assert [entry["step"] for entry in asked] == ["kelurahan", "kota", "province"]
    at = [datetime.fromisoformat(entry["at"]) for entry in asked]
    assert [(later - before).total_seconds() for before, later in itertools.pairwise(at)] == [4, 4]
    assert [(each["matched_by"], each["persons"], each["known"]) for each in told["people"]] == [
        ("nik", [province.nik(ANI)], False), ("possible", [province.nik(BUDI)], True),
    ]  # fmt: skip
    assert not any(word in answer.text for word in ("Bu Ani", "Siti", "Joko", "Air naik", ANI))
    assert (await province.get(path, purpose="house visit")).status_code == 403
    disclosed = (await province.get(path, "officer", purpose="house visit")).json()
    assert (disclosed["people"][0]["name"], disclosed["text"]) == ("Bu Ani", "Air naik")
    assert (await province.get(f"reports/{province.agency('kota')}/{mine}")).status_code == 404
    connection = await asyncpg.connect(province.database)
    [act] = await connection.fetch("select who, act, target from act")
    await connection.close()
    assert tuple(act) == ("officer", "disclose", f"report {province.agency('rt')}/{mine}")
    assert not any(word in province.log() for word in ("Bu Ani", ANI))


async def test_a_stop_is_clean_and_quick(province: Province) -> None:
    province.start()
    await province.ready(policy())
    province.stop(signal.SIGTERM)
    assert province.processes[-1].returncode == 0, province.log()[-4_000:]
    levels = Counter(orjson.loads(line)["level"] for line in province.log().splitlines())
    assert not levels["error"] + levels["critical"], province.log()


def test_every_announced_type_is_in_the_contracts() -> None:
    by_topic = defaultdict(set)
    for name, outbound in OUTBOUND.items():
        for topic in outbound.topics:
            by_topic[topic].add(name)
    assert {"tepat.suspect.raised.v1", "tepat.suspect.cleared.v1"} <= by_topic["registry.suspects.v1"]
