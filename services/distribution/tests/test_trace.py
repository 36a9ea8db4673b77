"""The way of one thing: a payout's findings and receipts, a case by its code, a coupon from hand to hand."""

from collections import Counter
from typing import Any

import httpx
import pytest
from tepat_contracts.cases import case_code
from tepat_contracts.envelope import UNDATED
from tepat_distribution import coupon, groups, trace
from tepat_distribution.domain import overlap_id

from .conftest import ANI, BUDI, MAWAR, NOW, PKH_BLT, Ledger, Registry, kk, lives, nik, payout, policy
from .test_rounds import KEY, Office, parts, subject

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


def tracing(ledger: Ledger, *regions: str) -> Any:
    return ledger.asked(
        trace.router(ledger.database, ledger.standing, lambda _: KEY),
        groups.router(ledger.database, ledger.standing, lambda: NOW), regions=regions,
    )  # fmt: skip


async def steps(client: httpx.AsyncClient, name: str) -> Counter[str]:
    answer = await client.get(f"trace/{name}")
    assert answer.status_code == 200, answer.text
    told = answer.json()["steps"]
    assert [each["at"] for each in told] == sorted(each["at"] for each in told)
    return Counter(each["what"] for each in told)


async def test_a_finding_is_a_step_of_its_payouts_and_has_a_way_of_its_own(ledger: Ledger) -> None:
    await ledger.follow(policy(version="t-2"))
    await ledger.hear(Registry().learn([lives(ANI, MAWAR, died="2025-12-31"), lives(BUDI, MAWAR)]))
    await ledger.take([payout("dead"), payout("fine", "BPNT", BUDI, by="himbara")])
    await ledger.judge()
    await ledger.find()
    ((id_, _),) = (await ledger.findings()).items()
    async with tracing(ledger) as client:
        paid = {"payout disbursed": 1, "finding raised": 1}
        assert await steps(client, id_) == await steps(client, "dinsos/dead") == paid
        assert await steps(client, nik(ANI)) == paid
        assert await steps(client, kk(MAWAR)) == {"payout disbursed": 2, "finding raised": 1}
        assert "finding raised" not in await steps(client, "himbara/fine")
        assert (await client.get(f"trace/{id_}")).json()["also"] == {
            "registry": [nik(ANI)], "eligibility": [f"PKH|{kk(MAWAR)}"], "notifications": [id_],
        }  # fmt: skip
        assert (await client.get(f"trace/{nik(ANI)}")).json()["also"] == {}
    async with tracing(ledger, "33.20") as client:
        assert await steps(client, id_) == {}


async def test_every_event_of_a_payout_stands_where_it_was_heard_of_with_its_agencys_time_beside(
    ledger: Ledger,
) -> None:
    await ledger.follow(policy(version="t-2"))
    planned, paid, late = (
        payout("p", state="planned", time="2026-01-01T00:00:00Z"), payout("p", time=UNDATED),
        payout("p", state="planned", amount=5, time="2026-01-09T00:00:00Z"),
    )  # fmt: skip
    await ledger.take([planned])
    await ledger.take([payout("other", "BPNT", BUDI, by="himbara")])
    await ledger.take([paid])
    await ledger.take([late])
    async with tracing(ledger) as client:
        told = (await client.get("trace/dinsos/p")).json()["steps"]
        beside = [(each["detail"].get("dated"), each["detail"].get("late")) for each in told]
        assert [(each["at"], each["what"], *more) for each, more in zip(told, beside, strict=True)] == [
            ("1970-01-01T00:00:00.001000Z", "payout planned", "2026-01-01T00:00:00Z", None),
            ("1970-01-01T00:00:00.003000Z", "payout disbursed", None, None),
            ("1970-01-01T00:00:00.004000Z", "payout planned", "2026-01-09T00:00:00Z", True),
        ]  # fmt: skip
        assert [each["detail"].get("programme") for each in told] == [None, "PKH", None]  # the one that holds is whole
        assert [each["detail"]["amount"] for each in told] == [750_000, 750_000, 5]
        for event in (planned, paid, late):
            assert (await client.get(f"trace/{event['id']}")).json()["steps"] == told
    async with tracing(ledger, "33.20") as client:
        assert await steps(client, "dinsos/p") == {}


async def test_a_case_is_known_by_its_code_and_capital_by_its_receipt(ledger: Ledger) -> None:
    await ledger.follow(policy(PKH_BLT, version="t-2"))
    goods = payout("modal", amount=2_500_000)
    goods["data"]["benefit"]["kind"] = "capital"
    await ledger.take([goods, payout("blt", "BLT-DD", BUDI, by="dpmd")])
    await ledger.judge()
    received = {"agency": "dinsos", "payout_id": "modal", "receipt": "2f" * 32, "received_on": "2026-02-01"}
    async with tracing(ledger) as client:
        assert (await client.post("capital/receipts", json=received)).status_code == 200
        told = {"payout disbursed": 2, "overlap announced": 1, "receipt kept": 1}
        overlap = overlap_id("dinsos", "modal", "dpmd", "blt")
        assert await steps(client, str(overlap)) == await steps(client, case_code(overlap).lower()) == told


async def test_a_round_and_a_coupon_are_followed_from_hand_to_hand(ledger: Ledger) -> None:
    office = Office(ledger)
    await office.hear(*parts("2026-W10", 3, 2))
    await office.open(closes="2026-03-08", packages=2)
    code = coupon.code(KEY, "2026-W10", 1)
    await office.hand("psm", name="Bu Sri", coupons=[code])
    await office.deliver({
        "delivery_id": "G-1", "coupon": code, "at": "2026-03-06T11:00:00+07:00", "officer": "TKSK",
        "region": "33.74.01.1002", "proof": {"kind": "photo", "sha256": "ab" * 32},
    })  # fmt: skip
    await office.take_back({"coupon": code})
    given = {"package promised": 1, "coupon handed on": 1, "package delivered": 1, "package returned": 1}
    async with tracing(ledger) as client:
        assert await steps(client, code.lower()) == await steps(client, subject(1)) == given
        assert await steps(client, coupon.code(b"another", "2026-W10", 1)) == {}
        assert await steps(client, "2026-W10") == {
            "round open": 1, "round hand": 1, "round deliver": 1, "round return": 1,
        }  # fmt: skip
    async with tracing(ledger, "33.74.02") as client:
        assert await steps(client, code) == {}
    async with tracing(ledger, "33.20") as client:
        assert await steps(client, "2026-W10") == {}
