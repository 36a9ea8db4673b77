"""One scene: distribution as real processes on a real broker and database, told step by step, and judged at its end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import psutil
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from tepat_chassis import kafka as cluster
from tepat_chassis.pseudonyms import Pseudonyms
from tepat_contracts import topics
from tepat_contracts.policy import from_document
from tepat_contracts.topics import POLICY, Kind, clearances_name, inbound_name, receipts_name
from tepat_demo import oracle, stream
from tepat_demo.oracle import Record
from tepat_local import tokens

from .load import event
from .servers import python_path
from .verdict import fallen
from .watch import number

PARTITIONS = 2
PATIENCE = 25.0
ANSWER_SECONDS = 8.0
"""How long it may take, once nothing else is left to do, until planned payouts are answered as they must be."""
LOOK_SECONDS = 0.02
GROUPS = ("tepat-distribution-payouts", "tepat-distribution-registry.persons.v1")
LEFT = """
select (select count(*) from mark) + (select count(*) from rejudging) + (select count(*) from rebuilding)
     + (select count(*) from outbox)"""


class Wrong(Exception):
    """The scene did not end as it must; the message says in what."""


class Instance:
    """One process of distribution."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def stopped(self) -> bool:
        """Whether it stands still."""
        return psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED

    def wake(self) -> None:
        """Let it go on."""
        psutil.Process(self.process.pid).resume()

    def kill(self) -> None:
        """Kill it, and wait for its end."""
        self.process.kill()
        self.process.wait()

    def said(self, *words: str) -> bool:
        """Whether its log holds one of these."""
        text = self._log.read_text(errors="replace")
        return any(word in text for word in words)


class Scene:
    """One agency of the scene's own, with two programmes that exclude each other in a household."""

    def __init__(self, kafka: str, database: str, secrets: Path, folder: Path, control: str) -> None:
        self.kafka, self.database = kafka, database
        self.agency = f"adegan-{token_hex(4)}"
        self.topic = inbound_name(self.agency, Kind.PAYOUTS)
        self._secret = (secrets / "main").read_bytes()
        self._folder = folder
        self._ids = count(1)
        self._facts: list[Record] = []
        self._document = from_document({
            "version": f"v-{self.agency}",
            "agencies": [{"id": self.agency, "name": "Adegan", "programmes": ["PKH", "BPNT"], "trust_rank": 1}],
            "programmes": [{"code": c, "name": {"id": c, "en": c}, "unit": "household"} for c in ("PKH", "BPNT")],
            "overlap_rules": [
                {"id": "x", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "exclusive"}
            ],
        }).document()  # fmt: skip
        self._environment = os.environ | {
            "TEPAT_KAFKA": kafka, "TEPAT_DISTRIBUTION_URL": database, "TEPAT_SECRETS": str(secrets),
            "TEPAT_JWKS": str(tokens.issue(folder)), "TEPAT_ISSUER": tokens.ISSUER, "TEPAT_HTTP_PORT": "0",
            "TEPAT_PARTITIONS": str(PARTITIONS), "TEPAT_CHAOS_CONTROL": control,
            "PYTHONPATH": python_path(),
        }  # fmt: skip
        self._running: list[Instance] = []
        self._producer = AIOKafkaProducer(bootstrap_servers=kafka)

    @asynccontextmanager
    async def played(self) -> AsyncIterator[Scene]:
        """Topics and policy are there inside the block; what was started is gone after it."""
        await cluster.declare(self.kafka, topics.own(PARTITIONS) + topics.of_agency(self.agency, PARTITIONS))
        async with self._producer:
            source = {"source": "urn:tepat:service:policy"}
            told = orjson.loads(event("province", "policy.applied", f"p-{self.agency}", self._document)) | source
            await self._producer.send_and_wait(POLICY.name, orjson.dumps(told), key=self.agency.encode(), partition=0)
            try:
                yield self
            finally:
                for each in self._running:
                    with suppress(psutil.Error):
                        each.kill()

    # -- who acts

    async def start(self, *, stop_at: str = "", failpoint: str = "") -> Instance:
        """An instance that follows the policy, and stands still or dies at a place."""
        log = self._folder / f"distribution-{next(self._ids)}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(  # noqa: ASYNC220 – it returns at once
                [sys.executable, "-m", "tests.chaos.launcher", "distribution"],
                env=self._environment | {"TEPAT_CHAOS_STOP": stop_at, "TEPAT_FAILPOINT": failpoint},
                stdout=file, stderr=file,
            )  # fmt: skip
        instance = Instance(process, log)
        self._running.append(instance)
        await self.until(lambda: instance.said('"started"') or process.poll() is not None, "an instance starts")
        await self.until_answered(
            bool, f"select count(*) from standing where version = '{self._document['version']}'", "a policy in force"
        )
        return instance

    async def share(self) -> None:
        """Wait until two instances have shared the partitions among them."""

        async def shared() -> bool:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
            await admin.start()
            try:
                told = [answer for group in GROUPS for answer in await admin.describe_consumer_groups([group])]
            finally:
                await admin.close()
            return all(group[2] == "Stable" and len(group[5]) == 2 for answer in told for group in answer.groups)

        await self._until(shared, "two instances share the partitions")

    async def ended(self, instance: Instance) -> None:
        """Wait until an instance has died by its failpoint."""
        try:
            status = await asyncio.to_thread(instance.process.wait, PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError("the instance did not come to its failpoint") from None
        assert status == -9

    # -- what is sent

    async def pay(self, payout_id: str, programme: str, nik: str, kk: str, partition: int) -> int:
        """A payout; its offset."""
        return int((await self._send(partition, self.payout(payout_id, programme, nik, kk))).offset)

    async def pay_at_once(self, values: Sequence[bytes], partition: int) -> None:
        """Payouts in one batch of a partition, which is taken in one."""
        batch = self._producer.create_batch()
        for value in values:
            assert batch.append(key=None, value=value, timestamp=None) is not None
        await (await self._producer.send_batch(batch, self.topic, partition=partition))

    def payout(self, payout_id: str, programme: str, nik: str, kk: str) -> bytes:
        """A payout's event."""
        return event(self.agency, "payout.planned", f"e-{payout_id}", {
            "payout_id": payout_id, "revision": 0, "programme": programme, "region": "33.74.01.1001",
            "covers": {"from": "2026-01-01", "to": "2026-03-31"}, "recipient": {"nik": nik, "kk": kk},
            "benefit": {"kind": "cash", "amount": 600_000},
        })  # fmt: skip

    async def cancel(self, payout_id: str, partition: int) -> None:
        """End a payout."""
        data = {"payout_id": payout_id, "revision": 0, "reason": "account closed"}
        await self._send(partition, event(self.agency, "payout.cancelled", f"c-{payout_id}", data))

    async def moved(self, nik: str, kk: str) -> None:
        """The registry tells in which household a person lives, on every partition, so that each instance hears it."""
        pseudonyms = Pseudonyms(self._secret)

        def told(pseudonym: bytes) -> str:
            return str(UUID(bytes=pseudonym))

        membership = {"agency": self.agency, "household": told(pseudonyms.kk(kk)), "since": "2020-01-01",
                      "region": "33.74.01.1001"}  # fmt: skip
        data = {
            "person": told(pseudonyms.nik(nik)), "stands_for": told(pseudonyms.nik(nik)),
            "alone": told(pseudonyms.alone(nik)), "aliases": [], "memberships": [membership], "attributes": {},
            "revision": 1,
        }  # fmt: skip
        value = event("registry", "person.resolved", f"r-{nik}", data)
        for partition in range(PARTITIONS):
            await self._producer.send_and_wait("registry.persons.v1", value, key=nik.encode(), partition=partition)
        fact = {"nik": nik, "kk": kk, "since": "2020-01-01", "until": None, "revision": 0, "region": "33.74.01.1001"}
        recorded = event(self.agency, "person.recorded", f"f-{nik}", fact)
        self._facts.append(Record(f"agency.{self.agency}.beneficiaries.v1", 0, len(self._facts), [], recorded))

    async def _send(self, partition: int, value: bytes) -> Any:
        return await self._producer.send_and_wait(self.topic, value, partition=partition)

    # -- what is waited for

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something this process can see."""

        async def held() -> bool:
            return holds()

        await self._until(held, what)

    async def until_answered(self, holds: Callable[[Any], bool], query: str, what: str) -> None:
        """Wait until the database answers so."""

        async def answered() -> bool:
            connection = await asyncpg.connect(self.database)
            try:
                return holds(await connection.fetchval(query))
            except asyncpg.UndefinedTableError:
                return False
            finally:
                await connection.close()

        await self._until(answered, what)

    async def until_announced(self, revision: int) -> None:
        """Wait until that revision of an overlap of the scene stands on its topic."""

        async def announced() -> bool:
            said = [orjson.loads(record.value or b"{}")["data"]["revision"] for record in await self.announced(True)]
            return revision in said

        await self._until(announced, f"revision {revision} is announced")

    async def _until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE * 2):
                while not await holds():  # noqa: ASYNC110 – other processes, which tell nobody
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise AssertionError(f"the scene never came to where {what}") from None

    async def until_cleared(self, *payout_ids: str) -> None:
        """Wait until one of these payouts is answered, whatever the answer."""

        async def cleared() -> bool:
            said = [orjson.loads(record.value or b"{}")["data"]["payout_id"] for record in await self._issued()]
            return not set(payout_ids).isdisjoint(said)

        await self._until(cleared, f"one of {payout_ids} is answered")

    async def _issued(self) -> list[Record]:
        """What the agency was answered of its planned payouts."""
        return await stream.read(self.kafka, [clearances_name(self.agency)], committed=True)

    async def announced(self, committed: bool) -> list[Record]:
        """What was announced of the scene's payouts."""
        records = await stream.read(self.kafka, [stream.OVERLAPS], committed=committed)
        return [record for record in records if self.agency.encode() in (record.value or b"")]

    # -- how it ends

    async def judge(self) -> None:
        """Wait until all is taken, judged and sent. Raises Wrong where something lacks, is doubled or out of order."""
        bounds = await stream.bounds(self.kafka, [self.topic])
        try:
            await stream.answers(self.kafka, bounds, PATIENCE)
        except TimeoutError as error:
            raise Wrong(f"lost: {error}") from None
        await self.until_answered(lambda left: left == 0, LEFT, "nothing is left to do")
        sent = await stream.read(self.kafka, [self.topic])
        receipts = await stream.read(self.kafka, [receipts_name(self.agency)], committed=True)
        twice = stream.Unanswered(bounds, receipts).twice()
        wrong = [f"{twice} records have two receipts"] if twice else []
        accepted = oracle.accepted_by_receipts(sent, receipts) + self._facts
        should = oracle.expected(accepted, self._document, self._secret).overlaps
        for committed in (True, False):
            announced = await self.announced(committed)
            wrong += oracle.differences(oracle.fold(announced), should)
            wrong += fallen(announced)
        due = oracle.clearances(accepted, self._document, should)
        wrong += await self._answered_otherwise(due)
        wrong += oracle.premature(accepted, await self._issued(), should, due)
        if wrong:
            raise Wrong("; ".join(wrong))

    async def _answered_otherwise(self, due: Mapping[tuple[str, str], oracle.Clearance]) -> list[str]:
        """Planned payouts of which the last answer is not what it must be, though that was waited for."""
        clock = asyncio.get_running_loop().time
        until = clock() + ANSWER_SECONDS
        while True:
            issued = oracle.fold_clearances(await self._issued())
            wrong = [
                f"{'/'.join(payout)} is answered {issued.get(payout)}, should be {answer}"
                for payout, answer in due.items() if issued.get(payout) != answer
            ]  # fmt: skip
            if not wrong or clock() > until:
                return wrong
            await asyncio.sleep(LOOK_SECONDS)


def household(n: int) -> str:
    """A KK, apart from all NIKs of `person`."""
    return number(50_000 + n)


def person(n: int) -> str:
    """A NIK."""
    return number(n)
