"""What if: the present population decided under the policy in force and under a proposed one, and what differs.

Invariants
- Nothing is written, marked or announced: all is read in one read-only transaction on one snapshot, by a connection of
  its own; the only table written to is the session's own, of persons who would live elsewhere.
- Both policies decide by `households.Household`, as the duty does, on the day that residences are of.
- Memory does not depend on the number of households: they are read in pages, in the order of their pseudonyms, and of
  each page only numbers remain.

It is a process of its own (`python -m tepat_eligibility.simulate`, asked on standard input), of low priority, so that
deciding in Python keeps neither the service's event loop nor its duty waiting.
"""

import asyncio
import gc
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from tepat_chassis.database import Connection, Database
from tepat_chassis.http import AWAY, COLLECT_AFTER

from tepat_eligibility import policed
from tepat_eligibility.domain import Day, Decision, Told, Visit, card, restated
from tepat_eligibility.handlers import IN_FORCE
from tepat_eligibility.households import NOTHING, Decided, Households, Resident, Stands
from tepat_eligibility.policed import Policed
from tepat_eligibility.refusals import words
from tepat_eligibility.store import SERVICE, every, queries, residents, visits_of

HOUSEHOLDS_AT_ONCE: Final = 1_500
PERSONS_AT_ONCE: Final = 5_000
DIFFERENT: Final = 100_000
"""Ways in which decisions may differ that are held apart until they are summed up."""
NICE: Final = 5
LONGEST_LINE: Final = 256 * 2**20
STARTED: Final = "00000000-0000-0000-0000-000000000000"

MOVING: Final = (
    "create temp table moving (person uuid primary key, household uuid not null); create index on moving (household)"
)

#: What stands of a subject of which nothing is decided.
UNDECIDED: Final = "none"


class NothingToCompare(Exception):
    """No policy is in force, or no day was turned yet."""


# --- what differs -----------------------------------------------------------------------------------------------


class Change(NamedTuple):
    """What becomes of a decision; areas are kabupaten and kota, none where it is not known where a subject lives."""

    programme: str
    area: str | None
    before: str
    after: str
    period_before: str | None
    period_after: str | None


class Sums:
    """How many decisions change in which way, and how many rupiah are due then.

    What is due under another period is another due: all of the one is lost, all of the other gained.
    """

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, Decided, Decided]] = Counter()
        self._sums: dict[Change, list[int]] = {}

    def add(self, region: str, before: Decided, after: Decided) -> None:
        """Count a subject."""
        self._seen[region[:5], before, after] += 1
        if len(self._seen) > DIFFERENT:
            self._sum_up()

    def rows(self) -> list[dict[str, Any]]:
        """Each change that was counted: the number of its subjects, and the rupiah."""
        self._sum_up()
        named = ("subjects", "due_before", "due_after", "gained", "lost")
        told = [change._asdict() | dict(zip(named, sums, strict=True)) for change, sums in self._sums.items()]
        return sorted(told, key=lambda row: [str(row[name] or "") for name in Change._fields])

    def _sum_up(self) -> None:
        for (area, decided, then), subjects in self._seen.items():
            of, to = ({each.programme: each for each in both.decisions} for both in (decided, then))
            for programme in of.keys() | to.keys():
                before, after = of.get(programme), to.get(programme)
                had, will = _due(before), _due(after)
                gained, lost = max(will[0] - had[0], 0), max(had[0] - will[0], 0)
                if had[1] != will[1]:
                    gained, lost = will[0], had[0]
                key = Change(programme, area or None, _word(before), _word(after), had[1], will[1])
                sums = self._sums.setdefault(key, [0] * 5)
                for place, each in enumerate((1, had[0], will[0], gained, lost)):
                    sums[place] += each * subjects
        self._seen.clear()


def _word(decision: Decision | None) -> str:
    return UNDECIDED if decision is None else decision.decision


def _due(decision: Decision | None) -> tuple[int, str | None]:
    """Rupiah due, and how often."""
    if decision is None or decision.due is None:
        return 0, None
    told = orjson.loads(decision.due)
    return told["amount"], told.get("period")


class _Both(NamedTuple):
    """How the policy in force decides, and how the proposed one does."""

    before: Households
    after: Households


def _both(present: Policed, proposed: Policed, day: Day, only: Collection[str] | None = None) -> _Both:
    """By every programme that decides on a day, or by some of them."""
    return _Both(*(Households(policy.deciding(day, only), day) for policy in (present, proposed)))


# --- reading ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Simulation:
    """A proposed policy beside the one in force, over what a connection's transaction sees."""

    connection: Connection
    present: Policed
    proposed: Policed
    day: Day
    sums: Sums

    @classmethod
    async def of(cls, connection: Connection, document: object) -> "Simulation":
        """The simulation of a policy document. Raises NothingToCompare, pydantic.ValidationError."""
        stored, day = await connection.fetchval(IN_FORCE), await queries.day(connection)
        if stored is None or day is None:
            raise NothingToCompare
        return cls(connection, policed.parse(orjson.loads(stored)), policed.parse(document), Day(day), Sums())

    async def run(self) -> AsyncIterator[int]:
        """Count, page by page; yields the number of households done so far."""
        changed = set(restated(self.present.index.policy, self.proposed.index.policy))
        moving = self.present.ranks != self.proposed.ranks and await self._find_moving()
        if not changed and not moving:
            return
        whole, changing = (_both(self.present, self.proposed, self.day, only) for only in (None, changed))
        done = 0
        for begun in (
            (queries.households_after, queries.households_begun_after) if moving else (queries.households_after,)
        ):
            after = STARTED
            while rows := await every(begun(self.connection, after=after, at_most=HOUSEHOLDS_AT_ONCE)):
                page = [row["household"] for row in rows]
                await self._compare(page, whole, changing, moving=moving)
                after = page[-1]
                done += len(page)
                yield done

    # -- who would live elsewhere ------------------------------------------------------------------

    async def _find_moving(self) -> bool:
        """Note who would live elsewhere by the proposed policy's ranks of trust; whether anybody would."""
        after, anybody = STARTED, False
        while rows := await every(queries.disputed_after(self.connection, after=after, at_most=PERSONS_AT_ONCE)):
            after = rows[-1]["person"]
            cards: list[tuple[Told, str, str | None]] = []
            for row in rows:
                told = orjson.loads(row["told"])
                then = card(told, self.proposed.ranks, self.day)
                if then != card(told, self.present.ranks, self.day):
                    cards.append((told, row["household"], then))
            households = ",".join({then for _, _, then in cards if then is not None})
            renewed = {
                row["household"]: row["stands_for"]
                for row in await every(queries.renewed(self.connection, households=households))
            }
            homes = [
                (told["person"], household, told["alone"] if then is None else renewed.get(then, then))
                for told, household, then in cards
            ]
            moving = [(UUID(person), UUID(home)) for person, household, home in homes if home != household]
            if moving:
                anybody = True
                await self.connection.copy_records_to_table("moving", records=moving, columns=("person", "household"))
        return anybody

    # -- comparing ---------------------------------------------------------------------------------

    async def _compare(self, page: Sequence[str], whole: _Both, changing: _Both, *, moving: bool) -> None:
        """Count the decisions of these households and of those who live there now: those of the programmes that change,
        and where anybody would leave or enter, of all.
        """
        living = await self._living(queries.residents, page)
        elsewhere: dict[str, str] = {}
        then = living
        if moving:
            elsewhere = {
                row["person"]: row["household"]
                for row in await every(queries.elsewhere(self.connection, households=",".join(page)))
            }
            then = await self._living(queries.residents_then, [*{*page, *elsewhere.values()}])
        found: list[tuple[_Both, Stands, Stands]] = []
        for name in page:
            now, will = living.get(name, []), then.get(name, [])
            if now is will or _names(now) == _names(will):
                if now:
                    both = zip(changing.before.decided(now), changing.after.decided(now), strict=True)
                    found += [(changing, had, will_have) for had, will_have in both]
                continue
            homes = [then[home] for home in {name, *(elsewhere.get(who, name) for who in _names(now))} if home in then]
            before = _found(whole.before, [now] if now else [])
            after = {key: each for key, each in _found(whole.after, homes).items() if key in before or key == name}
            found += [
                (whole, before.get(key, Stands(key)), after.get(key, Stands(key)))
                for key in before.keys() | after.keys()
            ]
        visits = await self._visits(found)
        for by, *stands in found:
            had, will_have = (of.verified(each, visits) for of, each in zip(by, stands, strict=True))
            self.sums.add(
                had.region if will_have.decided is NOTHING else will_have.region, had.decided, will_have.decided
            )

    async def _living(self, by: Callable[..., Awaitable[Any]], households: Sequence[str]) -> dict[str, list[Resident]]:
        return dict(residents(await by(self.connection, households=",".join(households))))

    async def _visits(self, found: Iterable[tuple[_Both, Stands, Stands]]) -> Mapping[str, list[Visit]]:
        """The visits that any of this depends on, by NIK."""
        niks = {nik for _, *both in found for each in both if each.decided.unverified for nik in each.niks}
        return await visits_of(self.connection, niks) if niks else {}


def _found(of: Households, homes: Iterable[Sequence[Resident]]) -> dict[str, Stands]:
    """What is found of each subject."""
    return {each.subject: each for members in homes for each in of.decided(members)}


def _names(members: Sequence[Resident]) -> list[str]:
    return [resident.person for resident in members]


# --- the process ------------------------------------------------------------------------------------------------


async def simulated(database: Database, document: object) -> AsyncIterator[dict[str, Any]]:
    """What `POST /v1/simulations` answers, line by line: how far it has come, in the end the result or why none."""
    connection = await database.connect()
    try:
        await connection.execute(MOVING)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            simulation = await Simulation.of(connection, document)
            households = await queries.count_households(connection)
            async for done in simulation.run():
                yield {"done": done, "of": households}
            yield {"result": {
                "day": simulation.day.iso, "present": simulation.present.index.version,
                "proposed": simulation.proposed.index.version, "households": households,
                "pending": await queries.left_to_decide(connection), "changes": simulation.sums.rows(),
            }}  # fmt: skip
    except NothingToCompare:
        yield {"failed": words("nothing_to_compare")}
    except AWAY:
        yield {"failed": words("database_away")}
    finally:
        await connection.close(timeout=1)


async def _answer(asked: dict[str, Any]) -> None:
    database = Database(
        asked["database"], service=SERVICE, session=(files(__package__) / "sql" / "session.sql").read_text()
    )
    async for line in simulated(database, asked["policy"]):
        sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
        sys.stdout.flush()  # fails once nobody reads: then this ends


async def lines(
    database: Database, document: object, covers: Callable[[str | None], bool]
) -> AsyncGenerator[dict[str, Any], None]:
    """The same, by a process of its own that ends with whoever reads this; of the areas that they may see."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tepat_eligibility.simulate",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST_LINE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(orjson.dumps({"database": database.url, "policy": document}))
        process.stdin.close()
        async for line in process.stdout:
            told = orjson.loads(line)
            if (result := told.get("result")) is not None:
                result["changes"] = [change for change in result["changes"] if covers(change["area"])]
            yield told
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def main() -> None:
    """Answer what standard input asks on standard output."""
    os.nice(NICE)
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    with suppress(BrokenPipeError):
        asyncio.run(_answer(orjson.loads(sys.stdin.buffer.read())))


if __name__ == "__main__":
    main()
