"""The example policies: without mistakes, each with its sources, and the programmes and pairs that they must hold."""

from datetime import date
from pathlib import Path

import pytest
from tepat_contracts.policy import Policy, check, from_document, load

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))
PROGRAMMES = load((Path(__file__).parents[1] / "examples" / "programmes.yaml").read_text("utf-8"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_told_nothing_and_says_where_each_rule_comes_from(path: Path) -> None:
    assert check(path.read_text("utf-8")) == []
    policy = load(path.read_text("utf-8"))
    assert [each.code for each in policy.programmes if not each.basis] == []
    assert [each.id for each in policy.overlap_rules if not each.basis] == []
    assert from_document(policy.document()) == policy


def paid(policy: Policy) -> dict[str, tuple[int | None, str | None]]:
    return {each.code: (each.amount, each.period) for each in policy.programmes if each.period is not None}


def test_amounts_are_those_of_the_field() -> None:
    assert paid(PROGRAMMES) == {
        "PKH": (None, "quarter"), "BPNT": (200_000, "month"), "PIP": (None, "year"), "PBI-JK": (42_000, "month"),
        "BLT-DD": (300_000, "month"), "YAPI": (200_000, "month"), "PERMAKANAN": (30_000, "day"),
        "BLT-KESRA": (900_000, "once"), "KJS": (750_000, "quarter"), "PANGAN-PASURUAN": (200_000, "month"),
        "MODAL-PASURUAN": (2_500_000, "once"),
    }  # fmt: skip
    by_code = {each.code: {c.code: c.amount for c in each.components} for each in PROGRAMMES.programmes}
    assert by_code["PIP"] == {"sd": 450_000, "smp": 750_000, "sma": 1_800_000}
    yearly = {code: 4 * amount for code, amount in by_code["PKH"].items()}
    assert yearly == {
        "hamil": 3_000_000, "anak-usia-dini": 3_000_000, "sd": 900_000, "smp": 1_500_000, "sma": 2_000_000,
        "disabilitas": 2_400_000, "lansia": 2_400_000, "pelanggaran-ham": 10_800_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "day", "verdict"),
    [
        ("PKH", "BPNT", "2026-01-01", "review"),
        ("PKH", "PIP", "2026-01-01", "complementary"),
        ("PKH", "PBI-JK", "2026-01-01", "complementary"),
        ("BPNT", "BLT-KESRA", "2025-11-01", "complementary"),
        ("BLT-DD", "PKH", "2022-12-31", "exclusive"),
        ("BLT-DD", "PKH", "2023-01-01", "review"),
        ("BLT-DD", "PRAKERJA", "2020-05-01", "exclusive"),
        ("BST", "BPNT", "2021-01-01", "exclusive"),
        ("BST", "BPNT", "2022-01-01", None),
        ("BLT-DD", "JPS", "2020-05-01", "exclusive"),
        ("KJS", "YAPI", "2021-11-01", "exclusive"),
        ("KJS", "PKH", "2022-01-01", None),
        ("PERMAKANAN", "PKH", "2026-01-01", "exclusive"),
        ("PENA", "BPNT", "2026-01-01", "exclusive"),
        ("SB", "PKH", "2026-01-01", "complementary"),
        ("PIP", "YAPI", "2026-01-01", None),
    ],
)
def test_pairs_hold_on_their_days(one: str, other: str, day: str, verdict: str | None) -> None:
    held = {
        rule.verdict
        for rule in PROGRAMMES.overlap_rules
        if rule.pair == tuple(sorted((one, other))) and rule.effective.holds(date.fromisoformat(day))
    }
    assert held == ({verdict} if verdict else set())


def test_only_neighbours_may_help_twice() -> None:
    assert [each.code for each in PROGRAMMES.programmes if each.repeatable] == ["SB"]
    met = {rule.pair for rule in PROGRAMMES.overlap_rules if "SB" in rule.programmes}
    government = [each.code for each in PROGRAMMES.programmes if each.criteria and each.code[-8:] != "PASURUAN"]
    lasting = [each for each in government if each not in ("SB", "KJS")]
    assert {tuple(sorted(("SB", code))) for code in lasting} <= met


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_what_neighbours_give_is_never_an_overlap(path: Path) -> None:
    policy = load(path.read_text("utf-8"))
    neighbours = {each.code for each in policy.programmes if each.adoption is not None}
    assert neighbours <= {each.code for each in policy.programmes if each.repeatable}  # nor among themselves
    of_theirs = [rule for rule in policy.overlap_rules if neighbours & {*rule.programmes}]
    assert {rule.verdict for rule in of_theirs} <= {"complementary"}
    if neighbours:
        assert neighbours == {"SB"}
        assert of_theirs
