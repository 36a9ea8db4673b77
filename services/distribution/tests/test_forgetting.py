"""Payouts whose retention is over are forgotten with all that rests on them, and nobody is told that anything ended."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import pytest_asyncio
from tepat_contracts.topics import clearances_name
from tepat_demo import oracle
from tepat_distribution import cases, forgetting, rebuild
from tepat_distribution.aid import AID
from tepat_distribution.cases import CASES
from tepat_distribution.detect import FINDINGS, OVERLAPS
from tepat_distribution.domain import overlap_id
from tepat_distribution.forgetting import Forgetter
from tepat_distribution.store import queries
from tepat_local.testing import tables_naming

from .conftest import (
    ANI,
    BUDI,
    CITRA,
    KENANGA,
    MAWAR,
    MELATI,
    NOW,
    PKH_BLT,
    PKH_BPNT,
    SECRET,
    Event,
    Ledger,
    Registry,
    alone,
    ended,
    kk,
    lives,
    nik,
    oracle_record,
    payout,
    policy,
)

pytestmark = pytest.mark.integration

LONG_AGO = ("2015-01-01", "2015-03-31")
TOLD = (OVERLAPS, CASES, FINDINGS, AID, *(clearances_name(each) for each in ("dinsos", "himbara", "dpmd")))


def moment(day: str) -> int:
    """Midnight in Jakarta, in milliseconds of the broker."""
    return int(datetime.fromisoformat(f"{day}T00:00:00+07:00").timestamp() * 1000)


def kept_for(period: str, *rules: dict[str, Any], version: str = "kept") -> dict[str, Any]:
    """A policy under which payouts are kept so long."""
    return policy(*(rules or (PKH_BPNT, PKH_BLT)), version=version) | {"retention": {"payouts": period}}


async def take(ledger: Ledger, day: str, *events: Event) -> None:
    """Take payouts that the broker appended on a day."""
    ledger.appended = max(moment(day), ledger.appended)
    await ledger.take(events)


async def settle(ledger: Ledger) -> None:
    """Judge, answer, find and tell until nothing is left."""
    await ledger.judge()
    await ledger.find()
    await ledger.tell()


async def forget(ledger: Ledger, now: datetime = NOW) -> int:
    """Forget what may be, as one instance would; in how many steps."""
    steps, forgetter = 1, Forgetter(ledger.standing, lambda: now)
    async with ledger.database.pool.acquire() as connection:
        while await forgetter.step(connection):
            steps += 1
    return steps


async def left(ledger: Ledger) -> set[str]:
    """The payouts in the ledger."""
    return {row["payout_id"] for row in await ledger.database.pool.fetch("select payout_id from payout")}


async def outbox(ledger: Ledger) -> list[Any]:
    """All that was told, in order."""
    rows = await ledger.database.pool.fetch("select topic, key, value from outbox order by id")
    return [row for row in rows if row["topic"] in TOLD]


def folded(told: Iterable[Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """What compaction leaves, less what depends on the day it was told."""
    stands: dict[tuple[str, str], dict[str, Any]] = {}
    for row in told:
        stands.pop((row["topic"], row["key"]), None)
        if row["value"] is not None:
            said = orjson.loads(row["value"])
            data = {name: each for name, each in said["data"].items() if name not in ("as_of", "policy_version")}
            stands[row["topic"], row["key"]] = {"type": said["type"], **data}
    return stands


def round_one(told: Event) -> Event:
    """A payout of the first round, of which nobody gets two."""
    told["data"]["tranche"] = "T1"
    return told


@pytest_asyncio.fixture
async def old(ledger: Ledger) -> AsyncIterator[Ledger]:
    """A ledger of which something is old enough to be forgotten after five years, and all of it is told.

    The registry knows Budi alone. Of Mawar all is old, of Melati one side of an overlap; of Kenanga it was heard again
    lately.
    """
    await ledger.follow(kept_for("P5Y"))
    await ledger.hear(Registry().learn([lives(BUDI, MELATI)]))
    await take(
        ledger, "2015-02-01",
        payout("a1", "BLT-DD", by="dpmd", days=LONG_AGO, state="planned"), payout("a2", days=LONG_AGO),
        *(round_one(payout(each, "BPNT", by="himbara", days=LONG_AGO)) for each in ("a3", "a4")),
        payout("b1", of=BUDI, card=MELATI, days=("2015-01-01", "2020-12-31")),
        payout("b2", "BPNT", of=BUDI, card=MELATI, by="himbara", days=("2020-12-31", "2026-06-30"), state="planned"),
        payout("c1", of=CITRA, card=KENANGA, days=LONG_AGO),
        payout("c2", "BPNT", of=CITRA, card=KENANGA, by="himbara", days=LONG_AGO),
    )  # fmt: skip
    await settle(ledger)
    await take(ledger, "2015-03-01", ended("a1", by="dpmd"), ended("a9", by="dpmd"))
    await settle(ledger)
    await take(
        ledger, "2026-02-20",
        payout("c2", "BPNT", of=CITRA, card=KENANGA, by="himbara", days=LONG_AGO, revision=1, amount=1),
        payout("c1", of=CITRA, card=KENANGA, days=LONG_AGO, revision=1),
        payout("b3", of=BUDI, card=MELATI), payout("d1", of=BUDI, card=MELATI, days=LONG_AGO),
    )  # fmt: skip
    ledger.now += forgetting.timedelta(minutes=2)
    await settle(ledger)
    yield ledger


OLD = {"a1", "a2", "a3", "a4", "a9", "b1"}
KEPT = {"b2", "b3", "c1", "c2", "d1"}


def expected(ledger: Ledger) -> dict[str, Any]:
    """The overlaps of the payouts kept, as the oracle has them."""
    records = [each for each in ledger.accepted if orjson.loads(each.value or b"")["data"]["payout_id"] in KEPT]
    return oracle.expected([oracle_record(each) for each in records], ledger.document, SECRET).overlaps


def overlaps(told: Iterable[Any]) -> dict[str, Any]:
    """The overlaps that stand, as the oracle writes them."""
    stands = [oracle.Record(OVERLAPS, 0, 0, [], row["value"]) for row in told if row["topic"] == OVERLAPS]
    return oracle.fold(stands)


async def test_what_is_old_is_gone_and_nobody_hears_that_it_ended(old: Ledger) -> None:
    before = await outbox(old)
    stood = folded(before)
    assert {topic for topic, _ in stood} >= {OVERLAPS, CASES, FINDINGS, AID, clearances_name("himbara")}
    assert await left(old) == OLD | KEPT
    await forget(old)
    assert await left(old) == KEPT
    old.now += forgetting.timedelta(minutes=2)
    await settle(old)
    after = await outbox(old)
    stands, said = folded(after), after[len(before) :]
    assert {(row["topic"], orjson.loads(row["value"])["type"]) for row in said if row["value"] is not None} == {
        (AID, "tepat.aid.told.v1"), (clearances_name("himbara"), "tepat.clearance.issued.v1"),
    }  # fmt: skip

    last = {(row["topic"], row["key"]): row for row in after}
    assert overlaps(row for row in last.values() if row["value"] is not None) == expected(old)
    assert stands[OVERLAPS, str(overlap_id("dinsos", "c1", "himbara", "c2"))]["revision"] == 2
    gone = stood.keys() - stands.keys()
    assert {key for topic, key in gone if topic == OVERLAPS} == {
        str(overlap_id(*pair)) for pair in (
            ("dpmd", "a1", "dinsos", "a2"), ("dinsos", "a2", "himbara", "a3"), ("dinsos", "a2", "himbara", "a4"),
            ("himbara", "a3", "himbara", "a4"), ("dinsos", "b1", "himbara", "b2"), ("dinsos", "b1", "dinsos", "d1"),
        )
    }  # fmt: skip
    assert [key for topic, key in gone if topic == CASES] == [str(overlap_id("dpmd", "a1", "dinsos", "a2"))]
    assert (AID, kk(MAWAR)) in gone
    assert sorted(stood[FINDINGS, key]["rule"] for topic, key in gone if topic == FINDINGS) == [
        "not_registered", "not_registered", "not_registered", "not_registered", "twice_in_round",
    ]  # fmt: skip
    found = [stands[topic, key]["payouts"] for topic, key in stands if topic == FINDINGS]
    assert sorted(each["payout_id"] for payouts in found for each in payouts) == ["c1", "c2"]
    assert {each["payout_id"] for each in stands[AID, kk(MELATI)]["payouts"]} == {"b2", "b3", "d1"}
    assert (clearances_name("dpmd"), "a1") in gone
    answer = stands[clearances_name("himbara"), "b2"]
    assert answer["overlaps"] == [str(overlap_id("dinsos", "b3", "himbara", "b2"))]

    await forget(old)
    await settle(old)
    assert await outbox(old) == after
    await old.database.pool.execute("delete from outbox")
    async with old.database.pool.acquire() as connection:
        assert await tables_naming(connection, nik(ANI), kk(MAWAR)) == set()
        assert "overlap" in await tables_naming(connection, kk(MELATI))


async def test_what_is_sent_again_counts_as_new(old: Ledger) -> None:
    await forget(old)
    await take(old, "2026-02-27", payout("a2", days=LONG_AGO), payout("a3", "BPNT", by="himbara", days=LONG_AGO))
    old.now += forgetting.timedelta(minutes=2)
    await settle(old)
    await forget(old, NOW + forgetting.timedelta(days=400))
    assert await left(old) == {*KEPT, "a2", "a3"}
    pair = OVERLAPS, str(overlap_id("dinsos", "a2", "himbara", "a3"))
    assert folded(await outbox(old))[pair]["revision"] == 1
    assert [each["payout_id"] for each in folded(await outbox(old))[AID, kk(MAWAR)]["payouts"]] == ["a2", "a3"]


async def test_a_payout_is_kept_from_its_last_day_and_from_when_it_was_heard_of(ledger: Ledger) -> None:
    await ledger.follow(kept_for("P5Y"))
    ledger.appended = moment("2021-03-01") - 3  # one more with each
    await ledger.take([payout("old", days=("2021-01-01", "2021-02-28"))])
    await ledger.take([payout("covers", days=("2021-01-01", "2021-03-01"))])
    await ledger.take([payout("heard", days=("2021-01-01", "2021-02-28"))])
    await forget(ledger, datetime(2026, 2, 28, 16, 59, tzinfo=UTC))  # the last minute of the day in Jakarta
    assert await left(ledger) == {"old", "covers", "heard"}
    await forget(ledger, datetime(2026, 2, 28, 17, tzinfo=UTC))
    assert await left(ledger) == {"covers", "heard"}
    await ledger.follow(
        kept_for("P1D", version="short")
    )  # what topics or a replay may bring again is kept all the same
    await take(ledger, "2025-11-30", payout("lost", days=LONG_AGO))
    await take(ledger, "2025-12-02", payout("kept", days=LONG_AGO))
    await forget(ledger)
    assert await left(ledger) == {"kept"}


async def test_ten_years_are_kept_where_the_policy_says_nothing(ledger: Ledger) -> None:
    await take(ledger, "2016-02-28", payout("p1", days=("2016-01-01", "2016-02-28")))
    await take(ledger, "2016-03-01", payout("p2", days=("1999-01-01", "1999-02-28")))
    await forget(ledger)
    assert await left(ledger) == {"p2"}


class Killed(Exception):
    """The process would be gone by now."""


async def test_a_death_between_pages_or_in_one_changes_nothing(old: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    reached: list[str] = []

    def reach(name: str) -> None:
        reached.append(name)
        if len(reached) % 2:
            raise Killed

    monkeypatch.setattr(forgetting, "reach", reach)
    for _ in range(20):
        connection = await old.database.connect()
        try:
            forgetter = Forgetter(old.standing, lambda: NOW)
            while await forgetter.step(connection):
                pass
            break
        except Killed:
            connection.terminate()
        finally:
            await connection.close()
    assert len(set(reached[::2])) == 2  # it died before a commit and after one
    assert len(reached) > 6
    await settle(old)
    tombstones = [(row["topic"], row["key"]) for row in await outbox(old) if row["value"] is None]
    assert len(tombstones) == len(set(tombstones))
    assert await left(old) == KEPT
    assert overlaps(await outbox_last(old)) == expected(old)


async def outbox_last(ledger: Ledger) -> list[Any]:
    """The last that was told under each key, less tombstones."""
    last = {(row["topic"], row["key"]): row for row in await outbox(ledger)}
    return [row for row in last.values() if row["value"] is not None]


async def test_several_instances_and_what_happens_meanwhile_end_in_the_same(
    old: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 1)
    await old.follow(kept_for("P5Y", PKH_BLT, PKH_BPNT, version="again") | {"time_zone": "Asia/Jakarta"})
    await queries.rejudge_all(old.database.pool)

    async def late() -> None:
        for revision in range(1, 6):
            await take(old, "2026-02-25", payout("b3", of=BUDI, card=MELATI, revision=revision, amount=revision))

    await asyncio.gather(forget(old), late(), forget(old), settle(old))
    await settle(old)
    assert await left(old) == KEPT
    assert overlaps(await outbox_last(old)) == expected(old)


async def test_a_group_that_was_too_large_may_be_one_no_more(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tepat_distribution.domain.GROUP_LIMIT", 2)
    monkeypatch.setattr(oracle, "GROUP_LIMIT", 2, raising=False)
    await ledger.follow(kept_for("P5Y"))
    await take(ledger, "2015-02-01", payout("old", days=LONG_AGO))
    await take(ledger, "2026-02-01", payout("p1"), payout("p2", "BPNT", by="himbara"))
    await settle(ledger)
    assert ("household", kk(MAWAR)) in await ledger.too_large()
    await forget(ledger)
    await settle(ledger)
    assert overlaps(await outbox_last(ledger)).keys() == {str(overlap_id("dinsos", "p1", "himbara", "p2"))}


async def test_a_new_database_knows_no_more_and_tells_nothing(old: Ledger) -> None:
    await forget(old)
    old.now += forgetting.timedelta(minutes=2)
    await settle(old)
    told, stood = await outbox(old), folded(await outbox(old))
    taken = [each for each in old.accepted if each.timestamp > moment("2026-01-01")]
    await old.empty()
    for topic in TOLD:
        records: list[Any] = [
            SimpleNamespace(topic=topic, key=row["key"].encode(), value=row["value"])
            for row in told if row["topic"] == topic
        ]  # fmt: skip
        keep = rebuild._keep if topic in rebuild.OURS else rebuild._keep_answers
        for at in range(0, len(records), 3):
            await keep(old.database, old.store, records[at : at + 3])
    async with old.database.transaction() as connection:
        await cases.recalled(connection, NOW)
    assert await old.database.pool.fetchval("select count(*) from outbox") == 0
    names = {"overlap": OVERLAPS, "overlap_case": CASES, "finding": FINDINGS, "aid": AID}
    for table, topic in names.items():
        rows = await old.database.pool.fetch(f"select * from {table}")
        assert {str(row[0]) for row in rows} == {key for each, key in stood if each == topic}, table
    assert await old.database.pool.fetchval("select count(*) from clearance") == sum(
        topic.endswith("clearances.v1") for topic, _ in stood
    )
    assert taken


async def test_a_household_that_receives_nothing_for_so_long_is_told_of_no_more(ledger: Ledger) -> None:
    registry = Registry()
    await ledger.follow(kept_for("P5Y"))
    await take(ledger, "2026-02-01", payout("p1"))
    await settle(ledger)
    ledger.now += forgetting.timedelta(minutes=2)
    await ledger.hear(registry.learn([lives(ANI, MELATI)]))
    await settle(ledger)
    assert folded(await outbox(ledger))[AID, kk(MAWAR)]["payouts"] == []
    await forget(ledger, ledger.now.replace(year=2031, month=2))
    assert (AID, kk(MAWAR)) in folded(await outbox(ledger))
    await forget(ledger, ledger.now.replace(year=2031, month=3, day=3))
    assert (AID, kk(MAWAR)) not in folded(await outbox(ledger))
    assert (AID, kk(MELATI)) in folded(await outbox(ledger))


async def test_whom_the_registry_erased_is_forgotten_with_their_last_payout(ledger: Ledger) -> None:
    registry = Registry()
    await ledger.follow(kept_for("P5Y"))
    await ledger.hear(registry.learn([lives(ANI, MAWAR), lives(BUDI, MAWAR)]))
    await take(ledger, "2015-02-01", payout("p1", days=LONG_AGO))
    await settle(ledger)
    await ledger.forget(nik(ANI))
    ledger.now += forgetting.timedelta(minutes=2)
    await settle(ledger)
    async with ledger.database.pool.acquire() as connection:
        assert await tables_naming(connection, nik(ANI)) == {"payout", "erased", "outbox"}
        await forget(ledger)
        await settle(ledger)
        await connection.execute("delete from outbox")  # as once it has left
        assert await tables_naming(connection, nik(ANI), alone(ANI)) == set()
