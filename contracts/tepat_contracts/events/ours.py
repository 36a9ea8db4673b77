"""What we tell: agencies, operators, and our services one another.

Invariants:
- a person or household stands here as its pseudonym, a UUID; no NIK, no KK, no name;
- what is absent is left out, never null;
- a field once written stays: the check on the committed schemas refuses one that is taken away or becomes optional.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from tepat_contracts import receipts

from .fields import (
    MAX_INTEGER,
    Count,
    Covers,
    Date,
    Free,
    Number,
    PayoutId,
    Quantity,
    Region,
    Revision,
    Rupiah,
    Text,
    Time,
    Uuid,
)

OVERLAP_DETECTED = "tepat.overlap.detected.v1"
OVERLAP_CLEARED = "tepat.overlap.cleared.v1"
CLEARANCE_ISSUED = "tepat.clearance.issued.v1"
PERSON_RESOLVED = "tepat.person.resolved.v1"
HOUSEHOLD_RESOLVED = "tepat.household.resolved.v1"
REPORT_ROUTED = "tepat.report.routed.v1"
SUSPECT_RAISED = "tepat.suspect.raised.v1"
SUSPECT_CLEARED = "tepat.suspect.cleared.v1"
SUSPECT_DISMISSED = "tepat.suspect.dismissed.v1"
DECISION_MADE = "tepat.decision.made.v1"
AID_TOLD = "tepat.aid.told.v1"
FINDING_RAISED = "tepat.finding.raised.v1"
FINDING_CLEARED = "tepat.finding.cleared.v1"
CASE_TOLD = "tepat.case.told.v1"
DELIVERY_RECORDED = "tepat.delivery.recorded.v1"
RANKING_MADE = "tepat.ranking.made.v1"
ROUND_TOLD = "tepat.round.told.v1"
ROUND_HELD = "tepat.round.held.v1"
ROUND_CLOSED = "tepat.round.closed.v1"
POLICY_APPLIED = "tepat.policy.applied.v1"
PROGRESS_TOLD = "tepat.progress.told.v1"

#: From 1, growing by one with each announcement of the same thing.
Announced = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
Offset = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Scope = Literal["person", "household"]
Relation = Literal["head", "spouse", "child", "parent", "other"]


class Side(TypedDict):
    """One of the two payouts of an overlap, as it held when announced."""

    agency: Text
    payout_id: PayoutId
    revision: Revision
    state: Literal["planned", "disbursed"]
    programme: Text
    amount: Rupiah


class Payee(TypedDict):
    """A payout by its two names."""

    agency: Text
    payout_id: PayoutId


class Parted(Payee):
    """A payout of an overlap that was cleared; of the one whose end cleared it the revision with which it `ended`."""

    ended: NotRequired[Revision]


class OverlapDetected(TypedDict):
    """Two live payouts overlap under a rule; said anew with a higher revision when what is said changes.

    `payouts` are sorted by agency and payout id; `household` and `region` are those of the second; `person` is given
    where the scope is person; `amount_at_risk` is the lesser of the two amounts, in rupiah.
    """

    overlap_id: Uuid
    revision: Announced
    rule: Text
    verdict: Literal["exclusive", "review"]
    scope: Scope
    person: NotRequired[Uuid]
    household: Uuid
    payouts: Annotated[list[Side], Field(min_length=2, max_length=2)]
    during: Covers
    amount_at_risk: Rupiah
    region: Region
    policy_version: Text


class OverlapCleared(TypedDict):
    """Two payouts no longer overlap, or only as a complement."""

    overlap_id: Uuid
    revision: Announced
    payouts: Annotated[list[Parted], Field(min_length=2, max_length=2)]
    reason: Literal["payout_ended", "payout_changed", "household_changed", "policy_changed"]


class ClearanceIssued(TypedDict):
    """Whether a planned payout may go: `clear`, `hold`, or `unknown` with the reasons."""

    payout_id: PayoutId
    revision: Revision
    decision: Literal["clear", "hold", "unknown"]
    overlaps: list[Uuid]
    reasons: list[Text]
    policy_version: Text
    as_of: Time


class Membership(TypedDict):
    """A household that an agency says a NIK belongs to, from `since` to `until`, both inclusive."""

    agency: Text
    household: Uuid
    since: Date
    until: NotRequired[Date]
    relation: NotRequired[Relation]
    region: Region


class PersonResolved(TypedDict):
    """What a NIK stands for, and what is known of the person; one record per NIK ever named.

    `stands_for` is the NIK that stands for the person, `alone` the household of that person alone, `aliases` the
    other NIKs it stands for; `memberships` are the facts about this very NIK.
    """

    person: Uuid
    revision: Announced
    stands_for: Uuid
    alone: Uuid
    aliases: list[Uuid]
    memberships: list[Membership]
    deceased_on: NotRequired[Date]
    sex: NotRequired[Literal["L", "P"]]
    birth_date: NotRequired[Date]
    region: NotRequired[Region]
    attributes: Free


class HouseholdResolved(TypedDict):
    """The KK at the end of a KK's chain of renewals: itself where it was never renewed."""

    household: Uuid
    stands_for: Uuid
    revision: Announced


class Neighbour(TypedDict):
    """An institution of the community, and the agency that recorded it."""

    agency: Text
    institution_id: Text


class ReportRouted(TypedDict):
    """Where a report from below stands.

    `agency` is the one that filed it. `step` is `neighbours`, a step of the policy's `routes.reports`, or `filed`
    where the policy lets reports go nowhere. At it since `since` are the agency `in_charge` or the `neighbours`, who
    have until `deadline` to answer, or to resolve what they acknowledged. `overdue` has passed its last deadline and
    is open still; `closed` has the `outcome` and the agency it was `closed_by`. `people` are those it names by NIK.
    The key is the report id; where an agency before this one filed another report under that id, or the id has a `/`
    in it, `<agency>/<report_id>`.
    """

    report_id: Text
    revision: Announced
    agency: Text
    kind: Text
    region: Region
    step: Text
    people: NotRequired[list[Uuid]]
    households: NotRequired[Count]
    state: NotRequired[Literal["waiting", "acknowledged", "overdue", "closed"]]
    in_charge: NotRequired[Text]
    neighbours: NotRequired[list[Neighbour]]
    since: NotRequired[Time]
    deadline: NotRequired[Time]
    outcome: NotRequired[Literal["helped", "helped_by_neighbours", "declined"]]
    closed_by: NotRequired[Text]
    filed_at: NotRequired[Time]


class SuspectRaised(TypedDict):
    """Persons whose identity somebody must look at, and why.

    `merge_circle`: merges of these persons close a circle; `pair` is the NIK that now stands for all. `renewal`: all
    of a family, these persons, left the first of `households` for the second, so that the one's card may have got a
    new number; `pair` is both with `+` between. `duplicate`: these two NIKs may be one person; `pair` is both, sorted,
    with `+` between, `region` the least area that holds both; `evidence` has at what level each field agrees, the
    `probability` of all, and the `band`, `same` or `to_judge`. `evidence` says how well they agree, never any value
    of theirs.
    """

    pair: Text
    revision: Announced
    kind: Text
    persons: list[Uuid]
    households: NotRequired[list[Uuid]]
    region: NotRequired[Region]
    evidence: NotRequired[Free]


class SuspectDismissed(TypedDict):
    """Somebody decided that it is not so; it is not raised again unless reopened. `decided_by` is an account."""

    pair: Text
    revision: Announced
    kind: Text
    persons: list[Uuid]
    households: NotRequired[list[Uuid]]
    region: NotRequired[Region]
    evidence: Free
    decided_by: Text
    reason: Text


class SuspectCleared(TypedDict):
    """What was suspected holds no longer."""

    pair: Text
    revision: Announced
    kind: Text


class Explained(TypedDict):
    """A name in Indonesian and English."""

    id: Text
    en: Text


class Criterion(TypedDict):
    """One criterion's outcome; `missing` names the data that were lacking where it is unknown.

    Where the policy names the criterion, `code` and `name` say which it is, and what it asks.

    Beside the criteria of the policy, in its own words, are some of one word: `alive` (asked where the policy does
    not itself speak of `deceased`), `verification` (confirmed in the field), and, where a decision is withdrawn, what
    no longer holds: `effective` (the programme decides today), `members` (the household has living members),
    `stands_for` (the NIK stands for a person).
    """

    criterion: Text
    outcome: bool | Literal["unknown"]
    code: NotRequired[Text]
    name: NotRequired[Explained]
    missing: NotRequired[list[Text]]


class DueComponent(TypedDict):
    """So many persons for whom a component of the policy is due, each at so many rupiah."""

    component: Text
    persons: Count
    each: Rupiah


class Due(TypedDict):
    """What is due for each `period` of the policy, in rupiah; by component where it has any.

    Where data are lacking to tell whether a higher component is due, `missing` names them: it may then be more.
    """

    amount: Rupiah
    period: Literal["day", "month", "two_months", "quarter", "half_year", "year", "once"]
    components: NotRequired[list[DueComponent]]
    missing: NotRequired[list[Text]]


class Contribution(TypedDict):
    """What a variable of a score adds to it: `points` are its value (true is 1, false 0) times its weight."""

    variable: Text
    value: bool | Number
    weight: Number
    points: Number


class Scored(TypedDict):
    """A household's score: `intercept` and the points of all contributions; the decile it lies in, 1 the poorest.

    It is a proxy of welfare and no measurement. Where data are lacking there is no `value`, and `missing` names them.
    """

    code: Text
    proxy: Literal[True]
    intercept: Number
    contributions: list[Contribution]
    value: NotRequired[Number]
    decile: NotRequired[Annotated[int, Field(ge=1, le=10)]]
    missing: NotRequired[list[Text]]


class DecisionMade(TypedDict):
    """Whether a person or household, by the programme's unit, meets its criteria on the day `as_of`, and why.

    `due` is given to the eligible of programmes that name an amount, `score` is that of the household where the
    programme asks for it.
    """

    programme: Text
    unit: Scope
    person: NotRequired[Uuid]
    household: NotRequired[Uuid]
    revision: Announced
    decision: Literal["eligible", "ineligible", "needs_verification", "unknown"]
    reasons: list[Criterion]
    due: NotRequired[Due]
    score: NotRequired[Scored]
    region: NotRequired[Region]
    policy_version: Text
    as_of: Date


class Placed(TypedDict):
    """One subject of a ranking: its `place` from 1 on, whether the places reached it, and in how many rounds in a row
    it was left out before."""

    subject: Uuid
    place: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    reached: bool
    left_out: Count
    region: NotRequired[Region]
    score: NotRequired[Number]


class RankingMade(TypedDict):
    """Who comes first in a round, `part` of `parts`: so many places for all `of` who were ranked.

    Made once and kept; told anew, each part with a higher revision, where somebody in it was erased. `number` orders
    the rankings. What a rank rests on stands in no part.
    """

    round: Text
    part: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    parts: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    revision: Announced
    number: Count
    programme: Text
    unit: Scope
    region: Region
    places: Count
    of: Count
    rank_by: Text
    policy_version: Text
    as_of: Date
    made_at: Time
    made_by: Text
    ranked: Annotated[list[Placed], Field(max_length=1000)]


class Aid(TypedDict):
    """One payout of a household, as the ledger has it; of one that has ended, what was last told of it before.

    `person` is whom the payout's NIK stands for; of `unit`, `tranche`, `component` and `channel` at most 60 characters.
    """

    agency: Text
    payout_id: PayoutId
    person: Uuid
    programme: Text
    covers: Covers
    kind: NotRequired[Literal["cash", "food", "goods", "service", "capital"]]
    amount: Rupiah
    quantity: NotRequired[Quantity]
    unit: NotRequired[Text]
    state: Literal["planned", "disbursed", "cancelled", "returned"]
    region: Region
    tranche: NotRequired[Text]
    component: NotRequired[Text]
    channel: NotRequired[Text]


class AidTold(TypedDict):
    """All that a household receives and did, under every programme; said anew at most once a minute.

    The household is the one in which the registry knows each payout's person on its first day. `payouts` are in the
    order of their periods, none where all of them are another household's now. Of more than 1,000 the last by period
    are told, and `more` says how many others there are.
    """

    household: Uuid
    revision: Announced
    payouts: Annotated[list[Aid], Field(max_length=1000)]
    more: NotRequired[Count]


class Money(TypedDict):
    """What became of the money of a case, in rupiah: stopped before it left, returned, or kept by who received it.

    It is one of the three: of the payout that was stopped or returned all of it, of two that were both paid the lesser.
    A payout that stood in several overlaps is told in the case of each whose end it was: sums count it once.
    """

    stopped: NotRequired[Rupiah]
    returned: NotRequired[Rupiah]
    kept: NotRequired[Rupiah]


CaseState = Literal["open", "held", "released", "upheld", "waived", "closed"]
CaseActKind = Literal[
    "opened", "assigned", "held", "released", "upheld", "waive_proposed", "waived", "reopened", "overdue", "closed"
]


class CaseAct(TypedDict):
    """One act in a case; `overlap_revision` is the announcement of the overlap that it is about."""

    act: CaseActKind
    at: Time
    overlap_revision: Announced
    by: NotRequired[Text]
    assigned_to: NotRequired[Text]
    reason: NotRequired[Text]
    basis: NotRequired[Text]


class Judged(TypedDict):
    """The facts that a judgement rests on: a digest of them that names nobody, and the states of the two payouts."""

    digest: Text
    states: Annotated[list[Literal["planned", "disbursed"]], Field(min_length=2, max_length=2)]


class CaseTold(TypedDict):
    """Where the case of an overlap stands, and the last act in it; told anew with each act.

    An overlap announced is an open case without being told so. `reopened` (the facts it judged have changed),
    `overdue`, and `closed` (the overlap ended, as `cleared` says, while it `was` in that state) are acts of the
    service, all others of the account `by`. A case that is `released` or `waived` lets the payments go as long as the
    facts stay as they were `judged`. An exclusive overlap is only waived: where its rule prefers one payment, the act
    `released` lifts a hold, and the case is `open` again. A waiver above the policy's amount is `waive_proposed` by one
    person and `waived` by another.
    `payouts`, `programmes`, `amount_at_risk`, `verdict` and `region` are those of the overlap when it was last
    announced; `acts` are all until now, the last 100, so that the newest record tells the whole case.
    """

    overlap_id: Uuid
    revision: Announced
    state: CaseState
    act: CaseActKind
    at: Time
    by: NotRequired[Text]
    assigned_to: NotRequired[Text]
    reason: NotRequired[Text]
    basis: NotRequired[Text]
    deadline: NotRequired[Time]
    overdue: NotRequired[bool]
    proposed_by: NotRequired[Text]
    judged: NotRequired[Judged]
    was: NotRequired[CaseState]
    cleared: NotRequired[Literal["payout_ended", "payout_changed", "household_changed", "policy_changed"]]
    money: NotRequired[Money]
    acts: NotRequired[Annotated[list[CaseAct], Field(min_length=1, max_length=100)]]
    payouts: Annotated[list[Payee], Field(min_length=2, max_length=2)]
    programmes: Annotated[list[Text], Field(min_length=2, max_length=2)]
    amount_at_risk: Rupiah
    verdict: NotRequired[Literal["exclusive", "review"]]
    region: Region


class AreaProgress(TypedDict):
    """Where the coupons of an area stand. `handed` have reached the resident; `allocated` is the sum of those
    `delivered`, `returned`, `unclaimed` when the closing day was over, and `left` to be delivered."""

    region: Region
    allocated: Count
    handed: Count
    delivered: Count
    returned: Count
    unclaimed: Count
    left: Count


class RoundTold(TypedDict):
    """How far a round is; told anew at most once a minute.

    `packages` are all there are, `stock` those not given out. `each` is the rupiah of one, where the round is of cash.
    `areas` are kelurahan and desa; of a round of a whole province kabupaten and kota.
    """

    round: Text
    revision: Announced
    programme: Text
    region: Region
    day: Date
    closes: Date
    state: Literal["open", "closed"]
    kind: Literal["goods", "cash"]
    each: NotRequired[Rupiah]
    packages: Count
    stock: Count
    ranked: Count
    areas: list[AreaProgress]


class Turn(TypedDict):
    """Whether a subject had their turn in a round: were given a package, or gave it back."""

    subject: Uuid
    had: bool


class RoundClosed(TypedDict):
    """Who of a closed round's list, `part` of `parts`, had their turn otherwise than their place on it said.

    A place that was reached and got nothing had none; one that was not reached, and got what another did not fetch, had
    theirs. Told anew, each part with a higher revision, where somebody in it was erased.
    """

    round: Text
    part: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    parts: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    revision: Announced
    programme: Text
    turns: Annotated[list[Turn], Field(max_length=1000)]


class RoundHeld(TypedDict):
    """A community's own round in a kelurahan or desa, as somebody reported it; none where `packages` is 0."""

    programme: Text
    region: Region
    day: Date
    packages: Count
    revision: Announced
    reported_by: Text


class FindingRaised(TypedDict):
    """Something in the data that a person must look at; said anew with a higher revision when what is said changes.

    `rule` is `paid_to_deceased`, `not_registered`, `paid_to_ineligible`, `paid_unverified` or `outside_area`, of one
    payout; `over_cap` or `twice_in_round`, of a household or person with all payouts that make it, in the order of
    agency and payout id; or `group_too_large`, which names none. `region` is that of the last of the payouts; of
    `group_too_large` the area that all of them lie in, if any. `evidence` holds codes, days and numbers; amounts in
    rupiah.
    """

    finding_id: Uuid
    revision: Announced
    rule: Text
    person: NotRequired[Uuid]
    household: NotRequired[Uuid]
    programme: NotRequired[Text]
    payouts: NotRequired[list[Payee]]
    region: NotRequired[Region]
    evidence: Free
    policy_version: NotRequired[Text]


class FindingCleared(TypedDict):
    """What was found holds no longer; `payouts` are those it was last found of."""

    finding_id: Uuid
    revision: Announced
    rule: Text
    payouts: NotRequired[list[Payee]]


class Acknowledgement(TypedDict):
    """When the last of what a notice tells was acknowledged: by a person, or by what happened to it since."""

    at: Time
    how: Literal["person", "event"]


class DeliveryRecorded(TypedDict):
    """How a notice to an agency went, anew with a higher revision after each try, each report of its gateway,
    and once it is acknowledged.

    `delivered` and `read` are what the gateway of a channel reports of a notice that was `sent`; where it reports a
    failure instead, `sent` becomes `failed`, and the notice takes the next `channel`. `failed` is certain not to have
    gone out, `doubtful` may have (a crash, or a lost answer, leaves it open), `skipped` was not tried, for the
    `reason`. `causes` names up to 100 of the overlaps it tells of, `count` is the number of all that it tells of,
    overlaps or rejected records.

    By the policy's `routes.notices`, `kind` is that of the causes, or `summary` in a digest; `causes` are then the ids
    of overlaps and findings, for others ids of ours. `agency` may be a group of `routes.recipients`. `level` is how
    far what it tells has climbed for want of an acknowledgement: 0 not at all.
    """

    delivery_id: Uuid
    revision: Announced
    agency: Text
    channel: Text
    kind: Literal["overlaps", "digest", "rejections", "overlap", "case", "finding", "report", "suspect", "summary"]
    verdict: NotRequired[Literal["exclusive", "review"]]
    state: Literal["sent", "delivered", "read", "failed", "doubtful", "skipped"]
    causes: list[Uuid]
    count: Count
    attempts: Count
    at: Time
    reason: NotRequired[Text]
    level: NotRequired[Count]
    acknowledged: NotRequired[Acknowledgement]


class ProgressTold(TypedDict):
    """Up to where a service has told, on its own topics, all that follows from what it reads; a topic that is not named
    counts from its beginning.

    `through` gives, by topic and in the order of its partitions, the offset before which nothing is left to be told.
    Whoever has read this record finds all of it on the service's topics before where they end now.
    """

    service: Text
    revision: Announced
    through: dict[str, list[Offset]]


@dataclass(frozen=True, slots=True)
class Outbound:
    """An event of ours: what its `data` looks like and the topics it stands on."""

    data: Any
    topics: tuple[str, ...]


_QUARANTINES: Final = ("registry.quarantine.v1", "eligibility.quarantine.v1", "distribution.quarantine.v1")
_RECEIPTS: Final = ("agency.{agency}.receipts.v1",)

#: Every event of ours by its type. The data of `tepat.policy.applied.v1` is the policy document itself.
OUTBOUND: Final[Mapping[str, Outbound]] = {
    OVERLAP_DETECTED: Outbound(OverlapDetected, ("distribution.overlaps.v1",)),
    OVERLAP_CLEARED: Outbound(OverlapCleared, ("distribution.overlaps.v1",)),
    CLEARANCE_ISSUED: Outbound(ClearanceIssued, ("agency.{agency}.clearances.v1",)),
    PERSON_RESOLVED: Outbound(PersonResolved, ("registry.persons.v1",)),
    HOUSEHOLD_RESOLVED: Outbound(HouseholdResolved, ("registry.households.v1",)),
    REPORT_ROUTED: Outbound(ReportRouted, ("registry.reports.v1",)),
    DECISION_MADE: Outbound(DecisionMade, ("eligibility.decisions.v1",)),
    RANKING_MADE: Outbound(RankingMade, ("eligibility.rankings.v1",)),
    ROUND_TOLD: Outbound(RoundTold, ("distribution.rounds.v1",)),
    ROUND_CLOSED: Outbound(RoundClosed, ("distribution.turns.v1",)),
    ROUND_HELD: Outbound(RoundHeld, ("distribution.rounds.v1",)),
    SUSPECT_RAISED: Outbound(SuspectRaised, ("registry.suspects.v1",)),
    SUSPECT_CLEARED: Outbound(SuspectCleared, ("registry.suspects.v1",)),
    SUSPECT_DISMISSED: Outbound(SuspectDismissed, ("registry.suspects.v1",)),
    CASE_TOLD: Outbound(CaseTold, ("distribution.cases.v1",)),
    AID_TOLD: Outbound(AidTold, ("distribution.aid.v1",)),
    FINDING_RAISED: Outbound(FindingRaised, ("distribution.findings.v1", "registry.suspects.v1")),
    FINDING_CLEARED: Outbound(FindingCleared, ("distribution.findings.v1", "registry.suspects.v1")),
    DELIVERY_RECORDED: Outbound(DeliveryRecorded, ("notifications.deliveries.v1",)),
    POLICY_APPLIED: Outbound(dict[str, Any], ("policy.v1",)),
    PROGRESS_TOLD: Outbound(ProgressTold, ("registry.progress.v1", "eligibility.progress.v1")),
    receipts.EVENT_REJECTED: Outbound(receipts.Rejected, _RECEIPTS),
    receipts.EVENTS_ACCEPTED: Outbound(receipts.Accepted, _RECEIPTS),
    receipts.EVENT_REPLAYED: Outbound(receipts.Replayed, _RECEIPTS),
    receipts.RECORD_QUARANTINED: Outbound(receipts.Quarantined, _QUARANTINES),
}
