"""What is taken of one partition at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import ConsumerRecord


@dataclass(frozen=True, slots=True)
class Span:
    """What is taken of one partition in one batch: offsets from ``start`` up to, not with, ``end``."""

    topic: str
    partition: int
    start: int
    end: int
    records: Sequence[ConsumerRecord]
