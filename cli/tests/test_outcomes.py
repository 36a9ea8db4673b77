"""What a command says when it went well is said in English and Indonesian."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import tepat_cli
from tepat_cli import ranking, report, verification
from tepat_cli.outcomes import SAID, What, done
from tepat_cli.round import summary
from tepat_contracts.bilingual import Said, halves
from tepat_contracts.mistakes import Severity

from chassis.tests.refusing import name, placeholders, says_the_same

from .conftest import Tepat
from .test_refusals import FOR_WHO_STARTS_A_SYSTEM

MODULES = sorted(path for path in Path(tepat_cli.__path__[0]).glob("*.py") if path.name not in FOR_WHO_STARTS_A_SYSTEM)


@pytest.mark.parametrize("said", SAID.items(), ids=lambda said: said[0])
def test_both_languages_say_the_same(said: tuple[str, Said]) -> None:
    says_the_same(said[1])


def _calls(path: Path, *names: str) -> Iterator[ast.Call]:
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and name(call) in names:
            yield call


def test_nothing_is_said_in_words_that_are_not_there() -> None:
    assert list(SAID) == list(get_args(What))
    used = set(get_args(Severity))
    for path in MODULES:
        if path.name != "outcomes.py":
            told = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            used |= {node.value for node in told if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        for call in _calls(path, "done"):
            if isinstance(what := call.args[0], ast.Constant) and all(each.arg for each in call.keywords):
                assert {each.arg for each in call.keywords} == placeholders(SAID[what.value][0]), ast.unparse(call)
    assert set(SAID) - used == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_command_says_anything_in_words_of_its_own(path: Path) -> None:
    for call in _calls(path, "say"):
        assert _own_words(call.args[0]) == "", ast.unparse(call)


def _own_words(said: ast.expr) -> str:
    """What is said besides what is filled in, what it is about (`registry: `), and a command to be copied."""
    if isinstance(said, ast.IfExp):
        return _own_words(said.body) + _own_words(said.orelse)
    if isinstance(said, ast.BinOp):
        return _own_words(said.left) + _own_words(said.right)
    parts = said.values if isinstance(said, ast.JoinedStr) else [said]
    told = "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
    return "" if told.startswith("  tepat ") else re.sub(r"^\w*: ?", "", told).strip()


@pytest.mark.parametrize(
    ("said", "own"),
    [
        ("f'{a}: {b}'", ""), ("done('x')", ""), ("'all done'", "all done"), ("f'{a} is {b}'", "is"),
        ("done('x') + ('' if a else ', b')", ", b"), ("f'tepat: {a} done'", "done"),
    ],
)  # fmt: skip
def test_words_of_its_own_are_found(said: str, own: str) -> None:
    assert _own_words(ast.parse(said, mode="eval").body) == own


ROUND = {
    "round": "r-1", "programme": "SB", "region": "33.74", "state": "open", "packages": 1200, "each": 5, "stock": 3,
    "delivered": 2, "left": 1, "ranked": 4, "closes": "2026-01-31", "short": 6,
}  # fmt: skip


def test_what_is_put_together_is_in_both() -> None:
    assert halves(summary(ROUND)) == (
        "r-1 (SB, 33.74) is open: 1,200 packages, each Rp 5, 3 in stock, 2 delivered, 1 promised; 4 were ranked, until "
        "2026-01-31; 6 are promised and not there",
        "r-1 (SB, 33.74) kini open: 1,200 paket, masing-masing Rp 5, stok 3, 2 diserahkan, 1 dijanjikan; 4 "
        "diperingkat, sampai 2026-01-31; 6 dijanjikan tetapi tidak ada barangnya",
    )
    ranked = {"round": "r", "ranked": 3, "programme": "SB", "region": "33", "reached": 1, "rank_by": "person.age"}
    batch = {"batch": "b", "listed": 3, "confirmed": 1, "moved": 2, "rejected_without_reason": 1}
    assert halves(verification.summary(batch)) == (
        "b: 3 listed → 1 confirmed; 2 moved; 1 rejected without a reason",
        "b: 3 terdaftar → 1 terkonfirmasi; 2 moved; 1 ditolak tanpa alasan",
    )
    notes = report._notes({"pending": True, "ends_alone": 2})
    for line in (ranking.summary(ranked), verification.summary(batch | {"rejected_without_reason": 0}), *notes):
        english, indonesian = halves(line)
        assert english != indonesian, line


def test_a_policy_is_judged_in_both(tepat: Tepat, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text('version: "1"\nagencies: []\noverlap_rules: []\nprogrammes: []\nx: 1\nroutes: {notices: 1}\n')
    ran = tepat("policy", "check", file)
    assert (ran.status, halves(ran.err.strip())) == (1, (f"2 mistakes in {file}", f"2 kesalahan di {file}"))
    assert ran.out.splitlines() == [
        f"{file}:5:1: x is no field of a policy / bukan isian kebijakan",
        f"{file}:6:10: routes/notices must be a list of routes, each with `kinds` and `to` / harus daftar rute, "
        "masing-masing dengan `kinds` dan `to`",
    ]
    file.write_text('version: "1"\nagencies: []\noverlap_rules: []\nprogrammes:\n- {code: A, unit: person, quota: x, '
                    "name: {id: a, en: a}}\n")  # fmt: skip
    ran = tepat("policy", "check", file)
    assert (ran.status, ran.err.strip()) == (0, done("sound", path=file))
    assert "advice / saran: programmes/0/quota is not used in ranking" in ran.out
