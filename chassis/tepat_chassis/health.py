"""Whether this process lives and does its work.

Invariants:
- It knows only what the loops themselves stamp: "the broker answers" says nothing of a consumer that stands
  still.
- An inbox that never polled ages from the start, as one that stopped polling does.
- It is not dead because the database is away: a restart would not heal that. It is not ready then.
- Whatever is not ready says why.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class _Inbox:
    polled: float
    topics: int | None = None
    partitions: int | None = None


class Health:
    """Stamps of the loops, in seconds of a monotonic ``clock``, and what follows from them.

    Args:
        inboxes: the names of the process's subscriptions.
        needs_policy: whether it is of no use before a policy is in force.
        live_within: seconds within which a living inbox polls.
        ready_within: seconds within which, of a ready process, inboxes poll, the database answers and events
        leave.
    """

    def __init__(
        self,
        inboxes: Iterable[str] = (),
        *,
        needs_policy: bool = False,
        live_within: float = 60.0,
        ready_within: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._live_within = live_within
        self._ready_within = ready_within
        self._needs_policy = needs_policy
        self._inboxes = {name: _Inbox(polled=clock()) for name in inboxes}
        self._database: float | None = None
        self._oldest = 0.0
        self.policy_version: str | None = None
        """The version of the policy in force here."""
        self._put_off: str | None = None

    def _inbox(self, name: str) -> _Inbox:
        return self._inboxes.setdefault(name, _Inbox(polled=self._clock()))

    def polled(self, inbox: str, ago: float = 0.0) -> None:
        """The inbox asked for records ``ago`` seconds ago, and got some or none."""
        self._inbox(inbox).polled = self._clock() - ago

    def subscribed(self, inbox: str, topics: int) -> None:
        """The inbox's group reads so many topics; none before agencies have any."""
        self._inbox(inbox).topics = topics

    def assigned(self, inbox: str, partitions: int) -> None:
        """The inbox holds so many partitions since the rebalance just now."""
        self._inbox(inbox).partitions = partitions

    def committed(self, inbox: str) -> None:
        """The inbox committed a batch."""
        self.polled(inbox)
        self.database_ok()

    def relayed(self) -> None:
        """The relay, where it is this process's duty, came round."""
        self.database_ok()

    def waiting(self, oldest: float) -> None:
        """The oldest event of the outbox has waited so many seconds, whoever relays; 0 where it is empty."""
        self._oldest = oldest

    def database_ok(self) -> None:
        """The database committed or answered."""
        self._database = self._clock()

    def policy(self, version: str | None, put_off: str | None = None) -> None:
        """``version`` is in force here; another is not, and ``put_off`` says why."""
        self.policy_version = version
        self._put_off = put_off

    def stuck(self) -> list[str]:
        """Why this process should be restarted, in words; empty while it lives."""
        return self._silent(self._live_within) if not self._database_away() else []

    def unready(self) -> list[str]:
        """Why this process can't do its work now, in words; empty when it can."""
        reasons = self._database_away() + self._silent(self._ready_within)
        inboxes = self._inboxes.values()
        reasons += [
            f"{name} has joined no group yet"
            for name, inbox in self._inboxes.items()
            if inbox.topics is None and inbox.partitions is None
        ]
        topics = sum(inbox.topics or 0 for inbox in inboxes)
        if topics and not any(inbox.partitions for inbox in inboxes):
            reasons.append(f"no partition of {topics} topics is assigned")
        if self._oldest > self._ready_within:
            reasons.append(f"an event has waited {self._oldest:.0f} s in the outbox")
        if self.policy_version is None and self._put_off:
            reasons.append(f"no policy is in force: {self._put_off}")
        elif self.policy_version is None and self._needs_policy:
            reasons.append("no policy is in force")
        return reasons

    def remarks(self) -> list[str]:
        """What must be mended although it does its work, in words: another policy than the last is in force."""
        return [self._put_off] if self._put_off and self.policy_version is not None else []

    def _silent(self, within: float) -> list[str]:
        ages = {name: self._clock() - inbox.polled for name, inbox in self._inboxes.items()}
        return [f"{name} has not polled for {age:.0f} s" for name, age in ages.items() if age > within]

    def _database_away(self) -> list[str]:
        if self._database is None:
            return ["the database has not answered yet"]
        age = self._clock() - self._database
        return [f"the database has not answered for {age:.0f} s"] if age > self._ready_within else []

    @property
    def live(self) -> bool:
        """No inbox is stuck."""
        return not self.stuck()

    @property
    def ready(self) -> bool:
        """Nothing keeps it from its work."""
        return not self.unready()
