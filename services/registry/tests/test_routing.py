"""The way of a report, hour by hour, against a plain model: a clock that ticks, and knows of nothing ahead."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from tepat_contracts.policy import report_routes
from tepat_registry import routing
from tepat_registry.routing import Charge, Helping, Told, Way, walk

START = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = ["rt", "kelurahan", "kecamatan", "kota", "province"]
AGENCIES = ["kelurahan-a", "kecamatan-a", "kota-a", "provinsi", "lsm", "rt-01"]
KINDS = ["fire", "other"]
REGIONS = ["33.74.01.1001", "33.74.02.1003", "33.74"]

hours = st.integers(1, 6)
ticks = st.integers(0, 30)
optional_hours = st.none() | hours
some_kinds = st.sampled_from([[], ["fire"], ["other"]])
steps = st.sets(st.sampled_from(STEPS), min_size=1).flatmap(
    lambda chosen: st.tuples(
        *(
            st.fixed_dictionaries({"step": st.just(step), "within": hours, "resolve": optional_hours})
            for step in STEPS
            if step in chosen
        )
    )
)
in_charge = st.fixed_dictionaries({
    "step": st.sampled_from(STEPS), "agency": st.sampled_from(AGENCIES), "kinds": some_kinds, "within": optional_hours,
    "region": st.sampled_from([None, "33", "33.74", "33.74.01", "33.74.01.1001"]),
})  # fmt: skip
neighbours = st.fixed_dictionaries({
    "within": hours, "kinds": some_kinds, "institutions": st.sampled_from([[], ["WKSBM"], ["PSM", "WKSBM"]]),
})  # fmt: skip
routes = st.none() | st.fixed_dictionaries(
    {"neighbours": st.none() | neighbours, "steps": steps, "in_charge": st.lists(in_charge, max_size=6)}
)
policies = st.lists(
    st.tuples(ticks, routes, st.sets(st.sampled_from(AGENCIES), min_size=3)), min_size=1, max_size=3
).map(lambda told: sorted(told, key=lambda each: each[0]))
filings = st.lists(
    st.tuples(
        ticks, st.integers(0, 3), st.sampled_from(KINDS), st.sampled_from(REGIONS),
        st.sampled_from(["rt", "lurah", "citizen", "wksbm"]),
    ), min_size=1, max_size=3, unique_by=lambda each: each[1],
)  # fmt: skip
answers = st.lists(
    st.tuples(
        st.integers(0, 40), st.sampled_from(AGENCIES), st.integers(0, 2),
        st.sampled_from(["acknowledged", "acknowledged", "helped_by_neighbours", "helped", "declined", "referred",
                         "referred"]),
        st.sampled_from([None, "unheard of", *AGENCIES]),
    ), max_size=6, unique_by=lambda each: each[1:3],
)  # fmt: skip
institutions = st.lists(
    st.tuples(
        ticks, st.sampled_from(["W-1", "W-2"]), st.integers(0, 3), st.sampled_from(["WKSBM", "PKK"]),
        st.sampled_from([(), ("33.74.01",), ("33.74.01.1001", "33.74.02.1003"), ("33",)]),
    ), max_size=4, unique_by=lambda each: each[1:3],
)  # fmt: skip


def at(tick: int) -> datetime:
    return START + timedelta(hours=tick)


def iso(told: Any) -> Any:
    """A policy's routes with hours as durations."""
    if isinstance(told, dict):
        return {
            name: f"PT{value}H" if name in ("within", "resolve") and value is not None else iso(value)
            for name, value in told.items()
        }
    return [iso(each) for each in told] if isinstance(told, list | tuple) else told


def way(policies: Any, filings: Any, answers: Any, institutions: Any, now: int) -> Way:
    return walk(
        [
            Told(at(t), "rt-01", "R", n, {"kind": kind, "region": region, "filed_by": {"role": role}}, f"filed {n}")
            for t, n, kind, region, role in filings
        ],
        [
            Told(at(t), who, "R", n, {"outcome": outcome, "to_agency": to}, f"{who} {n}")
            for t, who, n, outcome, to in answers
        ],
        [
            Charge(at(t), f"v{n}", report_routes({"reports": iso(told)}) if told else None, frozenset(agencies))
            for n, (t, told, agencies) in enumerate(policies)
        ],
        [
            Helping(at(t), "dinsos", name, n, kind, frozenset(areas))
            for t, name, n, kind, areas in institutions
        ],
        at(now),
    )  # fmt: skip


class Model:
    """What happens to a report, said anew: each hour what comes in it, and then whether the time is up."""

    def __init__(self, policies: Any, filings: Any, answers: Any, institutions: Any, now: int) -> None:
        self.happened: list[tuple[Any, ...]] = []
        self.institutions = institutions
        self.policy = policies[0][1:]
        self.filing: Any = None
        first = min(t for t, *_ in filings)
        last = max([now, *(t for t, *_ in (*policies[1:], *self.kept(filings, lambda each: 0))),
                    *(t for t, *_ in self.kept(answers, lambda each: each[1]))])  # fmt: skip
        for tick in range(last + 1):
            for n, (t, *policy) in enumerate(policies):
                if n and t == tick:
                    self.policy = tuple(policy)
                    self.other_policy(tick, n)
            for t, _, kind, region, role in self.kept(filings, lambda each: 0):
                if t == tick:
                    self.filed(tick, kind, region, role)
            for t, who, _, outcome, to in sorted(self.kept(answers, lambda each: each[1]), key=lambda a: a[1:3]):
                if max(t, first) == tick:
                    self.answered(tick, who, outcome, to)
            if self.filing and tick < last and self.deadline == tick:
                self.note(tick, "unresolved" if self.state == "acknowledged" else "unanswered", self.who)
                self.up(tick, STEPS.index(self.step) + 1 if self.step in STEPS else self.lowest)

    @staticmethod
    def kept(told: Any, whose: Any) -> list[Any]:
        """Without what a greater revision was there before."""

        def number(each: Any) -> Any:
            return each[2] if isinstance(each[1], str) else each[1]

        return sorted((
            each for each in told
            if not any(whose(one) == whose(each) and number(one) > number(each) and one[0] < each[0] for one in told)
        ), key=lambda each: (each[0], number(each)))  # fmt: skip

    def note(self, tick: int, what: str, who: str | None = None, **more: Any) -> None:
        self.happened.append((tick, what, more.pop("step", self.step), who, more))

    def nobody(self) -> None:
        self.step, self.state, self.who, self.near, self.deadline = "filed", "waiting", None, (), None
        self.resolve, self.referred, self.outcome, self.by = None, False, None, None

    @property
    def lowest(self) -> int:
        return {"rt": 1, "lurah": 2}.get(self.filing[2], 0)

    def has(self, step: str) -> Any:
        """Who has charge there: the narrowest region, then the kind, then whoever stands first."""
        kind, region, _ = self.filing
        best = None
        for narrow in (region, region[:8], region[:5], region[:2], None):
            for named in (True, False):
                for one in self.policy[0]["in_charge"]:
                    if best is None and one["step"] == step and one["region"] == narrow and bool(one["kinds"]) is named:
                        best = one if not named or kind in one["kinds"] else None
        return best

    def filed(self, tick: int, kind: str, region: str, role: str) -> None:
        before, self.filing = self.filing, (kind, region, role)
        if before is None:
            self.nobody()
        what = "filed" if before is None else "corrected" if before[:2] == (kind, region) else "moved"
        self.note(tick, what, "rt-01", role=role, kind=kind, region=region)
        if what != "corrected":
            self.begin(tick)

    def begin(self, tick: int) -> None:
        self.nobody()
        if self.policy[0] is None:
            return
        first, (kind, region, role) = self.policy[0]["neighbours"], self.filing
        if first is not None and role != "wksbm" and (not first["kinds"] or kind in first["kinds"]):
            near = []
            for name in ("W-1", "W-2"):
                known = [each for each in self.institutions if each[1] == name and each[0] <= tick]
                if known:
                    _, _, _, sort, areas = max(known, key=lambda each: each[2])
                    fits = not first["institutions"] or sort in first["institutions"]
                    if fits and any(f"{region}.".startswith(f"{area}.") for area in areas):
                        near.append(("dinsos", name))
            if near:
                self.ask(tick, "neighbours", None, first["within"], first["within"], tuple(near))
                return
        self.up(tick, self.lowest)

    def up(self, tick: int, lowest: int) -> None:
        if self.policy[0] is not None:
            for terms in self.policy[0]["steps"]:
                if STEPS.index(terms["step"]) < lowest:
                    continue
                one = self.has(terms["step"])
                if one is not None:
                    within = one["within"] or terms["within"]
                    resolve = one["within"] or terms["resolve"] or within
                    return self.ask(tick, terms["step"], one["agency"], within, resolve)
                self.note(tick, "nobody", step=terms["step"])
            if self.who is None:
                self.step, self.near = self.policy[0]["steps"][-1]["step"], ()
        self.state, self.deadline = "overdue", None
        self.note(tick, "overdue", self.who)
        return None

    def ask(
        self, tick: int, step: str, who: str | None, within: int | None, resolve: int | None, near: Any = ()
    ) -> None:
        self.nobody()
        self.step, self.who, self.near, self.resolve = step, who, near, resolve
        more: dict[str, Any] = {"neighbours": near} if near else {}
        if within is not None:
            self.deadline = tick + within
            more["deadline"] = at(self.deadline)
        self.note(tick, "asked", who, **more)

    def other_policy(self, tick: int, n: int) -> None:
        if not self.filing or self.policy[0] is None or self.state == "closed" or self.near or self.referred:
            return
        if self.who is None:
            self.note(tick, "policy", version=f"v{n}")
            self.begin(tick)
        elif (self.has(self.step) or {}).get("agency") != self.who:
            self.note(tick, "policy", version=f"v{n}")
            self.up(tick, STEPS.index(self.step) if self.step in STEPS else self.lowest - 1)

    def answered(self, tick: int, who: str, outcome: str, to: str | None) -> None:
        asked = {"rt-01", self.who} | {"dinsos" for _ in self.near}
        closed = self.state == "closed"
        counts = outcome == "referred" if closed else outcome != "declined" or who in asked
        more: dict[str, Any] = {"to_agency": to} if outcome == "referred" and to else {}
        if more and to not in self.policy[1]:
            counts, more["unknown"] = False, True
        self.note(tick, "answered", who, outcome=outcome, **more, **({} if counts else {"counts": False}))
        if not counts:
            return
        if outcome == "acknowledged" and self.state != "acknowledged":
            self.state = "acknowledged"
            if self.resolve is not None:
                self.deadline = max(tick if self.deadline is None else self.deadline, tick + self.resolve)
        elif outcome == "referred":
            self.outcome = self.by = None
            standing = STEPS.index(self.step) if self.step in STEPS else self.lowest - 1
            if to is None:
                self.up(tick, standing + 1)
            else:
                self.hand(tick, to, standing if self.step in STEPS else self.lowest)
            self.referred = to is not None
        elif outcome != "acknowledged":
            self.state, self.outcome, self.by, self.deadline = "closed", outcome, who, None

    def hand(self, tick: int, to: str, here: int) -> None:
        """To an agency: at its own step from here on, or below; else at this one, or the next there is, or the last."""
        if self.policy[0] is None:
            return self.ask(tick, "filed", to, None, None)
        terms = {each["step"]: each for each in self.policy[0]["steps"]}
        own = [step for step in STEPS if step in terms and (self.has(step) or {}).get("agency") == to]
        above = [step for step in own if STEPS.index(step) >= here]
        others = [step for step in STEPS if step in terms and STEPS.index(step) >= here]
        step = (above or own or others or list(terms)[-1:])[0]
        within = (self.has(step)["within"] if step in own else None) or terms[step]["within"]
        resolve = (self.has(step)["within"] if step in own else None) or terms[step]["resolve"] or within
        return self.ask(tick, step, to, within, resolve)


@example(
    policies=[(0, None, {"kota-a"}), (27, {
        "neighbours": None, "steps": ({"step": "kota", "within": 6, "resolve": None},),
        "in_charge": ({"step": "kota", "region": None, "kinds": (), "agency": "provinsi", "within": None},),
    }, {"kota-a"})],
    filings=[(0, 0, "fire", "33.74.01.1001", "rt")],
    answers=[(0, "provinsi", 0, "referred", "kota-a"), (13, "kelurahan-a", 0, "referred", None)],
    institutions=[], now=40, chance=Random(0),
)  # fmt: skip
@given(policies, filings, answers, institutions, st.integers(0, 60), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_the_way_is_that_of_a_plain_clock(
    policies: Any, filings: Any, answers: Any, institutions: Any, now: int, chance: Any
) -> None:
    model = Model(policies, filings, answers, institutions, now)
    for each in (filings, answers, institutions):  # in any order
        chance.shuffle(each)
    found = way(policies, filings, answers, institutions, now)
    assert [(at(tick), *rest) for tick, *rest in model.happened] == [tuple(entry) for entry in found.timeline]
    assert (found.step, found.state, found.in_charge, found.neighbours, found.outcome, found.closed_by) == (
        model.step, model.state, model.who, model.near, model.outcome, model.by,
    )  # fmt: skip
    assert found.deadline == (None if model.deadline is None else at(model.deadline))
    event(found.state)
    event(f"{len(found.timeline) // 4 * 4} entries or more")


@given(policies, filings, answers, institutions, st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_a_timeline_only_grows(
    policies: Any, filings: Any, answers: Any, institutions: Any, now: int, later: int
) -> None:
    now, later = sorted((now, later))
    by_then = [[each for each in told if each[0] <= now] for told in (policies, filings, answers, institutions)]
    if not by_then[1]:
        return
    before = way(by_then[0] or policies[:1], *by_then[1:], now)
    after = way(policies, filings, answers, institutions, later)
    assert list(after.timeline[: len(before.timeline)]) == list(before.timeline)


def test_what_is_referred_to_nobody_known_stays_where_it_is_and_says_so() -> None:
    routes = {
        "neighbours": None,
        "steps": [{"step": "kota", "within": 5, "resolve": None}],
        "in_charge": [{"step": "kota", "agency": "kota-a", "kinds": [], "within": None, "region": None}],
    }
    found = way(
        [(0, routes, AGENCIES)], [(0, 0, "fire", "33.74", "rt")], [(1, "kota-a", 0, "referred", "aa-prov")], (), 2
    )
    answer = found.timeline[-1]
    assert (answer.what, answer.detail["to_agency"], answer.detail["unknown"]) == ("answered", "aa-prov", True)
    assert (found.state, found.in_charge, found.deadline) == ("waiting", "kota-a", at(5))


def filed(**first: int) -> dict[str, datetime]:
    return {agency: at(tick) for agency, tick in first.items()}


def test_an_id_means_ones_own_report_then_the_one_named_in_full_then_the_first() -> None:
    known = {"1": filed(a=2, b=1), "a/1": filed(c=5)}

    def about(agency: str, name: str) -> Any:
        return routing.answered(Told(at(9), agency, name, 0, {}, ""), known)

    assert about("a", "1") == ("a", "1")
    assert about("b", "1") == ("b", "1")
    assert about("x", "1") == ("b", "1")
    assert about("x", "a/1") == ("a", "1")
    assert about("c", "a/1") == ("c", "a/1")
    assert about("x", "2") is None
    keys = {routing.key(agency, name, first) for name, first in known.items() for agency in first}
    assert keys == {"1", "a/1", "c/a/1"}
