"""A case's line of time, by its pure rules: the same whatever comes in what order is tested in ``test_cases``."""

from datetime import UTC, datetime
from typing import Any

from tepat_contracts.envelope import UNDATED
from tepat_distribution.timeline import timeline

DAY = datetime(2026, 1, 5, tzinfo=UTC)
FIRST = {
    "revision": 1, "announced_at": DAY, "live": True, "reason": None, "rule": "pkh-blt", "strength": 0,
    "by_person": False, "person": None, "household": "h", "starts": DAY.date(), "ends": DAY.date(), "region": "33.74",
    "code_a": "BLT-DD", "code_b": "PKH", "amount_a": 600_000, "amount_b": 750_000, "rank_a": 0, "rank_b": 0,
    "revision_a": 0, "revision_b": 0, "amount_at_risk": 600_000,
}  # fmt: skip


def event(rank: int, appended: int, revision: int = 0, amount: int | None = None, **more: Any) -> dict[str, Any]:
    told = {
        "agency": "dinsos", "payout_id": "p1", "revision": revision, "rank": rank, "event_time": DAY, "amount": amount,
        "appended": appended, "last_amount": 9,
    }  # fmt: skip
    return told | more


def test_an_end_has_the_amount_told_last_before_it() -> None:
    events = [event(0, 1, amount=5), event(2, 2), event(0, 3, 1, amount=6), event(3, 4, 1)]
    assert [(step["what"], step["amount"]) for step in timeline(events, [], [])] == [
        ("payout planned", 5), ("payout cancelled", 5), ("payout planned", 6), ("payout returned", 6)
    ]  # fmt: skip
    assert timeline([event(2, 2)], [], [])[0]["amount"] == 9  # all before it came before events were kept


def test_a_step_stands_where_it_was_heard_with_the_agencys_own_time_beside() -> None:
    undated = datetime.fromisoformat(UNDATED)
    dated, ended = timeline([event(0, 2_000, amount=5), event(2, 3_000, event_time=undated)], [], [])
    assert (dated["at"], dated["dated"]) == (datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC), DAY)
    assert ended["at"] == datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC)
    assert "dated" not in ended
    (before,) = timeline([event(0, 0, amount=5)], [], [])  # the broker's time was not kept
    assert before["at"] == DAY


def test_what_comes_after_an_event_that_holds_over_it_is_late() -> None:
    events = [event(0, 5, amount=5), event(1, 2, amount=5), event(0, 4, 1, amount=6), event(1, 3, 1, amount=6)]
    assert [step.get("late", False) for step in timeline(events, [], [])] == [False, False, True, True]


def test_an_overlap_is_announced_changed_cleared_and_announced_again() -> None:
    cleared = FIRST | {"revision": 3, "live": False, "reason": "payout_ended"}
    rows = [
        FIRST, FIRST | {"revision": 2, "amount_a": 5, "revision_a": 1, "amount_at_risk": 5}, cleared,
        FIRST | {"revision": 4, "rank_b": 1},
    ]  # fmt: skip
    first, changed, ended, again = timeline([], rows, [])
    assert (first["what"], first["verdict"], first["states"]) == (
        "overlap announced", "exclusive", ["planned", "planned"]
    )  # fmt: skip
    assert (changed["what"], changed["changed"], changed["amount_at_risk"]) == (
        "overlap changed", ["amounts", "revisions"], 5
    )  # fmt: skip
    assert {name: ended[name] for name in ("what", "reason", "overlap_revision")} == {
        "what": "overlap cleared", "reason": "payout_ended", "overlap_revision": 3
    }  # fmt: skip
    assert (again["what"], again["states"], again.get("changed")) == (
        "overlap announced", ["planned", "disbursed"], None
    )  # fmt: skip
    (unknown,) = timeline([], [cleared | {"reason": None}], [])
    assert "reason" not in unknown


def test_what_lets_a_proposed_waiver_lapse_says_so() -> None:
    kinds = (
        "waive_proposed", "assigned", "overdue", "held", "upheld", "waive_proposed", "waived", "reopened",
        "waive_proposed", "closed",
    )  # fmt: skip
    acts = [{"act": kind, "at": DAY.isoformat(), "by": f"{kind}-{n}"} for n, kind in enumerate(kinds)]
    lapsed = {step["by"]: step["lapsed"] for step in timeline([], [], acts) if "lapsed" in step}
    assert lapsed == {"held-3": "waive_proposed-0", "closed-9": "waive_proposed-8"}


def test_at_one_moment_what_was_paid_comes_before_what_was_found_and_what_was_done() -> None:
    acts = [{"act": "held", "at": DAY.isoformat(), "by": "rini"}]
    steps = timeline([event(0, 0, amount=5)], [FIRST], acts)
    assert [step["what"] for step in steps] == ["payout planned", "overlap announced", "held"]
