"""A household's score against a plain reading of its formula, and what decisions say of it."""

from datetime import date
from itertools import permutations
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tepat_contracts.events.ours import Scored as Told
from tepat_contracts.policy import Policy, from_document
from tepat_contracts.policy import Score as Ruled
from tepat_eligibility.domain import Day, Decision, Programme, household_view, restated, turned
from tepat_eligibility.score import Score

DAY = Day(date(2026, 3, 1))
DECILES = [-20.0, -10.0, -4.0, 0.0, 3.5, 7.0, 12.0, 20.0, 40.0]


def variable(code: str, value: str, weight: float) -> dict[str, Any]:
    return {"code": code, "name": {"id": code, "en": code}, "value": value, "weight": weight}


# Weights are whole eighths, so that the plain sum is exact.
VARIABLES = [
    variable("size", "household.size", -2.0),
    variable("small", "household.members.filter(m, m.age < 6).size()", -2.5),
    variable("pupils", "household.members.filter(m, m.age < 18).filter(c, c.school_level == 'SD').size()", 1.25),
    variable("farm", "household.members.exists(m, m.occupation == 'farm')", -7.0),
    variable("all-work", "household.members.all(m, m.occupation != 'none')", 4.5),
    variable("decile", "household.decile * 2", 1.125),
    variable("ratio", "12 / household.elderly", 0.5),
    variable("mean", "double(household.children) / double(household.size)", 8.0),
]


def lacks(members: list[dict[str, Any]], name: str) -> bool:
    return any(name not in member for member in members)


def plainly(members: list[dict[str, Any]], chosen: list[dict[str, Any]], intercept: float) -> dict[str, Any]:
    """The score as its formula reads: values, points, total and decile, and what lacks."""
    values: dict[str, Any] = {}
    missing: set[str] = set()
    ages = None if lacks(members, "age") else [member["age"] for member in members]
    for each in chosen:
        code, value = each["code"], None
        if code == "size":
            value = len(members)
        elif code == "small":
            value = None if ages is None else sum(age < 6 for age in ages)
            missing |= {"household.members.age"} if value is None else set()
        elif code == "pupils":
            young = [m for m in members if ages is not None and m["age"] < 18]
            if ages is not None and not lacks(young, "school_level"):
                value = sum(m["school_level"] == "SD" for m in young)
            else:
                missing |= {f"household.members.{n}" for n in ("age", "school_level") if lacks(members, n)}
        elif code in ("farm", "all-work"):
            told = [member["occupation"] for member in members if "occupation" in member]
            settled = "farm" in told if code == "farm" else "none" in told
            value = None if lacks(members, "occupation") and not settled else settled is (code == "farm")
            missing |= {"household.members.occupation"} if value is None else set()
        elif code == "decile":
            deciles = [m["decile"] for m in members if "decile" in m]
            value = min(deciles) * 2 if deciles else None
            missing |= {"household.decile"} if value is None else set()
        elif code == "ratio":
            old = None if ages is None else sum(age >= 60 for age in ages)
            value = 12 // old if old else None
            if value is None:
                missing.add("household.elderly" if old is None else "score.ratio")
        elif code == "mean":
            value = None if ages is None else sum(age < 18 for age in ages) / len(members)
            missing |= {"household.children"} if value is None else set()
        if value is not None:
            values[code] = value
    points = {
        each["code"]: round(values[each["code"]] * each["weight"], 6) for each in chosen if each["code"] in values
    }
    total = None if missing else round(intercept + sum(points.values()), 6)
    decile = None if total is None else 1 + sum(total >= cut for cut in DECILES)
    return {"values": values, "points": points, "total": total, "decile": decile, "missing": sorted(missing)}


people = st.fixed_dictionaries(
    {"deceased": st.just(False)},
    optional={
        "age": st.sampled_from([3, 5, 6, 17, 18, 59, 60, 75]), "decile": st.integers(1, 10),
        "school_level": st.sampled_from(["SD", "SMP", "none"]), "occupation": st.sampled_from(["farm", "shop", "none"]),
    },
)  # fmt: skip
families = st.lists(st.lists(people, min_size=1, max_size=5), min_size=1, max_size=6)


@settings(deadline=None)  # expressions are compiled anew each time
@given(
    families, st.lists(st.sampled_from(VARIABLES), min_size=1, unique_by=lambda v: v["code"]), st.integers(-20, 20)
)  # fmt: skip
def test_a_score_is_what_its_formula_says_in_any_order_of_members(
    homes: list[list[dict[str, Any]]], chosen: list[dict[str, Any]], intercept: int
) -> None:
    ruled = {"code": "s", "name": {"id": "s", "en": "s"}, "intercept": intercept, "variables": chosen}
    score = Score(Ruled.model_validate({**ruled, "deciles": DECILES}))
    for members in homes:
        for order in (members, members[::-1], members):
            scored = score.of(household_view(order), DAY.midnight)
            told = TypeAdapter(Told).validate_json(scored.told)
            expected = plainly(members, chosen, intercept)
            assert (scored.value, scored.decile, list(scored.missing)) == (
                pytest.approx(expected["total"]), expected["decile"], expected["missing"],
            )  # fmt: skip
            assert {each["variable"]: each["value"] for each in told["contributions"]} == pytest.approx(
                expected["values"]
            )
            assert {each["variable"]: each["points"] for each in told["contributions"]} == pytest.approx(
                expected["points"]
            )
            assert told["proxy"] is True
            if scored.value is not None:
                whole = told["intercept"] + sum(each["points"] for each in told["contributions"])
                assert told["value"] == scored.value == pytest.approx(whole, abs=1e-6)
                assert told["decile"] == scored.decile
            assert orjson.dumps(orjson.loads(scored.told)).decode() == scored.told  # as a new database reads it


SCORE = {
    "code": "pmt", "name": {"id": "Proksi", "en": "Proxy"}, "intercept": 10,
    "variables": [
        variable("size", "household.size", -2),
        variable("farm", 'household.members.exists(m, m.occupation == "farm")', -5.5),
    ],
    "deciles": [1, 2, 3, 4, 5, 6, 7, 8, 9],
}  # fmt: skip


def policy(*programmes: dict[str, Any], **more: Any) -> Policy:
    full = [{"name": {"id": "P", "en": "P"}, "unit": "household", **each} for each in programmes]
    return from_document({"version": "t", "agencies": [], "programmes": full, "overlap_rules": [], **more})


def programme(criteria: str, **more: Any) -> Programme:
    ruled = policy({"code": "A", "criteria": criteria, **more}, score=SCORE)
    assert ruled.score is not None
    return Programme(ruled.programmes[0], Score(ruled.score))


def home(*members: dict[str, Any]) -> Any:
    return household_view([{"deceased": False, **member} for member in members])


def of(decision: Decision) -> Any:
    return None if decision.score is None else orjson.loads(decision.score)


def test_a_decision_by_the_score_shows_each_variables_points() -> None:
    made = programme("household.score_decile <= 2").decide(None, home({"occupation": "farm"}, {}), DAY)
    assert made.decision == "eligible"
    assert of(made) == {
        "code": "pmt", "proxy": True, "intercept": 10.0,
        "contributions": [
            {"variable": "size", "value": 2, "weight": -2.0, "points": -4.0},
            {"variable": "farm", "value": True, "weight": -5.5, "points": -5.5},
        ],
        "value": 0.5, "decile": 1,
    }  # fmt: skip


def test_what_lacks_for_the_score_makes_the_criterion_unknown_and_is_named() -> None:
    by_score = programme("household.score < 3 && household.size < 9")
    made = by_score.decide(None, home({"occupation": "shop"}, {}), DAY)
    assert made.decision == "unknown"
    assert orjson.loads(made.reasons)[0] == {
        "criterion": "household.score < 3", "outcome": "unknown", "missing": ["household.members.occupation"],
    }  # fmt: skip
    told = of(made)
    assert "value" not in told
    assert told["missing"] == ["household.members.occupation"]
    assert [each["variable"] for each in told["contributions"]] == ["size"]
    nothing = Programme(policy({"code": "A", "criteria": "household.score < 3"}).programmes[0])
    assert orjson.loads(nothing.decide(None, home({}), DAY).reasons)[0]["missing"] == ["household.score"]


def test_like_households_share_a_decision_and_equal_scores_of_other_inputs_do_not() -> None:
    by_score = programme("household.score_decile <= 4")
    one = by_score.decide(None, home({"occupation": "shop", "age": 40}), DAY)
    assert by_score.decide(None, home({"occupation": "none", "age": 3}), DAY) is one
    many = home(*[{"occupation": "shop"}] * 4)  # 2.0, decile 3
    assert of(by_score.decide(None, many, DAY))["value"] == 2.0
    other = policy(
        {"code": "A", "criteria": "household.score > 0"},
        score={**SCORE, "variables": [variable("a", "household.children", 1), variable("b", "household.elderly", 1)]},
    )
    assert other.score is not None
    sums = Programme(other.programmes[0], Score(other.score))
    child, old = ({"age": 3}, {"age": 80})
    points = [
        [each["points"] for each in of(sums.decide(None, home(who), DAY))["contributions"]] for who in (child, old)
    ]
    assert points == [[1.0, 0.0], [0.0, 1.0]]


def test_members_in_any_order_give_one_score() -> None:
    by_score = programme("household.score_decile <= 4")
    members = [{"occupation": "farm"}, {"occupation": "shop"}, {}]
    assert len({by_score.decide(None, home(*order), DAY) for order in permutations(members)}) == 1


def test_only_programmes_that_ask_for_the_score_tell_it() -> None:
    assert programme("household.size > 0").decide(None, home({}), DAY).score is None
    of_persons = programme("household.score >= 0.0", unit="person")
    assert of(of_persons.decide({"deceased": False}, home({"occupation": "farm"}), DAY))["value"] == 2.5
    assert of_persons.decide({"deceased": True}, home({"occupation": "farm"}), DAY).score is None
    paid = programme(
        "household.size > 0", period="month",
        components=[{"code": "c", "name": {"id": "c", "en": "c"}, "criteria": "household.score < 3", "amount": 5}],
    )  # fmt: skip
    made = paid.decide(None, home({"occupation": "farm"}), DAY)
    assert made.due is not None
    assert (of(made)["value"], orjson.loads(made.due)["amount"]) == (2.5, 5)
    unknown = paid.decide(None, home({}), DAY)
    assert unknown.due is not None
    assert orjson.loads(unknown.due)["missing"] == ["household.members.occupation"]


def test_numbers_without_end_are_unknown() -> None:
    for value in ("1.0 / 0.0", "household.size / 0", "1e308 * 1e10"):
        score = Score(Ruled.model_validate({**SCORE, "variables": [variable("x", value, 1e300)]}))
        assert score.of(home({}), DAY.midnight).missing == ("score.x",)


def test_another_score_restates_the_programmes_that_ask_for_it() -> None:
    a, b = {"code": "A", "criteria": "household.score_decile < 3"}, {"code": "B", "criteria": "household.size > 1"}
    old, lighter = policy(a, b, score=SCORE), {**SCORE, "intercept": 11}
    assert restated(old, policy(a, b, score=SCORE)) == []
    assert restated(old, policy(a, b, score=lighter)) == ["A"]
    assert restated(old, policy(a, b)) == ["A"]
    by_component = {
        **b,
        "components": [{"code": "c", "name": {"id": "c", "en": "c"}, "criteria": "household.score < 1", "amount": 1}],
    }
    assert restated(policy(by_component, score=SCORE), policy(by_component, score=lighter)) == ["B"]
    dated = {**SCORE, "variables": [variable("year", "today.getFullYear() - 2000", 1)]}
    ruled = policy(a, b, score=dated)
    assert ruled.score is not None
    score = Score(ruled.score)
    made = [Programme(each, score) for each in ruled.programmes]
    assert turned(made, date(2026, 3, 1), date(2026, 3, 2)) == ["A"]
    assert of(made[0].decide(None, home({}), DAY))["value"] == 36.0
    assert of(made[0].decide(None, home({}), Day(date(2027, 1, 1))))["value"] == 37.0
