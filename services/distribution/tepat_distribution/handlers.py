"""What distribution takes from its topics: payouts from agencies, who is who from the registry, the policy.

Invariants
- A payout's row is packed at the door into PostgreSQL's binary form: nothing touches it again in Python.
- Of several events about one payout in a batch the one that holds is staged, the others are kept beside the ledger.
  Events are never dropped for an id seen before; those that misuse one id are told apart by their canonical data.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from tepat_chassis.database import Connection
from tepat_chassis.pseudonyms import Pseudonyms
from tepat_chassis.quarantine import Told
from tepat_chassis.span import Span
from tepat_chassis.standing import InForce
from tepat_contracts.door import canonical
from tepat_contracts.events.ours import HOUSEHOLD_RESOLVED, PERSON_RESOLVED
from tepat_contracts.express import Payout, PayoutDoor

from tepat_distribution import rows
from tepat_distribution.domain import KINDS, digest, more
from tepat_distribution.policed import Policed
from tepat_distribution.rounds import forget, leaving
from tepat_distribution.rows import ABSENT, ENDED, LIVE, day, text
from tepat_distribution.store import LOOK, Staged, Store, Subject, every, queries

log = structlog.get_logger()

PERSONS: Final = "registry.persons.v1"
ERASED: Final = "erased"
NUMBER: Final = {kind: number for number, kind in enumerate(KINDS)}


class Payouts:
    """Admits payouts and writes them."""

    def __init__(self, store: Store, pseudonyms: Callable[[str], Pseudonyms]) -> None:
        self._store = store
        self._pseudonyms = pseudonyms
        self._door = PayoutDoor()

    def admit(self, record: Told, agency: str, policy: Policed) -> Staged | None:
        """A payout ready to be staged; none for a sign of life. Raises ``Refused``."""
        admitted = self._door.admit(record.value, record.headers, agency, policy.index)
        if admitted is None:
            return None
        event, told_at = admitted
        time = rows.instant(told_at)
        data, rank, trace, number = event.data, event.rank, event.traceparent, policy.agencies[agency]
        value = record.value or b""
        if isinstance(data, Payout):
            recipient = data.recipient
            pseudonyms = self._pseudonyms(policy.secret_id)
            person = pseudonyms.nik(recipient.nik)
            told = pseudonyms.alone(recipient.nik) if recipient.kk is None else pseudonyms.kk(recipient.kk)
            fixed = LIVE(
                len(rows.COLUMNS), 2, number, 8, data.revision, 2, rank, 8, time, 16, person, 16, told,
                1, recipient.kk is not None, 2, policy.programmes[data.programme],
                4, day(data.covers.start), 4, day(data.covers.end), 8, data.benefit.amount,
                4, record.partition, 8, record.offset, 8, digest(value), 16, person, 16, told,
                2, NUMBER[data.benefit.kind], 8, record.timestamp,
            )  # fmt: skip
            region, beside, layout = text(data.region), more(data), rows.OF_LIVE
        else:
            fixed = ENDED(
                len(rows.COLUMNS), 2, number, 8, data.revision, 2, rank, 8, time, -1, -1, 1, False,
                -1, -1, -1, -1, 4, record.partition, 8, record.offset, 8, digest(value), -1, -1, -1,
                8, record.timestamp,
            )  # fmt: skip
            region, beside, layout = ABSENT, None, rows.OF_ENDED
        packed_id = text(data.payout_id)
        packed = b"".join((
            fixed, packed_id, text(event.id), region, text(trace) if trace else ABSENT,
            text(beside) if beside else ABSENT,
        ))  # fmt: skip
        order = (data.revision, rank, time, event.id)
        return Staged((number, data.payout_id), order, packed, packed_id, layout, record, agency)

    async def write(self, connection: Connection, taken: list[Staged | None]) -> None:
        """Stage and take the events that hold, and those told of the same payouts that do not."""
        holding: dict[tuple[int, str], Staged] = {}
        beaten: list[Staged] = []
        for row in taken:
            if row is None:
                continue
            other = holding.get(row.payout)
            if other is None:
                holding[row.payout] = row
            elif row.order == other.order and row.record.value == other.record.value:  # told twice: as it was first
                holding[row.payout] = min(row, other, key=_appended)
            elif _holds(row, other):
                holding[row.payout] = row
                beaten.append(other)
            else:
                beaten.append(row)
        if holding:
            await self._store.take_payouts(connection, list(holding.values()), beaten)


def _appended(row: Staged) -> int:
    """When the broker appended it, in milliseconds."""
    return row.record.timestamp


def _holds(row: Staged, other: Staged) -> bool:
    """Of two events about one payout, or two that misuse one id, whether the first holds."""
    return row.order > other.order or (row.order == other.order and data_of(row.record) > data_of(other.record))


def data_of(record: Told) -> str:
    """The canonical data of a record that was admitted."""
    return canonical(record.value or b"", record.headers)


class Decisions:
    """Takes what eligibility decided."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def decode(
        self, spans: Sequence[Span], in_force: InForce[Any] | None  # noqa: ARG002 – an intake's signature
    ) -> tuple[dict[Subject, Any], list[Subject]]:  # fmt: skip
        """The latest decision of each programme and person or household in the batch, and those told of before that
        nothing is said of any more.
        """
        latest: dict[Subject, Any] = {}
        forgotten: dict[Subject, None] = {}
        for span in spans:
            for record in span.records:
                if record.value is not None:
                    data = orjson.loads(record.value)["data"]
                    of = data["programme"], data[data["unit"]]
                    if of not in latest or data["revision"] >= latest[of]["revision"]:
                        latest[of] = data
                elif record.key is not None:
                    programme, _, subject = record.key.decode().rpartition("|")
                    latest.pop((programme, subject), None)
                    forgotten[programme, subject] = None
        return latest, list(forgotten)

    async def write(self, connection: Connection, work: tuple[dict[Subject, Any], list[Subject]]) -> None:
        """Take them; of whom nothing is said any more is erased, or a household that those leave empty."""
        await self._store.take_decisions(connection, *work)
        if forgotten := [subject for _, subject in work[1]]:
            await forget(connection, forgotten, datetime.now(UTC))


class Persons:
    """Takes what the registry says of persons and of renewed cards."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def decode(self, spans: Sequence[Span], in_force: InForce[Any] | None) -> dict[str, list[Any]]:  # noqa: ARG002
        """The latest of each person and household in the batch, and who was erased before."""
        latest: dict[tuple[str, str], Any] = {}
        erased: dict[str, None] = {}
        for span in spans:
            for record in span.records:
                if record.value is None:
                    if span.topic == PERSONS and record.key is not None:
                        erased[record.key.decode()] = None
                        latest.pop((PERSON_RESOLVED, record.key.decode()), None)
                    continue
                event = orjson.loads(record.value)
                data = event["data"]
                key = (event["type"], data.get("person") or data.get("household"))
                if key not in latest or data["revision"] >= latest[key]["revision"]:
                    latest[key] = data
        told: dict[str, list[Any]] = {PERSON_RESOLVED: [], HOUSEHOLD_RESOLVED: [], ERASED: list(erased)}
        for (kind, _), data in latest.items():
            told.setdefault(kind, []).append(data)
        return told

    async def write(self, connection: Connection, work: dict[str, list[Any]]) -> None:
        """Take them, and resolve the payouts they concern anew."""
        persons, households, erased = work[PERSON_RESOLVED], work[HOUSEHOLD_RESOLVED], work[ERASED]
        moved_persons = await self._store.forget_persons(connection, erased) if erased else set[UUID]()
        if erased:
            await forget(connection, erased, datetime.now(UTC))
        if persons:
            moved_persons |= await self._store.take_persons(connection, persons)
        moved_households = await self._store.take_renewals(connection, households) if households else set[UUID]()
        if moved_persons or moved_households:
            await self._store.resolve_again(connection, moved_persons, moved_households)


class Rankings:
    """Takes what eligibility tells of who comes first in a round."""

    def decode(self, spans: Sequence[Span], in_force: InForce[Any] | None) -> dict[tuple[str, int], str]:  # noqa: ARG002
        """The latest of each part of a ranking in the batch, as JSON."""
        latest: dict[tuple[str, int], tuple[int, str]] = {}
        for span in spans:
            for record in span.records:
                if record.value is None:
                    continue
                data = orjson.loads(record.value)["data"]
                key = data["round"], data["part"]
                if key not in latest or data["revision"] >= latest[key][0]:
                    latest[key] = data["revision"], orjson.dumps(data).decode()
        return {key: told for key, (_, told) in latest.items()}

    async def write(self, connection: Connection, work: dict[tuple[str, int], str]) -> None:
        """Keep the parts that are new. One told anew is without somebody erased: so is then its round."""
        if not work:
            return
        rows = await every(queries.take_rankings(connection, told=list(work.values())))
        if fresh := [(row["round"], row["part"]) for row in rows]:
            rounds, parts = map(list, zip(*fresh, strict=True))
            async with leaving(connection, rounds, datetime.now(UTC)):
                await queries.forget_parts(connection, rounds=rounds, parts=parts)
                await queries.keep_parts(connection, told=[work[key] for key in fresh])


class Through:
    """Takes up to where registry and eligibility have told everything."""

    def decode(self, spans: Sequence[Span], in_force: InForce[Any] | None) -> dict[str, Any]:  # noqa: ARG002
        """The last word of each service in the batch."""
        told = [orjson.loads(record.value)["data"] for span in spans for record in span.records if record.value]
        return {data["service"]: data for data in sorted(told, key=itemgetter("revision"))}

    async def write(self, connection: Connection, work: dict[str, Any]) -> None:
        """Keep it, and have findings looked for that waited for it."""
        if work:
            await queries.take_told_through(
                connection, services=list(work), revisions=[data["revision"] for data in work.values()],
                through=[orjson.dumps(data["through"]).decode() for data in work.values()],
            )  # fmt: skip
            await connection.execute(LOOK)


class Reports:
    """Takes which reports from below were filed, so that none is handed over that nobody filed."""

    def decode(
        self, spans: Sequence[Span], in_force: InForce[Any] | None  # noqa: ARG002 – an intake's signature
    ) -> dict[str, tuple[str, str] | None]:  # fmt: skip
        """By key the agency and its id of each report in the batch, none of those forgotten."""
        return {
            record.key.decode(): data and (data["agency"], data["report_id"])
            for span in spans
            for record in span.records
            if record.key is not None
            for data in [orjson.loads(record.value)["data"] if record.value is not None else None]
        }

    async def write(self, connection: Connection, work: dict[str, tuple[str, str] | None]) -> None:
        """Take them."""
        filed = {key: told for key, told in work.items() if told is not None}
        await queries.forget_reports(connection, keys=[key for key in work if key not in filed])
        await queries.take_reports(
            connection, keys=list(filed), agencies=[agency for agency, _ in filed.values()],
            report_ids=[report_id for _, report_id in filed.values()],
        )  # fmt: skip
