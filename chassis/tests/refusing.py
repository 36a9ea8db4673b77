"""What every catalogue of refusals keeps, for the tests of the services and of the chassis."""

import ast
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from string import Formatter
from types import ModuleType

from tepat_contracts.bilingual import BETWEEN, Said

IN_WORDS = {"words": 0, "RefusedError": 0, "refusal": 1}
"""What is called with the name of a refusal, and where in the call that stands, ahead of what is filled in."""


def says_the_same(said: Said) -> None:
    """Two languages, with the same places to fill in and the same commands."""
    one, other = said
    assert one != other
    assert placeholders(one) == placeholders(other)
    assert one.count("`") == other.count("`")
    for text in said:
        assert len(text) > 3
        assert text == text.strip()
        assert not text.endswith(".")
        assert BETWEEN not in text


def refuses_in_words(package: ModuleType, said: Mapping[str, Said], own: Collection[str]) -> None:
    """Every module of a package that refuses anything does so in words that are there, filled in; none of its own is
    left over.
    """
    used = set()
    for path, tree in _modules(package):
        texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        called = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        if path.name != "refusals.py":
            used |= {why for why in own if why in texts}
            assert "HTTPException" not in {name(call) for call in called}, path
        for call in called:
            if (at := IN_WORDS.get(name(call))) is not None and isinstance(why := call.args[at], ast.Constant):
                told = {keyword.arg for keyword in call.keywords}
                assert told == placeholders(said[why.value][0]), (path, why.value)
        for call in _of_validators(tree):
            if name(call) == "ValueError":
                assert [name(each) for each in call.args if isinstance(each, ast.Call)] == ["words"], path
    assert set(own) - used == set()


def _modules(package: ModuleType) -> Iterator[tuple[Path, ast.Module]]:
    (folder,) = package.__path__
    for path in sorted(Path(folder).rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def _of_validators(tree: ast.Module) -> Iterator[ast.Call]:
    """What is called where a request is judged, which answers errors as they are: in validators beside routes."""
    if not any(isinstance(node, ast.ImportFrom) and node.module == "fastapi" for node in ast.walk(tree)):
        return
    for function in ast.walk(tree):
        decorated = function.decorator_list if isinstance(function, ast.FunctionDef) else ()
        if any("validator" in ast.dump(each) for each in decorated):
            yield from (node for node in ast.walk(function) if isinstance(node, ast.Call))


def name(call: ast.Call) -> str:
    """What is called, where it goes by a plain name."""
    return call.func.id if isinstance(call.func, ast.Name) else ""


def placeholders(text: str) -> set[str]:
    """The places of a text that are to be filled in."""
    return {field for _, field, _, _ in Formatter().parse(text) if field}
