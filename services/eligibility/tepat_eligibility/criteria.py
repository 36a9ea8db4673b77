"""Criteria in CEL, evaluated in three values: met, not met, or unknown where a datum is lacking.

Invariants:
- nothing in a criterion or in the data raises: whatever cannot be worked out is unknown;
- false and unknown is false, true or unknown is true, and so within `all` and `exists` over a household's members:
  what one member's missing datum leaves open, another's may settle, whatever their order;
- the criteria that an expression is split into, joined by and, have the value of the whole;
- outcomes depend on nothing but what `Criteria.seen` gives, and may be kept by it.

The library (common-expression-language) reads CEL and evaluates it; it gives out no syntax tree, so what is asked of
an expression's form is asked of its tokens. Its `&&`, `||` and `?:` take an error on one side as CEL demands, its
macros do not; so `all`, `exists` and `filter(…).size()` over members are taken out, worked out here member by member,
and put back as what they came to. That is also what makes them cheap: most members are like one seen before.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any, Final, NamedTuple, TypeAlias

import cel
from tepat_contracts.criteria import HOUSEHOLD, PERSON
from tepat_contracts.policy import Criterion as Named

#: A person or household as criteria see it: the fields that are known, by name.
View: TypeAlias = Mapping[str, Any]

_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+|//[^\n]*)
      | (?P<text>(?:[rR][bB]?|[bB][rR])(?:'''.*?'''|\"\"\".*?\"\"\"|'[^'\n]*'|"[^"\n]*")
               |[bB]?(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))
      | (?P<name>[A-Za-z_]\w*)
      | (?P<number>\d\w*(?:\.\d\w*)?)
      | (?P<sign>&&|\|\||.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_OPENING: Final = {"(": ")", "[": "]", "{": "}"}
_CLOSING: Final = frozenset(_OPENING.values())
_MACROS: Final = frozenset({"all", "exists", "exists_one", "filter", "map"})
_SETTLES: Final[Mapping[str, bool | None]] = {"all": False, "exists": True, "filter": None}
"""The outcome for one member that settles it for all; none does where members are counted."""
_COUNTED: Final = [".", "size", "(", ")"]
_WORDS: Final = frozenset({"true", "false", "null", "in"})
_KEPT: Final = 50_000
"""Outcomes kept of one macro."""
SCORED: Final = "scored"
"""The key of a household's view that says of its score what lacks for it; criteria cannot ask for it."""
OF_SCORE: Final = frozenset({"score", "score_decile"})
"""The fields of a household that its score gives."""


class Token(NamedTuple):
    """A piece of an expression, blanks and comments left out."""

    kind: str
    text: str
    start: int
    end: int


def _tokens(expression: str) -> list[Token]:
    return [
        Token(match.lastgroup or "", match[0], match.start(), match.end())
        for match in _TOKEN.finditer(expression)
        if match.lastgroup != "blank"
    ]


def _pairs(tokens: Sequence[Token]) -> dict[int, int]:
    """Where the bracket that opens at a place closes."""
    pairs, opened = {}, []
    for place, token in enumerate(tokens):
        if token.kind == "sign" and token.text in _OPENING:
            opened.append(place)
        elif token.kind == "sign" and token.text in _CLOSING and opened:
            pairs[opened.pop()] = place
    return pairs


# --- splitting --------------------------------------------------------------------------------------------------


def split(expression: str) -> list[str]:
    """The criteria that an expression joins by `&&` at its top level, parentheses around them left out."""
    tokens = _tokens(expression)
    pairs = _pairs(tokens)

    def parts(start: int, end: int) -> Iterator[str]:
        while pairs.get(start) == end - 1 and tokens[start].text == "(":
            start, end = start + 1, end - 1
        cuts: list[int] = []
        place = start
        while place < end:
            text = tokens[place].text if tokens[place].kind == "sign" else ""
            if text in ("||", "?"):
                cuts = []
                break
            if text == "&&":
                cuts.append(place)
            place = pairs.get(place, place) + 1
        if cuts:
            for first, last in zip([start, *(cut + 1 for cut in cuts)], [*cuts, end], strict=True):
                yield from parts(first, last)
        elif start < end:
            yield expression[tokens[start].start : tokens[end - 1].end]

    return list(parts(0, len(tokens)))


# --- what an expression uses ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Uses:
    """The fields an expression's value may depend on, those of members apart.

    `unheard` are fields it asks for that nobody has declared to tell: they lack always.
    """

    person: tuple[str, ...]
    household: tuple[str, ...]
    members: tuple[str, ...]
    today: bool
    unheard: tuple[str, ...] = ()

    def lacking(self, person: View | None, household: View) -> list[str]:
        """Those of the fields that are not known, named as `household.decile`, `household.members.age`.

        Of a score that is not known what lacks for it is named.
        """
        missing: list[str] = []
        for name in self.household:
            if name not in household:
                of_score = household[SCORED].missing if name in OF_SCORE and SCORED in household else ()
                missing += of_score or [f"household.{name}"]
        missing += [
            f"household.members.{name}"
            for name in self.members
            if any(name not in member for member in household["members"])
        ]
        missing += [f"person.{name}" for name in self.person if person is None or name not in person]
        return list(dict.fromkeys([*missing, *self.unheard]))

    def values(self, person: View | None, household: View) -> tuple[Any, ...]:
        """What the fields hold, as a key; None where one is not known."""
        told: list[Any] = []
        for name in self.household:
            if name == "members":
                told.append(tuple([tuple([m.get(name) for name in self.members]) for m in household["members"]]))
            elif name == "regions":
                told.append(tuple(household.get(name, ())))
            else:
                told.append(household.get(name))
        if person is not None and self.person:
            told += [person.get(name) for name in self.person]
        return tuple(told)

    def context(self, person: View | None, household: View, today: datetime) -> dict[str, Any]:
        """What the expression is evaluated over: these fields and no other."""
        told = {name: household[name] for name in self.household if name in household}
        if "members" in told:
            told["members"] = [{n: m[n] for n in self.members if n in m} for m in household["members"]]
        context: dict[str, Any] = {"household": told, "today": today}
        if person is not None:
            context["person"] = {name: person[name] for name in self.person if name in person}
        return context


EVERYTHING: Final = Uses(tuple(PERSON), tuple(HOUSEHOLD), tuple(PERSON), today=True)


def uses(expression: str) -> Uses:
    """The fields an expression may depend on: those it selects, or every one where that cannot be told."""
    reader = _Reader(expression)
    return reader.selected() or EVERYTHING


def named(expression: str) -> Uses:
    """The fields an expression speaks of by name, for telling which of them are lacking."""
    reader = _Reader(expression)
    told = {token.text.strip("'\"") for token in reader.tokens}
    return reader.selected(unheard=True) or Uses(
        tuple(name for name in PERSON if name in told and "person" in told),
        tuple(name for name in HOUSEHOLD if name in told),
        tuple(name for name in PERSON if name in told and "members" in told),
        today=True,
    )


class _Unclear(Exception):
    """A person or household is used as a whole, or a field by a computed name."""


class _Reader:
    """Finds the fields an expression selects."""

    def __init__(self, expression: str) -> None:
        self.tokens = _tokens(expression)
        self._pairs = _pairs(self.tokens)
        self._over_members: set[str] = set()
        self._over_others: set[str] = set()

    def selected(self, *, unheard: bool = False) -> Uses | None:
        """The fields, on demand with those that are not declared; None where that is unclear."""
        try:
            person, household, members = self._read()
        except _Unclear:
            return None
        if members and "members" not in household:
            return None
        return Uses(
            tuple(name for name in PERSON if name in person),
            tuple(name for name in HOUSEHOLD if name in household),
            tuple(name for name in PERSON if name in members),
            today=any(self._free(place, "today") for place in range(len(self.tokens))),
            unheard=() if not unheard else (
                *(f"household.{name}" for name in sorted(household.difference(HOUSEHOLD))),
                *(f"household.members.{name}" for name in sorted(members.difference(PERSON))),
                *(f"person.{name}" for name in sorted(person.difference(PERSON))),
            ),
        )  # fmt: skip

    def _text(self, place: int) -> str:
        return self.tokens[place].text if 0 <= place < len(self.tokens) else ""

    def _free(self, place: int, name: str) -> bool:
        token = self.tokens[place]
        return token.kind == "name" and token.text == name and self._text(place - 1) != "."

    def _read(self) -> tuple[set[str], set[str], set[str]]:
        self._bind()
        if self._over_members & self._over_others or {"person", "household"} & (self._over_members | self._over_others):
            raise _Unclear
        found: dict[str, set[str]] = {"person": set(), "household": set(), "members": set()}
        for place, token in enumerate(self.tokens):
            if token.text == "[" and self._indexes(place):
                raise _Unclear
            if token.kind != "name" or self._text(place - 1) == "." or self._declares(place):
                continue
            if token.text in ("person", "household"):
                name = self._field(place)
                found[token.text].add(name)
                if token.text == "household" and name == "members":
                    self._member_wise(place)
            elif token.text in self._over_members:
                found["members"].add(self._field(place))
        return found["person"], found["household"], found["members"]

    def _bind(self) -> None:
        """The names that macros bind, to members or to something else (only regions are clear among these)."""
        for place in range(len(self.tokens)):
            if self._declares(place):
                over = [self._text(place - 6), self._text(place - 5), self._text(place - 4)]
                if over == ["household", ".", "regions"] and self._text(place - 7) != ".":
                    self._over_others.add(self._text(place))
                else:
                    self._over_members.add(self._text(place))

    def _declares(self, place: int) -> bool:
        return (
            self.tokens[place].kind == "name"
            and self._text(place - 3) == "."
            and self._text(place - 2) in _MACROS
            and self._text(place - 1) == "("
            and self._text(place + 1) == ","
        )

    def _indexes(self, place: int) -> bool:
        before = self.tokens[place - 1] if place else None
        return before is not None and (before.text in (")", "]") or (before.kind == "name" and before.text != "in"))

    def _field(self, place: int) -> str:
        """The field selected of what stands at a place."""
        if self._text(place + 1) == "." and self._text(place + 3) != "(":
            return self._text(place + 2)
        raise _Unclear

    def _member_wise(self, place: int) -> None:
        """Members are counted, or looked at one by one: never taken as a whole."""
        sized = self._text(place - 2) == "size" and self._text(place - 1) == "("
        after = place + 3
        while self._text(after) == "." and self._text(after + 1) == "filter":
            after = self._pairs.get(after + 2, len(self.tokens)) + 1
        follows = self._text(after + 1) if self._text(after) == "." else ""
        if not (follows == "size" or follows in _MACROS or (sized and self._text(after) == ")")):
            raise _Unclear


# --- evaluating -------------------------------------------------------------------------------------------------


class Expression:
    """An expression compiled once, its `all` and `exists` over members taken out of it."""

    def __init__(self, text: str) -> None:
        self.macros: Final[list[Macro]] = []
        stand_in = "_"
        while stand_in in text:
            stand_in += "_"
        tokens, rest, at, place = _tokens(text), [], 0, 0
        pairs = _pairs(tokens)
        while place < len(tokens):
            close = pairs.get(place + 5) if _over_members(tokens, place) else None
            counts = close is not None and [token.text for token in tokens[close + 1 : close + 5]] == _COUNTED
            if close is not None and close > place + 8 and (counts or tokens[place + 4].text != "filter"):
                name = f"{stand_in}{len(self.macros)}"
                body = text[tokens[place + 8].start : tokens[close - 1].end]
                self.macros.append(Macro(name, tokens[place + 4].text, tokens[place + 6].text, body))
                rest += [text[at : tokens[place].start], name]
                place = close + 4 if tokens[place + 4].text == "filter" else close
                at = tokens[place].end
            place += 1
        self.rest: Final = "".join([*rest, text[at:]])
        self._uses = uses(self.rest)
        self._program = _compiled(self.rest)

    @property
    def compiles(self) -> bool:
        """Whether it is CEL at all."""
        return self._program is not None and all(macro.body.compiles for macro in self.macros)

    def outcome(
        self, person: View | None, household: View, today: datetime, bound: Mapping[str, View] | None = None
    ) -> bool | None:
        """Whether it is met; None where that is unknown. `bound` are members that macros around it have named."""
        value = self.value(person, household, today, bound)
        return value if isinstance(value, bool) else None

    def value(
        self, person: View | None, household: View, today: datetime, bound: Mapping[str, Any] | None = None
    ) -> bool | int | float | None:
        """What it comes to; None where that is unknown, or no finite number and neither true nor false."""
        context = self._uses.context(person, household, today)
        if bound:
            context.update(bound)
        for macro in self.macros:
            if (outcome := macro.outcome(person, household, today, bound)) is not None:
                context[macro.stand_in] = outcome
        return _run(self._program, context)


class Macro:
    """`all`, `exists` or a count over a household's members, `stand_in` being the name its outcome goes by.

    `alone` says that what it makes of a member depends on that member and the day, and no more.
    """

    def __init__(self, stand_in: str, kind: str, name: str, body: str) -> None:
        self.stand_in: Final = stand_in
        self.body: Final = Expression(body)
        self._name = name
        self._settles = _SETTLES[kind]
        tokens = _tokens(body)
        self._fields = _fields_of(tokens, name)
        free = _free(tokens)
        self.alone: Final = self._fields is not None and free <= {name, "today"} and name != "today"
        self._of_the_day = "today" in free
        self._kept: dict[tuple[Any, ...], bool | None] = {}

    def outcome(
        self, person: View | None, household: View, today: datetime, bound: Mapping[str, View] | None = None
    ) -> bool | int | None:
        """What it comes to; one member who settles it does so whatever lacks of others."""
        unknown, count = False, 0
        for member in household["members"]:
            outcome = self.of(member, person, household, today, bound)
            if outcome is None:
                unknown = True
            elif outcome is self._settles:
                return outcome
            else:
                count += outcome
        if unknown:
            return None
        return count if self._settles is None else not self._settles

    def of(
        self,
        member: View,
        person: View | None,
        household: View,
        today: datetime,
        bound: Mapping[str, View] | None = None,
    ) -> bool | None:
        """The outcome for one member."""
        if not self.alone:
            return self.body.outcome(person, household, today, {**(bound or {}), self._name: self._seen(member)})
        key = tuple([member.get(name) for name in self._fields or ()])
        if self._of_the_day:
            key = (today, *key)
        if key not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[key] = self.body.outcome(None, household, today, {self._name: self._seen(member)})
        return self._kept[key]

    def _seen(self, member: View) -> View:
        """A member with the fields that are asked for."""
        return {name: member[name] for name in self._fields or PERSON if name in member}


def _over_members(tokens: Sequence[Token], place: int) -> bool:
    """Whether `household.members.all(m,` or another of the macros that settle stands there."""
    at = [token.text for token in tokens[place : place + 8]]
    return (
        at[:4] == ["household", ".", "members", "."]
        and at[4:5] != []
        and at[4] in _SETTLES
        and at[5:6] == ["("]
        and at[7:] == [","]
        and tokens[place + 6].kind == "name"
        and (place == 0 or tokens[place - 1].text != ".")
    )


def _fields_of(tokens: Sequence[Token], name: str) -> tuple[str, ...] | None:
    """The fields selected of what a name stands for; None where it is used in any other way."""
    found = set()
    for place, token in enumerate(tokens):
        if token.kind == "name" and token.text == name and (place == 0 or tokens[place - 1].text != "."):
            after = [each.text for each in tokens[place + 1 : place + 4]]
            if after[:1] != ["."] or after[2:] == ["("]:
                return None
            found.add(after[1])
    return tuple(field for field in PERSON if field in found)


def _free(tokens: Sequence[Token]) -> set[str]:
    """The names an expression takes from outside, those bound within among them."""
    return {
        token.text
        for place, token in enumerate(tokens)
        if token.kind == "name"
        and token.text not in _WORDS
        and (place == 0 or tokens[place - 1].text != ".")
        and (place + 1 == len(tokens) or tokens[place + 1].text != "(")
    }


def _compiled(expression: str) -> "cel.Program | None":
    try:
        return cel.compile(expression)
    except Exception:  # the policy was checked when it was written; what still is no CEL is unknown for everybody
        return None


def _run(program: "cel.Program | None", context: dict[str, Any]) -> bool | int | float | None:
    if program is None:
        return None
    try:
        outcome = program.execute(context)
    except Exception:  # a datum that lacks is a KeyError, and no other error may stop a decision either
        return None
    return outcome if isinstance(outcome, int) or (isinstance(outcome, float) and isfinite(outcome)) else None


class Criterion:
    """One criterion: `text` as it stands in reasons, with what explains it, and what it speaks of by name."""

    def __init__(self, text: str, explained: Mapping[str, Any] | None = None) -> None:
        self.text: Final = text
        self.explained: Final = explained or {}
        self.named: Final = named(text)
        self.expression: Final = Expression(text)
        self._uses: Final = uses(text)

    def of_person(self, person: View, today: datetime) -> tuple[Any, ...]:
        """All that the outcome and what lacks for it depend on of the person: where it asks for no more, these two."""
        if any((*each.household, *each.members) for each in (self._uses, self.named)):
            return tuple([person.get(name) for name in self._uses.person])
        outcome = self.expression.outcome(person, {}, today)
        return outcome, *(self.named.lacking(person, {}) if outcome is None else ())


class Criteria:
    """A programme's criteria, compiled once: those that are named, or else those the expression is split into."""

    def __init__(self, expression: str, named_ones: Sequence[Named] = ()) -> None:
        parts = [Criterion(each.expression, {"code": each.code, "name": each.name.model_dump()}) for each in named_ones]
        if not parts:
            parts = [Criterion(part) for part in split(expression)]
            if not parts or not all(part.expression.compiles for part in parts):
                parts = [Criterion(expression)]
        self.criteria: Final = parts
        self.uses: Final = uses(expression)
        self._macros = [macro for each in self.criteria for macro in each.expression.macros]
        self._rest = uses("&&".join(f"({each.expression.rest}\n)" for each in self.criteria))

    def seen(self, person: View | None, household: View, today: datetime) -> tuple[Any, ...]:
        """All that outcomes and what lacks for them depend on, but the day itself; `today` is the day at midnight."""
        seen = self._rest.values(person, household)
        if not self._macros:
            return seen
        came_to = [macro.outcome(person, household, today) for macro in self._macros]
        return (seen, *came_to, *self.uses.lacking(person, household))

    def of_member(self, member: View, today: datetime) -> tuple[Any, ...]:
        """All that outcomes and what lacks for them depend on of one who lives in the household."""
        return of_member(member, today, self._macros, self.uses, self._rest)

    def of_person(self, person: View, today: datetime) -> tuple[Any, ...]:
        """All that outcomes and what lacks for them depend on of the person they are of."""
        return tuple([each.of_person(person, today) for each in self.criteria])

    def outcomes(self, person: View | None, household: View, today: datetime) -> list[bool | None]:
        """Each criterion's outcome."""
        return [each.expression.outcome(person, household, today) for each in self.criteria]


def of_member(member: View, today: datetime, macros: Sequence[Macro], whole: Uses, rest: Uses) -> tuple[Any, ...]:
    """All that an expression depends on of a member, given its macros and what all of it uses, and the rest beside
    these: what the macros come to and what lacks, where they take members one by one; else the values themselves.
    """
    if not all(macro.alone for macro in macros):
        return tuple([member.get(name) for name in whole.members])
    return (
        tuple([macro.of(member, None, {}, today) for macro in macros]),
        tuple([name in member for name in whole.members]),
        tuple([member.get(name) for name in rest.members]),
    )


def both(outcomes: Sequence[bool | None]) -> bool | None:
    """What outcomes joined by and come to."""
    if False in outcomes:
        return False
    return None if None in outcomes else True
