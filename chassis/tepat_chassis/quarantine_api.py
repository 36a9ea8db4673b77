"""The quarantine over HTTP: list it, open one record of it, take records again."""

from typing import TYPE_CHECKING, Annotated, Any

from cryptography.exceptions import InvalidTag
from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, ConfigDict

from tepat_chassis.acts import record
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.http import Page, paging
from tepat_chassis.quarantine import replay

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

SUMMARY = "select agency, reason, count(*) as records from quarantine group by agency, reason order by agency, reason"


class Entry(BaseModel):
    """A record's place."""

    topic: str
    partition: int
    offset: int


class Replay(BaseModel):
    """What to take again: the entries named, those of a reason, or with neither all that wait."""

    model_config = ConfigDict(extra="forbid")
    entries: list[Entry] | None = None
    reason: str | None = None


def quarantine_router(service: "Service[Any]") -> APIRouter:
    """The routes below /v1/quarantine."""
    router = APIRouter(tags=["quarantine"])
    database = service.database

    @router.get("/quarantine")
    async def listing(
        person: Annotated[Person, Depends(needs(Right.read))],  # noqa: ARG001 – the right is what counts
        page: Annotated[Page, Depends(paging(str, int, int))],
        reason: str | None = None,
        agency: str | None = None,
    ) -> dict[str, Any]:
        """What was quarantined, by place; never the bytes."""
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
        topic: str, partition: int, offset: int, person: Annotated[Person, Depends(needs(Right.operate))]
    ) -> dict[str, Any]:
        """One record with its bytes, as text where they are UTF-8, else in hexadecimal. The look is recorded."""
        async with database.transaction() as connection:
            row = await connection.fetchrow(ONE, topic, partition, offset)
            if row is None:
                raise HTTPException(404, "no such record is in quarantine")
            await record(connection, person, "quarantine.show", f"{topic}-{partition}-{offset}")
        told = {name: value for name, value in row.items() if name != "sealed"}
        try:
            opened = service.sealer.open(topic, partition, offset, row["sealed"])
        except InvalidTag:
            raise HTTPException(409, "sealed under another key: restore the secret `seal` of that time") from None
        value = opened.value or b""
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
