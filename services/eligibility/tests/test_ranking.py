"""Who comes first under a quota: against a plain oracle, and 650 families for 100 packages on a real database."""

import asyncio
import hashlib
import hmac
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tepat_chassis.span import Span
from tepat_contracts.events.ours import RANKING_MADE, RankingMade, RoundClosed
from tepat_eligibility import api, rankings, recall
from tepat_eligibility.handlers import Turns
from tepat_eligibility.ranking import RankBy, Scored, ranked, why
from tepat_eligibility.rankings import RANKINGS
from tepat_eligibility.store import queries

from .conftest import NOON, Eligibility, g, lives, person, policy, programme

KEY = bytes(32)
TODAY = datetime(2026, 3, 1, tzinfo=UTC)
VILLAGE = "33.74.01.1001"
#: The elderly and orphans first, those left out last time before all of them.
TEGALSARI = "left_out * 100 + household.elderly * 10 + (household.members.exists(m, has(m.orphan) && m.orphan) ? 5 : 0)"


# --- one of many ------------------------------------------------------------------------------------------------

scores = st.one_of(st.none(), st.sampled_from([-1.5, 0.0, 1.0, 2.0, 1e9]), st.floats(-5, 5))


@given(st.lists(scores, max_size=12), st.sampled_from(["round-1", "round-2"]), st.randoms())
def test_the_order_is_that_of_a_plain_oracle(told: list[float | None], name: str, rng: random.Random) -> None:
    """The oracle compares two and two, and puts each behind all who come before it."""
    scored = [Scored(g(str(n)), 0, score, {}, []) for n, score in enumerate(told)]

    def drawn(subject: str) -> bytes:
        return hmac.new(KEY, f"{name}|{subject}".encode(), hashlib.sha256).digest()

    def before(a: Scored, b: Scored) -> bool:
        if (a.score is None) != (b.score is None):
            return b.score is None
        if a.score is not None and b.score is not None and a.score != b.score:
            return a.score > b.score
        return drawn(a.subject) < drawn(b.subject)

    shuffled = scored[:]
    rng.shuffle(shuffled)
    order = ranked(shuffled, name, KEY)
    places = {each.subject: place for place, each in enumerate(order)}
    assert len(places) == len(scored)
    for one in scored:
        assert places[one.subject] == sum(before(other, one) for other in scored if other is not one)


def test_what_it_rests_on_and_what_is_missing() -> None:
    rank_by = RankBy("household.elderly * 10 + left_out")
    assert rank_by.scored("s", None, {"members": [], "elderly": 2}, TODAY, 1) == (
        "s", 1, 21.0, {"household.elderly": 2, "left_out": 1}, [],
    )  # fmt: skip
    unknown = rank_by.scored("s", None, {"members": [{}]}, TODAY, 0)
    assert (unknown.score, unknown.missing, unknown.facts) == (
        None, ["household.elderly", "household.members.age"], {"left_out": 0},
    )  # fmt: skip
    orphan = RankBy("person.orphan ? 1 : 0")
    assert orphan.scored("s", {"orphan": True}, {"members": []}, TODAY, 0).score == 1.0
    assert orphan.scored("s", {}, {"members": []}, TODAY, 0).missing == ["person.orphan"]
    members = [{"orphan": True, "age": 9}, {"age": 40}]
    tegalsari = RankBy(TEGALSARI).scored("s", None, {"members": members, "elderly": 0}, TODAY, 2)
    assert (tegalsari.score, tegalsari.facts["household.members.orphan"]) == (205.0, [True])
    for nothing in ("1.0 / 0.0", "true", "'a'", "household.size / 0"):
        assert RankBy(nothing).scored("s", None, {"members": [], "size": 1}, TODAY, 0).score is None


@pytest.mark.parametrize(
    ("arguments", "english"),
    [
        ((101, 650, 100, 1.0, 2.0, []), "101st of 650; places: 100"),
        ((1, 1650, 1000, 1.0, 0.0, []), "1st of 1,650; places: 1,000"),
        ((112, 650, 100, 2.0, 2.0, []),
         "112th of 650; places: 100; as many points as the last one reached, and drawn by lot behind them"),
        ((13, 650, 100, 2.0, 2.0, []), "13th of 650; places: 100"),
        ((650, 650, 100, None, 2.0, ["household.elderly"]),
         "650th of 650; places: 100; ranked last, since this is not known: household.elderly"),
        ((650, 650, 100, None, 2.0, ["household.elderly", "household.members.age"]),
         "650th of 650; places: 100; ranked last, since this is not known: household.elderly, household.members.age"
         " (a birth date lacks, or lies ahead)"),
    ],
)  # fmt: skip
def test_everybody_is_told_why(arguments: Any, english: str) -> None:
    told = why(*arguments)
    assert told["en"] == english
    assert told["id"].startswith(f"urutan ke-{arguments[0]} dari {arguments[1]}")


# --- a kelurahan of 650 poor families ---------------------------------------------------------------------------

PACKAGES = programme(
    "SB", "household.decile <= 2", rank_by=TEGALSARI, quota={"packages": 100, "per": "kelurahan"}, benefit="food"
)


def families(count: int = 650) -> list[dict[str, Any]]:
    """Of every ten families two have an elderly member and one an orphan; how old the last two are nobody knows."""
    told = []
    for n in range(count):
        more: dict[str, Any] = {"birth_date": "1950-01-01" if n % 10 in (3, 4) else "1990-01-01"}
        if n % 10 == 7:
            more["attributes"] = {"orphan": True}
        event = person(f"p{n}", lives(f"h{n}"), **{"attributes": {}} | more)
        event["data"]["attributes"]["decile"] = 1
        if n >= count - 2:
            del event["data"]["birth_date"]
        told.append(event)
    return told


@asynccontextmanager
async def asked(eligibility: Eligibility, *regions: str) -> AsyncIterator[httpx.AsyncClient]:
    routes = rankings.router(eligibility.database, eligibility.standing, lambda _: KEY, lambda: NOON)
    async with eligibility.asked(routes, regions=regions) as client:
        yield client


async def make(client: httpx.AsyncClient, round_: str, status: int = 200, **more: Any) -> dict[str, Any]:
    answer = await client.post("rankings", json={"round": round_, "programme": "SB", "region": VILLAGE, **more})
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def listed(client: httpx.AsyncClient, round_: str, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = (await client.get(f"rankings/{round_}", params={"limit": 400, **params})).json()
        found += page["items"]
        if page["next"] is None:
            return found
        params["cursor"] = page["next"]


async def told(eligibility: Eligibility) -> list[dict[str, Any]]:
    """What is told of rounds, as the contract has it, in order."""
    rows = await eligibility.database.pool.fetch("select key, value from outbox where topic = $1 order by id", RANKINGS)
    events = [orjson.loads(row["value"]) for row in rows]
    for row, event in zip(rows, events, strict=True):
        TypeAdapter(RankingMade).validate_json(orjson.dumps(event["data"]))
        assert event["type"] == RANKING_MADE
        assert row["key"] == event["subject"] == f"{event['data']['round']}|{event['data']['part']}"
        assert len(row["value"]) < 256 * 1024
    return events


@pytest.mark.integration
async def test_rounds_are_told_in_parts_and_a_new_database_goes_on_from_them(
    eligibility: Eligibility, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (rankings, recall):
        monkeypatch.setattr(module, "PART", 4)
    each = programme("SB", "true", rank_by="left_out", unit="person")
    await eligibility.follow(policy(each, version="t-2"))
    await eligibility.take(*(person(f"p{n}", lives(f"h{n}")) for n in range(10)))
    await eligibility.decide()
    async with asked(eligibility) as client:
        await make(client, "r-1", places=6)
        first = await listed(client, "r-1")
        async with eligibility.asked(api.router(eligibility.database)) as anybody:
            (step,) = (await anybody.get("trace/r-1")).json()["steps"]
        assert (step["what"], step["detail"]["ranked"], step["detail"]["places"]) == ("ranking made", 10, 6)
        await eligibility.forget(erased := first[1]["subject"])
        events = await told(eligibility)
        assert [(e["data"]["part"], e["data"]["revision"], len(e["data"]["ranked"])) for e in events] == [
            (1, 1, 4), (2, 1, 4), (3, 1, 2), (1, 2, 3), (2, 2, 4), (3, 2, 2),
        ]  # fmt: skip
        assert {e["data"]["parts"] for e in events} == {3}
        left = [each for each in first if each["subject"] != erased]
        assert [e["subject"] for part in events[3:] for e in part["data"]["ranked"]] == [e["subject"] for e in left]

        await eligibility.decide()
        rows = await eligibility.database.pool.fetch("select key, value from outbox where topic = $1", RANKINGS)
        await eligibility.database.pool.execute("delete from ranked; delete from ranking; delete from outbox")
        topic: Any = [SimpleNamespace(topic=RANKINGS, key=row["key"].encode(), value=row["value"]) for row in rows]
        for _ in range(2):  # by two instances at once, say
            await recall._keep(eligibility.database, topic)
        await queries.number_on(eligibility.database.pool)
        kept = await listed(client, "r-1")
        assert [{**e, "facts": {}, "missing": []} for e in left] == kept
        made = await make(client, "r-2", places=6)
        assert made["number"] > 1
        ranked_now = await listed(client, "r-2")
        waiting = {e["subject"] for e in left if not e["reached"]}
        assert {e["subject"] for e in ranked_now[:4]} == waiting  # those left out before the database was lost
        assert [e["left_out"] for e in ranked_now] == [1] * 4 + [0] * 5


@pytest.mark.integration
async def test_who_got_nothing_is_first_the_next_time_whatever_their_place_was(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(programme("SB", "true", rank_by="left_out"), version="t-2"))
    await eligibility.take(*(person(f"p{n}", lives(f"h{n}")) for n in range(6)))
    await eligibility.decide()
    async with asked(eligibility) as client:
        await make(client, "r-1", places=3)
        subjects = [each["subject"] for each in await listed(client, "r-1")]
        turns = [{"subject": subjects[1], "had": False}, {"subject": subjects[3], "had": True}]  # one did not come
        event = {"round": "r-1", "part": 1, "parts": 1, "revision": 1, "programme": "SB", "turns": turns}
        TypeAdapter(RoundClosed).validate_python(event)
        records: Any = [SimpleNamespace(key=b"r-1|1", value=orjson.dumps({"data": event}))] * 2
        intake = Turns()
        async with eligibility.database.transaction() as connection:
            await intake.write(connection, intake.decode([Span("t", 0, 0, 2, records)], None))
        await make(client, "r-2", places=3)
        second = await listed(client, "r-2")
    assert {each["subject"] for each in second if each["reached"]} == {subjects[1], subjects[4], subjects[5]}
    assert [each["left_out"] for each in second] == [1, 1, 1, 0, 0, 0]


@pytest.mark.integration
@pytest.mark.timeout(240)
async def test_a_hundred_packages_over_650_poor_in_rounds(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(PACKAGES, version="t-2"))
    await eligibility.take(*families())
    await eligibility.decide()
    async with asked(eligibility) as client:
        made = await make(client, "2026-W10")
        assert (made["ranked"], made["reached"], made["places"], made["made_by"]) == (650, 100, 100, "rini")
        first = await listed(client, "2026-W10")
        assert [each["rank"] for each in first] == list(range(1, 651))
        assert len({each["subject"] for each in first}) == 650  # nobody twice in a round
        assert [each["reached"] for each in first] == [True] * 100 + [False] * 550
        # the 130 families with an elderly member come first (ten points), then the 65 with an orphan
        assert [each["score"] for each in first] == [10.0] * 130 + [5.0] * 65 + [0.0] * 453 + [None] * 2
        assert first[100]["why"]["en"].startswith("101st of 650; places: 100; as many points as the last one reached")
        assert first[200]["why"] == {"id": "urutan ke-201 dari 650; tempat: 100", "en": "201st of 650; places: 100"}
        assert first[0]["facts"] == {"household.elderly": 1, "household.members.orphan": [], "left_out": 0}
        assert {each["subject"] for each in first[-2:]} == {g("h648"), g("h649")}
        assert "household.elderly" in first[-1]["missing"]
        assert "household.elderly" in first[-1]["why"]["en"]
        assert "household.members.age" in first[-1]["missing"]

        again = await make(client, "2026-W10")  # the same name, the same list
        assert again == made
        assert await listed(client, "2026-W10") == first
        (event,) = await told(eligibility)  # once
        places = [
            (each["place"], each["subject"], each["reached"], each.get("score"), each["region"])
            for each in event["data"]["ranked"]
        ]
        assert places == [(e["rank"], e["subject"], e["reached"], e["score"], VILLAGE) for e in first]

        await make(client, "2026-W11")
        second = await listed(client, "2026-W11")
        reached_first = {each["subject"] for each in first if each["reached"]}
        reached_second = [each["subject"] for each in second if each["reached"]]
        assert not reached_first & {*reached_second}  # those left out come first
        assert [each["left_out"] for each in second[:548]] == [1] * 548
        assert {each["subject"] for each in second[548:648]} == reached_first
        elderly = {each["subject"] for each in first[:130]}
        assert {*reached_second} >= elderly - reached_first

        for week in range(12, 18):  # within seven rounds everybody known is reached
            await make(client, f"2026-W{week}")
        reached = Counter[str]()
        for week in range(10, 17):
            reached.update(each["subject"] for each in await listed(client, f"2026-W{week}", reached=True))
        assert {*reached} == {each["subject"] for each in first[:-2]}
        assert max(reached.values()) == 2
        assert await listed(client, "2026-W10") == first
        rounds = (await client.get("rankings", params={"limit": 3})).json()
        assert [each["round"] for each in rounds["items"]] == ["2026-W17", "2026-W16", "2026-W15"]
    acts = await eligibility.database.pool.fetch("select who, target, detail from act where act = 'ranking.make'")
    assert [(each["who"], each["target"]) for each in acts] == [("rini", f"2026-W{week}") for week in range(10, 18)]


@pytest.mark.integration
async def test_what_a_round_is_refused_for(eligibility: Eligibility) -> None:
    plain = programme("BPNT", "household.decile <= 2")
    await eligibility.follow(policy(PACKAGES, plain, programme("PKH", None), version="t-2"))
    await eligibility.take(*families(20))
    await eligibility.decide()
    async with asked(eligibility, "33.74") as client:
        assert "kelurahan" in (await make(client, "r", 409, region="33.74"))["detail"]
        assert "places" in (await make(client, "r", 409, programme="BPNT"))["detail"]
        await make(client, "r", 409, programme="PKH")
        await make(client, "r", 409, programme="NONE")
        await make(client, "r", 403, region="33.71")
        await make(client, "r", 422, places=0)
        await make(client, "r", 422, region="Semarang")
        unknown = await make(client, "r", 422, region="33.74.99", places=5)
        assert unknown["detail"].startswith("no area has the code 33.74.99: look it up")
        assert (await client.get("rankings/r")).status_code == 404
        assert (await make(client, "r", places=5, region="33.74"))["reached"] == 5
        await make(client, "r", 409, places=6, region="33.74")
        await make(client, "r", 409, places=5)
        empty = await make(client, "empty", region="33.74.02.1001")
        assert (empty["ranked"], await listed(client, "empty")) == (0, [])
        # without `rank_by` those left out the longest come first
        await make(client, "a", programme="BPNT", places=15)
        await make(client, "b", programme="BPNT", places=5)
        left_out = {each["subject"] for each in await listed(client, "a", reached=False)}
        assert {each["subject"] for each in await listed(client, "b", reached=True)} == left_out
    async with asked(eligibility, "33.71") as client:
        assert (await client.get("rankings")).json()["items"] == []
        assert (await client.get("rankings/r")).status_code == 403


@pytest.mark.integration
async def test_made_many_times_at_once_a_round_is_made_once(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(PACKAGES, version="t-2"))
    await eligibility.take(*families(150))
    await eligibility.decide()
    async with asked(eligibility) as client:
        made = await asyncio.gather(*(make(client, f"r-{n % 2}", places=50) for n in range(6)))
        assert {each["number"] for each in made} == {made[0]["number"], made[1]["number"]}
        one, other = await listed(client, "r-0", reached=True), await listed(client, "r-1", reached=True)
        assert not {each["subject"] for each in one} & {each["subject"] for each in other}
    assert await eligibility.database.pool.fetchval("select count(*) from act where act = 'ranking.make'") == 2


@pytest.mark.integration
async def test_persons_are_ranked_by_what_is_known_of_them(eligibility: Eligibility) -> None:
    yapi = programme("YAPI", "person.age < 18", "person", rank_by="(person.orphan ? 10 : 0) + (18 - person.age)")
    await eligibility.follow(policy(yapi, version="t-2"))
    await eligibility.take(
        person("a", lives("x"), birth_date="2020-01-01", attributes={"orphan": False}),
        person("b", lives("x"), birth_date="2011-01-01", attributes={"orphan": True}),
        person("c", lives("x"), birth_date="2012-01-01"),
        person("d", lives("x"), birth_date="1980-01-01", attributes={"orphan": True}),
    )
    await eligibility.decide()
    async with asked(eligibility) as client:
        await make(client, "r", programme="YAPI", places=2)
        order = await listed(client, "r")
    assert [(each["subject"], each["score"], each["missing"]) for each in order] == [
        (g("b"), 13.0, []), (g("a"), 12.0, []), (g("c"), None, ["person.orphan"]),
    ]  # fmt: skip
