"""NIK and KK: what is valid is worked out a second time here, from the calendar itself."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tepat_contracts import regions
from tepat_contracts.identity import PROVINCES, is_kk, is_nik, mask, warnings

NIK = "3374015508950001"


def makes_a_date(day: int, month: int, year: int) -> bool:
    for century in range(0, 2100, 100):
        try:
            date(century + year or 2000, month, day)
        except ValueError:
            continue
        return True
    return False


@pytest.mark.parametrize("woman", [False, True])
def test_every_day_month_and_year_is_judged_as_the_calendar_does(woman: bool) -> None:
    for day in range(100):
        for month in range(100):
            for year in (0, 1, 4, 90, 99):
                nik = f"337401{day:02d}{month:02d}{year:02d}0001"
                born = day - 40 if woman else day
                if woman == (day > 40):
                    assert is_nik(nik) == makes_a_date(born, month, year), nik


def test_29_february_needs_a_leap_year_of_some_century() -> None:
    assert is_nik("3374012902000001")
    assert is_nik("3374016902960001")
    assert not is_nik("3374012902010001")
    assert not is_nik("3374016902990001")


@pytest.mark.parametrize(
    "text",
    [
        "",
        NIK[:-1],
        NIK + "0",
        NIK[:-1] + "X",
        NIK[:-1] + " ",
        " " + NIK[1:],
        NIK[:-1] + "１",
        NIK[:-1] + "²",
        NIK[:-4] + "0000",
        "20" + NIK[2:],
        "54" + NIK[2:],
        "00" + NIK[2:],
        "٣٣٧٤٠١٥٥٠٨٩٥٠٠٠١",
        "3374013208950001",
        "3374014008950001",
        "3374017208950001",
        "3374010008950001",
        "3374015500950001",
        "3374015513950001",
        "+374015508950001",
    ],
)
def test_not_a_nik(text: str) -> None:
    assert not is_nik(text)


@pytest.mark.parametrize("province", PROVINCES)
def test_every_province_counts_and_is_on_the_list(province: str) -> None:
    assert is_nik(province + NIK[2:])
    assert is_kk(province + NIK[2:])
    assert regions.name(province) == PROVINCES[province]


def test_the_list_has_no_other_province() -> None:
    assert set(regions.children()) == set(PROVINCES)


def test_a_kk_may_bear_any_date_but_not_serial_0000() -> None:
    assert is_kk("3374019999990001")
    assert not is_kk("3374011203100000")
    assert not is_kk("9974011203100001")
    assert not is_kk("337401120310000１")


@given(st.text(max_size=20))
def test_no_text_raises(text: str) -> None:
    is_nik(text)
    is_kk(text)
    mask(text)


def test_an_unknown_kecamatan_and_another_birth_date_are_warnings_only() -> None:
    areas = regions.names()
    assert warnings(NIK, date(1995, 8, 15), areas) == []
    assert warnings(NIK, None, areas) == []
    assert warnings(NIK, date(1995, 8, 16), areas) == ["birth_date"]
    assert warnings(NIK, date(1895, 8, 15), areas) == []
    assert is_nik("3374995508950001")
    assert warnings("3374995508950001", date(1995, 8, 15), areas) == ["region"]
    assert warnings("3399995508950001", date(1996, 8, 15), areas) == ["region", "birth_date"]


def test_a_mask_shows_six_and_four_and_never_the_date() -> None:
    assert mask(NIK) == "337401••••••0001"
    assert mask("337401550895000") == "•" * 16
