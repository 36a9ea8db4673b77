"""Places at which a scene has a process stand still, as SIGSTOP does, the first time it passes.

Beside the failpoints of the product there are two: `<inbox>.before_begin`, where a batch is decoded and its
transaction not yet begun, and `relay.holding.<topic>`, where the relay has read rows of that topic and not yet sent
them.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from tepat_chassis import failpoints, inbox, outbox


def stop_at(place: str) -> None:
    """Stand still at a place, once."""
    left = [place]

    def reach(name: str) -> None:
        failpoints.reach(name)
        if name in left:
            left.remove(name)
            os.kill(os.getpid(), signal.SIGSTOP)

    commit, send = inbox.Inbox._commit, outbox.Relay._send

    async def commit_after(self: Any, batch: Any) -> None:
        reach(f"{self.name}.before_begin")
        await commit(self, batch)

    async def send_after(self: Any, producer: Any, rows: Any) -> None:
        for topic in {row["topic"] for row in rows}:
            reach(f"relay.holding.{topic}")
        await send(self, producer, rows)

    inbox.reach = outbox.reach = reach  # type: ignore[attr-defined]
    inbox.Inbox._commit = commit_after  # type: ignore[method-assign]
    outbox.Relay._send = send_after  # type: ignore[method-assign]
