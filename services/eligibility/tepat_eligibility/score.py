"""A household's score: a proxy of its welfare out of variables and weights that the policy declares.

Nobody measured the welfare it stands for, and it says so wherever it is told (`proxy`).

Invariants:
- the score is what is told of it: the intercept and the points of each variable, no more and no less, to six decimals;
- where a datum lacks there is no score and no decile, and what lacks is named; the points that are known are told;
- equal data on one day give the same `Scored`, whatever the order of members: decisions are kept by it.

Most households are like one seen before: each member is reduced to what the variables' macros make of them, and a
household is evaluated once for each different set of such members.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from math import fsum, isfinite
from typing import Any, Final

import orjson
from tepat_contracts.policy import Score as Ruled

from tepat_eligibility.criteria import SCORED, Expression, View, named, of_member, uses

_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What a household scores, and `told`, the JSON that events carry. Known by identity.

    `value` and `decile` (1 the poorest, to 10) are None where data lack, which `missing` then names.
    """

    value: float | None
    decile: int | None
    missing: tuple[str, ...]
    told: str


class Score:
    """A policy's score, compiled once. Remembers what it made of households by what it depends on, for one day."""

    KEPT: Final = 50_000

    def __init__(self, ruled: Ruled) -> None:
        self._ruled: Final = ruled
        self._variables: Final = [(each, Expression(each.value), named(each.value)) for each in ruled.variables]
        self.uses: Final = uses("+".join(f"({each.value}\n)" for each in ruled.variables))
        self._rest: Final = uses("+".join(f"({value.rest}\n)" for _, value, _ in self._variables))
        self._macros: Final = [macro for _, value, _ in self._variables for macro in value.macros]
        self._member_wise: Final = all(macro.alone for macro in self._macros)
        self.of_the_day: Final = self.uses.today
        self._kept: dict[tuple[Any, ...], Scored] = {}
        self._kinds: dict[tuple[Any, ...], int] = {}
        self._kind_of: dict[tuple[Any, ...], int] = {}
        self._kept_on: datetime | None = None
        self._last: tuple[View | None, datetime | None, View] = (None, None, {})

    def added(self, household: View, today: datetime) -> View:
        """A household with its score, as far as it is known; `today` is the day at midnight."""
        if self._last[0] is not household or self._last[1] != today:  # one programme after the other asks for it
            scored = self.of(household, today)
            known = {} if scored.value is None else {"score": scored.value, "score_decile": scored.decile}
            self._last = household, today, {**household, **known, SCORED: scored}
        return self._last[2]

    def of(self, household: View, today: datetime) -> Scored:
        """What a household scores."""
        if self._kept_on != today or len(self._kept) > self.KEPT or len(self._kind_of) > self.KEPT:
            for kept in (self._kept, self._kinds, self._kind_of):
                kept.clear()
            self._kept_on = today
        seen = self._seen(household, today)
        scored = self._kept.get(seen)
        if scored is None:
            scored = self._kept[seen] = self._worked_out(household, today)
        return scored

    def _seen(self, household: View, today: datetime) -> tuple[Any, ...]:
        """All that the score and what lacks for it depend on, but the day itself."""
        if not self._member_wise:
            return self.uses.values(None, household)
        return (
            self._rest.values(None, household),
            *sorted([self._kind(member, today) for member in household["members"]]),
        )

    def _kind(self, member: View, today: datetime) -> int:
        """The same number for members of whom the macros make the same, and of whom the same lacks."""
        seen = tuple([member.get(name) for name in self.uses.members])
        kind = self._kind_of.get(seen)
        if kind is None:
            kind = self._kind_of[seen] = self._kinds.setdefault(self.of_member(member, today), len(self._kinds))
        return kind

    def of_member(self, member: View, today: datetime) -> tuple[Any, ...]:
        """All that the score and what lacks for it depend on of one who lives in the household."""
        return of_member(member, today, self._macros, self.uses, self._rest)

    def _worked_out(self, household: View, today: datetime) -> Scored:
        contributions: list[dict[str, Any]] = []
        missing: list[str] = []
        points = [self._ruled.intercept]
        for variable, expression, asks in self._variables:
            value = expression.value(None, household, today)
            of_it = None if value is None else round(value * variable.weight, _DECIMALS) + 0.0
            if of_it is None or not isfinite(of_it):
                missing += asks.lacking(None, household) or [f"score.{variable.code}"]
            else:
                points.append(of_it)
                contributions.append(
                    {"variable": variable.code, "value": value, "weight": variable.weight, "points": of_it}
                )
        total = None if missing else round(fsum(points), _DECIMALS) + 0.0
        decile = None if total is None else bisect_right(self._ruled.deciles, total) + 1
        lacking = tuple(sorted(set(missing)))
        told = {
            "code": self._ruled.code, "proxy": True, "intercept": self._ruled.intercept,
            "contributions": contributions,
            **({"missing": lacking} if total is None else {"value": total, "decile": decile}),
        }  # fmt: skip
        return Scored(total, decile, lacking, orjson.dumps(told).decode())
