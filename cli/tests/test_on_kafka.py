"""What the command does on a real broker."""

import asyncio
import csv
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from tepat_cli import services
from tepat_cli.cluster import everything

from .conftest import Tepat

pytestmark = pytest.mark.integration

T = TypeVar("T")

AGENCY = "dinsos-cli"
PAYOUTS = f"agency.{AGENCY}.payouts.v1"
RECEIPTS = f"agency.{AGENCY}.receipts.v1"
HEADINGS = ["ID Bayar", "NIK", "Program", "Mulai", "Sampai", "Nominal", "Kode Wilayah"]
POLICY = """
version: "{version}"
agencies: [{{id: {agency}, name: Dinas Sosial, programmes: [PKH], trust_rank: {rank}}}]
programmes: [{{code: PKH, name: {{id: Keluarga Harapan, en: Family Hope}}, unit: household}}]
overlap_rules: []
"""


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def payout(number: int, programme: str = "PKH") -> list[str]:
    nik = f"33740145059{number % 10}{number // 10:04}"[:12] + f"{number % 9999 + 1:04}"
    return [f"P-{number}", nik, programme, "01/01/2026", "31/03/2026", "Rp 750.000", "33.74.01.1001"]


def write(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([HEADINGS, *rows])
    return path


def policy(folder: Path, version: str, rank: int = 1) -> Path:
    path = folder / f"{version}.yaml"
    path.write_text(POLICY.format(version=version, agency=AGENCY, rank=rank))
    return path


@pytest.fixture
def broker(kafka: str, tepat: Tepat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A broker with a policy in force and the agency's topics."""
    monkeypatch.setenv("TEPAT_KAFKA", kafka)
    monkeypatch.setenv("TEPAT_PARTITIONS", "3")
    ran = tepat("policy", "apply", policy(tmp_path, "cli-1"), "--no-wait")
    assert ran.status == 0, ran
    return kafka


def sent(broker: str) -> list[Any]:
    return run(everything(broker, PAYOUTS))


def test_policies_are_applied_shown_and_never_rewritten(broker: str, tepat: Tepat, tmp_path: Path) -> None:
    again = tepat("policy", "apply", policy(tmp_path, "cli-1"), "--no-wait")
    assert (again.status, "already" in again.words) == (0, True)
    changed = tepat("policy", "apply", policy(tmp_path, "cli-1", rank=2), "--no-wait")
    assert (changed.status, "another content" in changed.words) == (2, True)
    assert tepat("policy", "apply", policy(tmp_path, "cli-2", rank=2), "--no-wait").status == 0
    assert orjson.loads(tepat("policy", "show", "--json").out)["version"] == "cli-2"
    shown = tepat("policy", "show", "cli-1")
    assert "not in force" in shown.err
    assert "trust_rank: 1" in shown.out
    assert tepat("policy", "show", "none").status == 2
    assert "in force" in tepat("policy", "apply", policy(tmp_path, "cli-1"), "--no-wait").words
    assert "cli-2, cli-1 / " in tepat("policy", "show", "none").words
    (*_, last) = run(everything(broker, "policy.v1"))
    event = orjson.loads(last.value)
    assert (last.key, event["type"], event["source"]) == (
        b"cli-1",
        "tepat.policy.applied.v1",
        "urn:tepat:service:policy",
    )
    assert event["data"]["version"] == "cli-1"


def test_a_policy_is_applied_once_every_service_has_it(
    broker: str, tepat: Tepat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, int] = {}

    def status(request: httpx.Request) -> httpx.Response:
        service = request.url.path.split("/")[1]
        asked[service] = asked.get(service, 0) + 1
        if asked[service] == 1:
            return httpx.Response(503, json={"detail": "starting"})
        kinds = {
            "registry": ("beneficiaries", "reports"),
            "eligibility": ("verifications",),
            "distribution": ("payouts",),
        }
        topics = [f"agency.{AGENCY}.{kind}.v1" for kind in kinds.get(service, ())] if asked[service] > 3 else []
        version = "cli-wait" if asked[service] > 2 else None
        return httpx.Response(200, json={"policy_version": version, "topics": topics})

    monkeypatch.setattr(services, "client", lambda headers: httpx.Client(transport=httpx.MockTransport(status)))
    monkeypatch.setattr("tepat_cli.policy.LOOK_SECONDS", 0.01)
    monkeypatch.setenv("TEPAT_API", "http://tepat.example")
    path = policy(tmp_path, "cli-wait")
    ran = tepat("policy", "apply", path)
    assert (ran.status, "taken by registry, eligibility, distribution, notifications" in ran.words) == (0, True)
    assert asked == {"registry": 4, "eligibility": 4, "distribution": 4, "notifications": 3}
    asked.update(dict.fromkeys(asked, -1000))
    late = tepat("policy", "apply", path, "--timeout", "0.05")
    assert (late.status, "registry: has policy none" in late.words) == (3, True)


def test_a_service_that_lacks_the_secret_is_named_with_the_reason_and_not_waited_for(
    broker: str, tepat: Tepat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "policy cli-lain names the secret `lain` / kebijakan cli-lain menyebut rahasia `lain`"
    topics = [f"agency.{AGENCY}.{kind}.v1" for kind in ("beneficiaries", "reports", "verifications", "payouts")]

    def status(request: httpx.Request) -> httpx.Response:
        put_off = {"policy_put_off": {"version": "cli-lain", "why": why}, "policy_version": "before"}
        more = put_off if "registry" in request.url.path else {}
        return httpx.Response(200, json={"policy_version": "cli-lain", "topics": topics, **more})

    monkeypatch.setattr(services, "client", lambda headers: httpx.Client(transport=httpx.MockTransport(status)))
    monkeypatch.setattr("tepat_cli.policy.PUT_OFF_SECONDS", 0)
    monkeypatch.setenv("TEPAT_API", "http://tepat.example")
    ran = tepat("policy", "apply", policy(tmp_path, "cli-lain"), "--timeout", "1000000")
    assert (ran.status, "taken by" in ran.words) == (3, False)
    assert "registry: policy cli-lain names the secret `lain`" in ran.words
    assert "registry: kebijakan cli-lain menyebut rahasia `lain`" in ran.words
    assert "distribution" not in ran.words


def test_topics_of_the_policy_in_force_are_declared(broker: str, tepat: Tepat) -> None:
    assert tepat("topics", "apply").status == 0
    ran = tepat("topics", "apply", "--json")
    assert (ran.status, ran.out) == (0, "")


def test_a_file_sent_twice_gives_the_same_records(broker: str, tepat: Tepat, tmp_path: Path) -> None:
    rows = [payout(number) for number in range(500)]
    rows[7][1] = "3,37401E+15"
    path = write(tmp_path / "mine.csv", rows)
    before = len(sent(broker))
    first = tepat("publish", path, "--agency", AGENCY, "--json")
    second = tepat("publish", path, "--agency", AGENCY)
    assert (first.status, second.status) == (1, 1)
    told = orjson.loads(first.out)
    assert (told["sent"], told["rejected"], told["reasons"]) == (499, 1, {"nik_invalid": 1})
    records = sent(broker)[before:]
    assert len(records) == 998
    kept = {(record.partition, record.key, record.value) for record in records}
    assert len(kept) == 499
    assert len({record.partition for record in records}) == 3
    assert dict(records[0].headers) == {"content-type": b"application/cloudevents+json"}


def test_rejected_rows_can_be_repaired_and_sent_from_their_own_file(broker: str, tepat: Tepat, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", [payout(1), [*payout(2)[:5], "tujuh", "33.74"], payout(3)])
    assert tepat("publish", path, "--agency", AGENCY).status == 1
    rejected = tmp_path / "mine.csv.rejected.csv"
    with rejected.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["line"], row["reason"], row["column"], row["Nominal"]) == ("3", "schema", "Nominal", "tujuh")
    assert row["what to do"]
    assert rejected.stat().st_mode & 0o077 == 0
    rejected.write_text(rejected.read_text().replace("tujuh", "700000"))
    repaired = tepat("publish", rejected, "--agency", AGENCY, "--json")
    assert repaired.status == 0
    assert orjson.loads(repaired.out)["sent"] == 1
    path.write_text(path.read_text().replace("tujuh", "700000"))
    assert tepat("publish", path, "--agency", AGENCY).status == 0
    assert not rejected.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("publish", "{file}", "--agency", "nobody-knows"),
    ],
)
def test_an_agency_without_topics_is_told_what_to_do(
    broker: str, tepat: Tepat, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    path = write(tmp_path / "mine.csv", [payout(1)])
    ran = tepat("publish", path, "--agency", "nobody-knows")
    assert (ran.status, "tepat policy apply" in ran.words) == (2, True)


class Service(threading.Thread):
    """Answers for payouts as distribution does: ranges, split around what it rejects, some of it twice."""

    def __init__(self, broker: str) -> None:
        super().__init__(daemon=True)
        self._broker = broker
        self.ready = threading.Event()
        self.stopped = threading.Event()

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        consumer = AIOKafkaConsumer(PAYOUTS, bootstrap_servers=self._broker, auto_offset_reset="latest")
        producer = AIOKafkaProducer(bootstrap_servers=self._broker)
        await consumer.start()
        await producer.start()
        for partition in consumer.assignment():
            await consumer.position(partition)
        self.ready.set()
        try:
            while not self.stopped.is_set():
                for place, records in (await consumer.getmany(timeout_ms=100)).items():
                    for record in records:
                        event = orjson.loads(record.value)
                        at = {"topic": place.topic, "partition": place.partition}
                        if event["data"]["programme"] == "PKH":
                            range_ = {
                                "from_offset": record.offset,
                                "to_offset": record.offset,
                                "accepted": 1,
                                "rejected": 0,
                            }
                            told = {"type": "tepat.events.accepted.v1", "data": at | range_}
                        else:
                            why = {
                                "reason": "programme_unknown",
                                "pointer": "/data/programme",
                                "message": "no such programme",
                            }
                            told = {
                                "type": "tepat.event.rejected.v1",
                                "data": at | {"offset": record.offset, "event_id": event["id"]} | why,
                            }
                        for _ in range(2):
                            await producer.send_and_wait(RECEIPTS, orjson.dumps({"specversion": "1.0", **told}))
        finally:
            await consumer.stop()
            await producer.stop()


@pytest.fixture
def service(broker: str) -> Iterator[Service]:
    played = Service(broker)
    played.start()
    assert played.ready.wait(30)
    yield played
    played.stopped.set()
    played.join(10)


def test_waiting_ends_with_what_the_service_rejected(
    broker: str, service: Service, tepat: Tepat, tmp_path: Path
) -> None:
    path = write(
        tmp_path / "mine.csv", [payout(1), payout(2, "XYZ"), payout(3), payout(4, "XYZ"), ["P-5", "1", *payout(5)[2:]]]
    )
    ran = tepat("publish", path, "--agency", AGENCY, "--wait", "--json")
    assert ran.status == 1
    told = orjson.loads(ran.out)
    assert told["reasons"] == {"programme_unknown": 2, "nik_invalid": 1}
    assert (told["sent"], told["unanswered"]) == (4, 0)
    with (tmp_path / "mine.csv.rejected.csv").open(newline="") as file:
        rows = [(row["line"], row["reason"], row["column"], row["ID Bayar"]) for row in csv.DictReader(file)]
    assert sorted(rows) == [
        ("3", "programme_unknown", "Program", "P-2"),
        ("5", "programme_unknown", "Program", "P-4"),
        ("6", "nik_invalid", "NIK", "P-5"),
    ]
    sound = write(tmp_path / "sound.csv", [payout(1), payout(3)])
    ran = tepat("publish", sound, "--agency", AGENCY, "--wait")
    assert (ran.status, "every record was accepted" in ran.words) == (0, True)


def test_waiting_gives_up_where_nobody_answers(broker: str, tepat: Tepat, tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", [payout(1)])
    ran = tepat("publish", path, "--agency", AGENCY, "--wait", "--timeout", "1")
    assert (ran.status, "nobody answered" in ran.words) == (3, True)
