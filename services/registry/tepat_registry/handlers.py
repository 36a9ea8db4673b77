"""What the registry takes: beneficiaries and reports from agencies, the policy.

Invariants
- A record becomes a row at the door and nowhere else: numbers as whole numbers, households as pseudonyms, its
  data as canonical JSON, its place in the topic, and a trace, made up of its place where it carries none.
- Pseudonyms stay those of the secret the first policy named: a later policy that names another one is followed
  in all else, for everything announced so far stands under the first.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import structlog
from asyncpg.pgproto.pgproto import UUID as FastUUID  # noqa: N811
from tepat_chassis.database import Connection, Lock, kept_open, lock_key
from tepat_chassis.pseudonyms import Pseudonyms
from tepat_chassis.quarantine import Told
from tepat_chassis.standing import Standing
from tepat_contracts import identity
from tepat_contracts.door import Door, canonical
from tepat_contracts.envelope import traceparent_of
from tepat_contracts.events import beneficiaries, reports
from tepat_contracts.events.inbound import SOURCE_COMPLETE
from tepat_contracts.policy import Policy, PolicyIndex, from_document, report_routes
from tepat_contracts.topics import Kind as TopicKind

from tepat_registry.domain import Erasure, Fact, Kind, Link, Statement
from tepat_registry.linkage import names
from tepat_registry.store import ROUTE, Store, queries

log = structlog.get_logger()

RECHECK: Final = "recheck"
AT_ONCE: Final = 2_000

Row = Fact | Link | Erasure | Statement

#: Of the other events: what each is about, and the number of which the greater replaces the lesser.
ABOUT: Final[Mapping[str, Callable[[Any], tuple[str, int]]]] = {
    beneficiaries.INSTITUTION_RECORDED: lambda data: (data["institution_id"], data["revision"]),
    reports.REPORT_FILED: lambda data: (data["report_id"], data["revision"]),
    reports.REPORT_ANSWERED: lambda data: (data["report_id"], data["revision"]),
    SOURCE_COMPLETE: lambda data: (
        f"{data['kind']} {data.get('programme') or ''}".rstrip(), data["through"].toordinal(),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class InUse:
    """The policy as the registry uses it: the door's index, the pseudonyms it is told under, and of which fields the
    word told last holds.
    """

    index: PolicyIndex
    pseudonyms: Pseudonyms
    recent: frozenset[str]


class Intake:
    """Admits what agencies tell, and writes it.

    Args:
        standing: the policy in force, under which a batch is written as it was decoded.
    """

    def __init__(self, kind: TopicKind, standing: Standing[InUse], clock: Callable[[], datetime]) -> None:
        self._door: Door[Any] = Door(kind)
        self._standing = standing
        self._clock = clock

    def admit(self, record: Told, agency: str, policy: InUse) -> Row:
        """The record as a row. Raises ``Refused``."""
        event = self._door.admit(record.value, record.headers, agency, policy.index)
        data = event["data"]
        canon = data_of(record)
        trace = event.get("traceparent") or traceparent_of(record.topic, record.partition, record.offset)
        match event["type"]:
            case beneficiaries.PERSON_RECORDED:
                zone = ZoneInfo(policy.index.policy.time_zone)
                warnings = [
                    *identity.warnings(data["nik"], data["birth_date"], policy.index.regions),
                    *(["unborn"] if data["birth_date"] > event["time"].astimezone(zone).date() else ()),
                    *(["name"] if not names.tells(data["name"]) else ()),
                ]
                return Fact(
                    int(data["nik"]), FastUUID(policy.pseudonyms.nik(data["nik"])), agency, data["since"],
                    data.get("until"), FastUUID(policy.pseudonyms.kk(data["kk"])), data["revision"], event["time"],
                    event["id"], canon, " ".join(warnings) or None, record.partition, record.offset, trace,
                )  # fmt: skip
            case beneficiaries.PERSONS_MERGED:
                kind, start, end = Kind.NIK, data["from_nik"], data["into_nik"]
            case beneficiaries.PERSONS_UNMERGED:
                kind, start, end = Kind.NIK, data["from_nik"], None
            case beneficiaries.HOUSEHOLD_RENEWED:
                kind, start, end = Kind.KK, data["from_kk"], data.get("into_kk")
            case beneficiaries.PERSON_ERASED:
                nik = data["nik"]
                person = FastUUID(policy.pseudonyms.nik(nik))
                return Erasure(int(nik), person, event["time"], agency, event["id"], trace)
            case other:
                about, revision = ABOUT[other](data)
                return Statement(
                    agency, other, about, revision, event["time"], event["id"], canon, record.topic,
                    record.partition, record.offset, trace, datetime.fromtimestamp(record.timestamp / 1e3, UTC),
                )  # fmt: skip
        return Link(
            kind, int(start), None if end is None else int(end), data["revision"], event["time"], event["id"], agency,
            canon, record.partition, record.offset, trace,
        )  # fmt: skip

    async def write(self, connection: Connection, rows: list[Row]) -> None:
        """Take the rows, and announce what they change."""
        in_force = await self._standing.first()
        await store_of(connection, in_force.document, self._clock()).take(rows)


def data_of(record: Told) -> str:
    """The canonical data of a record that was admitted: ``door.canonical``, four times as fast where it can be.

    orjson writes small floats and whole numbers beyond 64 bits otherwise than the canonical form wants them.
    """
    value = record.value or b""
    try:
        told = orjson.loads(value)
        if told.get("specversion") is not None:
            data = orjson.dumps(told["data"], option=orjson.OPT_SORT_KEYS)
            if b"e-" not in data and b"e+" not in data and b"0.0000" not in data:
                return data.decode()
    except (orjson.JSONDecodeError, AttributeError):
        pass
    return canonical(value, record.headers)


def recent(policy: Policy) -> frozenset[str]:
    """The fields of which the word told last holds."""
    return frozenset(field for field, by in policy.resolve.items() if by == "recency")


def _going(document: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a policy's document says of how reports go."""
    return report_routes(document.get("routes")), sorted(agency["id"] for agency in document["agencies"])


def store_of(connection: Connection, policy: InUse, now: datetime) -> Store:
    """The database as a policy has it written."""
    return Store(connection, policy.pseudonyms, now, policy.recent)


class Policies:
    """Follows the policy.

    Args:
        pseudonyms: those of a secret, by its id. Raises ``SecretMissing``.
    """

    def __init__(self, pseudonyms: Callable[[str], Pseudonyms]) -> None:
        self._pseudonyms = pseudonyms

    def parse(self, stored: Any) -> InUse:
        """The policy out of what ``follow`` gave. Raises SecretMissing."""
        pseudonyms = self._pseudonyms(stored["secret_id"])
        policy = from_document(stored["policy"])
        return InUse(PolicyIndex(policy), pseudonyms, recent(policy))

    async def follow(self, connection: Connection, policy: Policy, document: Mapping[str, object]) -> dict[str, Any]:  # noqa: ARG002
        """Follow a policy; what is kept of it."""
        secret_id = await queries.first_secret(connection) or policy.secret_id
        if secret_id != policy.secret_id:
            log.error("the policy names another secret; pseudonyms stay those of the first", secret_id=secret_id)
        ranks = {agency.id: agency.trust_rank for agency in policy.agencies if agency.trust_rank is not None}
        before = await queries.followed(connection)
        settled = before is not None and recent(from_document(orjson.loads(before))) == recent(policy)
        if not settled or ranks != {row["agency"]: row["rank"] async for row in queries.trust(connection)}:
            await queries.forget_trust(connection)
            await queries.set_trust(connection, agencies=list(ranks), ranks=list(ranks.values()))
            await queries.recheck_all(connection)
            await connection.execute(f"notify {RECHECK}")
        if before is not None and _going(orjson.loads(before)) != _going(policy.document()):
            await queries.route_open(connection)
            await connection.execute(f"notify {ROUTE}")
        return {"policy": policy.document(), "secret_id": secret_id}


class Recheck:
    """Announces anew, in chunks, the persons whom a change of trust, or of what it decides, makes look otherwise."""

    def __init__(self, standing: Standing[InUse], clock: Callable[[], datetime]) -> None:
        self._standing = standing
        self._clock = clock

    async def work(self, connection: Connection) -> AsyncIterator[bool]:
        """The duty's steps. Whom to look at is found without the lock: who is told of anew meanwhile is told right."""
        while True:
            in_force = await kept_open(connection, self._standing.first())
            after = await queries.recheck_after(connection)
            if after is not None:
                niks = [row["nik"] async for row in queries.disputed(connection, after=after, most=AT_ONCE)]
                async with connection.transaction():
                    await connection.execute(f"select {Lock.EXCLUSIVE.value}({lock_key('facts')})")
                    store = store_of(connection, in_force.document, self._clock())
                    if not after:
                        await store.look_at_reports()
                    await store.announce_persons(dict.fromkeys(niks))
                    await store.look(niks, ())
                    if niks:
                        await queries.recheck_on(connection, after=after, reached=niks[-1])
                    else:
                        await queries.recheck_done(connection, after=after)
            yield after is not None
