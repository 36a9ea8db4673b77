"""What stands announced depends on the set of events and the last policy alone.

A plain model of overlap.md ("Person and household") says what should stand; it knows no batch and no order.
"""

import itertools
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import event as event_
from hypothesis import strategies as st

from .conftest import MIGRATIONS, Registry, alone, event, kk, merged, nik, number, policy, recorded, renewed

pytestmark = pytest.mark.integration

NIKS = [number(serial) for serial in range(1, 7)]
KKS = [number(serial) for serial in range(11, 16)]
AGENCIES = ("dinsos", "dukcapil")

when = st.sampled_from(["2026-01-01T08:00:00+07:00", "2026-01-01T01:00:00Z", "2026-01-01T01:00:00.000001Z"])
identity = st.sampled_from(["a", "B", "é", "\U0001f600"])
agencies = st.sampled_from(AGENCIES)
revisions = st.integers(0, 2)

persons = st.builds(
    lambda who, card, agency, time, id_, data: recorded(who, card, agency, _time=time, _id=id_, **data),
    st.sampled_from(NIKS), st.sampled_from(KKS), agencies, when, identity,
    st.fixed_dictionaries(
        {
            "revision": revisions,
            "since": st.sampled_from(["2020-01-01", "2021-01-01", "0001-01-01"]),
            "attributes": st.fixed_dictionaries({}, optional={
                "decile": st.integers(1, 3) | st.none(), "pregnant": st.booleans(),
                "pmt_score": st.sampled_from([1.5, 1e16]), "note": st.just("\0"),
            }),
        },
        optional={
            "until": st.sampled_from(["2020-06-30", "2022-12-31", "9999-12-31", None]),
            "deceased_on": st.sampled_from(["2025-01-01", None]),
            "relation": st.sampled_from(["head", "child"]),
            "sex": st.just("L"),
        },
    ),
)  # fmt: skip
merges = st.builds(
    lambda start, end, agency, time, id_, revision: merged(
        start, end, agency, _time=time, _id=id_, revision=revision
    ),
    st.sampled_from(NIKS), st.sampled_from([*NIKS, None]), agencies, when, identity, revisions,
)  # fmt: skip
renewals = st.builds(
    lambda start, end, agency, time, id_, revision: renewed(
        start, end, agency, _time=time, _id=id_, revision=revision
    ),
    st.sampled_from(KKS), st.sampled_from([*KKS, None]), agencies, when, identity, revisions,
)  # fmt: skip
families = st.builds(
    lambda who, start, end, agency, again: [
        recorded(nik, card, agency, since=since, **again)
        for nik in who for card, since in ((start, "2020-01-01"), (end, "2021-01-01"))
    ],
    st.sets(st.sampled_from(NIKS), min_size=2, max_size=4).map(sorted), st.sampled_from(KKS), st.sampled_from(KKS),
    agencies, st.fixed_dictionaries({"revision": revisions, "_time": when, "_id": identity}),
)  # fmt: skip
histories = st.lists(
    st.one_of(*[st.one_of(persons, merges, renewals).map(lambda told: [told])] * 4, families), max_size=24
).map(lambda parts: [told for part in parts for told in part])
ranks = st.dictionaries(agencies, st.integers(1, 2), min_size=2).map(
    lambda told: {agency: told.get(agency) for agency in AGENCIES}
)

recents = st.sets(st.sampled_from(["sex", "deceased_on", "decile", "pregnant"]))


def order(told: dict[str, Any], *more: str) -> tuple[Any, ...]:
    """Of events about the same the greatest of these holds."""
    canonical = orjson.dumps(told["data"], option=orjson.OPT_SORT_KEYS).decode()
    agency = told["source"].rpartition(":")[2]
    time = datetime.fromisoformat(told["time"])
    return told["data"]["revision"], time, told["id"], *((agency,) if more else ()), canonical


def holding(events: list[dict[str, Any]], types: set[str], *keys: str) -> list[dict[str, Any]]:
    by_key = defaultdict(list)
    for told in events:
        if told["type"] in types:
            agency = () if len(keys) == 1 else (told["source"],)
            by_key[(*agency, *(told["data"][key] for key in keys))].append(told)
    return [
        max(rivals, key=lambda told: order(told, *(["agency"] if len(keys) == 1 else []))) for rivals in by_key.values()
    ]


def follow(links: dict[str, str], start: str) -> str:
    passed = [start]
    while passed[-1] in links:
        following = links[passed[-1]]
        if following in passed:
            return min(passed[passed.index(following) :])
        passed.append(following)
    return passed[-1]


def words(mine: list[tuple[str, dict[str, Any], datetime]], recent: set[str], *fields: str) -> dict[str, Any]:
    """The value of each field that holds. ``mine``: the most trusted agency first, of one agency's the latest."""
    found = {}
    for field in fields:
        told: dict[str, tuple[datetime, Any]] = {}
        for agency, data, time in mine:
            if field != "deceased_on" or data.get(field):
                told.setdefault(agency, (time, data.get(field)))
        said = [each for each in told.values() if each[1] is not None]
        if said:
            latest = max(time for time, _ in said)
            found[field] = next(value for time, value in said if field not in recent or time == latest)
    return found


def model(events: list[dict[str, Any]], trust: dict[str, int | None], recent: set[str]) -> tuple[Any, Any, Any, Any]:
    """Persons, households and circles as they should stand announced."""
    merge_types = {"tepat.persons.merged.v1", "tepat.persons.unmerged.v1"}
    links = {
        e["data"]["from_nik"]: e["data"]["into_nik"]
        for e in holding(events, merge_types, "from_nik")
        if e["type"] == "tepat.persons.merged.v1"
    }
    cards = {
        e["data"]["from_kk"]: e["data"]["into_kk"]
        for e in holding(events, {"tepat.household.renewed.v1"}, "from_kk")
        if e["data"]["into_kk"] is not None
    }
    facts = [
        (e["source"].rpartition(":")[2], e["data"], datetime.fromisoformat(e["time"]))
        for e in holding(events, {"tepat.person.recorded.v1"}, "nik", "since")
        if (e["data"].get("until") or "9999-12-31") >= e["data"]["since"]
    ]
    facts.sort(key=lambda f: f[1]["since"], reverse=True)
    facts.sort(key=lambda f: (trust[f[0]] or 2**40, f[0]))
    named = {e["data"][k] for e in events for k in ("nik", "from_nik", "into_nik") if e["data"].get(k)}
    found = {}
    for who in named:
        end = follow(links, who)
        mine = [(agency, data, time) for agency, data, time in facts if data["nik"] == who]
        told: dict[str, Any] = {
            "person": nik(who),
            "stands_for": nik(end),
            "alone": alone(end),
            "aliases": sorted(nik(n) for n in named if n != who and follow(links, n) == who),
            "memberships": sorted(
                (
                    {"agency": agency, "household": kk(data["kk"])}
                    | {k: data[k] for k in ("since", "until", "relation", "region") if data.get(k)}
                    for agency, data, _ in mine
                ),
                key=lambda m: (m["agency"], m["since"]),
            ),
            "attributes": {},
        }
        told |= words(mine, recent, "sex", "birth_date", "region", "deceased_on")
        told["attributes"] = words(
            [(agency, data["attributes"], time) for agency, data, time in mine],
            recent,
            "decile",
            "pregnant",
            "pmt_score",
        )
        found[nik(who)] = told
    families = {e["data"][k] for e in events for k in ("from_kk", "into_kk") if e["data"].get(k)}
    households = {kk(f): {"household": kk(f), "stands_for": kk(follow(cards, f))} for f in families}
    circles = {}
    for who in links:
        circle = [who]
        while (following := links.get(circle[-1])) is not None and following not in circle:
            circle.append(following)
        if following == who and who == min(circle) and len(circle) > 1:
            circles[nik(who)] = {"pair": nik(who), "kind": "merge_circle", "persons": sorted(map(nik, circle))}
    where = {
        follow(cards, data["kk"]): set() for _, data, _ in facts
    }  # fmt: skip
    for _, data, _ in facts:
        if follow(links, data["nik"]) == data["nik"]:
            where[follow(cards, data["kk"])].add(data["nik"])

    def card_on(who: str, day: date) -> str | None:
        for _, data, _ in facts:
            if data["nik"] == who and data["since"] <= day.isoformat() <= (data.get("until") or "9999-12-31"):
                return follow(cards, data["kk"])
        return None

    def alive(who: str, day: date) -> bool:
        return (
            found[nik(who)].get("deceased_on", "9999-12-31") > day.isoformat() or "deceased_on" not in found[nik(who)]
        )

    suggested = {}
    for start, into in itertools.permutations(where, 2):
        days = {
            (who, min(d["since"] for _, d, _ in facts if d["nik"] == who and follow(cards, d["kk"]) == into))
            for who in where[into]
        }
        if len(where[into]) < 2 or len({day for _, day in days}) != 1:
            continue
        day = date.fromisoformat(days.pop()[1])
        eve = day if day == date.min else day - timedelta(days=1)
        left = {who for who in where[start] | where[into] if card_on(who, eve) == start and alive(who, eve)}
        came = {who for who in where[into] if card_on(who, day) == into}
        if left == came == where[into]:
            suggested[f"{kk(start)}+{kk(into)}"] = sorted(map(nik, came))
    return found, households, circles, suggested


@given(histories, ranks, ranks, st.tuples(recents, recents), st.data())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_any_order_any_repetition_any_split_and_any_moment_of_a_policy(
    registry: Registry,
    history: list[dict[str, Any]],
    before: dict[str, int | None],
    after: dict[str, int | None],
    resolves: tuple[set[str], set[str]],
    data: st.DataObject,
) -> None:
    again = data.draw(st.lists(st.sampled_from(history), max_size=6)) if history else []
    stream = data.draw(st.permutations(history + again))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=5)) | {0, len(stream)})
    batches = [stream[start:end] for start, end in itertools.pairwise(cuts)]
    turn = data.draw(st.integers(0, len(batches)))

    looks = data.draw(st.sets(st.integers(0, len(batches))))
    await registry.empty()
    await registry.follow(policy("t-1", resolves[0], **before))
    for index, batch in enumerate(batches):
        if index == turn:
            await registry.follow(policy("t-2", resolves[1], **after))
        await registry.take(batch)
        if index in looks:
            await registry.look()
    if turn == len(batches):
        await registry.follow(policy("t-2", resolves[1], **after))

    await registry.look()
    persons, households, circles, suggested = model(history, after, resolves[1])
    assert await registry.persons() == persons
    assert await registry.fold("registry.households.v1", "household") == households
    suspects = await registry.fold("registry.suspects.v1", "pair")
    assert {pair: told for pair, told in suspects.items() if told["kind"] == "merge_circle"} == circles
    rows = registry.database.pool.fetch("select * from suspect where kind = 'merge_circle' and state = 'raised'")
    assert {row["pair"]: orjson.loads(row["persons"]) for row in await rows} == {
        pair: told["persons"] for pair, told in circles.items()
    }
    assert {pair: told["persons"] for pair, told in suspects.items() if told["kind"] == "renewal"} == suggested
    event_(str(len(suggested)))


async def test_a_database_of_before_lists_its_circles(database: str, secrets: Path) -> None:
    made = Registry(database, secrets)
    await made.database.open(*MIGRATIONS)
    pool = made.database.pool
    await made.follow(policy())
    await made.take([merged(NIKS[0], NIKS[1]), merged(NIKS[1], NIKS[2]), merged(NIKS[2], NIKS[0])])
    stood = await pool.fetch("select pair, persons from suspect")
    await pool.execute("delete from suspect; alter table suspect drop column probability")
    await pool.execute("create table circle (least bigint)")
    await pool.execute("insert into circle select min(number) from number union select $1", int(NIKS[3]))
    await pool.execute("delete from migration where name = '0251_withheld.sql'")
    await made.database.close()
    await made.database.open(*MIGRATIONS)
    assert await made.database.pool.fetch("select pair, persons from suspect") == stood
    await made.database.close()


async def test_an_exact_repeat_announces_nothing(registry: Registry) -> None:
    history = [
        recorded(NIKS[0], KKS[0]),
        merged(NIKS[0], NIKS[1]),
        merged(NIKS[1], NIKS[0]),
        renewed(KKS[0], KKS[1]),
        event("source.complete", "lsm", {"kind": "beneficiaries", "through": date(2026, 1, 1)}),
    ]
    await registry.take(history)
    before = await registry.database.pool.fetchval("select max(id) from outbox where topic like 'registry.%'")
    await registry.take(history)
    assert before == await registry.database.pool.fetchval("select max(id) from outbox where topic like 'registry.%'")


async def test_long_chains_and_big_stars_stay_linear(registry: Registry) -> None:
    chain = [merged(number(n), number(n + 1)) for n in range(1, 4000)]
    await registry.take(chain)
    last = nik(number(4000))
    persons = await registry.persons()
    assert {told["stands_for"] for told in persons.values()} == {last}
    assert len(persons[last]["aliases"]) == 3999

    await registry.take([merged(number(4000), number(2000))])
    least = nik(number(2000))
    persons = await registry.persons()
    assert {told["stands_for"] for told in persons.values()} == {least}
    assert len((await registry.fold("registry.suspects.v1", "pair"))[least]["persons"]) == 2001

    await registry.take([merged(number(n), number(9000), revision=1) for n in range(1, 4001)])
    assert {told["stands_for"] for told in (await registry.persons()).values()} == {nik(number(9000))}
    assert await registry.fold("registry.suspects.v1", "pair") == {}


async def test_pseudonyms_stay_those_of_the_first_secret(registry: Registry) -> None:
    await registry.follow({**policy("t-2", dinsos=1), "secret_id": "seal"})
    assert registry.standing.in_force is not None
    assert registry.standing.in_force.version == "t-2"
    await registry.take([recorded(NIKS[0], KKS[0])])
    assert set(await registry.persons()) == {nik(NIKS[0])}
