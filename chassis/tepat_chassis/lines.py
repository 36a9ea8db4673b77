"""Answers that take minutes, told line by line (JSON Lines) as they are worked out: how far, and in the end the result.

Invariants
- Of one kind an instance works out one at a time; a second is refused, not queued.
- Work ends with whoever asked: a connection that is closed cancels it, a service that stops too.
- The last line has `result`, or `failed` in words: an answer without either was cut off.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
import structlog
from fastapi.responses import StreamingResponse

from tepat_chassis.http import AWAY
from tepat_chassis.refusals import refusal, words

log = structlog.get_logger()

Line = dict[str, Any]
ENDS = ("result", "failed")


class OneAtATime:
    """Tells one long answer at a time. Args: ``what`` it is called in English and ``apa`` in Indonesian, where a second
    is refused.
    """

    def __init__(self, what: str, apa: str) -> None:
        self._called = (what, apa)
        self._work: asyncio.Task[None] | None = None

    def answer(self, lines: AsyncGenerator[Line, None]) -> StreamingResponse:
        """The answer that ``lines`` make. Raises HTTPException 409 while another is told."""
        if self._busy:
            raise refusal(409, "busy", what=self._called)
        return StreamingResponse(self._told(lines), media_type="application/jsonl")

    @property
    def _busy(self) -> bool:
        return self._work is not None and not self._work.done()

    async def _told(self, lines: AsyncGenerator[Line, None]) -> AsyncIterator[bytes]:
        if self._busy:  # asked for twice at the same moment
            yield _line({"failed": words("busy", what=self._called)})
            return
        queue: asyncio.Queue[Line | None] = asyncio.Queue(1)
        self._work = asyncio.create_task(_worked_out(lines, queue))
        try:
            while (line := await queue.get()) is not None:
                yield _line(line)
        finally:
            self._work.cancel()


async def _worked_out(lines: AsyncGenerator[Line, None], queue: "asyncio.Queue[Line | None]") -> None:
    """Put lines into a queue, in a task of its own: its end may take its time, whatever becomes of the request."""
    line: Line = {}
    try:
        async with aclosing(lines):
            async for line in lines:
                await queue.put(line)
    except AWAY as error:
        log.warning("an answer was cut off", error=type(error).__name__)
        line = {"failed": words("database_away")}
        await queue.put(line)
    except Exception:
        log.exception("an answer failed")
    if not any(end in line for end in ENDS):
        await queue.put({"failed": words("failed")})
    await queue.put(None)


def _line(told: Line) -> bytes:
    return orjson.dumps(told) + b"\n"
