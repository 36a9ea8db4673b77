"""Joint business groups: a person in one at most; capital with its receipts, by strategy in the report."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tepat_distribution import groups, reporting
from tepat_distribution.domain import KINDS

from .conftest import ANI, BUDI, CITRA, REGION, Ledger, Registry, lives, merged, nik, payout, policy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

TODAY = datetime(2026, 5, 1, 9, tzinfo=UTC)
FORMED = {
    "group": "mawar-jaya", "title": "KUBE Mawar Jaya", "agency": "dinsos", "region": REGION, "formed_on": "2026-02-01",
}  # fmt: skip


class Office:
    """Whoever keeps the groups, by HTTP."""

    def __init__(self, ledger: Ledger, client: httpx.AsyncClient) -> None:
        self.ledger, self._client = ledger, client

    async def ask(self, method: str, path: str, status: int = 200, **more: Any) -> dict[str, Any]:
        answer = await self._client.request(method, path, **more)
        assert answer.status_code == status, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def form(self, status: int = 200, **more: Any) -> dict[str, Any]:
        return await self.ask("POST", "groups", status, json=FORMED | more)

    async def join(self, group: str, who: str, status: int = 200, since: str = "2026-03-01") -> dict[str, Any]:
        return await self.ask("POST", f"groups/{group}/members", status, json={"person": nik(who), "since": since})

    async def leave(self, group: str, who: str, status: int = 200, until: str = "2026-04-01") -> dict[str, Any]:
        return await self.ask("POST", f"groups/{group}/members/{nik(who)}/leave", status, json={"until": until})


def office_of(ledger: Ledger, *regions: str) -> Any:
    of = (ledger.database, ledger.standing, lambda: TODAY)
    return ledger.asked(groups.router(*of), reporting.router(*of), regions=regions)


@pytest_asyncio.fixture
async def office(ledger: Ledger) -> AsyncIterator[Office]:
    async with office_of(ledger) as client:
        made = Office(ledger, client)
        await made.form()
        await made.form(group="melati", title="KUBE Melati")
        yield made


async def test_a_person_is_in_one_group_at_most(office: Office) -> None:
    registry = Registry()
    await office.ledger.hear(registry.learn([merged(CITRA, ANI), lives(BUDI, "3374010101200001")]))
    await office.join("mawar-jaya", ANI)
    told = await office.join("mawar-jaya", ANI)
    assert (told["members"], [each["person"] for each in told["people"]]) == (1, [nik(ANI)])
    for who in (ANI, CITRA):  # one person, under either NIK
        assert "mawar-jaya" in (await office.join("melati", who, 409))["detail"]
    await office.join("melati", BUDI)
    told = await office.leave("mawar-jaya", CITRA)
    assert (told["members"], told["people"][0]["until"]) == (0, "2026-04-01")
    await office.leave("mawar-jaya", ANI, 409)
    assert (await office.join("melati", CITRA, since="2026-04-02"))["members"] == 2
    listed = (await office.ask("GET", "groups", params={"region": "33.74"}))["items"]
    assert [(each["group"], each["members"]) for each in listed] == [("mawar-jaya", 0), ("melati", 2)]


async def test_of_many_who_add_one_person_at_once_one_does(office: Office) -> None:
    registry = Registry()
    await office.ledger.hear(registry.learn([merged(CITRA, ANI)]))
    for n in range(6):
        await office.form(group=f"kube-{n}", title=f"KUBE {n}")

    async def add(n: int) -> int:
        body = {"person": nik((ANI, CITRA)[n % 2]), "since": "2026-03-01"}
        return (await office._client.post(f"groups/kube-{n}/members", json=body)).status_code

    assert sorted(await asyncio.gather(*(add(n) for n in range(6)))) == [200, 409, 409, 409, 409, 409]


async def test_who_turns_out_to_be_in_two_is_told_in_both(office: Office) -> None:
    registry = Registry()
    await office.join("mawar-jaya", ANI)
    await office.join("melati", CITRA)
    assert "also_in" not in (await office.ask("GET", "groups/melati"))["people"][0]
    await office.ledger.hear(registry.learn([merged(CITRA, ANI)]))
    for group, other in (("mawar-jaya", "melati"), ("melati", "mawar-jaya")):
        (member,) = (await office.ask("GET", f"groups/{group}"))["people"]
        assert (member["person"], member["also_in"]) == (nik(ANI), [other])
    await office.join("mawar-jaya", ANI, 409)
    await office.leave("melati", ANI)  # under the NIK they joined with or any other
    assert "also_in" not in (await office.ask("GET", "groups/mawar-jaya"))["people"][0]


async def test_who_is_erased_is_in_no_group(office: Office) -> None:
    await office.join("melati", BUDI)
    await office.ledger.forget(nik(BUDI))
    assert (await office.ask("GET", "groups/melati"))["people"] == []


async def test_what_cannot_be_is_refused(office: Office) -> None:
    assert (await office.form())["group"] == "mawar-jaya"
    await office.form(409, title="KUBE lain")
    await office.form(422, group="other", region="33.74.01")
    await office.form(422, group="other", region="33.74.01.9999")
    await office.form(422, group="other", agency="nobody")
    await office.form(422, group="other", formed_on="2026-05-02")
    await office.join("mawar-jaya", ANI, 422, since="2026-01-31")
    await office.join("mawar-jaya", ANI, 422, since="2026-05-02")
    await office.join("none", ANI, 404)
    await office.join("mawar-jaya", ANI)
    await office.leave("mawar-jaya", ANI, 422, until="2026-02-28")
    async with office_of(office.ledger, "33.20") as client:
        other = Office(office.ledger, client)
        await other.ask("GET", "groups/mawar-jaya", 403)
        assert (await other.ask("GET", "groups"))["items"] == []


async def test_capital_has_receipts_and_is_reported_by_strategy(ledger: Ledger) -> None:
    document = policy(programmes=["PKH", "BPNT", "BLT-DD", "SB"])
    for each, strategy in zip(document["programmes"], ("raise_incomes", None, "shrink_pockets", None), strict=True):
        each["strategy"] = strategy
    await ledger.follow(document)
    goods, cash = payout("modal", amount=2_500_000), payout("blt", "BLT-DD", of=BUDI, by="dpmd", amount=300_000)
    goods["data"]["benefit"]["kind"] = "capital"
    await ledger.take([goods, cash])
    assert KINDS[4] == "capital"  # what the index and the statement name by number
    async with office_of(ledger) as client:
        office = Office(ledger, client)
        await office.form()
        await office.join("mawar-jaya", ANI)
        (told,) = (await office.ask("GET", "capital", params={"receipt": False, "region": "33.74"}))["items"]
        assert (told["payout_id"], told["amount"], told["person"], told["group"], told["state"]) == (
            "modal", 2_500_000, nik(ANI), "mawar-jaya", "disbursed",
        )  # fmt: skip
        shown = {"agency": "dinsos", "payout_id": "modal", "receipt": "2f" * 32, "received_on": "2026-03-03"}
        kept = await office.ask("POST", "capital/receipts", json=shown)
        assert (kept["receipt"], kept["recorded_by"]) == ("2f" * 32, "rini")
        assert await office.ask("POST", "capital/receipts", json=shown) == kept
        await office.ask("POST", "capital/receipts", 409, json=shown | {"receipt": "3f" * 32})
        await office.ask("POST", "capital/receipts", 404, json=shown | {"agency": "dpmd", "payout_id": "blt"})
        assert (await office.ask("GET", "capital", params={"receipt": False}))["items"] == []
        report = await office.ask("GET", "report", params={"by": "strategy"})
        assert {line["strategy"]: line["disbursed"]["amount"] for line in report["items"]} == {
            "raise_incomes": 2_500_000, "shrink_pockets": 300_000,
        }  # fmt: skip
