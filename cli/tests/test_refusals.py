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
