"""What a family receives in a year, on the calendars and in the amounts of the programmes.

PKH by components, quarterly, at most four a family; BPNT 200,000 a month, two or three months together; BLT-DD
300,000 a month; PIP once a year by school level; Semarang Berbagi packages every Friday or month. BLT-DD is for
villages, not kelurahan: it is here for the rule that forbids it beside PKH and BPNT.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from .population import YEAR, Household, Person

AGENCY: Final = {
    "PKH": "dinsos-jateng",
    "BPNT": "himbara",
    "BLT-DD": "dpmd-semarang",
    "PIP": "disdik-semarang",
    "SB": "semarang-berbagi",
}
"""Who pays which programme."""
QUARTERS: Final = ((1, 3), (4, 6), (7, 9), (10, 12))
FOOD_SPANS: Final = ((1, 3), (4, 6), (7, 8), (9, 10), (11, 12))
FRIDAYS: Final = tuple(day for n in range(365) if (day := date(YEAR, 1, 1) + timedelta(n)).weekday() == 4)
PUPIL: Final = {"SD": 225_000, "SMP": 375_000, "SMA": 500_000}
YOUNG: Final = 750_000
OLD: Final = 600_000
"""PKH a quarter: for a pupil, for a child under six or a pregnancy, for the elderly or disabled."""
GRANT: Final = {"SD": 450_000, "SMP": 750_000, "SMA": 1_800_000}
NAMES_CARD: Final = {"PKH": 1.0, "BPNT": 1.0, "BLT-DD": 0.9, "PIP": 0.6, "SB": 0.5}
"""How often a programme's payouts name the family's card."""

Key = tuple[str, str]
"""A payout's agency and id."""


@dataclass(slots=True)
class Payout:
    """One payout as its events tell it; only some agencies plan before they pay."""

    id: str
    programme: str
    first: str
    last: str
    nik: str
    name: str
    kk: str | None
    amount: int
    region: str
    tranche: str
    planned_on: date | None
    paid_on: date
    kind: str = "cash"

    @property
    def agency(self) -> str:
        return AGENCY[self.programme]

    @property
    def key(self) -> Key:
        return self.agency, self.id


def pkh_amount(household: Household) -> int:
    """PKH a quarter: each member once at the highest component, at most four of a family; 0 where none is."""
    amounts = []
    for member in household.members:
        told = member.attributes
        if member.age < 6 or told.get("pregnant"):
            amounts.append(YOUNG)
        elif member.age >= 60 or told.get("disability"):
            amounts.append(OLD)
        elif (school := told.get("school_level")) in PUPIL:
            amounts.append(PUPIL[school])
    return sum(sorted(amounts, reverse=True)[:4])


def allot(homes: list[Household], rng: random.Random) -> None:
    """Gives each household its programmes, the poorer the more, and never a forbidden pair."""
    for home in homes:
        poor = home.decile <= 4
        if poor and pkh_amount(home) and rng.random() < 0.26:
            home.programmes.append("PKH")
        if home.decile <= 5 and rng.random() < (0.7 if home.programmes else 0.14):
            home.programmes.append("BPNT")
        served = bool(home.programmes)
        if poor and not served and rng.random() < 0.09:
            home.programmes.append("BLT-DD")
        if poor and rng.random() < 0.8:
            home.programmes.append("PIP")  # for some of its pupils, where it has any
        if home.decile <= 6 and rng.random() < (0.03 if served else 0.12):
            home.programmes.append("SB")


def _span(first: int, last: int) -> tuple[date, date]:
    return date(YEAR, first, 1), date(YEAR + last // 12, last % 12 + 1, 1) - timedelta(1)


class Treasury:
    """Makes payouts and numbers them."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.made = 0
        self.recipients: dict[str, Person] = {}
        """All who received something, by NIK."""

    def year(self, home: Household) -> Iterator[Payout]:
        """All that a household receives in the year."""
        for programme in home.programmes:
            match programme:
                case "PKH":
                    yield from self._pkh(home)
                case "BPNT":
                    yield from self._bpnt(home)
                case "BLT-DD":
                    yield from self._blt(home)
                case "PIP":
                    yield from self._pip(home)
                case "SB":
                    yield from self._packages(home)

    def _pkh(self, home: Household) -> Iterator[Payout]:
        amount = pkh_amount(home)
        for number, (first, last) in enumerate(QUARTERS, 1):
            plan, pay = self._day(first, 2, 9), self._day(first, 15, 28)
            yield self._payout("PKH", home, home.mother, _span(first, last), amount, f"T{number}", plan, pay)

    def _bpnt(self, home: Household) -> Iterator[Payout]:
        recipient = home.mother if self._rng.random() < 0.6 else home.head
        for number, (first, last) in enumerate(FOOD_SPANS, 1):
            amount, pay = 200_000 * (last - first + 1), self._day(first, 8, 27)
            yield self._payout("BPNT", home, recipient, _span(first, last), amount, f"S{number}", None, pay)

    def _blt(self, home: Household) -> Iterator[Payout]:
        for month in range(1, 13):
            plan, pay = self._day(month, 1, 4), self._day(month, 8, 20)
            tranche = f"M{month:02d}"
            yield self._payout("BLT-DD", home, home.head, _span(month, month), 300_000, tranche, plan, pay)

    def _pip(self, home: Household) -> Iterator[Payout]:
        for pupil in home.members:
            level = pupil.attributes.get("school_level")
            if level in GRANT and self._rng.random() < 0.55:
                plan, pay = self._day(3, 1, 28), self._day(4, 1, 30) + timedelta(self._rng.randrange(25))
                yield self._payout("PIP", home, pupil, _span(1, 12), GRANT[level], level, plan, pay)

    def _packages(self, home: Household) -> Iterator[Payout]:
        """Packages from neighbours: every Friday for some, on a month's first Friday for most."""
        rng = self._rng
        weekly, kind = rng.random() < 0.04, rng.choice(("food", "food", "goods"))
        amount = rng.randrange(50_000, 150_001, 10_000)
        for number, friday in enumerate(FRIDAYS, 1):
            if weekly:
                span = friday, min(friday + timedelta(6), date(YEAR, 12, 31))
            elif friday.day <= 7:
                span = _span(friday.month, friday.month)
            else:
                continue
            yield self._payout("SB", home, home.head, span, amount, f"W{number:02d}", None, friday, kind)

    def _day(self, month: int, first: int, last: int) -> date:
        return date(YEAR, month, first + int(self._rng.random() * (last - first + 1)))

    def _payout(
        self,
        programme: str,
        home: Household,
        person: Person,
        span: tuple[date, date],
        amount: int,
        tranche: str,
        planned_on: date | None,
        paid_on: date,
        kind: str = "cash",
    ) -> Payout:
        self.made += 1
        self.recipients[person.nik] = person
        first, last = span[0].isoformat(), span[1].isoformat()
        card = home.kk
        if home.renewed is not None and programme == "PKH" and first >= home.renewed[0]:
            card = home.renewed[1]  # others have not heard of it
        return Payout(
            id=f"{programme}-{YEAR}-{tranche}-{self.made:06d}",
            programme=programme,
            first=first,
            last=last,
            nik=person.nik,
            name=person.name,
            kk=card if self._rng.random() < NAMES_CARD[programme] else None,
            amount=amount,
            region=home.region,
            tranche=tranche,
            planned_on=planned_on,
            paid_on=paid_on,
            kind=kind,
        )
