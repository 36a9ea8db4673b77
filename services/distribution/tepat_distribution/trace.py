"""The way of one thing through distribution, as steps in time; and under which names other services may know more.

Invariant: a step is told to those alone in whose regions its payout, round or finding lies.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database
from tepat_chassis.http import uuid_in
from tepat_chassis.standing import Standing
from tepat_contracts.cases import ids_of
from tepat_contracts.topics import Kind, inbound_name

from tepat_distribution import coupon, findings_api
from tepat_distribution.domain import DECISIONS, VERDICTS
from tepat_distribution.giving import STEPS
from tepat_distribution.policed import Policed
from tepat_distribution.rounds import concerns
from tepat_distribution.store import every, queries
from tepat_distribution.timeline import done, paid

Reader = Annotated[Person, Depends(needs(Right.read))]
Step = dict[str, Any]
MOST_NAMES: Final = 12
"""Of those under which another service is asked on: a payout and what concerns it has less."""


def router(database: Database, standing: Standing[Policed], keys: Callable[[str], bytes]) -> APIRouter:
    """The route below /v1. Args: ``keys``: what coupons are signed with under a secret of the policy."""
    routes = APIRouter(tags=["trace"])

    @routes.get("/trace/{name:path}")
    async def trace(name: str, person: Reader) -> dict[str, Any]:
        """What this service did with a payout (``agency/payout_id`` or payout id), event, overlap, case (its code),
        finding, person, household, round, or coupon; `also`: the names by which services know what concerns it.

        Of a payout every event is a step, where it was heard of, with the time that its agency gives it beside
        (`dated`); the one that holds tells the payout whole. An event is found by a look through the whole ledger.
        """
        async with database.pool.acquire() as connection:
            g = uuid_in(name) or await _overlap_of(connection, name)
            rows = [row for row in await _payouts(connection, name, g) if person.covers(row["region"])]
            found = await findings_api.traced(connection, person, g, rows)
            steps = await _told(connection, rows) + [_found(each) for each in found]
            steps += await _of_payouts(connection, rows)
            steps += await _round(connection, name, person)
            place = await _place(connection, name, keys)
            steps += await _given(connection, g, place, person)
        known = (await standing.ruling()).document.index.programmes
        units = {code: programme.unit for code, programme in known.items()}
        also = {} if g in {row[of] for row in rows for of in ("person", "household")} else _also(rows, found, units)
        return {"steps": sorted(steps, key=lambda step: step["at"]), "also": also}

    return routes


async def _overlap_of(connection: Connection, code: str) -> UUID | None:
    """The overlap whose case has this code."""
    if (between := ids_of(code)) is None:
        return None
    rows = await every(queries.cases_between(connection, least=between[0], greatest=between[1]))
    return rows[0]["overlap_id"] if rows else None


async def _payouts(connection: Connection, name: str, g: UUID | None) -> list[Any]:
    agency, _, rest = name.partition("/")
    nobody = {"payout_id": None, "agency": None, "g": None, "event_id": None}
    meant: list[dict[str, Any]] = [{"payout_id": rest, "agency": agency}] if rest else []
    meant += [{"payout_id": name, "g": g}, {"event_id": name}]  # a payout id may have a slash itself
    rows: list[Any] = []
    while meant and not rows:
        rows = await every(queries.payouts_named(connection, **nobody | meant.pop(0)))
    return rows


async def _told(connection: Connection, rows: Sequence[Any]) -> list[Step]:
    """Every event about payouts, where it was heard of: the last of each holds, and tells the payout whole."""
    whole = {(row["agency"], row["payout_id"]): row for row in rows}
    steps: list[Step] = []
    events = await every(queries.events_of_payouts(connection, **named(rows))) if rows else []
    for name, about in groupby(events, lambda row: (row["agency"], row["payout_id"])):
        told = list(about)
        for row, step in zip(told, paid(told), strict=True):
            detail = {"agency": row["agency"], "payout_id": row["payout_id"], "revision": row["revision"],
                      "event_id": row["event_id"], "amount": step["amount"]}  # fmt: skip
            beside = {name: step[name] for name in ("dated", "late") if name in step}
            holds = row is told[-1]
            steps.append(_step(step["at"], step["what"], (taken(whole[name]) if holds else detail) | beside))
    return steps


async def _of_payouts(connection: Connection, rows: Sequence[Any]) -> list[Step]:
    """What was announced, decided and answered of payouts, and their receipts."""
    if not rows:
        return []
    overlaps = {row["overlap_id"]: row for row in await every(queries.overlaps_of(connection, **named(rows)))}
    steps = [announced(row) for row in overlaps.values()]
    for case in await every(queries.cases_named(connection, ids=list(overlaps))):
        steps += _decided(case)
    steps += [
        _step(row["as_of"], f"answered: {DECISIONS[row['decision']]}", answered(row))
        for row in await every(queries.clearances_of(connection, **named(rows)))
    ]
    steps += [
        _step(row["at"], "receipt kept", dict(row) | {"receipt": row["receipt"].hex()})
        for row in await every(queries.receipts_of(connection, **named(rows)))
    ]
    return steps


async def _round(connection: Connection, name: str, person: Person) -> list[Step]:
    """What people did with a round."""
    rows = await every(queries.rounds_told_of(connection, rounds=[name]))
    if not any(concerns(person, row["region"]) for row in rows):
        return []
    return [
        _step(row["at"], row["act"].replace(".", " "), {"round": name, "by": row["who"], **orjson.loads(row["detail"])})
        for row in await every(queries.acts_on_round(connection, round=name))
    ]


async def _place(
    connection: Connection, code: str, keys: Callable[[str], bytes]
) -> tuple[str, int] | tuple[None, None]:
    """The round and the place that a coupon was printed for."""
    for row in await every(queries.rounds_with_coupons(connection)) if coupon.is_written(code) else ():
        try:
            return row["round"], coupon.place_of(keys(row["secret_id"]), row["round"], code)
        except coupon.Forged:
            continue
    return None, None


async def _given(
    connection: Connection, g: UUID | None, place: tuple[str, int] | tuple[None, None], person: Person
) -> list[Step]:
    """What became of what was promised a person or household in rounds, or to a place."""
    rows = await every(queries.coupon_steps(connection, subject=g, round=place[0], place=place[1]))
    return [
        _step(row["at"], row["what"], {
            **{name: row[name] for name in ("round", "programme", "place", "subject", "region", "state")},
            "to": row["step"] and STEPS[row["step"] - 1], **orjson.loads(row["more"] or "{}"),
        })
        for row in rows if person.covers(row["region"])
    ]  # fmt: skip


def _also(rows: Sequence[Any], found: Sequence[Mapping[str, Any]], units: Mapping[str, str]) -> dict[str, list[str]]:
    """By service, whom payouts are to, what was decided of them under their programmes, and what was found."""
    names = defaultdict[str, dict[str, None]](dict)
    for row in rows:
        if row["person"] is not None:
            names["registry"][str(row["person"])] = None
        if (unit := units.get(row["programme"])) and row[unit] is not None:
            names["eligibility"][f"{row['programme']}|{row[unit]}"] = None
    for each in found:
        names["notifications"][str(each["finding_id"])] = None
    return {service: list(each)[:MOST_NAMES] for service, each in names.items()}


def named(rows: Sequence[Any]) -> dict[str, list[str]]:
    """The names of payouts, as statements take them."""
    return {"agencies": [row["agency"] for row in rows], "payout_ids": [row["payout_id"] for row in rows]}


def _step(at: datetime, what: str, detail: dict[str, Any]) -> Step:
    return {"at": at, "service": "distribution", "what": what, "detail": detail}


def taken(row: Any) -> dict[str, Any]:
    """A payout as it is."""
    return {
        "agency": row["agency"], "payout_id": row["payout_id"], "revision": row["revision"],
        "event_id": row["event_id"], "topic": inbound_name(row["agency"], Kind.PAYOUTS),
        "partition": row["partition"], "offset": row["offset"], "programme": row["programme"],
        "covers": {"from": row["starts"], "to": row["ends"]}, "amount": row["amount"],
        "person": row["person"], "household": row["household"], "region": row["region"],
        "traceparent": row["trace"],
    }  # fmt: skip


def announced(row: Any) -> Step:
    """What was last announced of an overlap."""
    return _step(row["announced_at"], "overlap announced" if row["live"] else "overlap cleared", {
        "overlap_id": row["overlap_id"], "revision": row["revision"], "rule": row["rule"],
        "verdict": VERDICTS[row["strength"]], "amount_at_risk": row["amount_at_risk"],
        "payouts": [f"{row['agency_a']}/{row['payout_a']}", f"{row['agency_b']}/{row['payout_b']}"],
    })  # fmt: skip


def answered(row: Any) -> dict[str, Any]:
    """Whether a payout may go, as last answered."""
    return {
        "agency": row["agency_code"], "payout_id": row["payout_id"], "revision": row["revision"],
        "decision": DECISIONS[row["decision"]], "reasons": row["reasons"], "overlaps": row["overlap_ids"],
        "region": row["region"], "policy_version": row["policy_version"], "as_of": row["as_of"],
    }  # fmt: skip


def _decided(row: Any) -> list[Step]:
    acts = orjson.loads(row["told"])["acts"] if row["told"] is not None else []
    return [
        _step(
            act["at"], f"case {act['act'].replace('_', ' ')}",
            {"overlap_id": row["overlap_id"], **{name: act[name] for name in act if name not in ("act", "at")}},
        )
        for act in done(acts)
    ]  # fmt: skip


def _found(finding: Mapping[str, Any]) -> Step:
    told = {name: value for name, value in finding.items() if name not in ("live", "announced_at", "payouts")}
    payouts = [f"{each['agency']}/{each['payout_id']}" for each in finding["payouts"]]
    what = "finding raised" if finding["live"] else "finding cleared"
    return _step(finding["announced_at"], what, told | {"payouts": payouts})
