"""Rounds on a real database: Tegalsari's hundred packages over 650 poor, Jepara's two hundred from door to door, fifty
officers at the same moment, and generated histories against a plain model.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from itertools import count
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid5

import httpx
import orjson
import pytest
import pytest_asyncio
from fastapi import FastAPI
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tepat_chassis.auth import Person, Right, authenticated
from tepat_chassis.span import Span
from tepat_chassis.subjects import Subject
from tepat_contracts.events.ours import RANKING_MADE
from tepat_distribution import api, coupon, handlers, progress, rounds, rounds_api
from tepat_distribution.handlers import Rankings
from tepat_distribution.progress import Progress
from tepat_distribution.rounds import ROUNDS, TURNS
from tepat_local.testing import tables_naming

from .conftest import (
    ANI,
    APART,
    BUDI,
    CITRA,
    MAWAR,
    MELATI,
    Ledger,
    Registry,
    contract,
    kk,
    lives,
    merged,
    nik,
    payout,
    policy,
)

pytestmark = pytest.mark.integration

KEY = coupon.key(bytes(32))
NOON = datetime(2026, 3, 6, 5, tzinfo=UTC)  # in Semarang, on a Friday
VILLAGES = ("33.74.01.1001", "33.74.01.1002", "33.74.02.1001")
EVERY_RIGHT = frozenset(Right)
_NAMES = UUID("6a5c2a52-7d56-4b0e-8b3c-0b7f0c1d2e3f")


def subject(place: int, round_: str = "") -> str:
    return str(uuid5(_NAMES, f"{round_}{place}"))


def parts(
    round_: str, ranked: int, places: int, *, region: str = "33.74", size: int = 1000, revision: int = 1,
    without: Iterable[int] = (), villages: Iterable[str] = VILLAGES,
) -> list[dict[str, Any]]:  # fmt: skip
    """A ranking as eligibility tells it: everybody in turn from another village."""
    lives, gone = list(villages), {*without}
    every = [
        {"subject": subject(n), "place": n, "reached": n <= places, "left_out": 0, "region": lives[n % len(lives)]}
        for n in range(1, ranked + 1)
    ]
    count = max(1, -(-ranked // size))
    return [
        {
            "round": round_, "part": part, "parts": count, "revision": revision, "number": 1, "programme": "SB",
            "unit": "household", "region": region, "places": places, "of": ranked, "rank_by": "left_out",
            "policy_version": "t-1", "as_of": "2026-03-01", "made_at": "2026-03-01T01:00:00+00:00", "made_by": "rini",
            "ranked": [each for each in every[(part - 1) * size : part * size] if each["place"] not in gone],
        }
        for part in range(1, count + 1)
    ]  # fmt: skip


class Office:
    """Distribution's rounds, as they answer to somebody."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.pool = ledger.database.pool
        self.now = NOON
        self._app = FastAPI()
        for router in rounds_api.routers(ledger.database, ledger.standing, lambda _: KEY, lambda: self.now):
            self._app.include_router(router, prefix="/v1")
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://t/v1/")
        self.acts_as()

    def acts_as(self, *regions: str, rights: frozenset[Right] = EVERY_RIGHT) -> None:
        somebody = Person("rini", "Bu Rini", rights, regions)
        self._app.dependency_overrides[authenticated] = lambda: somebody

    async def hear(self, *told: dict[str, Any]) -> None:
        """Take one batch of what eligibility tells."""
        for data in told:
            contract(RANKING_MADE).validate_json(orjson.dumps(data))
        records: Any = [type("Record", (), {"value": orjson.dumps({"data": data}), "key": b""}) for data in told]
        intake = Rankings()
        async with self.ledger.database.transaction() as connection:
            await intake.write(connection, intake.decode([Span("r", 0, 0, len(records), records)], None))

    async def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = await self.client.request(method, path, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def open(self, round_: str = "2026-W10", status: int = 200, **more: Any) -> Any:
        return await self.ask("POST", "rounds", status, json={"round": round_, "day": "2026-03-06", **more})

    async def deliver(self, *deliveries: dict[str, Any], round_: str = "2026-W10") -> Any:
        return await self.ask("POST", f"rounds/{round_}/deliveries", json={"deliveries": list(deliveries)})

    async def take_back(self, *returns: dict[str, Any], round_: str = "2026-W10") -> Any:
        told = [{"reason": "pindah", **each} for each in returns]
        return await self.ask("POST", f"rounds/{round_}/returns", json={"returns": told})

    async def hand(self, to: str, status: int = 200, round_: str = "2026-W10", **more: Any) -> Any:
        return await self.ask("POST", f"rounds/{round_}/handovers", status, json={"to": to, **more})

    async def stock(self, packages: int, status: int = 200, round_: str = "2026-W10", id_: str | None = None) -> Any:
        told = {"restock_id": id_ or f"s{packages}", "packages": packages, "reason": "basah kena hujan"}
        return await self.ask("POST", f"rounds/{round_}/stock", status, json=told)

    async def close(self, status: int = 200, round_: str = "2026-W10", **more: Any) -> Any:
        return await self.ask("POST", f"rounds/{round_}/close", status, json=more)

    async def progress(self, round_: str = "2026-W10", **params: Any) -> Any:
        return await self.ask("GET", f"rounds/{round_}/progress", params=params)

    async def turns(self) -> list[dict[str, Any]]:
        """What was told of who had their turn, as the contract has it."""
        rows = await self.pool.fetch("select value from outbox where topic = $1 order by id", TURNS)
        events = [orjson.loads(row["value"]) for row in rows]
        for event in events:
            contract(event["type"]).validate_json(orjson.dumps(event["data"]))
        return [event["data"] for event in events]

    async def tell(self) -> list[dict[str, Any]]:
        """Tell of the rounds that are due; what was told of all of them so far, as the contract has it."""
        async with self.pool.acquire() as connection:
            duty = Progress(lambda: self.now)
            while await duty.step(connection):
                pass
        rows = await self.pool.fetch("select key, value from outbox where topic = $1 order by id", ROUNDS)
        events = [orjson.loads(row["value"]) for row in rows]
        last: Counter[str] = Counter()
        for row, event in zip(rows, events, strict=True):
            contract(event["type"]).validate_json(orjson.dumps(event["data"]))
            last[row["key"]] += 1
            assert event["data"]["revision"] == last[row["key"]]
        return events


def by_coupon(place: int, round_: str = "2026-W10", **more: Any) -> dict[str, Any]:
    return {**_given(place), "coupon": coupon.code(KEY, round_, place), **more}


def by_list(place: int, **more: Any) -> dict[str, Any]:
    return {**_given(place), "subject": subject(place), **more}


def _given(place: int) -> dict[str, Any]:
    photo = hashlib.sha256(f"photo {place}".encode()).hexdigest()
    return {
        "delivery_id": f"d{place}", "at": "2026-03-06T11:00:00+07:00", "officer": "Pak Slamet",
        "region": VILLAGES[place % len(VILLAGES)], "coordinates": {"lat": -6.98, "lon": 110.42},
        "proof": {"kind": "photo", "sha256": photo},
    }  # fmt: skip


def reasons(answer: Any) -> list[str | None]:
    return [each["reason"] for each in answer["outcomes"]]


@pytest_asyncio.fixture
async def office(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    made = Office(ledger)
    monkeypatch.setattr(handlers, "datetime", SimpleNamespace(now=lambda _: made.now))
    yield made
    await made.client.aclose()


# --- a round by coupon -------------------------------------------------------------------------------------------


async def test_a_hundred_packages_over_650_poor_by_coupon(office: Office) -> None:
    await office.open(status=409)  # eligibility told of no such ranking yet
    await office.hear(*parts("2026-W10", 650, 100, size=300)[:2])
    assert "still telling" in (await office.open(status=409))["detail"]
    await office.hear(parts("2026-W10", 650, 100, size=300)[2])
    opened = await office.open(closes="2026-03-08")
    assert (opened["packages"], opened["stock"], opened["allocated"], opened["ranked"]) == (100, 100, 100, 650)
    assert await office.open(closes="2026-03-08") == opened  # once
    await office.open(status=409, closes="2026-03-09")
    assert await office.open(closes="2026-03-08", packages=100) == opened
    assert "opened otherwise" in (await office.open(status=409, closes="2026-03-08", packages=99))["detail"]

    printed = (await office.ask("GET", "rounds/2026-W10/coupons", params={"limit": 1000}))["items"]
    assert [each["place"] for each in printed] == list(range(1, 101))
    assert len({each["subject"] for each in printed}) == 100  # nobody twice
    assert printed[6]["coupon"] == coupon.code(KEY, "2026-W10", 7)

    # PSM → RW → resident, and no step passed over
    assert reasons(await office.hand("rw", coupons=[printed[0]["coupon"]])) == ["not_yet"]
    assert (await office.hand("psm", name="Bu Sri", region="33.74"))["recorded"] == 100
    assert (await office.hand("psm", coupons=[printed[0]["coupon"]]))["again"] == 1
    of_one = (await office.hand("rw", name="Pak RW 3", region=VILLAGES[1]))["recorded"]
    assert of_one == 34
    assert (await office.hand("resident", region="33.74"))["recorded"] == of_one
    assert reasons(await office.hand("psm", coupons=[printed[0]["coupon"]])) == ["passed_on"]
    shown = (await office.ask("GET", "rounds/2026-W10", params={"limit": 2}))["items"]
    assert [(each["with"]["step"], each["with"]["name"]) for each in shown] == [("resident", None), ("psm", "Bu Sri")]

    # a slip of the pen, a forgery, another round's coupon, the same one twice
    wrong = printed[0]["coupon"][:-1] + ("2" if printed[0]["coupon"][-1] != "2" else "3")
    forged = coupon.code(coupon.key(bytes(range(32))), "2026-W10", 1)
    other = coupon.code(KEY, "2026-W09", 1)
    asked = [by_coupon(1, delivery_id=f"x{n}", coupon=code) for n, code in enumerate((wrong, forged, other))]
    assert reasons(await office.deliver(*asked)) == ["mistyped", "forged", "forged"]
    assert reasons(await office.deliver(by_list(1))) == ["coupon_needed"]
    done = await office.deliver(by_coupon(1), by_coupon(2), by_coupon(1, delivery_id="d1-again"))
    assert (done["recorded"], done["stock"], reasons(done)) == (2, 98, [None, None, "redeemed"])
    assert "11:00 (delivery d1)" in done["outcomes"][2]["why"]["en"]
    again = await office.deliver(by_coupon(1), by_coupon(2), by_coupon(3, delivery_id="d2"))
    assert (again["again"], again["stock"], reasons(again)) == (2, 98, [None, None, "id_taken"])
    same_photo = by_coupon(3, proof=_given(1)["proof"])
    assert reasons(await office.deliver(same_photo)) == ["photo_used"]
    assert reasons(await office.deliver(by_coupon(101))) == ["not_reached"]  # signed, but promised to nobody

    told = await office.progress()
    assert told["total"] == {
        "allocated": 100, "handed": 34, "delivered": 2, "returned": 0, "unclaimed": 0, "left": 98, "unhanded": 1,
        "psm": 100, "rw": 34,
    }  # fmt: skip
    assert [(area["region"], area["psm"], area["rw"], area["handed"]) for area in told["areas"]] == [
        (VILLAGES[0], 33, 0, 0), (VILLAGES[1], 34, 34, 34), (VILLAGES[2], 33, 0, 0),
    ]  # fmt: skip
    found = await office.pool.fetch("select act, detail, cardinality(persons) as persons from act order by id")
    acts = [(each["act"], orjson.loads(each["detail"]), each["persons"]) for each in found]
    assert ("round.deliver", {"recorded": 0, "forged": 2}, 0) in acts
    assert ("round.deliver", {"recorded": 2, "forged": 0}, 2) in acts
    assert {act for act, _, _ in acts} == {"round.open", "round.coupons", "round.hand", "round.deliver"}


async def test_what_nobody_fetched_by_the_closing_day_goes_to_the_next(office: Office) -> None:
    await office.hear(*parts("2026-W10", 12, 5))
    await office.open(closes="2026-03-08")
    await office.deliver(*(by_coupon(n) for n in (1, 2, 3)))
    assert "until 2026-03-08" in (await office.close(status=409))["detail"]
    office.now += timedelta(days=3)
    late = by_coupon(4, at="2026-03-09T09:00:00+07:00")
    assert reasons(await office.deliver(late)) == ["late"]
    closed = await office.close(next_until="2026-03-11")
    assert (closed["unclaimed"], closed["newly_allocated"], closed["stock"], closed["state"]) == (2, 2, 2, "open")
    assert (await office.close(next_until="2026-03-11"))["newly_allocated"] == 0  # once
    assert reasons(await office.deliver(late, by_coupon(6), by_coupon(7, at="2026-03-09T09:00:00+07:00"))) == [
        "unclaimed", None, None,
    ]  # fmt: skip
    assert await office.turns() == []
    ended = await office.close()
    assert (ended["state"], ended["stock"], ended["delivered"]) == ("closed", 0, 5)
    (told,) = await office.turns()  # places 4 and 5 were reached and did not come, 6 and 7 got what was theirs
    assert told["turns"] == [{"subject": subject(place), "had": place > 5} for place in (4, 5, 6, 7)]
    await office.ledger.forget(subject(5))
    assert [each["subject"] for each in (await office.turns())[1]["turns"]] == [subject(place) for place in (4, 6, 7)]
    assert reasons(await office.deliver(by_coupon(8))) == ["not_reached"]
    assert reasons(await office.take_back({"delivery_id": "d1"})) == ["closed"]
    await office.stock(1, status=409)
    assert (await office.progress())["total"]["unclaimed"] == 2


async def test_what_comes_back_or_comes_in_addition_goes_to_the_next(office: Office) -> None:
    await office.hear(*parts("2026-W10", 6, 2))
    await office.open()
    await office.deliver(by_coupon(1))
    back = await office.take_back({"delivery_id": "d1"}, {"coupon": coupon.code(KEY, "2026-W10", 2)})
    assert (back["recorded"], back["stock"], back["allocated"]) == (2, 2, 2)
    again = await office.take_back({"subject": subject(1)}, {"delivery_id": "d1"}, {"subject": subject(9)})
    assert ([each["outcome"] for each in again["outcomes"]], reasons(again)[2]) == (
        ["again", "again", "refused"], "not_listed",
    )  # fmt: skip
    assert reasons(await office.deliver(by_coupon(2), by_coupon(1, delivery_id="d1b"))) == ["returned"] * 2
    assert (await office.deliver(by_coupon(3), by_coupon(4)))["stock"] == 0
    more = await office.stock(3)
    assert (more["packages"], more["stock"], more["newly_allocated"]) == (5, 3, 2)  # two are left on the list
    assert (await office.open(packages=2))["packages"] == 5  # opened with two
    await office.open(status=409, packages=5)
    assert (await office.stock(3))["stock"] == 3  # once
    await office.stock(4, status=409, id_="s3")
    await office.stock(-4, status=409)
    lost = await office.stock(-2)
    assert (lost["stock"], lost["left"], lost["short"]) == (1, 2, 1)
    last = await office.deliver(by_coupon(5), by_coupon(6))
    assert (last["stock"], reasons(last)) == (0, [None, "no_stock"])
    assert last["outcomes"][1]["why"]["id"] == "paket habis: tidak ada yang tersisa dari 3 paket"


# --- from door to door -------------------------------------------------------------------------------------------


async def test_the_201st_of_two_hundred_packages_is_refused(office: Office) -> None:
    await office.hear(*parts("jepara", 650, 200, region="33.74"))
    await office.open("jepara", by="list")
    for first in range(1, 201, 50):
        told = await office.deliver(*(by_list(n) for n in range(first, first + 50)), round_="jepara")
        assert (told["recorded"], told["stock"]) == (50, 200 - first - 49)
    refused = await office.deliver(by_list(201), round_="jepara")
    assert (refused["recorded"], refused["stock"], reasons(refused)) == (0, 0, ["not_reached"])
    assert refused["outcomes"][0]["why"]["en"].startswith("place 201 of 650 is not reached: all of the 200 packages")
    assert (
        await office.pool.fetchval("select count(*) from delivery where length(sha256) = 64 and officer <> ''") == 200
    )
    assert (await office.ask("GET", "rounds/jepara/coupons", 409))["detail"].startswith("this round goes by its list")
    await office.hand("psm", 409, round_="jepara", region="33.74")


async def test_fifty_officers_at_once_give_no_more_than_there_is(office: Office) -> None:
    await office.hear(*parts("2026-W10", 60, 50))
    await office.open()
    await office.stock(-30)  # fifty are promised, twenty are left
    told = await asyncio.gather(*(office.deliver(by_coupon(n)) for n in range(1, 51)))
    assert Counter(reasons(each)[0] for each in told) == {None: 20, "no_stock": 30}
    assert sorted(each["stock"] for each in told if each["recorded"]) == list(range(20))
    row = await office.pool.fetchrow(
        "select stock, (select count(*) from delivery) as delivered, "
        "(select count(*) from coupon where state = 'delivered') as redeemed from round"
    )
    assert tuple(row) == (0, 20, 20)


async def test_one_coupon_at_fifty_places_at_once_is_redeemed_once(office: Office) -> None:
    await office.hear(*parts("2026-W10", 60, 50))
    await office.open()
    proofs = [{"kind": "receipt", "sha256": hashlib.sha256(str(n).encode()).hexdigest()} for n in range(50)]
    told = await asyncio.gather(
        *(office.deliver(by_coupon(7, delivery_id=f"x{n}", proof=proof)) for n, proof in enumerate(proofs))
    )
    assert Counter(reasons(each)[0] for each in told) == {None: 1, "redeemed": 49}
    same = await asyncio.gather(*(office.deliver(by_coupon(8)) for _ in range(50)))
    assert Counter(each["outcomes"][0]["outcome"] for each in same) == {"recorded": 1, "again": 49}
    assert {each["stock"] for each in same} == {48}


async def test_whatever_happens_at_once_the_books_agree(office: Office) -> None:
    await office.hear(*parts("2026-W10", 60, 20))
    opened = await asyncio.gather(*(office.open() for _ in range(5)))
    assert {each["allocated"] for each in opened} == {20}
    await asyncio.gather(
        *(office.deliver(by_coupon(n)) for n in range(5, 15)),
        *(office.take_back({"coupon": coupon.code(KEY, "2026-W10", n)}) for n in range(1, 13)),
        *(office.stock(2, id_=f"more-{n}") for n in (1, 1, 2)),
        office.stock(-1, id_="spoilt"),
        office.hand("psm", region="33.74"),
    )
    row = await office.pool.fetchrow("select packages, stock from round")
    states = Counter(each["state"] for each in await office.pool.fetch("select state from coupon"))
    assert row["packages"] == 23
    assert row["stock"] == row["packages"] - states["delivered"]
    assert states["allocated"] - row["stock"] in (0, 1)  # one that was promised may be the one that spoilt
    assert (states["returned"], states["unclaimed"]) == (12, 0)
    assert await office.pool.fetchval("select max(place) from coupon") == sum(states.values())  # nobody was passed over


async def test_cash_of_a_budget(office: Office) -> None:
    await office.hear(*parts("pasuruan", 30, 10))
    wrong = await office.open("pasuruan", 422, budget=2_500_000)
    assert "how much of it each gets" in wrong["detail"][0]["msg"]
    await office.open("pasuruan", 409, budget=100, each=200)
    opened = await office.open("pasuruan", budget=2_600_000, each=500_000)
    assert (opened["kind"], opened["each"], opened["packages"], opened["allocated"]) == ("cash", 500_000, 5, 5)


async def test_when_and_where_it_was_is_looked_at(office: Office) -> None:
    await office.hear(*parts("2026-W10", 3, 3))
    await office.open()
    for changed, reason in (
        ({"at": "2026-03-06T12:30:00+07:00"}, "future"),
        ({"at": "2026-03-05T23:59:59+07:00"}, "early"),
        ({"region": "33.74.01.1999"}, "area_unknown"),
        ({"at": "2026-03-05T17:00:00Z", "region": "33.74"}, None),  # midnight there
    ):
        assert reasons(await office.deliver(by_coupon(1, **changed))) == [reason]


async def test_a_package_is_given_within_the_round_and_where_the_list_says_or_with_the_reason(office: Office) -> None:
    await office.hear(*parts("2026-W10", 3, 3, region="33.74.01", villages=VILLAGES[:2]))
    await office.open()
    for n, (changed, reason) in enumerate((
        ({"region": "33.74.02.1001"}, "beyond"),
        ({"region": "33.74.02.1001", "elsewhere": "pindah"}, "beyond"),  # packages stay where the round is
        ({"region": "33.74"}, "beyond"),
        ({"region": VILLAGES[0]}, "elsewhere"),
        ({"region": VILLAGES[0], "elsewhere": "pindah ke rumah anak, NIK 3374010101900001"}, None),
    )):  # fmt: skip
        told = await office.deliver(by_coupon(1, delivery_id=f"x{n}", **changed))
        assert reasons(told) == [reason]
    assert reasons(await office.deliver(by_coupon(2, region="33.74.01"))) == [None]  # at the kecamatan's office
    given = (await office.ask("GET", "rounds/2026-W10", params={"limit": 1}))["items"][0]["delivery"]
    assert (given["region"], given["elsewhere"]) == (VILLAGES[0], "pindah ke rumah anak, NIK 337401******0001")
    refused = (await office.deliver(by_coupon(3, region=VILLAGES[0])))["outcomes"][0]["why"]
    assert "the list has place 3 in 33.74.01.1002, the delivery was in 33.74.01.1001: say why" in refused["en"]
    assert "tulis alasannya" in refused["id"]
    await office.ledger.forget(subject(1))
    assert (await office.ask("GET", "rounds/2026-W10", params={"limit": 1}))["items"][0]["delivery"][
        "elsewhere"
    ] is None


async def test_where_nothing_can_be_handed_along_it_is_said_why(office: Office) -> None:
    await office.hear(*parts("2026-W10", 9, 9))
    await office.open()
    told = await office.hand("rw", region="33.74")
    assert (reasons(told), told["recorded"]) == (["hand_first"], 0)
    assert "9 coupons wait; hand them to the PSM first" in told["outcomes"][0]["why"]["en"]
    assert "serahkan dulu kepada PSM" in told["outcomes"][0]["why"]["id"]
    await office.hand("psm", region="33.74")
    told = await office.hand("psm", region="33.74")
    assert (told["recorded"], told["again"], told["refused"]) == (0, 9, 0)
    assert "to the RW first" in (await office.hand("resident", region="33.74"))["outcomes"][0]["why"]["en"]
    await office.hand("rw", region="33.74")
    await office.hand("resident", region="33.74")
    assert reasons(await office.hand("psm", region="33.74")) == ["handed_on"]
    assert reasons(await office.hand("psm", region="33.75")) == ["none_there"]


async def test_everybody_acts_in_their_own_regions(office: Office) -> None:
    await office.hear(*parts("2026-W10", 9, 9))
    await office.open()
    office.acts_as(VILLAGES[1])
    await office.open(status=403)
    assert reasons(await office.deliver(by_coupon(1), by_coupon(2))) == [None, "outside"]
    assert [each["place"] for each in (await office.ask("GET", "rounds/2026-W10/coupons"))["items"]] == [4, 7]
    told = await office.progress()
    assert [(area["region"], area["delivered"], area["left"]) for area in told["areas"]] == [(VILLAGES[1], 1, 2)]
    assert len((await office.ask("GET", "rounds"))["items"]) == 1
    await office.stock(1, 403)
    office.acts_as("33.75")
    await office.ask("GET", "rounds/2026-W10", 403)
    assert (await office.ask("GET", "rounds"))["items"] == []
    office.acts_as(rights=frozenset([Right.read]))
    for path, body in (("rounds", {}), ("rounds/2026-W10/deliveries", {}), ("held", {})):
        await office.ask("POST", path, 403, json=body)
    await office.ask("GET", "rounds/2026-W10/coupons", 403)
    assert (await office.ask("GET", "rounds/2026-W10"))["delivered"] == 1


# --- rankings ----------------------------------------------------------------------------------------------------


async def test_rankings_come_in_any_order_and_the_erased_leave_them(office: Office) -> None:
    first, second, third = parts("2026-W10", 9, 2, size=3)
    await office.hear(third, first, first)
    await office.hear(second)
    await office.hear(parts("2026-W10", 9, 2, size=3, revision=2, without=[3])[0], first)
    await office.hear(first)  # an old one comes again
    assert [row["place"] for row in await office.pool.fetch("select place from ranked order by place")] == [
        1, 2, 4, 5, 6, 7, 8, 9,
    ]  # fmt: skip
    await office.open()
    await office.deliver(by_coupon(1))
    await office.ledger.forget(subject(1), subject(4))
    await office.stock(2)
    shown = (await office.ask("GET", "rounds/2026-W10"))["items"]
    assert [(each["place"], each["subject"], each["state"]) for each in shown] == [
        (1, None, "delivered"), (2, subject(2), "allocated"), (5, subject(5), "allocated"),
        (6, subject(6), "allocated"),
    ]  # fmt: skip
    assert await office.pool.fetchval("select lat from delivery") is None


async def test_a_package_promised_to_somebody_erased_goes_to_the_next_from_door_to_door(office: Office) -> None:
    await office.ledger.forget(subject(2))  # before the list comes that has them still
    await office.hear(*parts("jepara", 6, 3))
    await office.open("jepara", by="list")
    await office.deliver(by_list(1), round_="jepara")
    await office.tell()
    await office.hear(*parts("jepara", 6, 3, revision=2, without=[2]))
    await office.ledger.forget(subject(1), subject(3))
    shown = await office.ask("GET", "rounds/jepara")
    assert (shown["stock"], shown["allocated"], shown["delivered"], shown["left"]) == (2, 5, 1, 2)
    assert [(each["place"], each["subject"], each["state"]) for each in shown["items"]] == [
        (1, None, "delivered"), (2, None, "returned"), (3, None, "returned"), (4, subject(4), "allocated"),
        (5, subject(5), "allocated"),
    ]  # fmt: skip
    assert shown["items"][1]["reason"] == "penerima dihapus dari data / the recipient was erased"
    assert reasons(await office.deliver(by_list(3), by_list(4), round_="jepara")) == ["not_listed", None]
    office.now += timedelta(minutes=1)
    areas = (await office.tell())[-1]["data"]["areas"]
    assert {name: sum(area[name] for area in areas) for name in ("allocated", "delivered", "returned", "left")} == {
        "allocated": 5, "delivered": 2, "returned": 2, "left": 1,
    }  # fmt: skip
    await office.ledger.forget(subject(3))  # again
    assert (await office.ask("GET", "rounds/jepara"))["allocated"] == 5


async def test_what_somebody_fetched_before_they_were_erased_is_recorded_when_it_is_told(office: Office) -> None:
    await office.hear(*parts("2026-W10", 6, 3))
    await office.open()
    for place in (1, 2, 3):
        await office.ledger.forget(subject(place))  # 4, 5 and 6 are promised theirs
    office.now += timedelta(hours=1)
    late = by_coupon(1, at="2026-03-06T11:59:59+07:00", region=VILLAGES[0], elsewhere="di rumah anaknya, Bu Karto")
    after = by_coupon(2, at=NOON.isoformat())
    assert reasons(await office.deliver(by_coupon(1, coupon=coupon.code(KEY, "2026-W09", 1)), after)) == [
        "forged", "returned",
    ]  # fmt: skip
    told = await office.deliver(late)
    assert (told["recorded"], told["stock"]) == (1, 2)
    assert [each["outcome"] for each in (await office.deliver(late))["outcomes"]] == ["again"]
    assert reasons(await office.deliver({**late, "delivery_id": "d1-again"})) == ["redeemed"]
    shown = await office.ask("GET", "rounds/2026-W10")
    assert (shown["stock"], shown["left"], shown["short"], shown["delivered"]) == (2, 3, 1, 1)
    first = shown["items"][0]
    assert (first["subject"], first["state"], first["reason"]) == (None, "delivered", None)
    assert (first["delivery"]["at"], first["delivery"]["elsewhere"]) == ("2026-03-06T04:59:59Z", None)
    async with office.pool.acquire() as connection:
        assert await tables_naming(connection, subject(1), "Karto") == set()
        assert await connection.fetchval("select lat from delivery") is None
    # whoever brings back what they were given makes it the next one's; what is known to be back was never fetched
    assert (await office.take_back({"coupon": coupon.code(KEY, "2026-W10", 3)}))["recorded"] == 1
    assert reasons(await office.deliver(by_coupon(3))) == ["returned"]
    back = await office.take_back({"delivery_id": "d1"})
    assert (back["recorded"], back["stock"]) == (1, 3)
    assert reasons(await office.deliver({**late, "delivery_id": "d1-again"})) == ["returned"]
    assert (await office.ask("GET", "rounds/2026-W10"))["items"][0]["reason"] == "pindah"


async def test_who_is_erased_while_a_round_is_opened_is_not_in_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The erasure waits for the opening: it could not see what that promises."""
    await office.hear(*parts("2026-W10", 4, 2))
    erasures = list[asyncio.Task[None]]()

    async def record(*_: Any) -> None:
        """The opening's last word, before it is committed: let the erasure come as far as it comes."""
        erasures.append(asyncio.create_task(office.ledger.forget(subject(1))))
        while not (erasures[0].done() or await office.pool.fetchval("select true from pg_locks where not granted")):
            pass

    monkeypatch.setattr(rounds.acts, "record", record)
    await office.open()
    await erasures[0]
    told = await office.pool.fetch("select place, subject::text, state from coupon order by place")
    assert [tuple(each) for each in told] == [
        (1, None, "returned"), (2, subject(2), "allocated"), (3, subject(3), "allocated"),
    ]  # fmt: skip


async def test_what_was_promised_to_the_erased_of_before_is_the_next_ones(office: Office) -> None:
    migration = files("tepat_distribution") / "sql" / "migrations" / "0171_promised_to_erased.sql"
    for round_, packages in (("2026-W09", 2), ("2026-W10", 3)):
        await office.hear(*parts(round_, 6, packages))
        await office.open(round_)
    await office.deliver(by_coupon(1))
    await office.pool.execute("delete from ranked where place in (1, 2) and round = '2026-W10'")
    await office.pool.execute("update coupon set subject = null where place = 1")
    for _ in range(2):
        await office.pool.execute(migration.read_text())
        rows = await office.pool.fetch("select round, place, subject, state from coupon order by round, place")
        assert [(row["place"], row["subject"] is None, row["state"]) for row in rows] == [
            (1, True, "returned"), (2, False, "allocated"), (3, False, "allocated"),
            (1, True, "delivered"), (2, True, "returned"), (3, False, "allocated"), (4, False, "allocated"),
        ]  # fmt: skip
    assert (await office.ask("GET", "rounds/2026-W10"))["items"][1]["reason"].endswith("the recipient was erased")


MAY_STAY = {
    "payout": "the ledger, as long as payouts must be kept",
    "overlap": "of payouts that are kept, and goes with them",
    "overlap_case": "of payouts that are kept, and goes with them",
    "finding": "of payouts that are kept, and goes with them",
    "aid": "of payouts that are kept, and goes with them",
    "erased": "so that nobody says of payouts that are kept that the person was never registered",
    "entry": "a fund's books, which nobody may change; of a household",
    "act": "who saw the person, which they are told when they ask",
    "outbox": "on its way",
}


async def test_no_table_names_the_erased_but_those_that_may(office: Office) -> None:
    """Every table, whatever is added to the schema: a person, and a household that nobody is left of."""
    ledger, registry, who, home = office.ledger, Registry(), nik(ANI), kk(MAWAR)
    await ledger.hear(registry.learn([lives(ANI, MAWAR, died="2025-12-01"), merged(BUDI, ANI), lives(CITRA, MELATI)]))
    decided = {"revision": 1, "decision": "ineligible", "reasons": [], "as_of": "2026-03-01", "programme": "SB"}
    await ledger.decide([
        {"data": decided | {"unit": "person", "person": who}},
        {"data": decided | {"unit": "household", "household": home}},
    ])  # fmt: skip
    await ledger.take([payout("p1", days=("2026-01-01", "2026-03-31")), payout("p2", "BLT-DD", by="dpmd")])
    for round_, subject_ in (("2026-W09", who), ("2026-W10", home)):
        told = orjson.dumps(parts(round_, 3, 2)).decode().replace(subject(1), subject_)
        await office.hear(*orjson.loads(told))
        await office.open(round_)
        await office.hand("psm", round_=round_, coupons=[coupon.code(KEY, round_, 1)])
        await office.hand("rw", round_=round_, coupons=[coupon.code(KEY, round_, 1)])
        await office.hand("resident", round_=round_, coupons=[coupon.code(KEY, round_, 1)], name="Mbah Karto Wiryono")
    office.now += timedelta(days=1)
    await office.close(round_="2026-W09")
    await office.pool.execute("insert into kube values ('k', 'K', 'dinsos', '33', current_date, now(), 'rini')")
    await office.pool.execute("insert into kube_member values ('k', $1, current_date, null, 'rini')", who)
    await ledger.judge()
    await ledger.find()
    await ledger.tell()
    async with office.pool.acquire() as connection:
        stood = await tables_naming(connection, who, home, "Karto")
        assert stood >= {
            "person", "membership", "decision", "payout", "overlap", "finding", "aid", "ranked", "coupon", "handover",
            "kube_member",
        }  # fmt: skip
        await connection.execute("delete from outbox")
        told = orjson.dumps(parts("2026-W09", 3, 2, revision=2, without=[1])).decode()
        await office.hear(*orjson.loads(told))
        await ledger.forget(who, nik(BUDI))
        await ledger.decide([], [f"SB|{who}", f"SB|{home}"])
        ledger.now += APART
        await ledger.judge()
        await ledger.find()
        await ledger.tell()
        assert await tables_naming(connection, who, home, "Karto") <= MAY_STAY.keys()
        assert await tables_naming(connection, "Karto") == set()
        assert who not in str(await office.turns())


async def test_a_person_is_told_of_their_rounds(office: Office) -> None:
    await office.hear(*parts("2026-W10", 3, 1))
    await office.open()
    for to in ("psm", "rw", "resident"):
        await office.hand(to, coupons=[coupon.code(KEY, "2026-W10", 1)], name=f"to {to}")
    await office.deliver(by_coupon(1))
    reader = Person("rini", "Bu Rini", EVERY_RIGHT, ())

    async def held(place: int, *regions: str) -> list[dict[str, Any]]:
        asked = Subject(persons=[UUID(int=place)], households=[UUID(subject(place))], purpose="asked for")
        async with office.pool.acquire() as connection:
            told = await api.held(connection, reader if not regions else replace(reader, regions=regions), asked)
        return [dict(each) for each in told["rounds"]]

    (first,) = await held(1)
    assert (first["round"], first["place"], first["state"], first["officer"], first["lat"]) == (
        "2026-W10", 1, "delivered", "Pak Slamet", -6.98,
    )  # fmt: skip
    assert (first["handed_to"], first["handed_at"]) == ("to resident", NOON)
    (second,) = await held(2)
    assert (second["place"], second["state"]) == (2, None)
    assert await held(1, "33.75") == []


# --- what is told ------------------------------------------------------------------------------------------------


async def test_progress_is_told_once_a_minute_and_a_new_database_goes_on(office: Office) -> None:
    document = policy(version="t-neighbours")
    (berbagi,) = (each for each in document["programmes"] if each["code"] == "SB")
    await office.ledger.follow(document)
    refused = {"programme": "SB", "region": VILLAGES[0], "day": "2026-03-01", "packages": 9}
    await office.ask("POST", "held", 409, json=refused)  # no programme of neighbours
    berbagi["adoption"] = {"targets": [{"by": "2026-12-31", "kelurahan": 100}]}
    await office.ledger.follow(document | {"version": "t-adopted"})
    await office.hear(*parts("2026-W10", 9, 6))
    await office.open(closes="2026-03-08")
    (opened,) = await office.tell()
    assert (opened["data"]["stock"], opened["data"]["state"], len(opened["data"]["areas"])) == (6, "open", 3)
    assert not any(subject(place) in orjson.dumps(opened).decode() for place in range(1, 10))
    await office.deliver(by_coupon(1), by_coupon(2))
    await office.deliver(by_coupon(3))
    assert len(await office.tell()) == 1  # a minute is not over
    office.now += timedelta(minutes=1)
    told = (await office.tell())[1]["data"]
    assert (told["stock"], [area["delivered"] for area in told["areas"]]) == (3, [1, 1, 1])
    live = (await office.progress())["areas"]
    assert told["areas"] == [{n: area[n] for n in ("region", *progress.COUNTED)} for area in live]
    await office.deliver(by_coupon(3))  # nothing new
    office.now += timedelta(minutes=1)
    assert len(await office.tell()) == 2
    report = {"programme": "SB", "region": VILLAGES[0], "day": "2026-03-01", "packages": 9}
    assert (await office.ask("POST", "held", json=report))["changed"] is True

    rows = await office.pool.fetch("select key, value from outbox where topic = $1 order by id", ROUNDS)
    await office.ledger.empty()
    await office.ledger.follow(document | {"version": "t-2"})
    records: Any = [type("Record", (), {"topic": ROUNDS, "key": row["key"], "value": row["value"]}) for row in rows]
    for _ in range(2):
        await progress.keep(office.ledger.database, records)
    held = await office.ask("GET", "adoption/33.74", params={"programme": "SB", "months": 1})
    assert held["months"][0]["held"] == 3
    assert (await office.ask("POST", "held", json=report))["changed"] is False
    await office.ask("POST", "held", json=report | {"packages": 0})
    row = await office.pool.fetchrow("select value from outbox where topic = $1", ROUNDS)
    assert orjson.loads(row["value"])["data"]["revision"] == 2
    await office.hear(*parts("2026-W10", 9, 6))
    assert "restore its backup" in (await office.open(status=409))["detail"]


# --- adoption ----------------------------------------------------------------------------------------------------


async def test_adoption_against_targets_over_time(office: Office) -> None:
    targets = [(date(2023, 9, 30), 89), (date(2023, 12, 31), 100), (date(2024, 12, 31), 177)]
    document = policy(version="t-2")
    (berbagi,) = [each for each in document["programmes"] if each["code"] == "SB"]
    berbagi["adoption"] = {"targets": [{"by": str(by), "kelurahan": count} for by, count in targets]}
    await office.ledger.follow(document)
    index = office.ledger.standing.in_force.document.index  # type: ignore[union-attr]
    kelurahan = sorted(code for code in index.regions if code.startswith("33.74.") and len(code) == 13)
    assert len(kelurahan) == 177
    office.now = datetime(2024, 2, 10, 5, tzinfo=UTC)
    rows = [("SB", code, date(2023, 9, 8), 100, office.now, "rini") for code in kelurahan[:89]]
    rows += [("SB", code, date(2023, 12, 8), 80, office.now, "rini") for code in kelurahan[:112]]
    rows += [("SB", kelurahan[0], date(2023, 12, 15), 80, office.now, "rini")]  # weekly
    rows += [("SB", kelurahan[150], date(2023, 12, 8), 0, office.now, "rini")]  # taken back
    await office.pool.executemany(
        "insert into held (programme, region, day, packages, revision, reported_at, reported_by) "
        "values ($1, $2, $3, $4, 1, $5, $6)", rows
    )  # fmt: skip
    office.now = datetime(2024, 1, 5, 5, tzinfo=UTC)
    told = await office.ask("GET", "adoption/33.74", params={"programme": "SB", "months": 5})
    assert (told["kelurahan"], [(each["month"], each["held"]) for each in told["months"]]) == (
        177, [("2023-09", 89), ("2023-10", 0), ("2023-11", 0), ("2023-12", 112), ("2024-01", 112)],
    )  # fmt: skip
    assert told["months"][0]["share"] == 0.5028
    assert [(each["state"], each["held"], each["lacking"]) for each in told["targets"]] == [
        ("met", 89, 0), ("met", 112, 0), ("to_come", 112, 65),
    ]  # fmt: skip
    one = await office.ask("GET", "adoption/33.74.01", params={"programme": "SB", "months": 1})
    assert 0 < one["months"][0]["held"] <= one["kelurahan"] < 177
    later = {"programme": "SB", "region": kelurahan[0], "day": "2024-01-06", "packages": 1}
    assert "yet to come" in (await office.ask("POST", "held", 409, json=later))["detail"]
    await office.ask("POST", "held", 409, json=later | {"region": "33.74.01.1999", "day": "2024-01-01"})


async def test_a_round_of_ours_counts_where_something_was_delivered(office: Office) -> None:
    await office.hear(*parts("2026-W10", 9, 6))
    await office.open()
    await office.deliver(by_coupon(1), by_coupon(4))  # of one village
    told = await office.ask("GET", "adoption/33.74", params={"programme": "SB", "months": 1})
    assert (told["months"][0]["held"], told["targets"]) == (1, [])


# --- any history -------------------------------------------------------------------------------------------------


class Model:
    """A round, as plainly as it can be told: who holds a promise, who a package, what lies in the store."""

    def __init__(self, ranked: int, packages: int, erased: set[int]) -> None:
        self.ranked, self.stock, self.next, self.erased = ranked, packages, 1, {*erased}
        self.promised: set[int] = set()
        self.given: set[int] = set()
        self.back: set[int] = set()
        self.missed: set[int] = set()
        self.left: dict[int, datetime] = {}
        self.known: set[str] = set()
        self.promise()

    def promise(self) -> None:
        while len(self.promised) < self.stock and self.next <= self.ranked:
            if self.next not in self.erased:
                self.promised.add(self.next)
            self.next += 1

    def deliver(self, id_: str, place: int, at: datetime) -> str:
        """What those fetched who were erased later is given, whenever it is told."""
        if id_ in self.known:
            return "again"
        fetched = place in self.left and at < self.left[place]
        if not (place in self.promised or fetched) or not self.stock:
            return "refused"
        self.promised.discard(place)
        self.back.discard(place)
        self.left.pop(place, None)
        self.known.add(id_)
        self.given.add(place)
        self.stock -= 1
        return "recorded"

    def take_back(self, place: int) -> bool:
        if place in self.given:
            self.stock += 1
        elif place not in self.promised and place not in self.left:
            return False
        self.given.discard(place)
        self.promised.discard(place)
        self.left.pop(place, None)
        self.back.add(place)
        self.promise()
        return True

    def restock(self, packages: int) -> bool:
        if self.stock + packages < 0:
            return False
        self.stock += packages
        self.promise()
        return True

    def erase(self, place: int, now: datetime) -> None:
        """They leave the list; what they were promised and did not fetch is the next one's, as what comes back is."""
        self.erased.add(place)
        if place in self.promised:
            self.take_back(place)
            self.left[place] = now

    def pass_on(self) -> None:
        self.missed |= self.promised
        self.promised = set()
        self.promise()


#: Who tells that somebody is erased: the registry, by a tombstone, or eligibility, by the list without them; or both.
tellings = st.permutations(("tombstone", "list")).flatmap(lambda both: st.sampled_from((both[:1], both)))
histories = st.lists(
    st.one_of(
        st.tuples(
            st.just("deliver"),
            st.tuples(st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True), st.integers(0, 3)),
        ),
        st.tuples(st.just("again"), st.none()),
        st.tuples(st.just("return"), st.integers(1, 9)),
        st.tuples(st.just("stock"), st.integers(-3, 3).filter(bool)),
        st.tuples(st.just("pass on"), st.none()),
        st.tuples(st.just("erase"), st.tuples(st.integers(1, 9), tellings)),
    ),
    max_size=12,
)
_rounds = iter(f"h{n}" for n in range(10_000))
_revisions = count(2)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@example(
    packages=2, before={},
    history=[
        ("erase", (1, ("tombstone",))), ("deliver", ([2, 1], 2)), ("again", None), ("deliver", ([1, 3], 0)),
        ("erase", (2, ("list",))), ("again", None),
    ],
)  # fmt: skip
@given(packages=st.integers(1, 5), before=st.dictionaries(st.integers(1, 8), tellings, max_size=2), history=histories)
async def test_any_history_is_as_a_plain_model_has_it(
    office: Office, packages: int, before: dict[int, Any], history: list[Any]
) -> None:
    round_, model = next(_rounds), Model(8, packages, {*before})
    office.now = NOON
    await office.hear(*parts(round_, 8, 5))

    async def erase(place: int, tellings: Sequence[str]) -> None:
        for each in tellings:
            if each == "tombstone":
                await office.ledger.forget(subject(place))
            else:
                revision = next(_revisions)
                await office.hear(*parts(round_, 8, 5, revision=revision, without=model.erased | {place}))

    for place, tellings in before.items():
        await erase(place, tellings)
    await office.open(round_, packages=packages)
    moments, asked, given = [NOON], list[dict[str, Any]](), list[tuple[str, int, datetime]]()
    for n, (act, told) in enumerate(history):
        office.now += timedelta(minutes=1)
        moments.append(office.now)
        if act in ("deliver", "again"):
            if act == "deliver":
                places, ago = told
                at = moments[max(-ago - 1, -len(moments))]
                given = [(f"{n}-{place}", place, at) for place in places]
                asked = [
                    by_coupon(
                        place, round_, delivery_id=id_, at=at.isoformat(),
                        proof={"kind": "receipt", "sha256": "ab" * 32},
                    ) for id_, place, at in given
                ]  # fmt: skip
            if asked:
                outcomes = (await office.deliver(*asked, round_=round_))["outcomes"]
                assert [each["outcome"] for each in outcomes] == [model.deliver(*each) for each in given]
        elif act == "return":
            answer = await office.take_back({"coupon": coupon.code(KEY, round_, told)}, round_=round_)
            assert (answer["recorded"] == 1) == model.take_back(told)
        elif act == "stock":
            could = model.restock(told)
            await office.stock(told, 200 if could else 409, round_=round_, id_=f"s{n}")
        elif act == "erase":
            model.erase(told[0], office.now)
            await erase(*told)
        else:
            office.now += timedelta(days=1)
            model.pass_on()
            await office.close(round_=round_, next_until=str(office.now.date()))
        rows = await office.pool.fetch("select place, state, subject from coupon where round = $1", round_)
        assert {row["place"] for row in rows if row["subject"] is None} == model.erased & {row["place"] for row in rows}
        states = {row["place"]: row["state"] for row in rows}
        for state, places in (
            ("allocated", model.promised), ("delivered", model.given), ("returned", model.back),
            ("unclaimed", model.missed),
        ):  # fmt: skip
            assert {place for place, of in states.items() if of == state} == places
        assert await office.pool.fetchval("select stock from round where round = $1", round_) == model.stock
    total = (await office.progress(round_))["total"]
    assert total["allocated"] == sum(total[name] for name in ("delivered", "returned", "unclaimed", "left"))
