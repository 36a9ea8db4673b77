"""The policy file: programmes, pair rules, criteria, sources and routes, as the province decides them.

Invariants:
- ids and codes are strings and nothing else: a number or a date that YAML makes of an unquoted one is a mistake;
- `check` tells every mistake it can see, each with its line, and `load` returns only a policy without any;
- a policy read from its topic is judged by its shape alone (`from_document`), unknown fields ignored, so that a
  service one release behind goes on; the authoring check refuses them, since most are misspelt;
- written as a document and read again a policy is the same.
"""

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from math import isfinite
from typing import Annotated, Any, Final, Literal, TypeGuard, TypeVar, get_args, get_type_hints
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from . import criteria, regions
from .envelope import AGENCY_ID_PATTERN, agency_source
from .events.fields import DATE_PATTERN, REGION_PATTERN
from .events.ours import CaseTold
from .events.reports import ReportKind
from .mistakes import Form, Severity, Why, Wrong, near, wrong
from .receipts import ReasonName

#: The rule every policy has without saying so: one person, one programme, shared days.
BUILT_IN_RULE: Final = "same-programme-same-person"

# --- types ------------------------------------------------------------------------------------------------------


def _misformed(form: Form) -> PydanticCustomError:
    """What is wrong with a value, for `_explained` by its name, for whoever else reads it in words."""
    return PydanticCustomError(form, "{told}", {"told": str(wrong(form))})


def _to_date(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(DATE_PATTERN, value, re.ASCII):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


_DURATION: Final = re.compile(
    r"P(?=[0-9T])(?:[0-9]+W)?(?:[0-9]+D)?(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+(?:\.[0-9]+)?S)?)?"
)
_duration: Final = TypeAdapter(timedelta)


def _to_duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and _DURATION.fullmatch(value):
        try:
            parsed = _duration.validate_python(value)
        except ValidationError:
            parsed = timedelta()
        if parsed > timedelta():
            return parsed
    raise _misformed("duration")


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise _misformed("time_zone") from None
    return value


def _json(value: object) -> object:
    """Free-form settings as JSON can carry them."""
    rest = [value]
    while rest:
        match rest.pop():
            case None | bool() | str():
                pass
            case int(number) if abs(number) < 2**63:
                pass
            case float(number) if isfinite(number):
                pass
            case list(items):
                rest += items
            case dict(fields):
                if not all(isinstance(key, str) for key in fields):
                    raise _misformed("json_key")
                rest += fields.values()
            case _:
                raise _misformed("json_value")
    return value


def _iso(value: timedelta) -> str:
    return str(_duration.dump_python(value, mode="json"))


# No control characters, no blank at either end: an id is compared by its code points.
_PRINTED: Final = r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$"
_NAME: Final = Field(min_length=1, pattern=r"^[^\x00]*$")
Name = Annotated[str, _NAME]
Code = Annotated[str, Field(max_length=128, pattern=_PRINTED)]
AgencyId = Annotated[str, Field(pattern=f"^{AGENCY_ID_PATTERN}$")]
PolicyDate = Annotated[date, BeforeValidator(_to_date)]
Duration = Annotated[
    timedelta,
    BeforeValidator(_to_duration),
    PlainSerializer(_iso, return_type=str),
    WithJsonSchema({"type": "string", "format": "duration"}),
]
Json = Annotated[Any, AfterValidator(_json)]
Verdict = Literal["exclusive", "review", "complementary"]
Scope = Literal["person", "household"]
Right = Literal["read", "disclose", "merge", "resolve", "waive", "policy", "operate"]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _null_means_absent(cls, value: object) -> object:
        if isinstance(value, dict):
            return {name: part for name, part in value.items() if part is not None}
        return value


class Effective(_Part):
    """The days something is in force, both inclusive; a missing end is open."""

    from_: PolicyDate | None = Field(default=None, alias="from")
    to: PolicyDate | None = None

    def holds(self, day: date) -> bool:
        """Whether the day lies within."""
        return (self.from_ is None or self.from_ <= day) and (self.to is None or day <= self.to)

    def meets(self, other: "Effective") -> bool:
        """Whether the two share a day."""
        first = max(self.from_ or date.min, other.from_ or date.min)
        last = min(self.to or date.max, other.to or date.max)
        return first <= last


class Named(_Part):
    """A name in Indonesian and English."""

    id: Name
    en: Name


class Agency(_Part):
    """Who may send events, of which programmes, and how far its word is trusted (1 the most)."""

    id: AgencyId
    name: Name
    programmes: list[Code]
    trust_rank: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    rights: list[Right] = []
    silent_after: Duration | None = None
    contact: dict[str, Name] = {}


Amount = Annotated[int, Field(ge=0, le=2**63 - 1)]
Period = Literal["day", "month", "two_months", "quarter", "half_year", "year", "once"]
#: What a programme is for, of the three ways out of extreme poverty (Inpres 4/2022): less to bear, more to earn, fewer
#: pockets of poverty.
Strategy = Literal["lower_burdens", "raise_incomes", "shrink_pockets"]
Finite = Annotated[float, Field(allow_inf_nan=False)]
AreaCode = Annotated[str, Field(pattern=REGION_PATTERN)]


class Criterion(_Part):
    """A criterion of a programme by its code, explained by its name."""

    code: Code
    name: Named
    expression: Name


AreaLevel = Literal["province", "kabupaten", "kecamatan", "kelurahan"]


class Quota(_Part):
    """So many packages a round; with `per`, in each area of that level."""

    packages: Annotated[int, Field(ge=1, le=10_000_000)]
    per: AreaLevel | None = None

    @classmethod
    def of(cls, told: object) -> "Quota | None":
        """What a programme's `quota` says: a number, or {packages, per}; None where it says anything else."""
        try:
            return cls.model_validate({"packages": told} if isinstance(told, int) else told, extra="forbid")
        except ValidationError:
            return None

    def places(self, region: str) -> int | None:
        """The packages of a round in an area; None where the quota is for areas of another level."""
        levels: tuple[AreaLevel, ...] = ("province", "kabupaten", "kecamatan", "kelurahan")
        return self.packages if self.per in (None, levels[region.count(".")]) else None


class Component(_Part):
    """What a programme pays for one person who meets `criteria`: rupiah a period."""

    code: Code
    name: Named
    criteria: Name
    amount: Amount


class Target(_Part):
    """So many kelurahan and desa are to take part by a day."""

    by: PolicyDate
    kelurahan: Annotated[int, Field(ge=1, le=100_000)]


class Adoption(_Part):
    """How far a programme of neighbours is to spread, the nearest target first."""

    targets: Annotated[list[Target], Field(min_length=1)]


class Programme(_Part):
    """A programme of aid. `repeatable` switches off the rule built in, and only that.

    What is due to the eligible is `amount` rupiah a `period`; or, of its `components`, for each living person the
    highest one they meet the criteria of, at most `most_components` a household, the highest first.

    A policy file may give `criteria` as a list of named ones, all of which must be met. It is then held in
    `named_criteria`, and in `criteria` joined by and: who knows no names decides the same.

    `rank_by` is a number, the higher the earlier, for rounds in which `quota` is less than the eligible are many.

    A programme with `adoption` is one of neighbours, kelurahan by kelurahan: what it gives tops up and never overlaps.
    `strategy` is what its spending is reported under; it decides nothing.
    `regions` are the areas in which it runs, everywhere where none is named.
    """

    code: Code
    name: Named
    unit: Scope
    benefit: Literal["cash", "food", "goods", "service", "capital"] | None = None
    repeatable: bool = False
    criteria: Name | None = None
    named_criteria: list[Criterion] = []
    rank_by: Name | None = None
    quota: Json = None
    needs_verification: bool = False
    amount: Amount | None = None
    period: Period | None = None
    components: list[Component] = []
    most_components: Annotated[int, Field(ge=1)] | None = None
    adoption: Adoption | None = None
    strategy: Strategy | None = None
    regions: list[AreaCode] = []
    basis: str = ""
    effective: Effective = Effective()

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(listed := value.get("criteria"), list):
            return {**value, "criteria": _joined(listed), "named_criteria": listed}
        return value


def _joined(listed: list[Any]) -> str:
    """Named criteria as one; an expression that ends in a comment ends with its line."""
    told = [each["expression"] for each in listed if isinstance(each, dict) and isinstance(each.get("expression"), str)]
    return " && ".join(f"({text}\n)" if "//" in text else f"({text})" for text in told) or ("true" if listed else "")


class Variable(_Part):
    """What a score counts of a household: a number in CEL, or true and false as 1 and 0, times its weight."""

    code: Code
    name: Named
    value: Name
    weight: Finite


class Score(_Part):
    """A proxy of a household's welfare: `intercept` and the sum of its variables' points, the higher the better off.

    `deciles` are the nine values from which on a household is in decile 2, 3 … 10; below the first it is in decile 1,
    the poorest. It is a proxy: nobody measured welfare, and the coefficients of DTSEN are not public.
    """

    code: Code
    name: Named
    intercept: Finite = 0.0
    variables: Annotated[list[Variable], Field(min_length=1)]
    deciles: Annotated[list[Finite], Field(min_length=9, max_length=9)]


class OverlapRule(_Part):
    """What holds when payouts of two programmes (or twice of one) meet in a person or a household."""

    id: Code
    programmes: Annotated[list[Code], Field(min_length=2, max_length=2)]
    scope: Scope
    verdict: Verdict
    effective: Effective = Effective()
    basis: str = ""
    prefer: Code | None = None

    @property
    def pair(self) -> tuple[str, str]:
        """The two programmes in order, so that equal pairs compare equal."""
        first, second = sorted(self.programmes)
        return first, second


class Area(_Part):
    """An area newer than the list the contracts carry."""

    code: AreaCode
    name: Name


#: What agencies may say of a person otherwise than one another.
PersonField = Literal[
    "name", "sex", "birth_date", "region", "deceased_on", "decile", "pmt_score", "occupation", "disability",
    "pregnant", "school_level", "orphan", "rights_violation", "ppks",
]  # fmt: skip


def _to_kept(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"P[1-9][0-9]{0,3}[YMD]", value, re.ASCII):
        return value
    raise _misformed("kept")


Kept = Annotated[str, BeforeValidator(_to_kept)]


class Retention(_Part):
    """How long what was told of persons is kept, as a period of ISO 8601: P10Y, P18M or P90D.

    `payouts` counts from the last day a payout covers, `reports` from the day a report was filed, `verifications` from
    the day of the visit, `notices` from the day one ended. As long as a payout of theirs is kept, nobody's identity is
    erased.
    """

    payouts: Kept = "P10Y"
    reports: Kept = "P5Y"
    verifications: Kept = "P5Y"
    notices: Kept = "P1Y"


def kept_since(period: str, day: date) -> date:
    """The first day of which something is still kept on `day`, for a period of `Retention`."""
    return _later(day, period, -1)


def kept_until(period: str, day: date) -> date:
    """The last day on which what was on `day` is still kept, for a period of `Retention`."""
    return _later(day, period, 1)


def _later(day: date, period: str, times: Literal[-1, 1]) -> date:
    """The day so many periods later, the last of its month where it has fewer days; at most the calendar's ends."""
    count, unit = times * int(period[1:-1]), period[-1]
    if unit == "D":
        return date.fromordinal(min(max(day.toordinal() + count, 1), date.max.toordinal()))
    year, month = divmod(day.year * 12 + day.month - 1 + count * (12 if unit == "Y" else 1), 12)
    if not date.min.year <= year <= date.max.year:
        return date.min if year < date.min.year else date.max
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _no_longer_than_a_year(value: timedelta) -> timedelta:
    if value > timedelta(days=366):
        raise _misformed("term")
    return value


Term = Annotated[Duration, AfterValidator(_no_longer_than_a_year)]


class Cases(_Part):
    """How people resolve overlaps. What is left out is not asked: no deadline, and one person may let any amount go.

    `within` so long an exclusive overlap must be resolved, from when it was announced, and any other that somebody has
    taken up, from then. Above `waive_alone_up_to` rupiah at risk an exclusive overlap is let go by a waiver alone, and
    any waiver takes two people.
    """

    within: Term | None = None
    waive_alone_up_to: Amount | None = None


class Policy(_Part):
    """One version of the policy, whole.

    `resolve` says of a field whose word holds where agencies differ: that of the most trusted (`trust`, which is so
    unless said otherwise) or that told last (`recency`).
    """

    version: Code
    secret_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")] = "main"  # noqa: S105 (its name, not its value)
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "Asia/Jakarta"
    agencies: list[Agency]
    programmes: list[Programme]
    overlap_rules: list[OverlapRule]
    score: Score | None = None
    regions: list[Area] = []
    retention: Retention = Retention()
    cases: Cases = Cases()
    resolve: dict[PersonField, Literal["trust", "recency"]] = {}
    routes: Json = None

    def document(self) -> dict[str, Any]:
        """The policy as JSON: what stands in `data` on policy.v1."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


#: The steps a report from below climbs, from the ground up.
Step = Literal["rt", "kelurahan", "kecamatan", "kota", "province"]
STEPS: Final[tuple[Step, ...]] = get_args(Step)


class Neighbours(_Part):
    """Active institutions of the community that cover a report's region are asked before any agency.

    They have `within` to answer. `institutions` names the kinds that are asked (WKSBM, PSM…), `kinds` the kinds of
    report that go to them; each is all where it is left out.
    """

    within: Term
    institutions: list[Name] = []
    kinds: list[ReportKind] = []


class StepTerms(_Part):
    """A step and its terms: a report must be answered `within`, and, once acknowledged, be resolved within `resolve`
    (`within` again where that is left out); else it climbs to the next step.
    """

    step: Step
    within: Term
    resolve: Term | None = None


class InCharge(_Part):
    """The agency that has charge of reports at a step: of those from `region` and below (all), of `kinds` (all).

    `within` is a deadline of its own, such as for fire. Of several that fit the one with the narrowest region has
    charge, then one that names the kind, then the first.
    """

    step: Step
    agency: AgencyId
    region: Annotated[str, Field(pattern=REGION_PATTERN)] | None = None
    kinds: list[ReportKind] = []
    within: Term | None = None


class ReportRoutes(_Part):
    """How reports from below go: `routes.reports` of a policy."""

    neighbours: Neighbours | None = None
    steps: Annotated[list[StepTerms], Field(min_length=1)]
    in_charge: list[InCharge]


def report_routes(routes: object) -> ReportRoutes | None:
    """How a policy's `routes` let reports go; none where they say nothing that can be read so.

    `routes` are free JSON to a service: a policy from before reports were routed still loads.
    """
    try:
        return ReportRoutes.model_validate(routes["reports"]) if isinstance(routes, dict) else None
    except (KeyError, ValidationError):
        return None


#: What notices tell of; a kind that no route names is told as where there are no routes for notices.
NoticeKind = Literal["overlap", "case", "finding", "report", "suspect", "rejection"]
NOTICE_KINDS: Final[tuple[NoticeKind, ...]] = get_args(NoticeKind)
#: The agencies that a notice is about: of the payouts, in charge of the report, with the right to merge.
CONCERNED: Final = "concerned"


def _clock(value: str) -> str:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value, re.ASCII):
        raise _misformed("clock")
    return value


Clock = Annotated[str, AfterValidator(_clock)]


class Quiet(_Part):
    """Hours, by the clocks of the region, in which nobody is told anything; `to` is the first that is not quiet."""

    from_: Clock = Field(alias="from")
    to: Clock


class Addressees(_Part):
    """Who is told: an `agency` by its id, or those `concerned`; or of a group of `recipients` those whose region holds
    that of the cause, and those without a region.
    """

    agency: Name | None = None
    officers: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> "Addressees":
        if (self.agency is None) == (self.officers is None):
            raise _misformed("addressees")
        return self


class NoticeLevel(_Part):
    """Who is told when nobody below has acknowledged in time; channels and language of the route where left out."""

    to: Addressees
    channel: Annotated[list[Name], Field(min_length=1)] | None = None
    language: Literal["id", "en"] | None = None


class Acknowledge(_Part):
    """Somebody must acknowledge `within` so long of being told; else the next of `then` are told, and so on."""

    within: Term
    then: list[NoticeLevel] = []


class NoticeRoute(_Part):
    """Who is told of causes of these `kinds`, and how.

    Where they are given, a cause must be of one of the `verdicts`, of `at_least` so many rupiah, of one of the
    `programmes`, and within `region`. A verdict is an overlap's, the act of a case, the rule of a finding, the kind of
    a report or a suspect, the reason of a rejection. `channel` is an order of preference. `digest` gathers for the
    hour of the digests; so do rejections always. Of routes that reach one recipient the first counts.
    """

    kinds: Annotated[list[NoticeKind], Field(min_length=1)]
    verdicts: list[Name] = []
    at_least: Amount | None = None
    programmes: list[Code] = []
    region: Annotated[str, Field(pattern=REGION_PATTERN)] | None = None
    to: Addressees
    channel: Annotated[list[Name], Field(min_length=1)] = ["email"]
    language: Literal["id", "en"] | None = None
    when: Literal["at_once", "digest"] = "at_once"
    quiet: Quiet | None = None
    at_most_a_day: Annotated[int, Field(ge=1, le=1_000)] | None = None
    acknowledge: Acknowledge | None = None


class Officer(_Part):
    """Somebody who is told, of a group of `routes.recipients`: their region and contact. The name is theirs alone
    within the group.
    """

    name: Name
    role: Literal["rt", "rw", "lurah", "institution", "officer", "operator"]
    region: Annotated[str, Field(pattern=REGION_PATTERN)] | None = None
    contact: dict[str, Name] = {}
    language: Literal["id", "en"] | None = None


@dataclass(frozen=True, slots=True)
class NoticeRoutes:
    """Who is told what: `routes.notices` and `routes.recipients` of a policy."""

    notices: tuple[NoticeRoute, ...] = ()
    recipients: Mapping[str, tuple[Officer, ...]] = field(default_factory=dict)


def notice_routes(routes: object) -> NoticeRoutes:
    """How a policy's `routes` let notices go, as far as they can be read: what cannot is passed over."""
    told = routes if isinstance(routes, dict) else {}
    groups = told.get("recipients")
    return NoticeRoutes(
        tuple(_readable(NoticeRoute, told.get("notices"))),
        {
            name: tuple(_readable(Officer, members))
            for name, members in (groups.items() if isinstance(groups, dict) else ())
        },
    )


P = TypeVar("P", bound=_Part)


def _readable(part: type[P], listed: object) -> Iterator[P]:
    for each in listed if isinstance(listed, list) else ():
        with suppress(ValidationError):
            yield part.model_validate(each)


# --- reading ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with a policy file: where it stands (from 1), what it is about, what to do, in both languages."""

    line: int
    column: int
    path: str
    message: str
    severity: Severity = "mistake"

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.path or 'policy'} {self.message}"


def _mistake(line: int, column: int, path: str, told: Wrong) -> Mistake:
    return Mistake(line, column, path, str(told), told.severity)


class PolicyError(ValueError):
    """A policy with mistakes; `mistakes` has them all."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


def load(text: str) -> Policy:
    """The policy a file holds. Raises PolicyError with every mistake found; contradictions and advice pass."""
    policy, told = _read(text)
    mistakes = [each for each in told if each.severity == "mistake"]
    if policy is None or mistakes:
        raise PolicyError(mistakes)
    return policy


def check(text: str) -> list[Mistake]:
    """Every mistake in a policy file, in the order of its lines; none where it may be applied."""
    return _read(text)[1]


def from_document(document: object) -> Policy:
    """The policy as read from its topic. Raises pydantic.ValidationError where its shape is wrong."""
    return Policy.model_validate(document)


Path = tuple[str | int, ...]
Told = tuple[Path, Wrong]
_MAX_NODES: Final = 1_000_000


class _TooLarge(Exception):
    pass


class _Constructor(SafeConstructor):
    """Leaves what looks like a date and is none as text, to be told with its line."""

    def construct_yaml_timestamp(self, node: ScalarNode, values: Any = None) -> Any:
        try:
            return super().construct_yaml_timestamp(node, values)
        except ValueError:
            return str(node.value)


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_timestamp)


def _read(text: str) -> tuple[Policy | None, list[Mistake]]:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    yaml.allow_duplicate_keys = True
    marks: dict[Path, tuple[int, int]] = {}
    try:
        root = yaml.compose(text)
        told = list(_marked(root, (), marks, [0])) if root is not None else []
        document = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        return None, [_mistake(line, column, "", _unread(str(error.problem or error.context)))]
    except (YAMLError, ValueError) as error:
        return None, [_mistake(1, 1, "", wrong("not_yaml", told=error))]
    except (RecursionError, _TooLarge):
        return None, [_mistake(1, 1, "", wrong("too_deep"))]
    policy: Policy | None = None
    try:
        policy = Policy.model_validate(document, extra="forbid")
    except ValidationError as error:
        told += [_explained(detail) for detail in error.errors(include_url=False)]
    if isinstance(document, dict):
        told += _contradictions(document, marks)
    mistakes = {_placed(path, each, marks) for path, each in told}
    return policy, sorted(mistakes, key=lambda m: (m.line, m.column, m.path, m.message))


#: What the library says of a text that is no YAML, as far as people write such.
_NO_YAML: Final[Mapping[str, Why]] = {
    "found character '\\t'": "tab",
    "mapping values are not allowed": "stray_colon",
    "could not find expected ':'": "no_colon",
    "expected <block end>": "indent",
    "expected ',' or": "unclosed",
    "found unexpected end of stream": "unended",
}


def _unread(problem: str) -> Wrong:
    """Why a file is no YAML."""
    known = next((why for said, why in _NO_YAML.items() if problem.startswith(said)), None)
    return wrong(known) if known else wrong("not_yaml", told=problem)


def _marked(node: Node, path: Path, marks: dict[Path, tuple[int, int]], seen: list[int]) -> Iterator[Told]:
    """Note where every value stands, and tell the keys that stand twice."""
    seen[0] += 1
    if seen[0] > _MAX_NODES:
        raise _TooLarge
    marks.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _marked(item, (*path, index), marks, seen)
    elif isinstance(node, MappingNode):
        found: set[str] = set()
        for key, value in node.value:
            name = str(key.value) if isinstance(key, ScalarNode) else "?"
            below = (*path, name)
            here = (key.start_mark.line + 1, key.start_mark.column + 1)
            marks.setdefault(below, here)
            if name in found:
                marks[(*below, "again")] = here
                yield (*below, "again"), wrong("twice_here")
            found.add(name)
            yield from _marked(value, below, marks, seen)


def _placed(path: Path, told: Wrong, marks: Mapping[Path, tuple[int, int]]) -> Mistake:
    at = path = tuple("criteria" if part == "named_criteria" and path not in marks else part for part in path)
    while at and at not in marks:
        at = at[:-1]
    line, column = marks.get(at, (1, 1))
    shown = path[:-1] if path and path[-1] == "again" else path
    return _mistake(line, column, "/".join(str(p) for p in shown), told)


_FIELDS: Final = frozenset(
    known.alias or name
    for part in (
        Policy,
        Agency,
        Programme,
        Criterion,
        Component,
        Adoption,
        Target,
        Score,
        Variable,
        OverlapRule,
        Effective,
        Named,
        Area,
        Retention,
        Cases,
        ReportRoutes,
        Neighbours,
        StepTerms,
        InCharge,
        NoticeRoute,
        NoticeLevel,
        Addressees,
        Acknowledge,
        Quiet,
        Officer,
    )
    for name, known in part.model_fields.items()
)


def _explained(detail: ErrorDetails) -> Told:
    """What is wrong with the shape, of what Pydantic says of it."""
    path, given, limits = detail["loc"], detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            told = wrong("no_field", near=near(str(path[-1]), _FIELDS))
        case "string_type" if isinstance(given, (dict, list)):
            told = wrong("neither_text")
        case "string_pattern_mismatch" | "string_too_short" | "string_too_long":
            told = wrong(_OF_FIELD.get(_last_name(path), "empty"))
        case "too_short" if given:
            told = wrong("too_few", least=limits["min_length"], given=limits["actual_length"])
        case "too_long":
            told = wrong("too_many", most=limits["max_length"], given=limits["actual_length"])
        case "literal_error":
            choices = limits["expected"].replace("'", "")
            told = wrong("no_choice", choices=(choices, choices.replace(" or ", " atau ")))
        case "greater_than_equal":
            told = wrong("at_least", least=limits["ge"])
        case "less_than_equal":
            told = wrong("at_most", most=limits["le"])
        case kind:
            told = wrong(_OF_TYPE.get(kind, "unfit"))
    return path, told


def _last_name(path: Path) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


_OF_TYPE: Final[Mapping[str, Why]] = {
    "missing": "missing", "string_type": "not_text", "model_type": "no_mapping", "dict_type": "no_mapping",
    "invalid_key": "key_not_text", "date_type": "no_date", "date_from_datetime_parsing": "no_date",
    "date_parsing": "no_date", "date_from_datetime_inexact": "no_date", "too_short": "empty", "int_type": "no_whole",
    "float_type": "no_number", "finite_number": "not_finite", "bool_type": "no_boolean", "list_type": "no_list",
    **{form: form for form in get_args(Form)},
}  # fmt: skip
_OF_FIELD: Final[Mapping[str, Why]] = {
    "version": "of_version", "secret_id": "of_secret_id", "id": "of_id", "code": "of_code",
    "programmes": "of_programmes", "prefer": "of_prefer", "regions": "of_regions",
}  # fmt: skip


def _contradictions(document: Mapping[Any, Any], marks: Mapping[Path, tuple[int, int]]) -> Iterator[Told]:
    """What the shape cannot say. Works on whatever is there, so that one mistake does not hide another."""
    agencies = list(_listed(document, "agencies"))
    programmes = list(_listed(document, "programmes"))
    rules = list(_listed(document, "overlap_rules"))
    codes = {p["code"] for _, p in programmes if isinstance(p.get("code"), str)}
    for items, key in ((agencies, "id"), (programmes, "code"), (rules, "id"), (_listed(document, "regions"), "code")):
        yield from _repeated(((*path, key), item.get(key)) for path, item in items)
    if document.get("secret_id") == "seal":
        yield ("secret_id",), wrong("sealed")
    for path, agency in agencies:
        yield from _addresses(path, agency.get("contact"))
        listed = [((*path, "programmes", n), code) for n, code in _texts(agency.get("programmes"))]
        yield from _repeated(listed)
        yield from _unknown(listed, codes)
    for path, programme in programmes:
        yield from _inverted(path, programme)
        wants: tuple[tuple[str, criteria.Wanted], ...] = (("criteria", "bool"), ("rank_by", "rank"))
        for key, wanted in wants:
            yield from _cel((*path, key), programme.get(key), wanted)
        yield from _criteria(path, programme)
        if programme.get("quota") is not None and Quota.of(programme["quota"]) is None:
            yield (*path, "quota"), wrong("no_quota")
        yield from _amounts(path, programme)
        yield from _adopted(path, programme, rules)
        yield from _subjects(path, programme)
        yield from _runs_in(path, programme, document)
    yield from _scoring(document, programmes)
    for path, rule in rules:
        yield from _inverted(path, rule)
        pair = list(_texts(rule.get("programmes")))
        yield from _unknown((((*path, "programmes", n), code) for n, code in pair), codes)
        if rule.get("id") == BUILT_IN_RULE:
            yield (*path, "id"), wrong("built_in_id")
        if isinstance(prefer := rule.get("prefer"), str) and prefer not in {code for _, code in pair}:
            yield (*path, "prefer"), wrong("prefers_other")
    yield from _between(
        _dated(rules, {str(p.get("code")) for _, p in programmes if p.get("repeatable") is True}, marks)
    )
    yield from _out_of_time(rules, programmes)
    known = {a["id"] for _, a in agencies if isinstance(a.get("id"), str)}
    yield from _reports(document, known)
    yield from _notices(document, known, codes)


def _cel(path: Path, expression: object, wanted: criteria.Wanted) -> Iterator[Told]:
    """What is wrong with an expression, or else what to think of."""
    if isinstance(expression, str):
        mistakes = criteria.mistakes(expression, wanted)
        for told in mistakes or (*criteria.unheard_of(expression), *criteria.needless(expression)):
            yield path, told


def _amounts(path: Path, programme: Mapping[str, Any]) -> Iterator[Told]:
    """What does not fit together in what a programme pays."""
    components = list(_listed(programme, "components"))
    yield from _repeated(((*path, *below, "code"), component.get("code")) for below, component in components)
    for below, component in components:
        yield from _cel((*path, *below, "criteria"), component.get("criteria"), "bool")
    if components and programme.get("amount") is not None:
        yield (*path, "amount"), wrong("by_component")
    if programme.get("most_components") is not None and not components:
        yield (*path, "most_components"), wrong("needs_components")
    pays = "components" if components else "amount" if programme.get("amount") is not None else ""
    if pays and programme.get("period") is None:
        yield (*path, pays), wrong("needs_period")
    if pays and programme.get("criteria") is None:
        yield (*path, pays), wrong("due_to_nobody")
    paying = [(below, each) for below, each in components if isinstance(each.get("amount"), int)]
    paying.sort(key=lambda each: -each[1]["amount"])  # the highest first, of equal ones that which stands first
    for place, before in criteria.covered([str(each.get("criteria")) for _, each in paying]).items():
        yield (*path, *paying[place][0], "criteria"), wrong("never_due", code=paying[before][1].get("code"))


def _adopted(path: Path, programme: Mapping[str, Any], rules: list[tuple[Path, dict[str, Any]]]) -> Iterator[Told]:
    """What is wrong with a programme of neighbours: targets that do not follow one another, aid that would overlap."""
    if not isinstance(adoption := programme.get("adoption"), dict):
        return
    dated: list[tuple[Path, Target]] = []
    for below, each in _listed(adoption, "targets"):
        with suppress(ValidationError):  # told by its shape
            dated.append(((*path, "adoption", *below), Target.model_validate(each)))
    for (_, before), (at, target) in pairwise(dated):
        if target.by <= before.by:
            yield (*at, "by"), wrong("not_after", day=before.by)
        elif target.kelurahan < before.kelurahan:
            yield (*at, "kelurahan"), wrong("fewer", count=before.kelurahan)
    if programme.get("repeatable") is not True:
        yield (*path, "adoption"), wrong("not_repeatable")
    for at, rule in rules:
        if rule.get("verdict") in ("exclusive", "review") and programme.get("code") in (rule.get("programmes") or ()):
            yield (*at, "verdict"), wrong("neighbours_overlap", code=programme.get("code"))


def _runs_in(path: Path, programme: Mapping[str, Any], document: Mapping[Any, Any]) -> Iterator[Told]:
    """What is wrong with the areas in which a programme runs."""
    known = _added(document)
    listed = [((*path, "regions", n), code) for n, code in _texts(programme.get("regions"))]
    yield from _repeated(listed)
    for at, code in listed:
        others = [other for _, other in listed if other != code]
        if _fits(code, REGION_PATTERN) and code not in known and not regions.known(code):
            yield at, wrong("no_area")
        elif regions.holds(others, code):
            yield at, wrong("within_another")


def _criteria(path: Path, programme: Mapping[str, Any]) -> Iterator[Told]:
    """What is wrong with criteria that are named; `named_criteria` is where a policy as written by us has them."""
    key = "criteria" if isinstance(programme.get("criteria"), list) else "named_criteria"
    named = list(_listed(programme, key))
    yield from _repeated(((*path, *below, "code"), each.get("code")) for below, each in named)
    for below, each in named:
        yield from _cel((*path, *below, "expression"), each.get("expression"), "bool")
    told = [each["expression"] for _, each in named if isinstance(each.get("expression"), str)]
    if len(told) > 1 and not any(map(criteria.mistakes, told)):  # what each asks for alone was told
        yield from (((*path, key), mistake) for mistake in criteria.mistakes(_joined([each for _, each in named])))
    if key == "named_criteria" and named and programme.get("criteria") != _joined(programme[key]):
        yield (*path, "criteria"), wrong("says_otherwise")


def _asked(path: Path, programme: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """A programme's criteria, one or named, and what it ranks by."""
    for key in ("criteria", "rank_by"):
        if isinstance(expression := programme.get(key), str) and not (
            key == "criteria" and programme.get("named_criteria")
        ):
            yield (*path, key), expression
    for key in ("criteria", "named_criteria"):
        for below, each in _listed(programme, key):
            if isinstance(expression := each.get("expression"), str):
                yield (*path, *below, "expression"), expression


def _subjects(path: Path, programme: Mapping[str, Any]) -> Iterator[Told]:
    """A programme of households that asks for a person: nobody could meet it."""
    if programme.get("unit") == "household":
        for at, expression in _asked(path, programme):
            if "person" in criteria.speaks_of(expression):
                yield at, wrong("no_person_there")


def _scoring(document: Mapping[Any, Any], programmes: list[tuple[Path, dict[str, Any]]]) -> Iterator[Told]:
    """What is wrong with the score, and who asks for one where there is none."""
    score, asked = document.get("score"), False
    for path, programme in programmes:
        paid = [((*path, *below, "criteria"), each.get("criteria")) for below, each in _listed(programme, "components")]
        for at, expression in (*_asked(path, programme), *paid):
            if isinstance(expression, str) and (fields := criteria.scored(expression)):
                asked = True
                if score is None:
                    yield at, wrong("no_score", field=fields[0])
    if not isinstance(score, dict):
        return
    if not asked:
        yield ("score",), wrong("score_unasked")
    variables = [(("score", *below), each) for below, each in _listed(score, "variables")]
    yield from _repeated(((*path, "code"), each.get("code")) for path, each in variables)
    for path, variable in variables:
        if not isinstance(value := variable.get("value"), str):
            continue
        for told in criteria.values(value) or criteria.unheard_of(value):
            yield (*path, "value"), told
        if "person" in criteria.speaks_of(value):
            yield (*path, "value"), wrong("score_of_person")
        if criteria.scored(value):
            yield (*path, "value"), wrong("score_of_score")
    cuts = [each for each in score.get("deciles") or () if isinstance(each, (int, float))]
    if any(one >= other for one, other in pairwise(cuts)):
        yield ("score", "deciles"), wrong("not_ascending")


@dataclass(frozen=True, slots=True)
class _Dated:
    """A rule as far as its days are concerned: `to` is the day after its last."""

    path: Path
    line: int
    id: str
    verdict: str
    from_: int
    to: int

    @property
    def order(self) -> tuple[int, str]:
        """Which of two rules decides on a day they share: the lesser in this."""
        return _STRENGTH.index(self.verdict), self.id


_STRENGTH: Final = ("exclusive", "review", "complementary")
_ALL_DAYS: Final = (date.min.toordinal(), date.max.toordinal() + 1)


def _dated(
    rules: list[tuple[Path, dict[str, Any]]], repeatable: set[str], marks: Mapping[Path, tuple[int, int]]
) -> dict[tuple[str, str, str], list[_Dated]]:
    """The rules of each pair and scope, that built in among them (its path is empty)."""
    found: dict[tuple[str, str, str], list[_Dated]] = {}
    for path, rule in rules:
        pair = sorted(code for _, code in _texts(rule.get("programmes")))
        scope, verdict, name, days = rule.get("scope"), rule.get("verdict"), rule.get("id"), _effective(rule)
        known = verdict in _STRENGTH and scope in ("person", "household") and isinstance(name, str)
        if len(pair) != 2 or not known or days is None:
            continue
        first = (days.from_ or date.min).toordinal()
        last = (days.to or date.max).toordinal()
        group = found.setdefault((pair[0], pair[1], str(scope)), [])
        if not group and scope == "person" and pair[0] == pair[1] and pair[0] not in repeatable:
            group.append(_Dated((), 0, BUILT_IN_RULE, "exclusive", *_ALL_DAYS))
        if first <= last:
            group.append(_Dated(path, marks.get(path, (1, 1))[0], str(name), str(verdict), first, last + 1))
    return found


def _left(rule: _Dated, others: Iterable[_Dated]) -> list[tuple[int, int]]:
    """The days of a rule that none of the others has."""
    left, at = [], rule.from_
    for other in sorted(others, key=lambda each: each.from_):
        if at < (until := min(other.from_, rule.to)):
            left.append((at, until))
        at = max(at, other.to)
    return [*left, (at, rule.to)] if at < rule.to else left


def _between(group: Mapping[tuple[str, str, str], list[_Dated]]) -> Iterator[Told]:
    """What rules of one pair and scope do to one another: contradict, shadow, leave days to nobody."""
    for (one, other, scope), rules in group.items():
        beside = group.get((one, other, "household" if scope == "person" else "person"), ())
        for place, rule in enumerate(rules):
            for before in rules[:place]:
                if before.path and before.verdict != rule.verdict and before.from_ < rule.to and rule.from_ < before.to:
                    yield (*rule.path, "verdict"), _contradicts(before, rule)
            yield from _shadowed(rule, [each for each in rules if each.order < rule.order])
        dated = sorted(rules, key=lambda each: (each.from_, each.to))
        until, last = (dated[0].to, dated[0]) if dated else (0, None)
        for rule in dated[1:]:
            gap = _Dated((), 0, "", "review", until, rule.from_)
            if last is not None and until < rule.from_ and _left(gap, beside):
                begins, ends = date.fromordinal(until), date.fromordinal(rule.from_ - 1)
                yield (*rule.path, "effective"), wrong("gap", first=begins, last=ends, line=last.line)
            if rule.to > until:
                until, last = rule.to, rule


def _contradicts(one: _Dated, other: _Dated) -> Wrong:
    weaker, stronger = (one, other) if other.order < one.order else (other, one)
    if _left(weaker, [stronger]):
        return wrong("contradicts", line=one.line)
    return wrong("contradicts_all", line=one.line, weaker=weaker.line)


def _shadowed(rule: _Dated, winning: list[_Dated]) -> Iterator[Told]:
    """A rule that decides on no day. Where one rule of another verdict is why, that was told as a contradiction."""
    if not rule.path or _left(rule, winning):
        return
    if not all(each.path for each in winning):
        yield (*rule.path, "id"), wrong("never_decides_built_in", rule=BUILT_IN_RULE)
    elif all(each.verdict == rule.verdict or _left(rule, [each]) for each in winning):
        lines = ", ".join(str(each.line) for each in winning if each.from_ < rule.to and rule.from_ < each.to)
        yield (*rule.path, "id"), wrong("never_decides", lines=lines)


def _out_of_time(
    rules: list[tuple[Path, dict[str, Any]]], programmes: list[tuple[Path, dict[str, Any]]]
) -> Iterator[Told]:
    """Rules that begin when a programme of theirs has ended."""
    ends = {
        programme.get("code"): days.to
        for path, programme in programmes
        if (days := _effective(programme)) is not None and not list(_inverted(path, programme))
    }
    for path, rule in rules:
        days = _effective(rule)
        for _, code in _texts(rule.get("programmes")):
            last = ends.get(code)
            if days is not None and days.from_ is not None and last is not None and last < days.from_:
                yield (*path, "effective"), wrong("begins_after", code=code, day=last)


def _reports(document: Mapping[Any, Any], agencies: set[str]) -> Iterator[Told]:
    """What is wrong with how reports go, or else what to think of."""
    routes = document.get("routes")
    if not isinstance(routes, dict) or routes.get("reports") is None:
        return
    at: Path = ("routes", "reports")
    if isinstance(routes["reports"], dict):
        yield from (((*at, *path), message) for path, message in _named_in(routes["reports"], document, agencies))
    try:
        told = ReportRoutes.model_validate(routes["reports"], extra="forbid")
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            path, message = _explained(detail)
            yield (*at, *path), message
        return
    taken: set[tuple[object, ...]] = set()
    for n, one in enumerate(told.in_charge):
        same = {(one.step, one.region, kind) for kind in one.kinds or (None,)}
        if same <= taken:
            yield (*at, "in_charge", n), wrong("same_charge")
        taken |= same
    yield from _in_nobodys_charge(told, at)


def _named_in(routes: Mapping[str, Any], document: Mapping[Any, Any], agencies: set[str]) -> Iterator[Told]:
    """Steps, agencies and areas that do not fit the rest, as far as they can be read: what cannot hides none."""
    steps = [(path, step) for path, each in _listed(routes, "steps") if (step := each.get("step")) in STEPS]
    whole = len(steps) == len(routes["steps"]) if isinstance(routes.get("steps"), list) else False
    for (_, below), (path, step) in pairwise(steps):
        if STEPS.index(step) <= STEPS.index(below):
            yield (*path, "step"), wrong("climbs", below=below, steps=" → ".join(STEPS))
    known = _added(document)
    for path, one in _listed(routes, "in_charge"):
        agency, step, region = one.get("agency"), one.get("step"), one.get("region")
        if _fits(agency, AGENCY_ID_PATTERN) and agency not in agencies:
            yield (*path, "agency"), wrong("no_agency", near=near(agency, agencies))
        if step in STEPS and whole and step not in {named for _, named in steps}:
            yield (*path, "step"), wrong("no_step")
        yield from _nowhere((*path, "region"), region, known)


def _added(document: Mapping[Any, Any]) -> set[str]:
    """The areas a policy adds to the list."""
    return {area["code"] for _, area in _listed(document, "regions") if isinstance(area.get("code"), str)}


def _nowhere(path: Path, region: object, added: set[str]) -> Iterator[Told]:
    if _fits(region, REGION_PATTERN) and region not in added and not regions.known(region):
        yield path, wrong("no_area")


def _notices(document: Mapping[Any, Any], agencies: set[str], programmes: set[str]) -> Iterator[Told]:
    """What is wrong with who is told what, or else what to think of."""
    routes = document.get("routes")
    if not isinstance(routes, dict):
        return
    groups, added = routes.get("recipients"), _added(document)
    if groups is not None and not isinstance(groups, dict):
        yield ("routes", "recipients"), wrong("no_groups")
    groups = groups if isinstance(groups, dict) else {}
    for group, members in groups.items():
        yield from _members(("routes", "recipients", str(group)), members, added)
    told, at = routes.get("notices"), ("routes", "notices")
    if told is not None and not isinstance(told, list):
        yield at, wrong("no_routes")
    yield from _shaped(NoticeRoute, told, at)
    used: set[str] = set()
    for below, route in _listed(routes, "notices"):
        here = ("routes", *below)
        listed = [((*here, "programmes", n), code) for n, code in _texts(route.get("programmes"))]
        yield from _unknown(listed, programmes)
        yield from _nowhere((*here, "region"), route.get("region"), added)
        yield from (((*here, *path), message) for path, message in _of_route(route))
        for path, level in _levels(route):
            to = level["to"] if isinstance(level.get("to"), dict) else {}
            group = str(to.get("officers"))
            used.add(group)
            yield from (((*here, *path, "to", name), message) for name, message in _nobody(to, agencies, groups))
            if group in groups:
                channels = level.get("channel", route.get("channel", ["email"]))
                yield from _unreached(("routes", "recipients", group), groups[group], channels)
    for group in groups.keys() - used:
        yield ("routes", "recipients", str(group)), wrong("told_nothing")


def _members(at: Path, members: object, added: set[str]) -> Iterator[Told]:
    """What is wrong with a group of recipients."""
    if not isinstance(members, list) or not members:
        yield at, wrong("no_people")
    yield from _shaped(Officer, members, at)
    named = [((*at, *path[1:]), each) for path, each in _listed({"": members}, "")]
    yield from _repeated(((*path, "name"), each.get("name")) for path, each in named)
    for path, each in named:
        yield from _nowhere((*path, "region"), each.get("region"), added)
        yield from _addresses(path, each.get("contact"))


def _of_route(route: Mapping[str, Any]) -> Iterator[Told]:
    """What of a route does not fit together."""
    yield from _of_verdicts(route)
    quiet = route.get("quiet")
    if isinstance(quiet, dict) and quiet.get("from") is not None and quiet.get("from") == quiet.get("to"):
        yield ("quiet",), wrong("never_quiet")
    kinds = {kind for _, kind in _texts(route.get("kinds"))}
    if "rejection" in kinds and route.get("when") != "digest":
        yield ("kinds",), wrong("digest_else" if len(kinds) > 1 else "digest")


def _nobody(to: Mapping[str, Any], agencies: set[str], groups: Mapping[Any, Any]) -> Iterator[tuple[str, Wrong]]:
    """Whom an address names and nobody knows."""
    agency, group = to.get("agency"), to.get("officers")
    if isinstance(agency, str) and agency not in {CONCERNED, *agencies}:
        yield "agency", wrong("nobody_concerned", concerned=CONCERNED, near=near(agency, agencies))
    if isinstance(group, str) and group not in groups:
        yield "officers", wrong("no_group", near=near(group, map(str, groups)))


def _shaped(part: type[_Part], listed: object, at: Path) -> Iterator[Told]:
    """What of a list does not have the shape of its part."""
    for n, each in enumerate(listed if isinstance(listed, list) else []):
        try:
            part.model_validate(each, extra="forbid")
        except ValidationError as error:
            for path, message in map(_explained, error.errors(include_url=False)):
                yield (*at, n, *path), message


#: The verdicts of those kinds of notices that have no others.
_VERDICTS: Final[Mapping[str, tuple[str, ...]]] = {
    "overlap": ("exclusive", "review"),
    "case": get_args(get_type_hints(CaseTold)["act"]),
    "report": get_args(ReportKind),
    "rejection": get_args(ReasonName),
}


def _of_verdicts(route: Mapping[str, Any]) -> Iterator[Told]:
    """Verdicts that no cause of the route's kinds can have."""
    kinds = [kind for _, kind in _texts(route.get("kinds"))]
    if kinds and all(kind in _VERDICTS for kind in kinds):
        known = [verdict for kind in kinds for verdict in _VERDICTS[kind]]
        for n, verdict in _texts(route.get("verdicts")):
            if verdict not in known:
                none = (" and no ".join(kinds), " dan ".join(kinds))
                yield ("verdicts", n), wrong("no_verdict", kinds=none, near=near(verdict, known))


def _levels(route: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A route itself, and the levels it climbs to."""
    yield (), dict(route)
    acknowledge = route.get("acknowledge")
    if isinstance(acknowledge, dict):
        yield from ((("acknowledge", *path), level) for path, level in _listed(acknowledge, "then"))


#: What a contact must hold for channels by these names; what others ask for is set where they are.
_ADDRESS: Final = {
    "email": "email", "whatsapp": "phone", "sms": "phone", "telegram": "telegram", "webhook": "webhook",
}  # fmt: skip


#: What addresses look like, and one as an example.
_FORMS: Final = {
    "email": (r"[^@\s]+@[^@\s]+", "nama@dinsos.example"),
    "phone": (r"\+?(?:[ ()-]*[0-9]){8,15}[ ()-]*", "+62 812 3456 7890"),
}


def _addresses(at: Path, contact: object) -> Iterator[Told]:
    """Addresses of a contact that can reach nobody."""
    for name, (form, example) in _FORMS.items():
        given = contact.get(name) if isinstance(contact, dict) else None
        if isinstance(given, str) and not re.fullmatch(form, given):
            yield (*at, "contact", name), wrong("no_address", form=example)


def _unreached(at: Path, members: object, channels: object) -> Iterator[Told]:
    """Members of a group whom none of the channels reaches."""
    fields = [_ADDRESS.get(channel) for _, channel in _texts(channels)]
    if not fields or None in fields:
        return
    for n, member in enumerate(members if isinstance(members, list) else []):
        contact = member.get("contact") if isinstance(member, dict) else None
        if isinstance(member, dict) and not any(each in (contact or {}) for each in fields):
            ways = list(dict.fromkeys(f"`{each}`" for each in fields))
            yield (*at, n), wrong("not_reached", ways=(" or ".join(ways), " atau ".join(ways)))


def _fits(value: object, pattern: str) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) is not None


def _in_nobodys_charge(told: ReportRoutes, at: Path) -> Iterator[Told]:
    """Steps that reports of some kinds pass at once, and kinds of which nobody has charge in an area named."""
    kinds: tuple[str, ...] = get_args(ReportKind)
    for n, terms in enumerate(told.steps):
        there = [one for one in told.in_charge if one.step == terms.step]
        missing = [kind for kind in kinds if not any(kind in (one.kinds or kinds) for one in there)]
        if len(missing) == len(kinds):
            yield (*at, "steps", n), wrong("passed_all")
        elif missing:
            yield (*at, "steps", n), wrong("passed", kinds=", ".join(missing))
    for n, one in enumerate(told.in_charge):
        around = [each for each in told.in_charge if each.region is None
                  or (one.region is not None and regions.holds([each.region], one.region))]  # fmt: skip
        missing = [kind for kind in kinds if not any(kind in (each.kinds or kinds) for each in around)]
        if missing and one.region not in {each.region for each in told.in_charge[:n]}:
            here, of = (*at, "in_charge", n), ", ".join(missing)
            yield (
                here,
                (
                    wrong("uncharged_anywhere", kinds=of)
                    if one.region is None
                    else wrong("uncharged", kinds=of, region=one.region)
                ),
            )


def _listed(document: Mapping[Any, Any], key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    items = document.get(key)
    for index, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, dict):
            yield (key, index), item


def _texts(items: object) -> Iterator[tuple[int, str]]:
    for index, item in enumerate(items if isinstance(items, list) else []):
        if isinstance(item, str):
            yield index, item


def _repeated(named: Iterable[tuple[Path, object]]) -> Iterator[Told]:
    seen = set()
    for path, name in named:
        if isinstance(name, str) and name in seen:
            yield path, wrong("named_twice")
        elif isinstance(name, str):
            seen.add(name)


def _unknown(named: Iterable[tuple[Path, str]], codes: set[str]) -> Iterator[Told]:
    for path, code in named:
        if code not in codes:
            yield path, wrong("no_programme", near=near(code, codes))


def _effective(item: Mapping[str, Any]) -> Effective | None:
    """The days as far as they can be read; None where they cannot."""
    try:
        return Effective.model_validate(item.get("effective") or {})
    except ValidationError:
        return None


def _inverted(path: Path, item: Mapping[str, Any]) -> Iterator[Told]:
    days = _effective(item)
    if days is not None and days.from_ is not None and days.to is not None and days.to < days.from_:
        yield (*path, "effective"), wrong("ends_before")


# --- what services ask of it ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AgencyEntry:
    """What the door asks of an agency; `source` is what its events must carry."""

    source: str
    programmes: frozenset[str]
    rights: frozenset[str]
    trust_rank: int | None
    silent_after: timedelta | None


class PolicyIndex:
    """A policy made ready for look-ups, one set or dictionary access each."""

    __slots__ = ("agencies", "policy", "programmes", "regions", "repeatable", "rules", "version")

    def __init__(self, policy: Policy) -> None:
        self.policy: Final = policy
        self.version: Final = policy.version
        self.programmes: Final[Mapping[str, Programme]] = {p.code: p for p in policy.programmes}
        self.agencies: Final[Mapping[str, AgencyEntry]] = {
            a.id: AgencyEntry(
                agency_source(a.id),
                frozenset(a.programmes) & self.programmes.keys(),  # what the policy does not know, nobody has
                frozenset(a.rights),
                a.trust_rank,
                a.silent_after,
            )
            for a in policy.agencies
        }
        self.repeatable: Final = frozenset(p.code for p in policy.programmes if p.repeatable)
        self.rules: Final[tuple[OverlapRule, ...]] = tuple(policy.overlap_rules)
        added = {area.code: area.name for area in policy.regions}
        self.regions: Final[Mapping[str, str]] = {**regions.names(), **added} if added else regions.names()
