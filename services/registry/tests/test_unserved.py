"""Who receives nothing: facts, reports, aid and days in any order against a plain model; and how it is looked for."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tepat_contracts.events.reports import REPORT_ANSWERED, REPORT_FILED
from tepat_contracts.topics import Kind
from tepat_registry import domain
from tepat_registry.domain import Held
from tepat_registry.store import queries

from .conftest import Registry, alone, erased, filed, kk, merged, nik, number, policy, recorded, renewed

pytestmark = pytest.mark.integration

KKS = [number(serial) for serial in range(201, 205)]
NIKS = [number(serial) for serial in range(1, 6)]
DAYS = ["2026-01-01", "2026-02-01", "2026-03-01", "2026-06-30"]
RANKS = {"dinsos": 2, "dukcapil": 1, "lsm": None}
AREAS = ["33.74.01.1001", "33.74.02.1001"]
Data = dict[str, Any]


def told(household: str, *payouts: Data, revision: int = 1) -> Data:
    """What distribution tells of a household."""
    return {"household": household, "revision": revision, "payouts": list(payouts)}


def gets(
    person: str, first: str = "2026-01-01", last: str = "2026-03-31", programme: str = "PKH", state: str = "disbursed"
) -> Data:
    """A payout as it stands there."""
    return {
        "agency": "dinsos", "payout_id": f"{programme}-{first}", "person": nik(person), "programme": programme,
        "covers": {"from": first, "to": last}, "kind": "cash", "amount": 750_000, "state": state, "region": AREAS[0],
    }  # fmt: skip


async def unserved(registry: Registry, on: str, apart: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """Households with the persons missed, the day since when, and whether they never received anything."""
    asked = {
        "decile": 4, "first": "", "last": ":", "zone": "Asia/Jakarta", "until": date.fromisoformat(on), "regions": [],
        "after_since": None, "after_household": None, "at_most": 1000,
    } | more  # fmt: skip
    rows = queries.unserved(registry.database.pool, on=date.fromisoformat(on), apart=list(apart), **asked)
    return {
        str(row["household"]): (
            sorted(map(str, row["persons"])), row["since"].isoformat(), row["served_until"] is None,
        )
        async for row in rows
    }  # fmt: skip


# --- a case at a time


async def test_a_poor_family_is_missed_until_somebody_pays_and_again_when_that_ends(registry: Registry) -> None:
    ani, budi, rich = NIKS[:3]
    await registry.take([
        recorded(ani, KKS[0], attributes={"decile": 2}), recorded(budi, KKS[0], attributes={"decile": 2}),
        recorded(rich, KKS[1], attributes={"decile": 5}),
    ])  # fmt: skip
    never = {kk(KKS[0]): (sorted([nik(ani), nik(budi)]), "2020-01-01", True)}
    assert await unserved(registry, "2026-02-01") == never
    await registry.hear(told(kk(KKS[0]), gets(ani, "2026-01-01", "2026-01-31"), gets(ani, "2026-02-10", "2026-02-28")))
    assert await unserved(registry, "2026-01-31") == {}
    assert await unserved(registry, "2026-02-09") == {kk(KKS[0]): (sorted([nik(ani), nik(budi)]), "2026-01-31", False)}
    assert await unserved(registry, "2026-02-09", until=date(2026, 1, 30)) == {}
    assert await unserved(registry, "2026-02-28") == {}
    assert await unserved(registry, "2025-12-31") == never
    assert await unserved(registry, "2025-12-31", decile=1) == {}


async def test_a_planned_payout_serves_and_a_cancelled_one_does_not(registry: Registry) -> None:
    await registry.take([recorded(NIKS[0], KKS[0], attributes={"decile": 1})])
    for revision, state in enumerate(("planned", "cancelled", "disbursed", "returned"), start=1):
        await registry.hear(told(kk(KKS[0]), gets(NIKS[0], state=state), revision=revision))
        assert bool(await unserved(registry, "2026-02-01")) is (state in ("cancelled", "returned"))
    await registry.hear(told(kk(KKS[0]), gets(NIKS[0], state="planned"), revision=1))
    assert await unserved(registry, "2026-02-01"), "an older revision comes late"


async def test_aid_of_neighbours_can_be_told_apart(registry: Registry) -> None:
    await registry.take([recorded(NIKS[0], KKS[0], attributes={"decile": 1})])
    await registry.hear(told(kk(KKS[0]), gets(NIKS[0], programme="BERBAGI")))
    assert await unserved(registry, "2026-02-01") == {}
    assert await unserved(registry, "2026-02-01", ["BERBAGI"]) == {kk(KKS[0]): ([nik(NIKS[0])], "2020-01-01", True)}


async def test_the_dead_and_those_whom_nobody_places_are_not_missed(registry: Registry) -> None:
    await registry.take([
        recorded(NIKS[0], KKS[0], attributes={"decile": 1}, deceased_on="2026-02-01"),
        recorded(NIKS[1], KKS[1], attributes={"decile": 1}, until="2026-01-31"),
    ])  # fmt: skip
    assert set(await unserved(registry, "2026-01-31")) == {kk(KKS[0]), kk(KKS[1])}
    assert await unserved(registry, "2026-02-01") == {}


async def test_a_report_names_who_is_missed_known_or_not(registry: Registry) -> None:
    known, unknown = NIKS[:2]
    people = [{"name": "Bu Tini", "nik": known}, {"name": "Pak Joko", "nik": unknown}, {"name": "Si Upik"}]
    await registry.take([recorded(known, KKS[0], attributes={"decile": 9}, since="2026-01-10")])
    report = filed("r-1", kind="unserved_poor", people=people, _time="2026-01-20T08:00:00+07:00")
    await registry.take([report], Kind.REPORTS)
    assert await unserved(registry, "2026-01-19") == {}
    both = {kk(KKS[0]): ([nik(known)], "2026-01-10", True), alone(unknown): ([nik(unknown)], "2026-01-20", True)}
    assert await unserved(registry, "2026-01-20") == both
    await registry.hear(told(kk(KKS[3]), gets(unknown)))  # under a card that the registry knows nothing of
    assert set(await unserved(registry, "2026-01-20")) == {kk(KKS[0])}
    await registry.take([recorded(unknown, KKS[3], attributes={"decile": 9})])
    assert set(await unserved(registry, "2026-04-20")) == {kk(KKS[0]), kk(KKS[3])}
    report = filed("r-1", kind="unserved_poor", people=people[1:], revision=1, _time="2026-01-20T08:00:00+07:00")
    await registry.take([report], Kind.REPORTS)
    assert set(await unserved(registry, "2026-04-20")) == {kk(KKS[3])}


async def test_who_is_named_by_name_and_birth_date_is_missed_as_by_nik(registry: Registry) -> None:
    who, other = NIKS[:2]
    report = filed(
        "r-1", kind="unserved_poor", people=[{"name": "TUN SUHARNI", "birth_date": "1951-03-02"}, {"name": "Bu Tini"}]
    )
    await registry.take([report], Kind.REPORTS)
    assert await unserved(registry, "2026-02-01") == {}
    told = {"name": "Hj. Toen Soeharni", "birth_date": "1951-03-02"}
    await registry.take([recorded(who, KKS[0], **told), recorded(NIKS[2], KKS[2], name="Bu Tini")])  # late, and one of
    assert set(await unserved(registry, "2026-02-01")) == {kk(KKS[0])}  # whom the name alone tells
    await registry.take([recorded(other, KKS[1], **told)])  # which of the two?
    assert await unserved(registry, "2026-02-01") == {}
    await registry.take([merged(who, other)])  # they are one
    assert set(await unserved(registry, "2026-02-01")) == {kk(KKS[1])}
    await registry.take([merged(who, None, revision=1), recorded(who, KKS[0], revision=1, name="Tuti")])
    assert set(await unserved(registry, "2026-02-01")) == {kk(KKS[1])}
    reports = queries.reports_naming(
        registry.database.pool, persons=[nik(other)], filed=REPORT_FILED, answered=REPORT_ANSWERED
    )
    assert [row["report"] async for row in reports] == ["r-1"]
    await registry.take([erased(other, _time="2026-02-01T08:00:00Z")])
    assert await unserved(registry, "2026-02-01") == {}
    await registry.take([recorded(who, KKS[0], revision=2, **told)])
    assert set(await unserved(registry, "2026-02-01")) == {kk(KKS[0])}
    await registry.take([filed("r-1", revision=1, people=[])], Kind.REPORTS)
    assert await unserved(registry, "2026-02-01") == {}
    assert await registry.database.pool.fetch("select from matched") == []


async def test_a_database_of_before_finds_who_is_needy(registry: Registry) -> None:
    await registry.take([recorded(NIKS[0], KKS[0], attributes={"decile": 1})])
    await registry.take([recorded(NIKS[2], KKS[1], name="Bu Tini", birth_date="1951-03-02")])
    people = [{"name": "Pak Joko", "nik": NIKS[1]}, {"name": "Bu Tini", "birth_date": "1951-03-02"}]
    await registry.take([filed("r-1", people=people)], Kind.REPORTS)
    before = await unserved(registry, "2026-03-01")
    assert len(before) == 3
    pool = registry.database.pool
    await pool.execute(
        "delete from needy; delete from named; delete from sought; delete from matched; "
        "insert into recheck (after, everyone) values (0, true)"
    )
    await registry.follow(policy(dinsos=1, dukcapil=2, lsm=None))
    assert await unserved(registry, "2026-03-01") == before
    assert await pool.fetchval("select count(*) from recheck") == 0


# --- stays


spans = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12), st.sampled_from("abc")), min_size=1, max_size=6)


@given(spans, st.booleans())
def test_stays_are_who_lived_where_on_each_day(drawn: list[tuple[int, int, str]], unending: bool) -> None:
    start = date(2026, 1, 1)
    held = []
    for since, length, card in drawn:
        first = start + timedelta(days=since)
        data: Data = {"since": first.isoformat()}
        if length < 12 or not unending:
            data["until"] = (first + timedelta(days=length)).isoformat()
        held.append(Held("x", datetime(2026, 1, 1, tzinfo=UTC), card, data))
    stays = domain.stays(held)
    for day in (start + timedelta(days=n) for n in range(30)):
        expected = domain.household_on(held, day.isoformat())
        on_day = [stay.household for stay in stays if stay.since <= day <= stay.until]
        assert on_day == ([expected.household] if expected is not None else [])
    assert all(one.until < other.since for one, other in pairwise(stays))


# --- in any order


def _person(
    who: str, card: str, by: str, days: tuple[str, str | None], decile: int | None, area: str, died: str | None,
    revision: int, called: tuple[str, str],
) -> Data:  # fmt: skip
    attributes = {} if decile is None else {"decile": decile}
    return recorded(
        who, card, by, since=days[0], until=days[1], attributes=attributes, region=area, deceased_on=died,
        revision=revision, name=called[0], birth_date=called[1],
    )  # fmt: skip


def _linked(link: Callable[..., Data], start: str, end: str, revision: int) -> Data:
    return link(start, end if end != start else None, revision=revision)


def _filed(report: str, people: list[Any], area: str, revision: int, day: str) -> Data:
    named = [
        {"name": "X", "nik": each} if isinstance(each, str) else {"name": each[0], "birth_date": each[1]}
        for each in people
    ]
    return filed(report, people=named, region=area, revision=revision, _time=f"{day}T08:00:00+07:00")


def _given(card: str, who: str, periods: list[tuple[str, str]]) -> tuple[str, list[Data]]:
    return card, [gets(who, *sorted(days), programme=f"P{n}") for n, days in enumerate(periods)]


CALLED = [("Siti Aminah", "1990-02-01"), ("Siti Aminah", "1951-03-02"), ("Budi", "1990-02-01")]
niks, kks, days, revisions, called = map(st.sampled_from, (NIKS, KKS, DAYS, range(3), CALLED))
persons = st.builds(
    _person, niks, kks, st.sampled_from(sorted(RANKS)),
    st.tuples(st.sampled_from(DAYS[:3]), st.sampled_from([None, None, None, *DAYS])),
    st.sampled_from([None, 1, 4, 5]), st.sampled_from(AREAS), st.sampled_from([None, None, None, "2026-02-15"]),
    revisions, called,
)  # fmt: skip
merges = st.builds(_linked, st.just(merged), niks, niks, revisions)
renewals = st.builds(_linked, st.just(renewed), kks, kks, revisions)
reports = st.builds(
    _filed,
    st.sampled_from(["r-1", "r-2"]),
    st.lists(niks | called, max_size=2),
    st.sampled_from(AREAS),
    revisions,
    days,
)
aids = st.builds(_given, kks, niks, st.lists(st.tuples(days, days), max_size=2))
steps = st.lists(persons | persons | merges | renewals | reports | aids, min_size=1, max_size=14)


def _greatest(events: list[Data], key: Callable[[Data], Any]) -> list[Data]:
    held: dict[Any, Any] = {}
    for each in events:
        order = (each["data"]["revision"], datetime.fromisoformat(each["time"]), each["id"])
        if key(each) not in held or order > held[key(each)][0]:
            held[key(each)] = order, each
    return [each for _, each in held.values()]


def _ends(facts: list[Data], types: Sequence[str], start: str, into: str) -> Callable[[str], str]:
    links = {
        each["data"][start]: each["data"].get(into)
        for each in _greatest([e for e in facts if e["type"] in types], lambda e: e["data"][start])
    }

    def end(of: str) -> str:
        path = [of]
        while (after := links.get(path[-1])) is not None:
            if after in path:
                return str(min(path[path.index(after) :]))
            path.append(after)
        return path[-1]

    return end


def _missed(facts: list[Data], named: list[Data], on: str) -> dict[str, tuple[str, str]]:
    """Of each person who should not be missed on a day, by pseudonym, the household and the day known since."""
    person_of = _ends(facts, ("tepat.persons.merged.v1", "tepat.persons.unmerged.v1"), "from_nik", "into_nik")
    card_of = _ends(facts, ("tepat.household.renewed.v1",), "from_kk", "into_kk")
    held = _greatest(
        [e for e in facts if e["type"] == "tepat.person.recorded.v1"],
        lambda e: (e["source"], e["data"]["nik"], e["data"]["since"]),
    )
    held = [e for e in held if (e["data"]["until"] or "9999") >= e["data"]["since"]]
    held.sort(key=lambda e: e["data"]["since"], reverse=True)
    held.sort(key=lambda e: (RANKS[e["source"].rpartition(":")[2]] or 99, e["source"]))
    firsts: dict[str, Data] = {}
    for each in held:
        firsts.setdefault(each["data"]["nik"], each["data"])
    first_named: dict[str, str] = {}
    for report in _greatest(named, lambda e: e["data"]["report_id"]):
        day = datetime.fromisoformat(report["time"]).astimezone(ZoneInfo("Asia/Jakarta")).date().isoformat()
        for each in report["data"]["people"]:
            if "nik" in each:
                who = person_of(each["nik"])
            else:
                wanted = each["name"], each["birth_date"], report["data"]["region"]
                meant = {person_of(nik) for nik, data in firsts.items()
                         if (data["name"], data["birth_date"], data["region"]) == wanted}  # fmt: skip
                if len(meant) != 1:
                    continue
                (who,) = meant
            first_named[who] = min(day, first_named.get(who, day))
    found = {}
    for who in {e["data"]["nik"] for e in held} | set(first_named):
        own = [e["data"] for e in held if e["data"]["nik"] == who]
        words: dict[str, Data] = {}
        for each in (e for e in held if e["data"]["nik"] == who):
            words.setdefault(each["source"], each["data"])
        deciles = [data["attributes"]["decile"] for data in words.values() if "decile" in data["attributes"]]
        died = [data["deceased_on"] for data in own if data["deceased_on"]]
        lived = [data["kk"] for data in own if data["since"] <= on <= (data["until"] or "9999")]
        reported = first_named.get(who, "9999")
        if (
            person_of(who) == who
            and (deciles[:1] <= [4] if deciles and deciles[0] <= 4 else reported <= on)
            and not (died and died[0] <= on)
            and (lived or not own)
        ):
            home = kk(card_of(lived[0])) if lived else alone(who)
            found[nik(who)] = home, min([reported, *(data["since"] for data in own)])
    return found


def expected(facts: list[Data], named: list[Data], aid: dict[str, list[Data]], on: str) -> dict[str, Any]:
    """The plain model. `aid`: payouts by the household that they are told of."""
    paid = [(home, payout["person"], payout["covers"]) for home, payouts in aid.items() for payout in payouts]
    missed: dict[str, list[tuple[str, str]]] = {}
    for who, (home, known) in _missed(facts, named, on).items():
        if not any(c["from"] <= on <= c["to"] and (h == home or p == who) for h, p, c in paid):
            missed.setdefault(home, []).append((who, known))
    eve = (date.fromisoformat(on) - timedelta(days=1)).isoformat()
    found = {}
    for home, people in missed.items():
        who = sorted(each for each, _ in people)
        last = [min(c["to"], eve) for h, p, c in paid if c["from"] < on and (h == home or p in who)]
        found[home] = who, max(last) if last else min(known for _, known in people), not last
    return found


@pytest.mark.timeout(300)
@given(steps, st.randoms(use_true_random=False), st.integers(1, 4))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_who_is_missed_is_a_matter_of_what_is_told_and_not_of_its_order(
    registry: Registry, happening: list[Any], chance: Any, size: int
) -> None:
    await registry.empty()
    await registry.follow(policy(**RANKS))
    events = [each for each in happening if isinstance(each, dict)]
    facts = [each for each in events if "report_id" not in each["data"]]
    named = [each for each in events if "report_id" in each["data"]]
    given_ = [each for each in happening if isinstance(each, tuple)]
    aid = {kk(card): payouts for card, payouts in given_}
    heard = [told(kk(card), *payouts, revision=n) for n, (card, payouts) in enumerate(given_, start=1)]
    work = [*((0, each) for each in heard), *((1, each) for each in facts), *((2, each) for each in named)]
    chance.shuffle(work)
    work += chance.sample(work, len(work) // 3)
    for at in range(0, len(work), size):
        part: list[list[Data]] = [[], [], []]
        for what, each in work[at : at + size]:
            part[what].append(each)
        await registry.hear(*part[0])
        await registry.take(part[1])
        await registry.take(part[2], Kind.REPORTS)
    for on in (*DAYS, "2026-02-15"):
        assert await unserved(registry, on) == expected(facts, named, aid, on)


# --- how it is looked for


FILLED = """
insert into needy (person, since, until, card, region, decile, known_since)
select md5('p' || n)::uuid, '2020-01-01', 'infinity', md5('h' || n / 3)::uuid, '33.' || 10 + n % 30 || '.01.1001',
       n % 4 + 1, '2020-01-01'
from generate_series(1, 40000) n;
insert into received (household, person, programme, days)
select md5('h' || n / 3)::uuid, md5('p' || n)::uuid, 'PKH', datemultirange(daterange('2026-01-01', '2026-04-01'))
from generate_series(1, 36000, 3) n;
analyze needy; analyze received;"""
LOOK = "explain select * from unserved('2026-02-01', 4, '{}', '{}', 'Asia/Jakarta', '{{}}')"


async def test_an_area_is_found_by_its_index_and_of_many_none_is_looked_up_alone(registry: Registry) -> None:
    pool = registry.database.pool
    await pool.execute(FILLED)
    area = "\n".join(row[0] for row in await pool.fetch(LOOK.format("33.12", "33.12/")))
    assert "needy_region" in area
    assert "Seq Scan on needy" not in area
    whole = "\n".join(row[0] for row in await pool.fetch(LOOK.format("", ":")))
    assert "Hash" in whole
    assert "Anti Join" in whole
    assert "Nested Loop Anti Join" not in whole
