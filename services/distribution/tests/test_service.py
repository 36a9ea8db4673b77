"""The service whole, on a real broker and a real database: what it takes, refuses, takes again and survives.

The broker outlives a test: each has agencies of its own, and removes their topics at its end. Only the services of
one test run at a time, since all share their consumer groups.
"""

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from tepat_chassis import kafka as cluster
from tepat_chassis.pseudonyms import Pseudonyms
from tepat_chassis.quarantine import Sealer
from tepat_contracts import topics
from tepat_contracts.policy import from_document
from tepat_contracts.topics import POLICY, Kind, clearances_name, inbound_name, receipts_name
from tepat_demo import oracle, stream
from tepat_demo.oracle import Record
from tepat_distribution import aid, domain
from tepat_distribution.aid import AID
from tepat_distribution.app import build
from tepat_distribution.detect import FINDINGS, OVERLAPS
from tepat_distribution.settings import DistributionSettings
from tepat_local import tokens

from .conftest import (
    BUDI,
    MAWAR,
    PKH_BLT,
    PKH_BPNT,
    SECRET,
    Event,
    Registry,
    agency,
    ended,
    event,
    lives,
    merged,
    payout,
    policy,
    renewed,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

PARTITIONS = 2
PATIENCE = 60.0
LEFT = """
select (select count(*) from mark) + (select count(*) from rejudging) + (select count(*) from rebuilding)
     + (select count(*) from clearance_touch) + (select count(*) from behind) + (select count(*) from outbox)"""

TO_FIND = """
select (select count(*) from finding_touch) + (select count(*) from finding_group)
     + (select count(*) from finding_sweep) + (select count(*) from outbox)"""
TO_TELL = "select (select count(*) from aid_touch) + (select count(*) from aid_due) + (select count(*) from outbox)"

Sent = tuple[str, int, Event | bytes | None]
"""Topic, partition, value."""


class Province:
    """Two agencies with names of their own on the session's broker, a fresh database, and who reads what came of it."""

    def __init__(self, kafka: str, database: str, secrets: Path, folder: Path) -> None:
        suffix = token_hex(4)
        self.kafka, self.database, self.folder = kafka, database, folder
        self.dinsos, self.himbara, self.asing = (f"{name}-{suffix}" for name in ("dinsos", "himbara", "asing"))
        self.settings = DistributionSettings(
            kafka=kafka, secrets=secrets, jwks=str(tokens.issue(folder)), issuer=tokens.ISSUER,
            distribution_url=database, partitions=PARTITIONS, http_port=0,
        )  # fmt: skip
        self.document: dict[str, Any] = {}
        self._producer = AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=3 * 1024 * 1024)

    @property
    def agencies(self) -> tuple[str, str, str]:
        return self.dinsos, self.himbara, self.asing

    def topic(self, by: str) -> str:
        return inbound_name(by, Kind.PAYOUTS)

    async def open(self) -> None:
        wanted = topics.own(PARTITIONS) + [t for by in self.agencies for t in topics.of_agency(by, PARTITIONS)]
        await cluster.declare(self.kafka, wanted)
        await self._producer.start()

    async def close(self) -> None:
        await self._producer.stop()
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.delete_topics([t.name for by in self.agencies for t in topics.of_agency(by)])
        finally:
            await admin.close()

    # -- what comes in

    async def apply(self, version: str, *codes: str, secret_id: str = "main") -> None:
        """Put a policy on its topic: who may pay `codes` is dinsos, BPNT is himbara's."""
        self.document = policy(
            PKH_BPNT, PKH_BLT, version=version, programmes=[*codes, "BPNT"],
            agencies=[agency(self.dinsos, *codes, rank=1), agency(self.himbara, "BPNT", rank=2)],
        ) | {"secret_id": secret_id}  # fmt: skip
        document = from_document(self.document).document()
        told = event("province", "policy.applied", document) | {"source": "urn:tepat:service:policy"}
        await self.send([(POLICY.name, 0, told)], key=version)

    async def send(self, sent: Iterable[Sent], key: str = "any") -> list[int]:
        """Send records, in the order of each partition; their offsets."""
        futures = [
            await self._producer.send(
                topic, orjson.dumps(value) if isinstance(value, dict) else value, key=key.encode(),
                partition=partition,
            )
            for topic, partition, value in sent
        ]  # fmt: skip
        return [(await future).offset for future in futures]

    async def tell(self, told: Iterable[Event]) -> None:
        """What the registry tells, in a transaction as its relay has it."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, transactional_id=f"registry-{token_hex(4)}")
        await producer.start()
        try:
            async with producer.transaction():
                for each in told:
                    name = "persons" if "person" in each["data"] else "households"
                    key = each["data"].get("person") or each["data"]["household"]
                    full = event("registry", "x", {}) | {"source": "urn:tepat:service:registry"} | each
                    await producer.send(
                        f"registry.{name}.v1", orjson.dumps(full), key=key.encode(),
                        partition=int(key[0], 16) % PARTITIONS,
                    )  # fmt: skip
        finally:
            await producer.stop()

    async def told_through(self) -> None:
        """What registry and eligibility tell once they have told everything: here nobody else does, but other tests on
        this broker may have let services tell.
        """
        through: dict[str, list[int]] = {}
        ends = await cluster.filled(self.kafka, lambda name: name.startswith(("agency.", "registry.")))
        for (topic, partition), end in ends.items():
            offsets = through.setdefault(topic, [])
            offsets += [0] * (partition + 1 - len(offsets))
            offsets[partition] = end
        for service in ("registry", "eligibility"):
            data = {"service": service, "revision": time.time_ns() // 1000, "through": through}
            await self.send([(topics.progress_name(service), 0, event(service, "progress.told", data))], key=service)

    # -- what comes out

    async def covered(self) -> Mapping[stream.Partition, tuple[int, int]]:
        """Wait until every offset of the agencies' payouts has its receipt; returns the bounds of these."""
        bounds = await stream.bounds(self.kafka, [self.topic(by) for by in self.agencies])
        await stream.answers(self.kafka, bounds, PATIENCE)
        return bounds

    async def settled(self) -> None:
        """Wait until every offset has its one receipt, what the registry told is taken, all is judged, and everything
        announced is on its topic.
        """
        bounds = await self.covered()
        heard = await cluster.filled(self.kafka, lambda name: name in ("registry.persons.v1", "registry.households.v1"))
        if heard:
            ends = ", ".join(f"('{each.topic}', {each.partition}, {end})" for each, end in heard.items())
            await self.until(
                lambda behind: behind == 0,
                f"select count(*) from (values {ends}) e (topic, partition, until) left join position p "
                "using (topic, partition) where coalesce(p.next_offset, 0) < until",
            )
        await self.until(lambda left: left == 0, LEFT)
        receipts = await stream.read(self.kafka, await stream.topics(self.kafka, stream.RECEIPTS), committed=True)
        unanswered = stream.Unanswered(bounds, receipts)
        assert (unanswered.left, unanswered.twice()) == (0, 0)

    async def until(self, holds: Callable[[Any], bool], query: str) -> None:
        """Wait until the database answers as it should; None where the service has not made its tables yet."""
        connection = await asyncpg.connect(self.database)

        async def answer() -> Any:
            try:
                return await connection.fetchval(query)
            except asyncpg.UndefinedTableError:
                return None

        try:
            async with asyncio.timeout(PATIENCE):
                while not holds(await answer()):  # noqa: ASYNC110 – others write it, and say nothing
                    await asyncio.sleep(0.02)
        finally:
            await connection.close()

    async def receipts(self, by: str) -> list[Event]:
        """The agency's receipts; an event that was sent again counts once."""
        records = await stream.read(self.kafka, [receipts_name(by)], committed=True)
        return list({told["id"]: told for record in records for told in [orjson.loads(record.value or b"")]}.values())

    async def overlaps(self, *, committed: bool = True) -> list[Record]:
        """What was announced of these agencies' payouts."""
        records = await stream.read(self.kafka, [OVERLAPS], committed=committed)
        return [r for r in records if any(by.encode() in (r.value or b"") for by in self.agencies)]

    async def clearances(self) -> list[Record]:
        """What these agencies were answered."""
        return await stream.read(self.kafka, [clearances_name(by) for by in self.agencies], committed=True)

    async def check(self, facts: Sequence[Event] = ()) -> dict[str, Any]:
        """Once settled: what stands announced is what the oracle says of what the receipts say was taken."""
        await self.settled()
        return await self.agreed(facts)

    async def agreed(self, facts: Sequence[Event] = ()) -> dict[str, Any]:
        """What the oracle says of what the receipts say was taken, and stands announced."""
        sent = await stream.read(self.kafka, [self.topic(by) for by in self.agencies], committed=True)
        receipts = await stream.read(self.kafka, [receipts_name(by) for by in self.agencies], committed=True)
        told = [
            Record(f"agency.{self.dinsos}.beneficiaries.v1", 0, offset, [], orjson.dumps(fact))
            for offset, fact in enumerate(facts)
        ]
        accepted = oracle.accepted_by_receipts(sent, receipts)
        outcome = oracle.expected([*accepted, *told], self.document, SECRET)
        announced = await self.overlaps()
        assert oracle.differences(oracle.fold(announced), outcome.overlaps) == []
        issued = oracle.fold_clearances(await self.clearances())
        should = oracle.clearances(accepted, self.document, outcome.overlaps)
        assert {payout: issued.get(payout) for payout in should} == should
        for committed in (True, False):
            assert oracle.irregularities(await self.overlaps(committed=committed)) == []
        return outcome.overlaps

    # -- the service

    @asynccontextmanager
    async def running(self) -> AsyncIterator[httpx.AsyncClient]:
        """The service in this process, once it follows the last policy; its HTTP side, as an operator."""
        app = build(self.settings)
        headers = {"Authorization": f"Bearer {(self.folder / 'tokens' / 'operator').read_text()}"}
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://distribution/v1", headers=headers) as client,
        ):
            await self.following(client)
            yield client

    async def following(self, client: httpx.AsyncClient) -> None:
        """Wait until the service follows the last policy."""
        async with asyncio.timeout(PATIENCE):
            while (await client.get("/status")).json()["policy_version"] != self.document["version"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    @asynccontextmanager
    async def process(self, failpoint: str = "") -> AsyncIterator[subprocess.Popen[bytes]]:
        """The service in a process of its own; it is ended with the block, unless it died before."""
        given = {
            name: str(getattr(self.settings, name))
            for name in ("kafka", "secrets", "jwks", "issuer", "partitions", "http_port")
        } | {"distribution_url": self.database, "failpoint": failpoint}
        environment = os.environ | {f"TEPAT_{name.upper()}": value for name, value in given.items()}
        with (self.folder / "distribution.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: ASYNC220 – it returns at once
                [sys.executable, "-m", "tepat_distribution"], env=environment, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait)


@pytest_asyncio.fixture
async def province(kafka: str, database: str, secrets: Path, tmp_path: Path) -> AsyncIterator[Province]:
    """Agencies of this test's own, under a policy that is theirs."""
    made = Province(kafka, database, secrets, tmp_path)
    await made.open()
    await made.apply(f"t-{made.dinsos}", "PKH")
    yield made
    await made.close()


def number(serial: int) -> str:
    """A valid NIK that is a valid KK too."""
    return f"3374{serial // 9_999 + 1:02}010290{serial % 9_999 + 1:04}"


# --- what is refused


def changed(by: str, told: Event, **data: Any) -> Event:
    return {**told, "source": f"urn:tepat:agency:{by}", "data": {**told["data"], **data}}


def bad_records(by: str) -> list[tuple[str, bytes | None]]:
    """Records that cannot be taken, each with its reason."""
    good = payout("bad", by=by)
    recipient = good["data"]["recipient"]
    whole = orjson.dumps(good)
    told: list[tuple[str, bytes | Event | None]] = [
        ("malformed", None),
        ("malformed", b""),
        ("malformed", b"{"),
        ("malformed", b"\xff\xfe{}"),
        ("malformed", b"[" * 10_000 + b"]" * 10_000),
        ("malformed", whole.replace(b"750000", b"NaN")),
        ("malformed", whole[:-1] + b" " * (1_048_577 - len(whole)) + b"}"),
        ("schema", b"[]"),
        ("schema", whole.replace(b'"disbursed"', b'"x"').replace(b"750000", b'"750000"')),
        ("schema", whole.replace(b"Jalan", b"").replace(b'"bad"', b'"b\\u0000d"')),
        ("schema", changed(by, good, revision=-1)),
        ("schema", changed(by, good, revision=2**63)),
        ("schema", changed(by, good, payout_id="a|b")),
        ("schema", changed(by, good, covers={"from": "0000-01-01", "to": "2026-01-01"})),
        ("schema", good | {"time": "2026-01-05T08:00:60Z"}),
        ("source_mismatch", changed("dinsos-lain", good)),
        ("unknown_type", good | {"type": "tepat.person.recorded.v1"}),
        ("nik_invalid", changed(by, good, recipient=recipient | {"nik": "3374014101900000"})),
        ("kk_invalid", changed(by, good, recipient=recipient | {"kk": "0074010101200001"})),
        ("programme_unknown", changed(by, good, programme="BLT-DD")),
        ("not_permitted", changed(by, good, programme="BPNT")),
        ("region_unknown", changed(by, good, region="99")),
        ("covers_inverted", changed(by, good, covers={"from": "2026-02-01", "to": "2026-01-31"})),
    ]
    return [(reason, orjson.dumps(value) if isinstance(value, dict) else value) for reason, value in told]


async def test_what_is_bad_is_told_and_kept_and_its_neighbours_are_taken(province: Province) -> None:
    by, topic = province.dinsos, province.topic(province.dinsos)
    bad = bad_records(by)
    among: list[tuple[str | None, Event | bytes | None]] = []
    for index, (reason, value) in enumerate(bad):
        good = payout(f"p{index}", of=number(index), card=number(index), by=by)
        among += [(None, good), (reason, value)]
    among.append((None, payout("last", of=number(0), card=number(0), by=by, days=("9999-12-31", "9999-12-31"))))
    offsets = await province.send([(topic, 0, value) for _, value in among])
    pairs = [payout(f"q{n}", "BPNT", number(n), number(n), by=province.himbara) for n in range(len(bad))]
    await province.send((province.topic(province.himbara), n % PARTITIONS, each) for n, each in enumerate(pairs))
    await province.send([(province.topic(province.asing), 1, payout("p", by=province.asing))])

    async with province.running() as client:
        assert len(await province.check()) == len(bad)
        told = await province.receipts(by)
        rejected = {each["data"]["offset"]: each["data"] for each in told if each["type"] == "tepat.event.rejected.v1"}
        wanted = {offset: reason for offset, (reason, _) in zip(offsets, among, strict=True) if reason}
        assert {offset: data["reason"] for offset, data in rejected.items()} == wanted
        ranges = sorted(
            (each["data"]["from_offset"], each["data"]["to_offset"], each["data"]["accepted"], each["data"]["rejected"])
            for each in told if each["type"] == "tepat.events.accepted.v1" and each["data"]["partition"] == 0
        )  # fmt: skip
        assert [(first, last) for first, last, *_ in ranges] == [
            (offset, offset) for offset, (reason, _) in zip(offsets, among, strict=True) if not reason
        ]
        assert {counts for *_, accepted, refused in ranges for counts in [(accepted, refused)]} == {(1, 0)}
        (unknown,) = await province.receipts(province.asing)
        assert (unknown["data"]["reason"], unknown["data"]["pointer"]) == ("agency_unknown", "/source")

        # the quarantine holds each record whole, sealed; its topic says which
        sealer = Sealer((province.settings.secrets / "seal").read_bytes())
        values = {offset: value for offset, (reason, value) in zip(offsets, among, strict=True) if reason}
        connection = await asyncpg.connect(province.database)
        rows = await connection.fetch('select * from quarantine where topic = $1 order by "offset"', topic)
        await connection.close()
        assert {row["offset"]: row["reason"] for row in rows} == wanted
        for row in rows:
            opened = sealer.open(topic, 0, row["offset"], row["sealed"])
            assert opened.value == values[row["offset"]]
            assert row["sha256"] == hashlib.sha256(opened.value or b"").digest()
            assert not re.search(r"\d{16}", f"{row['message']} {row['pointer']}")
        records = await stream.read(province.kafka, ["distribution.quarantine.v1"], committed=True)
        listed = [orjson.loads(record.value or b"")["data"] for record in records]
        assert {data["offset"]: data["reason"] for data in listed if data["topic"] == topic} == wanted

        # and the service goes on
        await province.send([(topic, 0, ended("p0", by=by))])
        assert len(await province.check()) == len(bad) - 1
        assert (await client.get("/status")).json()["ready"]


async def test_payouts_are_taken_while_a_policy_waits_for_its_secret(
    province: Province, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tepat_chassis.service.PULSE_SECONDS", 0.1)
    secrets = Path(shutil.copytree(province.settings.secrets, tmp_path / "own"))
    province.settings = province.settings.model_copy(update={"secrets": secrets})
    before, version = province.document["version"], f"lain-{province.dinsos}"
    async with province.running() as client, asyncio.timeout(PATIENCE):
        await province.apply(version, "PKH", secret_id="lain")
        while (put_off := (await client.get("/status")).json()["policy_put_off"]) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert put_off["version"] == version
        ready = {"ok": True, "reasons": [put_off["why"]]}  # once all its groups are joined
        while (await client.get("http://distribution/health/ready")).json() != ready:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await province.send([(province.topic(province.dinsos), 0, payout(by=province.dinsos))])
        await province.until(bool, "select exists (select from payout)")
        assert (await client.get("/status")).json()["policy_version"] == before
        (secrets / "lain").write_bytes(bytes(32))
        await province.following(client)
        assert (await client.get("/status")).json()["policy_put_off"] is None


async def test_an_instance_that_lacks_the_secret_in_use_takes_nothing_until_it_has_it(
    province: Province, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tepat_chassis.service.PULSE_SECONDS", 0.1)
    async with province.running():
        pass
    secrets = Path(shutil.copytree(province.settings.secrets, tmp_path / "own"))
    main = (secrets / "main").read_bytes()
    (secrets / "main").unlink()
    province.settings = province.settings.model_copy(update={"secrets": secrets})
    province.document["version"], version = None, province.document["version"]
    async with province.running() as client, asyncio.timeout(PATIENCE):
        ready = await client.get("http://distribution/health/ready")
        assert (await client.get("/status")).json()["policy_put_off"]["version"] == version
        assert ready.status_code == 503
        (secrets / "main").write_bytes(main)
        province.document["version"] = version
        await province.following(client)
        await province.send([(province.topic(province.dinsos), 0, payout(by=province.dinsos))])
        await province.until(bool, "select exists (select from payout)")


async def test_what_an_agency_does_not_commit_is_never_taken(province: Province) -> None:
    by, topic = province.dinsos, province.topic(province.dinsos)
    producer = AIOKafkaProducer(bootstrap_servers=province.kafka, transactional_id=f"bayar-{by}")
    await producer.start()
    try:
        async with province.running():
            for id_, kept in [("k1", True), ("a1", False), ("k2", True), ("a2", False)]:
                await producer.begin_transaction()
                for side, sender, programme in [("x", by, "PKH"), ("y", by, "PKH")]:
                    told = payout(f"{id_}-{side}", programme, by=sender)
                    await producer.send_and_wait(topic, orjson.dumps(told), key=b"k", partition=0)
                await (producer.commit_transaction() if kept else producer.abort_transaction())
                assert len(await province.check()) == {"k1": 1, "a1": 1, "k2": 6, "a2": 6}[id_]
        told = [each["data"] for each in await province.receipts(by)]
        assert max(each["to_offset"] for each in told) == 11  # the last two aborted, and their marker
        assert sum(each["accepted"] for each in told) == 4
    finally:
        await producer.stop()


async def test_a_replay_takes_a_record_once_however_often_it_is_asked(province: Province) -> None:
    topic = province.topic(province.dinsos)
    waiting = payout("p1", "BLT-DD", by=province.dinsos)
    wrong = payout("p2", "BLT-DD", "3374014101900000", by=province.dinsos)
    offset, hopeless, _ = await province.send([
        (topic, 0, waiting), (topic, 0, wrong), (topic, 0, payout("p3", of=BUDI, by=province.dinsos)),
    ])  # fmt: skip

    async with province.running() as client:
        assert await province.check() == {}
        assert (await client.post("/quarantine/replay", json={})).json() == {
            "replayed": 2, "accepted": 0, "rejected": 2,
        }  # fmt: skip
        await province.apply("t-fixed", "PKH", "BLT-DD")
        await province.following(client)
        entry = {"topic": topic, "partition": 0, "offset": offset}
        asked = [client.post("/quarantine/replay", json={"entries": [entry]}) for _ in range(4)]
        answers = [answer.json()["accepted"] for answer in await asyncio.gather(*asked)]
        assert sorted(answers) == [0, 0, 0, 1]
        answer = await client.post("/quarantine/replay", json={"reason": "nik_invalid"})
        assert answer.json() == {"replayed": 1, "accepted": 0, "rejected": 1}
        ((_, overlap),) = (await province.check()).items()
        assert overlap["rule"] == "pkh-blt"
        outcomes = Counter(
            (each["data"]["offset"], each["data"]["outcome"], each["data"].get("reason"))
            for each in await province.receipts(province.dinsos) if each["type"] == "tepat.event.replayed.v1"
        )  # fmt: skip
        assert outcomes == {
            (offset, "rejected", "programme_unknown"): 1, (offset, "accepted", None): 1,
            (hopeless, "rejected", "nik_invalid"): 2,
        }  # fmt: skip


# --- what people see


async def test_overlaps_and_payouts_are_found_by_whatever_names_them(province: Province) -> None:
    id_ = "PKH/2026/1"  # as offices number what they write
    await province.send([
        (province.topic(province.dinsos), 0, payout(id_, by=province.dinsos, id_=f"event-{province.dinsos}")),
        (province.topic(province.himbara), 0, payout("q", "BPNT", BUDI, by=province.himbara, region="33.74.02")),
        (province.topic(province.himbara), 0, payout("r", "BPNT", BUDI, by=province.himbara, region="33.75")),
    ])  # fmt: skip
    async with province.running() as client:
        found = await province.check()

        async def listed(**asked: Any) -> list[str]:
            items = (await client.get("/overlaps", params={"agency": province.himbara} | asked)).json()["items"]
            return sorted("+".join(side["payout_id"] for side in item["payouts"]) for item in items)

        assert await listed() == [f"{id_}+q", f"{id_}+r", "q+r"]
        assert await listed(verdict="exclusive") == ["q+r"]
        assert await listed(region="33.74") == [f"{id_}+q"]
        assert await listed(region="33.72") == []
        for wrong in ({"region": "33.7"}, {"programme": "NOPE"}, {"agency": "nobody"}):
            assert (await client.get("/overlaps", params=wrong)).status_code == 422
        assert await listed(programme="PKH") == [f"{id_}+q", f"{id_}+r"]
        assert await listed(live=False) == []
        (one,) = [each for each in found.values() if each["region"] == "33.74.02"]
        assert await listed(overlap_id=one["overlap_id"]) == [f"{id_}+q"]
        page = (await client.get("/overlaps", params={"agency": province.himbara, "limit": 2})).json()
        assert len(page["items"]) == 2
        assert await listed(cursor=page["next"]) != await listed()

        async def traced(name: str) -> Counter[str]:
            return Counter(step["what"] for step in (await client.get(f"/trace/{name}")).json()["steps"])

        mine = {"payout disbursed": 1, "overlap announced": 2}
        for name in (id_, f"{province.dinsos}/{id_}", f"event-{province.dinsos}"):
            assert await traced(name) == mine
        assert await traced(one["overlap_id"]) == {"payout disbursed": 2, "overlap announced": 3}
        assert await traced(one["household"]) == {"payout disbursed": 3, "overlap announced": 3}
        assert await traced("nothing") == {}
        await province.send([(province.topic(province.dinsos), 0, ended(id_, by=province.dinsos))])
        await province.check()
        assert await listed(live=False) == [f"{id_}+q", f"{id_}+r"]
        assert await traced(id_) == {"payout disbursed": 1, "payout cancelled": 1, "overlap cleared": 2}


async def test_a_payment_list_is_answered_line_by_line_and_nothing_comes_of_it(province: Province) -> None:
    by, other = province.dinsos, province.himbara
    await province.apply(f"u-{by}", "PKH", "BLT-DD")
    await province.send([
        (province.topic(by), 0, payout("stands", "BLT-DD", BUDI, by=by)),
        (province.topic(by), 0, payout("A", of=number(1), card=MAWAR, by=by, state="planned")),
        (province.topic(other), 0, payout("B", "BPNT", number(2), number(2), by=other)),
        (province.topic(by), 0, payout("paid", of=number(6), card=number(6), by=by)),
    ])  # fmt: skip
    asked: list[Event] = [
        payout("A", of=number(1), card=MAWAR, by=by, state="planned"),
        payout("new", of=number(2), card=number(2), by=by, state="planned"),
        payout("twice-1", of=number(3), card=number(3), by=by, state="planned"),
        payout("twice-2", of=number(3), card=number(3), by=by, state="planned"),
        payout("alone", of=number(4), card=None, by=by, state="planned"),
        payout("wrong", of="3374014101900000", by=by, state="planned"),
        payout("theirs", "BPNT", of=number(5), by=by, state="planned"),
        payout("paid", of=number(6), card=number(6), by=by, state="planned"),
        *(payout(f"more-{n}", of=number(n), card=number(n), by=by, state="planned") for n in range(1_000, 4_000)),
    ]
    body = b"\n".join(map(orjson.dumps, asked))
    assert len(body) > 2**20
    async with province.running() as client:
        await province.settled()
        before = await client.get("/trace/A")
        for name in (by, "nobody"):
            answer = await client.post("/checks", params={"agency": name}, content=body)
            assert answer.status_code == (200 if name == by else 422)
            if name == by:
                *lines, last = map(orjson.loads, answer.text.splitlines())
        assert [line.get("decision") or line["rejected"] for line in lines[:9]] == [
            "hold", "clear", "hold", "hold", "clear", "nik_invalid", "not_permitted", "hold", "clear",
        ]  # fmt: skip
        assert lines[7]["reasons"] == ["disbursed: the ledger holds revision 0 of it"]
        assert [line.get("reasons") for line in lines[:4]] == [
            [f"exclusive: pkh-blt with {by}/stands"], [],
            [f"exclusive: same-programme-same-person with {by}/twice-2"],
            [f"exclusive: same-programme-same-person with {by}/twice-1"],
        ]  # fmt: skip
        assert [each["payout_id"] for each in lines[1]["overlaps"]] == ["B"]
        assert last["result"] == {
            "hold": 4, "clear": 3_002, "rejected": 2, "policy_version": f"u-{by}", "behind": False,
        }  # fmt: skip
        assert (await client.get("/trace/A")).json() == before.json()
        assert (await client.get("/trace/new")).json()["steps"] == []
        listed = (await client.get("/clearances", params={"agency": by})).json()["items"]
        assert [(each["payout_id"], each["decision"]) for each in listed] == [("A", "hold")]
        assert (await client.get("/clearances", params={"decision": "clear", "agency": by})).json()["items"] == []
        figures = (await client.get("/clearances/figures")).json()["items"]
        assert figures == [{"programme": "PKH", "decision": "hold", "payouts": 1, "amount": 750_000}]


# --- what is read again


async def test_a_misused_id_is_settled_by_what_the_topic_still_holds(province: Province) -> None:
    by, topic = province.dinsos, province.topic(province.dinsos)
    amounts = ((10, 9), (9, 10), (5, 5))  # as text "9" > "10"
    first = [payout(f"p{n}", by=by, id_=f"x{n}", amount=one) for n, (one, _) in enumerate(amounts)]
    second = [payout(f"p{n}", by=by, id_=f"x{n}", amount=other) for n, (_, other) in enumerate(amounts)]
    filling = [payout(f"f{n}", of=number(n), card=number(n), by=by) for n in range(50)]
    partner = payout("q", "BPNT", BUDI, by=province.himbara, amount=1_000)
    await province.send([(province.topic(province.himbara), 0, partner)])
    async with province.running():
        await province.send((topic, n % PARTITIONS, each) for n, each in enumerate(filling + first + filling))
        await province.covered()
        await province.send((topic, n % PARTITIONS, each) for n, each in enumerate(second))
        found = await province.check()
    at_risk = {
        overlap["payouts"][0]["payout_id"]: overlap["amount_at_risk"]
        for overlap in found.values() if overlap["rule"] == "pkh-bpnt"
    }  # fmt: skip
    assert at_risk == {"p0": 9, "p1": 9, "p2": 5}


# --- two instances


async def owners(kafka: str, group: str) -> dict[tuple[str, int], str]:
    """Which member of the group reads each partition, once the group is stable."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([group])
    finally:
        await admin.close()
    _, _, state, _, _, members, *_ = answer.groups[0]
    if state != "Stable":
        return {}
    return {
        (partition.topic, partition.partition): member
        for member, _, _, _, assignment in members
        for partition in ConsumerProtocolMemberAssignment.decode(assignment).partitions()
    }


async def test_two_instances_that_take_the_halves_at_one_moment_miss_none(province: Province) -> None:
    a, b = province.topic(province.dinsos), province.topic(province.himbara)
    async with province.process(), province.process():
        apart: list[tuple[int, int]] = []
        async with asyncio.timeout(PATIENCE):
            while not apart:
                owned = await owners(province.kafka, "tepat-distribution-payouts")
                apart = [
                    (p, q) for p in range(PARTITIONS) for q in range(PARTITIONS)
                    if len({owned.get((a, p)), owned.get((b, q)), None}) == 3
                ]  # fmt: skip
                await asyncio.sleep(0.1)
        await province.until(bool, f"select count(*) from standing where version = '{province.document['version']}'")
        for n in range(200):
            p, q = apart[n % len(apart)]
            of, halves = number(n), ("PKH", "BPNT") if n % 2 else ("BPNT", "PKH")
            pair = {
                "PKH": (a, p, payout(f"p{n}", "PKH", of, MAWAR[:12] + f"{n + 1:04}", by=province.dinsos)),
                "BPNT": (b, q, payout(f"q{n}", "BPNT", of, MAWAR[:12] + f"{n + 1:04}", by=province.himbara)),
            }
            await province.send(pair[half] for half in halves)
        assert len(await province.check()) == 200


# --- dying


@pytest.mark.parametrize(
    "places",
    [
        pytest.param(slice(0, None, 2), id="before"),
        pytest.param(slice(1, None, 2), id="after", marks=pytest.mark.chaos),
    ],
)
async def test_a_service_killed_in_the_midst_goes_on_where_it_stopped(province: Province, places: slice) -> None:
    registry = Registry()
    told = list(registry.learn([
        *(lives(number(n), number(n // 3), by=province.dinsos) for n in range(0, 90, 2)),
        *(merged(number(n), number(n + 1), by=province.dinsos) for n in range(0, 90, 9)),
        *(renewed(number(n), number(n + 1), by=province.dinsos) for n in range(0, 30, 7)),
    ]))  # fmt: skip

    def some(start: int, end: int) -> list[Sent]:
        made: list[Sent] = []
        for n in range(start, end):
            by, programme = ((province.dinsos, "PKH"), (province.himbara, "BPNT"))[n % 2]
            serial = n * 7 % 900  # each payout is told of several times, the later of which holds
            of, card = number(serial), number(serial // 3)
            state = "disbursed" if serial % 3 else "planned"
            each = payout(f"p{serial}", programme, of, card, by=by, revision=n // 900, amount=n, state=state)
            if n % 23 == 0:
                each = ended(f"p{serial}", by=by, revision=n // 900)
            made.append((province.topic(by), serial % PARTITIONS, b"{" if n % 101 == 0 else each))
        return made

    async with province.process() as process:
        await province.send(some(0, 2_000))
        await province.tell(told[::2])
        await province.until(bool, "select count(*) from overlap")
        await province.send(some(2_000, 2_600))
        process.kill()
    first = 2_600
    chosen = PLACES[places]  # before or after each commit and each send
    for nth, place in enumerate(chosen):
        async with province.process(place) as process:
            await province.send(some(first, first + 100))
            await province.tell(told[1 + 2 * nth :: 2 * len(chosen)])
            await asyncio.to_thread(process.wait, PATIENCE)
            assert process.returncode == -9, place
        first += 100
    async with province.process():
        await province.send(some(first, 4_000))
        assert len(await province.check(registry.facts)) > 100


PLACES = (
    "payouts.before_commit:1", "payouts.after_commit:1", "registry.persons.v1.before_commit:1",
    "registry.persons.v1.after_commit:1", "detect.before_commit:1", "detect.after_commit:1", "relay.before_send:1",
    "relay.before_commit:1", "relay.after_commit:2", "relay.after_delete:1", "clear.before_commit:1",
    "clear.after_commit:1",
)  # fmt: skip


# --- a new database


async def test_a_new_database_goes_on_from_what_was_announced(
    province: Province, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "GROUP_LIMIT", 3)
    monkeypatch.setattr(oracle, "GROUP_LIMIT", 3)
    monkeypatch.setattr(aid, "APART", timedelta(seconds=3))  # nobody need wait a minute to be told of anew
    a, b = province.topic(province.dinsos), province.topic(province.himbara)
    pairs = [
        (
            topic,
            n % PARTITIONS,
            payout(
                f"{programme}{n}",
                programme,
                number(5_000 + n),
                number(5_000 + n),
                by=by,
                state="planned" if n % 2 else "disbursed",
            ),
        )
        for n in range(60)
        for topic, by, programme in ((a, province.dinsos, "PKH"), (b, province.himbara, "BPNT"))
    ]
    many = [(a, 0, payout(f"m{n}", of=number(6_000), card=number(6_000), by=province.dinsos)) for n in range(4)]
    await province.send(pairs + many)
    await province.tell(Registry().learn([lives(BUDI, MAWAR)]))  # its marker is the last of its partition
    cards = [number(5_000 + n) for n in range(60)] + [number(6_000)]
    households = {str(UUID(bytes=Pseudonyms(SECRET).kk(card))) for card in cards}

    async def of_these() -> list[dict[str, Any]]:
        """What is told of these households; the topic has others' too."""
        records = await stream.read(province.kafka, [AID], committed=True)
        told = [orjson.loads(record.value or b"")["data"] for record in records]
        return [data for data in told if data["household"] in households]

    case = f"/cases/{domain.overlap_id(province.dinsos, 'PKH20', province.himbara, 'BPNT20')}"

    async def acts(client: httpx.AsyncClient) -> list[str]:
        """What was done in a case, told to and by a supervisor."""
        client.headers["Authorization"] = f"Bearer {(province.folder / 'tokens' / 'supervisor').read_text()}"
        told = (await client.get(case)).json()
        return [told["state"], *(step["what"] for step in told["timeline"] if "act" in step)]

    async def found_of_these() -> list[dict[str, Any]]:
        """What is found under these agencies' policy; the topic has others' too."""
        records = await stream.read(province.kafka, [FINDINGS], committed=True)
        told = [orjson.loads(record.value or b"") for record in records]
        return [each for each in told if any(by in orjson.dumps(each).decode() for by in province.agencies)]

    async with province.running() as client:
        assert len(await province.check()) == 60
        assert await acts(client) == ["open"]
        said = {"reason": "in need", "basis": "Perda 1/2026", "revision": 1}
        for what in ("hold", "waive"):
            assert (await client.post(f"{case}/{what}", json=said)).status_code == 200
        await province.until(lambda left: left == 0, LEFT)
        before, answered = await province.overlaps(), await province.clearances()
        assert len(oracle.fold_clearances(answered)) == 60
        await province.until(lambda left: left == 0, TO_TELL)
        await province.told_through()
        await province.until(lambda left: left == 0, TO_FIND)
        found_before = await found_of_these()
        assert Counter((each["type"], each["data"]["rule"]) for each in found_before) == {
            ("tepat.finding.raised.v1", "group_too_large"): 2, ("tepat.finding.raised.v1", "not_registered"): 124,
        }  # fmt: skip
        aid_before = await of_these()
        assert len({data["household"] for data in aid_before}) == 61
    ends = [(a, n % PARTITIONS, ended(f"PKH{n}", by=province.dinsos)) for n in range(7)]
    await province.send([*ends, (a, 0, ended("m0", by=province.dinsos))])
    connection = await asyncpg.connect(province.database)
    await connection.execute("drop schema public cascade; create schema public")
    await connection.close()
    async with province.running() as client:
        await province.covered()
        await province.until(lambda left: left == 0, LEFT)
        assert len(await province.agreed()) == 53 + 3
        assert await acts(client) == ["waived", "held", "waived"]
        await province.until(
            lambda released: released == 1, "select count(*) from released join overlap using (overlap_id)"
        )
        new = [orjson.loads(record.value or b"") for record in await province.overlaps() if record not in before]
        told = Counter((each["type"], each["data"]["revision"]) for each in new)
        # what stands is not announced again, nor cleared before all of the history is taken again
        assert told == {("tepat.overlap.cleared.v1", 2): 7, ("tepat.overlap.detected.v1", 1): 3}
        # of those planned three have lost what they overlapped with, three are planned no more
        told_then = [record for record in await province.clearances() if record not in answered]
        anew = [orjson.loads(record.value or b"")["data"] for record in told_then]
        assert sorted((data["payout_id"], data["overlaps"]) for data in anew) == [(f"BPNT{n}", []) for n in (1, 3, 5)]
        await province.until(lambda left: left == 0, TO_FIND)
        new = [each for each in await found_of_these() if each not in found_before]
        assert Counter((each["type"], each["data"]["rule"], each["data"]["revision"]) for each in new) == {
            ("tepat.finding.cleared.v1", "group_too_large", 2): 2, ("tepat.finding.cleared.v1", "not_registered", 2): 8,
        }  # fmt: skip
        await province.until(lambda left: left == 0, TO_TELL)
        told_anew = [data for data in await of_these() if data not in aid_before]
        assert len({data["household"] for data in told_anew}) == len(told_anew) == 8
        assert min(data["revision"] for data in told_anew) > 1
        assert sum(each["state"] == "cancelled" for data in told_anew for each in data["payouts"]) == 8


# --- what if


async def test_what_overlaps_a_proposed_policy_would_end_is_told_and_they_stand(province: Province) -> None:
    sent = [payout("a", by=province.dinsos), payout("b", "BPNT", by=province.himbara, amount=400_000)]
    await province.send((province.topic(each["source"].rpartition(":")[2]), 0, each) for each in sent)
    proposed = province.document | {"version": "what-if", "overlap_rules": []}

    async with province.running() as client:
        standing = await province.check()
        asked = {"policy": proposed, "from": "2026-01-01", "to": "2026-12-31"}
        assert (await client.post("/simulations", json=asked)).status_code == 403
        token = (province.folder / "tokens" / "policy").read_text()
        client.headers["Authorization"] = f"Bearer {token}"
        assert (await client.post("/simulations", json=asked | {"to": "2025-12-31"})).status_code == 422
        told = [orjson.loads(line) for line in (await client.post("/simulations", json=asked)).content.splitlines()]
        assert {line["of"] for line in told[:-1]} == {len(told) - 1}
        (change,) = told[-1]["result"]["changes"]
        assert change["before"]["verdict"] == next(iter(standing.values()))["verdict"]
        assert (change["after"], change["overlaps"], change["amount_at_risk"]) == (None, 1, 400_000)
        last_year = asked | {"from": "2025-01-01", "to": "2025-12-31"}
        *_, last = (await client.post("/simulations", json=last_year)).content.splitlines()
        assert orjson.loads(last)["result"]["changes"] == []
        assert await province.check() == standing
