"""What households are told to receive: when, how much at once, and what of it. That it is what the ledger should hold,
in any order, is part of what ``test_convergence`` looks at.
"""

from datetime import date, timedelta
from typing import Any

import orjson
import pytest
from tepat_contracts.express import Benefit, Covers, Payout, Recipient
from tepat_distribution import aid, domain
from tepat_distribution.aid import AID, APART, AT_LAST

from .conftest import ANI, BUDI, MAWAR, MELATI, NOW, Ledger, Registry, ended, kk, lives, nik, payout

pytestmark = pytest.mark.integration


async def told(ledger: Ledger) -> dict[str, list[tuple[str, str]]]:
    """Payouts and their states, by household, once all that is due is told."""
    await ledger.judge()
    await ledger.tell()
    return {
        household: [(each["payout_id"], each["state"]) for each in payouts]
        for household, payouts in (await ledger.aid()).items()
    }


async def test_a_household_is_told_of_once_in_its_minute_and_then_all_at_once(ledger: Ledger) -> None:
    await ledger.take([payout("p1"), payout("p2", "BPNT", by="himbara", days=("2026-04-01", "2026-06-30"))])
    assert await told(ledger) == {kk(MAWAR): [("p1", "disbursed"), ("p2", "disbursed")]}
    ledger.now += timedelta(seconds=59)
    await ledger.take([ended("p1")])
    await ledger.take([payout("p3", days=("2026-07-01", "2026-07-31"))])
    assert len((await told(ledger))[kk(MAWAR)]) == 2
    ledger.now += timedelta(seconds=1)
    assert await told(ledger) == {kk(MAWAR): [("p1", "cancelled"), ("p2", "disbursed"), ("p3", "disbursed")]}
    assert len(await ledger.sent(AID)) == 2


async def test_what_changes_nothing_is_not_told_again(ledger: Ledger) -> None:
    await ledger.take([payout("p1", revision=0)])
    await told(ledger)
    ledger.now += APART
    await ledger.take([payout("p1", revision=1)])  # a revision that tells the same
    await told(ledger)
    assert len(await ledger.sent(AID)) == 1


async def test_an_ended_payout_goes_with_its_person(ledger: Ledger) -> None:
    registry = Registry()
    await ledger.take([payout("p1"), ended("p1", "returned")])
    assert await told(ledger) == {kk(MAWAR): [("p1", "returned")]}
    ledger.now += APART
    await ledger.hear(registry.learn([lives(ANI, MELATI)]))
    assert await told(ledger) == {kk(MAWAR): [], kk(MELATI): [("p1", "returned")]}


@pytest.mark.parametrize("batches", [[[0, 1, 2]], [[2], [1], [0]], [[0], [2], [1]], [[2, 0], [1]], [[1], [0, 2]]])
async def test_an_end_may_come_before_whom_it_was_for(ledger: Ledger, batches: list[list[int]]) -> None:
    events = [payout("p1", of=BUDI, card=MELATI), payout("p1", amount=9, revision=1), ended("p1", revision=2)]
    for batch in batches:
        await ledger.take([events[at] for at in batch])
        await ledger.judge()
    await ledger.judge()
    await ledger.tell()
    aid_told = {household: payouts for household, payouts in (await ledger.aid()).items() if payouts}
    assert list(aid_told) == [kk(MAWAR)]
    assert [(each["amount"], each["person"], each["state"]) for each in aid_told[kk(MAWAR)]] == [
        (9, nik(ANI), "cancelled")
    ]


async def test_of_too_many_the_last_are_told(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "MOST_PAYOUTS", 3)
    await ledger.take([payout(f"p{n}", days=(f"2026-01-0{n}", f"2026-01-0{n}")) for n in range(1, 6)])
    assert await told(ledger) == {kk(MAWAR): [(f"p{n}", "disbursed") for n in (3, 4, 5)]}
    (record,) = await ledger.sent(AID)
    assert orjson.loads(record.value or b"")["data"]["more"] == 2


async def test_judging_comes_first_but_not_for_longer_than_a_minute(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aid, "MUCH", 1)
    ledger.now = NOW + timedelta(seconds=2)  # the detector's clock says NOW
    await ledger.take([payout("p1"), payout("p2", card=MELATI, of=BUDI)])
    await ledger.judge()
    assert await ledger.tell() == 0
    ledger.now = NOW + timedelta(seconds=4)
    await ledger.take([payout("p3")])  # waits to be judged
    assert await ledger.tell() == 0
    ledger.now = NOW + AT_LAST
    assert await ledger.tell() > 0
    assert len(await ledger.aid()) == 2


async def test_a_clock_that_was_ahead_and_is_put_right_makes_nothing_wait(ledger: Ledger) -> None:
    ledger.now = NOW - timedelta(hours=1)  # what is touched is an hour ahead
    await ledger.take([payout("p1")])
    assert len((await told(ledger))[kk(MAWAR)]) == 1
    ledger.now = NOW + timedelta(hours=1)  # and here what was told
    await ledger.take([payout("p2")])
    assert len((await told(ledger))[kk(MAWAR)]) == 2
    ledger.now = NOW + APART
    await ledger.take([payout("p3")])
    await ledger.judge()
    await ledger.tell()
    assert len(await ledger.sent(AID)) == 3


async def test_all_that_a_payout_tells_is_told_and_nothing_that_it_names(ledger: Ledger) -> None:
    event = payout("p1")
    event["data"] |= {"tranche": "T1", "component": "balita", "channel": "x" * 99}
    event["data"]["benefit"] |= {"kind": "food", "quantity": 10.5, "unit": "kg"}
    await ledger.take([event])
    await told(ledger)
    ((each,),) = (await ledger.aid()).values()
    assert {name: each.get(name) for name in ("kind", "quantity", "unit", "tranche", "component", "channel")} == {
        "kind": "food", "quantity": 10.5, "unit": "kg", "tranche": "T1", "component": "balita", "channel": "x" * 60,
    }  # fmt: skip
    (record,) = await ledger.sent(AID)
    assert ANI.encode() not in (record.value or b"")
    assert MAWAR.encode() not in (record.value or b"")


async def test_a_policy_touches_no_household(ledger: Ledger) -> None:
    await ledger.take([payout("p1")])
    await told(ledger)
    await ledger.follow(ledger.document | {"version": "t-2", "overlap_rules": []})
    await ledger.judge()
    assert await ledger.database.pool.fetchval("select count(*) from aid_touch") == 0


def test_most_payouts_tell_nothing_more() -> None:
    covers, recipient = Covers(date(2026, 1, 1), date(2026, 1, 31)), Recipient(ANI)
    plain: Any = {"payout_id": "p", "revision": 0, "programme": "PKH", "covers": covers, "recipient": recipient}
    assert domain.more(Payout(**plain, benefit=Benefit("cash", 1), region="33")) is None
    assert domain.more(Payout(**plain, benefit=Benefit("food", 1, 2.0), region="33")) == '{"quantity":2.0}'
