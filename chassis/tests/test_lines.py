"""Answers told line by line: one at a time, ended with whoever asked, never without a last word."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest
from fastapi import HTTPException
from fastapi.responses import StreamingResponse
from tepat_chassis.lines import OneAtATime


async def told(answer: StreamingResponse) -> list[Any]:
    return [orjson.loads(line) async for line in answer.body_iterator]  # type: ignore[arg-type]


async def counting(*more: Any) -> AsyncGenerator[dict[str, Any], None]:
    yield {"done": 1, "of": 2}
    for each in more:
        if isinstance(each, Exception):
            raise each
        yield each


async def test_lines_end_in_a_result() -> None:
    assert await told(OneAtATime("x", "y").answer(counting({"result": 7}))) == [{"done": 1, "of": 2}, {"result": 7}]


@pytest.mark.parametrize(
    ("ends", "words"),
    [((RuntimeError("secret"),), "its log says why"), ((ConnectionError(),), "can't be reached"), ((), "its log")],
)
async def test_an_answer_that_is_cut_off_says_so(ends: tuple[Any, ...], words: str) -> None:
    *_, last = await told(OneAtATime("x", "y").answer(counting(*ends)))
    assert words in last["failed"]
    assert "secret" not in last["failed"]


async def test_one_at_a_time_and_it_ends_with_whoever_asked() -> None:
    ended = asyncio.Event()

    async def long() -> AsyncGenerator[dict[str, Any], None]:
        try:
            while True:
                yield {"done": 1, "of": 2}
        finally:
            await asyncio.sleep(0)  # its end may take its time
            ended.set()

    one = OneAtATime("simulation", "simulasi")
    early = one.answer(counting({"result": 1}))
    lines: Any = one.answer(long()).body_iterator
    await anext(lines)
    with pytest.raises(HTTPException, match="another simulation") as refused:
        one.answer(counting())
    assert refused.value.status_code == 409
    assert "another simulation" in (await told(early))[0]["failed"]  # asked before, begun after
    await lines.aclose()
    await asyncio.wait_for(ended.wait(), 5)
    await asyncio.sleep(0)
    assert (await told(one.answer(counting({"result": 1}))))[-1] == {"result": 1}
