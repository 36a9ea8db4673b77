"""The policy as eligibility uses it: the door's index, ranks of trust, and the programmes that decide."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tepat_contracts.policy import PolicyIndex, from_document

from tepat_eligibility.domain import Day, Programme, having, ranks
from tepat_eligibility.score import Score


@dataclass(frozen=True, slots=True)
class Policed:
    """A policy in force. ``programmes`` are those with criteria: each compiled once, when the policy is read."""

    index: PolicyIndex
    ranks: Mapping[str, int]
    programmes: tuple[Programme, ...]

    def deciding(self, day: Day, only: Collection[str] | None = None) -> list[Programme]:
        """The programmes that decide on a day, or those of some codes among them."""
        return [
            each for each in self.programmes if each.effective.holds(day.date) and (only is None or each.code in only)
        ]

    @property
    def time_zone(self) -> str:
        """Where it is decided which day it is."""
        return self.index.policy.time_zone

    @property
    def secret_id(self) -> str:
        """Which secret the province's pseudonyms are made under."""
        return self.index.policy.secret_id


def parse(document: Any) -> Policed:
    """The policy out of its document. Raises pydantic.ValidationError."""
    policy = from_document(document)
    score = None if policy.score is None else Score(policy.score)
    programmes = tuple(Programme(p, score, having(p.code, policy)) for p in policy.programmes if p.criteria is not None)
    return Policed(PolicyIndex(policy), ranks(policy), programmes)
