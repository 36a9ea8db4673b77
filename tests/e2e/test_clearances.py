"""A payment list is checked, published as planned and answered: by the command, with a kill in the midst."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

HEADINGS = ("payout_id", "status", "programme", "from", "to", "nik", "kk", "amount", "region")


def policy() -> dict[str, Any]:
    codes = ("PKH", "BPNT", "BLT-DD")
    return {
        "version": "clearances-1",
        "agencies": [
            {"id": "clear-pkh", "name": "A", "programmes": ["PKH"], "silent_after": "P7D"},
            {"id": "clear-bpnt", "name": "B", "programmes": ["BPNT"], "silent_after": "P7D"},
            {"id": "clear-blt", "name": "C", "programmes": ["BLT-DD"]},
        ],
        "programmes": [{"code": code, "name": {"id": code, "en": code}, "unit": "household"} for code in codes],
        "overlap_rules": [
            {"id": "pkh-bpnt", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "review"},
            {"id": "pkh-blt", "programmes": ["PKH", "BLT-DD"], "scope": "household", "verdict": "exclusive"},
        ],
    }


def payments(file: Path, programme: str, numbers: range, status: str = "direncanakan") -> Path:
    """A payment list as an office has it, to households by number."""
    with file.open("w", newline="") as to:
        writer = csv.writer(to)
        writer.writerow(HEADINGS)
        for n in numbers:
            card = f"337418010120{n + 1:04d}"
            person = f"3374{'11' if programme == 'PKH' else '12'}010190{n + 1:04d}"
            writer.writerow((
                f"{programme}-{n}", status, programme, "2026-01-01", "2026-03-31", person, card, "Rp 750.000",
                "33.74.01.1001",
            ))  # fmt: skip
    return file


def answers(system: Running, agency: str) -> dict[str, tuple[str, list[str]]]:
    rows = system.listed("clearances", "--agency", agency, "--limit", "0")
    return {row["payout_id"]: (row["decision"], row["reasons"]) for row in rows}


def test_a_list_is_checked_published_and_held_where_it_must_be(system: Running, tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(json.dumps(policy()))
    system.tepat("policy", "apply", tmp_path / "policy.json")
    blt = payments(tmp_path / "blt.csv", "BLT-DD", range(20, 30), "disalurkan")
    system.tepat("publish", blt, "--agency", "clear-blt", "--wait")
    pkh = payments(tmp_path / "pkh.csv", "PKH", range(300))

    system.tepat("check", pkh, "--agency", "clear-pkh", "--output", tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open(newline="") as file:
        checked = {row["payout_id"]: row["answer"] for row in csv.DictReader(file)}
    held = {f"PKH-{n}" for n in range(20, 30)}
    assert {payout for payout, answer in checked.items() if answer == "hold"} == held
    assert {answer for payout, answer in checked.items() if payout not in held} == {
        "unknown"
    }  # BPNT was never heard of
    assert answers(system, "clear-pkh") == {}

    system.kill("distribution")
    system.tepat("publish", pkh, "--agency", "clear-pkh", "--wait")
    bpnt = payments(tmp_path / "bpnt.csv", "BPNT", range(250, 260))
    system.tepat("publish", bpnt, "--agency", "clear-bpnt", "--wait")
    for _ in range(60):
        told = answers(system, "clear-pkh")
        if len(told) == 300 and all(decision != "unknown" for decision, _ in told.values()):
            break
    assert {payout for payout, (decision, _) in told.items() if decision == "hold"} == held
    assert told["PKH-20"] == ("hold", ["exclusive: pkh-blt with clear-blt/BLT-DD-20"])
    assert told["PKH-0"] == ("clear", [])
    assert list(answers(system, "clear-bpnt").values()) == [("clear", [])] * 10

    disbursed = payments(tmp_path / "disbursed.csv", "PKH", range(10), "disalurkan")
    system.tepat("publish", disbursed, "--agency", "clear-pkh", "--wait")
    for _ in range(60):
        if len(told := answers(system, "clear-pkh")) == 290:
            break
    assert len(told) == 290
