"""Whom the registry suspects to be one person depends on what is known, and not on the order in which it came."""

import itertools
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import event as event_
from hypothesis import strategies as st
from tepat_registry import duplicates, suspects
from tepat_registry.handlers import store_of
from tepat_registry.linkage.compare import FIELDS, Traits, blocks, levels
from tepat_registry.linkage.model import model, probability
from tepat_registry.store import queries

from .conftest import NOW, Registry, merged, nik, number, policy, recorded

pytestmark = pytest.mark.integration

AGENCIES = ("dinsos", "dukcapil")
KKS = ["3374010101150001", "3374010101150002"]
NIKS = ["3374011705800001", "3374017105800001", "3374011705800501", "3371031705800002", "3374011805800001",
        "3320015705800001"]  # fmt: skip
CROWD = 2
"""Few enough for keys to grow beyond it, and to shrink again."""

when = st.sampled_from(["2026-01-01T08:00:00+07:00", "2026-01-01T01:00:00Z", "2026-01-01T01:00:00.000001Z"])
facts = st.builds(
    lambda who, card, agency, time, data: recorded(who, card, agency, _time=time, **data),
    st.sampled_from(NIKS), st.sampled_from(KKS), st.sampled_from(AGENCIES), when,
    st.fixed_dictionaries({
        "revision": st.integers(0, 2), "sex": st.sampled_from("LLP"),
        "name": st.sampled_from([
            "Djoko Soesilo", "H. Joko Susilo", "Joko Susilo", "Susilo", "Dewi Lestari", "Susilo 2", "-",
        ]),
        "birth_date": st.sampled_from(["1980-05-17", "1980-05-17", "1980-05-18", "1980-01-01"]),
        "region": st.sampled_from(["33.74.01.1001", "33.74.01.1002", "64.72.01.1001"]),
        "since": st.sampled_from(["2020-01-01", "2021-01-01"]),
    }, optional={"until": st.sampled_from(["2019-12-31", None]), "attributes": st.just({"decile": 1})}),
)  # fmt: skip
merges = st.builds(
    lambda start, end, agency, revision: merged(start, end, agency, revision=revision),
    st.sampled_from(NIKS), st.sampled_from([*NIKS, None]), st.sampled_from(AGENCIES), st.integers(0, 2),
)  # fmt: skip
histories = st.lists(st.one_of(facts, facts, facts, merges), min_size=2, max_size=20)
ranks = st.fixed_dictionaries(dict.fromkeys(AGENCIES, st.integers(1, 2)))


@pytest_asyncio.fixture
async def crowded(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Registry]:
    monkeypatch.setattr(duplicates, "CROWD", CROWD)
    monkeypatch.setattr(suspects, "MOST", 1)
    yield registry


async def suspected(registry: Registry) -> dict[str, Any]:
    """What stands announced of possible duplicates."""
    told = await registry.fold("registry.suspects.v1", "pair")
    return {pair: each for pair, each in told.items() if each["kind"] == "duplicate"}


async def by_brute_force(registry: Registry, recent: set[str]) -> dict[str, Any]:
    """Everyone compared with everyone, out of the facts and links that hold."""
    assert registry.standing.in_force is not None
    async with registry.database.pool.acquire() as connection:
        store = store_of(connection, registry.standing.in_force.document, NOW)
        rows = await connection.fetch("select number from number where kind = 0 and stands_for = number")
        known = {who: duplicates.traits(who, held, recent)
                 for who, held in (await store.facts([row["number"] for row in rows])).items()}  # fmt: skip
    assert await kept(registry) == {who: sorted(blocks(of)) for who, of in known.items()}
    under: defaultdict[int, set[Traits]] = defaultdict(set)
    for of in known.values():
        for key in blocks(of):
            under[key].add(of)
    found = {}
    for one, other in itertools.combinations(known.values(), 2):
        meet = any({one, other} <= who and len(who) <= CROWD for who in under.values())
        weight = model().weight(at := levels(one, other))
        if meet and model().band(weight) != "different":
            persons = sorted((nik(one.nik), nik(other.nik)))
            said = dict(zip(FIELDS, at, strict=True))
            found["+".join(persons)] = persons, model().band(weight), {
                field: FIELDS[field][1][level] for field, level in said.items()
            }, weight  # fmt: skip
    first: defaultdict[str, list[str]] = defaultdict(list)
    place = sorted(found, key=lambda pair: (-round(probability(found[pair][3]), 4), pair))
    for pair in place:
        for who in found[pair][0]:
            first[who].append(pair)
    return {
        pair: told for pair, (*told, _) in found.items()
        if all(pair in first[who][: suspects.MOST] for who in told[0])
    }  # fmt: skip


async def kept(registry: Registry) -> dict[int, list[int]]:
    rows = await registry.database.pool.fetch(
        "select nik, array(select key from block where block.nik = traits.nik order by key) as keys from traits"
    )
    assert {row["nik"] for row in rows} >= {
        row["nik"] for row in await registry.database.pool.fetch("select distinct nik from block")
    }
    return {row["nik"]: list(row["keys"]) for row in rows}


@given(histories, ranks, ranks, st.sets(st.sampled_from(["sex", "birth_date", "region"])), st.data())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_any_order_any_split_and_any_moment_of_a_policy(
    crowded: Registry, history: list[dict[str, Any]], before: dict[str, int], after: dict[str, int],
    recent: set[str], data: st.DataObject,
) -> None:  # fmt: skip
    stream = data.draw(st.permutations(history))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)) | {0, len(stream)})
    batches = [stream[start:end] for start, end in itertools.pairwise(cuts)]
    turn = data.draw(st.integers(0, len(batches)))
    looks = data.draw(st.sets(st.integers(0, len(batches))))
    await crowded.empty()
    await crowded.follow(policy("t-1", **before))
    for index, batch in enumerate(batches):
        if index == turn:
            await crowded.follow(policy("t-2", recent, **after))
        await crowded.take(batch)
        if index in looks:
            await crowded.look()
    if turn == len(batches):
        await crowded.follow(policy("t-2", recent, **after))
    await crowded.look()
    wanted = await by_brute_force(crowded, recent)
    told = await suspected(crowded)
    fields = set(FIELDS)
    assert wanted == {
        pair: [each["persons"], each["evidence"]["band"], {k: v for k, v in each["evidence"].items() if k in fields}]
        for pair, each in told.items()
    }
    event_(str(len(wanted)))


async def test_a_key_that_a_crowd_shares_says_nothing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "CROWD", 2)
    same = {"name": "Joko Susilo", "sex": "L", "birth_date": "1980-05-17"}
    await registry.take([recorded(NIKS[0], KKS[0], **same), recorded(NIKS[1], KKS[0], "dukcapil", **same)])
    await registry.look()
    assert len(await suspected(registry)) == 1
    await registry.take([recorded(NIKS[2], KKS[0], "dukcapil", **same)])
    await registry.look()
    assert await suspected(registry) == {}
    await registry.take([recorded(NIKS[2], KKS[1], "dukcapil", revision=1, name="Dewi", birth_date="1999-01-02")])
    await registry.look()
    assert len(await suspected(registry)) == 1


@pytest.mark.parametrize("name", ["Orang{} Keluarga{}", "-", "Tanpa Nama"])
async def test_who_has_no_name_that_tells_is_suspected_of_nobody(registry: Registry, name: str) -> None:
    await registry.take([
        recorded(number(n), number(500 + n // 3), name=name.format(n, n // 3), birth_date=f"1980-01-{n % 3 + 1:02}")
        for n in range(1, 60)
    ])  # fmt: skip
    await registry.look()
    assert await suspected(registry) == {}


async def test_the_most_probable_of_many_are_raised_and_the_others_wait(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspects, "MOST", 3)
    same = {"name": "Joko Susilo", "sex": "L", "birth_date": "1980-05-17"}
    await registry.take([recorded(number(n), number(500 + n), AGENCIES[n % 2], **same) for n in range(1, 9)])
    await registry.look()

    async def listed(state: str) -> list[tuple[float, str]]:
        rows = queries.suspects(
            registry.database.pool, probability=2, after="", state=state, kind=None, region=None, most=100
        )
        return [(-row["probability"], row["pair"]) async for row in rows]

    def most(told: list[tuple[float, str]]) -> int:
        return max(Counter(who for _, pair in told for who in pair.split("+")).values())

    raised, withheld = await listed("raised"), await listed("withheld")
    assert raised == sorted(raised)
    assert withheld
    assert most(raised) == 3
    assert {pair for _, pair in raised} == set(await suspected(registry))
    assert len(raised) + len(withheld) == 8 * 7 // 2
    first = raised[0][1]
    await registry.database.pool.execute("update suspect set state = 'dismissed' where pair = $1", first)
    await registry.database.pool.execute(
        "insert into look (niks, households) select '{}', array[a, b] from suspect where pair = $1", first
    )
    await registry.look()  # makes room for others
    after = await listed("raised")
    assert (0, first) not in after
    assert {pair for _, pair in after} - {pair for _, pair in raised}
    assert most(after) == 3


async def test_what_is_told_holds_no_value(registry: Registry) -> None:
    told = {"sex": "L", "birth_date": "1980-05-17"}
    await registry.take([
        recorded(NIKS[0], KKS[0], name="Djoko Soesilo", **told),
        recorded(NIKS[1], KKS[1], "dukcapil", name="Joko Susilo", region="33.74.02.1001", **told),
    ])  # fmt: skip
    await registry.look()
    [each] = (await suspected(registry)).values()
    assert each["persons"] == sorted(map(nik, NIKS[:2]))
    assert each["region"] == "33.74"
    evidence = each["evidence"]
    assert evidence["band"] == "same"
    assert 0.5 < evidence.pop("probability") <= 1
    assert evidence["birth"] == "the same, NIKs a digit apart of which one is odd"
    words = {word for _, words in FIELDS.values() for word in words} | {"same", "to_judge"}
    assert set(evidence.values()) <= words


async def test_what_changes_no_trait_is_not_compared_again(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"name": "Joko Susilo", "sex": "L", "birth_date": "1980-05-17"}
    await registry.take([recorded(NIKS[0], KKS[0], **told), recorded(NIKS[1], KKS[0], "dukcapil", **told)])
    await registry.look()
    met = len(await suspected(registry))
    assert met == 1
    monkeypatch.setattr(duplicates, "_meet", None)  # calling it would fail
    await registry.take([recorded(NIKS[0], KKS[0], revision=1, attributes={"decile": 2}, **told)])
    await registry.look()
    assert len(await suspected(registry)) == met
