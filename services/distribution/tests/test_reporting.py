"""The report adds up: by whatever it is grouped, to the rupiah, and each payout and overlap in it once."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tepat_demo import oracle
from tepat_distribution import cases_api, reporting
from tepat_distribution.cases import CASES
from tepat_distribution.reporting import COVERED, FIGURES

from .conftest import (
    ANI,
    BUDI,
    CITRA,
    KENANGA,
    MAWAR,
    MELATI,
    PKH_BLT,
    PKH_BPNT,
    PKH_SB,
    REGION,
    Event,
    Ledger,
    Registry,
    agency,
    decided,
    ended,
    kk,
    lives,
    merged,
    nik,
    payout,
    policy,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

TODAY = datetime(2026, 5, 1, 9, tzinfo=UTC)
ELSEWHERE = "33.74.02.1005"
JEPARA = "33.20.01.2001"
OF = {"PKH": "dinsos", "SB": "dinsos", "BPNT": "himbara", "BLT-DD": "dpmd"}
STRATEGIES = {"PKH": "lower_burdens", "BPNT": "lower_burdens", "BLT-DD": "shrink_pockets", "SB": None}


UNITS = {"PKH": "household", "BLT-DD": "person"}
"""Of the programmes that have criteria."""


def strategic(document: dict[str, Any]) -> dict[str, Any]:
    """The policy, its programmes with what they are for, and whom two of them are for."""
    programmes = [
        each | {"strategy": STRATEGIES[code]} | ({"criteria": "true", "unit": UNITS[code]} if code in UNITS else {})
        for each in document["programmes"] for code in [each["code"]]
    ]  # fmt: skip
    return {**document, "programmes": programmes}


async def report(client: httpx.AsyncClient, status: int = 200, **asked: Any) -> dict[str, Any]:
    answer = await client.get("report", params=asked)
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    return told


def asked(ledger: Ledger, *regions: str) -> Any:
    routers = (make(ledger.database, ledger.standing, lambda: TODAY) for make in (reporting.router, cases_api.router))
    return ledger.asked(*routers, regions=regions)


# --- it adds up ---------------------------------------------------------------------------------------------------

Q1, JANUARY = ("2026-01-01", "2026-03-31"), ("2026-01-01", "2026-01-31")
days = st.sampled_from([Q1, Q1, Q1, JANUARY, ("2026-03-15", "2026-06-30"), ("2026-06-01", "9999-12-31")])
amounts = st.sampled_from([0, 1, 200_000, 750_000, 2_500_000, 9_000_000_000_000_000_000])
regions = st.sampled_from([REGION, REGION, ELSEWHERE, "33.74.02", "33.74", "33", JEPARA])
of_programme = st.sampled_from(["PKH", "BPNT", "BLT-DD", "SB"])
numbers, revisions = st.integers(1, 2), st.integers(0, 2)
paid = st.builds(
    lambda programme, n, of, card, days, amount, state, revision, region: payout(
        f"{programme}-{n}", programme, of, card, by=OF[programme], days=days, amount=amount, state=state,
        revision=revision, region=region,
    ),
    of_programme, numbers, st.sampled_from([ANI, BUDI]), st.sampled_from([MAWAR, MAWAR, MELATI]), days, amounts,
    st.sampled_from(["planned", "disbursed"]),
    revisions, regions,
)  # fmt: skip
over = st.builds(
    lambda programme, n, state, revision: ended(f"{programme}-{n}", state, by=OF[programme], revision=revision),
    of_programme, numbers, st.sampled_from(["cancelled", "returned"]), st.integers(1, 2),
)  # fmt: skip
histories = st.tuples(
    st.lists(paid, min_size=4, max_size=8), st.lists(over, min_size=1, max_size=4),
    st.lists(st.one_of(paid, over), max_size=3),
)  # fmt: skip
GROUPINGS = [
    ["programme"], ["strategy"], ["agency"], ["kabupaten"], ["kelurahan", "programme"], ["month"],
    ["quarter", "kecamatan", "agency", "strategy", "programme"],
]  # fmt: skip

decisions = st.dictionaries(
    st.sampled_from([
        *(("PKH", kk(card)) for card in (MAWAR, MELATI, KENANGA)), *(("BLT-DD", nik(of)) for of in (ANI, BUDI, CITRA)),
    ]),
    st.tuples(
        st.sampled_from(["eligible", "eligible", "ineligible", "needs_verification", "unknown"]),
        st.sampled_from([REGION, ELSEWHERE, JEPARA, None]),
    ),
)  # fmt: skip

Cells = dict[str, list[int]]


def keyed(by: list[str], programme: str, of: str, region: str, day: str) -> tuple[Any, ...]:
    """A line by its words, worked out from text alone."""
    month = int(day[5:7])
    values = {
        "programme": programme, "strategy": STRATEGIES[programme], "agency": of,
        "kabupaten": ".".join(region.split(".")[:2]), "kecamatan": ".".join(region.split(".")[:3]), "kelurahan": region,
        "month": day[:7], "quarter": f"{day[:4]}-Q{1 + (month > 3) + (month > 6) + (month > 9)}",
    }  # fmt: skip
    return tuple(values[each] for each in by)


def whose_end(row: Any, announced: list[Event]) -> set[str]:
    """The overlaps that a payout stood in when it ended, as was announced: it was not told as live again since."""
    last = {each["data"]["overlap_id"]: each["data"] for each in announced}
    return {
        overlap_id
        for overlap_id, data in last.items()
        for side in data["payouts"]
        if (side["agency"], side["payout_id"]) == (row["agency"], row["payout_id"])
        and row["rank"] > 1
        and side.get("ended", -1) >= row["told_revision"]
    }


def saved(row: Any) -> list[str]:
    """What became of the money of a payout that ended."""
    return ["recovered"] if row["rank"] == 3 else ["prevented"] if row["told_rank"] == 0 else []


def plain(
    rows: list[Any], announced: list[Event], by: list[str], inside: Callable[[str, str], bool]
) -> dict[tuple[Any, ...], Cells]:
    """The report summed row by row over the ledger and over what was announced."""
    cells: dict[tuple[Any, ...], Cells] = defaultdict(lambda: {figure: [0, 0] for figure in FIGURES})

    def count(figure: str, programme: str, of: str, region: str, day: str, amount: int) -> None:
        if inside(region, day):
            cell = cells[keyed(by, programme, of, region, day)][figure]
            cell[0] += 1
            cell[1] += amount

    for row in rows:
        if row["programme"] is None:
            continue
        day = row["starts"].isoformat()
        figures = [("planned", "disbursed", "cancelled", "returned")[row["rank"]]]
        if row["rank"] == 0 and row["ends"] < TODAY.date():
            figures.append("unclaimed")
        if whose_end(row, announced):
            figures += saved(row)
        for figure in figures:
            count(figure, row["programme"], row["agency"], row["region"], day, row["amount"])
    last = {each["data"]["overlap_id"]: each for each in announced}
    for each in last.values():
        if each["type"] == "tepat.overlap.detected.v1":
            data = each["data"]
            second = data["payouts"][1]
            count(
                "overlaps", second["programme"], second["agency"], data["region"], data["during"]["from"],
                data["amount_at_risk"],
            )  # fmt: skip
    return cells


def covered(
    rows: list[Any], decisions: dict[tuple[str, str], tuple[str, str | None]], level: int | None, area: str,
    since: str, until: str,
) -> dict[tuple[str, str | None], tuple[Any, ...]]:  # fmt: skip
    """Who was paid and who is eligible, by programme and area, person by person; of what has criteria."""
    sets: dict[tuple[str, str | None], list[set[str]]] = defaultdict(lambda: [set(), set(), set(), set()])

    def place(programme: str, region: str | None) -> tuple[str, str | None]:
        return programme, None if level is None or region is None else ".".join(region.split(".")[:level])

    def inside(region: str | None) -> bool:
        return not area or f"{region}.".startswith(f"{area}.")

    eligible = {of: region for of, (verdict, region) in decisions.items() if verdict == "eligible"}
    paid = set()
    for row in rows:
        if row["rank"] == 1 and since <= row["starts"].isoformat() <= until:
            unit = UNITS.get(row["programme"], "household")
            of = row["programme"], str(row[unit])
            paid.add(of)
            if inside(row["region"]):
                there = sets[place(of[0], row["region"])]
                there[0].add(of[1])
                there[1] |= {of[1]} - {subject for programme, subject in eligible if programme == of[0]}
    for of, region in eligible.items():
        if inside(region):
            there = sets[place(of[0], region)]
            there[2].add(of[1])
            there[3] |= {of[1]} if of in paid else set()
    return {
        key: tuple(len(each) if key[0] in UNITS or each is found[0] else None for each in found)
        for key, found in sets.items()
    }


LEDGER = """
select a.code as agency, payout_id, rank, amount, starts, ends, region, pr.code as programme,
       (last_told).rank as told_rank, (last_told).revision as told_revision, person, household
from payout p join agency a on a.id = p.agency left join programme pr on pr.id = p.programme"""


@given(histories, decisions, st.lists(st.sampled_from(["hold", "uphold", "release", "waive"]), min_size=2, max_size=2))
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_whatever_it_is_grouped_by_the_sums_are_those_of_the_ledger(
    ledger: Ledger,
    history: tuple[list[Event], ...],
    decisions: dict[tuple[str, str], tuple[str, str | None]],
    judgements: list[str],
) -> None:
    await ledger.empty()
    await ledger.follow(strategic(policy(PKH_BPNT, PKH_BLT, PKH_SB)))
    for batch, judgement in zip(history, [*judgements, None], strict=True):
        await ledger.take(batch)
        await ledger.judge()
        if judgement is not None:
            await judge_one(ledger, judgement)
    await ledger.decide([
        decided(of, verdict, programme, UNITS[programme], region=region)
        for (programme, of), (verdict, region) in decisions.items()
    ])  # fmt: skip
    rows = list(await ledger.database.pool.fetch(LEDGER))
    announced = [orjson.loads(each.value or b"") for each in await ledger.sent()]
    told = {data["overlap_id"]: data for data in (orjson.loads(each.value or b"")["data"]
                                                  for each in await ledger.sent(CASES))}  # fmt: skip

    async def holds(client: httpx.AsyncClient, by: list[str], area: str = "", **wanted: str) -> None:
        since, until = wanted.get("from", "0001-01-01"), wanted.get("to", "9999-12-31")

        def inside(region: str, day: str) -> bool:
            return since <= day <= until and f"{region}.".startswith(f"{area}." if area else "")

        told = await report(client, by=by, **wanted)
        lines = {
            tuple(line[each] for each in by): {
                figure: [line[figure]["number"], line[figure]["amount"]] for figure in FIGURES
            }
            for line in told["items"]
        }
        assert len(lines) == len(told["items"])
        assert lines == plain(rows, announced, by, inside)
        whole = plain(rows, announced, [], inside).get((), {figure: [0, 0] for figure in FIGURES})
        assert {each: [*told["total"][each].values()] for each in FIGURES} == whole
        assert told["pending"] == 0

    async def covers(client: httpx.AsyncClient, level: str | None, area: str = "", **wanted: str) -> None:
        since, until = wanted.get("from", "0001-01-01"), wanted.get("to", "9999-12-31")
        by = ["programme", *([level] if level else [])]
        told = await report(client, by=by, receiving=True, **wanted)
        lines = {
            (line["programme"], line[level] if level else None): tuple(line[name] for name in COVERED)
            for line in told["items"]
        }
        places = {"kecamatan": 3, "kabupaten": 2, None: None}
        should = covered(rows, decisions, places[level], area, since, until)
        empty = {
            of: (0, *[0 if of[0] in UNITS else None] * 3) for of in lines
        }  # where nobody was paid, and is eligible
        assert lines == empty | should
        for line in told["items"]:
            assert not line["eligible"] or line["coverage"] == round(line["covered"] / line["eligible"], 4) <= 1
            if level is None and not area and line["programme"] in UNITS:
                assert line["receiving"] == line["covered"] + line["not_eligible"]

    async with asked(ledger) as client:
        for by in GROUPINGS:
            await holds(client, by)
        await holds(client, ["month", "programme"], **{"from": "2026-01-02", "to": "2026-12-31"})
        await holds(client, ["kelurahan", "programme"], "33.74", region="33.74")
        await covers(client, None)
        await covers(client, "kecamatan")
        await covers(client, "kabupaten", "33.74", region="33.74")
        await covers(client, None, **{"from": "2026-01-02", "to": "2026-12-31"})
        await ties(client, rows, announced, told)
    async with asked(ledger, "33.74.02", "33.20") as client:
        await holds(client, ["programme"], "33.74.02", region="33.74.02")
        await covers(client, "kecamatan", "33.74.02", region="33.74.02")


async def judge_one(ledger: Ledger, judgement: str) -> None:
    """Judge the first overlap that stands; a judgement that is refused changes nothing."""
    async with asked(ledger) as client:
        for case in (await client.get("cases", params={"limit": 1})).json()["items"]:
            why = {"reason": "looked into", "basis": "Perda 1", "revision": case["overlap_revision"]}
            await client.post(f"cases/{case['overlap_id']}/{judgement}", json=why)


async def ties(
    client: httpx.AsyncClient, rows: list[Any], announced: list[Event], told: dict[str, dict[str, Any]]
) -> None:
    """The figures of cases are those of payouts whose end cleared an overlap that the policy excludes, unless somebody
    let it go, or that somebody held; with what they leave beside they are the report's.
    """
    figures = (await client.get("cases/figures")).json()
    whole = (await report(client))["total"]
    judged = {
        overlap_id
        for overlap_id, data in told.items()
        if data.get("was", "open") in ("held", "upheld")
        or (data.get("was", "open") == "open" and data["verdict"] == "exclusive")
    }
    should = {"prevented": 0, "recovered": 0}
    for row in rows:
        if whose_end(row, announced) & judged:
            for figure in saved(row):
                should[figure] += row["amount"]
    for figure, amount in should.items():
        assert figures["total"][figure] == amount
        assert figures["total"][figure] + figures["beside"][figure] == whole[figure]["amount"]
        assert sum(item[figure] for item in figures["items"]) == figures["total"][figure]


# --- what each figure is ------------------------------------------------------------------------------------------


def figures(told: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {each: (told[each]["number"], told[each]["amount"]) for each in FIGURES if told[each]["number"]}


async def test_a_payout_counts_once_in_its_present_state(ledger: Ledger) -> None:
    await ledger.take([
        payout("late", state="planned", days=("2026-01-01", "2026-03-31"), amount=1),
        payout("due", state="planned", days=("2026-04-01", "2026-06-30"), amount=2, of=BUDI, card=MELATI),
        payout("paid", "BLT-DD", by="dpmd", days=("2026-01-01", "2026-01-31"), amount=4),
        payout("stopped", "BLT-DD", state="planned", by="dpmd", days=("2026-02-01", "2026-02-28"), amount=8),
        payout("back", "BLT-DD", by="dpmd", days=("2026-03-01", "2026-03-31"), amount=16),
        payout("void", "BLT-DD", by="dpmd", days=("2026-03-01", "2026-03-02"), amount=32, of=CITRA, card=MELATI),
    ])  # fmt: skip
    await ledger.judge()
    async with asked(ledger) as client:
        # late with each of BLT-DD's three in Mawar: the lesser amount at risk
        assert figures((await report(client))["total"]) == {
            "planned": (3, 11), "disbursed": (3, 52), "unclaimed": (2, 9), "overlaps": (3, 3),
        }  # fmt: skip
        await ledger.take([
            ended("stopped", by="dpmd"), ended("back", "returned", by="dpmd"), ended("void", by="dpmd"),
            ended("never-told", by="dpmd"),
        ])  # fmt: skip
        await ledger.judge()
        told = await report(client, by=["programme"])
        assert figures(told["total"]) == {
            "planned": (2, 3), "disbursed": (1, 4), "cancelled": (2, 40), "returned": (1, 16), "unclaimed": (1, 1),
            "overlaps": (1, 1), "prevented": (1, 8), "recovered": (1, 16),
        }  # fmt: skip
        assert [line["programme"] for line in told["items"]] == ["BLT-DD", "PKH"]
        assert told["ends_alone"] == 1
        # Taken back and paid again, it is paid and nothing else.
        await ledger.take(
            [payout("back", "BLT-DD", by="dpmd", revision=1, amount=16, days=("2026-03-01", "2026-03-31"))]
        )
        assert figures((await report(client))["total"])["disbursed"] == (2, 20)
    async with asked(ledger, "33.74") as client:
        assert (await report(client))["ends_alone"] is None


async def test_who_was_paid_is_counted_once(ledger: Ledger) -> None:
    document = policy(agencies=[agency("dinsos", "PKH", "PIP")], programmes=["PKH", "PIP"], repeatable=())
    document["programmes"][1]["unit"] = "person"
    await ledger.follow(document)
    registry = Registry()
    await ledger.hear(registry.learn([lives(ANI, MAWAR), lives(BUDI, MAWAR), merged(CITRA, ANI)]))
    await ledger.take([
        payout("a"), payout("b", of=BUDI), payout("c", of=BUDI, region=ELSEWHERE, days=("2026-04-01", "2026-04-30")),
        payout("d", "PIP"), payout("e", "PIP", of=CITRA, days=("2026-05-01", "2026-05-31")),
        payout("f", "PIP", of=BUDI),
        payout("g", "PIP", of=BUDI, card=MELATI, state="planned", days=("2026-06-01", "2026-06-30")),
    ])  # fmt: skip
    async with asked(ledger) as client:
        told = await report(client, receiving=True)
        assert [(line["programme"], line["receiving"]) for line in told["items"]] == [("PIP", 2), ("PKH", 1)]
        told = await report(client, receiving=True, by=["programme", "kecamatan"])
        assert Counter({(line["programme"], line["kecamatan"]): line["receiving"] for line in told["items"]}) == {
            ("PKH", REGION[:8]): 1, ("PKH", ELSEWHERE[:8]): 1, ("PIP", REGION[:8]): 2,
        }  # fmt: skip
        await report(client, 422, receiving=True, by=["programme", "month"])


async def test_what_it_cannot_tell_is_refused_in_words(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await ledger.take([payout("a"), payout("b", region=ELSEWHERE)])
    async with asked(ledger) as client:
        assert "one level of area" in (await report(client, 422, by=["kabupaten", "kelurahan"]))["detail"]
        assert "one length of period" in (await report(client, 422, by=["month", "quarter"]))["detail"]
        assert "ends before" in (await report(client, 422, **{"from": "2026-02-01", "to": "2026-01-01"}))["detail"]
        for no_day in ("1795392000", "2026-01-01T00:00:00"):
            await report(client, 422, **{"from": no_day})
        await report(client, 422, programme="NONE")
        await report(client, 422, by=["village"])
        monkeypatch.setattr(reporting, "MOST_LINES", 1)
        assert "lines" in (await report(client, 422, by=["kelurahan"]))["detail"]


def test_periods_have_names() -> None:
    assert [reporting.period(date(2026, month, 1), "quarter") for month in (1, 3, 4, 12)] == [
        "2026-Q1", "2026-Q1", "2026-Q2", "2026-Q4",
    ]  # fmt: skip
    assert reporting.period(date(2026, 4, 1), "month") == "2026-04"


async def test_the_last_announcement_is_what_is_reported(ledger: Ledger) -> None:
    """The figures of overlaps are those of whoever folds the topic."""
    await ledger.take([payout("a", amount=5), payout("b", "BPNT", by="himbara", amount=3)])
    await ledger.judge()
    await ledger.take([payout("b", "BPNT", by="himbara", amount=2, revision=1)])
    async with asked(ledger) as client:
        assert (await report(client))["pending"] == 1
    await ledger.judge()
    folded = oracle.fold(await ledger.sent())
    async with asked(ledger) as client:
        total = (await report(client))["total"]["overlaps"]
    assert total == {"number": len(folded), "amount": sum(each["amount_at_risk"] for each in folded.values())}
    assert total == {"number": 1, "amount": 2}
