"""Reports on a real database: any order, repetition and moment of looking; several instances; a long outage."""

import asyncio
import itertools
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tepat_chassis.duty import Duty
from tepat_contracts.events.ours import OUTBOUND, REPORT_ROUTED
from tepat_contracts.events.reports import REPORT_ANSWERED, REPORT_FILED
from tepat_contracts.policy import report_routes
from tepat_contracts.topics import Kind
from tepat_registry import routing
from tepat_registry.handlers import store_of
from tepat_registry.reports import Reports, match
from tepat_registry.routing import Charge, Helping, Told
from tepat_registry.store import queries

from .conftest import MIGRATIONS, NOW, Registry, answered, filed, institution, merged, nik, number, policy, recorded

pytestmark = pytest.mark.integration

MIROTO, SEKAYU = "33.74.01.1001", "33.74.01.1004"
ROUTES: dict[str, Any] = {
    "reports": {
        "neighbours": {"within": "P2D", "institutions": ["WKSBM"], "kinds": ["unserved_poor", "flood"]},
        "steps": [
            {"step": "kelurahan", "within": "P1D"},
            {"step": "kecamatan", "within": "P2D"},
            {"step": "kota", "within": "P3D", "resolve": "P7D"},
            {"step": "province", "within": "P7D"},
        ],
        "in_charge": [
            {"step": "kelurahan", "agency": "kelurahan"},
            {"step": "kota", "agency": "dinsos"},
            {"step": "kota", "agency": "bpbd", "kinds": ["fire", "flood"], "within": "PT2H"},
            {"step": "province", "agency": "provinsi"},
        ],
    }
}
AGENCIES = ("dinsos", "bpbd", "kelurahan", "provinsi", "rt-01", "rt-02")


def under(version: str = "r-1", routes: Any = ROUTES) -> dict[str, Any]:
    """A policy of those who file reports and those who answer them."""
    return policy(version, **dict.fromkeys(AGENCIES)) | {"routes": routes}


def hour(n: float) -> datetime:
    return NOW + timedelta(hours=n)


@pytest.fixture
async def routed(registry: Registry) -> Registry:
    await registry.empty()
    await registry.follow(under())
    return registry


async def announced(registry: Registry) -> list[Any]:
    """What was announced, in order: revision, step, who has charge, state."""
    return [
        (data["revision"], data["step"], data.get("in_charge"), data["state"])
        for data in [each["data"] for each in await registry.sent("registry.reports.v1")]
    ]


async def test_unanswered_it_climbs_and_only_where_it_stands_is_announced(routed: Registry) -> None:
    await routed.take([filed("R-1", "rt-01", people=[{"nik": number(1), "name": "Bu Tini"}])], Kind.REPORTS)
    await routed.route()
    assert await announced(routed) == [(1, "kelurahan", "kelurahan", "waiting")]
    routed.now = hour(24)  # an answer now would be in time
    await routed.route()
    assert len(await announced(routed)) == 1
    routed.now = hour(24.001)
    await routed.route()
    assert (await announced(routed))[1:] == [(2, "kota", "bpbd", "waiting")]
    routed.now = hour(24 * 30)  # a long outage: every step that lapsed is walked at once
    await routed.route()
    assert (await announced(routed))[2:] == [(3, "province", "provinsi", "overdue")]
    await routed.route()
    assert len(await announced(routed)) == 3

    [last] = (await routed.sent("registry.reports.v1"))[-1:]
    TypeAdapter(OUTBOUND[REPORT_ROUTED].data).validate_python(last["data"])
    assert last["data"]["people"] == [nik(number(1))]
    assert not any(word in orjson.dumps(last).decode() for word in ("Tini", "Joko", "Air naik", number(1)))
    async with routed.database.pool.acquire() as connection:
        way = (await routed.reports.ways(connection, {"R-1"}))["rt-01", "R-1"].way
    assert [(entry.at, entry.what, entry.step) for entry in way.timeline] == [
        (NOW, "filed", "filed"), (NOW, "asked", "kelurahan"), (hour(24), "unanswered", "kelurahan"),
        (hour(24), "nobody", "kecamatan"), (hour(24), "asked", "kota"), (hour(26), "unanswered", "kota"),
        (hour(26), "asked", "province"), (hour(26 + 7 * 24), "unanswered", "province"),
        (hour(26 + 7 * 24), "overdue", "province"),
    ]  # fmt: skip


async def test_neighbours_first_then_the_government(routed: Registry) -> None:
    await routed.take([institution("W-1", regions=["33.74.01"]), institution("K-1", kind="PKK", regions=[MIROTO])])
    await routed.take(
        [
            filed("R-1", "rt-01", kind="unserved_poor"),
            filed("R-2", "rt-01", kind="unserved_poor"),
            filed("R-3", "rt-01", kind="fire"),
            filed("R-4", "rt-01", kind="unserved_poor", region="33.74.02.1003"),
            filed("R-5", "rt-01", kind="unserved_poor"),
        ],
        Kind.REPORTS,
        hour(1),
    )
    await routed.route()
    told = await routed.reports_announced()
    assert {key: data["step"] for key, data in told.items()} == {
        "R-1": "neighbours", "R-2": "neighbours", "R-3": "kelurahan", "R-4": "kelurahan", "R-5": "neighbours",
    }  # fmt: skip
    assert told["R-1"]["neighbours"] == [{"agency": "dinsos", "institution_id": "W-1"}]
    await routed.take(
        [
            answered("R-1", "rt-01", outcome="helped_by_neighbours", _at=hour(20)),
            answered("R-2", "dinsos", outcome="referred", to_agency="dinsos", _at=hour(30)),
            answered("R-4", "bpbd", outcome="declined", _at=hour(2)),
        ],
        Kind.REPORTS,
    )
    routed.now = hour(50)
    await routed.route()
    told = await routed.reports_announced()
    assert {key: (data["step"], data.get("in_charge"), data["state"]) for key, data in told.items()} == {
        "R-1": ("neighbours", None, "closed"), "R-2": ("kota", "dinsos", "waiting"),
        "R-3": ("province", "provinsi", "waiting"), "R-4": ("kota", "dinsos", "waiting"),
        "R-5": ("kelurahan", "kelurahan", "waiting"),
    }  # fmt: skip
    assert (told["R-1"]["outcome"], told["R-1"]["closed_by"]) == ("helped_by_neighbours", "rt-01")


async def test_several_instances_let_a_deadline_pass_once(routed: Registry) -> None:
    await routed.take([filed(f"R-{n}", "rt-01") for n in range(300)], Kind.REPORTS)
    moment = NOW

    def instance() -> tuple[Duty, Reports]:
        return Duty(routed.database, "route"), Reports(routed.standing, lambda: moment)

    async def rests(most: datetime) -> None:
        async with asyncio.timeout(30):
            while await routed.database.pool.fetchval(  # noqa: ASYNC110
                "select count(*) from report_told t where type like '%filed%' and not exists (select from report r "
                "where r.about = t.about and coalesce(r.due_at, 'infinity') >= $1)", most,
            ):  # fmt: skip
                await asyncio.sleep(0.02)

    instances = [instance() for _ in range(3)]
    duties = [asyncio.create_task(duty.perform(reports.work)) for duty, reports in instances]
    await rests(NOW)
    moment = hour(25)
    for duty, _ in instances:
        duty.wake()
    await rests(moment)
    holder = next(duty for duty, _ in instances if duty.held)
    await holder.stop()  # who takes over finds the deadlines where they were
    moment = hour(28)
    for duty, _ in instances:
        duty.wake()
    await rests(moment)
    for duty, _ in instances:
        await duty.stop()
    await asyncio.gather(*duties)
    told = [each["data"] for each in await routed.sent("registry.reports.v1")]
    assert sorted((each["report_id"], each["revision"], each["step"]) for each in told) == sorted(
        (f"R-{n}", revision, step)
        for n in range(300)
        for revision, step in ((1, "kelurahan"), (2, "kota"), (3, "province"))
    )


async def test_another_policy_takes_hold_of_open_reports(routed: Registry) -> None:
    await routed.follow(under("r-0", {"digest_at": "07:00", "reports": "to be decided"}))
    await routed.database.pool.execute("delete from standing where version = 'r-1'")
    routed.reports = Reports(routed.standing, lambda: routed.now)
    await routed.take([filed("R-1", "rt-01"), filed("R-2", "rt-01"), answered("R-2", "rt-01")], Kind.REPORTS)
    await routed.route()
    assert {key: (data["step"], data["state"]) for key, data in (await routed.reports_announced()).items()} == {
        "R-1": ("filed", "waiting"), "R-2": ("filed", "closed"),
    }  # fmt: skip
    await routed.follow(under())
    assert await routed.database.pool.fetchval("select array_agg(about) from route") == [["R-1"]]
    await routed.route()
    assert (await announced(routed))[2:] == [(2, "kelurahan", "kelurahan", "waiting")]
    await routed.follow(under("r-2"))  # says the same of reports
    assert await routed.database.pool.fetchval("select count(*) from route") == 0


async def test_people_are_matched_to_those_the_registry_knows_there(routed: Registry) -> None:
    await routed.take([
        recorded(number(1), number(11), name="H. Djoko Soesilo, S.Pd.", birth_date="1960-07-01"),
        recorded(number(2), number(12), name="Joko Susilo", birth_date="1988-01-01"),
        recorded(number(3), number(13), name="Siti Aminah"),
        recorded(number(4), number(14), name="Moh. Yusuf", region=SEKAYU),
        recorded(number(5), number(15), name="Dewi", birth_date="1970-01-01"),
        recorded(number(6), number(16), name="Dewi", birth_date="1970-01-01"),
        recorded(number(7), number(17), name="Rudi", birth_date="1970-01-01"),
        recorded(number(8), number(18), name="Rudi", birth_date="1970-01-01"), merged(number(8), number(7)),
    ])  # fmt: skip
    people = [
        {"nik": number(3), "name": "Siti"},
        {"nik": number(9), "name": "Unknown"},
        {"name": "JOKO SUSILO", "birth_date": "1960-07-01"},
        {"name": "Joko Soesilo"},
        {"name": "Siti Aminah"},
        {"name": "Siti Aminah", "birth_date": "1999-09-09"},
        {"name": "Muhammad Yusup"},
        {"name": "Dewi", "birth_date": "1970-01-01"},
        {"name": "Dewi"},
        {"name": "Rudi", "birth_date": "1970-01-01"},
    ]
    await routed.take([filed("R-1", "rt-01", people=people)], Kind.REPORTS)
    in_force = await routed.standing.first()
    async with routed.database.pool.acquire() as connection:
        way = (await routed.reports.ways(connection, {"R-1"}))["rt-01", "R-1"].way
        found = await match(connection, store_of(connection, in_force.document, NOW), way.data, in_force.document)
    assert [tuple(each) for each in found] == [
        ("nik", [nik(number(3))], True), ("nik", [nik(number(9))], False),
        ("name_and_birth_date", [nik(number(1))], True), (None, [], False), ("possible", [nik(number(3))], True),
        (None, [], False), (None, [], False), ("possible", sorted([nik(number(5)), nik(number(6))]), True),
        (None, [], False), ("name_and_birth_date", [nik(number(7))], True),
    ]  # fmt: skip


async def test_an_answer_waits_for_its_report_and_is_listed_as_long(routed: Registry) -> None:
    async def unfiled() -> list[tuple[str, str]]:
        rows = queries.unfiled_answers(
            routed.database.pool, answered=REPORT_ANSWERED, filed=REPORT_FILED, agency="", after="", most=10
        )
        return [(row["agency"], row["about"]) async for row in rows]

    early = [answered("R-1", "kelurahan"), answered("rt-01/R-2", "bpbd"), answered("R-2", "bpbd", outcome="declined")]
    await routed.take(early, Kind.REPORTS, hour(1))
    await routed.route()
    assert await unfiled() == [("bpbd", "R-2"), ("bpbd", "rt-01/R-2"), ("kelurahan", "R-1")]
    await routed.take([filed("R-2", "rt-02"), filed("R-1", "rt-01")], Kind.REPORTS, hour(2))
    await routed.route()
    assert await unfiled() == [("bpbd", "rt-01/R-2")]
    await routed.take([filed("R-2", "rt-01")], Kind.REPORTS, hour(3))
    await routed.route()
    assert await unfiled() == []
    told = await routed.reports_announced()
    assert {key: data["state"] for key, data in told.items()} == {
        "R-1": "closed", "R-2": "waiting", "rt-01/R-2": "closed",
    }  # fmt: skip


async def test_what_is_read_late_counts_from_when_it_stood_there(routed: Registry) -> None:
    await routed.take([filed("R-1", "rt-01", kind="unserved_poor")], Kind.REPORTS, hour(5))
    await routed.route()
    await routed.take([institution("W-1")], at=hour(6))
    assert await routed.database.pool.fetchval("select count(*) from route") == 0
    await routed.take([institution("W-2")], at=hour(4))
    await routed.route()
    assert [step for _, step, *_ in await announced(routed)] == ["kelurahan", "neighbours"]


async def test_an_id_is_announced_for_who_was_first_to_use_it(routed: Registry) -> None:
    async def keys() -> dict[str, str]:
        await routed.route()
        return {key: data["agency"] for key, data in (await routed.reports_announced()).items()}

    second = filed("1", "rt-02")
    await routed.take([second], Kind.REPORTS, hour(5))
    assert await keys() == {"1": "rt-02"}
    await routed.take([filed("1", "rt-01")], Kind.REPORTS, hour(3))
    assert await keys() == {"1": "rt-01", "rt-02/1": "rt-02"}
    await routed.take([second], Kind.REPORTS, hour(1))  # the same record, sent before on another partition
    assert await keys() == {"1": "rt-02", "rt-01/1": "rt-01"}


ids = st.sampled_from(["1", "2", "rt-01/1"])
moments = st.integers(0, 100).map(hour)
events = st.one_of(
    st.builds(
        lambda about, agency, at, **data: filed(about, agency, _at=at, _id=f"f{data['revision']}", people=[], **data),
        ids, st.sampled_from(["rt-01", "rt-02"]), moments, revision=st.integers(0, 1),
        kind=st.sampled_from(["unserved_poor", "fire"]), region=st.sampled_from([MIROTO, "33.74.02.1003"]),
    ),
    st.builds(
        lambda about, agency, at, **data: answered(about, agency, _at=at, _id=f"a{data['revision']}", **data),
        st.one_of(ids, st.just("rt-02/1")), st.sampled_from(["rt-01", "kelurahan", "bpbd"]), moments,
        revision=st.integers(0, 1), outcome=st.sampled_from(["acknowledged", "helped", "declined", "referred"]),
        to_agency=st.sampled_from([None, "dinsos"]),
    ),
    st.builds(
        lambda about, at, **data: institution(about, _at=at, _id=f"i{data['revision']}", **data),
        st.sampled_from(["W-1", "W-2"]), moments, revision=st.integers(0, 2), active=st.booleans(),
        regions=st.sampled_from([["33.74.01"], [MIROTO, "33.74.02.1003"]]),
    ),
)  # fmt: skip


def model(history: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    """What should stand announced: the way of each report out of all there is, under its key."""
    kept: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for each in history:
        data = each["data"]
        about = data.get("report_id") or data["institution_id"]
        name = each["type"], each["source"].rpartition(":")[2], about, data["revision"]
        canonical = orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode()
        order = datetime.fromisoformat(each["time"]), each["id"], canonical, -each["at"].timestamp()
        if name not in kept or order > kept[name][0]:
            kept[name] = order, each["at"], data
    told: dict[str, list[Told]] = {"filed": [], "answered": []}
    helping = []
    for (type_, agency, about, revision), (_, at, data) in kept.items():
        if "institution" in type_:
            areas = frozenset(data["regions"]) if data["active"] else frozenset()
            helping.append(Helping(at, agency, about, revision, data["kind"], areas))
        else:
            told[type_.split(".")[2]].append(Told(at, agency, about, revision, data, ""))
    charge = Charge(NOW, "r-1", report_routes(ROUTES), frozenset(AGENCIES))
    reports: dict[tuple[str, str], list[Told]] = {}
    for each in told["filed"]:
        reports.setdefault((each.agency, each.about), []).append(each)
    found = {}
    for (agency, about), filings in reports.items():
        first = {who: min(each.at for each in mine) for (who, name), mine in reports.items() if name == about}
        meant = []
        for answer in told["answered"]:
            full = answer.about.split("/", 1)
            if (answer.agency, answer.about) in reports:
                name = answer.agency, answer.about
            elif len(full) == 2 and tuple(full) in reports:
                name = full[0], full[1]
            else:
                same = [
                    (min(each.at for each in mine), who) for (who, of), mine in reports.items() if of == answer.about
                ]
                name = (min(same)[1], answer.about) if same else ("", "")
            if name == (agency, about):
                meant.append(answer)
        way = routing.walk(filings, meant, [charge], helping, now)
        bare = "/" not in about and min((at, who) for who, at in first.items())[1] == agency
        found[about if bare else f"{agency}/{about}"] = {
            **routing.announced(agency, about, way, set()), "revision": 0
        }  # fmt: skip
    return found


async def test_an_answer_goes_to_the_report_that_comes_to_bear_its_name(registry: Registry) -> None:
    await registry.empty()
    registry.reports = Reports(registry.standing, lambda: registry.now)
    await registry.follow(under())
    registry.now = hour(1)
    about = {"revision": 0, "kind": "fire", "region": "33.74.01.1001", "people": []}
    answer = answered("rt-01/1", "rt-01", _at=hour(0), _id="a0", revision=0, outcome="acknowledged", to_agency=None)
    history = [
        filed("1", "rt-01", _at=hour(0), _id="f0", **about), answer,
        filed("rt-01/1", "rt-01", _at=hour(0), _id="f0", **about),
    ]  # fmt: skip
    for each in history:
        await registry.take([each], Kind.REPORTS)
        await registry.route()
    assert await registry.reports_announced() == model(history, registry.now)


@given(st.lists(events, min_size=1, max_size=14), st.integers(0, 400), st.data())
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_any_order_any_repetition_and_any_moment_of_looking(
    registry: Registry, history: list[dict[str, Any]], last: int, data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(history), max_size=4))
    again = [{**each, "at": each["at"] + timedelta(hours=data.draw(st.integers(-5, 50)))} for each in again]
    history = history + again
    stream = data.draw(st.permutations(history))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=5)) | {0, len(stream)})
    await registry.empty()
    registry.reports = Reports(registry.standing, lambda: registry.now)
    await registry.follow(under())
    for start, end in itertools.pairwise(cuts):
        batch = stream[start:end]
        for kind in (Kind.BENEFICIARIES, Kind.REPORTS):
            await registry.take([e for e in batch if ("report." in e["type"]) is (kind is Kind.REPORTS)], kind)
        if data.draw(st.booleans()):
            registry.now = hour(data.draw(st.integers(0, last)))
            await registry.route()
    registry.now = hour(last)
    await registry.route()
    # What comes late leaves earlier deadlines behind it: all that was due is looked at.
    assert await registry.reports_announced() == model(history, registry.now)


async def test_a_database_from_before_reports_were_routed_goes_on(database: str, secrets: Path) -> None:
    made = Registry(database, secrets)
    await made.database.open(*MIGRATIONS)
    pool = made.database.pool
    await made.follow(under())
    await made.take([institution("W-1"), institution("W-2", note="\0")])
    await made.take([filed("R-1", "rt-01", kind="unserved_poor"), answered("R-2", "rt-01")], Kind.REPORTS)
    await pool.execute("drop table report_told, report, route; drop index fact_region")
    await pool.execute("alter table institution drop column at, drop column kind, drop column areas")
    await pool.execute("delete from migration where name = '0210_reports.sql'")
    await made.database.close()
    await made.database.open(*MIGRATIONS)
    await made.route()
    told = await made.reports_announced()
    assert {key: data["step"] for key, data in told.items()} == {"R-1": "neighbours"}
    assert [each["institution_id"] for each in told["R-1"]["neighbours"]] == ["W-1"]
    await made.database.close()


async def test_reports_are_kept_as_long_as_the_policy_says(routed: Registry) -> None:
    await routed.follow(under("r-2") | {"retention": {"reports": "P30D"}})
    people = [{"nik": number(1), "name": "Bu Tini"}]
    early = [filed("R-1", "rt-01", people=people), filed("R-2", "rt-01", people=people)]
    await routed.take([*early, answered("rt-01/R-1", "kelurahan")], Kind.REPORTS)
    later = [filed("R-3", "rt-01", people=people), filed("R-1", "rt-02", people=[])]
    await routed.take(later, Kind.REPORTS, hour(24 * 20))
    routed.now = hour(24 * 29)
    await routed.route()
    assert (await routed.reports_announced()).keys() == {"R-1", "R-2", "R-3", "rt-02/R-1"}
    routed.now = hour(24 * 31)
    await routed.route()
    assert (await routed.reports_announced()).keys() == {"R-3", "rt-02/R-1"}
    fetch = routed.database.pool.fetch
    told = "select type, agency, about from report_told where type like '%filed%' order by agency, about"
    assert [tuple(row)[1:] for row in await fetch(told)] == [("rt-01", "R-3"), ("rt-02", "R-1")]
    assert [tuple(row) for row in await fetch("select agency, report from named")] == [("rt-01", "R-3")]
    assert len(await fetch("select * from needy")) == 1
    routed.now = hour(24 * 60)
    await routed.route()
    assert await routed.reports_announced() == {}
    for table in ("report", "report_told", "named", "needy"):
        assert await fetch(f"select * from {table}") == [], table
