"""The suite's own test: each invariant's scene goes well, and goes wrong with the defect that breaks the invariant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tepat_chassis.database import lock_key

from .controls import CONTROLS
from .scene import Instance, Scene, Wrong, household, person

HEARD_OR_WAITING = f"""
select exists (select from pg_locks where locktype = 'advisory' and not granted and objid = {lock_key("facts")}
                                    and database = (select oid from pg_database where datname = current_database()))
    or (select count(distinct nik) from membership) = 2"""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]


async def a_zombie_wakes(scene: Scene) -> None:
    """A stands still with a batch in hand; B takes the partition on and goes further; A wakes."""
    a = await scene.start(stop_at="payouts.before_begin")
    for n in range(20):
        await scene.pay(f"a{n}", "PKH", person(n), household(n), 0)
    await scene.until(lambda: a.stopped, "A holds a batch")
    for n in range(20):
        await scene.pay(f"b{n}", "BPNT", person(100 + n), household(n), 0)
    await _overtaken(scene, a, 40)


async def a_zombie_wakes_with_all_of_it(scene: Scene) -> None:
    """A stands still with a record in hand; B takes the same one; A wakes."""
    a = await scene.start(stop_at="payouts.before_begin")
    await scene.pay("a", "PKH", person(1), household(1), 0)
    await scene.until(lambda: a.stopped, "A holds the record")
    await _overtaken(scene, a, 1)


async def _overtaken(scene: Scene, a: Instance, records: int) -> None:
    """B takes all there is while A stands still; then A wakes and tries."""
    await scene.start()
    await scene.until_answered(
        lambda taken: taken == records,
        f"select next_offset from position where topic = '{scene.topic}' and partition = 0", "B has taken all of it",
    )  # fmt: skip
    a.wake()
    await scene.until(lambda: a.said('"fenced', '"batch not committed', '"inbox":"payouts","records"'), "A has tried")
    await scene.judge()


async def nothing_happens(scene: Scene) -> None:
    """One instance, one pair."""
    await scene.start()
    await scene.pay("a", "PKH", person(1), household(1), 0)
    await scene.pay("b", "BPNT", person(2), household(1), 1)
    await scene.judge()


async def it_dies_before_the_commit(scene: Scene) -> None:
    """It dies with a batch written and not committed."""
    a = await scene.start(failpoint="payouts.before_commit:1")
    await scene.pay("a", "PKH", person(1), household(1), 0)
    await scene.ended(a)
    await scene.pay("b", "BPNT", person(2), household(1), 1)
    await scene.start()
    await scene.judge()


async def it_dies_while_it_judges(scene: Scene) -> None:
    """It dies with a pair judged and not announced; both halves were taken at once, so nothing else tells of them."""
    a = await scene.start(failpoint="detect.before_commit:1")
    pair = [scene.payout("a", "PKH", person(1), household(1)), scene.payout("b", "BPNT", person(2), household(1))]
    await scene.pay_at_once(pair, 0)
    await scene.ended(a)
    await scene.start()
    await scene.judge()


async def it_dies_when_it_has_judged(scene: Scene) -> None:
    """It dies right after a pair is announced, before anything is answered; nothing else ever tells of the two."""
    a = await scene.start(failpoint="detect.after_commit:1")
    pair = [scene.payout("a", "PKH", person(1), household(1)), scene.payout("b", "BPNT", person(2), household(1))]
    await scene.pay_at_once(pair, 0)
    await scene.ended(a)
    await scene.start()
    await scene.judge()


async def one_is_asked_about_while_another_is_unread(scene: Scene) -> None:
    """A stands still with a payout in hand; what it excludes is sent after it, and read by B, who answers."""
    b = await scene.start()
    await scene.until(lambda: b.said('"duty":"clear"'), "B answers")
    a = await scene.start(stop_at="payouts.before_begin")
    await scene.share()
    for partition in (0, 1):  # the one of them is A's
        await scene.pay(f"a{partition}", "PKH", person(partition), household(partition), partition)
    await scene.until(lambda: a.stopped, "A holds one of them")
    for partition in (0, 1):  # each where the other is read
        await scene.pay(f"b{partition}", "BPNT", person(10 + partition), household(partition), 1 - partition)
    await scene.until_cleared("b0", "b1")
    a.wake()
    await scene.judge()


async def ids_do_not_commit_in_order(scene: Scene) -> None:
    """A's row in the outbox has the lower id and is committed last, when B's has been sent."""
    b = await scene.start()
    await scene.until(lambda: b.said('"duty":"outbox"'), "B relays")
    a = await scene.start(stop_at="payouts.before_commit")
    await scene.share()
    for partition in (0, 1):  # the one of them is A's
        await scene.pay(f"a{partition}", "PKH", person(partition), household(partition), partition)
    await scene.until(lambda: a.stopped, "A stands in its transaction")
    await scene.until_answered(lambda left: left == 0, "select count(*) from outbox", "B has sent its own")
    for partition in (0, 1):
        await scene.pay(f"b{partition}", "BPNT", person(10 + partition), household(partition), partition)
    await scene.until_answered(
        lambda taken: taken == 2, f"select max(next_offset) from position where topic = '{scene.topic}'", "B goes on"
    )
    await scene.until_answered(lambda left: left == 0, "select count(*) from outbox", "B has sent that, too")
    a.wake()
    await scene.until_answered(
        lambda taken: taken >= 1, f"select min(next_offset) from position where topic = '{scene.topic}'", "A commits"
    )
    for partition in (0, 1):
        await scene.pay(f"c{partition}", "PKH", person(20 + partition), household(20), partition)
    await scene.judge()


async def an_instance_is_gone_for_good(scene: Scene) -> None:
    """A dies, and its partitions, which B never had, are B's."""
    a = await scene.start()
    await scene.start()
    await scene.share()
    a.kill()
    for n in range(10):
        await scene.pay(f"a{n}", ("PKH", "BPNT")[n % 2], person(n), household(n // 4), n % 2)
    await scene.judge()


async def a_paused_relay_wakes(scene: Scene) -> None:
    """A stands still with revision 1 in hand; B sends it, and then revision 2; A wakes."""
    a = await scene.start(stop_at="relay.holding.distribution.overlaps.v1")
    pair = [scene.payout("a", "PKH", person(1), household(1)), scene.payout("b", "BPNT", person(2), household(1))]
    await scene.pay_at_once(pair, 0)
    await scene.until(lambda: a.stopped, "A holds an announcement")
    await scene.start()
    await scene.until_announced(1)
    await scene.cancel("a", 0)
    await scene.until_announced(2)
    a.wake()
    await scene.until(lambda: a.said('"duty lost"'), "A has noticed")
    await scene.judge()


async def one_moves_while_another_pays(scene: Scene) -> None:
    """A has written a payout and not committed it; B hears that its recipient lives elsewhere."""
    await scene.start()
    a = await scene.start(stop_at="payouts.before_commit")
    await scene.share()
    for partition in (0, 1):  # the one of them is A's
        await scene.pay(f"a{partition}", "PKH", person(partition), household(partition), partition)
    await scene.until(lambda: a.stopped, "A stands in its transaction")
    for partition in (0, 1):
        await scene.moved(person(partition), household(7))
    await scene.until_answered(lambda either: either is True, HEARD_OR_WAITING, "B has taken it, or waits for A")
    a.wake()
    await scene.pay("b", "BPNT", person(9), household(7), 0)
    await scene.judge()


Play = Callable[[Scene], Awaitable[None]]
SCENES: dict[str, Play] = {
    "fence-off": a_zombie_wakes,
    "positions-first": it_dies_before_the_commit,
    "marks-apart": it_dies_while_it_judges,
    "notes-apart": it_dies_when_it_has_judged,
    "answers-unread": one_is_asked_about_while_another_is_unread,
    "naive-outbox": ids_do_not_commit_in_order,
    "rebalance-ignored": an_instance_is_gone_for_good,
    "transactional-id-off": a_paused_relay_wakes,
    "locks-left-out": one_moves_while_another_pays,
}


def test_each_control_has_its_scene() -> None:
    assert SCENES.keys() == CONTROLS.keys()


@pytest.mark.parametrize("control", SCENES)
async def test_the_defect_alone_does_no_harm(
    control: str, kafka: str, database: str, secrets: Path, tmp_path: Path
) -> None:
    """Else a scene would notice it whatever happened there."""
    async with Scene(kafka, database, secrets, tmp_path, control).played() as scene:
        await nothing_happens(scene)


async def test_records_taken_twice_are_noticed_though_their_receipts_have_one_id(
    kafka: str, database: str, secrets: Path, tmp_path: Path
) -> None:
    async with Scene(kafka, database, secrets, tmp_path, "").played() as scene:
        await a_zombie_wakes_with_all_of_it(scene)
    async with Scene(kafka, database, secrets, tmp_path, "fence-off").played() as scene:
        with pytest.raises(Wrong, match="two receipts"):
            await a_zombie_wakes_with_all_of_it(scene)


@pytest.mark.parametrize("control", SCENES)
async def test_the_scene_goes_well(control: str, kafka: str, database: str, secrets: Path, tmp_path: Path) -> None:
    async with Scene(kafka, database, secrets, tmp_path, "").played() as scene:
        await SCENES[control](scene)


@pytest.mark.parametrize("control", SCENES)
async def test_the_defect_is_noticed(control: str, kafka: str, database: str, secrets: Path, tmp_path: Path) -> None:
    async with Scene(kafka, database, secrets, tmp_path, control).played() as scene:
        with pytest.raises(Wrong) as noticed:
            await SCENES[control](scene)
    print(f"{control}: {str(noticed.value)[:300]}")
