"""Who comes first where there is not enough for all: pure, no clock and no I/O.

Invariants
- Everybody is ranked once: by what `rank_by` comes to, the highest first; those of whom it is unknown come last, and
  are told what is missing.
- Equals are drawn by lot: in the order of HMAC-SHA-256 over round and pseudonym, under a key unknown to whoever names
  the round. The same round always draws the same lots, another one draws anew.
- What the rank rests on is told beside it: each field that `rank_by` speaks of, as it was known, and `left_out`.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

from tepat_contracts.criteria import LEFT_OUT

from tepat_eligibility.criteria import OF_SCORE, Expression, Uses, View, named
from tepat_eligibility.domain import COUNTED

BY_DEFAULT: Final = LEFT_OUT
"""How a programme ranks that does not say it: those first who were left out the longest."""


class Scored(NamedTuple):
    """What `rank_by` comes to for a subject, None where that is unknown, and what it rests on."""

    subject: str
    left_out: int
    score: float | None
    facts: Mapping[str, Any]
    missing: Sequence[str]


class RankBy:
    """A programme's `rank_by`, compiled once."""

    def __init__(self, expression: str) -> None:
        self.text: Final = expression
        self._named: Final = named(expression)
        self._expression: Final = Expression(expression)
        self.asks_score: Final = bool(OF_SCORE.intersection(self._named.household))

    def scored(self, subject: str, person: View | None, household: View, today: datetime, left_out: int) -> Scored:
        """What it comes to for a person in their household, or for a household where `person` is None."""
        value = self._expression.value(person, household, today, {LEFT_OUT: left_out})
        known = value is not None and not isinstance(value, bool)
        return Scored(
            subject, left_out, float(value or 0) if known else None,
            _facts(self._named, person, household) | {LEFT_OUT: left_out},
            [] if known else _lacking(self._named, person, household),
        )  # fmt: skip


def _lacking(names: Uses, person: View | None, household: View) -> list[str]:
    """What is not known; of what is counted over a household's members also what lacks of one of them."""
    lacking = names.lacking(person, household)
    of_members = [
        f"household.members.{name}"
        for counted, name in COUNTED.items()
        if f"household.{counted}" in lacking and any(name not in member for member in household["members"])
    ]
    return list(dict.fromkeys([*lacking, *of_members]))


def _facts(names: Uses, person: View | None, household: View) -> dict[str, Any]:
    told = {f"household.{n}": household[n] for n in names.household if n in household and n != "members"}
    for name in names.members:
        told[f"household.members.{name}"] = [member[name] for member in household["members"] if name in member]
    return told | {f"person.{n}": person[n] for n in names.person if person is not None and n in person}


def ranked(scored: Iterable[Scored], round_: str, key: bytes) -> list[Scored]:
    """All of them, the first first."""
    return sorted(scored, key=lambda each: (each.score is None, -(each.score or 0.0), lot(each.subject, round_, key)))


def lot(subject: str, round_: str, key: bytes) -> bytes:
    """What a subject draws in a round."""
    return hmac.digest(key, f"{round_}|{subject}".encode(), sha256)


def why(
    rank: int, of: int, places: int, score: float | None, cut: float | None, missing: Sequence[str]
) -> dict[str, str]:
    """Why a subject was reached or not, in Indonesian and English.

    Args:
        cut: the score of the last who was reached.
    """
    english, indonesian = f"{_th(rank)} of {of:,}; places: {places:,}", f"urutan ke-{rank} dari {of}; tempat: {places}"
    if score is None:
        lacks = ", ".join(missing) or "rank_by"
        english += f"; ranked last, since this is not known: {lacks}"
        indonesian += f"; diurutkan terakhir karena belum diketahui: {lacks}"
        if any(name.endswith(".age") for name in missing):
            english += " (a birth date lacks, or lies ahead)"
            indonesian += " (tanggal lahir belum ada, atau di masa depan)"
    elif rank > places and score == cut:
        english += "; as many points as the last one reached, and drawn by lot behind them"
        indonesian += "; nilainya sama dengan penerima terakhir, dan ditentukan dengan undian"
    return {"id": indonesian, "en": english}


def _th(rank: int) -> str:
    ending = "th" if 10 <= rank % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank:,}{ending}"
