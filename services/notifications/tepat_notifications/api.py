"""Notifications over HTTP: the notices, how they went, what was told of an overlap, and digests ahead of their hour."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from tepat_chassis.acts import record
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database, Lock
from tepat_chassis.http import Page, must_be_of, paging, uuid_in
from tepat_chassis.standing import Standing
from tepat_chassis.subjects import Subject
from tepat_chassis.wanted import Body, Grounds
from tepat_contracts.policy import NOTICE_KINDS

from tepat_notifications.channels import Channels
from tepat_notifications.domain import HANDED_OVER, VERDICT, Kind, Province, State
from tepat_notifications.hearings import cause_id
from tepat_notifications.refusals import CALLED, refusal
from tepat_notifications.sending import DUTY
from tepat_notifications.store import Store, queries

Reader = Annotated[Person, Depends(needs(Right.read))]
Operator = Annotated[Person, Depends(needs(Right.operate))]


class Again(Body):
    """Why a notice is sent again."""

    reason: Grounds | None = None


class Run(Body):
    """Which notices to send: those that are due, or all that wait."""

    now: bool = Field(False, description="all that wait, whatever their hour")


async def must_be_channel(database: Database, channels: Channels, name: str | None) -> None:
    """Refuses a channel that neither is set up nor was ever used."""
    if name is not None and name not in channels.names:
        used = [row["channel"] async for row in queries.by_channel(database.pool, regions=[])]
        must_be_of({*channels.names, *used}, "channel", name, what="channel")


def router(
    database: Database, standing: Standing[Province], store: Store, channels: Channels, clock: Callable[[], datetime]
) -> APIRouter:
    """The routes below /v1."""
    routes = APIRouter(tags=["notices"])

    @routes.get("/notices")
    async def notices(
        person: Reader,
        page: Annotated[Page, Depends(paging(datetime, UUID))],
        agency: str | None = None,
        state: State | None = None,
        channel: str | None = None,
        kind: Kind | None = None,
        level: Annotated[int | None, Query(ge=0, description="that climbed at least so far")] = None,
    ) -> dict[str, Any]:
        """Notices, the newest first, without their text; to a person with regions those of which all that they tell
        lies there, which is known once they are put together. ``agency`` is the recipient: an agency's id, or an
        officer as ``group/name``. ``sending_at`` is when the last try began, ``sent_at`` when it was recorded as
        handed over (none of a notice in doubt), ``due_at`` when it is tried next, none of one that is over."""
        if agency is not None:
            known = {row["agency"] async for row in queries.recipients_ever(database.pool)}
            known |= (await standing.ruling()).document.agencies.keys()
            must_be_of(known, "agency", agency, what="recipient")
        await must_be_channel(database, channels, channel)
        before, before_id = page.after or (None, None)
        rows = queries.notices(
            database.pool, before=before, before_id=before_id, agency=agency, state=state,
            channel=channel, kind=kind, level=level, regions=list(person.regions), at_most=page.limit + 1,
        )  # fmt: skip
        return page.of([_notice(row) async for row in rows], lambda item: (item["queued_at"], item["delivery_id"]))

    @routes.get("/notices/summary")
    async def summary(person: Reader) -> dict[str, Any]:
        """How many notices there are that the person may see, by state, by kind, and of each channel by state; of
        those sent, how many ``climbed``: they went to the next level, since nobody below had acknowledged in time."""
        seen = {"regions": list(person.regions)}
        by_state = {row["state"]: row["notices"] async for row in queries.by_state(database.pool, **seen)}
        by_kind = {row["kind"]: row["notices"] async for row in queries.by_kind(database.pool, **seen)}
        by_channel: dict[str, dict[str, int]] = {}
        async for row in queries.by_channel(database.pool, **seen):
            by_channel.setdefault(row["channel"], {})[row["state"]] = row["notices"]
        sent = sum(by_state.get(each, 0) for each in HANDED_OVER)
        climbed = await queries.climbed(database.pool, **seen)
        return {"by_state": by_state, "by_kind": by_kind, "by_channel": by_channel, "sent": sent, "climbed": climbed}

    @routes.post("/notices/{delivery_id}/again")
    async def again(delivery_id: UUID, asked: Again, person: Operator) -> dict[str, Any]:
        """Send a notice again that was given up, skipped, or is in doubt, from its first channel on and with what holds
        then; the notice that does so, another where one gathers for the agency already."""
        async with database.transaction(Lock.EXCLUSIVE) as connection:
            row = await queries.ended_notice(connection, id=delivery_id)
            if row is None or not person.covers(row["region"]):
                raise refusal(404, "no_notice")
            if row["open"]:
                raise refusal(409, "notice_not_over", state=CALLED[row["state"]])
            if row["state"] == State.SENT:
                raise refusal(409, "notice_sent")
            by = await store.again(connection, delivery_id, doubted=row["state"] == State.DOUBTFUL, now=clock())
            detail = {"was": row["state"], "by": str(by), "reason": asked.reason}
            await record(connection, person, "notices.again", str(delivery_id), detail)
            await connection.execute(f"notify {DUTY}")
        return {"delivery_id": by, "was": row["state"]}

    @routes.post("/digests/run")
    async def run(asked: Run, person: Operator) -> dict[str, Any]:
        """Send the notices that are due or, with ``now``, all that wait; how many. Their sending is not waited for."""
        async with database.transaction(Lock.EXCLUSIVE) as connection:
            now = clock()
            if asked.now:
                await queries.hasten(connection, now=now)
                await queries.hasten_hearings(connection, now=now)
            due = await queries.due_now(connection, now=now)
            await record(connection, person, "digests.run", "notifications", {"now": asked.now, "due": due})
            await connection.execute(f"notify {DUTY}")
        return {"due": due}

    return routes


def tracing(database: Database) -> APIRouter:
    """What became of notices about one thing, below /v1."""
    routes = APIRouter(tags=["trace"])

    @routes.get("/trace/{name:path}")
    async def trace(name: str, person: Reader) -> dict[str, Any]:
        """What was told of an overlap, of those of a payout (``agency/payout_id`` or payout id) or of a household, of a
        finding, report or suspicion (its id), and of what notices name by a code.
        """
        agency, _, rest = name.partition("/")
        rows = queries.overlaps_named(
            database.pool, g=uuid_in(name), code=name.upper(), payout_id=rest or name, agency=agency if rest else None
        )
        overlaps = {row["overlap_id"]: row async for row in rows if person.covers(row["region"])}
        ids = list(overlaps)
        steps = [_taken(row) for row in overlaps.values()]
        async for row in queries.tellings_of(database.pool, ids=ids):
            steps += _told(row)
        steps += [_waiting(row, overlaps) async for row in queries.attention_of(database.pool, ids=ids)]
        steps += await _routed(database, name, ids, person)
        return {"steps": sorted(steps, key=lambda step: step["at"])}

    return routes


async def held(connection: Connection, person: Person, subject: Subject) -> dict[str, Any]:
    """Everything kept of a person and their households: the suspicions that name them, the overlaps, and to whom either
    was told.
    """
    rows = [
        row
        async for row in queries.overlaps_held(connection, households=subject.households)
        if person.covers(row["region"])
    ]
    suspects = [
        row
        async for row in queries.suspects_held(connection, persons=list(map(str, subject.persons)))
        if person.covers(row["region"])
    ]
    ids = [row["overlap_id"] for row in rows]
    causes = [*_causes(ids), *(row["cause_id"] for row in suspects)]
    steps = [step["detail"] async for row in queries.tellings_of(connection, ids=ids) for step in _told(row)]
    steps += [step["detail"] async for row in queries.heard_of(connection, ids=causes) for step in _heard(row)]
    told = ("code", "verdict", "state", "announced_at")
    return {
        "suspects": [{name: row[name] for name in told} for row in suspects],
        "overlaps": [_taken(row)["detail"] for row in rows],
        "notices": steps,
    }


def _notice(row: Any) -> dict[str, Any]:
    sent_at = row["ended_at"] if row["state"] in HANDED_OVER else None
    return dict(row) | {"sent_at": sent_at, "verdict": VERDICT.get(row["kind"])}


def _step(at: datetime, what: str, **detail: Any) -> dict[str, Any]:
    return {"at": at, "service": "notifications", "what": what, "detail": detail}


def _taken(row: Any) -> dict[str, Any]:
    return _step(
        row["taken_at"], "overlap taken", overlap_id=row["overlap_id"], code=row["code"], revision=row["revision"],
        live=row["live"], verdict=row["verdict"],
    )  # fmt: skip


async def _routed(database: Database, name: str, overlap_ids: Sequence[UUID], person: Person) -> list[dict[str, Any]]:
    """What routes told of overlaps and their cases, and of what else has this name or code."""
    ids = [*_causes(overlap_ids), *(cause_id(kind, name) for kind in NOTICE_KINDS)]
    rows = [
        row
        async for row in queries.causes_named(database.pool, ids=ids, code=name.upper())
        if person.covers(row["region"])
    ]
    steps = [_stated(row) for row in rows if row["kind"] != "overlap"]
    async for row in queries.heard_of(database.pool, ids=[row["cause_id"] for row in rows]):
        steps += _heard(row)
    return steps


def _stated(row: Any) -> dict[str, Any]:
    told = ("key", "code", "revision", "state", "verdict")
    return _step(row["taken_at"], f"{row['kind']} taken", **{name: row[name] for name in told})


def _told(row: Any) -> list[dict[str, Any]]:
    detail = {
        "overlap_id": row["overlap_id"], "overlap_revision": row["overlap_revision"], "told_as": row["what"],
        "delivery_id": row["delivery_id"], "agency": row["agency"], "channel": row["channel"], "kind": row["kind"],
    }  # fmt: skip
    steps = [_step(row["sending_at"], "notice sending", **detail)] if row["sending_at"] else []
    if row["ended_at"]:
        steps.append(_step(row["ended_at"], f"notice {row['state']}", **detail, reason=row["reason"]))
    return steps


def _causes(overlap_ids: Sequence[UUID]) -> list[UUID]:
    """What routes tell of overlaps: of each itself, and of its case."""
    return [cause_id(kind, str(each)) for each in overlap_ids for kind in ("overlap", "case")]


def _heard(row: Any) -> list[dict[str, Any]]:
    detail = {
        "told_as": row["news"], "delivery_id": row["delivery_id"], "agency": row["recipient"],
        "channel": row["channel"], "level": row["level"],
    }  # fmt: skip
    steps = [_step(row["sending_at"], "notice sending", **detail)] if row["sending_at"] else []
    if row["ended_at"]:
        steps.append(_step(row["ended_at"], f"notice {row['state']}", **detail, reason=row["reason"]))
    if row["acknowledged_at"]:
        steps.append(_step(row["acknowledged_at"], "notice acknowledged", **detail))
    return steps or [_step(row["queued_at"], "notice waiting", **detail, moment=row["moment"], due_at=row["due_at"])]


def _waiting(row: Any, overlaps: dict[UUID, Any]) -> dict[str, Any]:
    return _step(
        overlaps[row["overlap_id"]]["taken_at"], "notice waiting", overlap_id=row["overlap_id"], agency=row["agency"],
        channel=row["channel"], moment=row["moment"], due_at=row["due_at"],
    )  # fmt: skip
