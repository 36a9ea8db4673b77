"""An agency's first file: policy, publish, overlaps, trace, logs – by the command alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

POLICY: dict[str, Any] = {
    "version": "files-1",
    "agencies": [
        {"id": "dinsos-file", "name": "Dinsos", "trust_rank": 1, "programmes": ["PKH"], "rights": ["merge"],
         "contact": {"email": "dinsos@example.invalid"}},
        {"id": "himbara-file", "name": "Himbara", "trust_rank": 2, "programmes": ["BPNT"],
         "contact": {"email": "himbara@example.invalid"}},
    ],
    "programmes": [
        {"code": code, "name": {"id": code, "en": code}, "unit": "household", "criteria": "household.decile <= 4"}
        for code in ("PKH", "BPNT")
    ],
    "overlap_rules": [
        {"id": "pkh-bpnt", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "exclusive"},
    ],
}  # fmt: skip

HEADINGS = "ID Bayar;Program;Mulai;Sampai;NIK;No KK;Nama;Nominal;Kode Wilayah;Status"
KK = "3374010101200001"


def office_file(path: Path, payout: str, programme: str, nik: str, amount: str) -> Path:
    """A file as an office has it: semicolons, a BOM, Indonesian headings, dates and amounts."""
    row = f"{payout};{programme};01/01/2026;31/03/2026;{nik};{KK};Siti;{amount};33.74.01.1001;disalurkan"
    path.write_text(f"\ufeff{HEADINGS}\n{row}\n", encoding="utf-8")
    return path


def test_from_a_file_to_an_overlap_and_its_trace(system: Running, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps(POLICY))
    system.tepat("policy", "apply", policy)
    pkh = office_file(tmp_path / "pkh.csv", "F-1", "PKH", "3374014101900001", "Rp 750.000")
    bpnt = office_file(tmp_path / "bpnt.csv", "F-2", "BPNT", "3374010101850002", "600.000")
    system.tepat("publish", pkh, "--agency", "dinsos-file", "--wait")
    system.tepat("publish", bpnt, "--agency", "himbara-file", "--wait")
    found = until_listed(system, "overlaps", "--agency", "dinsos-file", count=1)
    (overlap,) = found
    assert overlap["verdict"] == "exclusive"
    assert overlap["amount_at_risk"] == 600_000
    assert [side["payout_id"] for side in overlap["payouts"]] == ["F-1", "F-2"]

    system.tepat("publish", pkh, "--agency", "dinsos-file", "--wait")  # the same file again changes nothing
    assert system.listed("overlaps", "--agency", "dinsos-file") == found

    told = until_traced(system, "dinsos-file/F-1", {"distribution", "notifications"})
    assert overlap["overlap_id"] in told
    assert "3374014101900001" not in told
    assert KK not in told


def test_a_bad_row_is_told_with_its_line_and_the_rest_is_sent(system: Running, tmp_path: Path) -> None:
    file = office_file(tmp_path / "some.csv", "G-1", "PKH", "3374014101900003", "750000")
    with file.open("a", encoding="utf-8") as more:
        more.write("G-2;PKH;01/01/2026;31/03/2026;3,37401E+15;;Siti;750000;33.74.01.1001;disalurkan\n")
        more.write("G-3;PKH;01/01/2026;31/03/2026;3374014101900004;;Siti;750000;33.74.01.1001;disalurkan\n")
    system.tepat("publish", file, "--agency", "dinsos-file", "--wait", status=1)
    rejected = (tmp_path / "some.csv.rejected.csv").read_text(encoding="utf-8-sig")
    assert rejected.count("\n") == 2
    assert "3" in rejected.splitlines()[1].split(";")[0].split(",")[0]


def test_a_contradiction_is_told_with_its_line(system: Running, tmp_path: Path) -> None:
    wrong = POLICY | {"overlap_rules": [{**POLICY["overlap_rules"][0], "programmes": ["PKH", "XYZ"]}]}
    file = tmp_path / "wrong.yaml"
    file.write_text(json.dumps(wrong, indent=1))
    told = system.tepat("policy", "check", file, status=1)
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if "XYZ" in text)
    assert f":{line}:" in told


def test_logs_are_readable_and_hold_no_nik(system: Running) -> None:
    told = system.tepat("logs", "--service", "distribution")
    assert "batch committed" in told
    every = "".join(path.read_text(errors="replace") for path in (system.data / "logs").glob("*.log*"))
    assert "3374014101900001" not in every
    assert KK not in every


def until_listed(system: Running, *listing: str, count: int, tries: int = 60) -> list[dict[str, Any]]:
    """The rows of a listing, once there are so many."""
    rows: list[dict[str, Any]] = []
    for _ in range(tries):
        rows = system.listed(*listing)
        if len(rows) >= count:
            break
    assert len(rows) == count, rows
    return rows


def until_traced(system: Running, name: str, services: set[str], tries: int = 60) -> str:
    """The trace of a payout, once every one of the services has a step in it."""
    told = ""
    for _ in range(tries):
        steps = system.listed("trace", name)
        told = json.dumps(steps)
        if services <= {step["service"] for step in steps}:
            return told
    pytest.fail(f"not all of {services} in {told}")
