"""What must be found beside overlaps, by the rules that distribution's README states: no database, nothing shared with
the service.

It takes the ledger and the households from the oracle of overlaps, and sees what registry and eligibility told last.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from uuid import UUID, uuid5

from . import oracle

NAMESPACE = UUID("0b6f6f4c-3f0e-5a53-8f8e-5c7d1c6f2a44")
MOST = 2**63 - 1
MONTHS = {"month": 1, "two_months": 2, "quarter": 3, "half_year": 6, "year": 12}

Said = dict[str, Any]


def expected(
    events: list[oracle.Event],
    document: Mapping[str, Any],
    persons: Mapping[str, Mapping[str, Any]],
    decisions: Mapping[tuple[str, str], Mapping[str, Any]],
    secret: bytes,
    limit: int,
) -> dict[str, Said]:
    """What is found, by id.

    Args:
        events: the payouts that were taken, and all facts of who is who.
        persons, decisions: what was told last, by pseudonym, and by programme and subject.
        limit: the most live payouts of a household or person that is judged.
    """
    people = oracle.People(events, document)
    data = {(e.agency, e.data["payout_id"]): e.data for e in oracle.holding_payouts(events)}
    programmes = {each["code"]: each for each in document["programmes"]}
    found: list[Said] = []
    groups: dict[tuple[str, str], list[oracle.Payout]] = defaultdict(list)
    for p in sorted(oracle.live_payouts(events), key=lambda p: p.key):
        person = oracle.pseudonym(secret, f"nik:{people.person(p.nik)}")
        household = oracle.pseudonym(secret, people.household(p))
        groups["person", person].append(p)
        groups["household", household].append(p)
        found += [
            {
                "rule": rule, "person": person, "household": household, "programme": p.programme,
                "payouts": [{"agency": p.agency, "payout_id": p.payout_id}], "region": p.region,
                "evidence": {"amount": p.amount, "state": p.state} | evidence,
                "finding_id": identity(rule, p.agency, p.payout_id),
            }
            for rule, evidence in _alone(p, oracle.pseudonym(secret, f"nik:{p.nik}"), person, household,
                                         programmes.get(p.programme), persons, decisions)
        ]  # fmt: skip
    for (unit, g), payouts in groups.items():
        if len(payouts) <= limit:
            for code in {p.programme for p in payouts}:
                programme = programmes.get(code)
                if (programme["unit"] if programme else "person") == unit:
                    theirs = [p for p in payouts if p.programme == code]
                    found += _twice(unit, g, code, theirs, data)
                    if programme is not None:
                        found += _over(unit, g, programme, theirs, data)
    return {each["finding_id"]: each for each in found}


def fold(told: Iterable[oracle.Record]) -> dict[str, Said]:
    """Folds `distribution.findings.v1` to what is found now, by id, less the groups that are too large."""
    latest: dict[str, tuple[int, str, Said]] = {}
    for record in told:
        event = json.loads(record.value or b"{}")
        data = event["data"]
        if data["revision"] > latest.get(data["finding_id"], (0,))[0]:
            latest[data["finding_id"]] = data["revision"], event["type"], data
    return {
        id_: {field: value for field, value in data.items() if field not in oracle.NOT_COMPARED}
        for id_, (_, type_, data) in latest.items()
        if type_ == "tepat.finding.raised.v1" and data["rule"] != "group_too_large"
    }


def identity(*parts: str) -> str:
    return str(uuid5(NAMESPACE, "/".join(parts)))


def _alone(
    p: oracle.Payout, nik: str, person: str, household: str, programme: Mapping[str, Any] | None,
    persons: Mapping[str, Mapping[str, Any]], decisions: Mapping[tuple[str, str], Mapping[str, Any]],
) -> Iterable[tuple[str, Said]]:  # fmt: skip
    died = persons.get(person, {}).get("deceased_on")
    if died is not None and p.first > died:
        yield "paid_to_deceased", {"deceased_on": died, "covers_from": p.first}
    if persons and nik not in persons:
        yield "not_registered", {}
    if programme is None:
        return
    if programme.get("criteria") is not None:
        decision = decisions.get((p.programme, household if programme["unit"] == "household" else person))
        rule = {"ineligible": "paid_to_ineligible", "needs_verification": "paid_unverified"}
        reasons = [each["criterion"] for each in decision["reasons"]] if decision else []
        withdrawn = reasons in (["effective"], ["members"], ["stands_for"])
        if decision is not None and decision["decision"] in rule and not withdrawn:
            yield rule[decision["decision"]], {"unit": programme["unit"], "as_of": decision["as_of"]}
    areas = programme.get("regions") or []
    touching = [a for a in areas if f"{p.region}.".startswith(f"{a}.") or f"{a}.".startswith(f"{p.region}.")]
    if areas and not touching and _holds(programme, p):
        yield "outside_area", {"areas": areas[:20]}


def _holds(programme: Mapping[str, Any], p: oracle.Payout) -> bool:
    effective = programme.get("effective") or {}
    return (effective.get("from") or "0001-01-01") <= p.first <= (effective.get("to") or "9999-12-31")


def _of_group(
    rule: str, unit: str, g: str, code: str, payouts: list[oracle.Payout], evidence: Said, *detail: str
) -> Said:
    return {
        "rule": rule, unit: g, "programme": code, "region": payouts[-1].region, "evidence": evidence,
        "payouts": [{"agency": p.agency, "payout_id": p.payout_id} for p in payouts],
        "finding_id": identity(rule, g, code, *detail),
    }  # fmt: skip


def _twice(unit: str, g: str, code: str, payouts: list[oracle.Payout], data: Mapping[Any, Said]) -> Iterable[Said]:
    for tranche in {named for p in payouts if (named := data[p.key].get("tranche")) is not None}:
        same = [p for p in payouts if data[p.key].get("tranche") == tranche]
        if len(same) > 1:
            paid = min(sum(p.amount for p in same), MOST)
            evidence = {"tranche": tranche, "payouts": len(same), "paid": paid}
            yield _of_group("twice_in_round", unit, g, code, same, evidence, tranche)


def _most(programme: Mapping[str, Any]) -> dict[str, int]:
    """The most that is paid for a period: in all under '', and by component."""
    if programme.get("period") is None:
        return {}
    components = programme.get("components") or []
    if not components:
        return {"": programme["amount"]} if programme.get("amount") is not None else {}
    persons = 1 if programme["unit"] == "person" else programme.get("most_components")
    if persons is None:
        return {}
    most = {each["code"]: persons * each["amount"] for each in components}
    return most | {"": max(most.values())}


def _number(period: str, day: str) -> int:
    if period == "once":
        return 0
    at = date.fromisoformat(day)
    return at.toordinal() - 1 if period == "day" else (at.year * 12 + at.month - 1) // MONTHS[period]


def _over(
    unit: str, g: str, programme: Mapping[str, Any], payouts: list[oracle.Payout], data: Mapping[Any, Said]
) -> Iterable[Said]:
    for component, most in _most(programme).items():
        period = programme["period"]
        counted = [p for p in payouts if _holds(programme, p) and component in ("", data[p.key].get("component"))]
        runs: list[tuple[int, int, list[oracle.Payout]]] = []
        for p in counted:  # one after the other, joined with all that it shares a period with
            low, high, theirs = _number(period, p.first), _number(period, p.last), [p]
            for run in [run for run in runs if run[0] <= high and low <= run[1]]:
                runs.remove(run)
                low, high, theirs = min(low, run[0]), max(high, run[1]), [*theirs, *run[2]]
            runs.append((low, high, theirs))
        for low, high, theirs in runs:
            paid, cap = sum(p.amount for p in theirs), most * (high - low + 1)
            if paid > cap:
                evidence = {
                    "paid": min(paid, MOST), "cap": min(cap, MOST), "over": min(paid - cap, MOST), "period": period,
                    "periods": high - low + 1, "from": min(p.first for p in theirs), "to": max(p.last for p in theirs),
                } | ({"component": component} if component else {})  # fmt: skip
                theirs.sort(key=lambda p: p.key)
                yield _of_group("over_cap", unit, g, programme["code"], theirs, evidence, component, str(low))
