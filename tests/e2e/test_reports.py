"""Reports from below, end to end: Samarinda's climb to the province, Magelang's go to the neighbours first."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from tepat_contracts import regions

from .conftest import Running, event

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

TOPIC = "registry.reports.v1"
SECONDS = 120
ROUTED_SECONDS = 10


def policy(version: str, zone: str, agencies: dict[str, str], **reports: Any) -> dict[str, Any]:
    return {
        "version": version,
        "time_zone": zone,
        "agencies": [{"id": id_, "name": name, "programmes": []} for id_, name in agencies.items()],
        "programmes": [],
        "overlap_rules": [],
        "routes": {"reports": reports},
    }


def filed(agency: str, report: str, kind: str, region: str, **more: Any) -> tuple[str, bytes]:
    data = {
        "report_id": report, "filed_by": {"role": "rt", "name": "Pak RT"}, "kind": kind, "region": region,
        "people": [{"name": "Mbah Karto"}], "text": "Belum pernah menerima bantuan.", **more,
    }  # fmt: skip
    return f"agency.{agency}.reports.v1", event(agency, "report.filed", f"filed-{report}", data)


def answered(agency: str, report: str, outcome: str, **more: Any) -> tuple[str, bytes]:
    data = {"report_id": report, "outcome": outcome, **more}
    return f"agency.{agency}.reports.v1", event(agency, "report.answered", f"{agency}-{report}", data)


async def send(system: Running, *records: tuple[str, bytes]) -> None:
    async with system.producer() as producer:
        await asyncio.gather(*[await producer.send(topic, value) for topic, value in records])


async def until(
    system: Running, ours: str, holds: Callable[[dict[str, list[dict[str, Any]]]], bool]
) -> dict[str, list[dict[str, Any]]]:
    """All that was announced of reports whose ids begin so, by report, once it is as wanted."""
    told: dict[str, list[dict[str, Any]]] = {}
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        told = {}
        for record in await system.read([TOPIC]):
            announced = json.loads(record.value or b"{}")
            data = announced.get("data", {})
            if data.get("report_id", "").startswith(ours):
                told.setdefault(data["report_id"], []).append({**data, "announced_at": announced["time"]})
        if holds(told):
            return told
        await asyncio.sleep(0.2)
    pytest.fail(json.dumps({report: each[-1] for report, each in told.items()}, indent=1)[:4000])


async def apply(system: Running, document: dict[str, Any]) -> None:
    file = system.data / f"{document['version']}.json"
    file.write_text(json.dumps(document))
    await asyncio.to_thread(system.tepat, "policy", "apply", file)


def seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


async def test_samarinda_a_report_reaches_who_has_charge_and_unanswered_the_province(system: Running) -> None:
    """One report from each kelurahan: every third is answered, what nobody answers climbs to the province."""
    villages = [code for code in regions.within("64.72") if code.count(".") == 3]
    kinds = ("unserved_poor", "flood", "school_dropout")
    agencies = {
        "rt-smr": "RT", "kelurahan-smr": "Kelurahan", "kecamatan-smr": "Kecamatan", "dinsos-smr": "Dinas Sosial Kota",
        "bpbd-smr": "BPBD Kota", "dinsos-kaltim": "Dinas Sosial Provinsi",
    }  # fmt: skip
    steps = [{"step": step, "within": "PT4S"} for step in ("rt", "kelurahan", "kecamatan", "kota", "province")]
    in_charge = [
        {"step": "kelurahan", "agency": "kelurahan-smr", "region": "64.72"},
        {"step": "kecamatan", "agency": "kecamatan-smr", "region": "64.72"},
        {"step": "kota", "agency": "dinsos-smr", "region": "64.72"},
        {"step": "kota", "agency": "bpbd-smr", "region": "64.72", "kinds": ["fire", "flood", "landslide"]},
        {"step": "province", "agency": "dinsos-kaltim"},
    ]
    await apply(system, policy("samarinda-1", "Asia/Makassar", agencies, steps=steps, in_charge=in_charge))
    reports = [(f"SMR-{n}", kinds[n % 3], village) for n, village in enumerate(villages)]
    await send(system, *(filed("rt-smr", *report) for report in reports))
    await until(system, "SMR-", lambda told: len(told) == len(villages))
    await send(system, *(answered("kelurahan-smr", name, "helped") for name, _, _ in reports[::3]))
    told = await until(
        system, "SMR-",
        lambda told: all(each[-1]["state"] in ("closed", "overdue") for each in told.values()),
    )  # fmt: skip

    took = sorted(seconds(each[0]["filed_at"], each[0]["announced_at"]) for each in told.values())
    assert took[-1] < ROUTED_SECONDS
    open_ = {name: kind for n, (name, kind, _) in enumerate(reports) if n % 3}
    late = []
    for name, kind in open_.items():
        way = [
            ("kelurahan", "kelurahan-smr"), ("kecamatan", "kecamatan-smr"),
            ("kota", "bpbd-smr" if kind == "flood" else "dinsos-smr"), ("province", "dinsos-kaltim"),
        ]  # fmt: skip
        gone = [(state["step"], state.get("in_charge")) for state in told[name] if state["state"] == "waiting"]
        assert gone
        assert gone == [each for each in way if each in gone]  # what is over when it is looked at is not announced
        late += [seconds(state["since"], state["announced_at"]) for state in told[name] if state["step"] != "kelurahan"
                 and state["state"] == "waiting"]  # fmt: skip
        assert (told[name][-1]["step"], told[name][-1]["state"]) == ("province", "overdue")
    [shown] = await asyncio.to_thread(system.listed, "reports", "show", f"rt-smr/{name}")
    asked = [entry for entry in shown["timeline"] if entry["what"] == "asked"]
    assert [(entry["step"], entry["agency"]) for entry in asked] == way
    assert {told[name][-1]["outcome"] for name, _, _ in reports[::3]} == {"helped"}

    listed = await asyncio.to_thread(system.listed, "reports", "list", "--region", "64.72", "--overdue", "--limit", "0")
    assert len(listed) == len(open_)
    words = await asyncio.to_thread(system.tepat, "reports", "show", "rt-smr/SMR-1")
    for part in ("goes to kelurahan-smr (kelurahan)", "bpbd-smr (kota) gave no answer", "overdue at province"):
        assert part in words
    assert "Karto" not in words
    print(
        f"\nSamarinda: {len(villages)} reports of RTs, one a kelurahan, routed in {took[len(took) // 2]:.2f} s "
        f"(median; {took[-1]:.2f} s at most) after they stood on their topic; {len(villages) - len(open_)} answered "
        f"by the kelurahan; {len(open_)} unanswered climbed kelurahan → kecamatan → kota → province, "
        f"{max(late):.2f} s after a deadline at most"
    )
    print(words)


async def test_magelang_neighbours_come_first(system: Running) -> None:
    """A report from each of 17 kelurahan, 5 of which have a WKSBM: solved there, or referred, or left, and then up."""
    villages = [code for code in regions.within("33.71") if code.count(".") == 3]
    covered = villages[::4]
    agencies = {"rt-mgl": "RT", "wksbm-mgl": "Forum WKSBM", "kelurahan-mgl": "Kelurahan", "dinsos-mgl": "Dinas Sosial"}
    await apply(system, policy(
        "magelang-1", "Asia/Jakarta", agencies,
        neighbours={"within": "PT20S", "institutions": ["WKSBM"], "kinds": ["unserved_poor"]},
        steps=[{"step": "kelurahan", "within": "PT1H"}, {"step": "kota", "within": "P1D"}],
        in_charge=[{"step": "kelurahan", "agency": "kelurahan-mgl"}, {"step": "kota", "agency": "dinsos-mgl"}],
    ))  # fmt: skip
    await send(system, *(
        ("agency.dinsos-mgl.beneficiaries.v1", event("dinsos-mgl", "institution.recorded", f"w-{n}", {
            "institution_id": f"WKSBM-{n}", "kind": "WKSBM", "name": f"WKSBM {n}", "regions": [village], "active": True,
        })) for n, village in enumerate(covered)
    ))  # fmt: skip
    ends = time.monotonic() + SECONDS
    while True:
        told = json.loads(await asyncio.to_thread(
            system.tepat, "institutions", "coverage", "33.71", "--kind", "WKSBM", "--json"
        ))  # fmt: skip
        if told["covered"] == 5 or time.monotonic() > ends:
            break
    assert (told["covered"], told["kelurahan"]) == (5, 17)

    await send(system, *(filed("rt-mgl", f"MGL-{n}", "unserved_poor", code) for n, code in enumerate(villages)))
    announced = await until(system, "MGL-", lambda told: len(told) == 17)
    near = {name for name, each in announced.items() if each[0]["step"] == "neighbours"}
    assert near == {f"MGL-{villages.index(code)}" for code in covered}
    assert {each[0]["in_charge"] for name, each in announced.items() if name not in near} == {"kelurahan-mgl"}
    solved, referred, left = sorted(near)[:3], sorted(near)[3], sorted(near)[4]
    await send(
        system, *(answered("wksbm-mgl", name, "helped_by_neighbours") for name in solved),
        answered("wksbm-mgl", referred, "referred", to_agency="dinsos-mgl"),
    )  # fmt: skip

    def settled(told: dict[str, list[dict[str, Any]]]) -> bool:
        return (
            all(told[name][-1]["state"] == "closed" for name in solved)
            and told[referred][-1]["step"] == "kota"
            and told[left][-1]["step"] == "kelurahan"
        )

    announced = await until(system, "MGL-", settled)
    assert {announced[name][-1]["outcome"] for name in solved} == {"helped_by_neighbours"}
    assert announced[referred][-1]["in_charge"] == "dinsos-mgl"
    words = await asyncio.to_thread(system.tepat, "reports", "show", f"rt-mgl/{left}")
    assert "goes to neighbours first: WKSBM-" in words
    assert "the neighbours (neighbours) gave no answer in time" in words
    print(
        f"\nMagelang: of 17 reports {len(near)} went to neighbours first (WKSBM in {told['covered']} of "
        f"{told['kelurahan']} kelurahan), 12 to the kelurahan; of those {len(near)}, {len(solved)} were solved there, "
        f"1 was referred to the kota, 1 went up unanswered"
    )
    print(words)
