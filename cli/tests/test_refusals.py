"""Whatever ends a command, and that nothing was found, is said in English and Indonesian, with what to do."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest
import tepat_cli
from tepat_cli.refusals import SAID, Why, of_file, words
from tepat_contracts.bilingual import Said, halves

from chassis.tests.refusing import name, refuses_in_words, says_the_same

from .conftest import Tepat

ENDS = {"Ended", "WrongUse", "Unreachable", "Missing", "Interrupted"}
FOR_WHO_STARTS_A_SYSTEM = {"stack.py", "demo.py"}


@pytest.mark.parametrize("said", SAID.items(), ids=lambda said: said[0])
def test_both_languages_say_the_same(said: tuple[str, Said]) -> None:
    says_the_same(said[1])


def test_nothing_is_refused_in_words_that_are_not_there() -> None:
    assert list(SAID) == list(get_args(Why))
    refuses_in_words(tepat_cli, SAID, SAID)


@pytest.mark.parametrize("path", sorted(Path(tepat_cli.__path__[0]).glob("*.py")), ids=lambda path: path.name)
def test_no_command_ends_or_finds_nothing_in_words_of_its_own(path: Path) -> None:
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and name(call) in ENDS and path.name not in FOR_WHO_STARTS_A_SYSTEM:
            assert _own_words(call.args[0]) == "", ast.unparse(call)
        if isinstance(call, ast.Call) and name(call) == "listing":
            none = next(each.value for each in call.keywords if each.arg == "none")
            assert _own_words(none) == "", ast.unparse(call)


def _own_words(argument: ast.expr) -> str:
    """What a text says besides what is filled in, and besides what it is about: `registry: `."""
    parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    said = "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
    return re.sub(r"^[-\w]*: ", "", said).strip()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (FileNotFoundError(2, "No such file or directory"), ("there is no such file or directory", "tidak ada")),
        (PermissionError(13, "Permission denied"), ("you may not", "tidak diizinkan")),
        (OSError(5, "Input/output error"), ("Input/output error", "Input/output error")),
        (OSError("odd"), ("OSError", "OSError")),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_both(wrong: OSError, said: Said) -> None:
    english, indonesian = halves(words("unwritable", path="a.csv", why=of_file(wrong)))
    assert f"a.csv can't be written ({said[0]}): free it" in english
    assert said[1] in indonesian


@pytest.mark.parametrize(
    ("line", "english", "indonesian"),
    [
        (
            "case uphold X --reason abc",
            "--basis is missing; see `tepat case uphold --help`",
            "--basis belum diisi; lihat",
        ),
        ("case show", "CASE is missing", "CASE belum diisi"),
        ("disclosures list --from kemarin", "--from must be a day, such as", "--from harus tanggal, contoh"),
        ("notices list --level x", "--level must be a whole number", "--level harus bilangan bulat"),
        ("check a.csv --agency dinsos --revision -1", "--revision must be 0 or more", "--revision harus 0 atau lebih"),
        ("publish a.csv --kind bogus", "--kind must be payouts, ben", "lists atau objections; lihat"),
        ("round hand X --coupons", "there is no option --coupons; see", "tidak ada opsi --coupons; lihat"),
        ("disclosures list --form 2026-01-01", "--form, perhaps --from or --to is", "maksudnya --from atau --to"),
        ("case uphol X", "`tepat case` has no such command, perhaps uphold", "mungkin maksudnya uphold"),
        ("bogus", "`tepat` has no such command", "`tepat` tidak punya perintah itu"),
        ("case assign X --to a b", "`tepat case assign CASE` was given more than it takes", "dalam tanda kutip"),
        ("report --by", "--by needs a value", "--by perlu nilai"),
        ("topics apply --json=3", "--json takes no value", "--json tanpa nilai"),
    ],
)
def test_wrong_use_is_told_in_both(tepat: Tepat, line: str, english: str, indonesian: str) -> None:
    ran = tepat(*line.split())
    told = halves(ran.err.strip())
    assert (ran.status, ran.out, told[0] == told[1]) == (2, "", False)
    assert english in told[0]
    assert indonesian in told[1]


def test_wrong_use_repeats_no_number_that_was_typed(tepat: Tepat) -> None:
    nik = "3374016501900001"
    for line in (("person", nik), ("person", "show", nik, nik), ("notices", "list", "--level", f"{nik}x")):
        ran = tepat(*line)
        assert (ran.status, nik in ran.words) == (2, False)


def test_help_and_the_end_of_what_is_typed_keep_their_status(
    tepat: Tepat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert tepat("case", "--help").status == 0
    ran = tepat("case")
    assert (ran.status, "hold" in ran.words, ran.err) == (2, True, "")

    def ended(_: str) -> None:
        raise EOFError

    monkeypatch.setattr("tepat_cli.lookup.getpass", ended)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    ran = tepat("person", "show", "-", "--api", "http://tepat.example", "--data", tmp_path)
    assert (ran.status, ran.err.strip()) == (1, "tepat: stopped / dihentikan")
