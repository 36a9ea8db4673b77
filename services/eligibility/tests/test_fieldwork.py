"""Batches and their funnels, and what becomes of objections: on a real database, in any order of telling."""

import itertools
import random
from datetime import date, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tepat_eligibility import api, fieldwork
from tepat_eligibility.domain import LAPSES_AFTER, Objection, Visit, became, same_village
from tepat_eligibility.refusals import words

from .conftest import NOON, Eligibility, listed, lives, nik, nik_of, objected, person, policy, programme, visited

PKH = programme("PKH", "household.decile <= 4", needs_verification=True)


# --- batches ----------------------------------------------------------------------------------------------------


def told_of_a_batch() -> list[dict[str, Any]]:
    """Ten listed, eight of them visited and one more who was on no list; two visited twice."""
    north, south = "33.74.01.1001", "33.74.02.1001"
    events = [listed(serial, region=north if serial <= 6 else south) for serial in range(1, 11)]
    events += [visited(serial, officer="Bu Rini", region=north) for serial in (1, 2, 3)]
    events += [
        visited(4, "rejected", reason="sudah mampu", region=north),
        visited(5, "rejected", reason="sudah mampu", region=north, officer="Pak Joko"),
        visited(7, "rejected", reason="anggota keluarga ASN", region=south, officer="Pak Joko"),
        visited(8, "moved", region=south, officer="Pak Joko", verified_on="2026-02-03"),
        visited(11, "deceased", region=south, officer="Pak Joko", evidence=[{"kind": "photo", "sha256": "ab" * 32}]),
        # visited twice: what was found last counts, whichever is told first
        visited(6, "not_found", verification_id="V-6a", region=north, verified_on="2026-02-02"),
        visited(6, verification_id="V-6b", region=north, verified_on="2026-02-04"),
        visited(3, "not_found", verification_id="V-3a", region=north, verified_on="2026-01-30"),
        # another batch, and the same list told again
        visited(1, "rejected", batch="2026-03", verification_id="V-other", reason="x"),
        listed(1, batch="2026-03"),
        listed(1, region=north),
    ]
    return events


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(3))
async def test_the_funnel_of_a_batch_is_the_same_in_any_order(eligibility: Eligibility, seed: int) -> None:
    events = told_of_a_batch()
    random.Random(seed).shuffle(events)
    for event in events[:7]:
        await eligibility.take(event)
    await eligibility.take(*events[5:])
    async with eligibility.asked(fieldwork.router(eligibility.database, eligibility.standing)) as asked:
        listing = (await asked.get("verifications/batches")).json()["items"]
        funnel = (await asked.get("verifications/batches/2026-02")).json()
        assert (await asked.get("verifications/batches/none")).status_code == 404
        assert (await asked.get("verifications", params={"batch": "2026-02", "officer": "none"})).json()["items"] == []
        unknown = await asked.get("verifications", params={"batch": "none"})
        assert (unknown.status_code, unknown.json()["detail"]) == (404, words("no_batch"))
        assert (await asked.get("objections", params={"programme": "NOPE"})).status_code == 422
        visits = (await asked.get("verifications", params={"officer": "Pak Joko", "batch": "2026-02"})).json()["items"]
    assert [(each["batch"], each["listed"], each["visited"]) for each in listing] == [
        ("2026-02", 11, 9),
        ("2026-03", 1, 1),
    ]
    figures = {name: funnel[name] for name in fieldwork.FIGURES}
    assert figures == {
        "listed": 11, "visited": 9, "confirmed": 4, "rejected": 3, "moved": 1, "deceased": 1, "not_found": 0,
    }  # fmt: skip
    assert (funnel["waiting"], funnel["evidenced"]) == (2, 1)
    assert sorted(funnel["reasons"], key=lambda each: (each["outcome"], each["reason"] or "")) == [
        {"outcome": "deceased", "reason": None, "persons": 1}, {"outcome": "moved", "reason": None, "persons": 1},
        {"outcome": "rejected", "reason": "anggota keluarga ASN", "persons": 1},
        {"outcome": "rejected", "reason": "sudah mampu", "persons": 2},
    ]  # fmt: skip
    by_officer = {each["officer"]: each["visited"] for each in funnel["officers"]}
    assert by_officer == {"Bu Rini": 5, "Pak Joko": 4}
    assert {each["day"]: each["visited"] for each in funnel["days"]} == {
        "2026-02-01": 7, "2026-02-03": 1, "2026-02-04": 1,
    }  # fmt: skip
    assert {each["region"]: each["listed"] for each in funnel["regions"]} == {"33.74.01.1001": 6, "33.74.02.1001": 5}
    assert len(visits) == 4
    assert visits[0]["person"] in {nik_of(serial) for serial in (5, 7, 8, 11)}
    assert all(nik(serial)[6:12] not in orjson.dumps(visits).decode() for serial in (5, 7, 8, 11))


@pytest.mark.integration
async def test_a_reader_counts_in_their_own_regions(eligibility: Eligibility) -> None:
    await eligibility.take(*told_of_a_batch())
    async with eligibility.asked(
        fieldwork.router(eligibility.database, eligibility.standing), regions=["33.74.02"]
    ) as asked:
        funnel = (await asked.get("verifications/batches/2026-02")).json()
        assert (await asked.get("verifications/batches/2026-03")).status_code == 404
        visits = (await asked.get("verifications")).json()["items"]
        (batch,) = (await asked.get("verifications/batches")).json()["items"]
    assert (funnel["listed"], funnel["visited"], funnel["rejected"]) == (5, 3, 1)
    assert (batch["batch"], batch["listed"]) == ("2026-02", 5)
    assert {visit["region"] for visit in visits} == {"33.74.02.1001"}


@pytest.mark.integration
async def test_a_batch_of_one_agency_and_its_pages(eligibility: Eligibility) -> None:
    await eligibility.take(*(listed(serial, batch=f"B-{serial}") for serial in range(1, 6)))
    await eligibility.take(listed(1, "B-1", "dukcapil"), visited(2, batch="B-1", agency="dukcapil"))
    async with eligibility.asked(fieldwork.router(eligibility.database, eligibility.standing)) as asked:
        found, cursor = [], {}
        while True:
            page = (await asked.get("verifications/batches", params={"limit": 2, **cursor})).json()
            found += [each["batch"] for each in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        whole = (await asked.get("verifications/batches/B-1")).json()
        own = (await asked.get("verifications/batches/B-1", params={"agency": "dinsos"})).json()
    assert found == [f"B-{serial}" for serial in range(1, 6)]
    assert (whole["listed"], whole["visited"], own["listed"], own["visited"]) == (2, 1, 1, 0)


@pytest.mark.integration
async def test_visits_taken_before_batches_were_kept_are_in_none(eligibility: Eligibility) -> None:
    await eligibility.take(visited(1))
    await eligibility.database.pool.execute("update verification set batch = null, officer = null, evidence = null")
    async with eligibility.asked(fieldwork.router(eligibility.database, eligibility.standing)) as asked:
        assert (await asked.get("verifications/batches")).json()["items"] == []
        (visit,) = (await asked.get("verifications")).json()["items"]
    assert (visit["batch"], visit["evidence"]) == (None, [])


# --- nothing counts without verification ------------------------------------------------------------------------


@pytest.mark.integration
async def test_capital_is_due_once_to_the_verified_with_a_business(eligibility: Eligibility) -> None:
    capital = programme(
        "MODAL", 'household.decile == 1 && household.members.exists(m, m.occupation == "pedagang")',
        needs_verification=True, benefit="capital", amount=2_500_000, period="once",
    )  # fmt: skip
    await eligibility.follow(policy(capital, version="t-2"))
    trades = {1: "pedagang", 2: "pedagang", 3: "buruh tani", 4: "pedagang", 5: "pedagang"}
    await eligibility.take(
        *(person(nik_of(n), lives(f"h{n}"), attributes={"decile": 1, "occupation": of}) for n, of in trades.items()),
        visited(1), visited(2, "rejected", reason="sudah mampu"), visited(3),
        visited(5), visited(5, "moved", verification_id="V-5b", verified_on="2026-02-05"),
    )  # fmt: skip
    await eligibility.decide()
    decided = await eligibility.fold()
    words = {n: decided["MODAL", key]["decision"] for n in trades for key in [lives(f"h{n}")["household"]]}
    assert words == {
        1: "eligible", 2: "needs_verification", 3: "ineligible", 4: "needs_verification", 5: "needs_verification",
    }  # fmt: skip
    due = {n: decided["MODAL", lives(f"h{n}")["household"]].get("due") for n in trades}
    assert due == {1: {"amount": 2_500_000, "period": "once"}} | dict.fromkeys((2, 3, 4, 5))


@pytest.mark.integration
async def test_a_visit_counts_from_its_day_on(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(PKH, version="t-2"))
    events = [
        person(nik_of(1), lives("mawar"), attributes={"decile": 2}, aliases=[nik_of(2)]),
        person(nik_of(2), stands_for=nik_of(1)), visited(1),
        visited(2, "rejected", verification_id="V-x", verified_on="2026-03-03", reason="sudah mampu"),
        visited(9, verified_on="2026-03-03"),
    ]  # fmt: skip
    for seed in range(3):
        await eligibility.empty()
        await eligibility.follow(policy(PKH, version="t-2"))
        random.Random(seed).shuffle(events)
        for event in events:
            await eligibility.take(event)
            await eligibility.decide()
        found = {}
        for day in ("2026-03-02", "2026-03-03", "2026-03-04"):
            await eligibility.on(day)
            async with eligibility.asked(fieldwork.router(eligibility.database, eligibility.standing)) as asked:
                funnel = (await asked.get("verifications/batches/2026-02")).json()
                (batch,) = (await asked.get("verifications/batches")).json()["items"]
            assert {name: batch[name] for name in fieldwork.FIGURES} == {n: funnel[n] for n in fieldwork.FIGURES}
            decided = (await eligibility.standing_decisions())["PKH", lives("mawar")["household"]]
            found[day] = (decided, funnel["listed"], funnel["visited"], funnel["waiting"])
        assert found == {
            "2026-03-02": ("eligible", 3, 1, 2), "2026-03-03": ("needs_verification", 3, 3, 0),
            "2026-03-04": ("needs_verification", 3, 3, 0),
        }  # fmt: skip
    await eligibility.on("2026-03-01")  # another time zone: a day back
    assert (await eligibility.standing_decisions())["PKH", lives("mawar")["household"]] == "eligible"


@pytest.mark.integration
async def test_a_visit_for_any_programme_counts_for_those_its_agency_has(eligibility: Eligibility) -> None:
    both = [PKH, programme("SB", "household.decile <= 4", needs_verification=True)]

    def having(version: str, *codes: str) -> dict[str, Any]:
        told = policy(*both, version=version)
        return {**told, "agencies": [*told["agencies"], {"id": "cc-ngo", "name": "NGO", "programmes": [*codes]}]}

    await eligibility.follow(having("t-2", "SB"))
    await eligibility.take(
        person(nik_of(1), lives("mawar"), attributes={"decile": 2}),
        visited(1, agency="cc-ngo", verified_on="2026-02-21"), objected(1), objected(8),
    )  # fmt: skip
    words = []
    for number, codes in enumerate((["SB"], ["PKH", "SB"], [], ["PKH"]), 3):
        await eligibility.follow(having(f"t-{number}", *codes))
        await eligibility.decide()
        told = await eligibility.standing_decisions()
        home = lives("mawar")["household"]
        words.append((told["PKH", home], told["SB", home], (await states(eligibility))["S-1"][0]))
    assert words == [
        ("needs_verification", "eligible", "open"), ("eligible", "eligible", "upheld"),
        ("needs_verification", "needs_verification", "open"), ("eligible", "needs_verification", "upheld"),
    ]  # fmt: skip


@pytest.mark.integration
async def test_rejections_without_a_reason_are_counted(eligibility: Eligibility) -> None:
    await eligibility.take(
        visited(1, "rejected"), visited(2, "rejected", reason="  "), visited(3, "rejected", reason="sudah mampu"),
        visited(4, "moved"), visited(5),
    )  # fmt: skip
    async with eligibility.asked(fieldwork.router(eligibility.database, eligibility.standing)) as asked:
        funnel = (await asked.get("verifications/batches/2026-02")).json()
    assert (funnel["rejected"], funnel["rejected_without_reason"]) == (3, 2)
    assert {"outcome": "rejected", "reason": None, "persons": 2} in funnel["reasons"]


@pytest.mark.integration
async def test_a_batch_tells_how_many_were_forgotten(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(PKH, version="t-2", retention={"verifications": "P30D"}))
    south = "33.74.02.1001"
    await eligibility.take(
        *(listed(serial, listed_on="2026-01-31") for serial in range(1, 4)), visited(1), visited(2),
        visited(2, verification_id="V-2b"), listed(4, region=south, listed_on="2026-02-20"), visited(9, batch="other"),
    )  # fmt: skip
    await eligibility.forget(nik_of(1))
    await eligibility.forget(nik_of(1), nik_of(7))

    async def figures(regions: list[str]) -> list[tuple[str, int, int]]:
        async with eligibility.asked(
            fieldwork.router(eligibility.database, eligibility.standing), regions=regions
        ) as asked:
            told = (await asked.get("verifications/batches")).json()["items"]
            for each in told:
                funnel = (await asked.get(f"verifications/batches/{each['batch']}")).json()
                assert (funnel["listed"], funnel["forgotten"]) == (each["listed"], each["forgotten"])
        return [(each["batch"], each["listed"], each["forgotten"]) for each in told]

    await eligibility.decide()
    assert await figures([]) == [("2026-02", 3, 1), ("other", 1, 0)]
    found = []
    for day in ("2026-03-03", "2026-03-04", "2026-03-05"):
        await eligibility.on(day)
        found.append(await figures([]))
    assert found == [
        [("2026-02", 2, 2), ("other", 1, 0)],  # of the second the visit is kept a day longer than the place on the list
        [("2026-02", 1, 3), ("other", 0, 1)],
        [("2026-02", 1, 3), ("other", 0, 1)],
    ]
    assert await figures(["33.74.02"]) == [("2026-02", 1, 0)]


# --- objections -------------------------------------------------------------------------------------------------


async def states(eligibility: Eligibility) -> dict[str, tuple[str, str, int | None]]:
    async with eligibility.asked(fieldwork.router(eligibility.database, eligibility.standing)) as asked:
        told = (await asked.get("objections")).json()["items"]
        for state in ("not_filed_yet", "open", "upheld", "rejected", "lapsed", "other_village"):
            one = (await asked.get("objections", params={"state": state})).json()["items"]
            assert one == [each for each in told if each["state"] == state]
    return {each["objection_id"]: (each["state"], each["village"], each.get("days_left")) for each in told}


@pytest.mark.integration
async def test_what_becomes_of_objections(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(PKH, programme("PIP", None), version="t-2"))
    poor = {"decile": 3}
    people = [person(nik_of(n), lives(f"h{n}"), attributes=poor) for n in (1, 2, 3, 4)]
    moved_away = person(
        nik_of(5), lives("old", until="2026-02-25"), lives("new", since="2026-02-26", region="33.74.09.1002"),
        region="33.74.09.1002", attributes=poor,
    )  # fmt: skip
    elsewhere = person(nik_of(6), lives("far", region="33.74.09.1002"), region="33.74.09.1002", attributes=poor)
    await eligibility.take(
        *people, moved_away, elsewhere,
        objected(1), objected(2, grounds="wrongly_included"), objected(3), objected(4, filed_on="2026-02-27"),
        objected(5), objected(6), objected(7),
        visited(1, verified_on="2026-02-19"),  # before it was filed: settles nothing
        visited(2, "rejected", verified_on="2026-02-20", verification_id="V-2b"),
    )  # fmt: skip
    await eligibility.decide()
    assert await states(eligibility) == {
        "S-1": ("open", "same", 5), "S-2": ("upheld", "same", None), "S-3": ("open", "same", 5),
        "S-4": ("open", "same", 12), "S-5": ("open", "same", 5), "S-6": ("other_village", "other", None),
        "S-7": ("open", "unknown", 5),
    }  # fmt: skip
    decided = await eligibility.standing_decisions()
    assert decided["PKH", lives("h3")["household"]] == "needs_verification"  # an objection verifies nothing
    await eligibility.take(
        visited(3, verified_on="2026-02-28", verification_id="V-3b"),
        visited(4, "not_found", verified_on="2026-03-01", verification_id="V-4b"),
        visited(1, programme="PIP", verified_on="2026-02-28", verification_id="V-1b"),  # for another programme
    )
    await eligibility.decide()
    assert (await states(eligibility))["S-3"][0] == "upheld"
    assert (await states(eligibility))["S-4"][0] == "rejected"
    assert (await states(eligibility))["S-1"][0] == "open"
    assert (await eligibility.standing_decisions())["PKH", lives("h3")["household"]] == "eligible"
    await eligibility.on("2026-03-06")
    assert (await states(eligibility))["S-1"] == ("open", "same", 0)
    await eligibility.on("2026-03-07")
    lapsed = {name for name, (state, _, _) in (await states(eligibility)).items() if state == "lapsed"}
    assert lapsed == {"S-1", "S-5", "S-7"}
    # told late of what was seen in time, it did not lapse; seen late, it did
    await eligibility.take(
        visited(1, verified_on="2026-03-06", verification_id="V-1c"),
        visited(5, verified_on="2026-03-07", verification_id="V-5c"),
        person(nik_of(7), lives("x", region="33.74.09.1002"), region="33.74.09.1002"),
    )
    await eligibility.decide()
    after = await states(eligibility)
    assert [after[name][0] for name in ("S-1", "S-5", "S-7")] == ["upheld", "lapsed", "other_village"]


@pytest.mark.integration
async def test_an_objection_is_filed_on_its_day_and_not_before(eligibility: Eligibility) -> None:
    far = person(nik_of(2), lives("far", region="33.74.09.1002"), region="33.74.09.1002")
    await eligibility.take(
        far, objected(1, filed_on="2026-03-03"), objected(2, filed_on="2026-03-03"), objected(3, filed_on="2027-02-26"),
        visited(1, verified_on="2026-03-03"),
    )  # fmt: skip
    found = []
    for day in ("2026-03-01", "2026-03-02", "2026-03-03"):
        await eligibility.on(day)
        found.append({name: (state, left) for name, (state, _, left) in (await states(eligibility)).items()})
    early = dict.fromkeys(("S-1", "S-2", "S-3"), ("not_filed_yet", None))
    assert found == [
        early, early, {"S-1": ("upheld", None), "S-2": ("other_village", None), "S-3": ("not_filed_yet", None)},
    ]  # fmt: skip
    await eligibility.take(visited(1, verified_on="2026-03-03", revision=1, nik=nik(8)))
    await eligibility.decide()
    assert (await states(eligibility))["S-1"] == ("open", "unknown", 14)


@pytest.mark.integration
async def test_a_visit_to_another_nik_of_the_person_settles_it(eligibility: Eligibility) -> None:
    await eligibility.take(
        person(nik_of(1), lives("mawar"), aliases=[nik_of(2), nik_of(3)]), person(nik_of(2), stands_for=nik_of(1)),
        person(nik_of(3), stands_for=nik_of(1)), objected(2, objection_id="S"),
    )  # fmt: skip
    await eligibility.decide()
    assert (await states(eligibility))["S"][:2] == ("open", "same")
    await eligibility.take(visited(3, verified_on="2026-02-21"))
    await eligibility.decide()
    assert (await states(eligibility))["S"][0] == "upheld"
    async with eligibility.asked(api.router(eligibility.database)) as asked:
        steps = (await asked.get("trace/S")).json()["steps"]
    assert [step["detail"]["state"] for step in steps if step["what"] == "objection taken"] == ["upheld"]


@pytest.mark.integration
async def test_objections_end_alike_in_any_order(eligibility: Eligibility) -> None:
    events = [
        person(nik_of(1), lives("a"), attributes={"decile": 2}),
        objected(1, objection_id="S", filed_on="2026-02-10", _id="a"),
        objected(1, objection_id="S", revision=1, filed_on="2026-02-20", _id="b"),
        visited(1, verified_on="2026-02-12", verification_id="V-a"),
        visited(1, "rejected", verified_on="2026-02-22", verification_id="V-b"),
    ]
    found = set()
    for number, order in enumerate(itertools.permutations(events)):
        if number % 7:
            continue
        await eligibility.empty()
        await eligibility.follow(policy())
        for event in order:
            await eligibility.take(event)
            await eligibility.decide()
        found.add((await states(eligibility))["S"])
    assert found == {("rejected", "same", None)}


@pytest.mark.integration
async def test_neither_where_the_house_stands_nor_who_objects_is_kept(eligibility: Eligibility) -> None:
    await eligibility.take(objected(1))
    row = await eligibility.database.pool.fetchrow("select * from objection")
    assert row is not None
    text = orjson.dumps(dict(row), default=str).decode()
    assert all(word not in text for word in (nik(1), "Slamet", "0811", "110.42"))


@pytest.mark.integration
async def test_days_at_the_end_of_time_settle_and_list(eligibility: Eligibility) -> None:
    await eligibility.take(objected(1, filed_on="9999-12-31"), objected(2, filed_on="0001-01-01"))
    await eligibility.decide()
    assert {name: state for name, (state, _, _) in (await states(eligibility)).items()} == {
        "S-1": "not_filed_yet", "S-2": "lapsed",
    }  # fmt: skip


FILED = date(2026, 2, 1)
days = st.integers(-3, LAPSES_AFTER + 4).map(lambda n: FILED + timedelta(n))
visits = st.builds(
    Visit, days, st.just(NOON), st.sampled_from("abcdefgh"), st.sampled_from(["dinsos", "cc-ngo"]),
    st.sampled_from([None, "PKH", "PIP"]), st.sampled_from(["confirmed", "rejected", "moved", "deceased", "not_found"]),
)  # fmt: skip


@given(st.lists(visits, max_size=5), st.sampled_from(["wrongly_excluded", "wrongly_included"]), days, st.randoms())
def test_what_becomes_of_an_objection_depends_on_its_visits_and_the_day_alone(
    made: list[Visit], grounds: str, day: date, rng: random.Random
) -> None:
    objection = Objection("PKH", grounds, "33.74.01.1001", FILED)
    state, visit = became(objection, "same", made, ("dinsos",), day)
    again = made[:]
    rng.shuffle(again)
    assert became(objection, "same", again + again, ("dinsos",), day) == (state, visit)
    if day < FILED:
        assert (state, visit) == ("not_filed_yet", None)
        return
    within = [
        v
        for v in made
        if (v.programme == "PKH" or (v.programme is None and v.agency == "dinsos"))
        and FILED <= v.verified_on <= min(day, FILED + timedelta(14))
    ]
    if not within:
        assert state == ("lapsed" if day > FILED + timedelta(14) else "open")
        return
    last = max(within, key=lambda v: (v.verified_on, v.event_id, v.agency, v.programme or "", v.outcome))
    assert (state == "upheld") == ((last.outcome == "confirmed") == (grounds == "wrongly_excluded"))
    assert became(objection, "other", made, ("dinsos",), day) == ("other_village", None)


def test_the_village_is_that_of_the_day_it_was_filed() -> None:
    objection = Objection("PKH", "wrongly_excluded", "33.74.01.1001", FILED)
    there = {"agency": "a", "household": "h", "since": "2026-01-01", "until": "2026-02-01", "region": "33.74.01.1001"}
    then = {"agency": "a", "household": "h", "since": "2026-02-02", "region": "33.74.09.1001"}
    other = {"agency": "b", "household": "h", "since": "2020-01-01", "region": "33.74.05.1001"}
    assert same_village(objection, None, {}) == "unknown"
    assert same_village(objection, {"memberships": []}, {}) == "unknown"
    assert same_village(objection, {"memberships": [], "region": "33.74"}, {}) == "unknown"
    assert same_village(objection, {"memberships": [], "region": "33.7"}, {}) == "other"
    assert same_village(objection, {"memberships": [there, then, other]}, {"a": 1}) == "same"
    assert same_village(objection, {"memberships": [there, then, other]}, {"a": 2, "b": 1}) == "other"


@pytest.mark.integration
async def test_visits_lists_and_objections_are_kept_as_long_as_the_policy_says(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(PKH, version="t-2", retention={"verifications": "P30D"}))
    await eligibility.take(
        person(nik_of(1), lives("mawar"), attributes={"decile": 2}), listed(1, listed_on="2026-01-31"),
        visited(1, verified_on="2026-02-01"), objected(2, filed_on="2026-02-01"),
    )  # fmt: skip
    await eligibility.decide()
    for day, kept in (("2026-03-03", 1), ("2026-03-04", 0)):
        await eligibility.on(day)
        ((_, decided),) = (await eligibility.standing_decisions()).items()
        assert decided == ("eligible" if kept else "needs_verification"), day
        for table in ("verification", "objection"):
            assert await eligibility.database.pool.fetchval(f"select count(*) from {table}") == kept, (day, table)
        assert await eligibility.database.pool.fetchval("select count(*) from listed") == 0, day
