"""Whether this process lives and does its work.

Invariants:
- Only the loops themselves stamp it: "the broker answers" says nothing about a consumer that stands still.
- A loop that never ran ages from the start, as one that stopped running does.
- Whatever is not ready says why.
"""

import time
from collections.abc import Callable, Iterable


class Health:
    """Stamps of the loops, in seconds of a monotonic clock, and what follows from them.

    ``loops`` names those that must come round within ``loop_within`` seconds. ``relay`` and ``policy`` say
    whether this service has an outbox and can't work without a policy.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        loops: Iterable[str] = ("consumer",),
        relay: bool = True,
        policy: bool = False,
        loop_within: float = 30.0,
        database_within: float = 30.0,
        relay_within: float = 30.0,
    ) -> None:
        self._clock = clock
        self._loop_within = loop_within
        self._database_within = database_within
        self._relay_within = relay_within
        self._polled = dict.fromkeys(loops, clock())
        self._relayed = clock() if relay else None
        self._oldest = 0.0
        self._database: float | None = None
        self._needs_policy = policy
        self.policy_version: str | None = None
        """The version of the policy in force here."""
        self.subscribed: frozenset[str] | None = None
        """The topics asked for, None before the first subscription."""
        self.partitions: frozenset[tuple[str, int]] | None = None
        """Topic and number of the partitions held, None before the first assignment."""

    def polled(self, loop: str = "consumer") -> None:
        """A loop came round, with records or without."""
        if loop not in self._polled:
            raise KeyError(f"no loop {loop} was announced")
        self._polled[loop] = self._clock()

    def assigned(self, topics: Iterable[str], partitions: Iterable[tuple[str, int]]) -> None:
        """The topics subscribed to and the partitions held of them, all of both, after every rebalance."""
        self.subscribed, self.partitions = frozenset(topics), frozenset(partitions)

    def relayed(self, oldest: float = 0.0) -> None:
        """The relay came round and left an event waiting for ``oldest`` seconds, 0 for none."""
        self._relayed, self._oldest = self._clock(), oldest

    def database_ok(self) -> None:
        """The database committed or answered."""
        self._database = self._clock()

    def policy(self, version: str) -> None:
        """``version`` is in force here."""
        self.policy_version = version

    def stuck(self) -> list[str]:
        """Why this process should be restarted, in words; empty while it lives."""
        now = self._clock()
        return [
            f"{loop} has not come round for {now - at:.0f} s"
            for loop, at in self._polled.items()
            if now - at > self._loop_within
        ]

    def unready(self) -> list[str]:
        """Why this process can't do its work now, in words; empty when it can."""
        now = self._clock()
        reasons = self.stuck()
        if self.subscribed is None or self.partitions is None:
            reasons.append("no assignment yet")
        elif self.subscribed and not self.partitions:
            reasons.append(f"no partition of {len(self.subscribed)} topics is assigned")
        if self._database is None:
            reasons.append("the database has not answered yet")
        elif now - self._database > self._database_within:
            reasons.append(f"the database has not answered for {now - self._database:.0f} s")
        if self._relayed is not None:
            if now - self._relayed > self._relay_within:
                reasons.append(f"the relay has not come round for {now - self._relayed:.0f} s")
            if self._oldest > self._relay_within:
                reasons.append(f"an event has waited {self._oldest:.0f} s in the outbox")
        if self._needs_policy and self.policy_version is None:
            reasons.append("no policy is in force")
        return reasons

    @property
    def live(self) -> bool:
        """No loop is stuck."""
        return not self.stuck()

    @property
    def ready(self) -> bool:
        """Nothing keeps it from its work."""
        return not self.unready()
