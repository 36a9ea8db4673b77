"""What the notices say, in both languages, however much there is to say."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest
from tepat_contracts.policy import from_document
from tepat_notifications.domain import ORDER, Kind, Province, province
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
    sorts = ORDER if kind == "digest" else ("exclusive",)
    cases = [CASE | {"what": what, "reason": "payout_ended"} for what in sorts for _ in range(each)]
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


def test_what_is_not_listed_is_counted(texts: Texts) -> None:
    text = texts.write("overlaps", "dinsos", content("overlaps", 3_000), those_told())
    assert "3000 pasang" in text.body
    assert "Masih ada 2950 kasus lain" in text.body
    assert text.body.count("Kasus K7QF2MZA") == LISTED
    assert "lain yang tidak" not in texts.write("overlaps", "dinsos", content("overlaps", 50), those_told()).body


def test_a_digest_says_what_became_of_each_case(texts: Texts) -> None:
    body = texts.write("digest", "dinsos", content("digest"), those_told("id")).body
    for heading in ("Mohon ditahan (1)", "Baru, mohon diperiksa (1)", "Muncul lagi (1)", "Berubah (1)", "Selesai (1)"):
        assert heading in body
    assert "Sebabnya: salah satu pembayaran dibatalkan atau dikembalikan." in body
    assert "Nilai yang perlu diperiksa: Rp 2.400.000." in body  # what is over is no longer at risk


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
