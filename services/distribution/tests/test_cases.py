"""Cases on a real database: what people do over HTTP, what reopens and ends them, when they are overdue, and what came
of the money.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import orjson
import pytest
import pytest_asyncio
from fastapi import FastAPI
from tepat_chassis.auth import Person, Right, authenticated
from tepat_chassis.subjects import Subject
from tepat_contracts.cases import case_code
from tepat_contracts.envelope import UNDATED
from tepat_distribution import api, cases, cases_api, rebuild
from tepat_distribution.cases import CASES, Deadlines
from tepat_distribution.domain import overlap_id

from .conftest import (
    ANI,
    BUDI,
    CITRA,
    DEWI,
    KENANGA,
    MAWAR,
    MELATI,
    NOW,
    PKH_BLT,
    PKH_BPNT,
    REGION,
    SQL,
    Ledger,
    ended,
    kk,
    nik,
    payout,
    policy,
)

pytestmark = pytest.mark.integration

BLT = overlap_id("dinsos", "p1", "dpmd", "d1")
BPNT = overlap_id("dinsos", "p1", "himbara", "b1")
ALL = frozenset(Right)
WHY = {"reason": "looked into", "basis": "Perda 1/2026"}
TERMS = {"within": "P14D", "waive_alone_up_to": 700_000}


def person(sub: str, *rights: Right, regions: tuple[str, ...] = ()) -> Person:
    return Person(sub, sub.title(), frozenset(rights) or ALL, regions)


class Desk:
    """Cases over HTTP, as whoever is at the desk, on a clock that tests turn."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.who = person("rini")
        self.now = NOW
        app = FastAPI()
        app.include_router(cases_api.router(ledger.database, ledger.standing, lambda: self.now), prefix="/v1")
        app.dependency_overrides[authenticated] = lambda: self.who
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x/v1")
        self._deadlines = Deadlines(lambda: self.now)
        self._looked_at = 0

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self._client.get(f"/cases{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def act(self, which: UUID | str, what: str, by: str = "rini", /, **said: Any) -> httpx.Response:
        """Act on what stands, unless `revision` is said."""
        self.who = person(by) if self.who.sub != by else self.who
        if "revision" not in said:
            said["revision"] = (await self.get(f"/{which}"))["overlap_revision"]
        return await self._client.post(f"/cases/{which}/{what}", json=said if "to" in said else {**WHY, **said})

    async def done(self, which: UUID | str, what: str, by: str = "rini", /, **said: Any) -> dict[str, Any]:
        answer = await self.act(which, what, by, **said)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def overdue(self) -> int:
        """Let the duty tell all that is overdue; in how many steps."""
        steps = 0
        async with self.ledger.database.pool.acquire() as connection:
            while await self._deadlines.step(connection):
                steps += 1
        return steps

    async def told(self) -> list[tuple[str, str]]:
        """State and act of every record on the topic since the last look; each is one revision further."""
        records = await self.ledger.sent(CASES)
        told = [orjson.loads(record.value or b"")["data"] for record in records]
        last: Counter[str] = Counter()
        for data in told:
            last[data["overlap_id"]] += 1
            assert data["revision"] == last[data["overlap_id"]]
        new, self._looked_at = told[self._looked_at :], len(told)
        return [(data["state"], data["act"]) for data in new]

    async def released(self) -> set[UUID]:
        return {row["overlap_id"] for row in await self.ledger.database.pool.fetch("select overlap_id from released")}

    async def marks(self) -> set[str]:
        rows = await self.ledger.database.pool.fetch("select unnest(payout_ids) as payout from mark")
        return {row["payout"] for row in rows}

    async def close(self) -> None:
        await self._client.aclose()


@pytest_asyncio.fixture
async def desk(ledger: Ledger) -> AsyncIterator[Desk]:
    made = Desk(ledger)
    await ledger.follow(policy(PKH_BPNT, PKH_BLT, version="cases") | {"cases": TERMS})
    await ledger.judge()
    yield made
    await made.close()


PKH = payout("p1", state="planned")
VILLAGE = payout("d1", "BLT-DD", of=BUDI, by="dpmd", amount=600_000, state="planned")
FOOD = payout("b1", "BPNT", of=BUDI, by="himbara", amount=400_000, state="planned")


async def announced(ledger: Ledger, *payouts: dict[str, Any]) -> None:
    await ledger.take(payouts)
    await ledger.judge()


async def test_every_overlap_that_stands_is_a_case_though_nobody_touched_it(desk: Desk) -> None:
    await announced(desk.ledger, PKH, VILLAGE, FOOD)
    items = {each["overlap_id"]: each for each in (await desk.get(""))["items"]}
    assert set(items) == {str(BLT), str(BPNT)}
    assert items[str(BLT)] | {"payouts": None, "announced_at": None} == {
        "overlap_id": str(BLT), "code": case_code(BLT), "state": "open", "revision": 0, "overlap_revision": 1,
        "assigned_to": None, "proposed_by": None, "last_act": None, "announced_at": None,
        "deadline": (NOW + timedelta(days=14)).isoformat().replace("+00:00", "Z"), "overdue": False,
        "verdict": "exclusive", "rule": "pkh-blt", "during": {"from": "2026-01-01", "to": "2026-03-31"},
        "amount_at_risk": 600_000, "region": REGION, "payouts": None,
    }  # fmt: skip
    assert items[str(BPNT)]["deadline"] is None
    assert await desk.told() == []
    found = [
        [each["overlap_id"] for each in (await desk.get("", **asked))["items"]]
        for asked in (
            {"verdict": "review"}, {"programme": "BLT-DD"}, {"agency": "himbara"}, {"region": "33.71"},
            {"state": "held"}, {"overdue": "true"}, {"assigned_to": "rini"}, {"state": "closed"},
        )
    ]  # fmt: skip
    assert found == [[str(BPNT)], [str(BLT)], [str(BPNT)], [], [], [], [], []]
    first = await desk.get("", limit=1)
    rest = await desk.get("", limit=1, cursor=first["next"])
    assert [each["overlap_id"] for each in first["items"] + rest["items"]] == sorted(items)


async def test_what_is_done_in_a_case_is_told_recorded_and_one_timeline(desk: Desk) -> None:
    await announced(desk.ledger, PKH, VILLAGE)
    code = case_code(BLT)
    assert (await desk.done(code, "assign", "kepala", to="rini"))["assigned_to"] == "rini"
    assert (await desk.done(code.lower(), "hold", reason=f"{ANI} has chosen"))["state"] == "held"
    assert await desk.released() == set()
    assert await desk.marks() == {"p1", "d1"}
    assert (await desk.done(BLT, "waive"))["deadline"] is None
    assert await desk.released() == {BLT}
    assert await desk.marks() == {"p1", "d1"}
    assert [each["state"] for each in (await desk.get("", state="waived"))["items"]] == ["waived"]
    await desk.ledger.judge()
    desk.now += timedelta(hours=1)
    told = await desk.done(BLT, "uphold", "budi", reason="both were paid before")
    assert (told["state"], told["revision"], told["last_act"]["by"]) == ("upheld", 4, "budi")
    assert await desk.released() == set()
    assert await desk.marks() == {"p1", "d1"}
    assert await desk.told() == [
        ("open", "assigned"), ("held", "held"), ("waived", "waived"), ("upheld", "upheld")
    ]  # fmt: skip
    case = await desk.get(f"/{BLT}")
    assert [step["what"] for step in case["timeline"]] == [
        "payout planned", "payout planned", "overlap announced", "assigned", "held", "waived", "upheld"
    ]  # fmt: skip
    assert ANI not in orjson.dumps(case).decode()
    assert [(each["payout_id"], each["state"], each["amount"]) for each in case["payouts"]] == [
        ("p1", "planned", 750_000), ("d1", "planned", 600_000)
    ]  # fmt: skip
    acts = await desk.ledger.database.pool.fetch("select who, act, target, persons from act order by id")
    assert [(row["who"], row["act"]) for row in acts] == [
        ("kepala", "case.assigned"), ("rini", "case.held"), ("rini", "case.waived"), ("budi", "case.upheld")
    ]  # fmt: skip
    assert {row["target"] for row in acts} == {str(BLT)}
    assert {str(each) for each in acts[0]["persons"]} == {nik(ANI), nik(BUDI)}
    subject = Subject(persons=[UUID(nik(BUDI))], purpose="asked for")
    async with desk.ledger.database.pool.acquire() as connection:
        (held,) = (await api.held(connection, person("officer"), subject))["cases"]
    assert [each["act"] for each in held["acts"]] == ["assigned", "held", "waived", "upheld"]
    assert not {nik(ANI), nik(BUDI), kk(MAWAR)} & set(str(held).split("'"))  # it keeps nobody


async def test_the_timeline_tells_every_event_announcement_and_act_in_whatever_order_they_came(desk: Desk) -> None:
    ledger = desk.ledger
    events = [
        PKH, VILLAGE, payout("p1"), payout("d1", "BLT-DD", of=BUDI, by="dpmd", amount=500_000, revision=1),
        ended("p1", "returned", time=UNDATED),
    ]  # fmt: skip
    records = [ledger.append(told) for told in events]
    told = []
    for turn in (records, [*records[::-1], *records]):
        await ledger.database.pool.execute(
            "".join(f"delete from {each};" for each in ("payout", "payout_event", "overlap", "announcement", "mark"))
        )
        async with ledger.taking_records(turn[:2]):
            pass
        await ledger.judge()
        async with ledger.taking_records(turn[2:]):
            pass
        await ledger.judge()
        if turn is not records:  # nothing overlapped by then: one more announcement, so that there is a case
            await announced(ledger, payout("p1", revision=1))
        told.append((await desk.get(f"/{BLT}"))["timeline"])
    paid = [
        [{name: step.get(name) for name in ("at", "dated", "what", "payout", "amount")} for step in each
         if "payout" in step and step["revision"] < 1 + (step["payout"] != "dinsos/p1")]
        for each in told
    ]  # fmt: skip
    assert paid[0] == paid[1]
    assert [(each["what"], each["payout"], each["amount"], each["dated"] is not None) for each in paid[0]] == [
        ("payout planned", "dinsos/p1", 750_000, True), ("payout planned", "dpmd/d1", 600_000, True),
        ("payout disbursed", "dinsos/p1", 750_000, True), ("payout disbursed", "dpmd/d1", 500_000, True),
        ("payout returned", "dinsos/p1", 750_000, False),
    ]  # fmt: skip
    beside = [step for step in told[0] if "payout" not in step]
    assert [(step["what"], step["overlap_revision"], step.get("reason")) for step in beside] == [
        ("overlap announced", 1, None), ("overlap cleared", 2, "payout_ended"), ("closed", 2, None)
    ]  # fmt: skip


@pytest.mark.parametrize("compacted", [True, False])
async def test_every_announcement_is_kept_and_those_on_the_topic_are_read_back(desk: Desk, compacted: bool) -> None:
    ledger = desk.ledger
    await announced(ledger, PKH, VILLAGE)
    await announced(ledger, payout("p1", revision=1, amount=500_000))
    await desk.done(BLT, "uphold")
    await announced(ledger, ended("d1", by="dpmd", revision=1))
    await announced(ledger, payout("d1", "BLT-DD", of=BUDI, by="dpmd", amount=600_000, state="planned", revision=2))

    async def told() -> list[tuple[Any, ...]]:
        steps = (await desk.get(f"/{BLT}"))["timeline"]
        names = ("overlap_revision", "what", "changed", "amount_at_risk", "reason")
        return [tuple(map(step.get, names)) for step in steps if step["what"].startswith("overlap")]

    every = [
        (1, "overlap announced", None, 600_000, None),
        (2, "overlap changed", ["amounts", "states", "revisions"], 500_000, None),
        (3, "overlap cleared", None, None, "payout_ended"),
        (4, "overlap announced", None, 500_000, None),
    ]
    assert await told() == every
    await rebuilt(ledger, compacted=compacted)
    assert await told() == (every[3:] if compacted else every)


async def test_facts_that_change_reopen_what_was_judged_and_an_end_closes_it(desk: Desk) -> None:
    ledger = desk.ledger
    await announced(ledger, PKH, VILLAGE, FOOD)
    await desk.done(BLT, "waive")
    await desk.done(BPNT, "uphold")
    await desk.told()
    await announced(ledger, payout("p1", state="disbursed"))  # it goes: what was let go
    assert await desk.told() == []
    assert await desk.released() == {BLT}
    await ledger.take([payout("p1", state="disbursed", revision=1, amount=500_000)])
    await ledger.judge(steps=1)
    assert sorted(await desk.told()) == [("open", "reopened"), ("open", "reopened")]
    assert await desk.released() == set()
    assert await desk.marks() == {"p1", "d1", "b1"}
    await announced(ledger, payout("p1", state="disbursed", revision=2))  # as it was judged: it is judged anew
    assert await desk.told() == []
    assert (await desk.get(f"/{BLT}"))["state"] == "open"
    await desk.done(BLT, "waive")
    await ledger.take([ended("d1", by="dpmd")])
    await ledger.judge()
    assert await desk.told() == [("waived", "waived"), ("closed", "closed")]
    assert await desk.released() == set()
    refused = await desk.act(BLT, "uphold")
    assert (refused.status_code, "has ended" in refused.text) == (409, True)
    assert {each["overlap_id"] for each in (await desk.get("", state="closed"))["items"]} == {str(BLT)}
    await announced(ledger, payout("d1", "BLT-DD", of=BUDI, by="dpmd", amount=600_000, state="planned", revision=1))
    assert await desk.told() == [("open", "reopened")]


async def test_who_looked_at_other_facts_or_comes_second_is_told_so_and_nothing_is_done(desk: Desk) -> None:
    await announced(desk.ledger, PKH, VILLAGE)
    await announced(desk.ledger, payout("p1", state="planned", amount=9, revision=1))
    refused = await desk.act(BLT, "waive", revision=1)
    assert refused.status_code == 409
    assert "you saw revision 1, it is at 2 now" in refused.text
    assert await desk.told() == []
    assert await desk.ledger.database.pool.fetchval("select count(*) from act") == 0
    answers = await asyncio.gather(*(desk.act(BLT, "uphold", revision=2) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert await desk.told() == [("upheld", "upheld")]


async def test_who_saw_another_case_is_told_what_was_done_meanwhile_and_overrules_nobody(desk: Desk) -> None:
    await announced(desk.ledger, PKH, VILLAGE)
    whats = ("uphold", "hold", "waive")
    answers = await asyncio.gather(*(desk.act(BLT, what, revision=1, case_revision=0) for what in whats))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    ((state, _),) = await desk.told()
    assert (await desk.get(f"/{BLT}"))["state"] == state
    desk.now += timedelta(days=1)
    await desk.done(BLT, "hold" if state != "held" else "uphold", "budi", case_revision=1)
    await desk.told()
    for seen in (0, 1, 3):
        refused = await desk.act(BLT, "release", "kepala", case_revision=seen)
        assert refused.status_code == 409
        english, indonesian = refused.json()["detail"].split(" / ")
        last = desk.now.astimezone(ZoneInfo("Asia/Jakarta")).isoformat(timespec="seconds")
        first = (desk.now - timedelta(days=1)).astimezone(ZoneInfo("Asia/Jakarta")).isoformat(timespec="seconds")
        assert f"you saw its revision {seen}, it is at 2 now: " in english
        assert f"{'upheld' if state == 'held' else 'held'} by budi at {last}" in english
        assert f"{'dinyatakan benar ganda' if state == 'held' else 'ditahan'} oleh budi pada {last}" in indonesian
        assert (f"{state} by rini at {first}" in english) == (seen == 0)
    assert await desk.told() == []
    # what nobody touched is at 0
    await announced(desk.ledger, FOOD)
    refused = await desk.act(BPNT, "hold", case_revision=2)
    assert (refused.status_code, "nothing was done in it" in refused.text) == (409, True)
    assert (await desk.done(BPNT, "hold", case_revision=0))["revision"] == 1


async def test_a_step_of_judging_that_did_not_see_an_act_is_made_again(desk: Desk) -> None:
    """It read its snapshot before somebody judged the facts that it announces otherwise."""
    ledger = desk.ledger
    await announced(ledger, PKH, VILLAGE)
    await ledger.take([payout("p1", state="planned", amount=9, revision=1)])
    async with ledger.database.pool.acquire() as late:
        await late.execute("begin isolation level repeatable read; select 1 from mark")
        await desk.done(BLT, "waive")
        with pytest.raises(Exception, match="could not serialize"):
            await late.execute("update overlap set revision = revision + 1")
        await late.execute("rollback")
    await ledger.judge()
    assert await desk.told() == [("waived", "waived"), ("open", "reopened")]
    assert await desk.released() == set()


async def test_a_large_waiver_takes_two_people(desk: Desk) -> None:
    large = payout("d1", "BLT-DD", of=BUDI, by="dpmd", amount=750_000, state="planned")
    await announced(desk.ledger, PKH, large)
    assert (await desk.done(BLT, "waive"))["proposed_by"] == "rini"
    assert await desk.released() == set()
    refused = await desk.act(BLT, "waive")
    assert (refused.status_code, "somebody else" in refused.text) == (409, True)
    await desk.done(BLT, "hold", "budi")
    step = (await desk.get(f"/{BLT}"))["timeline"][-1]
    assert (step["what"], step["by"], step["lapsed"]) == ("held", "budi", "rini")
    await desk.done(BLT, "waive")
    assert (await desk.done(BLT, "waive", "budi"))["state"] == "waived"
    assert await desk.released() == {BLT}
    assert await desk.told() == [
        ("open", "waive_proposed"), ("held", "held"), ("held", "waive_proposed"), ("waived", "waived")
    ]  # fmt: skip


async def test_rights_and_regions_are_asked(desk: Desk) -> None:
    await announced(desk.ledger, PKH, VILLAGE)
    whats = ("hold", "release", "uphold", "waive")

    async def refusals() -> list[int]:
        return [(await desk.act(BLT, what, desk.who.sub, revision=1)).status_code for what in whats]

    desk.who = person("tamu", Right.read)
    assert await refusals() == [403] * 4
    assert (await desk.act(BLT, "assign", "tamu", to="x", revision=1)).status_code == 403
    desk.who = person("jauh", *ALL, regions=("33.71", "33.74.01.1002"))
    assert await refusals() == [403] * 4
    assert (await desk.get(""))["items"] == []
    assert (await desk.get("/figures"))["items"] == []
    desk.who = person("dekat", Right.read, Right.resolve, regions=("33.74",))
    assert (await desk.act(BLT, "waive", "dekat", revision=1)).status_code == 403
    assert (await desk.act(BLT, "hold", "dekat", revision=1)).status_code == 200
    desk.who = person("rini")
    for wrong in ({"reason": "x"}, {"basis": None}, {"revision": 0}):
        assert (await desk.act(BLT, "waive", **{"revision": 1} | wrong)).status_code == 422
    assert (await desk.act("AAAAAAAA", "hold", revision=1)).status_code == 404
    assert (await desk.act("what", "hold", revision=1)).status_code == 404
    assert (await desk.act(UUID(int=1), "hold", revision=1)).status_code == 404


async def test_a_case_is_assigned_to_an_account_and_one_never_heard_of_is_told(desk: Desk) -> None:
    await announced(desk.ledger, PKH, VILLAGE)
    for wrong in ("", " ", "bu rini", "rini\n", "x" * 256, "rini\u200b"):
        refused = await desk.act(BLT, "assign", to=wrong)
        assert refused.status_code == 422
    assert "warning" not in await desk.done(BLT, "assign", to="rini")
    told = await desk.done(BLT, "assign", to="budi")
    assert told["assigned_to"] == "budi"
    assert "nobody has acted here as budi yet" in told["warning"]
    await desk.done(BLT, "hold", "budi")
    assert "warning" not in await desk.done(BLT, "assign", "rini", to="budi")
    assert (await desk.done(BLT, "assign", to="x" * 255))["assigned_to"] == "x" * 255


async def test_what_nobody_resolves_in_time_is_overdue_once(desk: Desk) -> None:
    ledger = desk.ledger
    await announced(ledger, PKH, VILLAGE, FOOD)
    await desk.done(BPNT, "assign", to="rini")  # a review has a deadline once it is taken up
    desk.now += timedelta(days=14) - timedelta(seconds=1)
    await desk.overdue()
    await desk.told()
    desk.now += timedelta(seconds=1)
    assert len((await desk.get("", overdue="true"))["items"]) == 0
    await desk.overdue()
    assert await desk.told() == [("open", "overdue"), ("open", "overdue")]
    desk.now += timedelta(seconds=1)
    assert len((await desk.get("", overdue="true"))["items"]) == 2
    desk.now += timedelta(days=365)
    await desk.overdue()
    assert await desk.overdue() == 0
    assert await desk.told() == []
    assert (await desk.done(BLT, "uphold"))["overdue"] is False
    await announced(ledger, payout("p1", state="planned", amount=9, revision=1))
    desk.now += timedelta(days=15)
    await desk.overdue()
    assert await desk.told() == [("upheld", "upheld"), ("open", "reopened"), ("open", "overdue")]


async def test_what_was_resolved_has_ended_or_is_announced_anew_is_not_overdue(desk: Desk) -> None:
    ledger = desk.ledger
    pair = [payout("p9", of=CITRA, card=KENANGA), payout("d9", "BLT-DD", of=CITRA, card=KENANGA, by="dpmd")]
    other = [payout("p8", of=DEWI, card=MELATI), payout("d8", "BLT-DD", of=DEWI, card=MELATI, by="dpmd")]
    await announced(ledger, PKH, VILLAGE, *pair, *other)
    await desk.done(BLT, "uphold")
    await announced(ledger, ended("p9"))
    anew = overlap_id("dinsos", "p8", "dpmd", "d8")
    await ledger.database.pool.execute(
        "update overlap set announced_at = announced_at + interval '1 day' where overlap_id = $1", anew
    )
    await desk.told()
    desk.now += timedelta(days=14)
    await desk.overdue()
    assert await desk.told() == []


async def test_a_policy_that_says_nothing_sets_no_deadline_and_asks_for_nobody_else(ledger: Ledger) -> None:
    desk = Desk(ledger)
    await announced(ledger, PKH, VILLAGE)
    desk.now += timedelta(days=400)
    await desk.overdue()
    assert (await desk.get(f"/{BLT}"))["deadline"] is None
    assert (await desk.done(BLT, "waive"))["state"] == "waived"
    await desk.close()


async def test_money_is_counted_once_and_ties_to_the_ledger(desk: Desk) -> None:
    """Three payments of one programme for one period are three overlaps, and two payments too many."""
    ledger = desk.ledger
    cards = {"a": (ANI, MAWAR), "b": (BUDI, MELATI)}
    thrice = [
        payout(f"{family}{n}", of=of, card=card, state=state, region="33.71.01.1003" if family == "b" else REGION)
        for (family, (of, card)), state in zip(cards.items(), ("planned", "disbursed"), strict=True)
        for n in range(3)
    ]
    await announced(ledger, *thrice)
    await announced(ledger, *(ended(f"a{n}", time=f"2026-01-1{n}T08:00:00Z") for n in (1, 2)))
    await announced(ledger, *(ended(f"b{n}", "returned", time=f"2026-01-1{n}T08:00:00Z") for n in (1, 2)))
    told = await desk.get("/figures")
    assert told["items"] == [
        {"programme": "PKH", "region": "33.71", "prevented": 0, "payouts_prevented": 0,
         "recovered": 1_500_000, "payouts_recovered": 2, "kept": 0, "payouts_kept": 0},
        {"programme": "PKH", "region": "33.74", "prevented": 1_500_000, "payouts_prevented": 2,
         "recovered": 0, "payouts_recovered": 0, "kept": 0, "payouts_kept": 0},
    ]  # fmt: skip
    assert told["total"] == {"prevented": 1_500_000, "recovered": 1_500_000, "kept": 0}
    in_ledger = await ledger.database.pool.fetch(
        "select rank, sum(amount)::bigint as amount from payout where rank > 1 group by rank order by rank"
    )
    assert [row["amount"] for row in in_ledger] == [1_500_000, 1_500_000]
    assert set(await desk.told()) == {("closed", "closed")}
    desk.who = person("x", Right.read, regions=("33.71",))
    assert (await desk.get("/figures"))["total"] == {"prevented": 0, "recovered": 1_500_000, "kept": 0}


async def test_money_that_somebody_let_go_or_that_ended_otherwise_is_not_counted(desk: Desk) -> None:
    ledger = desk.ledger
    await announced(ledger, PKH, VILLAGE, FOOD)
    await desk.done(BLT, "waive")  # and the review nobody held
    await announced(ledger, ended("p1", revision=1))
    told = await desk.get("/figures")
    assert (told["items"], told["beside"]) == ([], {"prevented": 750_000, "recovered": 0})
    assert (await desk.get(f"/{BLT}"))["money"] == {}
    twice = [payout("x1", of=CITRA, card=KENANGA), payout("x2", of=CITRA, card=KENANGA)]
    await announced(ledger, *twice)
    # days corrected: it ended without any money, and what is cancelled later was never twice
    await announced(
        ledger, payout("x2", of=CITRA, card=KENANGA, days=("2026-04-01", "2026-04-30"), revision=1, state="planned")
    )
    await announced(ledger, ended("x2", revision=2))
    assert (await desk.get("/figures")) == told


async def test_money_kept_is_what_was_paid_twice_and_upheld_or_past(desk: Desk) -> None:
    ledger = desk.ledger
    await announced(ledger, payout("p1"), payout("d1", "BLT-DD", of=BUDI, by="dpmd", amount=600_000))
    assert (await desk.get("/figures"))["total"]["kept"] == 0
    await desk.done(BLT, "uphold")
    assert (await desk.get("/figures"))["total"]["kept"] == 600_000
    assert (await desk.get(f"/{BLT}"))["money"] == {"kept": 600_000}
    await desk.done(BLT, "hold")
    assert (await desk.get("/figures"))["total"]["kept"] == 0
    desk.now = datetime.fromisoformat("2026-04-01T00:00:00+07:00")
    assert (await desk.get("/figures"))["total"]["kept"] == 600_000
    # cancelled after it left: nobody says that it is back, until it is said to be returned
    await announced(ledger, ended("d1", by="dpmd"))
    assert (await desk.get("/figures"))["items"] == []
    await announced(ledger, ended("d1", "returned", by="dpmd"))
    assert (await desk.get("/figures"))["total"] == {"prevented": 0, "recovered": 600_000, "kept": 0}
    assert (await desk.get(f"/{BLT}"))["money"] == {"returned": 600_000}
    # paid anew and returned long after: that is not what this overlap saved
    later = {"days": ("2026-07-01", "2026-09-30"), "revision": 1}
    await announced(ledger, payout("d1", "BLT-DD", of=BUDI, by="dpmd", amount=600_000, **later))
    await announced(ledger, ended("d1", "returned", by="dpmd", revision=1))
    assert (await desk.get("/figures"))["items"] == []
    assert (await desk.get(f"/{BLT}"))["money"] == {}


async def test_of_two_that_ended_the_one_told_first_was_saved_by_their_overlap_and_outlives_the_database(
    desk: Desk,
) -> None:
    ledger = desk.ledger
    await announced(ledger, PKH, VILLAGE)
    await announced(ledger, ended("d1", by="dpmd"), ended("p1"))
    (item,) = (await desk.get("/figures"))["items"]
    assert (item["programme"], item["prevented"], item["payouts_prevented"]) == ("BLT-DD", 600_000, 1)
    # of what was cleared before anybody kept by whose end, it is found out when the database is brought up
    await ledger.database.pool.execute("update overlap set reason = null, ended_a = null, ended_b = null")
    assert (await desk.get("/figures"))["items"] == []
    script = (SQL / "migrations" / "0161_saved.sql").read_text()
    await ledger.database.pool.execute(script[script.index("update overlap o set") :])
    assert (await desk.get("/figures"))["items"] == [item]
    await rebuilt(ledger)
    await announced(ledger, PKH, VILLAGE, ended("d1", by="dpmd"), ended("p1"))
    assert (await desk.get("/figures"))["items"] == [item]


async def rebuilt(ledger: Ledger, *, without: str = "", compacted: bool = True) -> None:
    """A new database reads back what compaction leaves, in any order, or where it has left all as it was told;
    `without` such acts, which never left.
    """
    rows = await ledger.database.pool.fetch("select topic, key, value from outbox order by id")
    told: list[tuple[str, Any]] = [
        (row["key"], SimpleNamespace(topic=row["topic"], key=row["key"].encode(), value=row["value"]))
        for row in rows
        if row["topic"] in rebuild.OURS and orjson.loads(row["value"])["data"].get("act") != without
    ]
    last = {(each.topic, key): each for key, each in told}
    await ledger.empty()
    if compacted:
        batches = [[record] for record in last.values()]
    else:
        batches = [[each for _, each in told if each.topic == topic][part] for topic in (rebuild.OVERLAPS, CASES)
                   for part in (slice(0, 2), slice(2, None))]  # fmt: skip
    for batch in batches:
        if batch:
            await rebuild._keep(ledger.database, ledger.store, batch)
    async with ledger.database.transaction() as connection:
        await cases.recalled(connection, NOW)
    await ledger.follow(policy(PKH_BPNT, PKH_BLT, version="again") | {"cases": TERMS})


async def test_what_people_decided_outlives_the_database(desk: Desk) -> None:
    ledger = desk.ledger
    sent = [PKH, VILLAGE, FOOD]
    await announced(ledger, *sent)
    await desk.done(BLT, "assign", to="rini")
    await desk.done(BLT, "waive")
    await desk.done(BPNT, "hold")
    before = await desk.get(f"/{BLT}")
    await rebuilt(ledger)
    await announced(ledger, *sent)
    after = await desk.get(f"/{BLT}")
    assert {name for name in before if before[name] != after[name]} <= {"announced_at"}
    assert await desk.released() == {BLT}
    await announced(ledger, payout("p1", state="planned", amount=9, revision=1))
    assert await desk.released() == set()
    told = [orjson.loads(record.value or b"")["data"] for record in await ledger.sent(CASES)]
    assert {(each["overlap_id"], each["revision"], each["act"]) for each in told} == {
        (str(BLT), 3, "reopened"), (str(BPNT), 2, "reopened")
    }  # fmt: skip

    # had the reopening never left, what was judged would still not let anything go
    await desk.done(BLT, "waive")
    await announced(ledger, payout("p1", state="planned", amount=8, revision=2))
    await rebuilt(ledger, without="reopened")
    assert (await desk.get(f"/{BLT}"))["state"] == "open"
    assert await desk.released() == set()


async def test_a_hold_holds_what_the_rule_prefers_and_has_a_deadline_again(desk: Desk) -> None:
    ledger = desk.ledger
    await ledger.follow(policy(PKH_BPNT, {**PKH_BLT, "prefer": "PKH"}, version="prefers") | {"cases": TERMS})
    await announced(ledger, PKH, VILLAGE)

    async def answer() -> tuple[str, list[str]]:
        await ledger.judge()
        await ledger.clear()
        last = (await ledger.issued("dinsos"))[-1]
        return last["decision"], last["reasons"]

    assert await answer() == ("clear", ["preferred: pkh-blt with dpmd/d1"])
    await desk.done(BLT, "hold")
    assert await answer() == ("hold", ["held: pkh-blt with dpmd/d1"])
    lifted = await desk.done(BLT, "release")
    assert (lifted["state"], lifted["last_act"]["act"], lifted["deadline"] is not None) == ("open", "released", True)
    assert await answer() == ("clear", ["preferred: pkh-blt with dpmd/d1"])
    assert (await ledger.issued("dpmd"))[-1]["decision"] == "hold"


async def test_what_a_rule_excludes_is_not_released(desk: Desk) -> None:
    await announced(desk.ledger, PKH, VILLAGE)
    await desk.done(BLT, "hold")
    refused = await desk.act(BLT, "release")
    assert (refused.status_code, "waiver" in refused.text, "pengecualian" in refused.text) == (409, True, True)
    assert await desk.released() == set()
    assert await desk.told() == [("held", "held")]


async def test_what_is_held_in_a_review_is_held_back_until_it_is_let_go(desk: Desk) -> None:
    """A review holds nothing by itself; a person's hold does, and the payments are answered so."""
    ledger = desk.ledger
    await announced(ledger, PKH, FOOD)
    (review,) = [UUID(each["overlap_id"]) for each in (await desk.get(""))["items"]]

    async def answers() -> list[tuple[str, list[str]]]:
        await ledger.judge()
        await ledger.clear()
        return [(told["decision"], told["reasons"]) for told in await ledger.issued("dinsos")]

    assert await answers() == [("clear", [])]
    await desk.done(review, "hold")
    assert (await answers())[1:] == [("hold", ["held: pkh-bpnt with himbara/b1"])]
    await desk.done(review, "release")
    assert (await answers())[2:] == [("clear", ["released: pkh-bpnt with himbara/b1"])]
    await desk.done(review, "uphold")
    assert (await answers())[3:] == [("hold", ["held: pkh-bpnt with himbara/b1"])]
    await ledger.take([payout("p1", state="planned", revision=1, amount=700_000)])  # other facts than were judged
    assert (await answers())[4:] == [("clear", [])]
