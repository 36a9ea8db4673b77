"""What was found of payouts, over HTTP."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database
from tepat_chassis.http import Page, Region, must_be_of, paging
from tepat_chassis.standing import Standing

from tepat_distribution import domain
from tepat_distribution.domain import STATES
from tepat_distribution.found import RULES, TOO_LARGE
from tepat_distribution.policed import Policed
from tepat_distribution.refusals import refusal
from tepat_distribution.store import every, queries

Reader = Annotated[Person, Depends(needs(Right.read))]
Rule = Literal[RULES]  # type: ignore[valid-type]


def router(database: Database, standing: Standing[Policed]) -> APIRouter:
    """The routes below /v1."""
    routes = APIRouter(tags=["findings"])

    @routes.get("/findings")
    async def findings(
        person: Reader,
        page: Annotated[Page, Depends(paging(UUID))],
        live: Annotated[bool | None, Query(description="those that stand; false: those cleared")] = True,
        both: Annotated[bool, Query(alias="all", description="both")] = False,
        rule: Rule | None = None,
        programme: str | None = None,
        agency: Annotated[str | None, Query(description="those with a payout of this agency")] = None,
        region: Region = None,
        household: Annotated[UUID | None, Query(description="those of this household")] = None,
        of: Annotated[UUID | None, Query(alias="person", description="those of this person")] = None,
    ) -> dict[str, Any]:
        """What was found of payouts, as last announced, in the person's regions."""
        known = (await standing.ruling()).document
        must_be_of(known.index.programmes, "programme", programme, what="programme")
        must_be_of(known.agencies, "agency", agency, what="agency")
        rows = await every(queries.findings(
            database.pool, after=page.after[0] if page.after else None, ids=None, live=None if both else live,
            rule=rule, programme=programme, agency=agency, household=household, person=of, region=region,
            regions=list(person.regions), at_most=page.limit + 1,
        ))  # fmt: skip
        return page.of([_finding(row) for row in rows], _key)

    @routes.get("/findings/{finding_id}")
    async def finding(finding_id: UUID, person: Reader) -> dict[str, Any]:
        """One finding, with its payouts as the ledger has them now; of a group that is too large their number alone."""
        async with database.pool.acquire() as connection:
            keys = await _keys(connection, finding_id)
            found = [
                row for row in await _by_key(connection, keys, person) if _finding(row)["finding_id"] == finding_id
            ]
            if not found:
                raise refusal(404, "no_finding")
            (row,) = found
            ledger = await every(
                queries.finding_payouts(connection, agencies=row["agencies"], payout_ids=row["payout_ids"])
            )
            told = _finding(row) | {"payouts": [_payout(each) for each in ledger]}
            if row["rule"] == TOO_LARGE:
                told["live_payouts"] = await queries.payouts_of_large(
                    connection, household=row["household"], person=row["person"]
                )
        return told

    return routes


async def held(
    connection: Connection, reader: Person, persons: Sequence[UUID], payouts: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Everything ever found of a person: of their payouts, and of the households these are in.

    Args:
        persons: all their pseudonyms.
        payouts: rows of ``payouts_held``.
    """
    rows = await every(queries.findings_of(
        connection, persons=persons, households=list({row["household"] for row in payouts}),
        agencies=[row["agency"] for row in payouts], payout_ids=[row["payout_id"] for row in payouts],
    ))  # fmt: skip
    return [_finding(row) for row in await _by_key(connection, [row["key"] for row in rows], reader)]


async def traced(
    connection: Connection, reader: Person, g: UUID | None, payouts: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What was ever found of these payouts, rows of ``payouts_named``, and what ``g`` names: a finding itself, or those
    of a person or household.
    """
    rows = await every(queries.findings_of(
        connection, persons=[*{row["person"] for row in payouts} | {g}],
        households=[*{row["household"] for row in payouts} | {g}],
        agencies=[row["agency"] for row in payouts], payout_ids=[row["payout_id"] for row in payouts],
    ))  # fmt: skip
    keys = [*(row["key"] for row in rows), *(await _keys(connection, g) if g is not None else ())]
    named = {(row["agency"], row["payout_id"]) for row in payouts}
    return [
        each for each in map(_finding, await _by_key(connection, keys, reader))
        if (g is not None and g in (each["finding_id"], each["person"], each["household"]))
        or any((of["agency"], of["payout_id"]) in named for of in each["payouts"])
    ]  # fmt: skip


async def _keys(connection: Connection, finding_id: UUID) -> list[UUID]:
    """The keys under which a finding may be kept: of a group that is too large the group's own."""
    large = [row["g"] for row in await every(queries.large_ever(connection))]
    return [finding_id, *(g for g in large if domain.finding_id(TOO_LARGE, g) == finding_id)]


async def _by_key(connection: Connection, keys: Sequence[UUID], reader: Person) -> list[Any]:
    return await every(queries.findings(
        connection, ids=keys, after=None, live=None, rule=None, programme=None, agency=None, household=None,
        person=None, region=None, regions=list(reader.regions), at_most=len(keys),
    ))  # fmt: skip


def _finding(row: Any) -> dict[str, Any]:
    evidence = orjson.loads(row["evidence"]) if row["evidence"] else {"live_payouts_over": domain.GROUP_LIMIT}
    return {
        "finding_id": row["finding_id"] or domain.finding_id(TOO_LARGE, row["key"]),
        "rule": row["rule"],
        "revision": row["revision"],
        "live": row["live"],
        "person": row["person"],
        "household": row["household"],
        "programme": row["programme"],
        "payouts": [
            {"agency": agency, "payout_id": payout_id}
            for agency, payout_id in zip(row["agencies"], row["payout_ids"], strict=True)
        ],
        "region": row["region"],
        "evidence": evidence,
        "policy_version": row["policy_version"],
        "announced_at": row["announced_at"],
    }


def _key(item: Mapping[str, Any]) -> tuple[UUID]:
    """The key by which findings are listed: of a group that is too large the group's own."""
    return (item["household"] or item["person"] if item["rule"] == TOO_LARGE else item["finding_id"],)


def _payout(row: Any) -> dict[str, Any]:
    return {
        "agency": row["agency"], "payout_id": row["payout_id"], "programme": row["programme"],
        "covers": {"from": row["starts"], "to": row["ends"]}, "amount": row["amount"], "state": STATES[row["rank"]],
        "region": row["region"], **(orjson.loads(row["more"]) if row["more"] is not None else {}),
    }  # fmt: skip
