"""From facts, policies and days to decisions, on a real database."""

import asyncio
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from tepat_chassis.database import Lock
from tepat_contracts import envelope
from tepat_contracts.policy import from_document
from tepat_eligibility import api, judge, recall
from tepat_eligibility.store import every, queries

from .conftest import PIP, PKH, Eligibility, g, lives, nik, nik_of, person, policy, programme, renewed, visited

pytestmark = pytest.mark.integration

POOR = {"decile": 2}


def family(household: str = "mawar", decile: int = 2) -> list[dict[str, Any]]:
    """Two parents and a pupil."""
    return [
        person("ani", lives(household), attributes={"decile": decile}),
        person("budi", lives(household), attributes={"decile": decile}),
        person("citra", lives(household), attributes={"decile": decile, "school_level": "SD"}, birth_date="2015-03-02"),
    ]


async def test_a_family_is_decided_with_each_criterions_outcome(eligibility: Eligibility) -> None:
    await eligibility.take(*family())
    await eligibility.decide()
    stand = await eligibility.fold()
    assert await eligibility.standing_decisions() == {
        ("PKH", g("mawar")): "eligible",
        ("PIP", g("ani")): "unknown",
        ("PIP", g("budi")): "unknown",
        ("PIP", g("citra")): "eligible",
    }
    assert stand["PKH", g("mawar")] == {
        "programme": "PKH", "unit": "household", "household": g("mawar"), "revision": 1, "decision": "eligible",
        "reasons": [{"criterion": "household.decile <= 4", "outcome": True}], "region": "33.74.01.1001",
        "policy_version": "t-1", "as_of": "2026-03-01",
    }  # fmt: skip
    assert stand["PIP", g("ani")]["reasons"] == [
        {"criterion": "household.decile <= 4", "outcome": True},
        {
            "criterion": 'person.school_level in ["SD", "SMP"]', "outcome": "unknown",
            "missing": ["person.school_level"],
        },
    ]  # fmt: skip


async def test_the_trace_of_what_led_to_a_decision_goes_on(eligibility: Eligibility) -> None:
    ani = person("ani", lives("mawar"), attributes=POOR)
    await eligibility.take(ani)
    await eligibility.decide()
    assert {event["traceparent"] for event in await eligibility.announced()} == {ani["traceparent"]}
    await eligibility.follow(policy(PKH, programme("NEW", "household.size == 1"), version="t-2"))
    await eligibility.decide()
    assert "traceparent" not in (await eligibility.announced())[-1]


async def test_a_trace_of_a_version_to_come_is_carried_as_far_as_it_is_known(eligibility: Eligibility) -> None:
    trace = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ani = {**person("ani", lives("mawar"), attributes=POOR), "traceparent": f"{trace}-a,b"}
    await eligibility.take(ani, person("budi", lives("melati"), attributes=POOR))
    await eligibility.decide()
    traces = {event["data"].get("household"): event["traceparent"] for event in await eligibility.announced()}
    assert traces[g("mawar")] == trace
    assert traces[g("melati")] not in (trace, None)


async def test_repeated_and_late_facts_announce_nothing(eligibility: Eligibility) -> None:
    await eligibility.take(*family())
    await eligibility.decide()
    await eligibility.take(*[{**told, "data": {**told["data"], "revision": 2}} for told in family(decile=3)])
    await eligibility.decide()
    before = await eligibility.announced()
    await eligibility.take(*family(decile=9), *family())
    await eligibility.decide()
    assert await eligibility.announced() == before


async def test_a_person_moves_and_both_households_follow(eligibility: Eligibility) -> None:
    await eligibility.take(
        person("ani", lives("mawar"), attributes=POOR),
        person("budi", lives("mawar"), attributes={"decile": 8}),
        person("citra", lives("melati"), attributes={"decile": 9}),
    )
    await eligibility.decide()
    assert (await eligibility.standing_decisions())["PKH", g("melati")] == "ineligible"
    moved = [lives("mawar", until="2026-02-28"), lives("melati", since="2026-03-01")]
    await eligibility.take(person("ani", *moved, attributes=POOR, revision=2))
    await eligibility.decide()
    stand = await eligibility.standing_decisions()
    assert (stand["PKH", g("mawar")], stand["PKH", g("melati")]) == ("ineligible", "eligible")


async def test_who_belongs_to_no_card_is_a_household_alone(eligibility: Eligibility) -> None:
    await eligibility.take(person("ani", attributes=POOR))
    await eligibility.decide()
    assert (await eligibility.standing_decisions())["PKH", g("alone ani")] == "eligible"
    await eligibility.take(person("ani", lives("mawar"), attributes=POOR, revision=2))
    await eligibility.decide()
    stand = await eligibility.standing_decisions()
    assert ("PKH", g("alone ani")) not in stand
    assert stand["PKH", g("mawar")] == "eligible"
    withdrawn = [e["data"] for e in await eligibility.announced() if e["data"].get("household") == g("alone ani")][-1]
    assert (withdrawn["revision"], withdrawn["decision"]) == (2, "ineligible")
    assert withdrawn["reasons"] == [{"criterion": "members", "outcome": False}]


async def test_the_most_trusted_agency_tells_the_household_and_another_policy_another(eligibility: Eligibility) -> None:
    ani = person("ani", lives("mawar", "dinsos"), lives("melati", "dukcapil"), attributes=POOR)
    await eligibility.take(ani)
    await eligibility.decide()
    assert ("PKH", g("melati")) in await eligibility.standing_decisions()
    await eligibility.follow(policy(version="t-2", ranks={"dinsos": 1, "dukcapil": None}))
    await eligibility.decide()
    stand = await eligibility.standing_decisions()
    assert ("PKH", g("mawar")) in stand
    assert ("PKH", g("melati")) not in stand


async def test_a_renewed_card_is_the_card_at_the_end(eligibility: Eligibility) -> None:
    await eligibility.take(
        person("ani", lives("old"), attributes=POOR), person("budi", lives("new"), attributes={"decile": 9})
    )
    await eligibility.decide()
    await eligibility.take(renewed("old", "new"))
    await eligibility.decide()
    stand = await eligibility.standing_decisions()
    assert stand["PKH", g("new")] == "eligible"
    assert ("PKH", g("old")) not in stand
    await eligibility.take(renewed("old", "newer", revision=2), renewed("old", "old", revision=1))
    await eligibility.decide()
    stand = await eligibility.standing_decisions()
    assert (stand["PKH", g("newer")], stand["PKH", g("new")]) == ("eligible", "ineligible")
    await eligibility.take(renewed("old", "old", revision=3))
    await eligibility.decide()
    assert ("PKH", g("old")) in await eligibility.standing_decisions()


async def test_merged_niks_are_one_member_and_one_subject(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(PKH, PIP, programme("LONE", "household.size == 1"), version="t-2"))
    await eligibility.take(
        person("ani", lives("mawar"), attributes=POOR), person("ani 2", lives("mawar"), attributes=POOR)
    )
    await eligibility.decide()
    assert (await eligibility.standing_decisions())["LONE", g("mawar")] == "ineligible"
    await eligibility.take(
        person("ani 2", lives("mawar"), attributes=POOR, stands_for="ani", revision=2),
        person("ani", lives("mawar"), attributes=POOR, aliases=["ani 2"], revision=2),
    )
    await eligibility.decide()
    stand = await eligibility.standing_decisions()
    assert stand["LONE", g("mawar")] == "eligible"
    assert ("PIP", g("ani 2")) not in stand
    last = [event["data"] for event in await eligibility.announced() if event["data"].get("person") == g("ani 2")][-1]
    assert last["reasons"] == [{"criterion": "stands_for", "outcome": False}]
    await eligibility.take(
        person("ani 2", lives("mawar"), attributes=POOR, revision=3),
        person("ani", lives("mawar"), attributes=POOR, revision=3),
    )
    await eligibility.decide()
    stand = await eligibility.standing_decisions()
    assert stand["LONE", g("mawar")] == "ineligible"
    assert ("PIP", g("ani 2")) in stand


async def test_the_deceased_are_no_members(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(programme("LONE", "household.size == 1"), PIP, version="t-2"))
    await eligibility.take(
        person("ani", lives("mawar")), person("budi", lives("mawar"), attributes={"school_level": "SD", "decile": 1})
    )
    await eligibility.decide()
    assert (await eligibility.standing_decisions())["LONE", g("mawar")] == "ineligible"
    await eligibility.take(
        person("budi", lives("mawar"), deceased_on="2026-02-01", attributes={"decile": 1}, revision=2)
    )
    await eligibility.decide()
    stand = await eligibility.fold()
    assert stand["LONE", g("mawar")]["decision"] == "eligible"
    assert stand["PIP", g("budi")]["reasons"] == [{"criterion": "alive", "outcome": False}]
    await eligibility.take(person("ani", lives("mawar"), deceased_on="2026-02-01", revision=2))
    await eligibility.decide()
    assert ("LONE", g("mawar")) not in await eligibility.fold()


# --- policies ---------------------------------------------------------------------------------------------------


async def test_before_a_policy_nothing_is_decided_and_then_all(eligibility: Eligibility) -> None:
    await eligibility.empty()
    await eligibility.take(*family())
    assert await eligibility.step() is False
    await eligibility.follow(policy())
    await eligibility.decide()
    assert len(await eligibility.fold()) == 4


async def test_a_policy_decides_again_only_what_it_changes(eligibility: Eligibility) -> None:
    await eligibility.take(*family(decile=4))
    await eligibility.decide()
    before = len(await eligibility.announced())
    stricter = programme("PKH", "household.decile <= 3", basis="Permensos 9/2026")
    await eligibility.follow(policy(stricter, PIP, version="t-2"))
    await eligibility.decide()
    after = (await eligibility.announced())[before:]
    assert [(e["data"]["programme"], e["data"]["decision"], e["data"]["policy_version"]) for e in after] == [
        ("PKH", "ineligible", "t-2")
    ]
    await eligibility.follow(policy(stricter, PIP, version="t-3", overlap_rules=[]))
    assert await queries.left_to_decide(eligibility.database.pool) == 0


async def test_a_sweep_goes_over_every_household(eligibility: Eligibility, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "HOUSEHOLDS_AT_ONCE", 3)
    monkeypatch.setattr(judge, "MARKS_AT_ONCE", 2)
    monkeypatch.setattr(judge, "SETTLED_IN_A_ROW", 2)
    await eligibility.take(*(person(f"p{n}", lives(f"h{n}"), attributes={"decile": n % 10 + 1}) for n in range(20)))
    await eligibility.decide()
    await eligibility.follow(policy(programme("PKH", "household.decile > 4"), PIP, version="t-2"))
    await eligibility.decide()
    stand = await eligibility.standing_decisions()
    assert (
        stand.items()
        >= {("PKH", g(f"h{n}")): "eligible" if n % 10 + 1 > 4 else "ineligible" for n in range(20)}.items()
    )


@pytest.mark.parametrize(
    "without",
    [
        [PIP],
        [programme("PKH", None), PIP],
        [{**PKH, "effective": {"to": "2026-02-28"}}, PIP],
        [{**PKH, "effective": {"from": "2026-03-02"}}, PIP],
        [{**PKH, "unit": "person"}, PIP],
    ],
)
async def test_what_a_policy_no_longer_decides_is_withdrawn(
    eligibility: Eligibility, without: list[dict[str, Any]]
) -> None:
    await eligibility.take(*family())
    await eligibility.decide()
    await eligibility.follow(policy(*without, version="t-2"))
    await eligibility.decide()
    stand = await eligibility.fold()
    assert ("PKH", g("mawar")) not in stand
    assert stand.keys() >= {("PIP", g(name)) for name in ("ani", "budi", "citra")}
    last = [event["data"] for event in await eligibility.announced() if event["data"].get("household") == g("mawar")]
    assert last[-1]["reasons"] == [{"criterion": "effective", "outcome": False}]
    await eligibility.follow(policy(version="t-3"))
    await eligibility.decide()
    assert (await eligibility.standing_decisions())["PKH", g("mawar")] == "eligible"


async def test_a_policy_comes_into_force_once_its_secret_can_be_read_and_never_changes_it(
    eligibility: Eligibility,
) -> None:
    await eligibility.follow(policy(version="t-2", secret_id="seal"))
    assert eligibility.standing.in_force is not None
    assert eligibility.standing.in_force.version == "t-2"
    assert eligibility.standing.in_force.document.secret_id == "main"
    await eligibility.empty()
    await eligibility.follow(policy(secret_id="other"))
    assert await eligibility.standing.refresh() is None


SCORE: dict[str, Any] = {
    "code": "pmt", "name": {"id": "Proksi", "en": "Proxy"}, "intercept": 10,
    "variables": [
        {"code": "size", "name": {"id": "s", "en": "s"}, "value": "household.size", "weight": -2},
        {
            "code": "farm", "name": {"id": "t", "en": "f"},
            "value": 'household.members.exists(m, m.occupation == "farm")', "weight": -0.5,
        },
    ],
    "deciles": [1, 2, 3, 4, 5, 6, 7, 8, 9],
}  # fmt: skip
BY_SCORE = programme("SCORED", "household.score_decile <= 8")


def earning(name: str, occupation: str | None, revision: int = 1, household: str = "mawar") -> dict[str, Any]:
    told = {**POOR, **({} if occupation is None else {"occupation": occupation})}
    return person(name, lives(household), attributes=told, revision=revision)


async def test_a_score_is_told_with_its_inputs_and_again_when_one_changes(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(PKH, BY_SCORE, version="t-2", score=SCORE))
    await eligibility.take(earning("ani", "shop"), earning("budi", None))
    await eligibility.decide()
    key = ("SCORED", g("mawar"))
    stand = await eligibility.fold()
    assert stand[key]["decision"] == "unknown"
    assert stand[key]["score"]["missing"] == stand[key]["reasons"][0]["missing"] == ["household.members.occupation"]
    assert "score" not in stand["PKH", g("mawar")]
    await eligibility.take(earning("budi", "farm", revision=2))
    await eligibility.decide()
    told = (await eligibility.fold())[key]
    assert (told["decision"], told["revision"], told["score"]["value"], told["score"]["decile"]) == (
        "eligible",
        2,
        5.5,
        6,
    )
    assert [each["points"] for each in told["score"]["contributions"]] == [-4.0, -0.5]
    before = len(await eligibility.announced())
    await eligibility.take(earning("ani", "farm", revision=3), earning("budi", "shop", revision=3))  # the same score
    await eligibility.decide()
    assert len(await eligibility.announced()) == before
    await eligibility.take(earning("ani", "shop", revision=4))
    await eligibility.decide()
    told = (await eligibility.fold())[key]
    assert (told["decision"], told["revision"], told["score"]["value"]) == ("eligible", 3, 6.0)


async def test_a_new_database_reads_scores_and_announces_none_again(eligibility: Eligibility) -> None:
    told = policy(PKH, BY_SCORE, version="t-2", score=SCORE)
    facts = [earning("ani", "shop"), earning("budi", "farm"), earning("citra", None, household="melati")]
    await eligibility.follow(told)
    await eligibility.take(*facts)
    await eligibility.decide()
    topic = [
        SimpleNamespace(key=event["subject"].encode(), value=envelope.write(event))
        for event in await eligibility.announced()
    ]
    await eligibility.empty()
    await recall._keep_decisions(eligibility.database, topic)
    await eligibility.follow(told)
    await eligibility.take(*facts)
    await eligibility.decide()
    assert await eligibility.announced() == []


async def test_another_score_decides_again_who_asks_for_it(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(PKH, BY_SCORE, version="t-2", score=SCORE))
    await eligibility.take(earning("ani", "shop"))
    await eligibility.decide()
    before = len(await eligibility.announced())
    await eligibility.follow(policy(PKH, BY_SCORE, version="t-3", score={**SCORE, "intercept": 11}))
    await eligibility.decide()
    after = [event["data"] for event in (await eligibility.announced())[before:]]
    assert [(each["programme"], each["decision"], each["score"]["value"]) for each in after] == [
        ("SCORED", "ineligible", 9.0)
    ]
    await eligibility.follow(policy(PKH, version="t-4"))
    await eligibility.decide()
    withdrawn = (await eligibility.announced())[-1]["data"]
    assert (withdrawn["reasons"], "score" in withdrawn) == ([{"criterion": "effective", "outcome": False}], False)


async def test_a_named_criterion_is_explained_in_what_is_announced(eligibility: Eligibility) -> None:
    poor = {"code": "poor", "name": {"id": "Miskin", "en": "Poor"}, "expression": "household.decile <= 4"}
    told = policy({**PKH, "criteria": [poor]}, version="t-2")
    await eligibility.follow(from_document(told).document())
    await eligibility.take(*family())
    await eligibility.decide()
    assert (await eligibility.fold())["PKH", g("mawar")]["reasons"] == [
        {"criterion": "household.decile <= 4", "outcome": True, "code": "poor", "name": {"id": "Miskin", "en": "Poor"}}
    ]


async def test_a_policy_that_is_no_cel_is_unknown_and_harms_nobody(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(programme("BAD", "household.decile <= && 4"), PKH, version="t-2"))
    await eligibility.take(*family())
    await eligibility.decide()
    stand = await eligibility.standing_decisions()
    assert (stand["BAD", g("mawar")], stand["PKH", g("mawar")]) == ("unknown", "eligible")


# --- days -------------------------------------------------------------------------------------------------------


async def test_the_day_turns(eligibility: Eligibility) -> None:
    await eligibility.follow(
        policy(
            programme("BABY", "household.members.exists(m, m.age < 11)"),
            programme("MARCH", "today.getMonth() == 2"),
            {**programme("LATER", "household.size > 0"), "effective": {"from": "2026-03-02", "to": "2026-03-31"}},
            version="t-2",
        )
    )
    await eligibility.take(
        *family(),
        person(
            "dewi", lives("mawar", until="2026-03-05"), lives("melati", since="2026-03-06"), birth_date="1980-01-01"
        ),
    )
    await eligibility.decide()
    mawar, melati = g("mawar"), g("melati")
    assert await eligibility.standing_decisions() == {("BABY", mawar): "eligible", ("MARCH", mawar): "eligible"}
    await eligibility.on("2026-03-02")
    assert await eligibility.standing_decisions() == {
        ("BABY", mawar): "ineligible", ("MARCH", mawar): "eligible", ("LATER", mawar): "eligible",
    }  # fmt: skip
    await eligibility.on("2026-03-06")
    stand = await eligibility.fold()
    assert stand["LATER", melati]["as_of"] == "2026-03-06"
    await eligibility.on("2026-04-01")
    assert await eligibility.standing_decisions() == {
        ("BABY", mawar): "ineligible", ("BABY", melati): "ineligible",
        ("MARCH", mawar): "ineligible", ("MARCH", melati): "ineligible",
    }  # fmt: skip
    before = await eligibility.announced()
    await eligibility.on("2026-04-02")
    assert await eligibility.announced() == before


async def test_the_day_is_that_of_the_policys_time_zone_and_may_turn_back(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(programme("D", "today.getDate() == 1"), version="t-2"))
    await eligibility.take(person("ani", lives("mawar", until="2026-03-01"), lives("melati", since="2026-03-02")))
    eligibility.now = eligibility.now.replace(hour=16)  # an hour before midnight in Jakarta, one after in Jayapura
    await eligibility.decide()
    assert await eligibility.standing_decisions() == {("D", g("mawar")): "eligible"}
    await eligibility.follow(policy(programme("D", "today.getDate() == 1"), version="t-3", time_zone="Asia/Jayapura"))
    await eligibility.decide()
    assert await eligibility.standing_decisions() == {("D", g("melati")): "ineligible"}
    await eligibility.follow(policy(programme("D", "today.getDate() == 1"), version="t-4"))
    await eligibility.decide()
    assert await eligibility.standing_decisions() == {("D", g("mawar")): "eligible"}


async def test_decisions_that_a_rebuilt_database_cannot_explain_are_withdrawn(eligibility: Eligibility) -> None:
    await eligibility.take(*family())
    await eligibility.decide()
    await eligibility.take(person("dewi", lives("melati"), attributes=POOR))
    await eligibility.decide()
    await eligibility.database.pool.execute("delete from residence where person = $1", g("dewi"))
    await queries.set_recalled(eligibility.database.pool)
    await eligibility.on("2026-03-02")
    stand = await eligibility.standing_decisions()
    assert ("PKH", g("melati")) not in stand
    assert ("PIP", g("dewi")) not in stand
    assert ("PKH", g("mawar")) in stand


# --- visits -----------------------------------------------------------------------------------------------------


async def test_a_confirmed_visit_verifies(eligibility: Eligibility) -> None:
    await eligibility.follow(policy({**PKH, "needs_verification": True}, version="t-2"))
    await eligibility.take(person(nik_of(1), lives("mawar"), attributes=POOR), person("budi", lives("mawar")))
    await eligibility.decide()
    key = ("PKH", g("mawar"))
    assert (await eligibility.standing_decisions())[key] == "needs_verification"
    visit = visited(1, _traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    await eligibility.take(visit)
    await eligibility.decide()
    assert (await eligibility.standing_decisions())[key] == "eligible"
    assert (await eligibility.announced())[-1]["traceparent"] == visit["traceparent"]
    await eligibility.take(visited(1, "rejected", revision=1))
    await eligibility.decide()
    reasons = (await eligibility.fold())[key]["reasons"]
    assert reasons[-1] == {"criterion": "verification", "outcome": False}
    await eligibility.take(visited(1, revision=0, _time="2026-02-28T08:00:00+07:00"))
    await eligibility.decide()
    assert (await eligibility.standing_decisions())[key] == "needs_verification"
    await eligibility.take(visited(2, revision=2, verification_id="V-1"))  # it was somebody else, after all
    await eligibility.decide()
    assert (await eligibility.fold())[key]["reasons"][-1]["outcome"] == "unknown"


async def test_a_visit_to_any_nik_of_a_person_counts_whichever_came_first(eligibility: Eligibility) -> None:
    await eligibility.follow(policy({**PIP, "needs_verification": True}, version="t-2"))
    pupil = {"decile": 1, "school_level": "SD"}
    await eligibility.take(visited(2))
    await eligibility.take(
        person(nik_of(1), lives("mawar"), attributes=pupil, aliases=[nik_of(2)]),
        person(nik_of(2), stands_for=nik_of(1)),
    )
    await eligibility.decide()
    assert await eligibility.standing_decisions() == {("PIP", nik_of(1)): "eligible"}
    await eligibility.take(visited(2, "rejected", verification_id="V-9", verified_on="2026-02-02"))
    await eligibility.decide()
    assert await eligibility.standing_decisions() == {("PIP", nik_of(1)): "needs_verification"}


async def test_of_events_about_a_visit_the_greatest_holds_in_any_order(eligibility: Eligibility) -> None:
    events = [
        visited(1, "confirmed", _id="a"),
        visited(1, "rejected", _id="b"),
        visited(1, "moved", _id="b", _time="2026-02-01T01:00:00Z"),
        visited(1, "deceased", _id="a", _time="2026-02-01T01:00:00.000001Z"),
        visited(1, "not_found", _id="a", _time="2026-02-01T01:00:00.000001Z"),
    ]
    held = set()
    for order in (events, events[::-1], events[2:] + events[:2]):
        await eligibility.database.pool.execute("delete from verification")
        for event in order:
            await eligibility.take(event)
        held.add(await eligibility.database.pool.fetchval("select outcome from verification"))
        await eligibility.database.pool.execute("delete from verification")
        await eligibility.take(*order)
        held.add(await eligibility.database.pool.fetchval("select outcome from verification"))
    assert len(held) == 1
    assert held <= {"deceased", "not_found"}


async def test_no_nik_nor_what_was_answered_is_kept(eligibility: Eligibility) -> None:
    await eligibility.take(visited(1, "rejected", reason=f"sama dengan {nik(1)}", officer=f"Rini {nik(1)}"))
    row = await eligibility.database.pool.fetchrow("select * from verification")
    assert row is not None
    text = orjson.dumps(dict(row), default=str).decode()
    assert nik(1) not in text
    assert "earth" not in text
    assert row["reason"] == "sama dengan 337401******0001"


async def test_decisions_are_listed_by_region_with_all_below_it(eligibility: Eligibility) -> None:
    regions = {"a": "33.74.01.1001", "b": "33.74.01", "c": "33.74.10", "d": None}
    people = [person(f"of {name}", lives(name), region=region) for name, region in regions.items() if region]
    nowhere = person("of d", lives("d"))
    del nowhere["data"]["region"]
    await eligibility.take(*people, nowhere)
    await eligibility.decide()

    async def listed(*own: str) -> set[str]:
        rows = await every(
            queries.decisions(
                eligibility.database.pool,
                after_subject=None, after_programme=None, programme="PKH", decision=None, unit=None, subjects=None,
                regions=list(own) or None, at_most=10,
            )
        )  # fmt: skip
        return {str(row["subject"]) for row in rows}

    assert await listed("33.74.01") == {g("a"), g("b")}
    assert await listed("33.75", "33.74.01.1001") == {g("a")}
    assert await listed("33") == {g("a"), g("b"), g("c")}
    assert await listed() == {g("a"), g("b"), g("c"), g("d")}


async def test_who_is_eligible_is_counted_by_programme_and_area(eligibility: Eligibility) -> None:
    people = [
        *family(), person("dewi", lives("melati"), attributes=POOR, region="33.74.02.1005"),
        person("eko", lives("kenanga"), attributes={"decile": 9}),
    ]  # fmt: skip
    await eligibility.take(*people)
    await eligibility.decide()

    async def counted(*own: str, **asked: Any) -> list[tuple[Any, ...]]:
        async with eligibility.asked(api.router(eligibility.database), regions=own) as client:
            answer = await client.get("decisions/count", params=asked)
        return [tuple(item.values()) for item in answer.json()["items"]]

    assert await counted() == [("PIP", "person", 1), ("PKH", "household", 2)]
    assert await counted("33.74.02") == [("PKH", "household", 1)]
    assert await counted(decision="ineligible") == [("PIP", "person", 1), ("PKH", "household", 1)]
    assert await counted(by="kecamatan", programme="PKH") == [
        ("PKH", "household", 1, "33.74.01"), ("PKH", "household", 1, "33.74.02"),
    ]  # fmt: skip
    assert await counted(region="33.74.01", programme="PKH") == [("PKH", "household", 1)]
    await eligibility.follow(policy(PKH, version="t-2"))
    await eligibility.decide()
    assert await counted() == [("PKH", "household", 2)]


# --- many at once -----------------------------------------------------------------------------------------------


async def test_facts_that_commit_while_it_is_decided_are_not_missed(eligibility: Eligibility) -> None:
    """Members of one household told, moved and renewed beside the duty, again and again: the end is as told."""

    async def tell(name: str) -> None:
        for revision in range(1, 31):
            home = lives("mawar" if revision % 2 else "melati")
            await eligibility.take(person(name, home, attributes={"decile": revision % 10 + 1}, revision=revision))
            await eligibility.take(renewed(f"card {name}", f"end {revision}", revision=revision))

    async def work() -> None:
        while not done.is_set():
            if not await eligibility.step():
                await asyncio.sleep(0)

    done = asyncio.Event()
    working = asyncio.create_task(work())
    await asyncio.gather(*(tell(f"p{n}") for n in range(4)))
    done.set()
    await working
    await eligibility.decide()
    stand = await eligibility.fold()
    assert {key for key in stand if key[0] == "PKH"} == {("PKH", g("melati"))}
    assert stand["PKH", g("melati")]["decision"] == "eligible"


async def test_plans_stay_linear_when_marks_fill_after_they_were_emptied(eligibility: Eligibility) -> None:
    """Statistics of an empty table must not make the next step read it once a mark."""
    pool = eligibility.database.pool
    await pool.execute("vacuum analyze mark")
    await pool.execute("vacuum analyze touched")
    async with eligibility.database.transaction(Lock.EXCLUSIVE) as connection:
        await connection.execute("insert into mark (g) select gen_random_uuid() from generate_series(1, 60000)")
    plan = "\n".join(
        row[0]
        for row in await pool.fetch(
            "explain delete from mark where id = any(array(select id from mark order by id limit 5000))"
        )
    )
    assert "Join" not in plan
    assert "Nested Loop" not in plan
    await asyncio.wait_for(eligibility.decide(), 20)
