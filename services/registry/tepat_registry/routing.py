"""The way of a report from below: at which step it stands, who has charge of it and until when, and all that happened.

The neighbours are asked first where the policy says so and an active institution covers the region; then each step in
turn, until somebody answers. An answer counts whoever among the policy's agencies gives it, and the timeline names
them: who helps is not always who had charge. But that no help is due (`declined`) only those can say who were asked,
or who filed it; and what is `referred` to an agency that the policy does not know stays where it is, its deadline too.

Invariants
- The way depends on the set of what was told, on the policies and institutions known when, and on the instant asked
  about: not on the order in which anything came, nor on when and how often anybody looked.
- An instant is the broker's: when a thing first stood on its topic. An agency's own `time` is a claim: an early one
  would take away others' time to answer, a late one would give more.
- What is told later changes nothing that came before it: a timeline only grows.
- Time stands still here: nothing reads a clock, a database or a topic.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from tepat_contracts import regions
from tepat_contracts.policy import STEPS, InCharge, ReportRoutes

State = Literal["waiting", "acknowledged", "overdue", "closed"]

NEIGHBOURS: Final = "neighbours"
FILED: Final = "filed"

#: Of what happened, what agencies wrote in their own words: only a disclosure shows it.
DISCLOSED: Final = ("reason",)

LEVEL: Final[Mapping[str, int]] = {step: level for level, step in enumerate(STEPS)}
#: From which level on a report goes up: above those who filed it themselves.
ABOVE: Final[Mapping[str, int]] = {
    "rt": LEVEL["kelurahan"], "rw": LEVEL["kelurahan"], "lurah": LEVEL["kecamatan"], "kades": LEVEL["kecamatan"],
}  # fmt: skip


class Told(NamedTuple):
    """One revision of a report or of an answer: when it first stood on its topic, whose it is, what it is about."""

    at: datetime
    agency: str
    about: str
    revision: int
    data: Mapping[str, Any]
    trace: str


class Charge(NamedTuple):
    """Who has charge of reports, by a policy taken `since`, and the agencies there are."""

    since: datetime
    version: str
    routes: ReportRoutes | None
    agencies: frozenset[str]


class Helping(NamedTuple):
    """What was told of an institution: the areas it covers from then on, none where it is not active."""

    at: datetime
    agency: str
    institution: str
    revision: int
    kind: str
    areas: frozenset[str]


class Entry(NamedTuple):
    """What happened to a report.

    `filed`, `corrected`, `moved` (of another kind or region now: it begins anew), `asked` (who, until when),
    `nobody` (has charge at a step: passed at once), `answered`, `unanswered`, `unresolved` (though acknowledged),
    `policy` (has put another in charge), `overdue`.
    """

    at: datetime
    what: str
    step: str
    agency: str | None = None
    detail: Mapping[str, Any] = {}


class Way(NamedTuple):
    """Where a report stands, and how it came there; `data` was filed last, `trace` is of what was told last."""

    data: Mapping[str, Any]
    step: str
    state: State
    in_charge: str | None
    neighbours: tuple[tuple[str, str], ...]
    since: datetime
    deadline: datetime | None
    outcome: str | None
    closed_by: str | None
    trace: str
    timeline: Sequence[Entry]

    @property
    def filed_at(self) -> datetime:
        """When it first stood on its topic."""
        return self.timeline[0].at


def walk(
    filings: Iterable[Told], answers: Iterable[Told], charges: Sequence[Charge], helping: Sequence[Helping],
    now: datetime,
) -> Way:  # fmt: skip
    """The way of a report until now.

    Args:
        filings: every revision of it, at least one.
        answers: every revision of every agency's answers to it.
        charges: of every policy taken, in their order; the first is in force before it was taken as well.
        helping: every revision of every institution that may cover its region.
        now: the instant asked about; what another clock puts later is there all the same.
    """
    filed, told = _holding(filings), _holding(answers)
    moments: list[tuple[tuple[Any, ...], Told | Charge]] = [
        *(((charge.since, 0, n), charge) for n, charge in enumerate(charges[1:])),
        *(((each.at, 1, each.revision), each) for each in filed),
        *(((max(each.at, filed[0].at), 2, each.agency, each.about, each.revision), each) for each in told),
    ]
    on = _Walk(filed[0], charges[0], helping)
    for (at, what, *_), each in sorted(moments, key=lambda moment: moment[0]):
        on.until(at)
        if isinstance(each, Charge):
            on.follow(at, each)
        elif what == 1:
            on.file(at, each)
        else:
            on.answer(at, each)
    on.until(max([now, *(each.at for each in (*filed, *told))]))
    return Way(
        on.filing.data, on.step, on.state, on.in_charge, on.neighbours, on.since, on.deadline, on.outcome,
        on.closed_by, max([*filed, *told], key=lambda each: (each.at, each.agency, each.revision)).trace, on.timeline,
    )  # fmt: skip


def _holding(told: Iterable[Told]) -> list[Told]:
    """What was told, in its order, without what was overtaken when it came: a greater revision replaces a lesser."""
    greatest: dict[tuple[str, str], int] = {}
    found = []
    for each in sorted(told, key=lambda each: (each.at, each.revision)):
        if each.revision > greatest.get((each.agency, each.about), -1):
            greatest[each.agency, each.about] = each.revision
            found.append(each)
    return found


class _Walk:
    """A report on its way, event by event."""

    step: str
    state: State
    since: datetime
    outcome: str | None
    closed_by: str | None
    in_charge: str | None
    neighbours: tuple[tuple[str, str], ...]
    deadline: datetime | None
    _resolve: timedelta | None
    _referred: bool

    def __init__(self, filing: Told, charge: Charge, helping: Sequence[Helping]) -> None:
        self.filing = filing
        self.timeline: list[Entry] = []
        self._charge = charge
        self._helping = helping
        self._rest(filing.at)

    def until(self, instant: datetime) -> None:
        """Let every deadline pass that lies before the instant: what comes at a deadline is in time."""
        while self.deadline is not None and self.deadline < instant:
            at = self.deadline
            self._note(at, "unresolved" if self.state == "acknowledged" else "unanswered", self.in_charge)
            self._climb(at, self._level)

    def follow(self, at: datetime, charge: Charge) -> None:
        """Another policy is in force. Who has it keeps it while their charge lasts, and keeps the deadline."""
        self._charge = charge
        routes = charge.routes
        if not self.timeline or routes is None or self.state == "closed" or self.neighbours or self._referred:
            return
        found = self._in_charge(routes, self.step) if self.in_charge is not None else None
        if self.in_charge is None or found is None or found.agency != self.in_charge:
            self._note(at, "policy", version=charge.version)
            if self.in_charge is None:
                self._begin(at)
            else:
                self._climb(at, self._level - 1)

    def file(self, at: datetime, filing: Told) -> None:
        """It is filed, or filed anew: of another kind or region it begins anew as well."""
        before, self.filing = self.filing, filing
        same = all(before.data[name] == filing.data[name] for name in ("kind", "region"))
        what = "filed" if not self.timeline else "corrected" if same else "moved"
        self._note(
            at, what, filing.agency, role=filing.data["filed_by"]["role"], kind=filing.data["kind"],
            region=filing.data["region"],
        )  # fmt: skip
        if what != "corrected":
            self._begin(at)

    def answer(self, at: datetime, told: Told) -> None:
        """Somebody answers."""
        outcome = told.data["outcome"]
        to = told.data.get("to_agency") if outcome == "referred" else None
        unknown = to is not None and to not in self._charge.agencies
        counts = (
            not unknown if outcome == "referred"
            else self.state != "closed" and (outcome != "declined" or told.agency in self._asked())
        )  # fmt: skip
        self._note(
            at, "answered", told.agency, outcome=outcome, to_agency=to, unknown=unknown or None,
            reason=told.data.get("reason"), counts=None if counts else False,
        )  # fmt: skip
        if not counts:
            return
        if outcome == "acknowledged":
            if self.state != "acknowledged":
                self.state = "acknowledged"
                if self._resolve is not None:
                    self.deadline = max(self.deadline or at, at + self._resolve)
        elif outcome == "referred":
            self._refer(at, to)
        else:
            self.state, self.outcome, self.closed_by, self.deadline = "closed", outcome, told.agency, None

    # -- where it goes

    def _begin(self, at: datetime) -> None:
        """Let it go from where it was filed: to the neighbours, or up."""
        self._rest(at)
        routes = self._charge.routes
        if routes is None:
            return
        terms = routes.neighbours
        if terms is not None and self._role != "wksbm" and self.filing.data["kind"] in (
            terms.kinds or [self.filing.data["kind"]]
        ):  # fmt: skip
            found = covering(self._helping, self.filing.data["region"], terms.institutions, at)
            if found:
                self._ask(at, NEIGHBOURS, terms.within, terms.within, neighbours=found)
                return
        self._climb(at, self._level)

    def _climb(self, at: datetime, level: int) -> None:
        """Let it go to the next step above a level at which anybody has charge of it; there is none above the last."""
        routes = self._charge.routes
        for terms in routes.steps if routes is not None else ():
            if LEVEL[terms.step] > level and routes is not None:
                found = self._in_charge(routes, terms.step)
                if found is not None:
                    within = found.within or terms.within
                    self._ask(at, terms.step, within, found.within or terms.resolve or within, found.agency)
                    return
                self._note(at, "nobody", step=terms.step)
        self.state, self.deadline = "overdue", None
        if self.in_charge is None and routes is not None:
            self.step, self.neighbours, self.since = routes.steps[-1].step, (), at
        self._note(at, "overdue", self.in_charge)

    def _refer(self, at: datetime, to: str | None) -> None:
        """Let it go to an agency, at the step where that has charge; without one upward."""
        self.outcome = self.closed_by = None
        routes = self._charge.routes
        if to is None:
            self._climb(at, self._level)
        elif routes is None:
            self._ask(at, FILED, None, None, to)
        else:
            here = LEVEL.get(self.step, self._level + 1)
            there = (self._in_charge(routes, step) for step in STEPS)
            has = {one.step: one for one in there if one is not None and one.agency == to}
            steps = [terms for terms in routes.steps if terms.step in has] or [
                terms for terms in routes.steps if LEVEL[terms.step] >= here
            ] or routes.steps[-1:]  # fmt: skip
            terms = min(steps, key=lambda terms: (LEVEL[terms.step] < here, LEVEL[terms.step]))
            own = has[terms.step].within if terms.step in has else None
            within = own or terms.within
            self._ask(at, terms.step, within, own or terms.resolve or within, to)
        self._referred = to is not None

    def _ask(
        self, at: datetime, step: str, within: timedelta | None, resolve: timedelta | None, agency: str | None = None,
        neighbours: tuple[tuple[str, str], ...] = (),
    ) -> None:  # fmt: skip
        self._rest(at)
        self.step, self.in_charge, self.neighbours, self._resolve = step, agency, neighbours, resolve
        self.deadline = None if within is None else at + within
        self._note(at, "asked", agency, neighbours=neighbours or None, deadline=self.deadline)

    def _rest(self, at: datetime) -> None:
        """Nobody has it."""
        self.step, self.state, self.since = FILED, "waiting", at
        self.outcome = self.closed_by = self.in_charge = self.deadline = self._resolve = None
        self.neighbours, self._referred = (), False

    # -- who has charge

    @property
    def _role(self) -> str:
        return str(self.filing.data["filed_by"]["role"])

    @property
    def _level(self) -> int:
        """The level it stands at; below the first step that is open to it where it stands at none."""
        return LEVEL.get(self.step, ABOVE.get(self._role, 0) - 1)

    def _asked(self) -> set[str | None]:
        return {self.filing.agency, self.in_charge, *(agency for agency, _ in self.neighbours)}

    def _in_charge(self, routes: ReportRoutes, step: str) -> InCharge | None:
        return in_charge(routes, step, self.filing.data["region"], self.filing.data["kind"])

    def _note(
        self, at: datetime, what: str, agency: str | None = None, *, step: str | None = None, **detail: Any,
    ) -> None:  # fmt: skip
        told = {name: value for name, value in detail.items() if value is not None}
        self.timeline.append(Entry(at, what, step or self.step, agency, told))


def in_charge(routes: ReportRoutes, step: str, region: str, kind: str) -> InCharge | None:
    """Who has charge at a step: of those that fit the one with the narrowest region, then one that names the kind,
    then the first.
    """
    fitting = [
        one
        for one in routes.in_charge
        if one.step == step
        and (one.region is None or regions.holds([one.region], region))
        and (not one.kinds or kind in one.kinds)
    ]
    return max(fitting, key=lambda one: (len(one.region or ""), bool(one.kinds)), default=None)


def covering(
    helping: Iterable[Helping], region: str, kinds: Sequence[str], at: datetime
) -> tuple[tuple[str, str], ...]:
    """The institutions, each by the agency that recorded it and its id, known by an instant to cover a region then:
    of these kinds, or of any where none is named.
    """
    standing: dict[tuple[str, str], Helping] = {}
    for each in helping:
        name = each.agency, each.institution
        if each.at <= at and (name not in standing or each.revision > standing[name].revision):
            standing[name] = each
    return tuple(sorted(
        name for name, each in standing.items()
        if (not kinds or each.kind in kinds) and regions.holds(each.areas, region)
    ))  # fmt: skip


def answered(answer: Told, filed: Mapping[str, Mapping[str, datetime]]) -> tuple[str, str] | None:
    """Which report an answer is about, by its agency and id: one's own of that id; or the one that
    `<agency>/<report id>` names; or the first that was filed under that id. None where there is none yet.

    Args:
        filed: of each report id the agencies that filed one under it, and when each did first.
    """
    own, _, other = answer.about.partition("/")
    if answer.agency in filed.get(answer.about, {}):
        return answer.agency, answer.about
    if own in filed.get(other, {}):
        return own, other
    return (first(filed[answer.about]), answer.about) if filed.get(answer.about) else None


def first(filed: Mapping[str, datetime]) -> str:
    """Of the agencies that filed a report under one id the one that did first."""
    return min(filed, key=lambda agency: (filed[agency], agency))


def key(agency: str, about: str, filed: Mapping[str, datetime]) -> str:
    """What a report is announced under: its id; where another agency was first to use it, or it could be taken for
    another report's full name, with its agency before it.
    """
    return about if "/" not in about and first(filed) == agency else f"{agency}/{about}"


def announced(agency: str, about: str, way: Way, people: AbstractSet[str]) -> dict[str, Any]:
    """What is announced of a report; no name, no text. ``people`` are the pseudonyms of those it names by NIK."""
    told = {
        "report_id": about, "agency": agency, "kind": way.data["kind"], "region": way.data["region"],
        "households": way.data.get("households"), "people": sorted(people) or None,
        "neighbours": [
            {"agency": who, "institution_id": institution} for who, institution in way.neighbours
        ] or None,
        **{name: getattr(way, name) for name in ("step", "state", "in_charge", "outcome", "closed_by")},
        **{name: _instant(getattr(way, name)) for name in ("since", "deadline", "filed_at")},
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def areas(filings: Iterable[Told]) -> Iterator[str]:
    """Every area that an institution may cover to be near a report."""
    for region in {each.data["region"] for each in filings}:
        yield region
        yield from regions.ancestors(region)


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
