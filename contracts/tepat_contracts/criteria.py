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
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import cel

#: Fields of a person. `age` in whole years on `today`; `pmt_score` as an agency told it, a proxy; `sex` L or P;
#: `school_level` SD, SMP, SMA or none; `region` the Kemendagri code of where they live; `ppks` codes of the 26
#: categories.
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
    "deceased": "bool",
    "region": "string",
    "ppks": "list<string>",
}
#: Fields of a household. `decile` is the least of its members'; `children` counts those under 18, `elderly` those
#: of 60 and over; `regions` are the codes its members live in; `members` are persons.
HOUSEHOLD: Final[Mapping[str, str]] = {
    "size": "int",
    "decile": "int",
    "children": "int",
    "elderly": "int",
    "regions": "list<string>",
    "members": "list<person>",
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
    return [] if fields else list(_tried(program, wanted))


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


def _tried(program: "cel.Program", wanted: Wanted) -> Iterator[str]:
    for invented in _invented():
        try:
            outcome = program.execute(invented)
        except KeyError as error:
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


@cache
def _invented() -> "list[cel.Context]":
    import cel  # noqa: PLC0415

    rng = random.Random(0)

    def value(kind: str) -> Any:
        match kind:
            case "int":
                return rng.choice((0, 1, 2, 4, 5, 17, 60, 75))
            case "double":
                return rng.choice((0.0, 12.5, 40.0, 99.9))
            case "bool":
                return rng.random() < 0.5
            case "string":
                return rng.choice(("L", "P", "SD", "SMP", "SMA", "none", "33.74.01.1001", "petani"))
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
                "today": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=rng.randrange(365)),
                LEFT_OUT: number % 3,
            }
        )
        for number in range(100)
    ]
