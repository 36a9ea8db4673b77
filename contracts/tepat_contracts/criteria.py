"""What criteria may speak of, and whether a criterion can be evaluated at all.

Invariants:
- the fields declared here are the whole environment: eligibility supplies exactly these, and the authoring check
  refuses any other;
- a datum that is lacking makes a criterion unknown, so a mistake in writing must be found before: a misspelt field
  would be unknown for everybody, for ever.

The library compiles CEL without checking types, so each criterion is tried on invented households that have every
field; with the same seed each time, so that the same criterion is always judged alike.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from .codes import PPKS

if TYPE_CHECKING:
    import cel

#: Fields of a person. `age` in whole years on `today`; `pmt_score` as an agency told it, a proxy; `sex` L or P;
#: `school_level` SD, SMP, SMA or none; `rights_violation` a victim of gross violations of human rights, as PKH knows
#: them; `region` the Kemendagri code of where they live; `ppks` codes of the 26 categories.
PERSON: Final[Mapping[str, str]] = {
    "age": "int",
    "decile": "int",
    "pmt_score": "double",
    "sex": "string",
    "occupation": "string",
    "disability": "bool",
    "pregnant": "bool",
    "school_level": "string",
    "orphan": "bool",
    "rights_violation": "bool",
    "deceased": "bool",
    "region": "string",
    "ppks": "list<string>",
}
#: Fields of a household. `decile` is the least of its members'; `children` counts those under 18, `elderly` those
#: of 60 and over; `regions` are the codes its members live in; `members` are persons. `score` and `score_decile` are
#: those of the policy's own score, a proxy of welfare (decile 1 the poorest).
HOUSEHOLD: Final[Mapping[str, str]] = {
    "size": "int",
    "decile": "int",
    "children": "int",
    "elderly": "int",
    "regions": "list<string>",
    "members": "list<person>",
    "score": "double",
    "score_decile": "int",
}
#: What a criterion sees; `today` is the day in the policy's time zone, at midnight.
ENVIRONMENT: Final[Mapping[str, Mapping[str, str] | str]] = {
    "person": PERSON,
    "household": HOUSEHOLD,
    "today": "timestamp",
}

#: What `rank_by` sees beside: in how many rounds in a row, up to the last, the subject was ranked and not reached.
LEFT_OUT: Final = "left_out"

Wanted = Literal["bool", "number", "rank"]

_STRINGS: Final = re.compile(
    r"""[rRbB]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|//[^\n]*""", re.DOTALL
)
_BOUND: Final = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,", re.ASCII)
_SELECTED: Final = re.compile(r"(?<![\d.])\.\s*([A-Za-z_]\w*)\b(?!\s*\()", re.ASCII)
#: How alike a field must be to a declared one (difflib's ratio) to be taken for a misspelling of it.
TYPO: Final = 0.85
_FIELDS: Final = frozenset(PERSON) | frozenset(HOUSEHOLD)
_SCORED: Final = re.compile(r"\bhousehold\s*\.\s*(score|score_decile)\b(?!\s*\()", re.ASCII)
#: The words a field holds where it can hold no other: the door refuses any other.
_WORDS: Final[Mapping[str, frozenset[str]]] = {
    "sex": frozenset({"L", "P"}),
    "school_level": frozenset({"SD", "SMP", "SMA", "none"}),
    "ppks": frozenset(PPKS),
}


def mistakes(expression: str, wanted: Wanted = "bool") -> list[str]:
    """What keeps a criterion from being evaluated, as ends of sentences; none where nothing does."""
    import cel  # noqa: PLC0415 (it brings a terminal toolkit, 0.8 s; services that check no policy need not wait)

    try:
        program = cel.compile(expression)
    except (ValueError, RuntimeError, RecursionError) as error:
        return [f"is not CEL: {' '.join(str(error).split())[-200:]}"]
    bare = _STRINGS.sub('""', expression)
    known = [*ENVIRONMENT, *([LEFT_OUT] if wanted == "rank" else [])]
    if unknown := sorted(set(program.variables()) - set(known) - set(_BOUND.findall(bare))):
        return [f"speaks of `{name}`, which criteria do not know; they know {', '.join(known)}" for name in unknown]
    fields = _undeclared(expression)
    if misspelt := [f"{_asks(name)}{_nearest(name)}" for name in fields if get_close_matches(name, _FIELDS, 1, TYPO)]:
        return misspelt
    return list(_misfits(expression)) or list(_tried(program, wanted, expression, fields))


def values(expression: str) -> list[str]:
    """What keeps an expression from being evaluated to a number, or to true and false, which count as 1 and 0."""
    return mistakes(expression, "number") if mistakes(expression) else []


def speaks_of(expression: str) -> frozenset[str]:
    """Of `person`, `household` and `today` what a criterion speaks of; nothing where it is no CEL."""
    import cel  # noqa: PLC0415

    try:
        free = set(cel.compile(expression).variables())
    except (ValueError, RuntimeError, RecursionError):
        return frozenset()
    return frozenset((free - set(_BOUND.findall(_STRINGS.sub('""', expression)))) & set(ENVIRONMENT))


def scored(expression: str) -> list[str]:
    """The fields of the policy's score that a criterion asks for, each once, in order."""
    return sorted(set(_SCORED.findall(_STRINGS.sub('""', expression))))


def covered(expressions: Sequence[str]) -> dict[int, int]:
    """Of criteria those that are met by nobody who does not meet one before it, by their places, with the one before.

    Found by trying: of invented persons at least `_MET` meet it. What fewer meet is not told, unless word for word.
    """
    tried = _invented(*_literals(" ".join(expressions)), count=1_000)
    met = [_met(expression, tried) for expression in expressions]
    found: dict[int, int] = {}
    for place, expression in enumerate(expressions):
        for before, other in enumerate(expressions[:place]):
            if expression.split() == other.split() or (len(met[place]) >= _MET and met[place] <= met[before]):
                found[place] = before
                break
    return found


def unheard_of(expression: str) -> list[str]:
    """Fields a criterion asks for that no agency has declared to send, as ends of sentences.

    Attributes are open, so this is no mistake: where the datum is missing the criterion is unknown.
    """
    return [
        f"{_asks(name)}: the criterion is unknown wherever no agency sends it{_nearest(name)}"
        for name in _undeclared(expression)
    ]


def _undeclared(expression: str) -> list[str]:
    return sorted(set(_SELECTED.findall(_STRINGS.sub('""', expression))) - _FIELDS)


def _asks(name: str) -> str:
    return f"asks for the field `{name}`, which no person or household is declared to have"


def _nearest(name: str) -> str:
    near = get_close_matches(name, _FIELDS, n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


#: How many invented persons must meet a criterion for what else they meet to say something.
_MET: Final = 60
_LITERAL: Final = r"""(?P<{0}>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|-?\d+(?:\.\d+)?(?![\w.])|true\b|false\b)"""
_FIELD: Final = r"\b[A-Za-z_]\w*\s*\.\s*(?P<{0}>[A-Za-z_]\w*)\b(?!\s*[.(\[])"
_ENDS: Final = r"(?!\s*[-+*/%.\[])"
#: A field beside a literal it is said to equal, or to be among.
_BESIDE: Final = re.compile(
    rf"{_FIELD.format('field')}\s*[!=]=\s*{_LITERAL.format('literal')}{_ENDS}"
    rf"|{_LITERAL.format('first')}\s*(?P<is>[!=]=|in\b)\s*{_FIELD.format('second')}{_ENDS}"
    rf"|{_FIELD.format('among')}\s+in\s*\[(?P<these>[^\[\]]*)\]",
    re.ASCII,
)
_EACH: Final = re.compile(_LITERAL.format("literal"), re.ASCII)


def _misfits(expression: str) -> Iterator[str]:
    """Fields compared with what they never hold: CEL takes values of two types as unequal, and says nothing."""
    bare = re.sub(r"//[^\n]*", "", expression)
    for found in _BESIDE.finditer(bare):
        name = found["field"] or found["second"] or found["among"]
        kind = PERSON.get(name) or HOUSEHOLD.get(name)
        if kind is None or (found["first"] and bare[: found.start()].rstrip()[-1:] in tuple("-+*/%")):
            continue
        literals = _EACH.findall(found["these"]) if found["among"] else [found["literal"] or found["first"]]
        for literal in literals:
            if (holds := _never(name, kind, literal, found["is"] == "in")) is not None:
                yield f"compares `{name}`, which is {holds}, with {literal}: they are never equal"


def _never(name: str, kind: str, literal: str, inside: bool) -> str | None:
    """What a field holds, where it never holds this; `inside` where the literal is to be one of several it holds."""
    a_text, a_truth = literal[0] in "\"'", literal in ("true", "false")
    if inside != kind.startswith("list"):
        return _HOLDS[kind]
    fits = {"int": not a_text and not a_truth, "double": not a_text and not a_truth, "bool": a_truth}
    if not fits.get(kind, a_text):
        return _HOLDS[kind]
    if name in _WORDS and literal[1:-1] not in _WORDS[name]:
        near = get_close_matches(literal[1:-1], _WORDS[name], n=1)
        among = " or ".join(sorted(_WORDS[name])) if len(_WORDS[name]) < 5 else "a code of the 26 categories"
        return f"{among}{f' (did you mean {near[0]}?)' if near else ''}"
    return None


_HOLDS: Final = {
    "int": "a whole number", "double": "a number", "bool": "true or false", "string": "a text",
    "list<string>": "a list of texts", "list<person>": "a list of persons",
}  # fmt: skip


def _literals(expression: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The whole numbers and the texts that stand in an expression: what is invented lies around them."""
    words = [found[0].strip("rRbB")[1:-1] for found in _STRINGS.finditer(expression) if found[0][0] != "/"]
    numbers = {int(digits) for digits in re.findall(r"(?<![\w.])\d{1,6}(?![\w.])", _STRINGS.sub("", expression))}
    numbers |= {int(year) for year in re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", expression)}  # of timestamps too
    return tuple(sorted({near for each in numbers for near in (each - 1, each, each + 1)})), tuple(sorted(set(words)))


def _met(expression: str, tried: "Sequence[cel.Context]") -> set[int]:
    """By which of those invented a criterion is met."""
    import cel  # noqa: PLC0415

    met: set[int] = set()
    try:
        program = cel.compile(expression)
    except (ValueError, RuntimeError, RecursionError):
        return met
    for place, invented in enumerate(tried):
        try:
            if program.execute(invented) is True:
                met.add(place)
        except (TypeError, RuntimeError, ArithmeticError, LookupError, ValueError):
            continue  # what cannot be worked out is not met
    return met


def _tried(program: "cel.Program", wanted: Wanted, expression: str, undeclared: Sequence[str]) -> Iterator[str]:
    for invented in (*_invented(), *_invented(*_literals(expression))):
        try:
            outcome = program.execute(invented)
        except KeyError as error:
            if error.args[0] in undeclared:
                continue  # nobody can say what it would hold
            yield f"asks for the field `{error.args[0]}` where there is none"
            return
        except (TypeError, RuntimeError) as error:
            yield f"cannot be evaluated: {str(error).splitlines()[0]}"
            return
        except (ArithmeticError, LookupError, ValueError):
            continue  # depends on the data: a division by a zero, a place beyond a list's end
        if wanted == "bool" and not isinstance(outcome, bool):
            yield "must come out as true or false"
            return
        if wanted != "bool" and (isinstance(outcome, bool) or not isinstance(outcome, (int, float))):
            yield "must come out as a number"
            return


@lru_cache(maxsize=256)
def _invented(numbers: tuple[int, ...] = (), words: tuple[str, ...] = (), count: int = 100) -> "list[cel.Context]":
    import cel  # noqa: PLC0415

    rng = random.Random(0)
    years = (2026, *(each for each in numbers if 1900 < each < 2200))

    def value(kind: str) -> Any:
        match kind:
            case "int":
                return rng.choice((0, 1, 2, 4, 5, 17, 60, 75, *numbers))
            case "double":
                return rng.choice((0.0, 12.5, 40.0, 99.9))
            case "bool":
                return rng.random() < 0.5
            case "string":
                return rng.choice(("L", "P", "SD", "SMP", "SMA", "none", "33.74.01.1001", "petani", *words))
            case "list<string>":
                return [value("string") for _ in range(rng.randrange(1, 3))]
            case "list<person>":
                return [thing(PERSON) for _ in range(rng.randrange(1, 4))]
        raise AssertionError(kind)

    def thing(fields: Mapping[str, str]) -> dict[str, Any]:
        return {name: value(kind) for name, kind in fields.items()}

    return [
        cel.Context(
            {
                "person": thing(PERSON),
                "household": thing(HOUSEHOLD),
                "today": datetime(rng.choice(years), 1, 1, tzinfo=UTC) + timedelta(days=rng.randrange(365)),
                LEFT_OUT: number % 3,
            }
        )
        for number in range(count)
    ]
