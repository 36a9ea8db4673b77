"""What criteria may speak of, and whether a criterion can be evaluated at all.

Invariants:
- the fields declared here are the whole environment: eligibility supplies exactly these, and the authoring check
  refuses any other;
- a datum that is lacking makes a criterion unknown, so a mistake in writing must be found before: a misspelt field
  would be unknown for everybody, for ever.

The library compiles CEL without checking types, so each criterion is tried on invented households that have every
field; with the same seed each time, so that the same criterion is always judged alike.
"""

import operator
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from math import ceil, floor, inf
from typing import TYPE_CHECKING, Any, Final, Literal

from .bilingual import Said
from .codes import PPKS
from .mistakes import Wrong, near, wrong

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
_CALLED: Final = r"\.\s*([A-Za-z_]\w*)\s*\(\s*{0}\s*,"
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
#: Between which numbers a field lies: the door refuses others, or there are none.
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "decile": (1, 10), "score_decile": (1, 10), "age": (0, inf),
    "size": (0, inf), "children": (0, inf), "elderly": (0, inf),
}  # fmt: skip


def mistakes(expression: str, wanted: Wanted = "bool") -> list[Wrong]:
    """What keeps a criterion from being evaluated; none where nothing does."""
    import cel  # noqa: PLC0415 (it brings a terminal toolkit, 0.8 s; services that check no policy need not wait)

    try:
        program = cel.compile(expression)
    except (ValueError, RuntimeError, RecursionError) as error:
        return [_unread(str(error), expression)]
    bare = _STRINGS.sub('""', expression)
    known = [*ENVIRONMENT, *([LEFT_OUT] if wanted == "rank" else [])]
    if unknown := sorted(set(program.variables()) - set(known) - set(_BOUND.findall(bare))):
        return [_unbound(name, bare, known) for name in unknown]
    fields = _undeclared(expression)
    if misspelt := [name for name in fields if get_close_matches(name, _FIELDS, 1, TYPO)]:
        return [wrong("misspelt", name=name, near=near(name, _FIELDS)) for name in misspelt]
    told = [*_misfits(expression), *(told for told in _settled(expression) if told.severity == "mistake")]
    return told or list(_tried(program, wanted, expression, fields))


def _unbound(name: str, bare: str, known: Sequence[str]) -> Wrong:
    """Why a name stands for nothing: what was to let it stand for each of a list may be misspelt."""
    if called := re.search(_CALLED.format(re.escape(name)), bare, re.ASCII):
        return wrong("no_function", name=called[1])
    return wrong("speaks_of", name=name, known=", ".join(known))


def values(expression: str) -> list[Wrong]:
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


def needless(expression: str) -> list[Wrong]:
    """Comparisons that are true whatever the datum: no mistake, they ask whether it is known."""
    return [told for told in _settled(expression) if told.severity == "advice"]


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


def unheard_of(expression: str) -> list[Wrong]:
    """Fields a criterion asks for that no agency has declared to send.

    Attributes are open, so this is no mistake: where the datum is missing the criterion is unknown.
    """
    return [wrong("unheard_of", name=name, near=near(name, _FIELDS)) for name in _undeclared(expression)]


_PLACED: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (?:(Syntax error): )?(.*)")
_INPUT: Final = re.compile(r"(?:mismatched|extraneous|no viable alternative at) input '(.*?)'(?: expecting .*)?")
_NO_SIGN: Final = re.compile(r"token recognition error at: '(.*)'")
_RESERVED: Final = "reserved identifier: "
_INSTEAD: Final = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!", "=": "==", "<>": "!=",
                   "=>": ">=", "=<": "<=", "&": "&&", "|": "||", "then": "?", "else": ":"}  # fmt: skip


def _unread(error: str, expression: str) -> Wrong:
    """Where an expression stops being CEL, and what stands there: of all that the library says of it the first."""
    if not expression.strip():
        return wrong("cel_empty")
    placed = _PLACED.findall(error)
    if not placed or "Recursion limit" in error:
        return wrong("cel_deep")
    # What the library says beside syntax errors mostly follows from one.
    line, column, _, told = next((each for each in placed if each[2]), placed[0])
    where = (f"column {column}", f"kolom {column}")
    if "\n" in expression.strip():
        where = (f"line {line}, {where[0]}", f"baris {line}, {where[1]}")
    found = _NO_SIGN.fullmatch(told) or _INPUT.fullmatch(told)
    if found is None:
        if told.startswith(_RESERVED):
            return wrong("cel_reserved", word=told.removeprefix(_RESERVED), where=where)
        return wrong("cel_other", told=told, where=where)
    return _misplaced(found[1].strip(), where)


def _misplaced(there: str, where: Said) -> Wrong:
    if there == "<EOF>":
        return wrong("cel_ends", where=where)
    if there[:1] in tuple("\"'"):
        return wrong("cel_text", where=where)
    if there in _INSTEAD:
        return wrong("cel_instead", sign=there, where=where, instead=_INSTEAD[there])
    return wrong("cel_sign", sign=there, where=where)


def _undeclared(expression: str) -> list[str]:
    return sorted(set(_SELECTED.findall(_STRINGS.sub('""', expression))) - _FIELDS)


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


def _misfits(expression: str) -> Iterator[Wrong]:
    """Fields compared with what they never hold: CEL takes values of two types as unequal, and says nothing."""
    bare = re.sub(r"//[^\n]*", "", expression)
    for found in _BESIDE.finditer(bare):
        name = found["field"] or found["second"] or found["among"]
        kind = PERSON.get(name) or HOUSEHOLD.get(name)
        if kind is None or bare[: found.start()].rstrip()[-1:] in tuple("-+*/%"):
            continue
        literals = _EACH.findall(found["these"]) if found["among"] else [found["literal"] or found["first"]]
        for literal in literals:
            if (holds := _never(name, kind, literal, found["is"] == "in")) is not None:
                yield wrong("never_equal", name=name, holds=holds, literal=literal)


def _never(name: str, kind: str, literal: str, inside: bool) -> Said | None:
    """What a field holds, where it never holds this; `inside` where the literal is to be one of several it holds."""
    a_text, a_truth = literal[0] in "\"'", literal in ("true", "false")
    if inside != kind.startswith("list"):
        return _HOLDS[kind]
    fits = {"int": not a_text and not a_truth, "double": not a_text and not a_truth, "bool": a_truth}
    if not fits.get(kind, a_text):
        return _HOLDS[kind]
    low, high = _RANGES.get(name, (-inf, inf))
    if kind in ("int", "double") and not low <= float(literal) <= high:
        return _between(low, high)
    if name in _WORDS and literal[1:-1] not in _WORDS[name]:
        words, alike = sorted(_WORDS[name]), get_close_matches(literal[1:-1], _WORDS[name], n=1)
        among = (" or ".join(words), " atau ".join(words)) if len(words) < 5 else _A_CATEGORY
        meant = (f" (did you mean {alike[0]}?)", f" (maksudnya {alike[0]}?)") if alike else ("", "")
        return among[0] + meant[0], among[1] + meant[1]
    return None


_A_CATEGORY: Final = ("a code of the 26 categories", "kode salah satu dari 26 kategori")
_HOLDS: Final[Mapping[str, Said]] = {
    "int": ("a whole number", "bilangan bulat"), "double": ("a number", "angka"),
    "bool": ("true or false", "true atau false"), "string": ("a text", "teks"),
    "list<string>": ("a list of texts", "daftar teks"), "list<person>": ("a list of persons", "daftar orang"),
}  # fmt: skip


_ORDERS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NUMBER: Final = r"-?\d+(?:\.\d+)?"
_PLAIN: Final = re.compile(
    rf"(?P<of>\w+)\s*\.\s*(?P<name>\w+)\s*(?P<is>[<>]=?|[!=]=)\s*(?P<number>{_NUMBER})"
    rf"|(?P<first>{_NUMBER})\s*(?P<turned>[<>]=?|[!=]=)\s*(?P<second>\w+)\s*\.\s*(?P<third>\w+)",
    re.ASCII,
)
_JOINTS: Final = re.compile(r"&&|\|\||[()\[\]{},?:]")


def _settled(expression: str) -> Iterator[Wrong]:
    """Comparisons with numbers that come out alike whatever the field holds, alone or joined by and.

    Only a number outside of what the field holds makes one that is always so worth telling: `decile <= 10` asks
    whether the decile is known.
    """
    for joined in _joined(_STRINGS.sub(lambda each: "" if each[0][0] == "/" else '""', expression)):
        asked: dict[tuple[str, str], list[tuple[str, str, float]]] = {}
        for part in joined:
            if found := _PLAIN.fullmatch(part):
                of, name = found["of"] or found["second"], found["name"] or found["third"]
                order = found["is"] or _TURNED.get(found["turned"], found["turned"])
                asked.setdefault((of, name), []).append((part, order, float(found["number"] or found["first"])))
        for (_, name), each in asked.items():
            kind, (low, high) = PERSON.get(name) or HOUSEHOLD.get(name), _RANGES.get(name, (-inf, inf))
            if kind not in ("int", "double"):
                continue
            english, indonesian = _between(low, high)
            within = (f": `{name}` is {english}", f": `{name}` adalah {indonesian}") if name in _RANGES else ("", "")
            held = _around([number for _, _, number in each], low, high, whole=kind == "int")
            alone = [{value for value in held if _ORDERS[order](value, number)} for _, order, number in each]
            for (part, order, number), met in zip(each, alone, strict=True):
                if order in ("==", "!=") and not low <= number <= high:
                    continue  # told as what the field never equals
                if not met:
                    yield wrong("never_so", asked=part, within=within)
                elif met == held and not low <= number <= high:
                    yield wrong("always_so", asked=part, within=within)
            if all(alone) and not set.intersection(*alone):
                parts = [f"`{part}`" for part, _, _ in each]
                yield wrong("never_at_once", asked=(" and ".join(parts), " dan ".join(parts)))


def _around(numbers: Sequence[float], low: float, high: float, *, whole: bool) -> set[float]:
    """What a field may hold, as far as comparisons with these numbers tell it apart."""
    ends = sorted({*numbers, *(end for end in (low, high) if abs(end) < inf)})
    if whole:
        near = {float(value) for end in ends for value in (floor(end) - 1, floor(end), ceil(end), ceil(end) + 1)}
    else:
        near = {ends[0] - 1, *ends, *((one + other) / 2 for one, other in pairwise(ends)), ends[-1] + 1}
    return {value for value in near if low <= value <= high}


def _between(low: float, high: float) -> Said:
    return (f"{low} to {high}", f"{low} sampai {high}") if high < inf else (f"{low} or more", f"{low} atau lebih")


def _joined(text: str) -> Iterator[list[str]]:
    """What stands joined by and, at whatever depth; what parentheses alone hold together belongs to what is around."""
    depth: list[list[str]] = [[]]
    pure = [False]  # whether nothing but and stands in these parentheses
    start = 0
    for joint in _JOINTS.finditer(text):
        sign, part, start = joint[0], text[start : joint.start()].strip(), joint.end()
        if part:
            depth[-1].append(part)
        if sign in ("(", "[", "{"):
            depth.append([])
            pure.append(sign == "(" and not part)
        elif sign in (")", "]", "}") and len(depth) > 1:
            inner = depth.pop()
            if pure.pop() and not (_JOINTS.split(text[start:], maxsplit=1)[0]).strip():
                depth[-1] += inner
            else:
                yield inner
        elif sign != "&&":
            yield depth[-1]
            depth[-1], pure[-1] = [], False
    yield [*depth[-1], text[start:].strip()]


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


def _tried(program: "cel.Program", wanted: Wanted, expression: str, undeclared: Sequence[str]) -> Iterator[Wrong]:
    worked, failed = False, ""
    for invented in (*_invented(), *_invented(*_literals(expression))):
        try:
            outcome = program.execute(invented)
        except KeyError as error:
            if error.args[0] in undeclared:
                worked = True  # for all one can say: nobody knows what it would hold
                continue
            yield wrong("no_such_field", name=error.args[0])
            return
        except (TypeError, RuntimeError) as error:
            yield _impossible(str(error).splitlines()[0])
            return
        except (ArithmeticError, LookupError, ValueError) as error:
            # Depends on the data: a division by a zero; a place beyond a list's end, where larger families may be.
            worked |= isinstance(error, LookupError) and bool(program.variables())
            failed = str(error).splitlines()[0]
            continue
        worked = True
        if wanted == "bool" and not isinstance(outcome, bool):
            yield wrong("no_truth")
            return
        if wanted != "bool" and (isinstance(outcome, bool) or not isinstance(outcome, (int, float))):
            yield wrong("no_rank")
            return
    if not worked:
        yield _failing(failed)


_UNKNOWN_FUNCTION: Final = re.compile(r"Undefined variable or function: '(.*?)'.*")
_FAILED_FUNCTION: Final = re.compile(r"Function '(.*?)' error: .*")


def _impossible(told: str) -> Wrong:
    """What the library says of an expression that can be worked out for nobody, in words of ours."""
    if told.startswith(("No such overload", "Unsupported operation")):
        return wrong("types")
    if found := _UNKNOWN_FUNCTION.fullmatch(told):
        return wrong("no_function", name=found[1])
    if found := _FAILED_FUNCTION.fullmatch(told):
        return wrong("function_fails", name=found[1])
    return wrong("not_evaluated", told=told)


def _failing(told: str) -> Wrong:
    """What the library says of an expression that failed for everybody tried, in words of ours."""
    if " by zero" in told:
        return wrong("by_zero")
    return wrong("beyond_end") if "out of bounds" in told else wrong("never_evaluated", told=told)


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
