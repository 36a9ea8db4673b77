"""The sample district: one seed, one result; shares as audits found them; and the oracle finds what was planted."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from datetime import date
from typing import Any

import orjson
import pytest
from tepat_contracts.door import Door, Refused
from tepat_contracts.policy import PolicyIndex, load
from tepat_contracts.topics import Kind
from tepat_demo.district import AGENCIES, POLICY, SHARE, District
from tepat_demo.oracle import Outcome, Record, expected, overlap_id
from tepat_demo.payments import GRANT, pkh_amount
from tepat_demo.population import Household, Numbers, Person, kecamatan_names, kelurahan, old_spelling, settle

SECRET = b"a secret of thirty-two bytes, no less"


@pytest.fixture(scope="module")
def district() -> District:
    return District(seed=1, households=3_000)


@pytest.fixture(scope="module")
def events(district: District) -> list[tuple[str, dict[str, Any]]]:
    """Topic and event of all that the door must take."""
    return [(topic, orjson.loads(value)) for (topic, _, value), refused in district.judged() if refused is None]


@pytest.fixture(scope="module")
def policy() -> dict[str, Any]:
    return load(POLICY.read_text()).document()


@pytest.fixture(scope="module")
def outcome(district: District, policy: dict[str, Any]) -> Outcome:
    records = [
        Record(topic, 0, offset, [], value)
        for offset, ((topic, _, value), refused) in enumerate(district.judged())
        if refused is None
    ]
    return expected(records, policy, SECRET)


# --- one seed, one result

DIGEST = """
import hashlib
from tepat_demo.district import District
digest = hashlib.sha256()
for topic, key, value in District(seed=7, households=120):
    digest.update(topic.encode() + key + value)
print(digest.hexdigest())
"""


def test_one_seed_gives_one_result_in_every_process() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("0", "1")
    }
    assert len(digests) == 1


def test_every_iteration_gives_the_same_and_another_seed_another() -> None:
    one, other = District(seed=1, households=50), District(seed=2, households=50)
    assert list(one) == list(one)
    assert len(list(one)) == len(one)
    assert list(one) != list(other)


# --- the population


def test_the_kelurahan_are_the_real_177() -> None:
    assert len(kelurahan()) == 177
    assert len(kecamatan_names()) == 16
    assert {code[:8] for code in kelurahan()} == set(kecamatan_names())


def valid_number(number: str, provinces: set[str]) -> bool:
    return len(number) == 16 and number.isdigit() and number[:2] in provinces and number[12:] != "0000"


def test_every_nik_and_kk_is_valid_and_given_once() -> None:
    homes = settle(3, 2_000, Numbers())
    people = [member for home in homes for member in home.members]
    niks, kks = [person.nik for person in people], [home.kk for home in homes]
    assert len(set(niks)) == len(niks)
    assert len(set(kks)) == len(kks)
    assert all(valid_number(number, {"33", "34"}) for number in [*niks, *kks])
    for person in people:
        born = date.fromisoformat(person.born)
        day = int(person.nik[6:8]) - (40 if person.sex == "P" else 0)
        assert (day, int(person.nik[8:10]), int(person.nik[10:12])) == (born.day, born.month, born.year % 100)


def test_families_are_lifelike() -> None:
    homes = settle(3, 2_000, Numbers())
    sizes = [len(home.members) for home in homes]
    assert 3.2 < sum(sizes) / len(sizes) < 3.9
    assert all(home.members[0].relation == "head" and home.members[0].age >= 22 for home in homes)
    assert all(child.age <= home.head.age - 19 for home in homes for child in home.members if child.relation == "child")
    assert len({home.region for home in homes}) == 177
    assert max(person.born for home in homes for person in home.members) < "2025-12-01"
    assert all(home.joined(person) >= person.born for home in homes for person in home.members)


def test_old_spelling() -> None:
    assert [old_spelling(n) for n in ("Joko", "Cahyono", "Sukarno", "Yuli")] == [
        "Djoko",
        "Tjahjono",
        "Soekarno",
        "Joeli",
    ]


def test_pkh_takes_each_person_once_and_four_of_a_family() -> None:
    def member(age: int, **attributes: Any) -> Person:
        return Person("", "", "P", "", age, "child", attributes)

    home = Household("", "", "", 1, [member(40)])
    assert pkh_amount(home) == 0
    home.members += [member(3), member(8, school_level="SD"), member(14, school_level="SMP")]
    assert pkh_amount(home) == 750_000 + 225_000 + 375_000
    home.members += [member(70, disability=True), member(17, school_level="SMA")]
    assert pkh_amount(home) == 750_000 + 600_000 + 500_000 + 375_000


# --- the year


def test_amounts_and_calendars(events: list[tuple[str, dict[str, Any]]]) -> None:
    spans: dict[str, Counter[tuple[str, str]]] = {p: Counter() for p in ("PKH", "BPNT", "BLT-DD", "PIP", "SB")}
    for _, event in events:
        if event["type"] != "tepat.payout.disbursed.v1":
            continue
        data = event["data"]
        covers, amount = data["covers"], data["benefit"]["amount"]
        spans[data["programme"]][covers["from"], covers["to"]] += 1
        months = int(covers["to"][5:7]) - int(covers["from"][5:7]) + 1
        match data["programme"]:
            case "PKH":
                assert 225_000 <= amount <= 4 * 750_000
            case "BPNT":
                assert amount == 200_000 * months
            case "BLT-DD":
                assert amount == 300_000
            case "PIP":
                assert amount in GRANT.values()
            case _:
                assert data["benefit"]["kind"] in ("food", "goods")
    assert sorted(spans["PKH"]) == [
        ("2026-01-01", "2026-03-31"),
        ("2026-04-01", "2026-06-30"),
        ("2026-07-01", "2026-09-30"),
        ("2026-10-01", "2026-12-31"),
    ]
    assert len(spans["BPNT"]) == 5
    assert len(spans["BLT-DD"]) == 12
    assert list(spans["PIP"]) == [("2026-01-01", "2026-12-31")]
    assert len(spans["SB"]) > 12  # each month, and each Friday for some


def test_size(district: District) -> None:
    tally = district.tally
    assert 3.2 < tally.persons / tally.households < 3.9
    assert 110 < tally.payout_events / tally.households * 30 < 150  # thousands in the demo's 30,000 households


def test_agencies_that_announce_plan_before_they_pay(events: list[tuple[str, dict[str, Any]]]) -> None:
    told = Counter((topic.split(".")[1], event["type"].split(".")[2]) for topic, event in events)
    for agency in AGENCIES:
        announces = agency in ("dinsos-jateng", "dpmd-semarang", "disdik-semarang")
        assert bool(told[agency, "planned"]) is announces
        assert told[agency, "disbursed"]
        assert told[agency, "complete"] >= 12


def test_events_keep_to_their_agency_and_ids_hold_no_number_of_a_person(
    events: list[tuple[str, dict[str, Any]]],
) -> None:
    ids: dict[tuple[str, str], dict[str, Any]] = {}
    for topic, event in events:
        assert event["source"] == f"urn:tepat:agency:{topic.split('.')[1]}"
        assert ids.setdefault((event["source"], event["id"]), event) == event
        assert not any(part.isdigit() and len(part) >= 15 for part in event["id"].replace("-", ":").split(":"))


# --- the errors


def close(found: int, share: float, of: int) -> bool:
    return abs(found - share * of) <= max(1.5, 0.15 * share * of)


def test_shares_of_errors(district: District) -> None:
    tally, planted = district.tally, district.tally.planted
    assert close(planted["sent twice"], 0.005, tally.payouts)
    assert close(planted["same money under two ids"], 0.003, tally.payouts)
    assert close(planted["cancelled or returned"], 0.03, tally.payouts)
    assert close(planted["late or reordered"], 0.05, tally.payout_events)
    assert close(planted["two NIKs"], 0.002, tally.persons)
    assert close(planted["invalid NIK"], 0.003, tally.persons)
    assert close(planted["deceased recipient"], 0.001, tally.recipients)
    assert close(planted["forbidden pair"], 0.01, tally.households)
    assert close(planted["moved, split or renewed"], 0.02, tally.households)
    assert planted["moved"] + planted["split"] + planted["renewed"] == planted["moved, split or renewed"]
    assert set(SHARE) - {"bad record"} <= set(planted)


def test_what_was_planted_is_in_the_events(district: District, events: list[tuple[str, dict[str, Any]]]) -> None:
    planted = district.tally.planted
    types = Counter(event["type"] for _, event in events)
    assert types["tepat.household.renewed.v1"] == planted["renewed"]
    assert types["tepat.persons.merged.v1"] == planted["two NIKs, merged"]
    assert types["tepat.payout.cancelled.v1"] + types["tepat.payout.returned.v1"] == planted["cancelled or returned"]
    seen = Counter((event["source"], event["id"]) for _, event in events)
    assert sum(1 for count in seen.values() if count == 2) == planted["sent twice"]
    deceased = {event["data"]["nik"] for _, event in events if "deceased_on" in event["data"]}
    assert len(deceased) >= planted["deceased recipient"]
    latest = ""
    behind = 0
    for topic, event in events:
        if topic.endswith("payouts.v1"):
            behind += event["time"] < latest
            latest = max(latest, event["time"])
    assert behind >= planted["late or reordered"] * 0.9


def test_every_reason_for_refusal_is_there(district: District) -> None:
    assert {reason for _, reason in district.tally.refused} == {
        "malformed",
        "schema",
        "source_mismatch",
        "unknown_type",
        "nik_invalid",
        "kk_invalid",
        "programme_unknown",
        "region_unknown",
        "covers_inverted",
        "not_permitted",
    }
    refused = Counter((topic.split(".")[1], why) for (topic, _, _), why in district.judged() if why)
    assert refused == district.tally.refused


def test_the_oracle_finds_what_was_planted_and_nothing_else_exclusive(district: District, outcome: Outcome) -> None:
    planted = {overlap_id(a, b) for pairs in district.tally.pairs.values() for a, b in pairs}
    assert {id_ for id_, o in outcome.overlaps.items() if o["verdict"] == "exclusive"} == planted
    assert all(district.tally.pairs[kind] for kind in ("forbidden pair", "two NIKs", "same money under two ids"))
    assert {overlap_id(a, b) for a, b in district.tally.apart}.isdisjoint(outcome.overlaps)
    assert outcome.too_large == set()
    reviewed = [o for o in outcome.overlaps.values() if o["verdict"] == "review"]
    assert {o["rule"] for o in reviewed} == {"pkh-bpnt"}
    assert len(reviewed) > district.tally.households / 4


def test_neighbours_are_never_an_error(outcome: Outcome) -> None:
    assert not any(p["agency"] == "semarang-berbagi" for o in outcome.overlaps.values() for p in o["payouts"])


def test_a_small_district_has_everything_too() -> None:
    tally = District(seed=5, households=300).tally
    assert all(tally.planted[kind] for kind in SHARE)
    assert len({reason for _, reason in tally.refused}) == 10


def test_the_door_refuses_what_was_planted_and_nothing_else(district: District) -> None:
    policy = PolicyIndex(load(POLICY.read_text()))
    doors = {kind.value: Door(kind) for kind in (Kind.PAYOUTS, Kind.BENEFICIARIES)}
    for (topic, _, value), should in district.judged():
        _, agency, kind, _ = topic.split(".")
        try:
            doors[kind].admit(value, [], agency, policy)
            refused = None
        except Refused as refusal:
            refused = refusal.rejection.reason.value
        assert refused == should, value[:2_000]


def test_what_seed_1_gives_changes_only_on_purpose() -> None:
    digest = hashlib.sha256()
    for topic, key, value in District(seed=1, households=60):
        digest.update(topic.encode() + key + value)
    assert digest.hexdigest() == "6aba554c2701a81b07a45e523764d5f207a5cb7d2a60d46e8637f85c29bbc3c6"
