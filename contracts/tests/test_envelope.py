"""The envelope: traces that are valid or absent, and bytes that read back."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tepat_contracts.envelope import event, is_agency_id, trace_id, traceparent_of, write

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
VALID = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "text", [VALID, f"01-{TRACE}-00f067aa0ba902b7-01", f"cc-{TRACE}-00f067aa0ba902b7-01-what.else"]
)
def test_a_valid_trace(text: str) -> None:
    assert trace_id(text) == TRACE


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        {"a": 1},
        "",
        VALID.upper(),
        VALID + "\n",
        VALID + "-more",
        "ff" + VALID[2:],
        VALID.replace(TRACE, "0" * 32),
        VALID.replace("00f067aa0ba902b7", "0" * 16),
        VALID[:-1],
        "0x" + VALID[2:],
        f"01-{TRACE}-00f067aa0ba902b7-01-\x00",
        f"01-{TRACE}-00f067aa0ba902b7-01-" + "x" * 1000,
        f"01-{TRACE}-00f067aa0ba902b7-01.x",
    ],
)
def test_a_malformed_trace_is_none(text: object) -> None:
    assert trace_id(text) is None


@given(st.text(min_size=1, max_size=30), st.integers(0, 100), st.integers(0, 2**63))
def test_a_trace_made_up_is_valid_and_always_the_same(topic: str, partition: int, offset: int) -> None:
    made = traceparent_of(topic, partition, offset)
    assert trace_id(made) is not None
    assert made == traceparent_of(topic, partition, offset)
    assert made != traceparent_of(topic, partition, offset + 1)


NOW = datetime(2026, 1, 5, 8, 0, 0, 120000, tzinfo=timezone(timedelta(hours=7)))


def written(**changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"service": "registry", "type": "t", "id": "1", "time": NOW, "data": {}} | changed
    return orjson.loads(write(event(**given)))  # type: ignore[no-any-return]


def test_an_event_is_written_in_utc_with_plain_dates() -> None:
    told = written(data={"on": date(2026, 1, 5), "who": UUID(int=1)}, subject="s", traceparent=VALID)
    assert told == {
        "specversion": "1.0",
        "id": "1",
        "source": "urn:tepat:service:registry",
        "type": "t",
        "time": "2026-01-05T01:00:00.120000Z",
        "datacontenttype": "application/json",
        "data": {"on": "2026-01-05", "who": "00000000-0000-0000-0000-000000000001"},
        "subject": "s",
        "traceparent": VALID,
    }


def test_a_time_that_pydantic_read_is_written_too() -> None:
    read = TypeAdapter(datetime).validate_python("2026-01-05T08:00:00+07:00")
    assert written(time=read)["time"] == "2026-01-05T01:00:00Z"


def test_a_malformed_trace_is_not_carried() -> None:
    assert "traceparent" not in written(traceparent="00-x")


def test_a_time_without_offset_is_refused() -> None:
    with pytest.raises(TypeError):
        written(time=NOW.replace(tzinfo=None))
    assert written(time=NOW.astimezone(UTC))


@pytest.mark.parametrize(
    ("text", "good"),
    [("abc", True), ("a-b", True), ("a" * 40, True), ("ab", False), ("a" * 41, False), ("-ab", False), ("ab-", False),
     ("aBc", False), ("a.b", False), ("abc\n", False), ("", False)],
)  # fmt: skip
def test_agency_ids(text: str, good: bool) -> None:
    assert is_agency_id(text) is good
