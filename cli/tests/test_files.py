"""Files as offices have them, from their bytes to the records that would be sent."""

import csv
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from openpyxl import Workbook
from tepat_cli.events import Bad, Ready, source
from tepat_cli.exits import WrongUse

HEADINGS = [
    "ID Bayar",
    "NIK",
    "No KK",
    "Nama",
    "Program",
    "Mulai",
    "Sampai",
    "Nominal",
    "Kode Wilayah",
    "Tahap",
    "Status",
]
ROW = [
    "PKH-1", "3374014505900001", "3374010101160001", "Siti Contoh", "PKH", "01/01/2026", "31/03/2026", "Rp 750.000",
    "3374011001", "T1", "disalurkan",
]  # fmt: skip


def write(path: Path, rows: Iterable[Sequence[object]], delimiter: str = ";", encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def sheet(path: Path, rows: Iterable[Sequence[Any]]) -> Path:
    book = Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(list(row))
    book.save(path)
    return path


def records(path: Path, agency: str = "dinsos-jateng", kind: str | None = None, revision: int = 0) -> list[Ready | Bad]:
    return list(source(path, agency, kind, revision).records())


def only(path: Path, **how: Any) -> dict[str, Any]:
    (ready,) = records(path, **how)
    assert isinstance(ready, Ready), ready
    event: dict[str, Any] = orjson.loads(ready.value)
    return event


def refused(path: Path, **how: Any) -> list[tuple[int, str, str]]:
    return [(each.line, each.reason, each.column) for each in records(path, **how) if isinstance(each, Bad)]


def changed(**cells: object) -> list[object]:
    row: list[object] = list(ROW)
    for heading, cell in cells.items():
        row[HEADINGS.index(heading.replace("_", " "))] = cell
    return row


@pytest.fixture
def event(tmp_path: Path) -> dict[str, Any]:
    return only(write(tmp_path / "plain.csv", [HEADINGS, ROW]))


def test_a_row_becomes_the_event_of_the_contracts(event: dict[str, Any]) -> None:
    assert event["type"] == "tepat.payout.disbursed.v1"
    assert event["source"] == "urn:tepat:agency:dinsos-jateng"
    assert event["time"] == "2026-01-01T00:00:00+07:00"
    assert event["traceparent"] == f"00-{event['id'].replace('-', '')}-{event['id'].replace('-', '')[16:]}-01"
    assert event["data"] == {
        "payout_id": "PKH-1",
        "revision": 0,
        "programme": "PKH",
        "covers": {"from": "2026-01-01", "to": "2026-03-31"},
        "recipient": {"nik": "3374014505900001", "kk": "3374010101160001", "name": "Siti Contoh"},
        "benefit": {"kind": "cash", "amount": 750000},
        "region": "33.74.01.1001",
        "tranche": "T1",
    }


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_any_delimiter_and_encoding_tells_the_same(
    tmp_path: Path, event: dict[str, Any], delimiter: str, encoding: str
) -> None:
    path = write(tmp_path / "file.csv", [HEADINGS, changed(Nama="Siti Contoh")], delimiter, encoding)
    assert only(path) == event


def test_windows_letters_survive(tmp_path: Path) -> None:
    path = write(tmp_path / "ansi.csv", [HEADINGS, changed(Nama="Désirée – Contoh")], encoding="cp1252")
    assert only(path)["data"]["recipient"]["name"] == "Désirée – Contoh"


def test_a_sheet_tells_the_same_as_text(tmp_path: Path, event: dict[str, Any]) -> None:
    row = changed(
        Mulai=datetime(2026, 1, 1),  # noqa: DTZ001 (as a spreadsheet holds it)
        Sampai=date(2026, 3, 31),
        Nominal=750000.0,
        Kode_Wilayah=3374011001,
    )
    assert only(sheet(tmp_path / "book.xlsx", [HEADINGS, row])) == event


def test_what_a_file_is_is_told_by_its_bytes_not_its_name(tmp_path: Path, event: dict[str, Any]) -> None:
    assert only(sheet(tmp_path / "book.csv", [HEADINGS, ROW])) == event
    assert only(write(tmp_path / "plain.xlsx", [HEADINGS, ROW])) == event


ENGLISH = "payout_id,recipient.nik,kk,name,programme,from,to,amount,region,tranche,status"
OFFICE = (
    "id_pembayaran,NIK Penerima,Nomor KK,Nama Lengkap,Program Bantuan,Tgl Mulai,s.d.,JUMLAH (Rp),Kode Kelurahan/Desa,"
    "TAHAP,Status Penyaluran"
)


@pytest.mark.parametrize(
    ("headings", "status"), [(ENGLISH.split(","), "disbursed"), (OFFICE.split(","), "Sudah Disalurkan")]
)
def test_headings_in_english_and_indonesian(
    tmp_path: Path, event: dict[str, Any], headings: list[str], status: str
) -> None:
    assert only(write(tmp_path / "file.csv", [headings, changed(Status=status)])) == event


def test_titles_blank_lines_repeated_headings_and_hints_are_passed_over(tmp_path: Path) -> None:
    rows = [
        ["DAFTAR PENERIMA PKH"],
        ["Tahap 1"],
        [],
        HEADINGS,
        ["# wajib diisi"],
        ROW,
        ["", ""],
        HEADINGS,
        changed(ID_Bayar="PKH-2"),
    ]
    from_ = source(write(tmp_path / "file.csv", rows), "dinsos-jateng", None)
    assert [(each.line, each.key) for each in from_.records() if isinstance(each, Ready)] == [
        (6, b"PKH-1"),
        (9, b"PKH-2"),
    ]
    assert from_.skipped == 2


def test_the_line_of_a_row_is_where_it_begins(tmp_path: Path) -> None:
    rows = [HEADINGS, changed(Nama="Siti\nContoh"), changed(NIK="1")]
    assert refused(write(tmp_path / "file.csv", rows)) == [(4, "nik_invalid", "NIK")]


def test_sep_lines_of_excel_are_understood(tmp_path: Path, event: dict[str, Any]) -> None:
    path = write(tmp_path / "file.csv", [HEADINGS, ROW], "|")
    path.write_text("sep=|\n" + path.read_text())
    assert only(path) == event


@pytest.mark.parametrize("nik", ["3,37401E+15", "3.37401E+15", "3374014505900000.0"])
def test_a_nik_that_text_shows_as_a_number_is_refused(tmp_path: Path, nik: str) -> None:
    path = write(tmp_path / "file.csv", [HEADINGS, ROW, changed(NIK=nik)])
    assert refused(path) == [(3, "nik_invalid", "NIK")]


def test_a_nik_that_a_sheet_holds_as_a_number_is_refused(tmp_path: Path) -> None:
    path = sheet(tmp_path / "book.xlsx", [HEADINGS, ROW, changed(NIK=3374014505900001), changed(No_KK=3.37401e15)])
    (_, nik, kk) = records(path)
    assert isinstance(nik, Bad)
    assert isinstance(kk, Bad)
    assert (nik.line, nik.reason, nik.column) == (3, "nik_invalid", "NIK")
    assert (kk.line, kk.reason, kk.column) == (4, "kk_invalid", "No KK")
    assert "format the whole column as Text" in nik.advice
    assert "format seluruh kolom menjadi Teks" in nik.advice


def test_a_column_whose_numbers_all_end_in_0_is_refused(tmp_path: Path) -> None:
    damaged = [changed(NIK=f"337401450590{serial:03}0") for serial in range(1, 7)]
    assert refused(write(tmp_path / "file.csv", [HEADINGS, *damaged])) == [
        (line, "nik_invalid", "NIK") for line in range(2, 8)
    ]
    one_sound = [*damaged, changed(NIK="3374014505900001")]
    assert refused(write(tmp_path / "sound.csv", [HEADINGS, *one_sound])) == []
    same = [changed(NIK="3374014505900010")] * 20
    assert refused(write(tmp_path / "same.csv", [HEADINGS, *same])) == []


@pytest.mark.parametrize(
    ("cells", "reason", "column"),
    [
        ({"NIK": "3374013113900001"}, "nik_invalid", "NIK"),
        ({"NIK": ""}, "schema", "recipient.nik"),
        ({"No_KK": "123"}, "kk_invalid", "No KK"),
        ({"Mulai": "31/02/2026"}, "schema", "Mulai"),
        ({"Sampai": "31/12/2025"}, "covers_inverted", "Mulai"),
        ({"Nominal": "750.000,50"}, "schema", "Nominal"),
        ({"Nominal": "99999999999999999999999"}, "schema", ""),
        ({"Kode_Wilayah": "Semarang"}, "schema", "Kode Wilayah"),
        ({"Status": "entah"}, "schema", "Status"),
        ({"ID_Bayar": "a|b"}, "schema", "ID Bayar"),
        ({"ID_Bayar": "#REF!"}, "schema", "ID Bayar"),
    ],
)
def test_a_bad_cell_is_told_by_line_reason_and_column(
    tmp_path: Path, cells: dict[str, str], reason: str, column: str
) -> None:
    path = write(tmp_path / "file.csv", [HEADINGS, ROW, changed(**cells), ROW])
    told = refused(path)
    assert [(line, why) for line, why, _ in told] == [(3, reason)]
    assert told[0][2] in (column, HEADINGS[1] if column == "recipient.nik" else column)


def test_what_ends_a_payout_needs_its_id_and_reason_alone(tmp_path: Path) -> None:
    headings = [*HEADINGS, "Alasan"]
    path = write(tmp_path / "file.csv", [headings, [*changed(Status="dibatalkan", Nominal="?", NIK="?"), "pindah"]])
    event = only(path)
    assert event["type"] == "tepat.payout.cancelled.v1"
    assert event["data"] == {"payout_id": "PKH-1", "revision": 0, "reason": "pindah"}


def test_a_column_that_is_not_there_is_named_as_in_the_template(tmp_path: Path) -> None:
    at = [HEADINGS.index(name) for name in HEADINGS if name not in ("Mulai", "Sampai")]
    path = write(tmp_path / "file.csv", [[HEADINGS[n] for n in at], [ROW[n] for n in at]])
    assert refused(path) == [(2, "schema", "Mulai, Sampai")]


def test_a_row_wider_than_its_headings_is_refused(tmp_path: Path) -> None:
    assert refused(write(tmp_path / "file.csv", [HEADINGS, [*ROW, "more"], [*ROW, "", ""]])) == [(2, "malformed", "")]


def test_a_quotation_mark_left_open_swallows_no_row_in_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "file.csv", [HEADINGS, *([ROW] * 3000)])
    lines = path.read_text().splitlines(keepends=True)
    lines[5] = lines[5].replace("Siti", '"Siti', 1).replace("Contoh", "Contoh", 1)
    path.write_text("".join(lines))
    told = refused(path)
    assert told
    assert told[0][:2] == (6, "malformed")


def test_the_kind_is_told_by_headings_or_asked_for(tmp_path: Path) -> None:
    persons = write(
        tmp_path / "persons.csv",
        [
            ["NIK", "Nama", "L/P", "Tgl Lahir", "No KK", "Sejak", "SHDK", "Kode Desa", "Desil", "Disabilitas"],
            [
                "3374014505900001",
                "Siti",
                "Perempuan",
                "05/05/1990",
                "3374010101160001",
                "2024-01-01",
                "Istri",
                "33.74.01.1001",
                "2",
                "tidak",
            ],
        ],
    )
    event = only(persons)
    assert event["type"] == "tepat.person.recorded.v1"
    assert event["time"] == "2024-01-01T00:00:00+07:00"
    assert event["data"]["attributes"] == {"decile": 2, "disability": False}
    assert (event["data"]["sex"], event["data"]["relation"]) == ("P", "spouse")
    doubtful = write(tmp_path / "doubtful.csv", [["NIK", "Nama"], ["3374014505900001", "Siti"]])
    with pytest.raises(WrongUse, match="--kind"):
        source(doubtful, "dinsos-jateng", None)


def test_reports_and_verifications(tmp_path: Path) -> None:
    report = only(
        write(
            tmp_path / "reports.csv",
            [
                ["ID Laporan", "Pelapor", "Jenis Laporan", "Kode Wilayah", "Nama", "Uraian", "Waktu"],
                ["L-1", "RT", "putus sekolah", "33.74.01.1001", "Budi", "berhenti kelas 5", "02/01/2026 09:30"],
            ],
        )
    )
    assert report["time"] == "2026-01-02T09:30:00+07:00"
    assert report["data"]["people"] == [{"name": "Budi"}]
    assert (report["data"]["filed_by"], report["data"]["kind"]) == ({"role": "rt"}, "school_dropout")
    visit = only(
        write(
            tmp_path / "visits.csv",
            [
                [
                    "ID Verifikasi",
                    "Gelombang",
                    "NIK",
                    "Hasil",
                    "Tanggal Verifikasi",
                    "Petugas",
                    "Kode Wilayah",
                    "Jawaban atap",
                ],
                ["V-1", "2026-01", "3374014505900001", "tidak layak", "02/01/2026", "Budi", "33.74.01.1001", "genteng"],
            ],
        )
    )
    assert (visit["data"]["outcome"], visit["data"]["answers"]) == ("rejected", {"atap": "genteng"})


def test_two_columns_for_one_field_are_not_guessed_between(tmp_path: Path) -> None:
    path = write(tmp_path / "file.csv", [[*HEADINGS, "Jumlah"], [*ROW, "1"]])
    with pytest.raises(WrongUse, match="‘Nominal’ and ‘Jumlah’"):
        source(path, "dinsos-jateng", None)


def test_columns_that_are_not_known_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "file.csv", [[*HEADINGS, "Warna Rumah"], [*ROW, "biru"]])
    assert source(path, "dinsos-jateng", None).unused == ["Warna Rumah"]


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"", "is empty"),
        (b"\xd0\xcf\x11\xe0 old", "save it as .xlsx"),
        (b"<html><table>", "web page"),
        (b"PK\x03\x04 torn", "not a sound .xlsx"),
        (bytes(range(256)), "not a sound .xlsx"),
        (b"halo;apa;kabar\n1;2;3\n", "no headings that are known here: name its columns as in"),
    ],
)
def test_files_that_cannot_be_read_are_told_apart(tmp_path: Path, content: bytes, phrase: str) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    with pytest.raises(WrongUse, match=phrase):
        source(path, "dinsos-jateng", None)


def test_the_same_file_gives_the_same_bytes_and_another_row_another_id(tmp_path: Path) -> None:
    path = write(tmp_path / "file.csv", [HEADINGS, ROW, changed(ID_Bayar="PKH-2"), changed(Nominal="1")])
    copy = write(tmp_path / "copy.csv", [HEADINGS, ROW, changed(ID_Bayar="PKH-2"), changed(Nominal="1")], ",")
    first, second = records(path), records(copy)
    assert [each.value for each in first if isinstance(each, Ready)] == [
        each.value for each in second if isinstance(each, Ready)
    ]
    assert len({each.id for each in first if isinstance(each, Ready)}) == 3
    (other,) = records(write(tmp_path / "one.csv", [HEADINGS, ROW]), agency="dinsos-kota")
    assert isinstance(other, Ready)
    assert isinstance(first[0], Ready)
    assert other.id != first[0].id


def test_an_event_is_pinned_byte_for_byte(tmp_path: Path) -> None:
    """A change here makes every file ever sent a new one: it needs a decision, not a new constant."""
    (ready,) = records(write(tmp_path / "file.csv", [HEADINGS, ROW]))
    assert isinstance(ready, Ready)
    assert ready.id == "daed237d-a00e-52ac-a9d5-753c7cf4c7fb"


def test_a_revision_for_the_whole_file_spares_rows_that_have_their_own(tmp_path: Path) -> None:
    path = write(tmp_path / "file.csv", [[*HEADINGS, "Revisi"], [*ROW, ""], [*ROW, "7"]])
    told = [
        orjson.loads(each.value)["data"]["revision"] for each in records(path, revision=3) if isinstance(each, Ready)
    ]
    assert told == [3, 7]


def lines(path: Path, *values: object) -> Path:
    path.write_bytes(b"\n".join(value if isinstance(value, bytes) else orjson.dumps(value) for value in values))
    return path


def test_complete_events_pass_as_they_stand(tmp_path: Path, event: dict[str, Any]) -> None:
    line = orjson.dumps({**event, "id": "mine", "extra": 1})
    (ready,) = records(lines(tmp_path / "file.jsonl", line))
    assert isinstance(ready, Ready)
    assert (ready.value, ready.id, ready.key) == (line, "mine", b"PKH-1")


def test_bare_objects_become_events(tmp_path: Path, event: dict[str, Any]) -> None:
    data = event["data"]
    path = lines(
        tmp_path / "file.jsonl",
        {**data, "status": "disbursed"},
        {**data, "time": "2026-02-01T00:00:00Z"},
        {"payout_id": "PKH-1", "reason": "pindah", "status": "batal"},
        {"kind": "payouts", "through": "2026-03-31"},
    )
    told = [orjson.loads(each.value) for each in records(path) if isinstance(each, Ready)]
    assert [each["type"].split(".")[-2] for each in told] == ["disbursed", "planned", "cancelled", "complete"]
    assert told[0] == event
    assert told[1]["time"] == "2026-02-01T00:00:00Z"
    assert told[3]["time"] == "2026-03-31T00:00:00+07:00"


def test_bare_objects_of_beneficiaries_tell_their_type(tmp_path: Path) -> None:
    nik, other = "3374014505900001", "3374014505900002"
    path = lines(
        tmp_path / "file.jsonl",
        {"from_nik": nik, "into_nik": other, "decided_by": "Budi", "reason": "ganda"},
        {"from_nik": nik, "decided_by": "Budi", "reason": "keliru", "revision": 1},
        {"from_kk": "3374010101160001", "into_kk": "3374010101160002", "reason": "hilang"},
        {"institution_id": "W-1", "kind": "WKSBM", "name": "Mekar", "regions": ["33.74"], "active": True},
    )
    told = [orjson.loads(each.value)["type"] for each in records(path) if isinstance(each, Ready)]
    assert told == [
        "tepat.persons.merged.v1",
        "tepat.persons.unmerged.v1",
        "tepat.household.renewed.v1",
        "tepat.institution.recorded.v1",
    ]


def test_bad_lines_are_told_and_their_neighbours_taken(tmp_path: Path, event: dict[str, Any]) -> None:
    path = lines(
        tmp_path / "file.jsonl",
        event,
        b"{broken",
        b"[1]",
        b"",
        b'{"payout_id": "\xff"}',
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"x": "' + b"y" * 1_100_000 + b'"}',
        {**event, "source": "urn:tepat:agency:lain"},
        {**event, "data": {**event["data"], "revision": "0"}},
        {**event, "type": "tepat.person.recorded.v1"},
        event,
    )
    assert [(line, reason) for line, reason, _ in refused(path)] == [
        (2, "malformed"),
        (3, "malformed"),
        (5, "malformed"),
        (6, "malformed"),
        (7, "malformed"),
        (8, "source_mismatch"),
        (9, "schema"),
        (10, "unknown_type"),
    ]
    assert [each.line for each in records(path) if isinstance(each, Ready)] == [1, 11]


def test_lists_of_whom_to_visit_and_objections(tmp_path: Path) -> None:
    row = ["2026-01", "3374014505900001", "33.74.01.1001", "02/01/2026"]
    listed = only(write(tmp_path / "list.csv", [["Gelombang", "NIK", "Kode Wilayah", "Tanggal Daftar"], row]))
    assert listed["type"] == "tepat.verification.listed.v1"
    assert (listed["data"]["batch"], listed["data"]["listed_on"], listed["data"]["revision"]) == (
        "2026-01",
        "2026-01-02",
        0,
    )
    headings = [
        "ID Sanggahan", "NIK", "Program", "Alasan Sanggah", "Kode Wilayah", "Tanggal Sanggah", "Foto Rumah", "Lintang",
        "Bujur", "Penyanggah",
    ]  # fmt: skip
    told = [
        "S-1", "3374014505900001", "PKH", "seharusnya menerima", "33.74.01.1001", "12/01/2026",
        f"{'1e' * 32}; {'2f' * 32}", "-6,982", "110.420", "RT",
    ]  # fmt: skip
    objection = only(write(tmp_path / "objections.csv", [headings, told]))
    assert objection["type"] == "tepat.objection.filed.v1"
    assert objection["data"]["coordinates"] == {"lat": -6.982, "lon": 110.42}
    assert [each["sha256"] for each in objection["data"]["evidence"]] == ["1e" * 32, "2f" * 32]
    assert objection["time"] == "2026-01-12T00:00:00+07:00"


@pytest.mark.parametrize(
    ("bare", "type_"),
    [
        ({"batch": "b", "nik": "3374014505900001", "region": "33.74.01.1001", "listed_on": "2026-01-02"},
         "tepat.verification.listed.v1"),
        ({"objection_id": "S-1", "nik": "3374014505900001", "programme": "PKH", "grounds": "wrongly_included",
          "region": "33.74.01.1001", "filed_on": "2026-01-02", "evidence": [{"kind": "photo", "sha256": "1e" * 32}],
          "coordinates": {"lat": -6.9, "lon": 110.4}, "filed_by": {"role": "rt"}}, "tepat.objection.filed.v1"),
    ],
)  # fmt: skip
def test_bare_objects_of_field_verification_are_known_by_their_fields(
    tmp_path: Path, bare: dict[str, Any], type_: str
) -> None:
    path = tmp_path / "told.jsonl"
    path.write_bytes(orjson.dumps(bare))
    assert only(path)["type"] == type_
