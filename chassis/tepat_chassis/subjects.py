"""What a service holds of one person, and who saw it: the answer that UU PDP 27/2022 gives everybody a right to.

Invariants
- Everything is told to those with the right to disclose alone, for a purpose, and recorded before it is answered.
- Persons are asked for by pseudonyms: by all of theirs, as the registry knows them.
- What cannot be told is said: the quarantine is sealed, and not searched for anybody.
- Who saw them is found by index, whatever it was seen through: a household, a report and a suspicion concern persons
  whom their acts name.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends
from pydantic import Field

from tepat_chassis import acts
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database
from tepat_chassis.logging import mask
from tepat_chassis.quarantine import KEPT
from tepat_chassis.wanted import Body, Id, Purpose

Discloser = Annotated[Person, Depends(needs(Right.disclose))]
SEEN = """
select at, who, name, act, target, detail from act where target = any($1::text[]) or persons && $2::uuid[]
order by id"""


QUARANTINE = "select count(*) as records, max(quarantined_at) as last from quarantine"
NOT_SEARCHED: Final = {
    "en": "Records that could not be taken are kept sealed and are not searched for persons: some may name this one. "
    "Those of one agency are found by `tepat quarantine list`.",
    "id": "Data yang tidak dapat diterima disimpan tersegel dan tidak ditelusuri menurut orang: mungkin ada yang "
    "memuat orang ini. Data tiap instansi terlihat dengan `tepat quarantine list`.",
}


class Subject(Body):
    """One person by all their pseudonyms, the one they stand under first, their households, and why it is asked."""

    persons: Annotated[list[Id], Field(min_length=1, max_length=20_000)]
    households: list[Id] = Field([], max_length=20_000)
    purpose: Purpose


Held = Callable[[Connection, Person, Subject], Awaitable[Mapping[str, Sequence[Mapping[str, Any]]]]]
Whole = Callable[[Connection, Person, Subject], Awaitable[Subject]]


async def _as_asked(connection: Connection, person: Person, subject: Subject) -> Subject:  # noqa: ARG001
    return subject


def router(service: str, database: Database, held: Held, whole: Whole = _as_asked) -> APIRouter:
    """`POST /v1/subjects/held`.

    Args:
        held: everything kept of the subject, by kind, as far as the asking person's regions go.
        whole: the subject by all their pseudonyms, where this service knows more of them than it was asked for.
    """
    routes = APIRouter(tags=["subjects"])

    @routes.post("/subjects/held")
    async def all_held(subject: Subject, person: Discloser) -> dict[str, Any]:
        """All that is held of a person, and who saw it or acted on it."""
        detail = {"purpose": mask(subject.purpose), "what": "all that is held"}
        async with database.transaction() as connection:
            subject = await whole(connection, person, subject)
            told = await held(connection, person, subject)
            await acts.record(connection, person, "disclose", str(subject.persons[0]), detail, subject.persons)
            sealed = await connection.fetchrow(QUARANTINE)
            rows = await connection.fetch(SEEN, list(map(str, subject.persons)), subject.persons)
        seen = [dict(row) | {"detail": orjson.loads(row["detail"])} for row in rows]
        return {"service": service, "held": told, "seen": seen, "quarantine": _quarantine(sealed)}

    return routes


def _quarantine(row: Any) -> dict[str, Any]:
    """How many records a service keeps sealed, until when the last of them, and that nobody is looked for in them."""
    if not row["records"]:
        return {"records": 0}
    return {"records": row["records"], "searched": False, "kept_until": row["last"] + KEPT, "note": NOT_SEARCHED}
