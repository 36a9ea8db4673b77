"""What follows a try of a notice: whether, when and over which channel it is tried again. Pure.

Invariants
- After a certain refusal a notice is tried again over the same channel, after ever longer waits, or over the next;
  when the tries over the last one are used up it is given up.
- After doubt it never takes another channel, and the same only where that takes a notice once by its key; and what was
  in doubt once is not certain to have failed because a later try failed.
"""

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from tepat_notifications.domain import Outcome, State, retry_at

TRIES_BEFORE_NEXT: Final = 3
"""Tries over a channel that fails while there is another to take."""
FAILURES: Final = 5
"""Failures in a row after which a channel is left alone."""
PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=10)

Standing = Literal["closed", "half-open", "open"]


class Step(NamedTuple):
    """How a notice stands after a try. ``due_at`` none: it has ended; ``channel``: it takes that one from here on."""

    state: State
    due_at: datetime | None = None
    channel: str | None = None


def after(
    outcome: Outcome, *, tries: int, keyed: bool, doubted: bool, further: str | None, now: datetime, chance: float
) -> Step:
    """What follows a try.

    Args:
        tries: over this channel, this one included.
        keyed: the channel takes a notice once however often it is sent.
        doubted: an earlier try is in doubt.
        further: the channel that comes next; none: this is the last.
        chance: from 0 up to 1; spreads what failed together.
    """
    if outcome.state is State.SENT:
        return Step(State.SENT)
    if outcome.state is State.DOUBTFUL or doubted:
        return Step(State.DOUBTFUL, retry_at(tries, now, chance) if keyed else None)
    if further is not None and (outcome.fault == "recipient" or tries >= TRIES_BEFORE_NEXT):
        return Step(State.FAILED, now, further)
    again = retry_at(tries, now, chance)
    if again is not None and outcome.again_after is not None:
        again = max(again, now + timedelta(seconds=outcome.again_after))
    return Step(State.FAILED, again)


class Breaker:
    """Leaves a channel alone that failed ``FAILURES`` times in a row: open for a pause, then half open for one try.

    The pause doubles each time that try fails, up to ``LONGEST_PAUSE``. A refusal of one notice is no failure.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._pause = PAUSE
        self._until: datetime | None = None
        self._probing = False

    def state(self, now: datetime) -> Standing:
        """Whether it may be asked."""
        if self._until is None:
            return "closed"
        return "half-open" if now >= self._until else "open"

    def admits(self, now: datetime) -> bool:
        """Whether a try may begin now; of those while it is half open the first."""
        match self.state(now):
            case "closed":
                return True
            case "half-open" if not self._probing:
                self._probing = True
                return True
        return False

    def again_at(self, now: datetime) -> datetime:
        """When to ask again whether it admits a try."""
        assert self._until is not None
        return max(self._until, now + timedelta(seconds=1))

    def ended(self, outcome: Outcome | None, now: datetime) -> None:
        """A try that was admitted has ended; none: it was not made after all."""
        probed, self._probing = self._probing, False
        if outcome is None:
            return
        if outcome.fault != "channel":
            self._failures, self._until, self._pause = 0, None, PAUSE
            return
        self._failures += 1
        if probed and self._until is not None:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        elif self._until is not None or self._failures < FAILURES:
            return  # those that were under way when it opened
        self._until = now + self._pause
