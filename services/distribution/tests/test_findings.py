"""What is found of payouts beside overlaps: each rule by its edges, nothing before it can be known, and whatever the
order what a plain oracle finds.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from secrets import token_hex
from types import SimpleNamespace
from typing import Any, get_args
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import orjson
import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tepat_chassis import http, subjects
from tepat_chassis.auth import Person, Right, authenticated
from tepat_chassis.health import Health
from tepat_chassis.metrics import Metrics
from tepat_contracts.policy import Period
from tepat_demo import findings_oracle, oracle
from tepat_distribution import api, domain, findings, findings_api, store
from tepat_distribution.aid import AT_LAST
from tepat_distribution.detect import FINDINGS
from tepat_distribution.held import STILL

from . import test_convergence as convergence
from .conftest import (
    ANI,
    BUDI,
    CITRA,
    DEWI,
    MAWAR,
    MELATI,
    MIGRATIONS,
    NOW,
    REGION,
    SECRET,
    Event,
    Ledger,
    Registry,
    alone,
    decided,
    ended,
    event,
    kk,
    lives,
    merged,
    nik,
    oracle_record,
    payout,
    policy,
    resolved,
)

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module")
async def whole(postgres: str, secrets: Path) -> AsyncIterator[Ledger]:
    """One ledger for all tests here: most take less time than making its database would."""
    name = f"test_findings_{token_hex(6)}"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"create database {name}")
    made = Ledger(urlunsplit(urlsplit(postgres)._replace(path=f"/{name}")), secrets)
    await made.database.open(*MIGRATIONS)
    yield made
    await made.database.close()
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@pytest_asyncio.fixture
async def ledger(whole: Ledger) -> Ledger:
    """It, emptied, under a first policy."""
    await whole.empty()
    await whole.follow(policy())
    await whole.judge()
    return whole


PKH = {"period": "quarter", "most_components": 4, "criteria": "household.decile <= 4", "components": [
    {"code": "sd", "name": {"id": "SD", "en": "Primary"}, "criteria": "true", "amount": 225_000},
    {"code": "hamil", "name": {"id": "Hamil", "en": "Pregnant"}, "criteria": "true", "amount": 750_000},
]}  # fmt: skip
BPNT = {"period": "month", "amount": 200_000, "criteria": "household.decile <= 5"}
TERMS: dict[str, dict[str, Any]] = {"PKH": PKH, "BPNT": BPNT, "SB": {"regions": ["33.74"]}}


def ruled(version: str = "t-2", **terms: dict[str, Any]) -> dict[str, Any]:
    """A policy whose programmes say more, here or in ``TERMS``."""
    made, terms = policy(version=version), TERMS | terms
    return made | {"programmes": [each | terms.get(each["code"], {}) for each in made["programmes"]]}


async def rules(ledger: Ledger) -> dict[str, dict[str, Any]]:
    """What stands once all is judged and looked at, by rule and payouts."""
    await ledger.judge()
    await ledger.find()
    return {
        f"{said['rule']} {' '.join(each['payout_id'] for each in said['payouts'])}": said
        for said in (await ledger.findings()).values()
    }


@pytest.mark.parametrize(("died", "found"), [("2025-12-31", True), ("2026-01-01", False), (None, False)])
async def test_paid_to_deceased(ledger: Ledger, died: str | None, found: bool) -> None:
    await ledger.hear(Registry().learn([lives(ANI, MAWAR, died=died)]))
    await ledger.take([payout("p1", state="planned")])
    stands = await rules(ledger)
    assert list(stands) == (["paid_to_deceased p1"] if found else [])
    if found:
        said = stands["paid_to_deceased p1"]
        assert (said["person"], said["household"], said["programme"]) == (nik(ANI), kk(MAWAR), "PKH")
        assert said["evidence"] == {
            "amount": 750_000, "state": "planned", "deceased_on": died, "covers_from": "2026-01-01"
        }  # fmt: skip


async def test_a_clock_that_was_ahead_and_is_put_right_makes_nothing_wait(ledger: Ledger) -> None:
    ledger.now = NOW - timedelta(hours=1)  # what is touched is an hour ahead
    await ledger.hear(Registry().learn([lives(ANI, MAWAR, died="2025-12-31")]))
    await ledger.take([payout("p1")])
    assert list(await rules(ledger)) == ["paid_to_deceased p1"]


async def test_paid_to_the_deceased_is_of_the_person_whom_the_nik_stands_for(ledger: Ledger) -> None:
    registry = Registry()
    await ledger.take([payout("p1", of=BUDI)])
    await ledger.hear(registry.learn([lives(ANI, MAWAR, died="2020-01-01"), lives(BUDI, MAWAR)]))
    assert await rules(ledger) == {}
    await ledger.hear(registry.learn([merged(BUDI, ANI)]))
    assert list(await rules(ledger)) == ["paid_to_deceased p1"]
    await ledger.hear(registry.learn([lives(ANI, MAWAR, died="2026-01-01", revision=1)]))  # a death told otherwise
    assert await rules(ledger) == {}
    await ledger.hear(registry.learn([lives(ANI, MAWAR, died="2025-01-01", revision=2)]))
    assert list(await rules(ledger)) == ["paid_to_deceased p1"]
    await ledger.hear(registry.learn([merged(BUDI, None, revision=1)]))
    assert await rules(ledger) == {}


async def test_who_is_not_registered_is_found_until_they_are(ledger: Ledger) -> None:
    registry = Registry()
    await ledger.take([payout("p1"), payout("p2", of=BUDI)])
    assert await rules(ledger) == {}, "of a registry that has told of nobody nothing can be known"
    await ledger.hear(registry.learn([lives(BUDI, MAWAR)]))
    stands = await rules(ledger)
    assert list(stands) == ["not_registered p1"]
    assert stands["not_registered p1"]["evidence"] == {"amount": 750_000, "state": "disbursed"}
    await ledger.hear(registry.learn([lives(ANI, MAWAR)]))
    assert await rules(ledger) == {}


async def test_the_erased_were_registered_once(ledger: Ledger) -> None:
    registry = Registry()
    await ledger.take([payout("p1"), payout("p2", of=BUDI)])
    await ledger.hear(registry.learn([lives(ANI, MAWAR, died="2020-01-01"), lives(BUDI, MAWAR)]))
    assert list(await rules(ledger)) == ["paid_to_deceased p1"]
    await ledger.forget(nik(ANI))
    assert await rules(ledger) == {}
    await ledger.forget(nik(BUDI))
    await ledger.take([payout("p3", of=CITRA)])
    assert await rules(ledger) == {}, "nobody is left of whom it tells"


async def test_nothing_is_found_before_what_was_told_by_then_is_taken(ledger: Ledger) -> None:
    persons = TopicPartition("registry.persons.v1", 0)
    await ledger.hear(Registry().learn([lives(BUDI, MAWAR)]))
    await rules(ledger)
    ledger.ends = None  # nobody knows yet where the topics end
    await ledger.take([payout("p1")])
    assert await rules(ledger) == {}
    ledger.ends = {persons: 7}
    assert await rules(ledger) == {}
    await ledger.position(persons, 6)
    ledger.ends = {persons: 9}  # it goes on, and p1 need not wait for that
    await ledger.take([payout("p2")])
    assert await rules(ledger) == {}
    await ledger.position(persons, 7)
    assert list(await rules(ledger)) == ["not_registered p1"]
    await ledger.position(persons, 9)
    assert list(await rules(ledger)) == ["not_registered p1", "not_registered p2"]


BENEFICIARIES = TopicPartition("agency.dinsos.beneficiaries.v1", 1)
VISITS = TopicPartition("agency.dinsos.verifications.v1", 0)
PERSONS, HOUSEHOLDS = TopicPartition("registry.persons.v1", 0), TopicPartition("registry.households.v1", 1)
DECISIONS = TopicPartition("eligibility.decisions.v1", 0)
BEGUN = {TopicPartition("registry.progress.v1", 0): 2, TopicPartition("eligibility.progress.v1", 0): 2}
"""Where what services tell of their progress ends, once they have told anything."""


async def test_nothing_is_found_on_what_registry_and_eligibility_have_yet_to_make_of_what_was_sent(
    ledger: Ledger,
) -> None:
    await ledger.hear(Registry().learn([lives(BUDI, MAWAR)]))
    await rules(ledger)
    ledger.ends = BEGUN | {PERSONS: 3, HOUSEHOLDS: 0, DECISIONS: 2}
    ledger.inbound = {BENEFICIARIES: 7, VISITS: 4}
    await ledger.position(PERSONS, 3)
    await ledger.position(DECISIONS, 2)
    await ledger.take([payout("p1")])
    assert await rules(ledger) == {}, "of neither this database has heard anything"
    ledger.inbound = {BENEFICIARIES: 99, VISITS: 99}  # it goes on, and p1 need not wait for that
    await ledger.tell_through("registry", 1, agency_dinsos_beneficiaries_v1=[9, 6])
    assert await rules(ledger) == {}
    await ledger.tell_through("eligibility", 1, agency_dinsos_verifications_v1=[4], registry_persons_v1=[9])
    assert await rules(ledger) == {}, "what registry makes of it stands before its progress, and is yet to be seen"
    ledger.ends |= {PERSONS: 5, HOUSEHOLDS: 1}
    await ledger.tell_through("registry", 3, agency_dinsos_beneficiaries_v1=[9, 7])
    await ledger.tell_through("registry", 2)  # told before
    await ledger.tell_through("eligibility", 2, agency_dinsos_verifications_v1=[4], registry_persons_v1=[5])
    await ledger.position(PERSONS, 5)
    assert await rules(ledger) == {}
    await ledger.position(HOUSEHOLDS, 1)
    assert await rules(ledger) == {}, "a renewed card is still to be decided on"
    ledger.ends |= {DECISIONS: 3}
    held = {"agency_dinsos_verifications_v1": [3], "registry_persons_v1": [5], "registry_households_v1": [0, 1]}
    await ledger.tell_through("eligibility", 3, **held)
    assert await rules(ledger) == {}, "so is a visit"
    await ledger.tell_through("eligibility", 4, **held | {"agency_dinsos_verifications_v1": [4]})
    assert await rules(ledger) == {}
    await ledger.position(DECISIONS, 3)
    assert list(await rules(ledger)) == ["not_registered p1"]


async def test_findings_held_back_by_a_service_that_stands_still_are_seen(ledger: Ledger) -> None:
    await ledger.hear(Registry().learn([lives(BUDI, MAWAR)]))
    await rules(ledger)
    ledger.ends, ledger.inbound = BEGUN, {BENEFICIARIES: 7}
    await ledger.take([payout("p1")])
    assert await rules(ledger) == {}
    assert ledger.held.tells() == {}, "nobody has waited long yet"
    ledger.now += STILL
    await ledger.tell_through("registry", 1, agency_dinsos_beneficiaries_v1=[0, 6])
    await ledger.find()
    assert ledger.held.tells() == {}, "it is late, and goes on"
    ledger.now += STILL
    await ledger.find()
    assert ledger.held.tells()["findings_held_back"]["service"] == "registry"
    await ledger.tell_through("registry", 2, agency_dinsos_beneficiaries_v1=[0, 7])
    assert list(await rules(ledger)) == ["not_registered p1"]
    assert ledger.held.tells() == {}


@pytest.mark.parametrize("told", [(), ("registry",), ("eligibility",)])
async def test_who_never_told_of_progress_is_not_waited_for(ledger: Ledger, told: tuple[str, ...]) -> None:
    await ledger.hear(Registry().learn([lives(BUDI, MAWAR)]))
    await rules(ledger)
    ledger.ends = {each: end if each.topic.startswith(told) else 0 for each, end in BEGUN.items()} if told else {}
    ledger.inbound = {BENEFICIARIES: 7, VISITS: 4}
    await ledger.take([payout("p1")])
    assert bool(await rules(ledger)) is not bool(told)
    await ledger.tell_through("registry", 1, agency_dinsos_beneficiaries_v1=[0, 7])
    await ledger.tell_through("eligibility", 1, agency_dinsos_verifications_v1=[4])
    assert list(await rules(ledger)) == ["not_registered p1"]


async def test_nothing_is_found_while_a_new_database_takes_the_topics_again(ledger: Ledger, secrets: Path) -> None:
    beginning = Ledger(ledger.database.url, secrets)
    beginning.database, beginning.standing, beginning._clearer = ledger.database, ledger.standing, ledger._clearer
    await beginning.hear(Registry().learn([lives(BUDI, MAWAR)]))
    await ledger.database.pool.execute("insert into recalled default values")
    await ledger.database.pool.execute("insert into rebuilding values ('agency.dinsos.payouts.v1', 0, 9)")
    await beginning.take([payout("p1")])
    assert await rules(beginning) == {}
    await beginning.position(TopicPartition("agency.dinsos.payouts.v1", 0), 9)
    assert list(await rules(beginning)) == ["not_registered p1"]


@pytest.mark.parametrize(
    ("decision", "found"),
    [("ineligible", "paid_to_ineligible p1"), ("needs_verification", "paid_unverified p1"), ("eligible", None),
     ("unknown", None)],
)  # fmt: skip
async def test_paid_to_who_was_not_found_eligible(ledger: Ledger, decision: str, found: str | None) -> None:
    await ledger.follow(ruled())
    await ledger.take([payout("p1"), payout("p2", "BLT-DD", by="dpmd"), payout("p3", "BPNT", by="himbara", amount=1)])
    await ledger.decide([
        decided(kk(MAWAR), decision), decided(kk(MAWAR), decision, "BLT-DD"),  # which has no criteria
        decided(kk(MELATI), decision, "BPNT"), decided(nik(ANI), decision, "BPNT", "person"),  # of others
    ])  # fmt: skip
    stands = await rules(ledger)
    assert list(stands) == ([found] if found else [])
    if found:
        assert stands[found]["evidence"] == {
            "amount": 750_000, "state": "disbursed", "unit": "household", "as_of": "2026-03-01"
        }  # fmt: skip
    await ledger.decide([decided(kk(MAWAR), "eligible", revision=3), decided(kk(MAWAR), decision, revision=2)])
    assert await rules(ledger) == {}


async def test_a_decision_withdrawn_or_forgotten_says_nothing(ledger: Ledger) -> None:
    await ledger.follow(ruled())
    await ledger.take([payout("p1")])
    for withdrawn in ("effective", "members", "stands_for"):
        await ledger.decide([], [f"PKH|{kk(MAWAR)}"])
        await ledger.decide([decided(kk(MAWAR), "ineligible")])
        assert list(await rules(ledger)) == ["paid_to_ineligible p1"]
        await ledger.decide([decided(kk(MAWAR), "ineligible", revision=2, reason=withdrawn)])
        assert await rules(ledger) == {}
    await ledger.decide([decided(kk(MAWAR), "ineligible", revision=3)])
    assert list(await rules(ledger)) == ["paid_to_ineligible p1"]
    await ledger.decide([], [f"PKH|{kk(MAWAR)}"])
    assert await rules(ledger) == {}


async def test_a_programme_of_persons_goes_by_the_persons_decision(ledger: Ledger) -> None:
    await ledger.follow(ruled(PKH={"unit": "person", "criteria": "true"}))
    await ledger.take([payout("p1")])
    await ledger.decide([decided(kk(MAWAR), "ineligible"), decided(nik(ANI), "needs_verification", unit="person")])
    assert list(await rules(ledger)) == ["paid_unverified p1"]


@pytest.mark.parametrize(
    ("programme", "paid", "found"),
    [
        ("BPNT", [("2026-01-01", "2026-03-31", 600_000)], None),
        ("BPNT", [("2026-01-01", "2026-03-31", 600_001)], (600_001, 600_000, 3)),
        ("BPNT", [("2026-01-31", "2026-03-01", 600_000)], None),  # months it has a day of
        ("BPNT", [("2026-01-01", "2026-01-31", 200_000), ("2026-02-01", "2026-02-28", 200_000)], None),
        ("BPNT", [("2026-01-01", "2026-03-31", 600_000), ("2026-02-01", "2026-02-28", 200_000)], (800_000, 600_000, 3)),
        ("BPNT", [("2026-01-01", "2026-02-01", 200_000), ("2026-02-01", "2026-03-01", 200_000)], None),
        ("BPNT", [("2025-12-01", "2026-01-31", 400_000), ("2026-01-31", "2026-02-01", 201_000)], (601_000, 600_000, 3)),
        ("PKH", [("2026-01-01", "2026-03-31", 3_000_000)], None),  # four of the highest
        ("PKH", [("2026-01-01", "2026-01-31", 1), ("2026-03-01", "2026-03-31", 3_000_000)], (3_000_001, 3_000_000, 1)),
        ("PKH", [("2026-03-01", "2026-04-30", 6_000_000)], None),
        ("BLT-DD", [("2026-01-01", "2026-01-31", 10**12)], None),  # says no amount
        ("BLT-DD", [("0001-01-01", "9999-12-31", 2**63 - 1)], None),
        ("BPNT", [("0001-01-01", "9999-12-31", 9_999 * 12 * 200_000 + 1)],
         (9_999 * 12 * 200_000 + 1, 9_999 * 12 * 200_000, 9_999 * 12)),
    ],
)  # fmt: skip
async def test_over_cap(
    ledger: Ledger, programme: str, paid: list[tuple[str, str, int]], found: tuple[int, int, int] | None
) -> None:
    await ledger.follow(ruled())
    by = {"PKH": "dinsos", "BPNT": "himbara", "BLT-DD": "dpmd"}[programme]
    await ledger.take([
        payout(f"p{n}", programme, of=[ANI, BUDI][n], by=by, days=(first, last), amount=amount)
        for n, (first, last, amount) in enumerate(paid)
    ])  # fmt: skip
    stands = await rules(ledger)
    if found is None:
        assert stands == {}
        return
    (said,) = stands.values()
    sum_, cap, periods = found
    assert said["rule"] == "over_cap"
    assert said["household"] == kk(MAWAR)
    assert "person" not in said
    assert said["evidence"] == {
        "paid": sum_, "cap": cap, "over": sum_ - cap, "period": {"PKH": "quarter", "BPNT": "month"}[programme],
        "periods": periods, "from": min(p[0] for p in paid), "to": max(p[1] for p in paid),
    }  # fmt: skip


async def test_what_is_given_once_is_over_its_cap_the_second_time(ledger: Ledger) -> None:
    capital = {"period": "once", "amount": 2_500_000}
    await ledger.follow(ruled(SB=capital))
    first = payout("p1", "SB", amount=2_500_000, days=("2020-01-01", "2020-12-31"))
    await ledger.take([first])
    assert await rules(ledger) == {}
    await ledger.take([payout("p2", "SB", of=BUDI, amount=2_500_000, days=("2026-01-01", "2026-01-01"))])
    stands = await rules(ledger)
    assert list(stands) == ["over_cap p1 p2"]
    assert stands["over_cap p1 p2"]["evidence"]["over"] == 2_500_000
    await ledger.take([ended("p1", "returned")])
    assert await rules(ledger) == {}


async def test_a_component_has_a_cap_of_its_own(ledger: Ledger) -> None:
    await ledger.follow(ruled())

    def of(id_: str, component: str, amount: int) -> Event:
        told = payout(id_, amount=amount, of=ANI if id_ == "p1" else BUDI)
        told["data"]["component"] = component
        return told

    await ledger.take([of("p1", "sd", 4 * 225_000), of("p2", "hamil", 750_000)])
    assert await rules(ledger) == {}
    await ledger.take([of("p3", "sd", 1), of("p4", "smp", 1)])  # the policy has no such component
    stands = await rules(ledger)
    assert list(stands) == ["over_cap p1 p3"]
    assert stands["over_cap p1 p3"]["evidence"] | {"over": 1, "component": "sd"} == stands["over_cap p1 p3"]["evidence"]


async def test_what_a_policy_pays_it_pays_from_its_first_day_on(ledger: Ledger) -> None:
    for version, since, found in [("t-2", "2026-01-01", True), ("t-3", "2026-01-02", False), ("t-4", None, True)]:
        await ledger.follow(
            ruled(version, PKH={"amount": 1, "period": "month", "regions": ["64"], "effective": {"from": since}})
        )
        await ledger.take([payout("p1")])
        assert list(await rules(ledger)) == (["outside_area p1", "over_cap p1"] if found else [])


@pytest.mark.parametrize("unit", ["household", "person"])
async def test_twice_in_a_round(ledger: Ledger, unit: str) -> None:
    await ledger.follow(ruled(SB={"unit": unit}))

    def of(id_: str, tranche: str | None, nik: str = ANI, card: str = MAWAR, programme: str = "SB") -> Event:
        told = payout(id_, programme, of=nik, card=card, days=(f"2026-0{id_[1]}-01", f"2026-0{id_[1]}-02"), amount=5)
        if tranche is not None:
            told["data"]["tranche"] = tranche
        return told

    await ledger.take([
        of("p1", "T1"), of("p2", "T1", BUDI), of("p3", "T2"), of("p4", None), of("p5", None),
        of("p6", "T1", CITRA, MELATI), of("p7", "T1", programme="PKH"), of("p8", "T1", card=MELATI),
    ])  # fmt: skip
    stands = await rules(ledger)
    if unit == "household":
        assert {key: said["household"] for key, said in stands.items()} == {
            "twice_in_round p1 p2": kk(MAWAR), "twice_in_round p6 p8": kk(MELATI)
        }  # fmt: skip
        assert stands["twice_in_round p1 p2"]["evidence"] == {"tranche": "T1", "payouts": 2, "paid": 10}
    else:
        assert {key: said.get("person") for key, said in stands.items()} == {"twice_in_round p1 p8": nik(ANI)}
    await ledger.take([ended("p1"), ended("p8")])
    assert await rules(ledger) == {}


@pytest.mark.parametrize(
    ("region", "found"),
    [("33.74.01.1001", False), ("33.74", False), ("33", False), ("33.75.01.1001", True), ("64", True)],
)
async def test_outside_the_area_is_what_lies_wholly_outside(ledger: Ledger, region: str, found: bool) -> None:
    await ledger.follow(ruled())
    told = payout("p1", "SB", region="33.74.01.1001")
    await ledger.take([told])
    await ledger.database.pool.execute("update payout set region = $1", region)  # of a policy's own list of areas
    stands = await rules(ledger)
    assert [(said["rule"], said["region"], said["evidence"]["areas"]) for said in stands.values()] == (
        [("outside_area", region, ["33.74"])] if found else []
    )


async def test_another_policy_finds_anew_and_the_same_finds_nothing(ledger: Ledger) -> None:
    await ledger.follow(ruled())
    await ledger.take([payout("p1", "SB", region="64.72")])
    assert list(await rules(ledger)) == ["outside_area p1"]
    sent = len(await ledger.sent(FINDINGS))
    await ledger.follow(ruled("t-3"))
    assert await ledger.database.pool.fetchval("select count(*) from finding_sweep") == 0
    assert len(await ledger.sent(FINDINGS)) == sent
    await ledger.follow(ruled("t-4", SB={"regions": ["64.72", "33.74"]}))
    assert await rules(ledger) == {}


async def test_of_groups_that_are_too_large_only_that_is_found(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "GROUP_LIMIT", 3)
    await ledger.follow(ruled())
    paid = [payout(f"p{n}", "BPNT", of=of, by="himbara", amount=600_000) for n, of in enumerate([ANI, BUDI, CITRA])]
    await ledger.take(paid)
    assert list(await rules(ledger)) == ["over_cap p0 p1 p2"]
    await ledger.take([payout("p3", "BPNT", of=DEWI, by="himbara")])
    assert await rules(ledger) == {}
    assert await ledger.too_large() == {("household", kk(MAWAR))}
    await ledger.take([ended("p3", by="himbara")])
    assert list(await rules(ledger)) == ["over_cap p0 p1 p2"]


@pytest.mark.parametrize(
    ("regions", "shared"),
    [
        (["33.74.01.1001"] * 4, "33.74.01.1001"),
        (["33.74.01.1001", "33.74.01.1002", "33.74.01"] * 2, "33.74.01"),
        (["33.74.01", "33.75.01", "33.74.02", "33.74.01"], "33"),
        (["33.74.01", "33.74.01", "33.74.10", "33.74.11"], "33.74"),
        (["33.74", "64.72", "33.74", "33.74"], None),
    ],
)
async def test_a_group_that_is_too_large_is_told_to_those_whose_area_its_payouts_share(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, regions: list[str], shared: str | None
) -> None:
    """Whoever may see all is told in any case; else no more is told than the person may see."""
    monkeypatch.setattr(domain, "GROUP_LIMIT", 3)
    await ledger.take([payout(f"p{n}", card=MAWAR, region=region) for n, region in enumerate(regions)])
    await rules(ledger)
    for asked_by, seen in (
        ("33", shared is not None),
        ("33.74", bool(shared and shared.startswith("33.74"))),
        ("64", False),
    ):
        async with asking(ledger, asked_by) as client:
            listed = (await client.get("findings", params={"rule": "group_too_large"})).json()["items"]
            assert len(listed) == seen * 2, "the household and the person"
            assert {each["region"] for each in listed} == ({shared} if seen else set())
    async with asking(ledger) as client:
        items = (await client.get("findings", params={"rule": "group_too_large"})).json()["items"]
        assert {each["region"] for each in items} == {shared}
        for each in items:
            shown = (await client.get(f"findings/{each['finding_id']}")).json()
            assert shown["live_payouts"] == len(regions)
            assert shown["announced_at"] is not None
            assert shown["policy_version"] == "t-1"


async def test_the_area_of_a_group_that_is_too_large_follows_its_payouts(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "GROUP_LIMIT", 3)

    async def told() -> list[tuple[str, int, str | None]]:
        await ledger.judge()
        records = [orjson.loads(record.value or b"") for record in await ledger.sent(FINDINGS)]
        told = [each for each in records if each["data"].get("household") == kk(MAWAR)]
        return [(each["type"].split(".")[2], each["data"]["revision"], each["data"].get("region")) for each in told]

    await ledger.take([payout(f"p{n}", of=of, region="33.74.01") for n, of in enumerate([ANI, BUDI, CITRA, DEWI])])
    assert await told() == [("raised", 1, "33.74.01")]
    await ledger.take([payout("near", of=BUDI, region="33.74.01.1001")])
    assert len(await told()) == 1, "it lies there"
    await ledger.take([payout("far", of=BUDI, region="33.75.02")])
    assert (await told())[1:] == [("raised", 2, "33")]
    await ledger.take([ended("far")])
    assert (await told())[2:] == [("raised", 3, "33.74.01")]
    await ledger.take([payout("p0", region="64.72", revision=1)])
    assert (await told())[3:] == [("raised", 4, None)]
    await ledger.take([ended("p0", revision=2), ended("p1")])
    assert [what for what, *_ in (await told())[4:]][-1] == "cleared"
    assert await ledger.too_large() == set()


async def test_a_group_found_before_areas_were_kept_is_told_anew_with_its_own(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "GROUP_LIMIT", 3)
    await ledger.take([payout(f"p{n}", of=of, region="33.74.01") for n, of in enumerate([ANI, BUDI, CITRA, DEWI])])
    await ledger.judge()
    await ledger.database.pool.execute("update too_large set region = null, policy_version = null, announced_at = null")
    migration = (files("tepat_distribution") / "sql" / "migrations" / "0190_large_told.sql").read_text()
    await ledger.database.pool.execute(migration[migration.index("insert into mark") :])
    await ledger.judge()
    *_, last = [orjson.loads(record.value or b"")["data"] for record in await ledger.sent(FINDINGS)]
    assert (last["revision"], last["region"], last["policy_version"]) == (2, "33.74.01", "t-1")


async def test_judging_comes_first_but_not_for_longer_than_a_minute(ledger: Ledger) -> None:
    await ledger.hear(Registry().learn([lives(BUDI, MAWAR)]))
    await rules(ledger)
    await ledger.take([payout("p1")])
    await ledger.judge()
    ledger.now = NOW + timedelta(seconds=59)
    await ledger.take([payout("p2")])  # waits to be judged
    assert await ledger.find() == 0
    ledger.now = NOW + AT_LAST
    assert await ledger.find() == 1
    assert len(await ledger.findings()) == 1


async def test_findings_hold_no_number_of_anybody(ledger: Ledger) -> None:
    await ledger.follow(ruled())
    await ledger.hear(Registry().learn([lives(ANI, MAWAR, died="2020-01-01")]))
    await ledger.take([payout("p1", amount=10**9, region="64.72"), payout("p2", of=BUDI)])
    await ledger.decide([decided(kk(MAWAR), "ineligible")])
    assert len(await rules(ledger)) == 5
    for record in await ledger.sent(FINDINGS):
        assert not any(number.encode() in (record.value or b"") for number in (ANI, BUDI, MAWAR))


# --- whatever the order


areas = st.sampled_from([[], [], ["33.74"], ["33.74.01", "64"], ["33"]])
effects = st.sampled_from([{}, {}, {"from": "2026-01-01"}, {"to": "2026-02-01"}])
amounts = st.sampled_from([0, 1, 250_000])
payments = st.one_of(
    st.just({}),
    st.builds(lambda period, amount: {"period": period, "amount": amount}, st.sampled_from(get_args(Period)), amounts),
    st.builds(
        lambda period, most, paid: {"period": period, "most_components": most, "components": [
            {"code": code, "name": {"id": code, "en": code}, "criteria": "true", "amount": amount}
            for code, amount in zip(("sd", "smp"), paid, strict=True)
        ]},
        st.sampled_from(get_args(Period)), st.sampled_from([None, 1, 2]), st.tuples(amounts, amounts),
    ),
)  # fmt: skip
asked = st.builds(
    lambda unit, criteria, regions, effective, pays: {
        "unit": unit, "criteria": criteria, "regions": regions, "effective": effective, **pays
    },
    st.sampled_from(["household", "person"]), st.sampled_from([None, "true", "true"]), areas, effects, payments,
)  # fmt: skip


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """Programmes of any terms; now and then one is missing."""
    known = draw(st.sampled_from([("PKH", "BPNT", "BLT-DD", "SB")] * 5 + [("PKH", "SB")]))
    made = policy(programmes=known)
    return made | {"programmes": [each | draw(asked) for each in made["programmes"]]}


def told_more(told: Event, more: dict[str, Any]) -> Event:
    return told | {"data": told["data"] | more}


sent = st.builds(
    told_more, convergence.payouts(st.integers(0, 2)),
    st.fixed_dictionaries({}, optional={
        "tranche": st.sampled_from(["T1", "T1", "T2"]), "component": st.sampled_from(["sd", "smp", "x"])
    }),
)  # fmt: skip
members = convergence.calls(
    lives, convergence.niks, st.sampled_from([MAWAR, MAWAR, MAWAR, MELATI]),
    st.sampled_from([*["2020-01-01"] * 3, "2026-02-01"]),
    by=st.sampled_from(["dinsos", "himbara"]), died=st.sampled_from([None, None, "2025-12-31", "2026-01-01"]),
)  # fmt: skip
whom = st.sampled_from([
    *[("household", kk(card)) for card in (MAWAR, MAWAR, MELATI)], ("household", alone(ANI)), ("person", nik(ANI)),
    ("person", nik(BUDI)),
])  # fmt: skip
decisions = st.builds(
    lambda subject, decision, programme, reason, as_of: decided(
        subject[1], decision, programme, subject[0], reason=reason, as_of=as_of
    ),
    whom, st.sampled_from(["ineligible", "ineligible", "needs_verification", "eligible", "unknown"]),
    st.sampled_from(["PKH", "PKH", "BPNT", "SB"]), st.sampled_from(["x", "x", "x", "effective", "members"]),
    st.sampled_from(["2026-03-01", "2026-03-02"]),
)  # fmt: skip
steps = st.one_of(
    *[st.tuples(st.just("take"), st.lists(sent | sent | sent | convergence.ends, min_size=1, max_size=4))] * 3,
    *[st.tuples(st.just("learn"), st.lists(members | members | convergence.merges | convergence.renewals, min_size=1,
                                           max_size=2))] * 2,
    *[st.tuples(st.just("decide"), st.lists(decisions, min_size=1, max_size=6))] * 2,
    st.tuples(st.just("hear"), st.none()),
    st.tuples(st.just("undecide"), st.integers(0, 9)),
    st.tuples(st.just("judge"), st.integers(1, 2)),
    st.tuples(st.just("find"), st.integers(1, 2)),
    st.tuples(st.just("again"), st.integers(0, 3)),
    st.tuples(st.just("follow"), policies()),
)  # fmt: skip


class History:
    """Lets steps happen to a ledger, to a registry and to eligibility, whose word may come late."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.registry = ledger, Registry()
        self.decisions: dict[tuple[str, str], dict[str, Any]] = {}
        self._unheard: list[Event] = []
        self._sent: list[Event] = []
        self._revisions: Counter[tuple[str, str]] = Counter()

    async def happen(self, step: str, told: Any) -> None:
        match step:
            case "take":
                self._sent += told
                await self.ledger.take(told)
            case "again":
                await self.ledger.take(self._sent[told::4])
            case "learn":
                self._unheard += self.registry.learn(told)
            case "hear":
                heard, self._unheard = self._unheard, []
                await self.ledger.hear(heard)
            case "decide":
                await self.ledger.decide([self._numbered(each["data"]) for each in told])
            case "undecide":
                for key in list(self.decisions)[told : told + 1]:
                    del self.decisions[key]
                    await self.ledger.decide([], ["|".join(key)])
            case "judge":
                await self.ledger.judge(told)
            case "find":
                await self.ledger.find(told)
            case "follow":
                await self.ledger.follow(told)

    def _numbered(self, data: dict[str, Any]) -> Event:
        key = data["programme"], data[data["unit"]]
        self._revisions[key] += 1
        self.decisions[key] = data
        return event("x", "decision.made", data | {"revision": self._revisions[key]})

    async def check(self) -> None:
        await self.happen("hear", None)
        await self.ledger.judge()
        await self.ledger.find()
        facts = [
            oracle.Record(f"agency.{told['source'].rpartition(':')[2]}.beneficiaries.v1", 0, n, [], orjson.dumps(told))
            for n, told in enumerate(self.registry.facts)
        ]
        records = [*map(oracle_record, self.ledger.accepted), *facts]
        persons = {
            told["person"]: told for (type_, _), told in resolved(self.registry.facts).items() if "person" in type_
        }
        should = findings_oracle.expected(
            [oracle.read_event(record) for record in records], self.ledger.document, persons, self.decisions, SECRET,
            domain.GROUP_LIMIT,
        )  # fmt: skip
        assert await self.ledger.findings() == should


@pytest.mark.timeout(600)
@given(
    policies(), st.lists(members, max_size=5), st.lists(sent, min_size=6, max_size=14),
    st.lists(st.tuples(steps, st.booleans()), min_size=6, max_size=14), st.sampled_from([4, 1_000, 1_000]),
)  # fmt: skip
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_what_stands_is_what_the_oracle_finds(
    ledger: Ledger, first: dict[str, Any], known: list[Event], opening: list[Event], happening: list[Any], limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(domain, "GROUP_LIMIT", limit)
        patch.setattr(store, "PAYOUTS_OF_A_TOUCH", 3)
        patch.setattr(findings, "PAYOUTS_OF_A_TOUCH", 3)
        patch.setattr(findings, "SWEPT_AT_ONCE", 5)
        await ledger.empty()
        await ledger.follow(first)
        history = History(ledger)
        for (step, told), checked in [(("learn", known), False), (("take", opening), True), *happening]:
            await history.happen(step, told)
            if checked:
                await history.check()
        await history.check()


# --- over HTTP


@asynccontextmanager
async def asking(ledger: Ledger, *regions: str) -> AsyncIterator[httpx.AsyncClient]:
    """Distribution's answers, as they are to somebody who has every right in these regions."""
    app = http.api(
        "distribution", title="Distribution", auth=SimpleNamespace(), health=Health(), metrics=Metrics(),  # type: ignore[arg-type]
        status=dict,  # type: ignore[arg-type]
        routers=[
            findings_api.router(ledger.database, ledger.standing),
            subjects.router("distribution", ledger.database, api.held),
        ],
    )  # fmt: skip
    app.dependency_overrides[authenticated] = lambda: Person("rini", "Bu Rini", frozenset(Right), regions)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t/v1/") as client:
        yield client


async def test_findings_are_listed_shown_and_part_of_what_is_held(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "GROUP_LIMIT", 2)
    await ledger.follow(ruled())
    await ledger.hear(Registry().learn([lives(ANI, MAWAR, died="2020-01-01"), lives(BUDI, MAWAR)]))
    await ledger.take([payout("p1", "SB", region="64.72"), payout("p2", of=BUDI, amount=10**9)])
    await ledger.take([payout(f"m{n}", "BLT-DD", CITRA, MELATI, by="dpmd", revision=n) for n in range(3)])
    await rules(ledger)

    async with asking(ledger) as client:

        async def listed(**asked: Any) -> list[str]:
            items = (await client.get("findings", params=asked)).raise_for_status().json()["items"]
            return sorted(
                f"{each['rule']} {' '.join(p['payout_id'] for p in each['payouts'])}".strip() for each in items
            )

        assert await listed() == [
            "group_too_large", "group_too_large", "not_registered m0", "not_registered m1", "not_registered m2",
            "outside_area p1", "over_cap p2", "paid_to_deceased p1",
        ]  # fmt: skip
        assert await listed(rule="over_cap") == await listed(programme="PKH") == ["over_cap p2"]
        assert await listed(region="64") == await listed(person=nik(ANI)) == ["outside_area p1", "paid_to_deceased p1"]
        assert await listed(household=kk(MAWAR)) == ["outside_area p1", "over_cap p2", "paid_to_deceased p1"]
        assert len(await listed(agency="dpmd")) == 3
        assert (await client.get("findings", params={"rule": "x"})).status_code == 422
        assert (await client.get("findings", params={"programme": "x"})).status_code == 422

        seen: list[str] = []
        cursor = None
        while cursor is not None or not seen:
            page = (await client.get("findings", params={"limit": 3} | ({"cursor": cursor} if cursor else {}))).json()
            seen += [each["finding_id"] for each in page["items"]]
            cursor = page["next"]
        assert len(seen) == len(set(seen)) == 8
        for each in seen:
            assert (await client.get(f"findings/{each}")).json()["finding_id"] == each
        (found,) = (await client.get("findings", params={"rule": "over_cap"})).json()["items"]
        (shown,) = (await client.get(f"findings/{found['finding_id']}")).json()["payouts"]
        assert shown == {
            "agency": "dinsos", "payout_id": "p2", "programme": "PKH", "state": "disbursed", "amount": 10**9,
            "covers": {"from": "2026-01-01", "to": "2026-03-31"}, "region": REGION,
        }  # fmt: skip

        asked = {"persons": [nik(BUDI)], "purpose": "asked for by the person"}
        held = (await client.post("subjects/held", json=asked)).json()["held"]["findings"]
        assert [each["rule"] for each in held] == ["over_cap"], "of the household that their payout is in"
        asked["persons"] = [nik(ANI)]
        held = (await client.post("subjects/held", json=asked)).json()["held"]["findings"]
        assert sorted(each["rule"] for each in held) == ["outside_area", "over_cap", "paid_to_deceased"]

        await ledger.take([ended("p2")])
        await rules(ledger)
        assert await listed(rule="over_cap") == []
        assert await listed(rule="over_cap", live=False) == await listed(rule="over_cap", all=True) == ["over_cap p2"]

    async with asking(ledger, "64.72") as client:
        assert {each["region"] for each in (await client.get("findings")).json()["items"]} == {"64.72"}
        assert (await client.get(f"findings/{found['finding_id']}")).status_code == 404


async def test_what_stands_of_a_payout_is_looked_up_by_index(ledger: Ledger) -> None:
    async with ledger.database.pool.acquire() as connection, connection.transaction():
        await connection.execute(store.BY_KEY_NOW)
        plan = "\n".join(row[0] for row in await connection.fetch(f"explain {store.queries.stood.sql}"))
    assert "Index Scan using finding_of_payout" in plan
    assert "Seq Scan on finding" not in plan
