"""The quarantine over HTTP: list it, open one record of it, take records again.

Invariant: a quarantined record may hold numbers and names wherever they don't belong, so without a purpose nothing of
it is told but its shape. Who opens it has seen whoever it names.
"""

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from tepat_contracts.receipts import Reason

from tepat_chassis.acts import record
from tepat_chassis.auth import Person, Right, must_have, needs
from tepat_chassis.http import Page, must_be_of, paging
from tepat_chassis.logging import mask
from tepat_chassis.pseudonyms import as_uuid
from tepat_chassis.quarantine import replay
from tepat_chassis.refusals import refusal
from tepat_chassis.wanted import Body, Purpose

if TYPE_CHECKING:
    from tepat_chassis.service import Service

LIST = """
select topic, partition, "offset", agency, event_id, reason, pointer, message, encode(sha256, 'hex') as sha256,
       quarantined_at, replayed_at
from quarantine
where ($1::text is null or (topic, partition, "offset") > ($1, $2, $3))
  and ($4::text is null or reason = $4) and ($5::text is null or agency = $5)
order by topic, partition, "offset" limit $6"""

ONE = """
select topic, partition, "offset", agency, event_id, reason, pointer, message, encode(sha256, 'hex') as sha256,
       quarantined_at, replayed_at, sealed
from quarantine where topic = $1 and partition = $2 and "offset" = $3"""

SENDERS = "select distinct agency from quarantine"

SUMMARY = "select agency, reason, count(*) as records from quarantine group by agency, reason order by agency, reason"


NUMBER: Final = re.compile(rb"(?<!\d)\d{16}(?!\d)")
FIELD: Final = re.compile(r"[a-z][a-z_]{0,63}\d?")
#: Of an event, what says who sent what: told without a purpose too.
ENVELOPE: Final = ("specversion", "id", "source", "type", "time")


class Entry(Body):
    """A record's place; as it is listed, with all that is told of it beside."""

    model_config = ConfigDict(extra="ignore")
    topic: str
    partition: int
    offset: int


class Replay(Body):
    """What to take again: the entries named, those of a reason, or with neither all that wait."""

    entries: list[Entry] | None = None
    reason: Annotated[Reason, Field(strict=False)] | None = None


def quarantine_router(service: "Service[Any]") -> APIRouter:
    """The routes below /v1/quarantine."""
    router = APIRouter(tags=["quarantine"])
    database = service.database

    async def named(value: bytes) -> set[UUID]:
        """Whom the numbers in a record may name: a number of a card names nobody."""
        if service.pseudonyms is None:
            return set()
        pseudonyms = service.pseudonyms((await service.standing.ruling()).document)
        return {as_uuid(pseudonyms.nik(number.decode())) for number in NUMBER.findall(value)}

    @router.get("/quarantine")
    async def listing(
        person: Annotated[Person, Depends(needs(Right.read))],  # noqa: ARG001 – the right is what counts
        page: Annotated[Page, Depends(paging(str, int, int))],
        reason: Reason | None = None,
        agency: str | None = None,
    ) -> dict[str, Any]:
        """What was quarantined, by place; never the bytes."""
        if agency is not None:
            known = {row["agency"] for row in await database.pool.fetch(SENDERS)}
            known |= (await service.standing.ruling()).document.index.agencies.keys()
            must_be_of(known, "agency", agency, what="sender")
        after = page.after or (None, 0, 0)
        rows = await database.pool.fetch(LIST, *after, reason, agency, page.limit + 1)
        return page.of([dict(row) for row in rows], lambda row: (row["topic"], row["partition"], row["offset"]))

    @router.get("/quarantine/summary")
    async def summary(
        person: Annotated[Person, Depends(needs(Right.read))],  # noqa: ARG001
    ) -> dict[str, Any]:
        """How many records were quarantined, by agency and reason."""
        return {"items": [dict(row) for row in await database.pool.fetch(SUMMARY)]}

    @router.get("/quarantine/{topic}/{partition}/{offset}")
    async def one(
        topic: str, partition: int, offset: int, person: Annotated[Person, Depends(needs(Right.operate))],
        purpose: Annotated[Purpose | None, Query()] = None,
    ) -> dict[str, Any]:  # fmt: skip
        """One record: with a purpose and the right to disclose its bytes, as text where they are UTF-8, else in
        hexadecimal; otherwise (`masked`) its shape, 9 for a digit and x or X for a letter. The look is recorded.
        """
        if purpose is not None:
            must_have(Right.disclose, person)
        place = f"{topic}-{partition}-{offset}"
        async with database.transaction() as connection:
            row = await connection.fetchrow(ONE, topic, partition, offset)
            if row is None:
                raise refusal(404, "not_quarantined")
            try:
                value = service.sealer.open(topic, partition, offset, row["sealed"]).value or b""
            except InvalidTag:
                raise refusal(409, "sealed_otherwise") from None
            if purpose is None:
                await record(connection, person, "quarantine.show", place)
            else:
                detail = {"purpose": mask(purpose), "what": "quarantined record"}
                await record(connection, person, "disclose", place, detail, await named(value))
        told = {name: value for name, value in row.items() if name != "sealed"}
        if purpose is None:
            return told | {"value": shape(value.decode(errors="replace")), "encoding": "utf-8", "masked": True}
        try:
            told |= {"value": value.decode(), "encoding": "utf-8"}
        except UnicodeDecodeError:
            told |= {"value": value.hex(), "encoding": "hex"}
        return told

    @router.post("/quarantine/replay")
    async def again(asked: Replay, person: Annotated[Person, Depends(needs(Right.operate))]) -> dict[str, Any]:
        """Take records again after a fix, each once however often this is called."""
        async with database.transaction() as connection:
            detail = asked.model_dump(exclude_none=True)
            await record(connection, person, "quarantine.replay", service.name, detail)
        entries = [(e.topic, e.partition, e.offset) for e in asked.entries] if asked.entries is not None else None
        if entries == []:
            return {"replayed": 0, "accepted": 0, "rejected": 0}
        replayed = await replay(
            database, service.intakes, service.standing, service.lock, entries=entries, reason=asked.reason
        )
        return replayed._asdict()

    return router


def shape(text: str) -> str:
    """What a record looks like: its fields and who sent it where it is JSON, and of all else no letter and no digit."""
    try:
        told = json.loads(text)
        if isinstance(told, dict) and "specversion" in told:
            kept = {name: mask(told[name]) for name in ENVELOPE if isinstance(told.get(name), str)}
            return json.dumps(_shape(told) | kept)
        return json.dumps(_shape(told))
    except (ValueError, RecursionError):
        return _outline(text)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name if FIELD.fullmatch(name) else _outline(name): _shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_shape(each) for each in value]
    if isinstance(value, str):
        return _outline(value)
    if value is None or isinstance(value, bool):
        return value
    return int(_outline(str(value))) if isinstance(value, int) else 9.9


def _outline(text: str) -> str:
    """Every digit as 9, every letter as x or X."""
    return "".join(
        "9" if sign.isdigit() else "X" if sign.isupper() else "x" if sign.isalnum() else sign for sign in text
    )
