"""What eligibility takes from its topics: persons and cards from the registry, visits from agencies, the policy.

Invariants
- A NIK goes no further than `Visits.admit`: what is kept of a visit is under pseudonyms, without answers; a NIK that
  somebody wrote into a reason is masked. Of an objection neither the place of the house nor who filed it is kept.
- Of several records about one thing in a batch only the greatest is written. A tombstone takes away all that was told
  before it, and nothing that is told after.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

import orjson
import structlog
from tepat_chassis.database import Connection
from tepat_chassis.logging import mask
from tepat_chassis.pseudonyms import Pseudonyms, as_uuid
from tepat_chassis.quarantine import Told
from tepat_chassis.span import Span
from tepat_chassis.standing import InForce
from tepat_contracts.door import Door, canonical
from tepat_contracts.events.ours import HOUSEHOLD_RESOLVED, PERSON_RESOLVED
from tepat_contracts.events.verifications import OBJECTION_FILED, VERIFICATION_LISTED
from tepat_contracts.policy import Policy, from_document
from tepat_contracts.topics import Kind

from tepat_eligibility import rankings, store
from tepat_eligibility.domain import changing_hands, ranks, restated
from tepat_eligibility.policed import Policed
from tepat_eligibility.store import ListedTold, ObjectionTold, PersonTold, RenewalTold, VisitTold, queries

R = TypeVar("R", bound=tuple[Any, ...])

log = structlog.get_logger()

WAKE = "notify mark"
PERSONS = "registry.persons.v1"
HOUSEHOLDS = "registry.households.v1"
TRACEPARENT = 55
"""Characters of a traceparent as far as it is known (W3C Trace Context)."""
IN_FORCE = "select document from standing order by seq desc limit 1"


def _trace(event: Any) -> str | None:
    """The traceparent of an event, without what versions of it to come may add at its end."""
    trace = event.get("traceparent")
    return trace[:TRACEPARENT] if trace else None


class Registry:
    """Takes what the registry says of persons and of renewed cards."""

    def decode(
        self,
        spans: Sequence[Span],
        in_force: InForce[Any] | None,  # noqa: ARG002 – an intake's signature
    ) -> tuple[list[str], list[PersonTold], list[RenewalTold]]:
        """Who was erased, and the latest of each person and card in the batch."""
        erased: dict[str, None] = {}
        persons: dict[str, PersonTold] = {}
        cards: dict[str, RenewalTold] = {}
        for span in spans:
            for record in span.records:
                if record.value is None:
                    if span.topic == PERSONS and record.key is not None:
                        erased[record.key.decode()] = None
                        persons.pop(record.key.decode(), None)
                    continue
                try:
                    event = orjson.loads(record.value)
                    data, trace = event["data"], _trace(event)
                    revision = data["revision"]
                    if event["type"] == PERSON_RESOLVED:
                        key = data["person"]
                        if (held := persons.get(key)) is None or held.revision < revision:
                            persons[key] = PersonTold(key, revision, orjson.dumps(data).decode(), trace)
                    elif event["type"] == HOUSEHOLD_RESOLVED:
                        key = data["household"]
                        if (other := cards.get(key)) is None or other.revision < revision:
                            cards[key] = RenewalTold(key, data["stands_for"], revision, trace)
                except (ValueError, TypeError, KeyError) as error:
                    log.error(
                        "a record of the registry cannot be read and is passed over",
                        topic=span.topic, partition=span.partition, offset=record.offset, error=type(error).__name__,
                    )  # fmt: skip
        return list(erased), list(persons.values()), list(cards.values())

    async def write(self, connection: Connection, work: tuple[list[str], list[PersonTold], list[RenewalTold]]) -> None:
        """Forget who was erased, keep the others, and mark whom they concern."""
        erased, persons, cards = work
        if erased:
            await queries.forget_persons(connection, persons=erased)
            await rankings.forget(connection, erased, datetime.now(UTC))
        if persons:
            await store.take_persons(connection, persons)
        if cards:
            await store.take_renewals(connection, cards)
        await connection.execute(WAKE)


class Turns:
    """Takes what distribution says of who had their turn in a round."""

    def decode(
        self,
        spans: Sequence[Span],
        in_force: InForce[Any] | None,  # noqa: ARG002 – an intake's signature
    ) -> list[str]:
        """The last of each part of a round in the batch, as JSON."""
        told = {record.key: record.value for span in spans for record in span.records if record.value is not None}
        return [orjson.dumps(orjson.loads(value)["data"]).decode() for value in told.values()]

    async def write(self, connection: Connection, work: list[str]) -> None:
        """Keep it beside the places: the next ranking rests on it."""
        if work:
            await queries.take_turns(connection, told=work)


Seen: TypeAlias = VisitTold | ListedTold | ObjectionTold


class Visits:
    """Admits what agencies tell of field verification and writes it: visits, lists of whom to visit, objections."""

    def __init__(self, pseudonyms: Callable[[str], Pseudonyms]) -> None:
        self._pseudonyms = pseudonyms
        self._door = Door(Kind.VERIFICATIONS)

    def admit(self, record: Told, agency: str, policy: Policed) -> Seen | None:
        """A row ready to be written; none for a sign of life. Raises ``Refused``."""
        event: Any = self._door.admit(record.value, record.headers, agency, policy.index)
        data = event["data"]
        if "nik" not in data:
            return None
        nik = as_uuid(self._pseudonyms(policy.secret_id).nik(data["nik"]))
        order = (
            data["revision"], event["time"], event["id"],
            hashlib.sha256(canonical(record.value or b"", record.headers).encode()).digest(),
        )  # fmt: skip
        programme, region, trace = data.get("programme"), data["region"], _trace(event)
        if event["type"] == VERIFICATION_LISTED:
            return ListedTold(agency, data["batch"], nik, *order, programme, region, data["listed_on"], trace)
        evidence = orjson.dumps(data.get("evidence") or []).decode()
        if event["type"] == OBJECTION_FILED:
            return ObjectionTold(
                agency, data["objection_id"], *order, nik, programme, data["grounds"], region, data["filed_on"],
                data["filed_by"]["role"], evidence, trace,
            )  # fmt: skip
        reason = data.get("reason")
        return VisitTold(
            agency, data["verification_id"], *order, nik, programme, data["outcome"], data["verified_on"], region,
            trace, data["batch"], reason and mask(reason), mask(data["officer"]), evidence,
        )  # fmt: skip

    async def write(self, connection: Connection, rows: list[Seen | None]) -> None:
        """Keep those that hold, and mark whom they concern."""
        visits = _holding((row for row in rows if isinstance(row, VisitTold)), 2)
        listed = _holding((row for row in rows if isinstance(row, ListedTold)), 3)
        objections = _holding((row for row in rows if isinstance(row, ObjectionTold)), 2)
        if listed:
            await store.take_listed(connection, listed)
        if visits:
            await store.take_visits(connection, visits)
        if objections:
            await store.take_objections(connection, objections)
        if visits or objections:
            await connection.execute(WAKE)


def _holding(rows: Iterable[R], key: int) -> list[R]:
    """Of the rows that agree in their first ``key`` fields the one greatest in the next four."""
    held: dict[tuple[Any, ...], R] = {}
    for row in rows:
        other = held.get(row[:key])
        if other is None or other[key : key + 4] < row[key : key + 4]:
            held[row[:key]] = row
    return list(held.values())


async def follow(connection: Connection, policy: Policy, document: dict[str, object]) -> dict[str, object]:
    """Have decided again what a policy decides otherwise; what is kept of it is the document."""
    stored = await connection.fetchval(IN_FORCE)
    if stored is None:  # nothing was settled or decided: the marks are all still there
        return document
    old = from_document(orjson.loads(stored))
    if policy.secret_id != old.secret_id:
        log.error("the policy names another secret, which is not followed: pseudonyms in use would not match")
    if ranks(old) != ranks(policy):
        await queries.mark_everybody(connection)
    if restated(old, policy):
        await queries.start_sweep(connection)
    if programmes := changing_hands(old, policy):
        await queries.mark_objected(connection, programmes=programmes)
    await connection.execute(WAKE)
    return {**document, "secret_id": old.secret_id}
