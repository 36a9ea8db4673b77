"""Funds of the community: double entry, never below nothing, handed over what they cannot carry; institutions apart."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
import pytest
import pytest_asyncio
from pydantic import TypeAdapter
from tepat_chassis.database import Lock
from tepat_chassis.span import Span
from tepat_chassis.subjects import Subject
from tepat_contracts.events.reports import AnswerEvent
from tepat_distribution import api, funds, reporting
from tepat_distribution.handlers import Reports

from .conftest import MAWAR, REGION, SQL, Ledger, kk, payout

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

TODAY = datetime(2026, 5, 1, 9, tzinfo=UTC)
RECEIPT = "1e" * 32
FUND = {"fund": "tegalsari-rtlh", "agency": "dpmd", "institution": "LPMK-1", "purpose": "rtlh", "region": REGION}
BALANCES = "select kind, balance from account where book = 'fund' order by kind"


class Office:
    """Whoever keeps the books, by HTTP."""

    def __init__(self, ledger: Ledger, client: httpx.AsyncClient) -> None:
        self.ledger, self._client = ledger, client

    async def do(self, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
        answer = await self._client.post(path, json=body)
        assert answer.status_code == status, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def see(self, path: str, status: int = 200, **asked: Any) -> dict[str, Any]:
        answer = await self._client.get(path, params=asked)
        assert answer.status_code == status, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def contribute(self, entry_id: str, amount: int, **more: Any) -> dict[str, Any]:
        body = {"entry_id": entry_id, "amount": amount, "on": "2026-02-01"} | more
        return await self.do("funds/tegalsari-rtlh/contributions", **body)

    async def spend(self, entry_id: str, amount: int, status: int = 200, **more: Any) -> dict[str, Any]:
        receipt = sha256(entry_id.encode()).hexdigest()
        body = {"entry_id": entry_id, "amount": amount, "on": "2026-02-02", "receipt": receipt} | more
        return await self.do("funds/tegalsari-rtlh/spendings", status, **body)


def routers(ledger: Ledger) -> Any:
    of = (ledger.database, ledger.standing, lambda: TODAY)
    return funds.router(*of), reporting.router(*of)


@pytest_asyncio.fixture
async def office(ledger: Ledger) -> AsyncIterator[Office]:
    async with ledger.asked(*routers(ledger)) as client:
        made = Office(ledger, client)
        await made.do("funds", **FUND)
        yield made


async def test_what_comes_in_and_goes_out_sums_to_nothing(office: Office) -> None:
    await office.contribute("kotak-1", 20_000_000)
    await office.contribute("kotak-2", 13_000_000, note="kotak koin RW 03")
    spent = await office.spend("rumah-1", 30_000_000, household=kk(MAWAR), receipt=RECEIPT)
    assert (spent["receipt"], spent["household"], spent["who"]) == (RECEIPT, kk(MAWAR), "rini")
    told = await office.see("funds/tegalsari-rtlh")
    assert (told["holds"], told["contributed"], told["spent"]) == (3_000_000, 33_000_000, 30_000_000)
    assert [each["entry_id"] for each in told["items"]] == ["rumah-1", "kotak-2", "kotak-1"]
    assert await office.see("funds", region="33.74", purpose="rtlh") == {"items": [
        {name: told[name] for name in told if name not in ("items", "next")}
    ], "next": None}  # fmt: skip
    pool = office.ledger.database.pool
    assert await pool.fetchval("select sum(balance) from account") == 0
    assert await pool.fetchval(
        "select count(*) from account a where balance <> (select sum(amount) from posting where account = a.id)"
    ) == 0  # fmt: skip
    assert await pool.fetchval("select count(*) from act where act like 'fund.%'") == 4
    first = await office.see("funds/tegalsari-rtlh", limit=2)
    rest = await office.see("funds/tegalsari-rtlh", limit=2, cursor=first["next"])
    assert [each["entry_id"] for each in rest["items"]] == ["kotak-1"]


async def test_the_same_again_changes_nothing_and_something_else_is_refused(office: Office) -> None:
    first = await office.contribute("kotak-1", 500)
    assert await office.contribute("kotak-1", 500) == first
    assert "another" in (await office.do(
        "funds/tegalsari-rtlh/contributions", 409, entry_id="kotak-1", amount=501, on="2026-02-01"
    ))["detail"]  # fmt: skip
    assert "to come" in (await office.spend("rumah-1", 500, 422, on="2026-05-02"))["detail"]
    spent = await office.spend("rumah-1", 500)
    assert await office.spend("rumah-1", 500) == spent  # though the fund holds nothing now
    assert (await office.see("funds/tegalsari-rtlh"))["holds"] == 0
    again = await office.do("funds", **FUND)
    assert again["opened_at"] == (await office.see("funds/tegalsari-rtlh"))["opened_at"]
    await office.do("funds", 409, **FUND | {"region": "33.74.02.1005"})
    await office.do("funds", 409, **FUND | {"fund": "another"})


async def test_one_receipt_stands_for_one_spending(office: Office) -> None:
    await office.contribute("kotak-1", 1_000)
    await office.do("funds", **FUND | {"fund": "tegalsari-food", "purpose": "food"})
    await office.do("funds/tegalsari-food/contributions", entry_id="kotak-2", amount=1_000, on="2026-02-01")

    async def spend(fund: str, entry_id: str) -> tuple[int, str]:
        body = {"entry_id": entry_id, "amount": 1, "on": "2026-02-02", "receipt": RECEIPT.upper(), "note": "Bu Ani"}
        answer = await office._client.post(f"funds/{fund}/spendings", json=body)
        return answer.status_code, answer.json().get("detail", "")

    told = await asyncio.gather(*(
        spend(fund, f"{fund}-{n}") for fund in ("tegalsari-rtlh", "tegalsari-food") for n in range(5)
    ))  # fmt: skip
    assert Counter(code for code, _ in told) == {200: 1, 409: 9}
    (entered,) = await office.ledger.database.pool.fetch(
        "select entry_id, purpose, fund from entry where receipt <> ''"
    )
    assert await spend(entered["fund"], entered["entry_id"]) == (200, "")  # the same again
    for code, detail in told:
        if code == 409:
            assert f"went on 2026-02-02 for {entered['purpose']} already" in detail
            assert f"pengeluaran tanggal 2026-02-02 untuk {entered['purpose']}" in detail
            assert "Ani" not in detail
    support = {
        "entry_id": "tksk-1", "agency": "dinsos", "institution": "dinsos/TKSK-1", "region": REGION, "amount": 5,
        "on": "2026-01-15", "receipt": RECEIPT,
    }  # fmt: skip
    await office.do("institutions/support", **support)  # another book
    await office.do("institutions/support", 409, **support | {"entry_id": "tksk-2"})
    assert await office.ledger.database.pool.fetchval("select sum(balance) from account") == 0


async def test_entries_that_shared_a_receipt_before_stay(office: Office) -> None:
    pool = office.ledger.database.pool
    await pool.execute("alter table entry drop column receipt_again")
    await pool.expire_connections()
    await office.contribute("kotak-1", 1_000)
    await office.spend("rumah-1", 1, receipt=RECEIPT)
    await office.spend("rumah-2", 1, receipt=RECEIPT, on="2026-02-03")
    await pool.execute((SQL / "migrations" / "0164_receipts.sql").read_text())
    await pool.expire_connections()
    assert (await office.spend("rumah-2", 1, receipt=RECEIPT, on="2026-02-03"))["entry_id"] == "rumah-2"
    assert "on 2026-02-02 for rtlh" in (await office.spend("rumah-3", 1, 409, receipt=RECEIPT))["detail"]


async def test_fifty_at_once_never_spend_what_is_not_there(office: Office) -> None:
    await office.contribute("kotak-1", 1_000)

    async def spend(n: int) -> int:
        body = {"entry_id": f"s-{n}", "amount": 90, "on": "2026-02-02", "receipt": f"{n:064x}"}
        return (await office._client.post("funds/tegalsari-rtlh/spendings", json=body)).status_code

    codes = await asyncio.gather(*(spend(n % 50) for n in range(60)))  # ten are sent twice
    assert set(codes) == {200, 409}
    entered = await office.ledger.database.pool.fetchval("select count(*) from entry where kind = 'spending'")
    assert entered == 11
    assert dict(await office.ledger.database.pool.fetch(BALANCES)) == {"contributed": -1_000, "fund": 10, "spent": 990}


async def test_the_database_itself_refuses_what_does_not_balance(office: Office) -> None:
    await office.contribute("kotak-1", 1_000)
    pool = office.ledger.database.pool
    accounts = dict(await pool.fetch("select kind, id from account where book = 'fund'"))
    entry = """insert into entry (entry_id, book, kind, amount, on_day, at, who, agency, institution, region, purpose,
                                  fund, digest)
               values ('x', 'fund', 'contribution', 1, '2026-01-01', now(), 'x', 'x', 'x', '33', 'x',
                       'tegalsari-rtlh', '')"""
    post = "insert into posting values ('x', $1, $2, $3)"

    async def posted(*postings: tuple[str, int, int]) -> None:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(entry)
            for posting in postings:
                await connection.execute(post, *posting)

    for postings in (
        [], [("fund", accounts["fund"], 5)], [("fund", accounts["fund"], 5), ("fund", accounts["contributed"], -4)],
        [("fund", accounts["fund"], -1_001), ("fund", accounts["spent"], 1_001)],
    ):  # fmt: skip
        with pytest.raises(asyncpg.CheckViolationError):
            await posted(*postings)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await posted(("support", accounts["fund"], 5))
    for change in ("update posting set amount = amount", "delete from posting"):
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute(change)
    assert dict(await pool.fetch(BALANCES)) == {"contributed": -1_000, "fund": 1_000, "spent": 0}


async def hear(ledger: Ledger, *told: tuple[str, str | None]) -> None:
    """Take one batch of what the registry tells of reports: key and agency, no agency where it forgot them."""
    records: Any = [
        SimpleNamespace(
            key=key.encode(),
            value=agency and orjson.dumps({"data": {"agency": agency, "report_id": key.rpartition("/")[2]}}),
        )
        for key, agency in told
    ]
    async with ledger.database.transaction(Lock.SHARED) as connection:
        work = Reports().decode([Span("registry.reports.v1", 0, 0, len(records), records)], None)
        await Reports().write(connection, work)


async def test_which_reports_were_filed_is_known_as_the_last_word_has_it(ledger: Ledger) -> None:
    async def filed() -> set[tuple[str, str]]:
        rows = await ledger.database.pool.fetch("select agency, report_id from filed")
        return {tuple(row) for row in rows}

    await hear(ledger, ("LAP-1", "rt-07"), ("rt-08/LAP-1", "rt-08"), ("LAP-2", "rt-07"), ("LAP-2", None))
    await hear(ledger, ("LAP-1", "rt-07"))
    assert await filed() == {("rt-07", "LAP-1"), ("rt-08", "LAP-1")}
    await hear(ledger, ("LAP-1", None), ("LAP-1", "rt-09"), ("rt-08/LAP-1", None), ("never", None))
    assert await filed() == {("rt-09", "LAP-1")}


async def test_what_it_cannot_carry_is_handed_over_and_the_report_answered(office: Office) -> None:
    await office.contribute("kotak-1", 1_000_000)
    refused = await office.spend("rumah-1", 17_500_000, 409)
    assert "Rp 16.500.000 too little" in refused["detail"]
    assert "hand-over tegalsari-rtlh" in refused["detail"]
    case = {"hand_over_id": "h-1", "amount": 17_500_000, "reason": "roof of 3374010101900001 fell in"}
    alone = await office.do("funds/tegalsari-rtlh/hand-overs", **case)
    assert "tepat publish" in alone["next"]
    assert (alone["held"], alone["reason"]) == (1_000_000, "roof of 337401******0001 fell in")
    assert await office.do("funds/tegalsari-rtlh/hand-overs", **case) == alone
    await office.do("funds/tegalsari-rtlh/hand-overs", 409, **case | {"amount": 1_000_001})
    referred = case | {"hand_over_id": "h-2", "report": "rt-07/LAP-1", "to_agency": "dinsos"}
    assert "no report rt-07/LAP-1 is known" in (
        await office.do("funds/tegalsari-rtlh/hand-overs", 409, **referred)
    )["detail"]  # fmt: skip
    await hear(office.ledger, ("LAP-1", "rt-07"), ("rt-08/LAP-1", "rt-08"), ("LAP-2", "rt-07"))
    told = await office.do("funds/tegalsari-rtlh/hand-overs", **referred)
    await office.do("funds/tegalsari-rtlh/hand-overs", **referred)
    rows = await office.ledger.database.pool.fetch("select topic, key, value from outbox where topic like 'agency.%'")
    assert [(row["topic"], row["key"]) for row in rows] == [("agency.dpmd.reports.v1", "rt-07/LAP-1")]
    event = TypeAdapter(AnswerEvent).validate_json(rows[0]["value"])
    assert (event["source"], event["id"]) == ("urn:tepat:agency:dpmd", told["event_id"])
    assert event["data"] == {
        "report_id": "rt-07/LAP-1", "revision": 1, "outcome": "referred", "to_agency": "dinsos",
        "reason": "roof of 337401******0001 fell in",
    }  # fmt: skip
    assert [each["hand_over_id"] for each in (await office.see("funds/tegalsari-rtlh/hand-overs"))["items"]] == [
        "h-2", "h-1",
    ]  # fmt: skip
    assert (await office.see("funds/tegalsari-rtlh"))["handed_over"] == 2
    small = {"hand_over_id": "h-3", "amount": 1_000_000, "reason": "too much trouble"}
    assert "neighbours first" in (await office.do("funds/tegalsari-rtlh/hand-overs", 409, **small))["detail"]
    await office.do("funds/tegalsari-rtlh/hand-overs", 422, **referred | {"hand_over_id": "h-4", "to_agency": "nobody"})
    await office.do("funds/tegalsari-rtlh/hand-overs", 422, **case | {"report": "rt-07/LAP-1"})


async def test_support_to_an_institution_is_not_aid_to_anybody(office: Office) -> None:
    ledger = office.ledger
    await ledger.take([payout("p1", amount=750_000)])
    await ledger.judge()

    async def seen() -> Any:
        by = ["programme", "agency", "kelurahan", "month"]
        subject = Subject(persons=[UUID(int=1)], households=[UUID(kk(MAWAR))], purpose="asked for")
        async with ledger.database.pool.acquire() as connection:
            held = await api.held(connection, _anybody(), subject)
        aid = await ledger.database.pool.fetchval("select count(*) from aid_touch")
        report = {name: value for name, value in (await office.see("report", by=by)).items() if name != "as_of"}
        return report, held, aid, await office.see("funds"), await ledger.database.pool.fetch(BALANCES)

    before = await seen()
    given = {
        "entry_id": "tksk-1", "agency": "dinsos", "institution": "dinsos/TKSK-33.74.01", "region": REGION,
        "amount": 5_000_000, "on": "2026-01-15", "receipt": RECEIPT,
    }  # fmt: skip
    told = await office.do("institutions/support", **given)
    assert await office.do("institutions/support", **given) == told
    assert await seen() == before
    assert [each["amount"] for each in (await office.see("institutions/support", region="33.74"))["items"]] == [
        5_000_000
    ]
    assert (await office.see("institutions/support", institution="dinsos/LKS-1"))["items"] == []
    support = await ledger.database.pool.fetch("select kind, holder, balance from account where book = 'support'")
    assert {tuple(row) for row in support} == {
        ("granted", "dinsos", -5_000_000), ("institution_support", "dinsos/TKSK-33.74.01", 5_000_000),
    }  # fmt: skip
    await office.do("institutions/support", 422, **given | {"entry_id": "b", "agency": "nobody"})
    await office.do("institutions/support", 409, **given | {"amount": 1})


def _anybody() -> Any:
    from tepat_chassis.auth import Person, Right  # noqa: PLC0415 – beside its only use

    return Person("rini", "Bu Rini", frozenset(Right), ())


async def test_only_ones_own_regions_are_seen_and_posted_to(office: Office) -> None:
    ledger = office.ledger
    async with ledger.asked(*routers(ledger), regions=["33.20"]) as client:
        other = Office(ledger, client)
        assert (await other.see("funds"))["items"] == []
        await other.see("funds/tegalsari-rtlh", 403)
        await other.see("funds/none", 404)
        await other.spend("x", 1, 403)
        await other.do("funds", 403, **FUND | {"fund": "mine"})
        assert (await other.see("institutions/support"))["items"] == []
    household = UUID(kk(MAWAR))
    await office.contribute("kotak-1", 10)
    await office.spend("rumah-1", 10, household=str(household))
    async with ledger.database.pool.acquire() as connection:
        subject = Subject(persons=[UUID(int=1)], households=[household], purpose="asked for")
        held = await api.held(connection, _anybody(), subject)
    assert [each["fund"] for each in orjson.loads(orjson.dumps(held["spent_by_funds"]))] == ["tegalsari-rtlh"]
