"""What stands decided depends on the facts, the last policy and the day alone: not on order, repetition or batches.

A plain model says what should stand; it knows no batch, no mark and no order.
"""

import hashlib
import itertools
from collections import defaultdict
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tepat_contracts import envelope
from tepat_contracts.door import canonical

from .conftest import Eligibility, lives, nik_of, person, policy, programme, renewed, visited

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PERSONS = [nik_of(serial) for serial in range(1, 5)]
CARDS = ["mawar", "melati", "kenanga"]
POOR = "household.decile <= 4"
CHILD = "household.members.exists(m, m.age < 11)"
PUPIL = 'person.school_level == "SD"'
NEEDY = "household.score_decile <= 3"


def score(weight: int) -> dict[str, Any]:
    """Ten, less each child's weight, less the least decile: nine of whole numbers begin a decile."""
    counts = ("child", "household.members.filter(m, m.age < 11).size()", weight), ("decile", "household.decile", -1)
    named = {"name": {"id": "x", "en": "x"}}
    variables = [{"code": code, **named, "value": value, "weight": weight} for code, value, weight in counts]
    return {"code": "pmt", **named, "intercept": 10, "variables": variables, "deciles": list(range(1, 10))}


def with_ngo(programmes: list[str], *ruled: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A policy with an agency that visits for any programme, and has these."""
    told = policy(*ruled, **more)
    ngo = {"id": "cc-ngo", "name": "NGO", "programmes": programmes, "trust_rank": 9}
    return {**told, "agencies": [*told["agencies"], ngo]}


POLICIES = [
    with_ngo(
        ["BABY"],
        programme("PKH", POOR),
        programme("PIP", f"{PUPIL} && {POOR}", unit="person"),
        programme("BABY", CHILD, needs_verification=True),
        programme("NEED", NEEDY),
        score=score(weight=-2),
    ),
    with_ngo(
        ["PIP"],
        programme("PKH", f"{POOR} && {CHILD}"),
        programme("PIP", PUPIL, unit="person", needs_verification=True, effective={"from": "2026-03-02"}),
        programme("BABY", None),
        programme("NEED", NEEDY),
        score=score(weight=-1),
        ranks={"dinsos": 1, "dukcapil": 2},
    ),
    with_ngo(
        [],
        programme("PKH", POOR),
        programme("PIP", None, unit="person"),
        programme("BABY", CHILD, effective={"to": "2026-03-02"}),
    ),
]
DAYS = ["2026-03-01", "2026-03-02", "2026-03-03"]

memberships = st.lists(
    st.builds(
        lambda card, agency, since, until: lives(card, agency, since, **({"until": until} if until else {})),
        st.sampled_from(CARDS), st.sampled_from(["dinsos", "dukcapil"]),
        st.sampled_from(["2020-01-01", "2026-03-02"]), st.sampled_from([None, "2026-03-01", "2026-03-02"]),
    ),
    max_size=3, unique_by=lambda m: (m["agency"], m["since"]),
).map(lambda told: [m for m in told if m.get("until", "9") >= m["since"]])  # fmt: skip
versions = st.builds(
    dict,
    memberships=memberships,
    stands_for=st.sampled_from([None, None, None, *PERSONS]),
    attributes=st.fixed_dictionaries(
        {}, optional={"decile": st.integers(3, 5), "school_level": st.sampled_from(["SD", "none"])}
    ),
    birth_date=st.sampled_from(["1990-01-01", "2015-03-02", "2015-03-03"]),
    deceased_on=st.sampled_from([None, None, "2026-01-01", "2026-03-02"]),
)
facts = st.tuples(
    st.dictionaries(st.sampled_from(PERSONS), st.lists(versions, min_size=1, max_size=3), min_size=1),
    st.dictionaries(st.sampled_from(CARDS), st.lists(st.sampled_from(CARDS), min_size=1, max_size=2)),
    st.lists(
        st.tuples(
            st.integers(1, 4), st.sampled_from(["confirmed", "rejected"]), st.sampled_from([None, "PIP", "BABY"]),
            st.sampled_from(["V-1", "V-2", "N-1"]), st.integers(0, 1), st.sampled_from(["2026-02-01", "2026-03-02"]),
            st.sampled_from(["a", "b"]),
        ),
        max_size=5,
    ),
)  # fmt: skip


def events_of(told: Any) -> list[dict[str, Any]]:
    people, cards, visits = told
    events = []
    for name, each in people.items():
        for revision, version in enumerate(each, 1):
            more = {k: v for k, v in version.items() if k not in ("memberships", "stands_for") and v is not None}
            if revision == len(each):  # as the registry does, once all is told
                more["aliases"] = [alias for alias, told in people.items() if told[-1]["stands_for"] == name != alias]
            homes = version["memberships"]
            events.append(person(name, *homes, revision=revision, stands_for=version["stands_for"], **more))
    for card, ends in cards.items():
        events += [renewed(card, end, revision=revision) for revision, end in enumerate(ends, 1)]
    for serial, outcome, code, name, revision, day, event_id in visits:
        of_ngo = name == "N-1"
        more = {"agency": "cc-ngo"} if of_ngo else {"programme": code} if code else {}
        events.append(
            visited(serial, outcome, verification_id=name, revision=revision, verified_on=day, _id=event_id, **more)
        )
    return events


def last(events: list[dict[str, Any]], kind: str, key: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        data = event["data"]
        if event["type"] != f"tepat.{kind}.resolved.v1":
            continue
        if data[key] not in found or found[data[key]]["revision"] < data["revision"]:
            found[data[key]] = data
    return found


def model(events: list[dict[str, Any]], policy: dict[str, Any], day: str) -> dict[tuple[str, str], str]:
    """The word of each decision that should stand."""
    people, cards = last(events, "person", "person"), last(events, "household", "household")
    ranks = {agency["id"]: agency["trust_rank"] for agency in policy["agencies"]}
    homes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for told in people.values():
        if told["stands_for"] == told["person"]:
            held = [m for m in told["memberships"] if m["since"] <= day <= m.get("until", "9")]
            held.sort(key=lambda m: m["since"], reverse=True)
            held.sort(key=lambda m: (ranks[m["agency"]], m["agency"]))
            home = held[0]["household"] if held else told["alone"]
            homes[cards[home]["stands_for"] if home in cards else home].append(told)
    stand = {}
    for home, living in homes.items():
        alive = [told for told in living if told.get("deceased_on", "9") > day]
        deciles = [told["attributes"]["decile"] for told in alive if "decile" in told["attributes"]]
        poor = min(deciles) <= 4 if deciles else None
        ages = [2026 - int(told["birth_date"][:4]) - (day[5:] < told["birth_date"][5:]) for told in alive]
        child = any(age < 11 for age in ages)
        needy = None
        if deciles and "score" in policy:
            weight = policy["score"]["variables"][0]["weight"]
            needy = 10 + weight * sum(age < 11 for age in ages) - min(deciles) < 3
        for each in policy["programmes"]:
            effective = each.get("effective", {})
            if "criteria" not in each or not effective.get("from", "0") <= day <= effective.get("to", "9"):
                continue
            for told in living if each["unit"] == "person" else [None] if alive else []:
                school = told["attributes"].get("school_level") if told is not None else None
                pupil = None if school is None else school == "SD"
                values = [
                    value
                    for text, value in ((POOR, poor), (CHILD, child), (PUPIL, pupil), (NEEDY, needy))
                    if text in each["criteria"]
                ]
                if (told is not None and told not in alive) or False in values:
                    word = "ineligible"
                elif None in values:
                    word = "unknown"
                elif each.get("needs_verification") and not confirmed(
                    events, [told] if told else living, each["code"], policy, day
                ):
                    word = "needs_verification"
                else:
                    word = "eligible"
                stand[each["code"], told["person"] if told is not None else home] = word
    return stand


def confirmed(
    events: list[dict[str, Any]], people: list[dict[str, Any]], code: str, policy: dict[str, Any], day: str
) -> bool:
    having = {agency["id"] for agency in policy["agencies"] if code in agency["programmes"]}
    held: dict[str, tuple[Any, Any]] = {}
    for event in events:
        if event["type"] == "tepat.verification.recorded.v1":
            data = event["data"]
            raw = canonical(envelope.write(event), [])
            order = (data["revision"], event["id"], hashlib.sha256(raw.encode()).digest())
            name = data["verification_id"]
            if name not in held or held[name][0] < order:
                held[name] = order, event
    niks = {nik for told in people for nik in (told["person"], *told["aliases"])}
    made = [
        (event["data"]["verified_on"], event["id"], event["data"]["outcome"])
        for _, event in held.values()
        if nik_of(int(event["data"]["nik"][-4:])) in niks
        and event["data"]["verified_on"] <= day
        and event["data"].get("programme", code) == code
        and ("programme" in event["data"] or event["source"].rpartition(":")[2] in having)
    ]
    # of two visits on one day with one event id either may be the last: such histories are left out below
    return bool(made) and max(made)[2] == "confirmed"


def ambiguous(told: Any) -> bool:
    """Whether two visits cannot be told apart by day and event id."""
    marks = [(day, event_id, name) for _, _, _, name, _, day, event_id in told[2]]
    return any(a[:2] == b[:2] and a[2] != b[2] for a, b in itertools.combinations(marks, 2))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data(), told=facts.filter(lambda told: not ambiguous(told)))
async def test_every_order_ends_in_what_the_model_says(eligibility: Eligibility, data: Any, told: Any) -> None:
    await eligibility.empty()
    events = events_of(told)
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=4))
    order = data.draw(st.permutations([*events, *repeated]))
    batches = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    policies = data.draw(st.permutations(POLICIES))
    await eligibility.follow({**policies[0], "version": "t-0"})
    turns = iter(policies[1:])
    place, days = 0, iter(sorted(data.draw(st.lists(st.sampled_from(DAYS), max_size=3))))
    for size in itertools.cycle(batches):
        if place >= len(order):
            break
        await eligibility.take(*order[place : place + size])
        place += size
        match data.draw(st.sampled_from(["nothing", "step", "decide", "day", "policy"])):
            case "step":
                await eligibility.step()
            case "decide":
                await eligibility.decide()
            case "day":
                if (day := next(days, None)) is not None:
                    eligibility.now = datetime.fromisoformat(f"{day}T05:00:00+00:00")
            case "policy":
                if (after := next(turns, None)) is not None:
                    await eligibility.follow({**after, "version": f"t-{place}"})
    final = data.draw(st.sampled_from(POLICIES))
    await eligibility.follow({**final, "version": "t-last"})
    day = data.draw(st.sampled_from(DAYS))
    await eligibility.on(day)
    assert await eligibility.standing_decisions() == model(events, final, day)
