"""Each way a date or a time may be written, against what Pydantic's own strict mode would have let through."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from tepat_contracts.events.fields import Date, Time

DATE = TypeAdapter(Date)
TIME = TypeAdapter(Time)


@given(st.dates())
def test_every_date_is_taken_as_written(day: date) -> None:
    assert DATE.validate_json(f'"{day.isoformat()}"') == day


@pytest.mark.parametrize(
    "text",
    [
        '"0000-01-01"',
        '"2026-02-29"',
        '"2026-13-01"',
        '"2026-00-10"',
        '"10000-01-01"',
        '"2026-1-01"',
        '"26-01-01"',
        '"2026-01-01Z"',
        '"2026-01-01T00:00:00"',
        '"2026-01-01T00:00:00Z"',
        '"20260101"',
        '"1699920000"',
        "1699920000",
        "1699920000.0",
        '"2026/01/01"',
        '"01-01-2026"',
        '" 2026-01-01"',
        '"2026-01-01 "',
        '"2026-01-01\\n"',
        '"-2026-01-01"',
        '"+2026-01-01"',
        '"２０２６-01-01"',
        '"2026−01−01"',
        '"today"',
        '""',
        "null",
        "true",
        "[]",
    ],
)
def test_anything_else_is_no_date(text: str) -> None:
    with pytest.raises(ValidationError):
        DATE.validate_json(text)


OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: minutes)


def offset_text(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


@given(st.datetimes(), OFFSETS, st.integers(0, 6))
def test_every_instant_is_read_to_the_microsecond(moment: datetime, minutes: int, digits: int) -> None:
    fraction = f"{moment.microsecond:06d}"[:digits]
    text = moment.strftime("%H:%M:%S") + (f".{fraction}" if digits else "") + offset_text(minutes)
    read = TIME.validate_json(f'"{moment.date().isoformat()}T{text}"')
    assert read.utcoffset() == timedelta(minutes=minutes)
    expected = moment.replace(microsecond=int(fraction.ljust(6, "0")) if digits else 0)
    assert read.replace(tzinfo=None) == expected


@pytest.mark.parametrize(
    "text", ["2026-01-05T08:00:00Z", "2026-01-05t08:00:00z", "2026-01-05T15:00:00+07:00", "2026-01-05T08:00:00-00:00"]
)
def test_the_same_instant_in_several_writings(text: str) -> None:
    assert TIME.validate_json(f'"{text}"') == datetime(2026, 1, 5, 8, tzinfo=UTC)


GOOD = "2026-01-05T08:00:00+07:00"


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("T", " "),
        GOOD.replace("T", "_"),
        "2026-01-05T08:00+07:00",
        "2026-01-05T08:00:00",
        "2026-01-05",
        GOOD.replace("08:", "24:"),
        GOOD.replace(":00:00+", ":60:00+"),
        GOOD.replace(":00+", ":60+"),
        GOOD.replace(":00+", ":61+"),
        GOOD.replace("+07:00", "+0700"),
        GOOD.replace("+07:00", "+07"),
        GOOD.replace("+07:00", "+24:00"),
        GOOD.replace("+07:00", "+07:60"),
        GOOD.replace("+07:00", "−07:00"),
        GOOD.replace("+07:00", "WIB"),
        GOOD.replace("+", ",5+"),
        GOOD.replace("+", ".+"),
        GOOD.replace("+", ".1234567+"),
        GOOD.replace("+", ".0000000+"),
        GOOD.replace("2026", "0000"),
        GOOD.replace("01-05", "02-30"),
        "1767600000",
        "1767600000.5",
        "1767600000000",
        GOOD + "\\n",
        " " + GOOD,
        "now",
        "",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValidationError):
        TIME.validate_json(f'"{text}"')
    if re.fullmatch(r"[0-9.]+", text):
        with pytest.raises(ValidationError):
            TIME.validate_json(text)
