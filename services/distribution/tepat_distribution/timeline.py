"""All that happened in a case, on one line of time: events of its two payouts, announcements of its overlap, acts.

No I/O, and no clock of its own.

Invariants
- It follows from the events, announcements and acts alone, whatever order and however often events came.
- A step stands where the system heard of it: an event at the broker's time, with the time that its agency gives it
  beside, ``dated``. An event without a time of its own has none.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import Any, Final

from tepat_contracts.envelope import UNDATED

from tepat_distribution.domain import STATES, VERDICTS
from tepat_distribution.resolving import PROPOSED

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_TIME: Final = datetime.fromisoformat(UNDATED)
FACTS: Final[Mapping[str, tuple[str, ...]]] = {
    "rule": ("rule",), "verdict": ("strength",), "scope": ("by_person",), "person": ("person",),
    "household": ("household",), "during": ("starts", "ends"), "region": ("region",),
    "programmes": ("code_a", "code_b"), "amounts": ("amount_a", "amount_b"), "states": ("rank_a", "rank_b"),
    "revisions": ("revision_a", "revision_b"),
}  # fmt: skip
"""What may change between two announcements, by the columns of table ``overlap``."""

Step = dict[str, Any]


def timeline(
    events: Iterable[Mapping[str, Any]], announced: Iterable[Mapping[str, Any]], acts: Iterable[Mapping[str, Any]]
) -> list[Step]:
    """What happened, in the order in which it was heard of.

    Args:
        events: rows of ``events_of_case``, of each payout in the order in which they hold.
        announced: rows of ``announcements_of``, by revision.
        acts: as told of the case (``CaseAct`` in the contracts).
    """
    steps = [
        *(step for _, told in groupby(events, lambda row: (row["agency"], row["payout_id"])) for step in paid(told)),
        *_announced(list(announced)),
        *({**act, "what": act["act"]} for act in done(acts)),
    ]
    return sorted(steps, key=lambda step: step["at"])


def done(acts: Iterable[Mapping[str, Any]]) -> Iterator[Step]:
    """Acts as told of a case, ``at`` as a moment; that by which a waiver lapsed says who proposed it, ``lapsed``."""
    proposed = None
    for act in acts:
        step = {**act, "at": datetime.fromisoformat(act["at"])}
        if act["act"] not in ("assigned", "overdue"):
            if proposed is not None and act["act"] != "waived":
                step["lapsed"] = proposed
            proposed = act.get("by") if act["act"] == PROPOSED else None
        yield step


def paid(events: Iterable[Mapping[str, Any]]) -> list[Step]:
    """The events about one payout, in the order in which they hold. An end tells no amount: it ends what was told last
    before. What was heard after an event that holds over it came ``late``, and changed nothing.
    """
    steps, amount = [], None
    for row in events:
        amount = row["amount"] if row["amount"] is not None else amount
        dated: datetime = row["event_time"]
        # of what came before the broker's times were kept the agency's stand for them
        heard = EPOCH + timedelta(milliseconds=row["appended"]) if row["appended"] else dated
        steps.append({
            "at": heard, "what": f"payout {STATES[row['rank']]}", "payout": f"{row['agency']}/{row['payout_id']}",
            "revision": row["revision"], "amount": amount if amount is not None else row["last_amount"],
            **({"dated": dated} if dated != NO_TIME else {}),
        })  # fmt: skip
    first_heard = None
    for step in reversed(steps):
        if first_heard is not None and step["at"] > first_heard:
            step["late"] = True
        else:
            first_heard = step["at"]
    return steps


def _announced(rows: list[Mapping[str, Any]]) -> Iterator[Step]:
    """The announcements of an overlap: announced, changed and in what, cleared and why, announced again."""
    for before, row in pairwise([None, *rows]):
        assert row is not None
        step = {"at": row["announced_at"], "overlap_revision": row["revision"]}
        if not row["live"]:
            yield step | {"what": "overlap cleared"} | ({"reason": row["reason"]} if row["reason"] else {})
            continue
        step |= {
            "what": "overlap announced", "rule": row["rule"], "verdict": VERDICTS[row["strength"]],
            "states": [STATES[row["rank_a"]], STATES[row["rank_b"]]], "amount_at_risk": row["amount_at_risk"],
        }  # fmt: skip
        if before is not None and before["live"]:
            changed = [name for name, of in FACTS.items() if any(before[each] != row[each] for each in of)]
            step |= {"what": "overlap changed", "changed": changed}
        yield step
