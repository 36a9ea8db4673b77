"""Who did or saw what, in the table ``act`` of the service's own database.

Invariant: an act is recorded on the connection, and so in the transaction, that performs it: neither stands
without the other. A disclosure is recorded before what it discloses is answered.
"""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import orjson

from tepat_chassis.auth import Person
from tepat_chassis.database import Connection

RECORD = """
insert into act (who, name, act, target, detail, persons) values ($1, $2, $3, $4, $5::text::jsonb, $6::uuid[])
returning id"""


async def record(
    connection: Connection, person: Person, act: str, target: str, detail: Mapping[str, Any] | None = None,
    persons: Collection[UUID | str] = (),
) -> int:  # fmt: skip
    """Records that ``person`` did ``act`` (disclose, waive, replay, …) to ``target``; returns the act's id.

    ``target`` and ``detail`` name persons and households by pseudonym, never by NIK or KK. ``persons`` are those whom
    it concerns beside ``target``: what each is told who asks who saw them. Raises asyncpg's errors.
    """
    told = orjson.dumps(detail or {}).decode()
    recorded: int = await connection.fetchval(RECORD, person.sub, person.name, act, target, told, list(persons))
    return recorded
