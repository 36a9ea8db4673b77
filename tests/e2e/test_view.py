"""Systems 2 and 3: a household of Jepara with all it receives, and those whom nobody reaches, one of them found by a
report from below.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

AREA = "33.20.01.2001"
DAY = "2026-02-14"
POLICY: dict[str, Any] = {
    "version": "jepara-1",
    "agencies": [
        {"id": "dinsos-jpr", "name": "Dinsos Jepara", "trust_rank": 1, "programmes": ["PKH", "KIS"]},
        {"id": "himbara-jpr", "name": "Himbara", "trust_rank": 2, "programmes": ["BPNT"]},
        {"id": "warga-jpr", "name": "Berbagi", "programmes": ["BERBAGI"]},
    ],
    "programmes": [
        {"code": "PKH", "name": {"id": "PKH", "en": "PKH"}, "unit": "household", "criteria": "household.decile <= 4"},
        *(
            {"code": code, "name": {"id": code, "en": code}, "unit": "household"}
            for code in ("KIS", "BPNT", "BERBAGI")
        ),
    ],
    "overlap_rules": [
        {"id": "pkh-bpnt", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "review"},
        {"id": "pkh-kis", "programmes": ["PKH", "KIS"], "scope": "household", "verdict": "complementary"},
        {"id": "berbagi", "programmes": ["BERBAGI", "PKH"], "scope": "household", "verdict": "complementary"},
    ],
}  # fmt: skip
SITI, UDIN, KARSO, MINAH = "3320014101900001", "3320010201150002", "3320010303580003", "3320014404500004"
FULL, EMPTY = "3320010101200001", "3320010101200002"


def event(by: str, type_: str, id_: str, data: dict[str, Any]) -> tuple[str, str, bytes]:
    """An event of an agency: its topic, key and value."""
    kind = {"person": "beneficiaries", "institution": "beneficiaries", "payout": "payouts", "report": "reports"}
    told = {
        "specversion": "1.0", "id": f"view-{id_}", "source": f"urn:tepat:agency:{by}", "type": f"tepat.{type_}.v1",
        "time": "2026-02-01T08:00:00+07:00", "data": data,
    }  # fmt: skip
    return f"agency.{by}.{kind[type_.partition('.')[0]]}.v1", id_, json.dumps(told).encode()


def person(nik: str, kk: str, name: str, birth: str, sex: str, **attributes: Any) -> tuple[str, str, bytes]:
    data = {
        "nik": nik, "revision": 0, "name": name, "sex": sex, "birth_date": birth, "region": AREA, "kk": kk,
        "since": "2021-05-01", "attributes": attributes,
    }  # fmt: skip
    return event("dinsos-jpr", "person.recorded", f"p-{nik[-4:]}", data)


def payout(by: str, programme: str, nik: str, amount: int, kind: str = "cash", **more: Any) -> tuple[str, str, bytes]:
    data = {
        "payout_id": f"V-{programme}", "revision": 0, "programme": programme, "region": AREA,
        "covers": {"from": "2026-01-01", "to": "2026-03-31"}, "recipient": {"nik": nik},
        "benefit": {"kind": kind, "amount": amount, **more},
    }  # fmt: skip
    return event(by, "payout.disbursed", f"o-{programme}", data)


async def test_a_household_of_jepara_with_all_it_receives_and_the_neighbours_who_receive_nothing(
    system: Running,
) -> None:
    file = system.data / "jepara.json"
    file.write_text(json.dumps(POLICY))
    system.tepat("policy", "apply", file)
    sent = [
        person(SITI, FULL, "Siti Rahayu", "1990-01-01", "P", decile=2),
        person(UDIN, FULL, "Udin", "2015-01-02", "L", decile=2, ppks=["anak_disabilitas"]),
        person(KARSO, EMPTY, "Mbah Karso", "1958-03-03", "L", decile=1, ppks=["lanjut_usia_terlantar"]),
        event("dinsos-jpr", "institution.recorded", "i-1", {
            "institution_id": "WKSBM-1", "kind": "WKSBM", "name": "WKSBM Jepara", "regions": ["33.20.01"],
            "active": True, "revision": 0,
        }),
        payout("dinsos-jpr", "PKH", SITI, 750_000), payout("himbara-jpr", "BPNT", UDIN, 600_000, "food"),
        payout("dinsos-jpr", "KIS", SITI, 42_000, "service"),
        payout("warga-jpr", "BERBAGI", SITI, 100_000, "food", quantity=1, unit="paket"),
        event("dinsos-jpr", "report.filed", "r-1", {
            "report_id": "RT-3-1", "revision": 0, "filed_by": {"role": "rt", "name": "Pak RT"},
            "kind": "unserved_poor", "region": AREA, "people": [{"nik": MINAH, "name": "Mbok Minah"}],
            "text": "hidup sendiri, belum pernah dapat bantuan",
        }),
    ]  # fmt: skip
    async with system.producer() as producer:
        for topic, key, value in sent:
            await producer.send_and_wait(topic, value, key=key.encode())

    def complete(told: dict[str, Any]) -> bool:
        return (len(told["payouts"]), len(told["overlaps"]), len(told["decisions"])) == (4, 1, 1)

    view = until(system, complete, "household", "show", SITI)
    assert view == system.listed("household", "show", FULL)[0]
    assert not view["gaps"]
    assert [p["programme"] for p in view["payouts"]] == ["KIS", "PKH", "BPNT", "BERBAGI"]
    assert sum(p["amount"] for p in view["payouts"]) == 1_492_000
    assert [o["rule"] for o in view["overlaps"]] == ["pkh-bpnt"]
    assert [(d["programme"], d["decision"]) for d in view["decisions"]] == [("PKH", "eligible")]
    assert view["ppks"] == ["anak_disabilitas"]
    assert [each["institution_id"] for each in view["institutions"]] == ["WKSBM-1"]
    text = system.tepat("household", "show", view["household"])
    assert not any(secret in json.dumps(view) + text for secret in (SITI, UDIN, FULL, "Siti"))
    shown = system.listed("household", "show", FULL, "--purpose", "kunjungan rumah")[0]
    assert {member["nik"] for member in shown["members"]} == {SITI, UDIN}

    missed = system.listed("unserved", "list", AREA, "--on", DAY)
    assert [(each["decile"], each["days"], each["never"]) for each in missed] == [(1, 1750, True), (None, 13, True)]
    (counted,) = system.listed("unserved", "count", AREA, "--on", DAY)
    assert (counted["needy"], counted["households"], counted["persons"], counted["never"]) == (3, 2, 2, 2)
    empty = system.listed("household", "show", EMPTY)[0]
    assert (empty["household"], empty["payouts"]) == (missed[0]["household"], [])
    apart = system.listed(
        "unserved", "count", AREA, "--on", DAY, *(f"--except={code}" for code in ("PKH", "KIS", "BPNT"))
    )
    assert apart[0]["households"] == 2, "neighbours' food parcels count while nobody says that they do not"

    async with system.producer() as producer:  # what the report asks for arrives
        topic, key, value = payout("warga-jpr", "BERBAGI", MINAH, 100_000, "food")
        value = value.replace(b'"V-BERBAGI"', b'"V-MINAH"').replace(b"view-o-BERBAGI", b"view-o-MINAH")
        await producer.send_and_wait(topic, value, key=key.encode())
    until(system, lambda told: told["households"] == 1, "unserved", "count", AREA, "--on", DAY)

    everything = await system.read(["distribution.aid.v1"])
    assert everything
    for record in everything:
        assert not any(number.encode() in (record.value or b"") for number in (SITI, UDIN, MINAH, FULL))
    print(
        f"\nJepara: 1 household, 2 members, 4 payouts of 3 agencies, Rp 1,492,000, 1 overlap (pkh-bpnt, "
        f"Rp {view['overlaps'][0]['amount_at_risk']:,} at risk), PKH {view['decisions'][0]['decision']}, 1 WKSBM near; "
        f"unserved on {DAY}: {counted['households']} of {counted['needy']} households, for "
        f"{' and '.join(str(each['days']) for each in missed)} days; 1 of them by a report; 1 after a parcel came"
    )


def until(system: Running, done: Callable[[dict[str, Any]], bool], *asked: str) -> dict[str, Any]:
    """What a command tells, once it tells all of it."""
    told: dict[str, Any] = {}
    for _ in range(60):
        said = system.tepat(*asked, "--json", status=None)
        told = json.loads(said) if said else {}
        if told and done(told):
            return told
    pytest.fail(f"{asked}: {told}")
