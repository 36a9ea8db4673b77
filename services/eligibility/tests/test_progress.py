"""What eligibility tells of its progress: never before a decision that follows from what it covers, and always on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tepat_chassis.progress import Progress
from tepat_contracts.events.ours import ProgressTold
from tepat_eligibility import judge
from tepat_eligibility.app import is_told_of
from tepat_eligibility.judge import DECISIONS

from .conftest import NOON, PKH, Eligibility, g, lives, nik_of, person, policy, programme, visited

pytestmark = pytest.mark.integration

PROGRESS, PERSONS, VISITS = "eligibility.progress.v1", "registry.persons.v1", "agency.dinsos.verifications.v1"
REGION = "33.74.01.{}"
QUEUES = ("erased", "mark", "touched")
SCHEMA: TypeAdapter[Any] = TypeAdapter(ProgressTold)


class History:
    """Lets facts come about a few families, each word of a family from another village, and remembers which stood
    where on the topic.
    """

    def __init__(self, eligibility: Eligibility) -> None:
        self.eligibility = eligibility
        self.told: dict[int, list[tuple[int, int | None]]] = {}
        """By family: the offset behind each of its records, and the village it told; none of a tombstone."""
        self._villages, self._revisions = count(1001), count(1)
        self.progress = self._new()

    def _new(self) -> Progress:
        return Progress(self.eligibility.database, is_told_of, QUEUES, lambda: NOON)

    async def begin(self) -> None:
        await self.eligibility.database.pool.execute("insert into progress (revision, through) values (1, '{}')")

    async def happen(self, step: str, families: Any) -> None:
        """A step; beside one that is not yet committed progress is looked at too, and it may come to nothing."""
        match step:
            case "take":
                villages = [next(self._villages) for _ in families]
                await self.eligibility.take(*(self._person(*each) for each in zip(families, villages, strict=True)))
                await self._note(families, villages)
            case "forget":
                await self.eligibility.forget(*(f"p{each}" for each in families))
                await self._note(families, [None] * len(families))
            case "judge":
                async with self.judging():
                    await self.look()
            case "judge in vain":
                with suppress(ZeroDivisionError):
                    async with self.judging():
                        await self.look()
                        raise ZeroDivisionError
            case "look":
                await self.look()
            case "crash":
                self.progress = self._new()

    def _person(self, family: int, village: int) -> dict[str, Any]:
        home = lives(f"h{family}", region=REGION.format(village))
        return person(
            f"p{family}", home, revision=next(self._revisions), attributes={"decile": 2}, region=REGION.format(village)
        )

    async def _note(self, families: list[int], villages: list[Any]) -> None:
        end = await self.eligibility.database.pool.fetchval(
            "select next_offset from position where topic = $1", PERSONS
        )
        for number, (family, village) in enumerate(zip(families, villages, strict=True), end - len(families) + 1):
            self.told.setdefault(family, []).append((number, village))

    @asynccontextmanager
    async def judging(self) -> AsyncIterator[None]:
        async with self.eligibility.database.pool.acquire() as connection, connection.transaction():
            await self.eligibility.judge.step(connection)
            yield

    async def look(self) -> None:
        async with self.eligibility.database.pool.acquire() as connection:
            await self.progress.step(connection)

    async def outgoing(self) -> list[tuple[str, str, Any]]:
        rows = await self.eligibility.database.pool.fetch("select topic, key, value from outbox order by id")
        return [(row["topic"], row["key"], row["value"] and orjson.loads(row["value"])["data"]) for row in rows]

    async def check(self) -> int:
        """What stands before each word of progress is at least what its records make; up to where the last word is."""
        known: dict[str, int | None] = {}
        through, revision = 0, 1
        families = {f"PKH|{g(f'h{family}')}": family for family in self.told}
        for topic, key, data in await self.outgoing():
            if topic == DECISIONS:
                known[key] = data and int(data["region"].rpartition(".")[2])
            elif topic == PROGRESS:
                SCHEMA.validate_python(data)
                revision += 1
                assert (key, data["revision"]) == ("eligibility", revision)
                (end,) = data["through"][PERSONS]
                assert end > through
                through = end
                for key_of, family in families.items():
                    records = [each for each in self.told[family] if each[0] <= through]
                    if records:
                        allowed = [village for _, village in self.told[family][len(records) - 1 :]]
                        assert known.get(key_of) in allowed, f"of {family} through {through}"
        return through


steps = st.lists(
    st.tuples(
        st.sampled_from(["take"] * 4 + ["judge"] * 5 + ["look"] * 3 + ["forget", "judge in vain", "crash"]),
        st.lists(st.integers(0, 4), min_size=1, max_size=4, unique=True),
    ),
    min_size=12, max_size=40,
)  # fmt: skip


@given(steps)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_progress_never_runs_ahead_of_decisions(eligibility: Eligibility, happening: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "MARKS_AT_ONCE", 2)
        patch.setattr(judge, "HOUSEHOLDS_AT_ONCE", 1)
        patch.setattr(judge, "SETTLED_IN_A_ROW", 2)
        await eligibility.empty()
        await eligibility.follow(policy(PKH))
        await eligibility.step()  # the first day
        history = History(eligibility)
        await history.begin()
        for step, families in happening:
            await history.happen(step, families)
        await history.check()
        await eligibility.decide()
        for _ in range(len(QUEUES) + 2):
            await history.look()
        ends = [records[-1][0] for records in history.told.values()]
        assert await history.check() == max(ends, default=0), "in the end everything is told"
        told = len(await history.outgoing())
        await history.look()
        assert len(await history.outgoing()) == told, "and nothing where nothing has moved"


@pytest.mark.parametrize("step", ["take", "forget"])
async def test_each_table_on_the_way_is_waited_for(eligibility: Eligibility, step: str) -> None:
    history = History(eligibility)
    await history.begin()
    await history.happen("take", [1, 2])
    await eligibility.decide()
    await history.happen(step, [2])
    for _ in range(4):
        for _ in range(len(QUEUES) + 2):
            await history.look()
        await history.check()
        await history.happen("judge", [])
    for _ in range(len(QUEUES) + 2):
        await history.look()
    assert await history.check() == 3


async def test_progress_goes_on_while_work_never_ends(
    eligibility: Eligibility, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that comes as fast as it is decided, behind a backlog: what is told follows it at a distance."""
    monkeypatch.setattr(judge, "MARKS_AT_ONCE", 4)
    monkeypatch.setattr(judge, "HOUSEHOLDS_AT_ONCE", 4)
    monkeypatch.setattr(judge, "SETTLED_IN_A_ROW", 1)
    await eligibility.step()
    history = History(eligibility)
    await history.begin()
    await history.happen("take", range(8))
    reached = []
    for number in range(24):
        await history.happen("take", [10 + 4 * number + each for each in range(4)])
        for step in ("judge", "judge", "look"):
            await history.happen(step, [])
        left = await eligibility.database.pool.fetchval(
            "select (select count(*) from mark) + (select count(*) from touched)"
        )
        assert left > 0
        reached.append(await history.check())
    assert len(set(reached)) > 3
    assert reached[-1] > 40


async def test_visits_are_told_of_and_turns_and_the_policy_are_not(eligibility: Eligibility) -> None:
    await eligibility.follow(policy(programme("PKH", "household.decile <= 4", needs_verification=True)))
    await eligibility.take(person(nik_of(1), lives("h"), attributes={"decile": 2}))
    await eligibility.decide()
    history = History(eligibility)
    await history.begin()
    for topic in ("policy.v1", "distribution.turns.v1", "registry.households.v1"):
        await eligibility.database.pool.execute("insert into position values ($1, 2, 7)", topic)
    await eligibility.take(visited(1))
    for _ in range(3):
        await history.look()
    assert PROGRESS not in [topic for topic, *_ in await history.outgoing()]
    await eligibility.decide()
    for _ in range(3):
        await history.look()
    *_, (_, _, decided), (topic, _, told) = await history.outgoing()
    assert (decided["decision"], topic) == ("eligible", PROGRESS)
    assert told["through"] == {PERSONS: [1], VISITS: [2], "registry.households.v1": [0, 0, 7]}
