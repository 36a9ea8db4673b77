"""A whole run against a stand-in for the services, on a broker of its own; and what the report says of it.

The stand-in takes records through the real door, writes receipts, and announces what the oracle expects, or
something a little else.
"""

from __future__ import annotations

import asyncio
import io
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from rich.console import Console
from tepat_contracts.door import Door, Refused
from tepat_contracts.policy import PolicyIndex, load
from tepat_contracts.topics import Kind, clearances_name
from tepat_demo import oracle, report, stream
from tepat_demo.district import AGENCIES, POLICY, District
from tepat_demo.run import Refusals, Report, Row, refusals, run
from tepat_demo.services import HttpServices, settled
from tepat_local import kafka as kafka_server
from tepat_local.ports import Ports
from tepat_local.testing import running, wait

SECRET = b"a secret of thirty-two bytes, no less"
SIZE = 60


@pytest.fixture
def broker(data: Path) -> Iterator[str]:
    """A broker that holds nothing of other suites: a run looks at every agency's topics."""
    ports = Ports(data / "ports.json")
    server = kafka_server.Kafka(data / "kafka", ports["kafka"], ports["controller"])
    server.prepare()
    with running(server.command(), data, "kafka"):
        wait(lambda: kafka_server.answers(server.bootstrap), "kafka", data)
        yield server.bootstrap


class StandIn:
    """Does the services' work once everything is sent; `spoil` may change what it announces."""

    def __init__(self, kafka: str, spoil: Callable[[list[dict[str, Any]]], None] = lambda _: None) -> None:
        self.kafka = kafka
        self.spoil = spoil
        self.at_rest = False
        self.asked: list[str] = []

    async def apply(self, policy: Path) -> None:
        assert policy == POLICY
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        kinds = ("payouts", "beneficiaries", "receipts", "clearances")
        inbound = [f"agency.{a}.{kind}.v1" for a in AGENCIES for kind in kinds]
        await admin.create_topics([NewTopic(name, 2, 1) for name in (*inbound, stream.OVERLAPS)])
        await admin.close()

    async def status(self, service: str) -> list[dict[str, Any]]:
        self.asked.append(service)
        return [{"idle": self.at_rest, "lag": 0, "pending": 0, "outbox": 0}]

    async def get(self, service: str, path: str, *, role: str = "reader") -> dict[str, Any]:
        if (service, path) == ("distribution", "clearances/figures"):
            return {"items": [{"programme": "PKH", "decision": "clear", "payouts": 3, "amount": 9}]}
        assert (service, path) == ("notifications", "notices/summary")
        return {"by_state": {"sent": 7}, "by_kind": {"overlaps": 5, "digest": 2}, "sent": 7, "climbed": 1}

    async def post(self, service: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert (service, path, body) == ("notifications", "digests/run", {"now": True})
        return {"due": 2}

    async def work(self, before: int, count: int) -> None:
        while True:
            bounds = await stream.bounds(self.kafka, await stream.topics(self.kafka, stream.INBOUND))
            if sum(end for _, end in bounds.values()) == before + count:
                break
            await asyncio.sleep(0.05)
        raw = await stream.read(self.kafka, await stream.topics(self.kafka, stream.INBOUND))
        told = [await self._receipt(record) for record in raw]
        accepted = oracle.accepted_by_receipts(raw, told)
        policy = load(POLICY.read_text()).document()
        overlaps = list((expected := oracle.expected(accepted, policy, SECRET).overlaps).values())
        self.spoil(overlaps)
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka)
        await producer.start()
        for receipt in told:
            await producer.send(receipt.topic, receipt.value, partition=0)
        for overlap in overlaps:
            data = {"revision": 1, **overlap, "policy_version": "2026-01"}
            event = {"type": "tepat.overlap.detected.v1", "data": data}
            await producer.send(stream.OVERLAPS, orjson.dumps(event), key=overlap["overlap_id"].encode())
        for (agency, payout_id), answer in oracle.clearances(accepted, policy, expected).items():
            event = {"data": {"payout_id": payout_id, **answer._asdict()}}
            await producer.send(clearances_name(agency), orjson.dumps(event), partition=0)
        await producer.stop()
        self.at_rest = True

    async def _receipt(self, record: oracle.Record) -> oracle.Record:
        _, agency, kind, _ = record.topic.split(".")
        where = {"topic": record.topic, "partition": record.partition}
        try:
            DOORS[kind].admit(record.value, [], agency, INDEX)
            type_, data = "events.accepted", {"from_offset": record.offset, "to_offset": record.offset, "accepted": 1}
        except Refused as refused:
            type_, data = "event.rejected", {"offset": record.offset, "reason": refused.rejection.reason.value}
        id_ = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{record.topic} {record.partition} {record.offset}"))
        event = {"id": id_, "type": f"tepat.{type_}.v1", "data": where | data}
        return oracle.Record(f"agency.{agency}.receipts.v1", 0, 0, [], orjson.dumps(event))


INDEX = PolicyIndex(load(POLICY.read_text()))
DOORS: dict[str, Door[Any]] = {kind.value: Door(kind) for kind in (Kind.PAYOUTS, Kind.BENEFICIARIES)}


class Seen:
    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []
        self.done = 0

    def stage(self, name: str, total: int | None) -> None:
        self.stages.append((name, total))

    def advance(self, done: int) -> None:
        self.done += done


async def go(stand_in: StandIn, before: int, seed: int, progress: Seen | None = None) -> Report:
    work = asyncio.create_task(stand_in.work(before, len(District(seed, SIZE))))
    try:
        return await run(
            {"kafka": stand_in.kafka, "http": {}},
            Path(),
            SECRET,
            District(seed, SIZE),
            apply_policy=stand_in.apply,
            progress=progress,
            services=stand_in,
        )
    finally:
        await work


@pytest.mark.integration
async def test_a_run_agrees_and_a_second_one_on_the_same_stack_does_too(broker: str) -> None:
    stand_in, seen = StandIn(broker), Seen()
    found = await go(stand_in, 0, 1, seen)
    tally = District(1, SIZE).tally
    assert found.wrong == []
    assert found.agrees
    assert found.sent == len(District(1, SIZE)) == found.accepted + sum(found.refused.values())
    assert found.refused == tally.refused
    assert found.total.exclusive + found.total.review == found.announced == found.expected
    assert found.total.exclusive == sum(map(len, tally.pairs.values())) > 0
    assert found.clearances == {("PKH", "clear"): (3, 9)}
    assert found.by_pair["BPNT", "PKH"].review == sum(row.review for row in found.by_pair.values()) > 0
    assert sum(row.at_risk for row in found.by_kecamatan.values()) == found.total.at_risk > 0
    assert all(len(code) == 8 and code.startswith("33.74.") for code in found.by_kecamatan)
    assert list(dict.fromkeys(stand_in.asked)) == ["registry", "eligibility", "distribution", "notifications"]
    sized = [total for _, total in seen.stages if total is not None]
    assert sized == [found.sent, found.sent]
    assert seen.done == 2 * found.sent

    again = await go(StandIn(broker), found.sent, 1)
    assert again.wrong == []
    assert again.refused == found.refused
    assert again.announced == found.announced

    def one_amount_less(overlaps: list[dict[str, Any]]) -> None:
        overlaps[0]["amount_at_risk"] -= 1
        overlaps[1]["overlap_id"] = str(uuid.uuid4())
        for overlap in overlaps:
            overlap["revision"] = 2

    spoilt = await go(StandIn(broker, one_amount_less), 2 * found.sent, 1)
    assert not spoilt.agrees
    assert any("amount_at_risk is announced as" in line for line in spoilt.wrong)
    assert any("should not stand" in line for line in spoilt.wrong)
    shown = printed(spoilt)
    assert "do NOT agree" in shown


def made(wrong: list[str]) -> Report:
    tally = District(1, 30).tally
    row = Row(5_876, 14_383, 3_456, 8_370_425_000)
    names = sorted({f"33.74.{number:02d}" for number in range(1, 17)})
    return Report(
        seed=1,
        tally=tally,
        sent=233_582,
        seconds_sending=7.01,
        seconds=20.0,
        total=row,
        by_pair={("BLT-DD", "PKH"): row, ("PIP", "PIP"): row},
        by_kecamatan=dict.fromkeys(names, row),
        refused=Refusals({(agency, "programme_unknown"): 12_345 for agency in AGENCIES}),
        clearances={("PKH", "clear"): (6_123, 4_000_000_000), ("PKH", "hold"): (123, 98_000_000)},
        notices={"sent": 7, "by_kind": {"overlaps": 5, "digest": 2}, "climbed": 1},
        accepted=232_580,
        announced=20_259,
        expected=20_259,
        too_large=0,
        wrong=wrong,
    )


def printed(found: Report, **settings: Any) -> str:
    text = io.StringIO()
    report.render(found, Console(file=text, width=140, **settings))
    return text.getvalue()


def test_the_report_is_plain_and_fits_100_columns() -> None:
    shown = printed(made([]))
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert "The oracle and the announcements agree." in shown
    assert "Semarang Tengah" in shown
    assert "BLT-DD and PKH" in shown
    assert "PIP twice" in shown
    assert "Rp 8.370.425.000" in shown
    assert "11,679 events/s" in shown
    assert "Rp 98.000.000" in shown
    assert "Notices sent: 7 (2 digest, 5 overlaps)" in shown
    assert "1 of them to the next level, since nobody below acknowledged it in time" in shown
    assert "\x1b" in printed(made([]), force_terminal=True)


def test_the_report_says_what_is_wrong_and_how_much_more() -> None:
    shown = printed(made([f"overlap {number} is missing" for number in range(25)]))
    assert "do NOT agree" in shown
    assert "- overlap 19 is missing" in shown
    assert "- overlap 20 is missing" not in shown
    assert "and 5 more" in shown


def test_progress_bars_finish_what_has_no_size() -> None:
    text = io.StringIO()
    with report.ProgressBars(Console(file=text, width=100)) as bars:
        bars.advance(1)
        bars.stage("waiting", None)
        bars.stage("sending", 10)
        bars.advance(4)
    assert "10/10" in text.getvalue()
    assert "1/1" in text.getvalue()


def test_refusals_of_an_earlier_run_and_repeated_ones_do_not_count() -> None:
    def said(offset: int, type_: str = "tepat.event.rejected.v1") -> oracle.Record:
        data = {"topic": "agency.a.payouts.v1", "partition": 0, "offset": offset, "reason": "schema"}
        return oracle.Record("agency.a.receipts.v1", 0, 0, [], orjson.dumps({"type": type_, "data": data}))

    receipts = [said(3), said(4), said(4), said(5), said(6, "tepat.events.accepted.v1")]
    assert refusals(receipts, {("agency.a.payouts.v1", 0): 4}) == {("a", "schema"): 2}


# --- the services


async def test_at_rest_means_twice_in_a_row_and_every_instance() -> None:
    said = {
        "registry": [[True], [False], [True], [True]],
        "eligibility": [[True], [True]],
        "distribution": [[True, False], [False, True], [True, True], [True, True]],
        "notifications": [[True], [True]],
    }

    class Told(StandIn):
        async def status(self, service: str) -> list[dict[str, Any]]:
            return [{"idle": idle} for idle in said[service].pop(0)]

    await settled(Told(""), patience=60)
    assert not any(said.values())


async def test_a_service_that_never_rests_is_named_with_what_it_has_left() -> None:
    class Busy(StandIn):
        async def status(self, service: str) -> list[dict[str, Any]]:
            return [{"idle": service != "distribution", "lag": 3, "pending": 1, "outbox": 0}]

    with pytest.raises(TimeoutError, match=r"distribution does not come to rest.*'lag': 3"):
        await settled(Busy(""), patience=0.3)


async def test_services_over_http(tmp_path: Path) -> None:
    (tmp_path / "reader").write_text("read-token\n")
    (tmp_path / "operator").write_text("operate-token\n")
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, str(request.url), request.headers.get("authorization")))
        return httpx.Response(404 if "missing" in request.url.path else 200, json={"idle": True})

    endpoints = {"http": {"registry": "http://r1"}, "instances": {"registry": ["http://r1", "http://r2"]}}
    async with HttpServices(endpoints, tmp_path, httpx.MockTransport(answer)) as services:
        assert await services.status("registry") == [{"idle": True}, {"idle": True}]
        await services.get("registry", "persons")
        await services.post("registry", "merges", {})
        with pytest.raises(httpx.HTTPStatusError):
            await services.get("registry", "missing")
    assert asked[:4] == [
        ("GET", "http://r1/v1/status", None),
        ("GET", "http://r2/v1/status", None),
        ("GET", "http://r1/v1/persons", "Bearer read-token"),
        ("POST", "http://r1/v1/merges", "Bearer operate-token"),
    ]
