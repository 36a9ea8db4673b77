"""What the notices say, in both languages, however much there is to say."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest
from tepat_contracts.policy import from_document
from tepat_notifications.domain import ORDER, Kind, Payout, Province, province
from tepat_notifications.texts import LISTED, Texts, place, refused, rupiah, told

NOON = datetime(2026, 3, 2, 5, tzinfo=UTC)
CASE = {
    "what": "exclusive", "code": "K7QF2MZA", "place": 1, "region": "33.74.01.1001", "starts": date(2026, 1, 1),
    "ends": date(2026, 3, 31), "programme_a": "PKH", "programme_b": "BPNT", "amount_a": 750_000, "amount_b": 600_000,
    "agency_a": "dinsos", "agency_b": "himbara", "payout_a": "PKH-2026-T1-000123", "payout_b": "S-77", "reason": None,
    "verdict": "exclusive", "amount_at_risk": 600_000,
}  # fmt: skip
REASONS = (
    "malformed", "schema", "source_mismatch", "unknown_type", "nik_invalid", "kk_invalid", "programme_unknown",
    "region_unknown", "agency_unknown", "covers_inverted", "not_permitted",
)  # fmt: skip


@pytest.fixture(scope="module")
def texts() -> Texts:
    return Texts()


def those_told(language: str | None = None, name: str = "Dinas Sosial Kota") -> Province:
    contact = {"email": "a@b.invalid"} | ({"language": language} if language else {})
    return province(from_document({
        "version": "1", "overlap_rules": [],
        "agencies": [
            {"id": "dinsos", "name": name, "programmes": [], "contact": contact},
            {"id": "himbara", "name": "Himpunan Bank", "programmes": []},
        ],
        "programmes": [
            {"code": "PKH", "name": {"id": "Program Keluarga Harapan", "en": "Family Hope"}, "unit": "person"}
        ],
    }))  # fmt: skip


GOES = {"goes": "PKH", "waits": "BPNT", "verdict": "preferred"}


def tally(what: str, cases: int) -> dict[str, Any]:
    return {"what": what, "programme_a": "BPNT", "programme_b": "PKH", "cases": cases, "at_risk": cases * 600_000}


def refusal(reason: str, records: int = 3) -> dict[str, Any]:
    return {
        "reason": reason, "topic": "agency.dinsos.payouts.v1", "records": records, "pointer": "/data/recipient/nik",
        "since": NOON, "until": NOON,
    }  # fmt: skip


def content(kind: Kind, each: int = 1) -> Mapping[str, Any]:
    """As much of everything as a notice of that kind can say, ``each`` of every sort."""
    if kind == "rejections":
        return refused([refusal(reason, each) for reason in REASONS])
    sorts = ORDER if kind == "digest" else ORDER[:2]
    cases = [
        CASE | {"what": what, "reason": "payout_ended"} | (GOES if what == "preferred" else {})
        for what in sorts for _ in range(each)
    ]  # fmt: skip
    listed = [case | {"place": n} for n, case in enumerate(cases[:LISTED], 1)]
    return told([tally(what, each) for what in sorts], listed)


KINDS: tuple[Kind, ...] = ("overlaps", "digest", "rejections")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("each", [1, 2, 50, 3_000])
def test_every_kind_is_written_within_bounds(texts: Texts, kind: Kind, each: int) -> None:
    text = texts.write(kind, "dinsos", content(kind, each), those_told(name="Dinas " * 60))
    assert len(text.subject) <= 200
    assert "\n" not in text.subject
    assert len(text.body.encode()) < 64 * 1024
    assert text.body.index("Kepada ") < text.body.index("To ")
    assert "None" not in text.body
    assert "{" not in text.body
    assert "\n\n\n\n" not in text.body
    assert max(map(len, text.body.splitlines())) < 990  # RFC 5322, 2.1.1, were it not encoded


@pytest.mark.parametrize("kind", KINDS)
def test_one_language_where_the_contact_names_one(texts: Texts, kind: Kind) -> None:
    indonesian = texts.write(kind, "dinsos", content(kind), those_told("id"))
    english = texts.write(kind, "dinsos", content(kind), those_told("en"))
    both = texts.write(kind, "dinsos", content(kind), those_told())
    assert "Kepada" in indonesian.body
    assert "Kepada" not in english.body
    assert both.body == f"{indonesian.body.rstrip()}\n\n{'-' * 72}\n\n{english.body.rstrip()}\n"
    assert both.subject == f"{indonesian.subject} / {english.subject.removeprefix('[Tepat] ')}"


def test_an_overlap_is_told_in_plain_words(texts: Texts) -> None:
    text = texts.write("overlaps", "dinsos", told([tally("exclusive", 1)], [CASE]), those_told())
    assert text.subject == "[Tepat] 1 pembayaran ganda, mohon ditahan dahulu / 1 double payment, please hold"
    for line in (
        "Kepada Dinas Sosial Kota,",
        "Uang yang bisa terbayar dua kali: Rp 600.000.",
        "- BPNT + PKH (Program Keluarga Harapan): 1, Rp 600.000",
        "1. Kasus K7QF2MZA, Miroto, Semarang Tengah, Kota Semarang, 1 Januari 2026 sampai 31 Maret 2026",
        "   - PKH Rp 750.000, Dinas Sosial Kota, nomor pembayaran PKH-2026-T1-000123",
        "   - BPNT Rp 600.000, Himpunan Bank, nomor pembayaran S-77",
        "1. Case K7QF2MZA, Miroto, Semarang Tengah, Kota Semarang, 1 January 2026 to 31 March 2026",
    ):
        assert line in text.body


@pytest.mark.parametrize(
    ("held", "subject", "todo"),
    [(0, "1 pembayaran ganda, satu didahulukan dan satu menunggu / 1 double payment, one goes first and one waits",
      "1. Yang didahulukan aturan boleh disalurkan selama yang lain belum disalurkan dan petugas tidak menahannya; "),
     (2, "3 pembayaran ganda, 2 mohon ditahan dahulu / 3 double payments, please hold 2",
      "1. Tahan pembayaran yang belum disalurkan sampai kasusnya diputuskan, kecuali yang didahulukan. Yang ")],
)  # fmt: skip
def test_where_a_rule_prefers_one_the_notice_says_which_goes(texts: Texts, held: int, subject: str, todo: str) -> None:
    cases = [CASE | {"what": "preferred"} | GOES, *([CASE] * held)]
    tallies = [tally("preferred", 1), *([tally("exclusive", held)] if held else [])]
    text = texts.write("overlaps", "dinsos", told(tallies, cases), those_told())
    assert text.subject == f"[Tepat] {subject}"
    assert todo in text.body
    line = "   - PKH didahulukan aturan: boleh disalurkan selama BPNT belum disalurkan. BPNT ditahan dahulu.\n"
    assert text.body.count(line) == 1
    assert "   - The rule lets PKH go first: it may go out as long as BPNT has not. Hold BPNT for now.\n" in text.body
    assert text.body.index(f"{held + 1}. Kasus K7QF2MZA") < text.body.index(line)  # those to hold stand first
    if not held:
        assert "Tahan pembayaran" not in text.body


A, B = Payout("dinsos", "PKH", "planned"), Payout("himbara", "BPNT", "planned")


@pytest.mark.parametrize(
    ("reader", "rule", "a", "b", "advice"),
    [
        ("dinsos", "pkh-bpnt", A, B, ("PKH", "BPNT", False)),
        ("himbara", "pkh-bpnt", B, A, ("PKH", "BPNT", True)),
        ("lurah/Miroto", "pkh-bpnt", A, B, ("PKH", "BPNT", False)),
        ("dinsos", "pkh-bpnt", A, B._replace(state=None), ("PKH", "BPNT", False)),
        ("dinsos", "pkh-bpnt", A, B._replace(agency="dinsos"), ("PKH", "BPNT", False)),
        ("dinsos", "pkh-bpnt", A, B._replace(state="disbursed"), None),
        ("dinsos", "pkh-bpnt", A, B._replace(programme="PKH"), None),
        ("dinsos", "pkh-bpnt", A._replace(programme="BLT"), B, None),
        ("dinsos", "gone", A, B, None),
        ("dinsos", "no-preference", A, B, None),
        ("dinsos", None, A, B, None),
    ],
)
def test_what_goes_first_is_what_clearances_let_go(
    reader: str, rule: str | None, a: Payout, b: Payout, advice: tuple[str, str, bool] | None
) -> None:
    rules = [
        {"id": name, "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "exclusive", "basis": "x"} | more
        for name, more in (("pkh-bpnt", {"prefer": "PKH"}), ("no-preference", {}))
    ]
    programmes = [{"code": code, "name": {"id": code, "en": code}, "unit": "person"} for code in ("PKH", "BPNT")]
    ruling = from_document({"version": "1", "overlap_rules": rules, "agencies": [], "programmes": programmes})
    assert province(ruling).advice(reader, rule, a, b) == advice


def test_what_is_not_listed_is_counted(texts: Texts) -> None:
    text = texts.write("overlaps", "dinsos", content("overlaps", 3_000), those_told())
    assert "6000 pasang" in text.body
    assert "Masih ada 2950 kasus lain" in text.body
    assert "Masih ada 3000 kasus lain" in text.body
    assert text.body.count("Kasus K7QF2MZA") == LISTED
    assert "lain yang tidak" not in texts.write("overlaps", "dinsos", content("overlaps", 25), those_told()).body


def test_a_digest_says_what_became_of_each_case(texts: Texts) -> None:
    body = texts.write("digest", "dinsos", content("digest"), those_told("id")).body
    for heading in (
        "Mohon ditahan (1)", "Satu didahulukan, satu menunggu (1)", "Baru, mohon diperiksa (1)", "Muncul lagi (1)",
        "Berubah (1)", "Selesai (1)",
    ):  # fmt: skip
        assert heading in body
    assert "Sebabnya: salah satu pembayaran dibatalkan atau dikembalikan." in body
    assert "Nilai yang perlu diperiksa: Rp 3.000.000." in body  # what is over is no longer at risk


def test_a_case_of_which_only_the_end_is_known(texts: Texts) -> None:
    nothing = dict.fromkeys(("region", "starts", "ends", "programme_a", "programme_b", "amount_a", "amount_b"))
    case = CASE | nothing | {"what": "cleared", "reason": "household_changed"}
    tallies = [{"what": "cleared", "programme_a": None, "programme_b": None, "cases": 1, "at_risk": 0}]
    body = texts.write("digest", "dinsos", told(tallies, [case]), those_told("en")).body
    assert "1. Case K7QF2MZA\n   - Dinas Sosial Kota, payout number PKH-2026-T1-000123\n" in body
    assert "Why: the family has changed." in body
    assert "Money to look at" not in body


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_of_a_rejection_says_what_to_do(texts: Texts, reason: str) -> None:
    text = texts.write("rejections", "dinsos", refused([refusal(reason)]), those_told())
    assert text.subject == "[Tepat] 3 data ditolak, mohon diperbaiki / 3 records rejected, please correct"
    for remedy in re.findall(r"- 3 .*\n  (.*)", text.body):
        assert remedy != reason
        assert len(remedy.split()) > 6
    assert len(re.findall(r"- 3 .*\n  (.*)", text.body)) == 2


def test_a_number_that_looks_like_a_nik_is_masked(texts: Texts) -> None:
    case = CASE | {"payout_a": "PKH-3374014101900001"}
    body = texts.write("overlaps", "dinsos", told([tally("exclusive", 1)], [case]), those_told()).body
    assert "3374014101900001" not in body
    assert "PKH-337401******0001" in body
    assert not re.search(r"\d{16}", body)


def test_amounts_and_places() -> None:
    assert rupiah(750_000) == "Rp 750.000"
    assert rupiah(1_234_567_890) == "Rp 1.234.567.890"
    regions = {"33": "Jawa Tengah", "33.74": "Kota Semarang", "33.74.99": "Baru"}
    assert place("33.74.99", regions) == "Baru, Kota Semarang"
    assert place("33", regions) == "Jawa Tengah"
    assert place("99.99.99.9999", regions) == "99.99.99.9999"
