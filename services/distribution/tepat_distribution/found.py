"""What is found of payouts: the terms of a policy by which they are judged, and what is said of a finding that changed.

No I/O, and no clock of its own. Which payouts make a finding is worked out by ``sql/queries/findings.sql``, by the
rules of the README ("Findings"); what is said of them is decided here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import orjson
from tepat_contracts.events.fields import MAX_INTEGER
from tepat_contracts.events.ours import FINDING_CLEARED, FINDING_RAISED
from tepat_contracts.policy import Policy, Programme

from tepat_distribution.domain import FINDING_NAMESPACE, LONGEST, STATES

OF_PAYOUT: Final = ("paid_to_deceased", "not_registered", "paid_to_ineligible", "paid_unverified", "outside_area")
"""Rules about one payout."""
OF_GROUP: Final = ("over_cap", "twice_in_round")
"""Rules about the payouts of a household or person."""
TOO_LARGE: Final = "group_too_large"
RULES: Final = (*OF_PAYOUT, *OF_GROUP, TOO_LARGE)
STANDINGS: Final = {"eligible": 1, "ineligible": 2, "needs_verification": 3}
"""What eligibility decides, as the numbers of table ``decision``; 0 is nothing, or unknown."""
WITHDRAWN: Final = frozenset({"effective", "members", "stands_for"})
"""The one criterion of a decision that only says that nothing is decided any longer."""
AREAS_TOLD: Final = 20


class Term(NamedTuple):
    """What a policy says of a programme; ``starts`` and ``ends`` are inclusive."""

    programme: str
    person: bool
    decided: bool
    starts: date
    ends: date
    period: str | None
    regions: tuple[str, ...]


class Cap(NamedTuple):
    """The most rupiah a programme pays a household or person for one period, for a component or ('') in all."""

    programme: str
    component: str
    amount: int


def terms(policy: Policy) -> list[Term]:
    """What a policy says of each of its programmes."""
    return [
        Term(
            each.code, each.unit == "person", each.criteria is not None, each.effective.from_ or date.min,
            each.effective.to or date.max, each.period, tuple(each.regions),
        )
        for each in policy.programmes
    ]  # fmt: skip


def caps(policy: Policy) -> list[Cap]:
    """What each programme pays at most; nothing of one that does not say how much, or for how many."""
    return [
        Cap(programme.code, component, min(amount, MAX_INTEGER))
        for programme in policy.programmes
        for component, amount in _caps(programme).items()
    ]


def _caps(programme: Programme) -> dict[str, int]:
    if programme.period is None:
        return {}
    if not programme.components:
        return {} if programme.amount is None else {"": programme.amount}
    persons = 1 if programme.unit == "person" else programme.most_components
    if persons is None:
        return {}
    found = {"": persons * max(each.amount for each in programme.components)}
    for each in programme.components:  # a payout is known to name so many characters
        code = each.code[:LONGEST]
        found[code] = max(found.get(code, 0), persons * each.amount)
    return found


def standing(decision: Mapping[str, Any]) -> int:
    """What stands by the data of a decision, as a number; 0 of one that is withdrawn."""
    reasons = decision["reasons"]
    if len(reasons) == 1 and reasons[0]["criterion"] in WITHDRAWN and reasons[0]["outcome"] is False:
        return 0
    return STANDINGS.get(decision["decision"], 0)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is found now. ``payouts`` are (agency, payout id) by the ledger's number of the agency, in order."""

    finding_id: UUID
    rule: str
    person: UUID | None
    household: UUID | None
    programme: int
    payouts: tuple[tuple[int, str], ...]
    region: str
    evidence: Mapping[str, Any]

    def said(self) -> tuple[Any, ...]:
        """What of it is announced and kept: another finding under its id differs in this."""
        agencies, payout_ids = map(list, zip(*self.payouts, strict=True))
        written = orjson.dumps(self.evidence).decode()
        return self.person, self.household, self.programme, agencies, payout_ids, self.region, written


SAID: Final = ("person", "household", "programme", "agencies", "payout_ids", "region", "evidence")
"""The columns of table ``finding`` that ``Finding.said`` gives."""


def of_payout(row: Mapping[str, Any], agencies: Mapping[int, str]) -> Finding:
    """A finding about one payout. Args: ``row`` of ``found_of_payouts``."""
    rule, payout = row["rule"], (row["agency"], row["payout_id"])
    evidence: dict[str, Any] = {"amount": row["amount"], "state": STATES[row["rank"]]}
    match rule:
        case "paid_to_deceased":
            evidence |= {"deceased_on": row["deceased_on"], "covers_from": row["starts"]}
        case "paid_to_ineligible" | "paid_unverified":
            evidence |= {"unit": "person" if row["of_person"] else "household", "as_of": row["as_of"]}
        case "outside_area":
            evidence |= {"areas": row["regions"][:AREAS_TOLD]}
    identity = _identity(rule, agencies[payout[0]], payout[1])
    return Finding(
        identity, rule, row["person"], row["household"], row["programme"], (payout,), row["region"], evidence
    )


def over_cap(row: Mapping[str, Any], programmes: Mapping[int, str]) -> Finding:
    """A finding that a group's payouts exceed what the policy pays. Args: ``row`` of ``found_over_cap``."""
    paid, cap = int(row["paid"]), row["cap"] * row["periods"]
    evidence = {
        "paid": min(paid, MAX_INTEGER), "cap": min(cap, MAX_INTEGER), "over": min(paid - cap, MAX_INTEGER),
        "period": row["period"], "periods": row["periods"], "from": row["starts"], "to": row["ends"],
        **({"component": row["component"]} if row["component"] else {}),
    }  # fmt: skip
    detail = (row["component"], str(row["first"]))
    return _of_group("over_cap", row, programmes, detail, evidence)


def twice(row: Mapping[str, Any], programmes: Mapping[int, str]) -> Finding:
    """A finding that a group is paid more than once in a round. Args: ``row`` of ``found_twice``."""
    evidence = {
        "tranche": row["tranche"], "payouts": len(row["agencies"]), "paid": min(int(row["paid"]), MAX_INTEGER)
    }  # fmt: skip
    return _of_group("twice_in_round", row, programmes, (row["tranche"],), evidence)


def _of_group(
    rule: str, row: Mapping[str, Any], programmes: Mapping[int, str], detail: Sequence[str], evidence: dict[str, Any]
) -> Finding:
    g, person = row["g"], row["of_person"]
    payouts = tuple(zip(row["agencies"], row["payout_ids"], strict=True))
    identity = _identity(rule, str(g), programmes[row["programme"]], *detail)
    return Finding(
        identity, rule, g if person else None, None if person else g, row["programme"], payouts, row["region"], evidence
    )


def _identity(*parts: str) -> UUID:
    return uuid5(FINDING_NAMESPACE, "/".join(parts))


class Change(NamedTuple):
    """What is announced of a finding, and what is kept of it (table ``announced_finding``)."""

    type: str
    data: dict[str, Any]
    row: tuple[Any, ...]


def changes(
    found: Iterable[Finding],
    known: Mapping[UUID, Mapping[str, Any]],
    agencies: Mapping[int, str],
    programmes: Mapping[int, str],
    version: str,
) -> list[Change]:
    """What to announce of what was looked at.

    Args:
        found: all that is found of it now.
        known: rows of ``finding`` by their ids: those that stand of what was looked at, and all under an id of `found`.
        agencies, programmes: codes by their numbers in the ledger.
        version: of the policy in force.
    """
    made, stands = [], set()
    for each in found:
        stands.add(each.finding_id)
        had, said = known.get(each.finding_id), each.said()
        if had is None or not had["live"] or tuple(had[name] for name in SAID) != said:
            revision = had["revision"] + 1 if had is not None else 1
            made.append(_raised(each, said, revision, agencies, programmes, version))
    made += [_cleared(had, agencies) for id_, had in known.items() if had["live"] and id_ not in stands]
    return made


def _raised(
    found: Finding,
    said: tuple[Any, ...],
    revision: int,
    agencies: Mapping[int, str],
    programmes: Mapping[int, str],
    version: str,
) -> Change:
    data = {
        "finding_id": str(found.finding_id), "revision": revision, "rule": found.rule,
        **({"person": str(found.person)} if found.person is not None else {}),
        **({"household": str(found.household)} if found.household is not None else {}),
        "programme": programmes[found.programme],
        "payouts": [{"agency": agencies[agency], "payout_id": payout_id} for agency, payout_id in found.payouts],
        "region": found.region, "evidence": found.evidence, "policy_version": version,
    }  # fmt: skip
    row = (found.finding_id, revision, True, found.rule, found.rule in OF_GROUP, *said, version)
    return Change(FINDING_RAISED, data, row)


def _cleared(had: Mapping[str, Any], agencies: Mapping[int, str]) -> Change:
    revision = had["revision"] + 1
    data = {
        "finding_id": str(had["finding_id"]), "revision": revision, "rule": had["rule"],
        "payouts": [
            {"agency": agencies[agency], "payout_id": payout_id}
            for agency, payout_id in zip(had["agencies"], had["payout_ids"], strict=True)
        ],
    }  # fmt: skip
    row = (had["finding_id"], revision, False, had["rule"], had["of_group"], *(had[name] for name in SAID),
           had["policy_version"])  # fmt: skip
    return Change(FINDING_CLEARED, data, row)
