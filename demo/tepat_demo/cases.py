"""Two places beside the sample district: field verification in Kota Pasuruan, institutions in Kota Magelang.

In 2022–2023 officers in Pasuruan visited 4,011 people who were listed as extremely poor and confirmed 891; capital of
Rp 2,500,000 went once to each family that was verified and ran a business. In Kota Magelang 5 of 17 kelurahan had a
community welfare body (WKSBM) in 2019. The figures are those of the reports, all persons are invented.

- One seed gives one sequence of bytes; every list, visit and person is sent through the agencies' topics.
- Whoever was not confirmed was rejected, with a reason and an officer; some were first not found, and visited again.
- What is told of them is asked of the services, and compared with what was planted.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import chain
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import orjson
from lokal.wilayah import list_wilayah

from . import stream
from .district import Message
from .population import Names, Numbers, area_of
from .services import Services, settled

PASURUAN: Final = "35.75"
MAGELANG: Final = "33.71"
VERIFIER: Final = "dinsos-pasuruan"
REGISTRAR: Final = "dinsos-magelang"
PROGRAMME: Final = "MODAL-USAHA"
BATCH: Final = "2022-miskin-ekstrem"
LISTED: Final = 4_011
CONFIRMED: Final = 891
COVERED: Final = 5
"""Kelurahan of Kota Magelang with a WKSBM."""
TWICE: Final = 137
"""People whom officers did not find at first."""
BUSINESSES: Final = ("pedagang kecil", "penjahit", "perajin mebel", "penjual makanan")
OTHERS: Final = ("buruh harian lepas", "nelayan", "buruh pabrik", "asisten rumah tangga", "tidak bekerja")
WITH_BUSINESS: Final = 0.38
REASONS: Final = {
    "sudah mampu, berpenghasilan tetap": 41,
    "rumah layak huni dan aset memadai": 27,
    "tercatat ganda dengan anggota keluarga lain": 13,
    "anggota keluarga ASN, TNI, atau Polri": 8,
    "tidak lagi berdomisili di kelurahan": 7,
    "tidak bersedia diverifikasi": 4,
}
"""Why people were rejected, and of a hundred how many."""
FIRST_DAY: Final = date(2022, 10, 3)
VISIT_DAYS: Final = 60


class Visited(NamedTuple):
    """One person of the list and what became of them; ``reason`` of the rejected."""

    nik: str
    name: str
    sex: str
    born: str
    region: str
    kk: str
    occupation: str
    reason: str | None
    officer: str
    visited_on: date

    @property
    def confirmed(self) -> bool:
        return self.reason is None

    @property
    def runs_a_business(self) -> bool:
        return self.occupation in BUSINESSES


class Pasuruan:
    """The people listed in Kota Pasuruan; iterate it for the messages of both places."""

    def __init__(self, seed: int = 1) -> None:
        rng, names, numbers = random.Random(f"{seed}:pasuruan"), Names(seed), Numbers()
        places = [k.code for kecamatan in list_wilayah(PASURUAN) for k in list_wilayah(kecamatan.code)]
        officers = {place: [f"{names.draw(rng, 'P')} (PSM)" for _ in range(2)] for place in places}
        confirmed = set(rng.sample(range(LISTED), CONFIRMED))
        self.people: list[Visited] = []
        for number in range(LISTED):
            place, sex = rng.choice(places), rng.choice("LP")
            born = date(rng.randint(1945, 1998), rng.randint(1, 12), rng.randint(1, 28)).isoformat()
            business = rng.random() < WITH_BUSINESS
            reason = None if number in confirmed else rng.choices([*REASONS], [*REASONS.values()])[0]
            self.people.append(
                Visited(
                    numbers.nik(area_of(place), born, sex), names.draw(rng, sex), sex, born, place,
                    numbers.kk(place, f"{rng.randint(2012, 2021)}-03-01"),
                    rng.choice(BUSINESSES if business else OTHERS), reason, rng.choice(officers[place]),
                    FIRST_DAY + timedelta(14 + rng.randrange(VISIT_DAYS)),
                )
            )  # fmt: skip
        self._photos = [f"{rng.getrandbits(256):064x}" for _ in self.people]
        self._twice = set(rng.sample(range(LISTED), TWICE))

    @cached_property
    def capital(self) -> int:
        """Families to whom capital is due."""
        return sum(each.confirmed and each.runs_a_business for each in self.people)

    @cached_property
    def reasons(self) -> Counter[str]:
        """How many were rejected, by the reason."""
        return Counter(each.reason for each in self.people if each.reason is not None)

    @cached_property
    def officers(self) -> Counter[str]:
        """How many each officer visited, by who saw them last."""
        return Counter(each.officer for each in self.people)

    def __iter__(self) -> Iterator[Message]:
        return chain(self._persons(), self._lists(), self._visits(), _institutions())

    def _persons(self) -> Iterator[Message]:
        for number, each in enumerate(self.people):
            data = {
                "nik": each.nik, "revision": 0, "name": each.name, "sex": each.sex, "birth_date": each.born,
                "region": each.region, "kk": each.kk, "since": "2021-03-01", "relation": "head",
                "attributes": {"decile": 1, "occupation": each.occupation},
            }  # fmt: skip
            told = "tepat.person.recorded.v1", f"pasuruan:person:{number}", FIRST_DAY
            yield message(VERIFIER, "beneficiaries", each.nik, *told, data)

    def _lists(self) -> Iterator[Message]:
        for number, each in enumerate(self.people):
            data = {
                "batch": BATCH, "revision": 0, "nik": each.nik, "region": each.region,
                "listed_on": FIRST_DAY.isoformat(),
            }  # fmt: skip
            told = "tepat.verification.listed.v1", f"pasuruan:listed:{number}", FIRST_DAY
            yield message(VERIFIER, "verifications", each.nik, *told, data)

    def _visits(self) -> Iterator[Message]:
        for number, each in enumerate(self.people):
            found = ("confirmed", None) if each.confirmed else ("rejected", each.reason)
            if number in self._twice:
                before = each.visited_on - timedelta(5)
                yield self._visit(number, each, f"PAS-{number:05d}-a", before, "not_found", None)
            yield self._visit(number, each, f"PAS-{number:05d}", each.visited_on, *found)

    def _visit(self, number: int, to: Visited, id_: str, day: date, outcome: str, reason: str | None) -> Message:
        data = {
            "verification_id": id_, "revision": 0, "batch": BATCH, "nik": to.nik, "outcome": outcome,
            "verified_on": day.isoformat(), "officer": to.officer, "region": to.region,
            "answers": {"usaha": to.occupation if to.runs_a_business else "tidak ada"},
            "evidence": [{"kind": "photo", "sha256": self._photos[number]}],
            **({"reason": reason} if reason is not None else {}),
        }  # fmt: skip
        told = "tepat.verification.recorded.v1", f"pasuruan:visit:{id_}", day
        return message(VERIFIER, "verifications", to.nik, *told, data)


def _institutions() -> Iterator[Message]:
    """A WKSBM in five of Kota Magelang's kelurahan, one after the other."""
    places = [k for kecamatan in list_wilayah(MAGELANG) for k in list_wilayah(kecamatan.code)]
    for number, place in enumerate(places[:: len(places) // COVERED][:COVERED]):
        data = {
            "institution_id": f"WKSBM-{number + 1:02d}", "kind": "WKSBM", "name": f"WKSBM {place.name}",
            "regions": [place.code], "active": True, "revision": 0,
        }  # fmt: skip
        told = "tepat.institution.recorded.v1", f"magelang:institution:{number}", date(2018, 3 + 2 * number, 1)
        yield message(REGISTRAR, "beneficiaries", str(data["institution_id"]), *told, data)


def message(agency: str, kind: str, key: str, type_: str, id_: str, day: date, data: Mapping[str, Any]) -> Message:
    """An event of an agency on its topic, told at nine on a day."""
    event = {
        "specversion": "1.0", "id": id_, "source": f"urn:tepat:agency:{agency}", "type": type_,
        "time": f"{day.isoformat()}T09:00:00+07:00", "datacontenttype": "application/json", "data": data,
    }  # fmt: skip
    return f"agency.{agency}.{kind}.v1", key.encode(), orjson.dumps(event)


# --- what the services tell of it


@dataclass(frozen=True, slots=True)
class Told:
    """What the services tell of both places; amounts in rupiah. ``wrong`` says in words what is not as planted."""

    funnel: Mapping[str, Any]
    families: int
    unverified: int
    capital: int
    coverage: Mapping[str, Any]
    seconds: float
    wrong: Sequence[str]


async def run(
    kafka: str, services: Services, pasuruan: Pasuruan, patience: float, advance: Callable[[int], None]
) -> Told:
    """Sends what the agencies of both places tell, waits until it is judged, and asks the services about it.

    Raises as `tepat_demo.run.run` does.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    topics = sorted({topic for topic, _, _ in pasuruan})
    await stream.send(kafka, pasuruan, advance)
    await stream.answers(kafka, await stream.bounds(kafka, topics), patience)
    await settled(services, patience)
    seconds = clock() - began
    funnel = await services.get("eligibility", f"verifications/batches/{quote(BATCH, safe='')}")
    due = [each["due"]["amount"] for each in await _decisions(services, "eligible")]
    unverified = len(await _decisions(services, "needs_verification"))
    coverage = await services.get("registry", f"coverage?region={MAGELANG}&kind=WKSBM")
    wrong = [
        f"{what}: {found}, and not {planted}"
        for what, found, planted in (
            ("listed in Pasuruan", funnel["listed"], LISTED),
            ("confirmed in Pasuruan", funnel["confirmed"], CONFIRMED),
            ("rejected in Pasuruan", _rejected(funnel), dict(pasuruan.reasons)),
            (
                "visited by each officer",
                {e["officer"]: e["visited"] for e in funnel["officers"]},
                dict(pasuruan.officers),
            ),
            ("families to whom capital is due", len(due), pasuruan.capital),
            ("kelurahan of Magelang with a WKSBM", coverage["covered"], COVERED),
        )
        if found != planted
    ]
    return Told(funnel, len(due), unverified, sum(due), coverage, seconds, wrong)


def _rejected(funnel: Mapping[str, Any]) -> dict[str, int]:
    return {each["reason"]: each["persons"] for each in funnel["reasons"] if each["outcome"] == "rejected"}


async def _decisions(services: Services, decision: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    path = f"decisions?programme={PROGRAMME}&decision={decision}&limit=1000"
    cursor = ""
    while True:
        page = await services.get("eligibility", path + cursor)
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={quote(page['next'])}"
