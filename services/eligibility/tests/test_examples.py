"""Invented families under the example policies: decided and paid as the decrees say."""

from datetime import UTC, date, datetime
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import orjson
import pytest
from tepat_contracts.policy import load
from tepat_eligibility.domain import Day, Decision, Programme, Visit, household_view
from tepat_eligibility.score import Score

EXAMPLES = Path(__file__).parents[3] / "contracts" / "examples"
POLICY = {each.code: each for each in load((EXAMPLES / "programmes.yaml").read_text("utf-8")).programmes}
DAY = Day(date(2026, 3, 1))
CONFIRMED = Visit(date(2026, 2, 1), datetime(2026, 2, 1, tzinfo=UTC), "v", "dinsos", None, "confirmed")


def person(age: int, sex: str = "P", region: str = "33.74.01.1001", **more: Any) -> dict[str, Any]:
    told = {"age": age, "sex": sex, "region": region, "deceased": False, "decile": 2, "school_level": "none"}
    return {**told, "orphan": False, "ppks": (), "occupation": "buruh", **more}


def decided(code: str, *members: dict[str, Any], day: Day = DAY, visited: bool = False) -> Decision:
    """What a programme decides of the family, or of its first member."""
    programme = Programme(POLICY[code], agencies=(CONFIRMED.agency,))
    assert programme.effective.holds(day.date)
    one = members[0] if programme.unit == "person" else None
    return programme.decide(one, household_view(list(members)), day, [CONFIRMED] if visited else [])


def due(made: Decision) -> Any:
    return None if made.due is None else orjson.loads(made.due)


def met(made: Decision) -> dict[str, object]:
    return {reason["code"]: reason["outcome"] for reason in orjson.loads(made.reasons) if "code" in reason}


#: A member for whom each component is due, and its rupiah a quarter.
COMPONENTS = {
    "hamil": (person(30, pregnant=True), 750_000),
    "anak-usia-dini": (person(3), 750_000),
    "sd": (person(9, school_level="SD"), 225_000),
    "smp": (person(14, school_level="SMP"), 375_000),
    "sma": (person(17, school_level="SMA"), 500_000),
    "disabilitas": (person(40, disability=True), 600_000),
    "lansia": (person(65), 600_000),
    "pelanggaran-ham": (person(50, rights_violation=True), 2_700_000),
}


@pytest.mark.parametrize("code", COMPONENTS)
def test_each_of_pkhs_eight_components_is_due(code: str) -> None:
    member, amount = COMPONENTS[code]
    made = decided("PKH", member, person(35))
    assert made.decision == "eligible"
    assert due(made) == {
        "amount": amount, "period": "quarter", "components": [{"component": code, "persons": 1, "each": amount}],
    }  # fmt: skip


def test_of_every_family_the_four_highest_components_are_due() -> None:
    for size in (2, 4, 5, 6):
        for codes in list(combinations_with_replacement(COMPONENTS, size))[::7]:
            made = due(decided("PKH", *(COMPONENTS[code][0] for code in codes)))
            assert made["amount"] == sum(sorted((COMPONENTS[code][1] for code in codes), reverse=True)[:4])
            assert sum(each["persons"] for each in made["components"]) == min(size, 4)


def test_a_person_counts_once_at_the_highest() -> None:
    pupil_with_child = person(17, school_level="SMA", pregnant=True, disability=True)
    assert due(decided("PKH", pupil_with_child))["amount"] == 750_000
    old_and_disabled = person(72, disability=True)
    assert due(decided("PKH", old_and_disabled, person(6, school_level="SD")))["amount"] == 600_000 + 750_000


def test_who_is_elderly_is_a_matter_of_the_year() -> None:
    for year, youngest in ((2019, 60), (2020, 70), (2021, 70), (2022, 60), (2026, 60)):
        day = Day(date(year, 6, 1))
        made = [decided("PKH", person(age), day=day) for age in (youngest, youngest - 1)]
        assert [each.decision for each in made] == ["eligible", "ineligible"], year
        assert due(made[0])["components"] == [{"component": "lansia", "persons": 1, "each": 600_000}]


def test_pkh_asks_for_the_decile_and_for_a_component() -> None:
    assert met(decided("PKH", person(35))) == {"desil": True, "komponen": False}
    assert met(decided("PKH", person(3, decile=5))) == {"desil": False, "komponen": True}
    nobody_says = {name: value for name, value in person(35).items() if name != "school_level"}
    assert met(decided("PKH", nobody_says)) == {"desil": True, "komponen": False}, "at 35 nobody is a pupil"
    unknown = {name: value for name, value in person(3).items() if name != "decile"}
    made = decided("PKH", unknown)
    assert (made.decision, orjson.loads(made.reasons)[0]["missing"]) == ("unknown", ["household.decile"])


PASURUAN = "35.75.01.1001"
DESA = "33.20.01.2001"


@pytest.mark.parametrize(
    ("code", "members", "decision", "amount"),
    [
        ("BPNT", [person(40, decile=5)], "eligible", (200_000, "month")),
        ("BPNT", [person(40, decile=6)], "ineligible", None),
        ("PIP", [person(8, school_level="SD")], "eligible", (450_000, "year")),
        ("PIP", [person(13, school_level="SMP")], "eligible", (750_000, "year")),
        ("PIP", [person(17, school_level="SMA")], "eligible", (1_800_000, "year")),
        ("PIP", [person(22, school_level="SMA")], "ineligible", None),
        ("PIP", [person(8, school_level="SD", decile=6)], "ineligible", None),
        ("PBI-JK", [person(40)], "eligible", (42_000, "month")),
        ("BLT-DD", [person(40, decile=1, region=DESA)], "eligible", (300_000, "month")),
        ("BLT-DD", [person(40, decile=1)], "ineligible", None),
        ("BLT-DD", [person(40, decile=2, region=DESA)], "ineligible", None),
        ("YAPI", [person(17, orphan=True), person(60)], "eligible", (200_000, "month")),
        ("YAPI", [person(18, orphan=True), person(60)], "ineligible", None),
        ("PERMAKANAN", [person(75)], "eligible", (30_000, "day")),
        ("PERMAKANAN", [person(75), person(40)], "ineligible", None),
        ("PERMAKANAN", [person(30, disability=True), person(40)], "eligible", (30_000, "day")),
        ("PANGAN-PASURUAN", [person(40, decile=1, region=PASURUAN)], "eligible", (200_000, "month")),
        ("PANGAN-PASURUAN", [person(40, decile=1)], "ineligible", None),
        (
            "MODAL-PASURUAN",
            [person(40, decile=1, region=PASURUAN, occupation="pedagang"), person(3, region=PASURUAN)],
            "eligible",
            (2_500_000, "once"),
        ),
        ("MODAL-PASURUAN", [person(40, decile=1, region=PASURUAN)], "ineligible", None),
        ("SB", [person(40, decile=9)], "eligible", None),
        ("SB", [person(40, region=PASURUAN)], "ineligible", None),
    ],
)
def test_families_are_decided_as_the_decrees_say(
    code: str, members: list[dict[str, Any]], decision: str, amount: tuple[int, str] | None
) -> None:
    made = decided(code, *members, visited=True)
    told = due(made)
    assert made.decision == decision
    assert (None if told is None else (told["amount"], told["period"])) == amount
    if POLICY[code].needs_verification and decision == "eligible":
        unseen = decided(code, *members)
        assert (unseen.decision, unseen.due) == ("needs_verification", None)


def test_what_was_for_a_time_decides_in_it() -> None:
    made = decided("BLT-KESRA", person(40, decile=4), day=Day(date(2025, 11, 1)))
    assert (made.decision, due(made)) == ("eligible", {"amount": 900_000, "period": "once"})
    assert not POLICY["BLT-KESRA"].effective.holds(date(2026, 1, 1))
    then = Day(date(2021, 6, 1))
    made = decided("KJS", person(70, ppks=("fakir_miskin",)), day=then)
    assert (made.decision, due(made)) == ("eligible", {"amount": 750_000, "period": "quarter"})
    elsewhere = person(70, ppks=("fakir_miskin",), region=PASURUAN)
    assert met(decided("KJS", elsewhere, day=then)) == {"fakir-miskin": True, "jateng": False}


def test_the_example_of_a_score_puts_families_in_its_deciles() -> None:
    policy = load((EXAMPLES / "proxy-means.yaml").read_text("utf-8"))
    assert policy.score is not None
    programme = Programme(policy.programmes[0], Score(policy.score))
    poor = [person(40, "L", occupation="buruh tani"), person(38), person(3), person(5)]
    made = programme.decide(None, household_view(poor), DAY)
    told = orjson.loads(made.score or "")
    assert (made.decision, told["value"], told["decile"], told["proxy"]) == ("eligible", 34.0, 3, True)
    assert {each["variable"]: each["points"] for each in told["contributions"]} == {
        "jumlah": -12.0, "balita": -5.0, "lansia": 0.0, "buruh-tani": -9.0, "pegawai": 0.0, "disabilitas": 0.0,
    }  # fmt: skip
    well_off = [person(40, "L", occupation="PNS"), person(38)]
    made = programme.decide(None, household_view(well_off), DAY)
    assert (made.decision, orjson.loads(made.score or "")["decile"]) == ("ineligible", 10)
