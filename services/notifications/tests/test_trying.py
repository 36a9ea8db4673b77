"""What follows a try, and when a channel is left alone: for every way tries may end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tepat_notifications.domain import RETRY_AFTER, SPREAD, Outcome, State
from tepat_notifications.trying import FAILURES, LONGEST_PAUSE, PAUSE, TRIES_BEFORE_NEXT, Breaker, Step, after

NOW = datetime(2026, 3, 2, tzinfo=UTC)
SENT = Outcome(State.SENT)
DOWN = Outcome(State.FAILED, "gone", "channel")
NO = Outcome(State.FAILED, "no such number", "recipient")
LOST = Outcome(State.DOUBTFUL, "no answer", "channel")

OUTCOMES = st.sampled_from([SENT, DOWN, NO, LOST, Outcome(State.FAILED, "busy"), DOWN._replace(again_after=900.0)])
MOMENTS = st.floats(0, 1, exclude_max=True)


@given(st.lists(OUTCOMES, min_size=40, max_size=40), st.integers(1, 4), st.booleans(), MOMENTS)
def test_every_history_ends_and_none_tells_twice(
    outcomes: list[Outcome], channels: int, keyed: bool, chance: float
) -> None:
    """Whatever the other side does: a notice ends, later each time, never beyond its channels, and what may have been
    taken is sent again only under its key and over the same channel."""
    now, at, tries, doubted = NOW, 0, 0, False
    for outcome in outcomes[: channels * (len(RETRY_AFTER) + 1)]:
        tries += 1
        further = str(at + 1) if at + 1 < channels and not doubted else None
        step = after(
            outcome, tries=tries, keyed=keyed, doubted=doubted, further=further, now=now, chance=chance
        )  # fmt: skip
        assert (step.state is State.SENT) == (outcome.state is State.SENT)
        if outcome.state is State.DOUBTFUL or (doubted and outcome.state is State.FAILED):
            doubted = True
            assert step.state is State.DOUBTFUL
            assert step.channel is None
            assert keyed or step.due_at is None
        if step.due_at is None:
            break
        if step.channel is None:
            assert step.due_at > now
        else:
            assert step == Step(State.FAILED, now, further)
            at, tries = at + 1, 0
        now = step.due_at
    else:
        pytest.fail("it never ended")


def test_who_cannot_be_reached_is_told_over_the_next_channel_at_once() -> None:
    step = after(NO, tries=1, keyed=False, doubted=False, further="sms", now=NOW, chance=0)
    assert step == Step(State.FAILED, NOW, "sms")


def test_a_channel_that_fails_is_tried_three_times_before_the_next() -> None:
    steps = [
        after(DOWN, tries=tries, keyed=False, doubted=False, further="sms", now=NOW, chance=0)
        for tries in range(1, TRIES_BEFORE_NEXT + 1)
    ]
    assert steps == [
        Step(State.FAILED, NOW + RETRY_AFTER[0]), Step(State.FAILED, NOW + RETRY_AFTER[1]),
        Step(State.FAILED, NOW, "sms"),
    ]  # fmt: skip


@given(st.integers(1, len(RETRY_AFTER)), MOMENTS)
def test_waits_are_spread(tries: int, chance: float) -> None:
    due = after(DOWN, tries=tries, keyed=False, doubted=False, further=None, now=NOW, chance=chance).due_at
    assert due is not None
    assert RETRY_AFTER[tries - 1] <= due - NOW <= RETRY_AFTER[tries - 1] * (1 + SPREAD)


def test_the_other_side_may_ask_for_a_longer_wait() -> None:
    for asked, due in ((900.0, timedelta(seconds=900)), (1.0, RETRY_AFTER[0])):
        outcome = DOWN._replace(again_after=asked)
        step = after(outcome, tries=1, keyed=False, doubted=False, further=None, now=NOW, chance=0)
        assert step.due_at == NOW + due


def failing(breaker: Breaker, times: int, now: datetime = NOW) -> None:
    for _ in range(times):
        assert breaker.admits(now)
        breaker.ended(DOWN, now)


@pytest.mark.parametrize("between", [SENT, NO, Outcome(State.FAILED, "busy")])
def test_only_failures_in_a_row_open_it(between: Outcome) -> None:
    breaker = Breaker()
    failing(breaker, FAILURES - 1)
    assert breaker.admits(NOW)
    breaker.ended(between, NOW)
    failing(breaker, FAILURES - 1)
    assert breaker.state(NOW) == "closed"
    breaker.ended(LOST, NOW)
    assert breaker.state(NOW) == "open"
    assert not breaker.admits(NOW + PAUSE - timedelta(microseconds=1))
    assert breaker.again_at(NOW) == NOW + PAUSE


def test_half_open_it_lets_one_through_and_waits_twice_as_long_after_a_failure() -> None:
    breaker, now, pause = Breaker(), NOW, PAUSE
    failing(breaker, FAILURES)
    for _ in range(12):
        now += pause
        assert breaker.state(now) == "half-open"
        assert [breaker.admits(now) for _ in range(3)] == [True, False, False]
        breaker.ended(DOWN, now)
        pause = min(pause * 2, LONGEST_PAUSE)
        assert breaker.again_at(now) == now + pause
    now += pause
    assert breaker.admits(now)
    breaker.ended(None, now)  # there was nothing to send after all
    assert breaker.admits(now)
    breaker.ended(SENT, now)
    assert breaker.state(now) == "closed"
    assert all(breaker.admits(now) for _ in range(10))


def test_what_was_under_way_when_it_opened_makes_the_pause_no_longer() -> None:
    breaker = Breaker()
    assert all(breaker.admits(NOW) for _ in range(30))
    for second in range(30):
        breaker.ended(DOWN, NOW + timedelta(seconds=second))
    assert breaker.again_at(NOW) == NOW + timedelta(seconds=FAILURES - 1) + PAUSE
