"""Who is told and when, against a plain reading of the policy's own text."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tepat_contracts.policy import NoticeKind, load, notice_routes
from tepat_notifications.domain import province
from tepat_notifications.routing import Cause, Directory, Terms, after_quiet, goes_at, next_hour

AREAS = ("33", "33.74", "33.74.01", "33.74.01.1001", "64.72.01.1001", "91")
AGENCIES = ("dinsos", "dpmd", "himbara")
KINDS = ("overlap", "case", "finding", "report", "suspect", "rejection")
GROUPS = ("lurah", "rt")

some_areas = st.none() | st.sampled_from(AREAS)
addressees = st.fixed_dictionaries(
    {"agency": st.sampled_from(["concerned", *AGENCIES, "gone"])}
) | st.fixed_dictionaries({"officers": st.sampled_from([*GROUPS, "gone"])})


def present(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping of these fields, without those that are none."""
    return st.fixed_dictionaries(fields).map(lambda told: {k: v for k, v in told.items() if v is not None})


routes = st.lists(
    present(
        kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=3),
        verdicts=st.none() | st.lists(st.sampled_from(["x", "y"]), max_size=2),
        at_least=st.none() | st.integers(0, 3),
        programmes=st.none() | st.lists(st.sampled_from(["PKH", "BPNT"]), max_size=2),
        region=some_areas,
        to=addressees,
        when=st.none() | st.sampled_from(["at_once", "digest"]),
        acknowledge=st.none() | st.fixed_dictionaries(
            {"within": st.just("PT1H"), "then": st.lists(st.fixed_dictionaries({"to": addressees}), max_size=3)}
        ),
    ),
    max_size=5,
)  # fmt: skip
people = st.dictionaries(
    st.sampled_from(GROUPS),
    st.lists(present(name=st.sampled_from("abcd"), role=st.just("rt"), region=some_areas),
             max_size=4, unique_by=lambda each: each["name"]),
)  # fmt: skip
causes = st.builds(
    Cause, st.sampled_from(KINDS), st.none() | st.sampled_from(["x", "y"]), st.none() | st.integers(0, 3),
    st.lists(st.sampled_from(["PKH", "BPNT"]), max_size=2), st.lists(st.sampled_from(AGENCIES), max_size=2), some_areas,
)  # fmt: skip


def holds(area: str, region: str | None) -> bool:
    return region is not None and f"{region}.".startswith(f"{area}.")


def expected(routes: list[dict[str, Any]], people: dict[str, Any], cause: Cause) -> tuple[list[dict[str, str]], bool]:
    """Each level's recipients with their moments, and whether an acknowledgement is awaited: read off the policy."""
    matching = []
    for route in routes:
        wrong = (
            cause.kind not in route["kinds"],
            route.get("verdicts") and cause.verdict not in route["verdicts"],
            "at_least" in route and (cause.amount is None or cause.amount < route["at_least"]),
            route.get("programmes") and not any(p in route["programmes"] for p in cause.programmes),
            "region" in route and not holds(route["region"], cause.region),
        )
        if not any(wrong):
            matching.append(route)
    asks = [route for route in matching if "acknowledge" in route]
    steps = [[(route["to"], route.get("when") == "digest" or cause.kind == "rejection") for route in matching]]
    if asks:
        steps += [[(level["to"], cause.kind == "rejection")] for level in asks[0]["acknowledge"]["then"]]
    levels: list[dict[str, str]] = []
    for step in steps:
        told: dict[str, str] = {}
        for to, digest in step:
            if "officers" in to:
                names = [
                    f"{to['officers']}/{each['name']}"
                    for each in people.get(to["officers"], [])
                    if "region" not in each or holds(each["region"], cause.region)
                ]
            elif to["agency"] == "concerned":
                names = ["himbara"] if cause.kind == "suspect" else list(cause.agencies)
            else:
                names = [to["agency"]] if to["agency"] in AGENCIES else []
            for name in names:
                if not any(name in level for level in levels):
                    told.setdefault(name, "digest" if digest else "now")
        if told:
            levels.append(told)
    return levels, bool(asks)


@given(routes, people, causes)
@settings(max_examples=200, deadline=None)
def test_who_is_told_is_what_the_policy_says(
    routes: list[dict[str, Any]], people: dict[str, Any], cause: Cause
) -> None:
    told = Directory(
        notice_routes({"notices": routes, "recipients": people}), frozenset(AGENCIES), ["himbara"], "Asia/Jakarta"
    ).plan(cause)
    levels, awaited = expected(routes, people, cause)
    assert [{each.recipient: each.moment for each in level} for level in told.levels] == levels
    assert (told.within is not None) == awaited


def test_everybody_goes_by_the_clocks_of_their_own_region() -> None:
    people = [{"name": "a", "role": "rt", "region": "91"}, {"name": "b", "role": "rt", "region": "64"},
              {"name": "c", "role": "rt"}]  # fmt: skip
    notices = [{"kinds": ["report"], "to": to} for to in ({"officers": "rt"}, {"agency": "dpmd"})]
    directory = Directory(
        notice_routes({"notices": notices, "recipients": {"rt": people}}), {"dpmd"}, [], "Asia/Jakarta"
    )
    for region, zones in (
        ("91.71", {"rt/a": "Asia/Jayapura", "rt/c": "Asia/Jayapura", "dpmd": "Asia/Jayapura"}),
        ("64.72", {"rt/b": "Asia/Makassar", "rt/c": "Asia/Makassar", "dpmd": "Asia/Makassar"}),
        (None, {"rt/c": "Asia/Jakarta", "dpmd": "Asia/Jakarta"}),
    ):
        (level,) = directory.plan(Cause("report", None, None, [], [], region)).levels
        assert {each.recipient: each.terms.zone for each in level} == zones


def test_what_cannot_be_read_of_the_routes_is_passed_over() -> None:
    told = notice_routes({
        "notices": [{"kinds": ["later"], "to": {"agency": "a"}}, "x",
                    {"kinds": ["case"], "to": {"agency": "dpmd"}, "new": 1}],
        "recipients": {"rt": [{"name": "a"}, {"name": "b", "role": "rt"}], "rw": 3},
    })  # fmt: skip
    assert [route.kinds for route in told.notices] == [["case"]]
    assert [officer.name for officer in told.recipients["rt"]] == ["b"]
    for nothing in (None, [], "x", {"notices": {}, "recipients": []}):
        assert notice_routes(nothing).notices == ()


# -- when --------------------------------------------------------------------------------------------------------

hours = st.times().map(lambda at: at.replace(second=0, microsecond=0))
instants = st.integers(0, 2 * 365 * 86_400).map(lambda s: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
zones = st.sampled_from(["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"])


def quiet_minutes(first: time, last: time) -> set[int]:
    """The minutes of the day that are quiet, counted one by one."""
    start, end = (each.hour * 60 + each.minute for each in (first, last))
    return {m % 1_440 for m in range(start, end if start < end else end + 1_440)}


@given(instants, zones, hours, hours)
@settings(max_examples=100, deadline=None)
def test_quiet_hours_are_over_when_they_are(at: datetime, zone: str, first: time, last: time) -> None:
    if first == last:
        return
    terms = Terms(("email",), None, zone, first, last, None)
    told = after_quiet(terms, at)
    local = at.astimezone(ZoneInfo(zone))
    minutes, quiet = 0, quiet_minutes(first, last)
    while (local.hour * 60 + local.minute + minutes) % 1_440 in quiet:
        minutes += 1
    if minutes:
        assert told == local.replace(second=0, microsecond=0) + timedelta(minutes=minutes)
        assert told.astimezone(ZoneInfo(zone)).time() == last
    else:
        assert told == at
    assert after_quiet(terms, told) == told


@pytest.mark.parametrize(
    ("zone", "at", "told"),
    [
        ("Asia/Jakarta", "2026-03-02T13:59:00Z", "2026-03-02T13:59:00Z"),  # 20:59
        ("Asia/Jakarta", "2026-03-02T14:00:00Z", "2026-03-02T23:00:00Z"),
        ("Asia/Makassar", "2026-03-02T13:00:00Z", "2026-03-02T22:00:00Z"),
        ("Asia/Jayapura", "2026-03-02T12:00:00Z", "2026-03-02T21:00:00Z"),
        ("Asia/Jakarta", "2026-03-02T17:00:00Z", "2026-03-02T23:00:00Z"),  # midnight
        ("Asia/Jakarta", "2026-12-31T22:59:00Z", "2026-12-31T23:00:00Z"),
        ("Asia/Jakarta", "2026-03-02T23:00:00Z", "2026-03-02T23:00:00Z"),
    ],
)
def test_quiet_from_21_to_06(zone: str, at: str, told: str) -> None:
    terms = Terms(("email",), None, zone, time(21), time(6), None)
    assert after_quiet(terms, datetime.fromisoformat(at)) == datetime.fromisoformat(told)


@given(instants, zones, st.integers(1, 5), st.integers(0, 8))
def test_who_has_been_told_enough_hears_the_next_day(at: datetime, zone: str, at_most: int, today: int) -> None:
    goes = goes_at(Terms(("email",), None, zone, None, None, at_most), at, today, time(7))
    day: date = at.astimezone(ZoneInfo(zone)).date()
    if today < at_most:
        assert goes == at
    else:
        local = goes.astimezone(ZoneInfo(zone))
        assert (local.date(), local.time()) == (day + timedelta(days=1), time(7))


def test_the_next_hour_is_always_later() -> None:
    now = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
    assert next_hour(time(7), "Asia/Jakarta", now) == now + timedelta(days=1)
    assert next_hour(time(7), "Asia/Makassar", now) == now + timedelta(hours=23)


def test_the_example_policy_lets_a_fire_climb_and_other_reports_wait_for_the_morning() -> None:
    example = load((Path(__file__).parents[3] / "contracts" / "examples" / "semarang.yaml").read_text())
    directory = province(example).directory

    def plan(kind: NoticeKind, verdict: str) -> tuple[list[list[str]], list[str], Terms, str]:
        told = directory.plan(Cause(kind, verdict, None, [], ["himbara-bpnt"], "33.74.08.1006"))
        first = told.levels[0][0]
        levels = [[hearer.recipient.partition("/")[0] for hearer in level] for level in told.levels]
        return levels, [hearer.moment for hearer in told.levels[0]], first.terms, str(told.within)

    levels, moments, terms, within = plan("report", "fire")
    assert (levels, moments, within) == ([["lurah"], ["camat"], ["kota"], ["pimpinan"]], ["now"], "1:00:00")
    assert (terms.channels[0], terms.quiet_from, terms.at_most) == ("sms", None, None)
    levels, _, terms, within = plan("report", "unserved_poor")
    assert (levels, within) == ([["lurah"], ["camat"], ["kota"]], "1 day, 0:00:00")
    assert (terms.channels[0], terms.quiet_from, terms.quiet_to, terms.at_most) == ("whatsapp", time(21), time(5), 10)
    levels, moments, _, _ = plan("finding", "paid_to_deceased")
    assert (levels, moments) == ([["kota", "himbara-bpnt"], ["pimpinan"]], ["now", "digest"])
    assert plan("suspect", "duplicate")[:2] == ([["dinsos-jateng"]], ["digest"])
    assert directory.kinds == {"report", "finding", "case", "suspect"}
