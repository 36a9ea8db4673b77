"""Who did or saw what, in the service's own database.

Invariant: an act is recorded on the connection, and so in the transaction, that performs it: neither stands
without the other. A disclosure is recorded before what it discloses is answered.
"""

from collections.abc import Mapping
from typing import Any

import asyncpg
import orjson

from tepat_chassis.auth import Person

DDL = """
create table act (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    who text not null,
    name text not null,
    act text not null,
    target text not null,
    detail jsonb not null default '{}'
);
create index act_target on act (target, id);
create index act_who on act (who, id);
"""
"""For a migration of each service whose people act."""

_INSERT = (
    "insert into act (who, name, act, target, detail) values ($1, $2, $3, $4, $5::text::jsonb) returning id"
)


async def record(
    connection: "asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]",
    person: Person,
    act: str,
    target: str,
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Records that ``person`` did ``act`` (disclose, waive, replay, …) to ``target``; returns the act's id.

    ``target`` and ``detail`` name persons and households by pseudonym, never by NIK or KK. Raises asyncpg's
    errors.
    """
    told = orjson.dumps(detail or {}).decode()
    recorded: int = await connection.fetchval(_INSERT, person.sub, person.name, act, target, told)
    return recorded
