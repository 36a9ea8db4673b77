"""What eligibility takes from its topics: persons and cards from the registry, visits from agencies, the policy.

Invariants
- A NIK goes no further than `Visits.admit`: what is kept of a visit is under pseudonyms, without answers and names.
- Of several records about one thing in a batch only the greatest is written. A tombstone takes away all that was told
  before it, and nothing that is told after.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import structlog
from tepat_chassis.database import Connection
from tepat_chassis.pseudonyms import Pseudonyms, as_uuid
from tepat_chassis.quarantine import Told
from tepat_chassis.span import Span
from tepat_chassis.standing import InForce
from tepat_contracts.door import Door, canonical
from tepat_contracts.events.ours import HOUSEHOLD_RESOLVED, PERSON_RESOLVED
from tepat_contracts.events.verifications import VERIFICATION_RECORDED
from tepat_contracts.policy import Policy, from_document
from tepat_contracts.topics import Kind

from tepat_eligibility import store
from tepat_eligibility.domain import ranks, restated
from tepat_eligibility.policed import Policed
from tepat_eligibility.store import PersonTold, RenewalTold, VisitTold, queries

log = structlog.get_logger()

WAKE = "notify mark"
PERSONS = "registry.persons.v1"
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
        if persons:
            await store.take_persons(connection, persons)
        if cards:
            await store.take_renewals(connection, cards)
        await connection.execute(WAKE)


class Visits:
    """Admits verifications and writes them."""

    def __init__(self, pseudonyms: Callable[[str], Pseudonyms]) -> None:
        self._pseudonyms = pseudonyms
        self._door = Door(Kind.VERIFICATIONS)

    def admit(self, record: Told, agency: str, policy: Policed) -> VisitTold | None:
        """A visit ready to be written; none for a sign of life. Raises ``Refused``."""
        event: Any = self._door.admit(record.value, record.headers, agency, policy.index)
        if event["type"] != VERIFICATION_RECORDED:
            return None
        data = event["data"]
        return VisitTold(
            agency,
            data["verification_id"],
            data["revision"],
            event["time"],
            event["id"],
            hashlib.sha256(canonical(record.value or b"", record.headers).encode()).digest(),
            as_uuid(self._pseudonyms(policy.secret_id).nik(data["nik"])),
            data.get("programme"),
            data["outcome"],
            data["verified_on"],
            data["region"],
            _trace(event),
        )

    async def write(self, connection: Connection, rows: list[VisitTold | None]) -> None:
        """Keep those that hold, and mark whom they were made to."""
        holding: dict[tuple[str, str], VisitTold] = {}
        for row in rows:
            if row is not None:
                held = holding.get(row[:2])
                if held is None or held[2:6] < row[2:6]:
                    holding[row[:2]] = row
        if holding:
            await store.take_visits(connection, list(holding.values()))
            await connection.execute(WAKE)


class Policies:
    """Follows policies. A policy whose secret cannot be read is not in force before it can."""

    def __init__(self, pseudonyms: Callable[[str], Pseudonyms]) -> None:
        self._pseudonyms = pseudonyms

    async def follow(self, connection: Connection, policy: Policy, document: dict[str, object]) -> dict[str, object]:
        """Have decided again what a policy decides otherwise; what is kept of it is the document.

        Raises SecretMissing.
        """
        stored = await connection.fetchval(IN_FORCE)
        if stored is None:  # nothing was settled or decided: the marks are all still there
            self._pseudonyms(policy.secret_id)
            return document
        old = from_document(orjson.loads(stored))
        if policy.secret_id != old.secret_id:
            log.error("the policy names another secret, which is not followed: pseudonyms in use would not match")
        if ranks(old) != ranks(policy):
            await queries.mark_everybody(connection)
        if programmes := restated(old, policy):
            await queries.start_sweep(connection, programmes=programmes)
        await connection.execute(WAKE)
        return {**document, "secret_id": old.secret_id}
