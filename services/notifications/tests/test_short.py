"""What leaves over channels of few characters, as gateways get it: a notice of every kind, with long names."""

from typing import Any

import pytest
from tepat_contracts.policy import NOTICE_KINDS
from tepat_notifications.channels import Channels
from tepat_notifications.channels.base import telephone
from tepat_notifications.links import Links
from tepat_notifications.store import Store

from .conftest import POLICY, Desk, overlap, rejection
from .gateways import Asked, Says, serving
from .test_channels import TAKEN, sms, telegram, whatsapp

pytestmark = pytest.mark.integration

LONG = "Dinas Sosial, Pemberdayaan Perempuan dan Perlindungan Anak, Pengendalian Penduduk dan Keluarga Berencana"
REGION = "33.74.01.1099"
PHONE = "0812-3456 7890"
LIMITS = {"sms": 160, "wa": 1_000, "telegram": 1_000}


def told(asked: Asked) -> tuple[str, str]:
    """Over which channel, and what a person reads there."""
    if asked.path.startswith("/2010"):
        assert asked.form["To"] == telephone(PHONE)
        return "sms", asked.form["Body"]
    if asked.path.startswith("/bot"):
        return "telegram", asked.json["text"]
    (component,) = asked.json["template"]["components"]
    return "wa", component["parameters"][0]["text"]


def answer(asked: Asked) -> Says | None:
    return TAKEN["whatsapp" if (kind := told(asked)[0]) == "wa" else kind](asked)


async def everything(desk: Desk) -> None:
    """One cause of each kind, each with the longest names there are."""
    await desk.announce(overlap(1, region=REGION))
    case = {"payout_id": "P" * 64, "agency": "dinsos"}
    await desk.tell(
        "tepat.case.told.v1", overlap_id=str(overlap(2).overlap_id), revision=2, state="open", act="waive_proposed",
        at="2026-03-02T03:10:00Z", by="officer", payouts=[case, case], programmes=["PKH", "BPNT"],
        amount_at_risk=999_999_999_999, region=REGION, deadline="2026-03-09T03:10:00Z",
    )  # fmt: skip
    await desk.tell(
        "tepat.finding.raised.v1", finding_id=str(overlap(3).overlap_id), revision=1, rule="paid_to_deceased" * 9,
        payouts=[case], region=REGION, evidence={},
    )  # fmt: skip
    await desk.tell(
        "tepat.report.routed.v1", report_id="L-1", revision=1, agency="dpmd", kind="disability", region=REGION,
        step="kelurahan", state="waiting", in_charge="dinsos", deadline="2026-03-03T03:00:00+00:00",
    )  # fmt: skip
    await desk.tell("tepat.suspect.raised.v1", pair="a+b", revision=1, kind="duplicate", persons=[], region=REGION)
    await desk.reject(*(rejection(number, reason=reason) for number, reason in enumerate(("schema", "nik_invalid"))))


async def equip(desk: Desk, url: str, routes: dict[str, Any]) -> None:
    desk.channels = Channels({
        "sms": sms(url), "wa": whatsapp(url, template={"name": "tepat_kabar"}), "telegram": telegram(url),
    })  # fmt: skip
    desk.store = Store(desk.channels.names, 2.0)
    desk.link = Links(b"k" * 32, "https://tepat.jatengprov.example").url
    contact = {"phone": PHONE, "telegram": "4711"}
    await desk.apply(
        agencies=[agency | {"name": LONG, "contact": contact} for agency in POLICY["agencies"]],
        regions=[{"code": REGION, "name": f"Kelurahan {LONG}"}], routes=routes,
    )  # fmt: skip


async def test_whatever_is_told_by_routes_the_code_comes_first_and_the_link_is_whole(desk: Desk) -> None:
    to = {"acknowledge": {"within": "PT4H", "then": [{"to": {"officers": "atas"}}]}}
    routes = {
        "recipients": {
            group: [{"name": f"{group} {LONG}", "role": "lurah", "contact": {"phone": PHONE, "telegram": "4711"}}]
            for group in (*LIMITS, "atas")
        },
        "notices": [
            {"kinds": [kind], "to": {"officers": name}, "channel": [name], **to}
            for name in LIMITS for kind in NOTICE_KINDS
        ],
    }  # fmt: skip
    with serving(answer) as server:
        await equip(desk, server.url, routes)
        await everything(desk)
        await desk.at_once()
        await desk.digest()
        codes = {row["code"] for row in await desk.database.pool.fetch("select code from cause")}
        received = [told(asked) for asked in server.asked]
    for name, limit in LIMITS.items():
        texts = [text for over, text in received if over == name]
        rows = await desk.deliveries(agency=f"{name}/{name} {LONG}", state="sent")
        assert len(texts) == len(rows) == 6
        for text in texts:
            assert len(text) <= limit, text
            assert text.split()[1].removesuffix(":") in codes, text
        links = {desk.link(row["delivery_id"]) for row in rows}
        assert {word for text in texts for word in text.split() if word.startswith("https:")} == links


async def test_what_no_route_names_is_told_by_its_code_too(desk: Desk) -> None:
    with serving(answer) as server:
        await equip(desk, server.url, {})
        await desk.announce(overlap(1, region=REGION), *(overlap(each, verdict="review") for each in range(2, 9)))
        await desk.reject(*(rejection(number, reason=reason) for number, reason in enumerate(("schema", "kk_invalid"))))
        await desk.at_once()
        await desk.announce(overlap(1, 2, live=False))
        await desk.digest()
        texts = [text for _, text in map(told, server.asked)]
    assert all(len(text) <= LIMITS["sms"] for text in texts)
    assert (
        f"Tepat {overlap(1).code}: tidak boleh diterima bersamaan, tahan dulu, Rp 600.000, Kelurahan Dinas Sosial."
        in texts
    )
    digest = next(text for text in texts if " dll.: 7 bantuan ganda: belum tentu salah, mohon diperiksa (7)" in text)
    assert "1 bantuan ganda: selesai" in digest
    assert "Tepat: 2 sebab data ditolak: nomor KK tidak sah (1), isian data kurang atau salah bentuk (1)." in texts
