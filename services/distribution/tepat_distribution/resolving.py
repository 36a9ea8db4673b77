"""What becomes of a case: the acts of people and of the service, and the judgements that facts outlive.

No I/O, and no clock of its own.

Invariants
- A case lets payments go only by a judgement of the very facts that stand: as soon as what was judged is announced
  otherwise the case is open again, and stays so should the old facts come back.
- Of what was judged only this may change: a payout goes from planned to disbursed, which is what letting it go is for.
- An exclusive overlap is let go by a waiver alone, above the policy's amount by two people. To release is to lift what
  a person held.
- A case keeps nobody: the facts it judged stand in it as a digest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast
from uuid import UUID

import orjson
from tepat_contracts.policy import Cases

from tepat_distribution.refusals import CALLED, Why, words

State: TypeAlias = Literal["open", "held", "released", "upheld", "waived", "closed"]
Judgement: TypeAlias = Literal["held", "released", "upheld", "waived"]

LETS_GO: Final = frozenset({"released", "waived"})
HOLDS: Final = frozenset({"held", "upheld"})
UNSETTLED: Final = frozenset({"open", "held"})
"""States in which a deadline runs."""
MOST_ACTS: Final = 100
"""Told of a case, the last ones: its record must fit the topic."""
PROPOSED: Final = "waive_proposed"


class RefusedError(Exception):
    """The act cannot be done: why, and what can, in the words of ``refusals``."""

    def __init__(self, why: Why, **told: object) -> None:
        super().__init__(words(why, **told))
        self.why = why
        self.told = told


@dataclass(frozen=True, slots=True)
class Facts:
    """An overlap as it was last announced. ``digest`` is of all that a person judges of it, but for the states;
    ``prefers`` says that its rule lets one of the two go while the other is planned.
    """

    overlap_id: UUID
    revision: int
    live: bool
    verdict: Literal["exclusive", "review"]
    states: tuple[str, str]
    payouts: tuple[tuple[str, str], tuple[str, str]]
    programmes: tuple[str, str]
    amount_at_risk: int
    region: str
    ends: date
    announced_at: datetime
    digest: str
    prefers: bool = False


def digest(overlap: Mapping[str, Any]) -> str:
    """What tells apart the facts that are judged of an overlap, 128 bits in hexadecimal digits.

    Args:
        overlap: as announced (``tepat.overlap.detected.v1``), dates and UUIDs as they are or as texts.
    """
    judged = {
        **{
            name: overlap.get(name)
            for name in ("overlap_id", "rule", "verdict", "scope", "person", "household", "during", "region")
        },
        "payouts": [(side["programme"], side["amount"]) for side in overlap["payouts"]],
    }
    return blake2b(orjson.dumps(judged, default=str, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


class Judged(NamedTuple):
    """The facts that a judgement rests on."""

    digest: str
    states: tuple[str, str]

    def stand(self, facts: Facts) -> bool:
        """Whether these still are the facts; that money left since is none of them, that it came back is."""
        back = any(was == "disbursed" and now == "planned" for was, now in zip(self.states, facts.states, strict=True))
        return self.digest == facts.digest and not back


class Act(NamedTuple):
    """Something done in a case: by an account, or by nobody where the service did it."""

    act: str
    at: datetime
    overlap_revision: int
    by: str | None = None
    assigned_to: str | None = None
    reason: str | None = None
    basis: str | None = None

    def told(self) -> dict[str, Any]:
        """As in the contracts: what is absent is left out."""
        return {name: value for name, value in self._asdict().items() if value is not None} | {
            "at": self.at.isoformat()
        }


@dataclass(frozen=True, slots=True)
class Case:
    """Where the case of an overlap stands. Of one that nobody has touched ``revision`` is 0.

    ``was`` is the state in which it was closed, ``cleared`` why. ``deadline`` is told as long as it is not settled.
    """

    revision: int = 0
    state: State = "open"
    assigned_to: str | None = None
    deadline: datetime | None = None
    overdue: bool = False
    proposed_by: str | None = None
    judged: Judged | None = None
    was: State | None = None
    cleared: str | None = None
    acts: tuple[Act, ...] = ()

    @property
    def due(self) -> datetime | None:
        """When it is overdue, where that is yet to be told."""
        return self.deadline if self.state in UNSETTLED and not self.overdue else None

    def counts(self, verdict: str) -> bool:
        """Whether what became of its money is counted: of what excludes itself and nobody let go, or somebody held."""
        state = self.was if self.state == "closed" else self.state
        return state in ("held", "upheld") or (state == "open" and verdict == "exclusive")


def money(case: Case, facts: Facts, became: tuple[str, int] | None, *, past: bool = False) -> dict[str, int]:
    """What became of the money, as it is told and counted.

    Args:
        became: what the ledger says of it: ``stopped``, ``returned`` or ``kept``, and the rupiah: of the payout whose
            end cleared the overlap, or at risk.
        past: the days of the overlap are over, so that who received twice has kept it.
    """
    if became is None or not case.counts(facts.verdict):
        return {}
    if became[0] == "kept":
        return dict([became]) if facts.live and (past or case.state == "upheld") else {}
    return dict([became])


def opened(facts: Facts, terms: Cases) -> Case:
    """The case of an overlap that nobody has touched."""
    within = terms.within if facts.verdict == "exclusive" else None
    return Case(deadline=facts.announced_at + within if within is not None else None)


def read(told: Mapping[str, Any]) -> Case:
    """The case that a record tells (``tepat.case.told.v1``)."""
    judged = told.get("judged")
    return Case(
        revision=told["revision"], state=told["state"], assigned_to=told.get("assigned_to"),
        deadline=_moment(told.get("deadline")), overdue=told.get("overdue", False),
        proposed_by=told.get("proposed_by"),
        judged=Judged(judged["digest"], _pair(judged["states"])) if judged else None,
        was=told.get("was"), cleared=told.get("cleared"),
        acts=tuple(Act(**act | {"at": datetime.fromisoformat(act["at"])}) for act in told.get("acts", ())),
    )  # fmt: skip


def told(case: Case, facts: Facts, money: Mapping[str, int]) -> dict[str, Any]:
    """What is told of a case in which something was done: how it stands, and its last act."""
    every: dict[str, Any] = {
        "overlap_id": str(facts.overlap_id), "revision": case.revision, "state": case.state,
        "deadline": case.deadline.isoformat() if case.deadline else None, "overdue": case.overdue or None,
        "proposed_by": case.proposed_by,
        "judged": {"digest": case.judged.digest, "states": list(case.judged.states)} if case.judged else None,
        "was": case.was, "cleared": case.cleared, "money": money or None,
        "payouts": [{"agency": agency, "payout_id": payout_id} for agency, payout_id in facts.payouts],
        "programmes": list(facts.programmes), "amount_at_risk": facts.amount_at_risk, "verdict": facts.verdict,
        "region": facts.region, "acts": [act.told() for act in case.acts],
    }  # fmt: skip
    last = {name: value for name, value in case.acts[-1].told().items() if name != "overlap_revision"}
    assigned = {"assigned_to": case.assigned_to} if case.assigned_to else {}
    return {name: value for name, value in every.items() if value is not None} | last | assigned


def assign(case: Case, act: Act) -> Case:
    """Say who has charge of it. Raises RefusedError."""
    if case.state not in UNSETTLED:
        raise RefusedError("case_settled", state=CALLED[case.state])
    return _after(case, act, assigned_to=act.assigned_to)


def judge(case: Case, facts: Facts, terms: Cases, judgement: Judgement, act: Act) -> Case:
    """Hold, release, uphold or waive it: every judgement may be made in the place of another. Released, an exclusive
    overlap is open again, and holds as its rule says.

    Raises:
        RefusedError: it stands so already, its overlap has ended, or this takes two people and another way.
    """
    if case.state == "closed":
        raise RefusedError("overlap_ended")
    if case.state == judgement:
        raise RefusedError("judged_already", judgement=CALLED[judgement])
    alone = terms.waive_alone_up_to
    takes_two = alone is not None and facts.amount_at_risk > alone
    if judgement == "released" and facts.verdict == "exclusive":
        if not facts.prefers or case.state not in HOLDS:
            raise RefusedError("only_waived_by_two" if takes_two else "only_waived")
        return _after(
            case, act, state="open", proposed_by=None, deadline=case.deadline or _from(act.at, terms), overdue=False
        )
    if takes_two:
        if judgement == "waived" and case.proposed_by is None:
            return _after(
                case, act._replace(act=PROPOSED), proposed_by=act.by, judged=Judged(facts.digest, facts.states)
            )
        if judgement == "waived" and case.proposed_by == act.by:
            raise RefusedError("proposed_by_you", alone=alone)
    settled = judgement not in UNSETTLED
    return _after(
        case, act, state=judgement, proposed_by=None, judged=Judged(facts.digest, facts.states),
        deadline=None if settled else case.deadline or _from(act.at, terms), overdue=False if settled else case.overdue,
    )  # fmt: skip


def _from(now: datetime, terms: Cases) -> datetime | None:
    """The deadline that runs from a moment."""
    return now + terms.within if terms.within is not None else None


def followed(case: Case, facts: Facts, terms: Cases, reason: str | None, now: datetime) -> Case | None:
    """The case after its overlap was announced anew, or has ended; None where that changes nothing in it.

    Args:
        reason: why the overlap was cleared.
    """
    if not facts.live:
        if case.state == "closed":
            return None
        act = Act("closed", now, facts.revision)
        return _after(
            case, act, state="closed", was=case.state, cleared=reason, proposed_by=None, deadline=None, overdue=False
        )
    if case.state != "closed" and (case.judged is None or case.judged.stand(facts)):
        return None
    return _after(
        case, Act("reopened", now, facts.revision), state="open", was=None, cleared=None, proposed_by=None, judged=None,
        deadline=_from(now, terms), overdue=False,
    )  # fmt: skip


def overdue(case: Case, facts: Facts, now: datetime) -> Case | None:
    """The case once its deadline has passed; None where it has not, or that was told."""
    if case.due is None or case.due > now:
        return None
    return _after(case, Act("overdue", now, facts.revision), overdue=True)


def taken_up(case: Case, terms: Cases, now: datetime) -> Case:
    """The case of an overlap that stands, as somebody takes it up: with the deadline that runs from then where it had
    none. One that was closed is open: a service that died between the two told that, and not yet why.
    """
    if case.state == "closed":
        return replace(case, state="open", was=None, cleared=None)
    if case.revision or case.deadline is not None or terms.within is None:
        return case
    return replace(case, deadline=now + terms.within)


def _after(case: Case, act: Act, **changes: Any) -> Case:
    """The case with one more act. A judgement goes with the state that it made."""
    after = replace(case, revision=case.revision + 1, acts=(*case.acts, act)[-MOST_ACTS:], **changes)
    kept = after.state not in ("open", "closed") or after.proposed_by is not None
    return after if kept else replace(after, judged=None)


def _moment(told: str | None) -> datetime | None:
    return datetime.fromisoformat(told) if told is not None else None


def _pair(states: list[str]) -> tuple[str, str]:
    return cast(tuple[str, str], tuple(states))
