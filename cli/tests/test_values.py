"""Cells as offices write them."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tepat_cli.values import (
    Cell,
    Unreadable,
    day,
    instant,
    number,
    region,
    rupiah,
    several,
    sixteen_digits,
    text,
    whole,
    words,
    yes,
)

NIK = sixteen_digits("nik_invalid")

cells = st.one_of(
    st.text(max_size=40),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.datetimes(),
    st.dates(),
    st.timedeltas(),
)


@pytest.mark.parametrize(
    "written",
    [
        "Rp 750.000",
        "Rp750.000,00",
        "Rp. 750.000,-",
        "rp 750,000",
        "IDR 750,000.00",
        "750.000",
        "750.000,0",
        "750000",
        "750000.00",
        "750 000",
        "Rp\xa0750.000",
        750000,
        750000.0,
    ],
)
def test_amounts_that_mean_750000(written: Cell) -> None:
    assert rupiah(written) == 750_000


@pytest.mark.parametrize(
    "written",
    [
        "750.000,50",
        "750,5",
        "7,5E+05",
        "tujuh ratus",
        "750.00.000",
        "1.50",
        "(750.000)",
        "Rp",
        "-",
        0.5,
        True,
        "75.0000",
    ],
)
def test_amounts_that_are_refused(written: Cell) -> None:
    with pytest.raises(Unreadable, match="rupiah"):
        rupiah(written)


@given(st.integers(min_value=0, max_value=10**12))
def test_amounts_read_back_however_they_are_written(amount: int) -> None:
    english, indonesian = f"{amount:,}", f"{amount:,}".replace(",", ".")
    for written in (str(amount), english, indonesian, f"{english}.00", f"{indonesian},00", f"Rp {indonesian},-"):
        assert rupiah(written) == amount


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-05",
        "2026/1/5",
        "05/01/2026",
        "5/1/2026",
        "5-1-2026",
        "05.01.2026",
        "5 Januari 2026",
        "05-Jan-2026",
        "5 Jan 2026",
        "2026-01-05 00:00:00",
        "2026-01-05T00:00:00",
        "46027",
        46027,
        46027.0,
        datetime(2026, 1, 5, 13, 30),  # noqa: DTZ001 (as a spreadsheet holds it)
        date(2026, 1, 5),
    ],
)
def test_dates_that_mean_the_fifth_of_january(written: Cell) -> None:
    assert day(written) == "2026-01-05"


@pytest.mark.parametrize(
    "written", ["01/13/2026", "30/02/2026", "5/1/26", "05-Jan-26", "2026", "kemarin", True, -1, 10**9]
)
def test_dates_that_are_refused(written: Cell) -> None:
    with pytest.raises(Unreadable):
        day(written)


@given(st.dates(min_value=date(1000, 1, 1)))
def test_dates_read_back_however_they_are_written(on: date) -> None:
    for written in (
        f"{on:%d/%m/%Y}",
        f"{on.day}/{on.month}/{on.year}",
        f"{on:%d-%m-%Y}",
        on.isoformat(),
        f"{on:%Y/%m/%d}",
    ):
        assert day(written) == on.isoformat()


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-01-05", "2026-01-05T00:00:00+07:00"),
        ("05/01/2026 13.30", "2026-01-05T13:30:00+07:00"),
        ("05/01/2026 13:30:15", "2026-01-05T13:30:15+07:00"),
        ("2026-01-05T13:30:00+09:00", "2026-01-05T13:30:00+09:00"),
        ("2026-01-05T06:30:00Z", "2026-01-05T06:30:00+00:00"),
        (datetime(2026, 1, 5, 13, 30), "2026-01-05T13:30:00+07:00"),  # noqa: DTZ001
        (46027, "2026-01-05T00:00:00+07:00"),
    ],
)
def test_moments(written: Cell, moment: str) -> None:
    assert instant(written) == moment


@pytest.mark.parametrize(
    "written",
    ["3374014505900001", " '3374014505900001", "3374 0145 0590 0001", '="3374014505900001"', "‘3374014505900001"],
)
def test_a_nik_keeps_its_digits(written: str) -> None:
    assert NIK(written) == "3374014505900001"


@pytest.mark.parametrize(
    "written",
    [
        "3.37401E+15",
        "3,37401E+15",
        "3.3740145059E+15",
        "3374014505900000.0",
        "3.374.014.505.900.000",
        "3,374,014,505,900,000",
        3374014505900001,
        3374014505900000.0,
        3.37401e15,
    ],
)
def test_a_nik_that_became_a_number_is_refused_with_the_way_out(written: Cell) -> None:
    with pytest.raises(Unreadable, match="format the whole column as Text") as refused:
        NIK(written)
    assert refused.value.reason == "nik_invalid"


def test_a_short_number_is_left_for_the_contracts_to_judge() -> None:
    assert NIK(12345) == "12345"


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("33.74.01.1001", "33.74.01.1001"),
        ("3374011001", "33.74.01.1001"),
        (3374011001, "33.74.01.1001"),
        ("33", "33"),
        (33.74, "33.74"),
        ("337401", "33.74.01"),
        ("3374", "33.74"),
    ],
)
def test_regions_get_their_dots(written: Cell, code: str) -> None:
    assert region(written) == code


def test_numbers() -> None:
    assert [number("10"), number("2,5"), number("2.50"), number(3.0), whole("7")] == [10, 2.5, 2.5, 3, 7]
    for doubtful in ("1.500", "1,500", "sepuluh", True):
        with pytest.raises(Unreadable):
            number(doubtful)
    with pytest.raises(Unreadable):
        whole("2,5")


def test_words_and_codes() -> None:
    assert [yes("Ya"), yes("TIDAK"), yes(True), yes(1), yes("0")] == [True, False, True, True, False]
    assert several("01, 02;03") == ["01", "02", "03"]
    with pytest.raises(Unreadable, match="not one of yes, no"):
        yes("mungkin")


def test_a_broken_formula_is_no_text() -> None:
    with pytest.raises(Unreadable, match="#N/A"):
        text("#N/A")


@pytest.mark.parametrize("read", [rupiah, day, instant, number, whole, NIK, region, several, yes, words({"a": "b"})])
@given(cell=cells)
def test_nothing_but_unreadable_is_ever_raised(read: Callable[[Cell], object], cell: Cell) -> None:
    try:
        first = read(cell)
    except Unreadable:
        return
    assert read(cell) == first


def test_a_duration_is_no_date() -> None:
    with pytest.raises(Unreadable):
        day(timedelta(days=3))
