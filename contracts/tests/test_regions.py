"""The list of areas, against what is known of a few of them."""

import pytest
from tepat_contracts import regions


@pytest.mark.parametrize(
    ("city", "districts", "villages"),
    [("33.74", 16, 177), ("33.71", 3, 17), ("33.20", 16, 195), ("35.14", 24, 365), ("35.75", 4, 34), ("64.72", 10, 59)],
)
def test_areas_of_the_field(city: str, districts: int, villages: int) -> None:
    below = regions.children(city)
    assert len(below) == districts
    assert sum(len(regions.children(code)) for code in below) == villages
    assert len(list(regions.within(city))) == 1 + districts + villages


def test_the_nation() -> None:
    codes = regions.names()
    assert len(regions.children()) == 38
    assert sum(code.count(".") == 3 for code in codes) == 83_762
    assert all(above in codes for code in codes for above in regions.ancestors(code))


def test_names_ancestors_and_kinds() -> None:
    assert regions.name("33.74") == "Kota Semarang"
    assert regions.path("33.74.01.1001") == "Miroto, Semarang Tengah, Kota Semarang, Jawa Tengah"
    assert regions.ancestors("33.74.01.1001") == ["33", "33.74", "33.74.01"]
    assert regions.ancestors("33") == []
    assert regions.village_kind("33.74.01.1001") == "kelurahan"
    assert regions.village_kind("33.20.01.2001") == "desa"
    assert regions.village_kind("33.74.01") is None
    assert not regions.known("33.99")
    assert regions.name("") is None
    assert regions.children("33.99") == []
    assert list(regions.within("33.99")) == []


def test_an_area_holds_what_lies_below_it() -> None:
    assert regions.holds(["33.74"], "33.74.01.1001")
    assert regions.holds(["33.74.01.1001"], "33.74.01.1001")
    assert not regions.holds(["33.75", "33.74.02"], "33.74.01.1001")
    assert not regions.holds([], "33")
    assert not regions.holds(["3"], "33")


def test_every_province_has_its_clocks() -> None:
    assert set(regions.TIME_ZONES) == set(regions.children())
    told = {code: regions.time_zone(code) for code in ("33.74.01.1001", "64.72", "91", "62", "51", "81.71")}
    assert told == {
        "33.74.01.1001": "Asia/Jakarta", "64.72": "Asia/Makassar", "91": "Asia/Jayapura", "62": "Asia/Jakarta",
        "51": "Asia/Makassar", "81.71": "Asia/Jayapura",
    }  # fmt: skip
    assert regions.time_zone("99.01") is None
    assert regions.time_zone("") is None
