"""The report in all its forms shows the figures that the services told."""

import csv
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import orjson
import pytest
from tepat_cli.report import FIGURES

from .conftest import Tepat
from .test_services import Api, api  # noqa: F401 – the fixture


def line(amounts: dict[str, int], **head: Any) -> dict[str, Any]:
    return {
        **head, **{name: {"number": int(name in amounts), "amount": amounts.get(name, 0)} for name in FIGURES},
    }  # fmt: skip


def told(*lines: dict[str, Any], by: list[str], **more: Any) -> dict[str, Any]:
    total = {name: {what: sum(each[name][what] for each in lines) for what in ("number", "amount")} for name in FIGURES}
    return {
        "from": "2026-01-01", "to": None, "by": by, "region": "33.74", "as_of": "2026-05-01T09:00:00Z",
        "policy_version": "t-1", "items": list(lines), "total": total, "ends_alone": 0, "pending": 0, **more,
    }  # fmt: skip


AREAS = told(
    line({"disbursed": 750_000, "overlaps": 200_000}, programme="PKH", kecamatan="33.74.01", name="Semarang Tengah"),
    line({"planned": 200_000, "unclaimed": 200_000}, programme="BPNT", kecamatan="33.74.02", name="Semarang Utara"),
    by=["programme", "kecamatan"],
)


@pytest.fixture
def answering(api: Api) -> Api:  # noqa: F811
    api.answers["GET /distribution/v1/report"] = AREAS
    return api


def test_what_is_asked_for_is_asked(answering: Api, tepat: Tepat) -> None:
    ran = tepat(
        "report", "33.74", "--from", "2026-01-01", "--by", "programme, kecamatan", "--programme", "PKH", "--json"
    )
    assert orjson.loads(ran.out) == AREAS
    assert sorted(answering.asked[0].url.params.multi_items()) == [
        ("by", "kecamatan"), ("by", "programme"), ("from", "2026-01-01"), ("programme", "PKH"), ("region", "33.74"),
    ]  # fmt: skip


def test_a_table_shows_what_there_is_and_the_total(answering: Api, tepat: Tepat) -> None:
    head, *rows = (row.split("\t") for row in tepat("report", "33.74").out.splitlines())
    assert head == ["programme", "kecamatan", "name", "planned", "paid", "unclaimed", "overlaps at risk"]
    assert rows[0] == ["PKH", "33.74.01", "Semarang Tengah", "", "1  Rp 750.000", "", "1  Rp 200.000"]
    assert rows[-1] == ["total", "", "", "1  Rp 200.000", "1  Rp 750.000", "1  Rp 200.000", "1  Rp 200.000"]


def test_files_hold_the_same_to_the_rupiah(answering: Api, tepat: Tepat, tmp_path: Path) -> None:
    rows, book, drawn = tmp_path / "r.csv", tmp_path / "r.xlsx", tmp_path / "r.svg"
    ran = tepat("report", "--csv", rows, "--xlsx", book, "--picture", drawn, "--json")
    assert ran.status == 0
    wanted = [
        {f"{FIGURES[name][0]} (Rp)": each[name]["amount"] for name in FIGURES} | {"programme": each["programme"]}
        for each in AREAS["items"]
    ]
    with rows.open(encoding="utf-8-sig", newline="") as file:
        read = list(csv.DictReader(file, delimiter=";"))
    assert [
        {name: int(row[name]) if name != "programme" else row[name] for name in wanted[0]} for row in read
    ] == wanted
    sheet = openpyxl.load_workbook(book)["Laporan"]
    titles, *lines, total = sheet.iter_rows(values_only=True)
    assert [{name: row[titles.index(name)] for name in wanted[0]} for row in lines] == wanted
    assert total[titles.index("paid (Rp)")] == 750_000
    assert "Semarang" in drawn.read_text()
    assert "Rp&#160;750.000" in drawn.read_text()


def test_coverage_puts_the_eligible_beside_those_who_were_paid(api: Api, tepat: Tepat, tmp_path: Path) -> None:  # noqa: F811
    api.answers["GET /distribution/v1/report"] = told(
        line({"disbursed": 750_000}, programme="PKH", kecamatan="33.74.01", name="Semarang Tengah")
        | {"receiving": 5, "not_eligible": 2, "eligible": 4, "covered": 3, "coverage": 0.75},
        line({"planned": 1}, programme="SB", kecamatan="33.74.01", name="Semarang Tengah")
        | {"receiving": 7, "not_eligible": None, "eligible": None, "covered": None, "coverage": None},
        by=["programme", "kecamatan"],
    )
    book = tmp_path / "r.xlsx"
    head, *rows = (
        row.split("\t")
        for row in tepat(
            "report", "33.74", "--by", "programme,kecamatan", "--coverage", "--xlsx", book
        ).out.splitlines()
    )
    assert head[-5:] == [
        "eligible today", "eligible today and paid", "coverage", "receiving", "paid, not eligible today",
    ]  # fmt: skip
    assert [row[-5:] for row in rows] == [["4", "3", "75.0%", "5", "2"], ["", "", "", "7", ""], [""] * 5]
    assert api.asked[-1].url.params["receiving"] == "true"
    titles, first, *_ = openpyxl.load_workbook(book)["Laporan"].iter_rows(values_only=True)
    assert dict(zip(titles, first, strict=True))["coverage"] == 0.75
    notes = list(openpyxl.load_workbook(book)["Dasar"].iter_rows(values_only=True, max_col=2))
    assert ("coverage", "cakupan") in notes
    assert ("eligible today", "memenuhi syarat hari ini") in notes


@pytest.mark.parametrize("form", ["--picture", "--xlsx", "--csv"])
def test_a_file_is_named_after_what_it_holds(answering: Api, tepat: Tepat, tmp_path: Path, form: str) -> None:
    suffix = {"--picture": "svg", "--xlsx": "xlsx", "--csv": "csv"}[form]
    ran = tepat("report", form, tmp_path / "r.docx")
    assert (ran.status, answering.asked, list(tmp_path.iterdir())) == (2, [], [])
    assert f"would hold {suffix.upper()}: name it r.{suffix}" in ran.words
    assert tepat("report", form, tmp_path / f"r.{suffix.upper()}").status == 0


def test_nothing_and_what_is_not_the_last_word_are_said(api: Api, tepat: Tepat) -> None:  # noqa: F811
    api.answers["GET /distribution/v1/report"] = told(by=["programme"], pending=4, ends_alone=2)
    ran = tepat("report", "--picture", "none.svg")
    assert "nothing was planned or paid" in ran.err
    assert "not judged yet" in ran.err
    assert "of 2 payouts only the end was told" in ran.err
    api.answers["GET /distribution/v1/report"] = httpx.Response(422, json={"detail": "`by` names two"})
    assert tepat("report", "--by", "kabupaten,kelurahan").status == 2
    api.answers["GET /distribution/v1/report"] = AREAS
    assert "can't be written" in tepat("report", "--csv", "missing/r.csv").err
