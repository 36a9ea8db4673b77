"""A payment list, answered line by line before anything of it is published.

Invariants
- Nothing is written: lines stand in the session's own table, in a transaction that is rolled back.
- A line passes the door as it would from its topic, and is refused in the same words.
- Lines are held against the ledger as it was read up to the moment of the question, and against one another; where
  that much is not read in ``PATIENCE`` what is not held is unknown. What a line takes back counts no more; a line
  that is refused takes nothing back, and counts for nothing.
- Who is silent is judged when it is answered, by what was read until then.
- Planned as it is, a line is given the same reasons by its clearance, in the same words. That of which it is not
  certain that the ledger will hold it is held: one of several lines of an id, one that a revision told otherwise.
"""

import asyncio
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import asyncpg
from tepat_chassis.auth import Person
from tepat_chassis.database import Connection, Database
from tepat_chassis.pseudonyms import Pseudonyms
from tepat_chassis.quarantine import Record
from tepat_contracts.door import Refused
from tepat_contracts.express import Ended, PayoutDoor
from tepat_contracts.topics import Kind, inbound_name

from tepat_distribution import domain
from tepat_distribution.clearances import Ends, crowded_in_words, silences, silent_in_words
from tepat_distribution.domain import STATES, VERDICTS, digest, more
from tepat_distribution.handlers import NUMBER
from tepat_distribution.policed import Policed
from tepat_distribution.refusals import words
from tepat_distribution.store import BY_KEY_NOW, every, queries

LINES_AT_ONCE: Final = 5_000
PATIENCE: Final = 5.0
LOOK_AGAIN: Final = 0.1
LISTED: Final = (
    "n", "payout_id", "nik", "told", "told_kk", "programme", "starts", "ends", "revision", "rank", "event_time",
    "event_id", "amount", "kind", "region", "more", "digest",
)  # fmt: skip
TAKEN_BACK: Final = {
    "stands": "takes a payment back, nothing to clear",
    "ended": "it was taken back before, nothing changes",
    "unknown": "no payment of this id is known: check the id",
}
"""Of a line that takes back what the ledger or the list holds so."""
RAISE: Final = ": raise --revision or the column revision"
OUTSIDE: Final = {"rejected": "not_permitted", "pointer": "/data/payout_id", "message": words("line_outside")}
"""Of a line that takes back what was paid outside the person's regions: it names no area itself."""
HEADERS: Final = [("content-type", b"application/cloudevents+json")]

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list that was taken: the session it stands in, whose it is, who asks, how many lines, and those refused."""

    connection: "asyncpg.Connection[asyncpg.Record]"
    agency: str
    policy: Policed
    person: Person
    lines: int
    refused: Mapping[int, Line]


class Checks:
    """Answers payment lists.

    Args:
        ends: where agencies' payouts end now.
    """

    def __init__(
        self,
        database: Database,
        pseudonyms: Callable[[str], Pseudonyms],
        ends: Ends,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._pseudonyms = pseudonyms
        self._ends = ends
        self._clock = clock
        self._door = PayoutDoor()

    async def listed(self, events: AsyncIterator[bytes], agency: str, policy: Policed, person: Person) -> Listed:
        """Take a list, event by event; it is given back by `answered`, or by the server once nobody asks."""
        refused: dict[int, Line] = {}
        part: list[bytes] = []
        lines = 0
        connection = await self._database.connect()
        try:
            await connection.execute("begin; " + BY_KEY_NOW)
            async for event in _and_end(events):
                if event is not None:
                    part.append(event)
                if len(part) == LINES_AT_ONCE or event is None:
                    rows, no = await asyncio.to_thread(self._rows, part, lines, agency, policy, person)
                    await connection.copy_records_to_table("listed", records=rows, columns=LISTED)
                    refused |= no
                    lines += len(part)
                    part = []
        except BaseException:
            await connection.close(timeout=1)
            raise
        return Listed(connection, agency, policy, person, lines, refused)

    async def answered(self, listed: Listed) -> AsyncGenerator[Line, None]:
        """A line for each event, in order: `n` from 1 with `decision` and what it rests on, or with `rejected`; last
        `result` with how many of each there are. Of a line that takes a payment back the decision is `ends`.
        """
        counted = Counter[str]()
        try:
            behind = not await self._read(listed.connection)
            async for line in self._lines(listed, behind=behind):
                counted[line.get("decision", "rejected")] += 1
                yield line
        finally:
            await listed.connection.close(timeout=1)
        yield {"result": {**counted, "policy_version": listed.policy.index.version, "behind": behind}}

    def _rows(
        self, events: Sequence[bytes], before: int, agency: str, policy: Policed, person: Person
    ) -> tuple[list[tuple[Any, ...]], dict[int, Line]]:
        topic, pseudonyms = inbound_name(agency, Kind.PAYOUTS), self._pseudonyms(policy.secret_id)
        rows: list[tuple[Any, ...]] = []
        refused: dict[int, Line] = {}
        for n, value in enumerate(events, start=before + 1):
            record = Record(topic, 0, n, 0, value, HEADERS)
            try:
                admitted = self._door.admit(record.value, record.headers, agency, policy.index)
            except Refused as no:
                why = no.rejection
                refused[n] = {"rejected": why.reason, "pointer": why.pointer, "message": why.message}
                continue
            if admitted is None:
                refused[n] = {"rejected": "unknown_type", "pointer": "/type", "message": words("no_payment")}
                continue
            event, time = admitted
            if isinstance(data := event.data, Ended):
                order = data.revision, event.rank, time, event.id
                rows.append((n, data.payout_id, *[None] * 6, *order, *[None] * 4, digest(value)))
            elif not person.covers(data.region):
                refused[n] = {"rejected": "not_permitted", "pointer": "/data/region", "message": words("line_outside")}
            else:
                to = data.recipient
                told = pseudonyms.alone(to.nik) if to.kk is None else pseudonyms.kk(to.kk)
                rows.append((
                    n, data.payout_id, UUID(bytes=pseudonyms.nik(to.nik)), UUID(bytes=told), to.kk is not None,
                    policy.programmes[data.programme], data.covers.start, data.covers.end, data.revision, event.rank,
                    time, event.id, data.benefit.amount, NUMBER[data.benefit.kind], data.region, more(data),
                    digest(value),
                ))  # fmt: skip
        return rows, refused

    async def _read(self, connection: Connection) -> bool:
        """Wait until all is read that agencies have sent by now; whether it is."""
        ends = await self._ends()
        told = {
            "topics": [each.topic for each in ends], "partitions": [each.partition for each in ends],
            "ends": list(ends.values()),
        }  # fmt: skip
        waited = 0.0
        while await queries.unread(connection, **told):
            if waited > PATIENCE:
                return False
            await asyncio.sleep(LOOK_AGAIN)  # positions move in other sessions, which tell nobody
            waited += LOOK_AGAIN
        return True

    async def _lines(self, listed: Listed, *, behind: bool) -> AsyncIterator[Line]:
        connection, policy = listed.connection, listed.policy
        agency, codes = policy.agencies[listed.agency], {number: code for code, number in policy.agencies.items()}
        silent = defaultdict[int, list[str]](list)
        for each in await silences(connection, policy, self._clock()):
            if each.agency != agency:
                insort(silent[each.programme], silent_in_words(codes[each.agency], each.since))
        regions = list(listed.person.regions)
        at_most = domain.GROUP_LIMIT
        rows = await every(queries.check_listed(connection, agency=agency, regions=regions, at_most=at_most))
        found = {n: list(of) for n, of in groupby(rows, lambda row: row["n"])}
        for n in range(1, listed.lines + 1):
            if n in found:
                yield {"n": n} | _answer(found[n], silent, behind=behind)
            else:
                yield {"n": n} | listed.refused.get(n, OUTSIDE)


async def _and_end(events: AsyncIterator[bytes]) -> AsyncIterator[bytes | None]:
    async for event in events:
        yield event
    yield None


def _answer(rows: Sequence[Any], silent: Mapping[int, list[str]], *, behind: bool) -> Line:
    """The answer about a line, out of what it overlaps with."""
    first = rows[0]
    if (also := first["same_id_as"]) is not None:
        reason = f"repeated: this id stands in line {also} too"
        return {"decision": "hold", "reasons": [reason], "overlaps": [], "same_id_as": also}
    if first["outdone"] is not None:  # sent as it is, the line need not change anything
        of = f" with other content{RAISE}" if first["contested"] else f" of it{RAISE if first['defied'] else ''}"
        reason = f"{STATES[first['outdone']]}: the ledger holds revision {first['held_revision']}{of}"
        return {"decision": "hold", "reasons": [reason], "overlaps": []}
    if (back := first["takes_back"]) is not None:
        unsure = ["behind"] if behind and back == "unknown" else []
        return {"decision": "ends", "reasons": [f"ends: {TAKEN_BACK[back]}", *unsure], "overlaps": []}
    overlaps = [row for row in rows if row["rule"] is not None]
    groups = (first["large_household"], False), (first["large_person"], True)
    crowded = [crowded_in_words(g, person) for g, person in groups if g is not None]
    unknown = silent[first["programme"]] + (["behind"] if behind else [])
    holds = any(row["why"] in ("exclusive", "held") for row in overlaps)
    return {
        "decision": "hold" if holds else "unknown" if unknown else "clear",
        "reasons": [row["reason"] for row in overlaps if row["why"] != "review"] + crowded + unknown,
        "overlaps": [
            {"rule": row["rule"], "verdict": VERDICTS[row["strength"]], "agency": row["agency"],
             "payout_id": row["payout_id"], "programme": row["with_programme"], "state": STATES[row["rank"]]}
            for row in overlaps
        ],
    }  # fmt: skip
