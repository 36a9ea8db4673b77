"""Semarang Berbagi: a round in kelurahan Tegalsari, where 100 packages come to 650 poor families, and how it spreads.

In September 2023 neighbours gave in nearly half of the kelurahan of Kota Semarang, 89 of 177; in Tegalsari 100 packages
a round went to 600–700 poor families through PKK, LPMK and FKK, with coupons from the community worker (PSM) to the RW
to the resident. The figures are those of the reports, all persons are invented.

- Families are sent through the agency's topic; the round is held as its people hold it, over HTTP.
- What came of it is asked of the services and compared with what must be: nobody twice, no coupon twice, the stock at
  nothing, and in the next round those first who got nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

from . import stream
from .cases import message
from .district import Message
from .population import Names, Numbers, area_of, kelurahan
from .services import Answer, Services, settled

TEGALSARI: Final = "33.74.08.1006"
KOTA: Final = "33.74"
NEIGHBOURS: Final = "semarang-berbagi"
PROGRAMME: Final = "SB"
POOR: Final = 650
PACKAGES: Final = 100
TAKING_PART: Final = 89
"""Kelurahan that held a round in September 2023."""
KELURAHAN: Final = 177
DAY: Final = date(2023, 9, 15)
ROUND: Final = "tegalsari-2023-09-15"
NEXT: Final = "tegalsari-2023-09-22"


class Tegalsari:
    """The poor families of Tegalsari; iterate it for the messages that tell of them."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed

    def __iter__(self) -> Iterator[Message]:
        rng, names = random.Random(f"{self._seed}:tegalsari"), Names(self._seed)
        numbers = Numbers(5_001)  # others of the same days live in the district
        for number in range(POOR):
            born = date(rng.randint(1940, 1995), rng.randint(1, 12), rng.randint(1, 28)).isoformat()
            sex = rng.choice("LP")
            nik = numbers.nik(area_of(TEGALSARI), born, sex)
            data = {
                "nik": nik, "revision": 0, "name": names.draw(rng, sex), "sex": sex, "birth_date": born,
                "region": TEGALSARI, "kk": numbers.kk(TEGALSARI, f"{rng.randint(2012, 2021)}-05-01"),
                "since": "2021-05-01", "relation": "head", "attributes": {"ppks": ["fakir_miskin"]},
            }  # fmt: skip
            told = "tepat.person.recorded.v1", f"tegalsari:person:{number}", DAY - timedelta(30)
            yield message(NEIGHBOURS, "beneficiaries", nik, *told, data)


@dataclass(frozen=True, slots=True)
class Held:
    """What came of the round. ``refused`` are reasons of refusals; ``wrong`` says what is not as it must be."""

    ranked: int
    progress: Mapping[str, Any]
    refused: Sequence[str]
    first_again: int
    """Of the first places of the next round, those who got nothing in this one."""
    taking_part: int
    kelurahan: int
    seconds: float
    wrong: Sequence[str]


async def run(
    kafka: str, services: Services, families: Tegalsari, patience: float, advance: Callable[[int], None]
) -> Held:
    """Sends the families, holds the round, closes it, and ranks for the next. Raises as `tepat_demo.run.run` does."""
    clock = asyncio.get_running_loop().time
    began = clock()
    await stream.send(kafka, families, advance)
    topic = f"agency.{NEIGHBOURS}.beneficiaries.v1"
    await stream.answers(kafka, await stream.bounds(kafka, [topic]), patience)
    await settled(services, patience)
    listed = await _ranked(services, ROUND, patience)
    await services.post("distribution", "rounds", {
        "round": ROUND, "day": DAY.isoformat(), "closes": (DAY + timedelta(2)).isoformat(), "packages": PACKAGES,
    })  # fmt: skip
    coupons = (await services.get("distribution", f"rounds/{ROUND}/coupons?limit=1000", role="operator"))["items"]
    for hands in ("psm", "rw", "resident"):
        await services.post("distribution", f"rounds/{ROUND}/handovers", {"to": hands, "region": TEGALSARI})
    refused = []
    for deliveries in ([_given(each["coupon"]) for each in coupons], [_given(coupons[0]["coupon"], again=True)]):
        answer = await services.post("distribution", f"rounds/{ROUND}/deliveries", {"deliveries": deliveries})
        refused += [each["reason"] for each in answer["outcomes"] if each["outcome"] == "refused"]
    progress = await services.get("distribution", f"rounds/{ROUND}/progress")
    await services.post("distribution", f"rounds/{ROUND}/close", {})
    await settled(services, patience)
    following = await _ranked(services, NEXT, patience)
    got = {each["subject"] for each in coupons}
    first_again = sum(subject not in got for subject in following[:PACKAGES])
    for region in kelurahan()[:TAKING_PART]:
        held = {"programme": PROGRAMME, "region": region, "day": "2023-09-29", "packages": 60}
        await services.post("distribution", "held", held)
    adoption = await services.get("distribution", f"adoption/{KOTA}?programme={PROGRAMME}")
    target = adoption["targets"][0]
    wrong = [
        f"{what}: {found}, and not {wanted}"
        for what, found, wanted in (
            ("families ranked in Tegalsari", len(set(listed)), POOR),
            ("packages given there", (progress["delivered"], progress["stock"]), (PACKAGES, 0)),
            ("refused there", refused, ["redeemed"]),
            ("of the next first those who got nothing", first_again, PACKAGES),
            ("kelurahan that took part in September 2023", target["held"], TAKING_PART),
            ("kelurahan of Kota Semarang", adoption["kelurahan"], KELURAHAN),
        )
        if found != wanted
    ]
    return Held(
        len(listed), progress, refused, first_again, target["held"], adoption["kelurahan"], clock() - began, wrong
    )  # fmt: skip


def _given(coupon: str, *, again: bool = False) -> Answer:
    """A package given for a coupon, with a photo of it."""
    name = f"{coupon}{'-again' if again else ''}"
    return {
        "delivery_id": name, "coupon": coupon, "at": f"{DAY.isoformat()}T09:00:00+07:00", "officer": "Bu Sri (PKK)",
        "region": TEGALSARI, "proof": {"kind": "photo", "sha256": sha256(name.encode()).hexdigest()},
    }  # fmt: skip


async def _ranked(services: Services, name: str, patience: float) -> list[str]:
    """The families in the order of a ranking of that name, made now; distribution knows it then."""
    asked = {"round": name, "programme": PROGRAMME, "region": TEGALSARI, "places": PACKAGES}
    await services.post("eligibility", "rankings", asked)
    await settled(services, patience)
    listed: list[str] = []
    cursor = ""
    while True:
        page = await services.get("eligibility", f"rankings/{quote(name, safe='')}?limit=1000{cursor}")
        listed += [each["subject"] for each in page["items"]]
        if page["next"] is None:
            return listed
        cursor = f"&cursor={quote(page['next'])}"
