"""What if: the overlaps of a period under the policy in force and under a proposed one, and what differs.

Invariants
- Nothing is written, marked or announced: all is read in one read-only transaction on one snapshot, which is rolled
  back; the only table written to is the session's own, of payouts that would stand elsewhere.
- The database finds and counts pairs, once each; which rule holds of them under either policy is decided by
  `domain.ruling`. What stands now is worked out the same way, not taken from what was announced: what waits to be
  judged is in it.
- The ledger is read in slices of persons and households: its size costs no memory.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson
from tepat_chassis.database import Connection, Database
from tepat_contracts.policy import Policy

from tepat_distribution import domain, policed
from tepat_distribution.domain import VERDICTS, Rule
from tepat_distribution.refusals import words
from tepat_distribution.store import every, queries

SLICES: Final = 64
"""Of some 60,000 payouts each in the ledger of a year of a million households."""
STANDING: Final = "select document from standing order by seq desc limit 1"
ROOM: Final = "set local work_mem = '64MB'"


class Change(NamedTuple):
    """What becomes of overlaps; a rule with its verdict, none where the two payouts do not overlap."""

    programmes: tuple[str, str]
    area: str | None
    before: tuple[str, str] | None
    after: tuple[str, str] | None


async def simulated(
    database: Database, proposed: Policy, since: date, until: date, covers: Callable[[str | None], bool]
) -> AsyncGenerator[dict[str, Any], None]:
    """What `POST /v1/simulations` answers, line by line: how far it has come, in the end the result or why none.

    Args:
        since, until: counted are the pairs of payouts that each cover a day from the one to the other.
        covers: whether who asks may see an area.
    """
    async with database.pool.acquire() as connection, _snapshot(connection):
        stored = await connection.fetchval(STANDING)
        if stored is None:
            yield {"failed": words("nothing_to_compare")}
            return
        present = policed.parse(orjson.loads(stored)).index.policy
        await connection.execute(ROOM)
        codes = {row["id"]: row["code"] for row in await every(queries.programmes(connection))}
        rules = [_by_pair(policy, codes) for policy in (present, proposed)]
        moving = _ranks(present) != _ranks(proposed) and await _find_moving(connection, proposed)
        large = defaultdict[str, list[UUID]](list)
        for row in await every(queries.large(connection, at_most=domain.GROUP_LIMIT)):
            large[row["kind"]].append(row["g"])
        kinds = [
            queries.pairs_of_households,
            queries.pairs_of_persons,
            *([queries.pairs_that_would_be] if moving else []),
        ]
        sums: dict[Change, list[int]] = {}
        for number, kind in enumerate(kinds):
            for slice_ in range(SLICES):
                low, high = (slice_ << 128) // SLICES, ((slice_ + 1) << 128) // SLICES - 1
                pairs = kind(
                    connection, low=UUID(int=low), high=UUID(int=high), since=since, until=until,
                    large=large["household"], large_then=large["proposed"], large_persons=large["person"],
                )  # fmt: skip
                for pair in await every(pairs):
                    _add(sums, pair, codes, rules)
                yield {"done": number * SLICES + slice_ + 1, "of": len(kinds) * SLICES}
        yield {"result": {
            "from": since, "to": until, "present": present.version, "proposed": proposed.version,
            "pending": await queries.left_to_judge(connection, now=datetime.now(UTC)),
            "changes": [_row(change, sums[change]) for change in sorted(sums, key=str) if covers(change.area)],
        }}  # fmt: skip


@asynccontextmanager
async def _snapshot(connection: Connection) -> AsyncIterator[None]:
    """A transaction that only reads, and leaves nothing in the session's own table."""
    await connection.execute("truncate moving")  # of rows that were rolled back: they take room
    transaction = connection.transaction(isolation="repeatable_read", readonly=True)
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


def _ranks(policy: Policy) -> dict[str, int]:
    return {agency.id: agency.trust_rank for agency in policy.agencies if agency.trust_rank is not None}


async def _find_moving(connection: Connection, proposed: Policy) -> bool:
    ranks = _ranks(proposed)
    return bool(await queries.find_moving(connection, codes=list(ranks), ranks=list(ranks.values())))


def _by_pair(policy: Policy, codes: Mapping[int, str]) -> dict[tuple[str, str], list[Rule]]:
    """The rules of a policy by their programmes, in either order."""
    rules = defaultdict[tuple[str, str], list[Rule]](list)
    for rule in domain.rules(policy, codes.values()):
        rules[rule.a, rule.b].append(rule)
    return rules


def _add(
    sums: dict[Change, list[int]], pair: Any, codes: Mapping[int, str], rules: list[dict[tuple[str, str], list[Rule]]]
) -> None:
    """Count pairs that are alike, if they overlap under either policy."""
    a, b = codes[pair["a"]], codes[pair["b"]]
    before, after = (
        _overlap(domain.ruling(of.get((a, b), ()), pair["starts"], person=pair["person"], household=household))
        for of, household in zip(rules, (pair["household"], pair["proposed"]), strict=True)
    )
    if before is not None or after is not None:
        held = sums.setdefault(Change((min(a, b), max(a, b)), pair["area"], before, after), [0, 0])
        held[0] += pair["overlaps"]
        held[1] += int(pair["amount_at_risk"])


def _overlap(rule: Rule | None) -> tuple[str, str] | None:
    """Rule and verdict of an overlap; none where payouts complement each other."""
    if rule is None or VERDICTS[rule.strength] == "complementary":
        return None
    return rule.id, VERDICTS[rule.strength]


def _row(change: Change, sums: list[int]) -> dict[str, Any]:
    def told(rule: tuple[str, str] | None) -> dict[str, str] | None:
        return None if rule is None else {"rule": rule[0], "verdict": rule[1]}

    return {
        "programmes": change.programmes, "area": change.area, "before": told(change.before),
        "after": told(change.after), "overlaps": sums[0], "amount_at_risk": sums[1],
    }  # fmt: skip
