"""The report: what was planned, paid, returned, never fetched, found to overlap and got back, summed from the ledger.

Invariants
- A payout counts once, in its present state, with the amount of the event that holds; of one that has ended that is
  what was told last before its end. `unclaimed` are those of the planned whose days are over.
- Every figure but those of `COVERED` adds up: whatever it is grouped by, the sums are those over the ledger's own rows,
  to the rupiah. All figures of an answer are of one snapshot.
- An overlap that stands is counted once, in the programme, agency and area of its second payout and on the first day
  that both cover, as it was announced; with the rupiah at risk.
- `prevented` are payouts cancelled before they were paid, `recovered` those returned: of those that stood in an
  announced overlap when they ended (view ``saved``), each once, with its whole amount. Why they ended nobody tells the
  ledger; the figures of cases are the part of it that the policy or somebody judged.
- `coverage` is a part of a whole: of those decided eligible now, who were paid in the period. By area they count where
  they live, and those paid where their payouts say; so over all areas `receiving` is `covered` and `not_eligible`.
- Operating support to institutions stands in accounts of its own (``funds``), which nothing here reads.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database
from tepat_chassis.http import Region, must_be_of
from tepat_chassis.standing import Standing
from tepat_chassis.wanted import Day

from tepat_distribution.policed import Policed
from tepat_distribution.refusals import refusal
from tepat_distribution.store import every, queries

Reader = Annotated[Person, Depends(needs(Right.read))]
Level = Literal["kabupaten", "kecamatan", "kelurahan"]
Length = Literal["month", "quarter"]
Dimension = Literal["programme", "strategy", "agency", Level, Length]

FIGURES: Final = (
    "planned", "disbursed", "cancelled", "returned", "unclaimed", "overlaps", "prevented", "recovered",
)  # fmt: skip
"""Each a number and an amount in rupiah."""
COVERED: Final = ("receiving", "not_eligible", "eligible", "covered")
"""Persons or households, by the programme's unit, each once; without criteria of the programme the first alone."""
CHARACTERS: Final = {"kabupaten": 5, "kecamatan": 8, "kelurahan": 13}
"""Of a region's code, up to a level. A region above that level stands for itself."""
MOST_LINES: Final = 20_000
"""Of one answer: more is no report, and some ten megabytes."""

Key = tuple[str | None, ...]


def _one_of(asked: list[Dimension], kinds: Any, why: Literal["one_level", "one_length"]) -> Any:
    """The one dimension of a kind that is asked for, or none. Raises HTTPException where several are."""
    named = [each for each in asked if each in get_args(kinds)]
    if len(named) > 1:
        raise refusal(422, why, named=", ".join(named))
    return named[0] if named else None


def period(day: date, length: Length) -> str:
    """A month as ``2026-01``, a quarter as ``2026-Q1``."""
    return f"{day.year:04}-{day.month:02}" if length == "month" else f"{day.year:04}-Q{(day.month + 2) // 3}"


class Grouping:
    """What a report has a line for. Raises HTTPException for two levels of area, or two lengths of period."""

    def __init__(self, by: list[Dimension], policy: Policed) -> None:
        self.by = list(dict.fromkeys(by))
        self.level: Level | None = _one_of(self.by, Level, "one_level")
        self.length: Length | None = _one_of(self.by, Length, "one_length")
        self._policy = policy

    @property
    def asked(self) -> dict[str, Any]:
        """What the statement groups by."""
        return {
            "by_programme": "programme" in self.by or "strategy" in self.by, "by_agency": "agency" in self.by,
            "characters": self.level and CHARACTERS[self.level], "period": self.length,
        }  # fmt: skip

    def key(self, row: Any, agencies: Mapping[int, str], programmes: Mapping[int, str]) -> Key:
        """The line that a row belongs to."""
        return tuple(self._value(dimension, row, agencies, programmes) for dimension in self.by)

    def _value(
        self, dimension: Dimension, row: Any, agencies: Mapping[int, str], programmes: Mapping[int, str]
    ) -> str | None:
        match dimension:
            case "programme":
                return programmes[row["programme"]]
            case "strategy":
                known = self._policy.index.programmes.get(programmes[row["programme"]])
                return known.strategy if known is not None else None
            case "agency":
                return agencies[row["agency"]]
            case "month" | "quarter":
                return period(row["period"], dimension)
            case _:
                area: str = row["area"]
                return area

    def line(self, key: Key) -> dict[str, Any]:
        """A line's head: what it is for, the area with its name."""
        told: dict[str, Any] = dict(zip(self.by, key, strict=True))
        return told | ({"name": self._policy.index.regions.get(told[self.level])} if self.level else {})


def router(database: Database, standing: Standing[Policed], clock: Callable[[], datetime]) -> APIRouter:
    """The report below /v1."""
    routes = APIRouter(tags=["report"])

    @routes.get("/report")
    async def report(
        person: Reader,
        since: Annotated[Day, Query(alias="from", description="payouts whose days begin on this day")] = date.min,
        until: Annotated[Day, Query(alias="to", description="up to this one")] = date.max,
        by: Annotated[list[Dimension] | None, Query(description="a line for each of these together")] = None,
        region: Region = None,
        programme: str | None = None,
        agency: str | None = None,
        receiving: Annotated[
            bool, Query(description="also who was paid of the eligible, each once; by programme, or programme and area")
        ] = False,
    ) -> dict[str, Any]:
        """What was planned, paid, ended and found in a period, in the person's regions.

        `receiving` were paid, and are `not_eligible`, or not decided, as far as said; of the `eligible` so many are
        `covered`, `coverage` is their part. They are persons or households, and null where the programme has no
        criteria.
        `ends_alone` are payouts of which only the end was told: they stand in no line. `pending` is what is not judged
        yet: until that is none the overlaps are not the last word.
        """
        policy = (await standing.ruling()).document
        must_be_of(policy.programmes, "programme", programme, what="programme")
        must_be_of(policy.agencies, "agency", agency, what="agency")
        if until < since:
            raise refusal(422, "ends_before")
        grouping = Grouping(by or ["programme"], policy)
        if receiving and ("programme" not in grouping.by or {*grouping.by} - {"programme", grouping.level}):
            raise refusal(422, "receiving_by")
        now = clock()
        asked = {
            "since": since, "until": until, "region": region, "regions": list(person.regions),
            "programme": programme and policy.programmes[programme], "of_agency": agency and policy.agencies[agency],
        }  # fmt: skip
        async with (
            database.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            today = now.astimezone(ZoneInfo(policy.index.policy.time_zone)).date()
            lines = await _lines(connection, grouping, asked, today, receiving=receiving)
            pending = int(await queries.unjudged(connection))
            ends_alone = int(await queries.ends_alone(connection)) if person.covers(None) else None
        return {
            "from": None if since == date.min else since, "to": None if until == date.max else until,
            "by": grouping.by, "region": region, "as_of": now, "policy_version": policy.index.version,
            "items": lines,
            "total": {
                figure: {name: sum(line[figure][name] for line in lines) for name in ("number", "amount")}
                for figure in FIGURES
            },
            "ends_alone": ends_alone, "pending": pending,
        }  # fmt: skip

    return routes


async def _lines(
    connection: Connection, grouping: Grouping, asked: Mapping[str, Any], today: date, *, receiving: bool
) -> list[dict[str, Any]]:
    """The lines of a report, in the order of what they are for."""
    # A line of one programme has a row for each of eight kinds at most: plans in time and overdue, three states more,
    # and three figures beside.
    rows = await every(queries.reported(connection, **asked, **grouping.asked, today=today, at_most=8 * MOST_LINES + 1))
    agencies = {row["id"]: row["code"] for row in await every(queries.agencies(connection))}
    programmes = {row["id"]: row["code"] for row in await every(queries.programmes(connection))}
    lines: dict[Key, dict[str, Any]] = defaultdict(lambda: {each: {"number": 0, "amount": 0} for each in FIGURES})
    for row in rows:
        line = lines[grouping.key(row, agencies, programmes)]
        for figure in row["figures"]:
            line[figure]["number"] += row["number"]
            line[figure]["amount"] += int(row["amount"])
    if receiving:
        await _cover(connection, grouping, asked, lines, programmes)
    if len(lines) > MOST_LINES or len(rows) > 8 * MOST_LINES:
        raise refusal(422, "too_many_lines", most=MOST_LINES)
    return [
        grouping.line(key) | line
        for key, line in sorted(lines.items(), key=lambda each: [value or "" for value in each[0]])
    ]


async def _cover(
    connection: Connection, grouping: Grouping, asked: Mapping[str, Any], lines: dict[Key, dict[str, Any]],
    programmes: Mapping[int, str],
) -> None:  # fmt: skip
    """Put beside each line who was paid and who is eligible, with lines for those of whom nobody was ever paid."""
    characters = grouping.asked["characters"]
    for counted in (queries.receiving, queries.eligible):
        for row in await every(counted(connection, **asked, characters=characters, at_most=MOST_LINES + 1)):
            line = lines[grouping.key(row, {}, programmes)]
            line.update({name: value for name, value in row.items() if name in COVERED})
    decided = {programmes[row["programme"]] for row in await every(queries.terms(connection)) if row["decided"]}
    programme = grouping.by.index("programme")
    for key, line in lines.items():
        nobody = 0 if key[programme] in decided else None
        line.setdefault("receiving", 0)
        for name in COVERED[1:]:
            line.setdefault(name, nobody)
        line["coverage"] = round(line["covered"] / line["eligible"], 4) if line["eligible"] else None
