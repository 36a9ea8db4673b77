"""Notices by the policy's routes: who hears, when, once; what climbs when nobody acknowledges it."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import TypeAdapter
from tepat_chassis.auth import Person, Right, authenticated
from tepat_chassis.duty import Duty
from tepat_contracts.cases import case_code
from tepat_contracts.events.ours import DeliveryRecorded
from tepat_notifications import api
from tepat_notifications.acknowledging import link_router
from tepat_notifications.hearings import cause_id
from tepat_notifications.links import Links
from tepat_notifications.sending import DUTY, Sender

from .conftest import Desk, overlap, rejection

pytestmark = pytest.mark.integration

MIROTO = "33.74.01.1001"
RECIPIENTS: dict[str, Any] = {
    "lurah": [
        {"name": "Miroto", "role": "lurah", "region": MIROTO, "contact": {"email": "miroto@kel.invalid"}},
        {"name": "Bandungan", "role": "lurah", "region": "33.22.10.1001", "contact": {"email": "bd@kel.invalid"}},
    ],
    "camat": [{"name": "Tengah", "role": "officer", "region": "33.74.01", "contact": {"email": "camat@kec.invalid"}}],
    "provinsi": [{"name": "Jaga", "role": "operator", "contact": {"email": "jaga@prov.invalid"}, "language": "en"}],
}
LURAH, CAMAT, PROVINSI = "miroto@kel.invalid", "camat@kec.invalid", "jaga@prov.invalid"
CLIMBING = {
    "kinds": ["report"], "to": {"officers": "lurah"},
    "acknowledge": {"within": "PT4H", "then": [{"to": {"officers": "camat"}}, {"to": {"officers": "provinsi"}}]},
}  # fmt: skip


async def routed(desk: Desk, *notices: dict[str, Any], version: str = "r-1") -> None:
    await desk.apply(version=version, routes={"recipients": RECIPIENTS, "notices": list(notices)})


async def report(desk: Desk, number: int = 1, revision: int = 1, **what: Any) -> str:
    """A report from Miroto is told of; its code."""
    told = {
        "report_id": f"L-{number}", "revision": revision, "agency": "dpmd", "kind": "fire", "region": MIROTO,
        "step": "kelurahan", "state": "waiting", "in_charge": "dinsos", "households": 3,
        "deadline": "2026-03-03T03:00:00+00:00",
    }  # fmt: skip
    await desk.tell("tepat.report.routed.v1", **(told | what))
    return case_code(cause_id("report", f"dpmd/L-{number}"))


def recipients(desk: Desk) -> list[str]:
    return [text["To"] for text in desk.mail.texts]


async def test_a_report_is_told_to_the_lurah_whose_area_it_is(desk: Desk) -> None:
    await routed(desk, CLIMBING)
    code = await report(desk)
    await desk.at_once()
    assert recipients(desk) == [LURAH]
    body = desk.mail.texts[0].get_content()
    assert f"Kasus {code}, Miroto, Semarang Tengah, Kota Semarang" in body
    assert "Kebakaran" in body
    assert "3 keluarga" in body
    assert "3 Maret 2026 10.00 WIB" in body
    assert await desk.database.pool.fetchval("select region from delivery") == MIROTO, "whoever sees it sees the notice"
    (data,) = await desk.published()
    TypeAdapter(DeliveryRecorded).validate_json(orjson.dumps(data))
    assert (data["agency"], data["kind"], data["level"], data["state"]) == ("lurah", "report", 0, "sent")
    await report(desk, revision=2)  # nothing new is said
    await desk.at_once()
    assert len(desk.mail.texts) == 1


async def test_what_became_of_a_notice_is_traced_by_the_name_of_its_cause_and_by_its_code(desk: Desk) -> None:
    await routed(desk, CLIMBING)
    code = await report(desk)
    await desk.at_once()
    app, whole = FastAPI(), frozenset(Right)
    app.include_router(api.tracing(desk.database), prefix="/v1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t/v1/") as client:
        for regions, told in (
            ((), ["report taken", "notice sending", "notice sent"]), (("33.22",), []),
        ):  # fmt: skip
            somebody = Person("rini", "Bu Rini", whole, regions)
            app.dependency_overrides[authenticated] = lambda somebody=somebody: somebody
            for name in ("dpmd/L-1", code.lower()):
                steps = (await client.get(f"trace/{name}")).json()["steps"]
                assert [step["what"] for step in steps] == told


async def test_what_no_route_names_goes_as_ever(desk: Desk) -> None:
    await routed(desk, CLIMBING)
    await desk.announce(overlap(1))
    await desk.at_once()
    assert sorted(recipients(desk)) == ["bank@himbara.invalid", "pkh@dinsos.invalid"]
    await desk.tell("tepat.suspect.raised.v1", pair="a+b", revision=1, kind="duplicate", persons=[])
    await desk.digest()
    assert await desk.database.pool.fetchval("select count(*) from cause") == 0


async def test_overlaps_go_where_their_routes_say_and_only_there(desk: Desk) -> None:
    await routed(desk, {"kinds": ["overlap"], "at_least": 600_000, "to": {"officers": "provinsi"}},
                 {"kinds": ["overlap"], "to": {"agency": "concerned"}, "when": "digest"})  # fmt: skip
    await desk.announce(overlap(1), overlap(2, amount_at_risk=100_000))
    await desk.at_once()
    assert recipients(desk) == [PROVINSI]
    assert f"Case {overlap(1).code}" in desk.mail.texts[0].get_content()
    await desk.digest()
    assert sorted(recipients(desk)[1:]) == ["bank@himbara.invalid", "pkh@dinsos.invalid"]
    assert "Rangkuman harian, 2 hal" in desk.mail.to("pkh@dinsos.invalid")[0]["Subject"]
    await desk.announce(overlap(1, 2, live=False))
    await desk.digest()
    assert "Over (1): nothing is left to do." in desk.mail.to(PROVINSI)[1].get_content()
    assert "Selesai (1)" in desk.mail.to("pkh@dinsos.invalid")[1].get_content()


async def test_what_is_over_before_it_is_told_is_told_to_nobody(desk: Desk) -> None:
    await routed(desk, CLIMBING)
    await report(desk)
    await report(desk, revision=2, state="closed", outcome="helped")
    await desk.at_once()
    await desk.digest()
    assert desk.mail.texts == []
    assert [row["state"] for row in await desk.deliveries()] == ["skipped"]


async def test_of_an_overlap_told_before_there_were_routes_only_its_change_is_told(desk: Desk) -> None:
    await desk.announce(overlap(1), overlap(2))
    await desk.at_once()
    assert len(desk.mail.texts) == 2
    await routed(desk, {"kinds": ["overlap"], "to": {"agency": "concerned"}})
    await desk.announce(overlap(1, 2, amount_a=800_000), overlap(2, 2))
    await desk.at_once()
    assert len(desk.mail.texts) == 2
    await desk.digest()
    assert sorted(recipients(desk)[2:]) == ["bank@himbara.invalid", "pkh@dinsos.invalid"]
    assert all("(1)" in text["Subject"] or ", 1 hal" in text["Subject"] for text in desk.mail.texts[2:])


TO_AGENCIES = {"kinds": ["overlap"], "verdicts": ["exclusive"], "at_least": 500_000, "to": {"agency": "concerned"}}


async def test_a_change_of_what_was_told_comes_with_the_next_digest_once(desk: Desk) -> None:
    await routed(desk, TO_AGENCIES)
    await desk.announce(overlap(1), overlap(2))
    await desk.at_once()
    told = len(desk.mail.texts)
    for revision, amount in enumerate((700_000, 800_000, 900_000), 2):
        await desk.announce(overlap(1, revision, amount_a=amount))
        await desk.at_once()
    assert len(desk.mail.texts) == told
    await desk.digest()
    changes = [text.get_content() for text in desk.mail.texts[told:]]
    assert len(changes) == 2
    for text in changes:
        assert overlap(1).code in text
        assert overlap(2).code not in text
        assert "Rp 900.000" in text
        assert "berubah sejak kabar kami sebelumnya" in text or "changed since we told you of it" in text
    await desk.announce(overlap(1, 5, amount_a=900_000))  # what it says is known
    await desk.digest()
    assert len(desk.mail.texts) == told + 2


PREFERS = [
    {"id": "pkh-bpnt", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "exclusive", "basis": "x",
     "prefer": "PKH"},
]  # fmt: skip
GO, WAIT = "PKH didahulukan aturan", "Hold BPNT for now."
"""What the payer of PKH reads in Indonesian first, and that of BPNT in English."""


async def test_whoever_is_preferred_hears_that_theirs_may_go_and_the_other_that_theirs_waits(desk: Desk) -> None:
    await desk.apply(version="p-1", overlap_rules=PREFERS)
    await desk.announce(overlap(1))
    await desk.at_once()
    (preferred,), (waiting,) = (desk.mail.to(each) for each in ("pkh@dinsos.invalid", "bank@himbara.invalid"))
    assert preferred["Subject"].startswith("[Tepat] 1 pembayaran ganda, satu didahulukan dan satu menunggu")
    assert waiting["Subject"] == "[Tepat] 1 double payment, please hold"
    assert GO in preferred.get_content()
    assert "Tahan pembayaran" not in preferred.get_content()
    assert WAIT in waiting.get_content()
    await desk.announce(overlap(1, 2, amount_a=700_000), *(overlap(each, verdict="review") for each in (2, 3)))
    await desk.digest()
    digest = desk.mail.to("pkh@dinsos.invalid")[-1].get_content()
    assert digest.count(GO) == 1  # of the one that is exclusive
    await desk.apply(version="p-2")
    await desk.announce(overlap(4))  # its rule is gone
    await desk.at_once()
    assert "mohon ditahan dahulu" in desk.mail.to("pkh@dinsos.invalid")[-1]["Subject"]


async def test_by_routes_too_and_not_once_the_other_has_gone_out(desk: Desk) -> None:
    to_lurah = {"kinds": ["overlap"], "to": {"officers": "lurah"}, "language": "id"}
    await desk.apply(
        version="p-1", overlap_rules=PREFERS, routes={"recipients": RECIPIENTS, "notices": [TO_AGENCIES, to_lurah]}
    )
    await desk.announce(overlap(1, states=("planned", "planned")), overlap(2, states=("planned", "disbursed")))
    await desk.at_once()
    for address in ("pkh@dinsos.invalid", LURAH):
        (text,) = (each.get_content() for each in desk.mail.to(address))
        assert text.count(GO) == 1
        assert text.count("Tidak boleh diterima bersamaan, satu didahulukan dan satu menunggu") == 1
        assert text.count("Tidak boleh diterima bersamaan, tahan dulu") == 1
        assert (
            "Tahan pembayaran yang belum disalurkan sampai kasusnya diputuskan. Yang didahulukan aturan boleh" in text
        )
    (text,) = (each.get_content() for each in desk.mail.to("bank@himbara.invalid"))
    assert text.count("Must not be received together, please hold") == 2
    assert text.count(WAIT) == 1


async def test_a_change_taken_back_before_it_was_told_is_told_to_nobody(desk: Desk) -> None:
    await routed(desk, TO_AGENCIES)
    await desk.announce(overlap(1))
    await desk.at_once()
    await desk.announce(overlap(1, 2, starts=overlap(1).starts.replace(day=5)))  # type: ignore[union-attr]
    await desk.announce(overlap(1, 3))
    await desk.digest()
    assert len(desk.mail.texts) == 2


async def test_who_was_told_hears_a_change_that_no_route_names_any_more_and_nobody_else_does(desk: Desk) -> None:
    await routed(desk, TO_AGENCIES)
    await desk.announce(overlap(1), overlap(2, amount_at_risk=400_000))
    await desk.at_once()
    await desk.announce(
        overlap(1, 2, verdict="review", amount_at_risk=100_000), overlap(2, 2, amount_a=1, amount_at_risk=1)
    )
    await desk.at_once()
    assert len(desk.mail.texts) == 2
    await desk.digest()
    assert all(overlap(1).code in text.get_content() for text in desk.mail.texts[2:])
    assert all(overlap(2).code not in text.get_content() for text in desk.mail.texts[2:])
    assert len(desk.mail.texts) == 4
    await desk.announce(overlap(1, 3, live=False))
    await desk.announce(overlap(1, 4, amount_a=2))
    await desk.announce(overlap(1, 5, live=False))
    await desk.digest()
    assert len(desk.mail.texts) == 6
    await desk.announce(overlap(1, 6, amount_a=3))  # back again
    await desk.digest()
    assert len(desk.mail.texts) == 8


async def test_a_change_asks_nobody_to_acknowledge_anew_and_holds_up_no_climbing(desk: Desk) -> None:
    await routed(desk, CLIMBING | TO_AGENCIES)
    await desk.announce(overlap(1))
    await desk.at_once()
    assert await desk.acknowledge(overlap(1).code) == 1
    await desk.announce(overlap(1, 2, amount_a=800_000))
    await desk.digest()
    desk.clock.forward(days=2)
    await desk.send()
    assert CAMAT not in recipients(desk)
    await desk.announce(overlap(2))
    await desk.at_once()
    desk.clock.forward(hours=5)
    await desk.announce(overlap(2, 2, amount_a=800_000))
    await desk.send()
    await desk.at_once()
    assert recipients(desk)[-1] == CAMAT


# -- when --------------------------------------------------------------------------------------------------------


async def test_nobody_is_woken_by_the_clocks_of_their_region(desk: Desk) -> None:
    """Quiet until 06:00 there: 21:00 UTC in Papua, 22:00 in Kalimantan Timur, 23:00 in Java."""
    regions = {"wit": "91.71.01.1001", "wita": "64.72.01.1001", "wib": MIROTO}
    RECIPIENTS["malam"] = [
        {"name": name, "role": "rt", "region": region, "contact": {"email": f"{name}@x.invalid"}}
        for name, region in regions.items()
    ]
    await routed(desk, {"kinds": ["report"], "to": {"officers": "malam"}, "quiet": {"from": "20:00", "to": "06:00"}})
    desk.clock.now = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
    for number, region in enumerate(regions.values()):
        await report(desk, number, region=region)
    for number, hour in enumerate((21, 22, 23)):
        end = datetime(2026, 3, 2, hour, tzinfo=UTC)
        desk.clock.now = end - timedelta(seconds=1)
        await desk.send()
        assert len(desk.mail.texts) == number
        desk.clock.now = end
        await desk.send()
    assert recipients(desk) == ["wit@x.invalid", "wita@x.invalid", "wib@x.invalid"]


async def test_what_became_due_before_an_outage_does_not_wake_anybody_after_it(desk: Desk) -> None:
    await routed(desk, CLIMBING | {"quiet": {"from": "21:00", "to": "06:00"}})
    await report(desk)
    desk.clock.now = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)  # 01:00 in Java
    await desk.send()
    assert desk.mail.texts == []
    desk.clock.now = datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
    await desk.send()
    assert recipients(desk) == [LURAH]


async def test_at_most_so_many_a_day(desk: Desk) -> None:
    await routed(desk, {"kinds": ["report"], "to": {"officers": "lurah"}, "at_most_a_day": 2})
    for number in range(5):
        await report(desk, number)
        await desk.at_once()
    assert len(desk.mail.texts) == 2
    desk.clock.now = datetime(2026, 3, 2, 23, 59, tzinfo=UTC)
    await desk.send()
    assert len(desk.mail.texts) == 2
    desk.clock.now = datetime(2026, 3, 3, 0, 0, tzinfo=UTC)  # 07:00, the hour of the digests
    await desk.send()
    assert len(desk.mail.texts) == 3
    assert "3 laporan warga" in desk.mail.texts[2]["Subject"]


# -- acknowledged, or not ----------------------------------------------------------------------------------------


async def test_what_nobody_acknowledges_climbs_a_level_at_a_time(desk: Desk) -> None:
    await routed(desk, CLIMBING)
    code = await report(desk)
    await desk.at_once()
    for number, (told, level) in enumerate([(CAMAT, 1), (PROVINSI, 2)], 2):
        desk.clock.forward(hours=3, minutes=58)
        await desk.send()
        assert len(desk.mail.texts) == number - 1
        desk.clock.forward(minutes=2)
        await desk.send()
        await desk.at_once()
        assert recipients(desk)[-1] == told
        assert len(desk.mail.texts) == number
        assert (await desk.published())[-1]["level"] == level
    assert "Nobody below has answered yet" in desk.mail.texts[-1].get_content()
    desk.clock.forward(hours=5)
    await desk.send()
    steps = await desk.database.pool.fetch("select what, level from awaited_step order by step_id")
    assert [tuple(row) for row in steps] == [("awaited", 0), ("climbed", 1), ("climbed", 2), ("unanswered", 2)]
    assert await desk.acknowledge(code) == 1
    assert await desk.acknowledge(code) == 0


@pytest.mark.parametrize("how", ["code", "event", "closed"])
async def test_acknowledged_in_time_nobody_above_hears_of_it(desk: Desk, how: str) -> None:
    await routed(desk, CLIMBING)
    code = await report(desk)
    await desk.at_once()
    desk.clock.forward(hours=1)
    if how == "code":
        assert await desk.acknowledge(code) == 1
    else:
        await report(desk, revision=2, state={"event": "acknowledged", "closed": "closed"}[how])
    desk.clock.forward(days=3)
    await desk.send()
    assert {*recipients(desk)} == {LURAH}
    last = (await desk.published())[-1]
    if how == "closed":
        assert await desk.database.pool.fetchval("select how from awaited") == "ended"
    else:
        assert (last["revision"], last["acknowledged"]["how"]) == (2, "person" if how == "code" else "event")
        TypeAdapter(DeliveryRecorded).validate_json(orjson.dumps(last))


async def test_a_case_that_somebody_takes_up_answers_its_overlap(desk: Desk) -> None:
    await routed(desk, CLIMBING | {"kinds": ["overlap"], "to": {"agency": "dinsos"}})
    await desk.announce(overlap(1))
    await desk.at_once()
    await desk.tell(
        "tepat.case.told.v1", overlap_id=str(overlap(1).overlap_id), revision=2, state="open", act="assigned",
        at="2026-03-02T03:10:00Z", by="officer", payouts=[], programmes=[], amount_at_risk=1, region=MIROTO,
    )  # fmt: skip
    desk.clock.forward(days=1)
    await desk.send()
    assert recipients(desk) == ["pkh@dinsos.invalid"]


async def test_whoever_cannot_be_told_is_passed_at_once(desk: Desk) -> None:
    RECIPIENTS["telepon"] = [{"name": "B", "role": "rw", "contact": {"phone": "0812"}}]
    await routed(desk, CLIMBING | {"to": {"officers": "telepon"}})
    await report(desk)
    await desk.at_once()
    await desk.at_once()
    assert recipients(desk) == [CAMAT]


async def test_after_an_outage_one_level_is_told_once(desk: Desk) -> None:
    """A thousand reports of which nobody has acknowledged one, and nobody there for a month: one message, one level."""
    await routed(desk, CLIMBING)
    for number in range(30):
        await report(desk, number)
    await desk.at_once()
    assert len(desk.mail.texts) == 1
    await desk.lose_duty()
    desk.clock.forward(days=30)
    await desk.send()
    await desk.at_once()
    assert recipients(desk) == [LURAH, CAMAT]
    assert "30 laporan warga" in desk.mail.texts[1]["Subject"]
    desk.clock.forward(hours=3)
    await desk.send()
    assert len(desk.mail.texts) == 2


async def test_what_was_never_told_before_an_outage_begins_below(desk: Desk) -> None:
    await routed(desk, CLIMBING)
    await report(desk)
    desk.clock.forward(days=30)
    await desk.send()
    await desk.at_once()
    assert recipients(desk) == [LURAH]


async def test_a_clock_set_back_tells_nobody_twice(desk: Desk) -> None:
    await routed(desk, CLIMBING)
    await report(desk)
    await desk.at_once()
    desk.clock.forward(hours=5)
    await desk.send()
    desk.clock.forward(hours=-48)
    await desk.send()
    desk.clock.forward(hours=48, minutes=2)
    await desk.send()
    assert recipients(desk) == [LURAH, CAMAT]


async def test_two_instances_climb_once(desk: Desk) -> None:
    await routed(desk, CLIMBING)
    await report(desk)
    await desk.at_once()
    await desk.lose_duty()
    desk.clock.forward(hours=5)

    def ticking() -> datetime:
        desk.clock.forward(seconds=1)
        return desk.clock()

    duties, running = [], []
    for _ in range(2):
        duty = Duty(desk.database, DUTY)
        sender = Sender(desk.store, desk.channels, desk.standing, clock=ticking, registry=CollectorRegistry())
        sender.wake = duty.wake
        duties.append(duty)
        running.append(asyncio.ensure_future(duty.perform(sender.work)))
    await desk.mail.wait(2)
    for duty in duties:
        await duty.stop()
    await asyncio.gather(*running)
    assert recipients(desk) == [LURAH, CAMAT]
    assert await desk.database.pool.fetchval("select count(*) from awaited_step where what = 'climbed'") == 1


async def test_a_notice_refused_and_given_up_is_told_later_and_climbs(desk: Desk) -> None:
    await routed(desk, CLIMBING)
    desk.mail.at_recipient = lambda address: "550 no such user" if address == LURAH else None
    await report(desk)
    await desk.at_once()
    for _ in range(5):
        desk.clock.forward(hours=2)
        await desk.send()
    await desk.at_once()
    assert recipients(desk)[0] == CAMAT
    desk.mail.at_recipient = lambda address: None
    await report(desk, 2)
    await desk.at_once()
    (text,) = desk.mail.to(LURAH)
    assert "2 laporan warga" in text["Subject"]


async def test_nobody_climbs_while_it_is_certain_that_nobody_was_told(desk: Desk) -> None:
    await routed(desk, CLIMBING)
    desk.mail.at_recipient = lambda address: "451 4.3.0 later" if address == LURAH else None
    await report(desk)
    await desk.at_once()
    deadline = "select deadline from awaited"
    assert await desk.database.pool.fetchval(deadline) is None
    desk.mail.at_recipient = lambda address: None
    desk.clock.forward(minutes=30)
    await desk.send()
    assert recipients(desk) == [LURAH]
    assert await desk.database.pool.fetchval(deadline) >= desk.clock() + timedelta(hours=3, minutes=59)


async def test_a_new_policy_holds_for_what_waits(desk: Desk) -> None:
    await routed(desk, CLIMBING | {"when": "digest"})
    await report(desk)
    await routed(desk, CLIMBING | {"to": {"officers": "camat"}}, version="r-2")
    await desk.at_once()
    assert recipients(desk) == [CAMAT]
    await desk.digest()
    assert LURAH not in recipients(desk)


async def test_rejections_are_counted_until_they_are_told(desk: Desk) -> None:
    await routed(desk, {"kinds": ["rejection"], "verdicts": ["nik_invalid"], "to": {"officers": "provinsi"}})
    await desk.reject(rejection(1), rejection(2), rejection(3, reason="schema"))
    await desk.reject(rejection(2), rejection(4), resolved=[("agency.dinsos.payouts.v1", 0, 1)])
    await desk.at_once()
    assert desk.mail.texts == []
    await desk.digest()
    assert recipients(desk) == [PROVINSI]
    assert "records: 2, payouts, field /data/recipient/nik" in desk.mail.texts[0].get_content()
    await desk.digest()
    assert len(desk.mail.texts) == 1
    await desk.reject(rejection(5))
    await desk.reject(resolved=[("agency.dinsos.payouts.v1", 0, 5)])
    await desk.digest()
    assert len(desk.mail.texts) == 1


# -- by a link ---------------------------------------------------------------------------------------------------


async def test_a_link_acknowledges_what_its_notice_told_and_nothing_else(desk: Desk) -> None:
    await routed(desk, CLIMBING)
    await report(desk, 1)
    await desk.at_once()
    await report(desk, 2)
    await desk.at_once()
    await desk.at_once()
    links = Links(b"k" * 32, "https://tepat.invalid")
    first, second = [row["delivery_id"] for row in await desk.deliveries()]
    app = FastAPI()
    app.include_router(link_router(desk.database, desk.hearings, links, desk.clock), prefix="/v1")
    url = links.url(first)
    assert url is not None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://tepat.invalid") as client:
        look = await client.get(url)
        assert look.status_code == 200
        assert "Konfirmasi / Confirm" in look.text
        assert await desk.database.pool.fetchval("select count(*) from awaited where how is null") == 2
        for _ in range(2):
            assert "sudah dikonfirmasi" in (await client.post(url)).text
        forged = Links(b"x" * 32, "https://tepat.invalid").url(second)
        for wrong in (forged, f"{url}A", "/v1/acknowledge/x", "/v1/acknowledge/%00", links.url(UUID(int=1))):
            assert (await client.post(str(wrong))).status_code == 404
    rows = await desk.database.pool.fetch("select how, by from awaited order by how nulls last")
    assert [tuple(row) for row in rows] == [("link", "lurah/Miroto"), (None, None)]
    published = [data for data in await desk.published() if "acknowledged" in data]
    assert [data["delivery_id"] for data in published] == [str(first)]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_nobody_hears_a_thing_twice_and_all_hear_it_in_the_end(desk: Desk, seed: int) -> None:
    """Reports repeated and reordered, refusals, lost duties, new policies, acknowledgements, at any moment."""
    chance = random.Random(seed)
    states = ("waiting", "acknowledged", "overdue", "closed")
    stream = [
        (number, revision, {"state": chance.choice(states), "step": chance.choice(("kelurahan", "kota"))})
        for number in range(5)
        for revision in range(1, chance.randint(2, 6))
    ]
    stream += chance.sample(stream, len(stream) // 2)
    chance.shuffle(stream)
    said: dict[tuple[int, int], dict[str, Any]] = {}
    desk.mail.at_recipient = lambda address: "451 4.3.0 later" if chance.random() < 0.2 else None
    await routed(desk, CLIMBING)
    while stream:
        number, revision, what = stream.pop()
        code = await report(desk, number, revision, **said.setdefault((number, revision), what))
        match chance.randint(0, 7):
            case 0:
                await desk.acknowledge(code)
            case 1:
                await desk.lose_duty() if desk.held else None
            case 2:
                await routed(desk, CLIMBING | {"when": chance.choice(("digest", "at_once"))})
            case 3 | 4:
                desk.clock.forward(hours=chance.choice((0.1, 5)))
                await desk.send()
            case 5 | 6:
                await desk.at_once()
    desk.mail.at_recipient = lambda address: None
    await routed(desk, CLIMBING)
    for _ in range(4):
        desk.clock.forward(hours=12)
        await desk.digest()
        await desk.at_once()

    rows = await desk.database.pool.fetch("select * from hearing where heard order by cause_id, recipient, revision")
    heard: dict[tuple[UUID, str], list[str]] = {}
    for row in rows:
        heard.setdefault((row["cause_id"], row["recipient"]), []).append(row["news"])
    assert all(one != other for told in heard.values() for one, other in pairwise(told)), heard
    assert await desk.database.pool.fetchval("select count(*) from hearing where not heard and moment <> 'parked'") == 0
    for cause in await desk.database.pool.fetch("select * from cause left join awaited a using (cause_id)"):
        told = {recipient: news[-1] for (cause_id, recipient), news in heard.items() if cause_id == cause["cause_id"]}
        match cause["state"]:
            case "awaits":
                assert told["lurah/Miroto"] == cause["news"]
                assert cause["how"] in ("person", "unanswered")
            case "over":
                assert set(told.values()) <= {"over"}
                assert cause["how"] in (None, "ended")
            case _:
                assert cause["how"] in (None, "event")
