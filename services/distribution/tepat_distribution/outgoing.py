"""What leaves: every event of ours, known by its key and revision."""

from datetime import datetime
from typing import Any, Final

from tepat_chassis.outbox import Message
from tepat_contracts import envelope

SERVICE: Final = "distribution"


def message(
    topic: str, key: str, kind: str, revision: int, now: datetime, data: dict[str, Any], trace: str | None = None
) -> Message:
    """An event of ours on its way, known by its key and revision."""
    event = envelope.event(
        service=SERVICE, type=kind, id=f"{key}-{revision}", time=now, subject=key, data=data, traceparent=trace
    )
    return Message(topic, key, envelope.write(event))
