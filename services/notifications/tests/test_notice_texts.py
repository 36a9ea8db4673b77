"""The words of notices by routes: each kind of cause, as our services tell it, in both languages, over each channel."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import product
from types import SimpleNamespace
from typing import Any, get_args

import orjson
import pytest
from tepat_contracts.events.ours import CaseTold
from tepat_contracts.events.reports import ReportKind
from tepat_contracts.examples import AGENCY, outbound
from tepat_contracts.policy import from_document
from tepat_contracts.receipts import ReasonName
from tepat_notifications import handlers
from tepat_notifications.domain import Province, province
from tepat_notifications.handlers import Rejection
from tepat_notifications.hearings import Stated
from tepat_notifications.texts import BOTH_LANGUAGES, LISTED, SMS, Texts, heard

NOW = datetime(2026, 3, 2, 5, tzinfo=UTC)
LINK = "https://tepat.jatengprov.example/v1/acknowledge/" + "a" * 38
#: GSM 03.38's basic alphabet as far as ASCII has it.
SEVEN_BITS = re.compile(r"[A-Za-z0-9 \n@$_!\"#%&'()*+,\-./:;<=>?]*")
PSEUDONYM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}")
FINDINGS = (
    "group_too_large", "paid_to_deceased", "paid_to_ineligible", "paid_unverified", "not_registered", "over_cap",
    "twice_in_round", "outside_area", "merge_circle", "some_new_rule",
)  # fmt: skip


def event(type_name: str, **changed: Any) -> Stated:
    """What an example of the contracts tells of."""
    told = outbound(type_name, "registry")
    told["data"] |= changed
    record: Any = SimpleNamespace(value=orjson.dumps(told))
    stated = handlers._stated(record, NOW)
    assert stated is not None
    return stated


def everything() -> Iterator[Stated]:
    """A cause of every kind and verdict."""
    record: Any = SimpleNamespace(value=orjson.dumps(outbound("tepat.overlap.detected.v1", "distribution")))
    known = handlers._overlap(record, NOW)
    assert known is not None
    for verdict in ("exclusive", "review"):
        yield handlers._overlapping(known._replace(verdict=verdict))
    yield handlers._overlapping(known._replace(verdict="preferred"))
    for act in get_args(CaseTold.__annotations__["act"]):
        yield event("tepat.case.told.v1", act=act)
    for rule in FINDINGS:
        yield event("tepat.finding.raised.v1", rule=rule)
    for kind in get_args(ReportKind):
        for state in ("waiting", "overdue"):
            yield event("tepat.report.routed.v1", kind=kind, state=state)
    for kind in ("duplicate", "renewal", "merge_circle"):
        yield event("tepat.suspect.raised.v1", kind=kind)
    for reason in get_args(ReasonName):
        refused = Rejection(AGENCY, f"agency.{AGENCY}.payouts.v1", 0, 1, reason, "/data/recipient/nik", NOW)
        yield handlers._refused(refused, NOW, NOW)


EVERYTHING = list(everything())


def rows(
    stated: Stated, number: int, *, level: int = 0, awaited: bool = True, language: str | None = None
) -> list[Mapping[str, Any]]:
    """What the query gives of so many causes like this one."""
    row = stated._asdict() | {
        "said": orjson.loads(stated.said), "level": level, "awaited": awaited, "number": number, "language": language,
        "changed": stated.kind == "overlap",
    }  # fmt: skip
    if stated.verdict == "preferred":
        row |= {"goes": "PKH", "waits": "BPNT"}
    return [row | {"place": place} for place in range(1, min(number, LISTED) + 1)]


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts()


@pytest.fixture(scope="module")
def those_told() -> Province:
    return province(from_document({
        "version": "1", "overlap_rules": [], "programmes": [],
        "agencies": [{"id": AGENCY, "name": "Dinas Sosial Provinsi Jawa Tengah", "programmes": []}],
    }))  # fmt: skip


@pytest.mark.parametrize("language", ["id", "en", None])
@pytest.mark.parametrize("limit", [None, SMS, 1_000])
def test_every_cause_is_told_within_the_limits_of_each_channel(
    texts: Texts, those_told: Province, limit: int | None, language: str | None
) -> None:
    for stated, number, (level, link) in product(EVERYTHING, (1, 3, 3_000), ((0, None), (2, LINK))):
        told = heard(rows(stated, number, level=level, language=language), link)
        assert told["number"] == number
        kind = "summary" if stated.kind == "rejection" else stated.kind
        text = texts.write(kind, AGENCY, told, those_told, limit=limit)
        context = f"{stated.kind} {stated.verdict} {number} {text.body}"
        assert len(text.subject) <= 200, context
        assert "\n" not in text.subject
        assert len(text.body) <= (limit or 64 * 1024), context
        assert stated.code in text.body, context
        assert (LINK in text.body) == (link is not None), context
        for never in ("None", "{", "undefined", "\n\n\n\n", "  ,", " ."):
            assert never not in text.body, context
        assert not PSEUDONYM.search(text.body), context
        assert not re.search(r"\d{16}", text.body), context
        if limit is not None:
            assert SEVEN_BITS.fullmatch(text.body), context
            assert text.body.startswith(f"Tepat {stated.code}"), context
            assert text.body.count("Tepat ") == (2 if language is None and limit >= BOTH_LANGUAGES else 1), context


def test_one_language_over_sms_and_both_where_there_is_room(texts: Texts, those_told: Province) -> None:
    told = heard(rows(event("tepat.report.routed.v1", kind="flood"), 1), LINK)
    sms = texts.write("report", AGENCY, told, those_told, limit=SMS).body
    assert "banjir" in sms
    assert "flood" not in sms
    whatsapp = texts.write("report", AGENCY, told, those_told, limit=1_000).body
    assert "banjir" in whatsapp
    assert "flood" in whatsapp
    assert "Tanggapi laporannya" in whatsapp


@pytest.mark.parametrize("limit", [70, 153, 320, 499, 1_600])
def test_whatever_a_channel_holds_is_kept_to(texts: Texts, those_told: Province, limit: int) -> None:
    for stated, number, link in product(EVERYTHING, (1, 3), (None, LINK)):
        body = texts.write("case", AGENCY, heard(rows(stated, number), link), those_told, limit=limit).body
        assert len(body) <= limit, body
        assert body.startswith(f"Tepat {stated.code}"), body
        assert (LINK in body) == (link is not None and limit > len(LINK)), body


def test_several_findings_are_named_by_their_rules_and_not_by_codes_alone(texts: Texts, those_told: Province) -> None:
    found = [
        row | {"number": 3}
        for rule in ("paid_to_deceased", "over_cap", "paid_to_deceased")
        for row in rows(event("tepat.finding.raised.v1", rule=rule), 1)
    ]
    told = heard([*found, *rows(event("tepat.finding.cleared.v1"), 1)], LINK)
    body = texts.write("summary", AGENCY, told, those_told, limit=1_000).body
    code = found[0]["code"]
    assert body.startswith(
        f"Tepat {code} dll.: 3 temuan: dibayarkan kepada warga yang sudah meninggal (2), melebihi batas jumlah bantuan "
        "(1); 1 temuan: selesai, tidak perlu tindakan. Periksa pembayarannya."
    )
    assert "3 findings: paid to a resident who has died (2), more than the most that may be paid (1)" in body
    assert body.count(LINK) == 2
    sms = texts.write("summary", AGENCY, told, those_told, limit=SMS).body
    assert sms == f"Tepat {code} dll.: 3 temuan: dibayarkan kepada warga yang sud... Jawab: {LINK}"
    many = heard([row | {"number": 3_000} for row in found], None)
    assert "3000 temuan: dibayarkan kepada warga yang sudah meninggal, melebihi" in texts.write(
        "finding", AGENCY, many, those_told, limit=SMS
    ).body  # fmt: skip


def test_many_are_named_by_as_many_codes_as_there_is_room_for(texts: Texts, those_told: Province) -> None:
    stated = event("tepat.report.routed.v1")
    body = texts.write("report", AGENCY, heard(rows(stated, 40), None), those_told, limit=SMS).body
    assert body.startswith(f"Tepat {stated.code} dll.: 40 laporan warga")
    assert 5 < body.count(stated.code) < 15
    assert body.endswith("...")


def test_what_is_over_and_what_is_not_stand_apart(texts: Texts, those_told: Province) -> None:
    report, case = event("tepat.report.routed.v1"), event("tepat.case.told.v1", act="held")
    over = event("tepat.finding.cleared.v1")
    found = [*rows(case, 1, awaited=False), *rows(report, 2, level=1), *rows(over, 1, awaited=False)]
    body = texts.write("summary", AGENCY, heard(found, None), those_told).body
    assert "Pembayaran ditahan" in body
    assert "Belum ada yang menanggapi di tingkat sebelumnya" in body
    assert "Selesai (1): tidak ada lagi yang perlu dilakukan." in body
    assert "menyebutkan kode kasusnya" in body
    told = heard([{**row, "language": "en"} for row in found], None)
    english = texts.write("summary", AGENCY, told, those_told)
    assert english.subject == "[Tepat] Daily summary (4)"
    assert "Over (1): nothing is left to do." in english.body
    finished = texts.write("summary", AGENCY, heard(rows(over, 1, awaited=False), LINK), those_told, limit=SMS).body
    assert finished == f"Tepat {over.code}: selesai, tidak perlu tindakan."
