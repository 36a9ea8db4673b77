"""Whether a planned payout may go."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from tepat_distribution.clearances import PATIENCE, Clearer
from tepat_distribution.store import BY_KEY, queries

from .conftest import (
    ANI,
    BUDI,
    PKH_BLT,
    PKH_BPNT,
    PKH_SB,
    Ledger,
    agency,
    complete,
    ended,
    payout,
    policy,
)

pytestmark = pytest.mark.integration


async def settle(ledger: Ledger) -> None:
    await ledger.judge()
    await ledger.clear()


async def answers(ledger: Ledger, of: str = "dinsos") -> list[tuple[str, str, list[str]]]:
    """What an agency was answered: payout, decision and reasons, in order."""
    return [(told["payout_id"], told["decision"], told["reasons"]) for told in await ledger.issued(of)]


planned = partial(payout, state="planned")
blt = partial(planned, programme="BLT-DD", of=BUDI, by="dpmd")
bpnt = partial(planned, programme="BPNT", of=BUDI, by="himbara")


async def test_an_exclusive_overlap_holds_until_it_ends_and_a_review_does_not(ledger: Ledger) -> None:
    await ledger.take([planned("A-1"), bpnt("B-1")])
    await settle(ledger)
    assert await answers(ledger) == [("A-1", "clear", [])]
    (told,) = await ledger.issued("himbara")
    assert (told["decision"], len(told["overlaps"])) == ("clear", 1)
    await ledger.take([blt("C-1")])
    await settle(ledger)
    assert (await answers(ledger))[1:] == [("A-1", "hold", ["exclusive: pkh-blt with dpmd/C-1"])]
    assert await answers(ledger, "dpmd") == [("C-1", "hold", ["exclusive: pkh-blt with dinsos/A-1"])]
    await ledger.take([ended("C-1", by="dpmd")])
    await settle(ledger)
    assert (await answers(ledger))[2:] == [("A-1", "clear", [])]
    assert len(await answers(ledger, "dpmd")) == 1  # what is no longer planned is not asked about
    await ledger.check()


async def test_what_is_told_again_is_answered_once_and_a_new_revision_anew(ledger: Ledger) -> None:
    for _ in range(2):
        await ledger.take([planned("A-1")])
        await settle(ledger)
    await ledger.take([planned("A-1", revision=1)])
    await settle(ledger)
    assert [told["revision"] for told in await ledger.issued("dinsos")] == [0, 1]
    await ledger.take([payout("A-1", state="disbursed", revision=1)])
    await settle(ledger)
    assert len(await ledger.issued("dinsos")) == 2
    assert await ledger.database.pool.fetchval("select count(*) from clearance") == 0


async def test_a_preferred_programme_goes_while_the_other_is_only_planned(ledger: Ledger) -> None:
    await ledger.follow(policy({**PKH_BLT, "prefer": "PKH"}, version="t-2"))
    await ledger.take([planned("A-1"), blt("C-1")])
    await settle(ledger)
    assert await answers(ledger) == [("A-1", "clear", ["preferred: pkh-blt with dpmd/C-1"])]
    assert await answers(ledger, "dpmd") == [("C-1", "hold", ["exclusive: pkh-blt with dinsos/A-1"])]
    await ledger.take([blt("C-1", state="disbursed")])
    await settle(ledger)
    assert (await answers(ledger))[1:] == [("A-1", "hold", ["exclusive: pkh-blt with dpmd/C-1"])]
    await ledger.check()
    await ledger.follow(policy(PKH_BLT, version="t-3"))
    await ledger.take([blt("C-2", of=ANI)])
    await ledger.check()


async def test_a_released_overlap_holds_no_longer_and_does_again(ledger: Ledger) -> None:
    await ledger.take([planned("A-1"), blt("C-1")])
    await settle(ledger)
    for change in ("insert into released select overlap_id from overlap", "delete from released"):
        await ledger.database.pool.execute(change)
        await ledger.database.pool.execute(
            "insert into mark (fresh, agencies, payout_ids) "
            "select false, array_agg(agency), array_agg(payout_id) from payout"
        )
        await settle(ledger)
    assert await answers(ledger) == [
        ("A-1", "hold", ["exclusive: pkh-blt with dpmd/C-1"]), ("A-1", "clear", ["released: pkh-blt with dpmd/C-1"]),
        ("A-1", "hold", ["exclusive: pkh-blt with dpmd/C-1"]),
    ]  # fmt: skip


async def test_nothing_is_clear_before_what_came_earlier_is_read(ledger: Ledger) -> None:
    unread = ledger.append(blt("C-1"))
    await ledger.take([planned("A-1")])
    await settle(ledger)
    assert await answers(ledger) == []
    ledger.now += PATIENCE + timedelta(seconds=1)
    await ledger.clear()
    assert await answers(ledger) == [("A-1", "unknown", ["behind"])]
    await ledger.clear()
    async with ledger.taking_records([unread]):
        pass
    await ledger.clear()  # read, and not judged yet
    assert len(await answers(ledger)) == 1
    await settle(ledger)
    assert (await answers(ledger))[1:] == [("A-1", "hold", ["exclusive: pkh-blt with dpmd/C-1"])]
    await ledger.check()


async def test_what_comes_later_keeps_nobody_waiting(ledger: Ledger) -> None:
    """A partition that is being read is past a payout once it has read something later, though not its end."""
    first = [ledger.append(bpnt(f"B-{n}", id_=f"b-{n}")) for n in (1, 3)]
    await ledger.take([planned("A-1")])
    later = [ledger.append(bpnt(f"B-{n}", id_=f"b-{n}")) for n in (5, 7, 9)]
    assert len({record.partition for record in (*first, *later)}) == 1
    await settle(ledger)
    assert await answers(ledger) == []
    async with ledger.taking_records([*first, *later[:1]]):
        pass
    await settle(ledger)
    assert await answers(ledger) == [("A-1", "clear", [])]


async def test_without_the_broker_nothing_is_clear(ledger: Ledger) -> None:
    async def away() -> Any:
        raise KafkaConnectionError

    await ledger.take([planned("A-1")])
    await ledger.judge()
    clearer = Clearer(ledger.store, ledger.standing, away, lambda: ledger.now)
    async with ledger.database.pool.acquire() as connection:
        await connection.execute(BY_KEY)
        await clearer.step(connection)
        ledger.now += PATIENCE + timedelta(seconds=1)
        await clearer.step(connection)
    assert await answers(ledger) == [("A-1", "unknown", ["behind"])]
    await ledger.clear()
    assert (await answers(ledger))[1:] == [("A-1", "clear", [])]


async def test_the_broker_is_asked_nothing_while_nobody_waits(ledger: Ledger) -> None:
    await ledger.take([payout("paid")])
    await settle(ledger)
    assert ledger.asked_for_ends == 0
    unread = ledger.append(blt("C-1"))
    await ledger.take([planned("A-1")])
    await ledger.judge()
    for times in (1, 2):  # A-1 waits for what is not read
        await ledger.clear()
        assert ledger.asked_for_ends >= times
    async with ledger.taking_records([unread]):
        pass
    await settle(ledger)
    assert len(await answers(ledger)) == 1
    asked = ledger.asked_for_ends
    await ledger.clear()
    assert ledger.asked_for_ends == asked


async def test_a_source_silent_too_long_makes_it_unknown(ledger: Ledger) -> None:
    week = "P7D"
    await ledger.follow(policy(
        PKH_BPNT, PKH_SB, version="t-2",
        agencies=[
            agency("dinsos", "PKH", silent_after=week), agency("himbara", "BPNT", silent_after=week),
            agency("warga", "SB", silent_after=week), agency("dpmd", "BLT-DD"),
        ],
    ))  # fmt: skip
    ledger.appended = int(ledger.now.timestamp() * 1e3)
    await ledger.take([planned("A-1")])
    await settle(ledger)
    assert await answers(ledger) == [("A-1", "unknown", ["silent: himbara was never heard of"])]
    await ledger.take([complete("himbara")])
    await settle(ledger)
    assert (await answers(ledger))[1:] == [("A-1", "clear", [])]
    ledger.now += timedelta(days=7, seconds=1)
    await ledger.clear()
    assert (await answers(ledger))[2:] == [("A-1", "unknown", ["silent: himbara since 2026-03-01T09:01:00Z"])]
    await ledger.take([complete("himbara")])
    ledger.appended = int(ledger.now.timestamp() * 1e3)
    await ledger.take([complete("himbara")])
    await settle(ledger)
    assert (await answers(ledger))[3:] == [("A-1", "clear", [])]
    assert await queries.left_to_clear(ledger.database.pool) == 0
