"""What a simulation tells of overlaps is what the oracle finds under either policy; nothing else comes of it."""

from collections import Counter
from datetime import date
from typing import Any

import orjson
import pytest
from asyncpg.transaction import Transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tepat_contracts.policy import from_document
from tepat_contracts.topics import Kind, inbound_name
from tepat_demo import oracle
from tepat_distribution import domain
from tepat_distribution.simulate import simulated

from .conftest import SECRET, TABLES, Event, Ledger, Registry, _agency, oracle_record
from .test_convergence import facts, known, opening, policies, sent

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PERIODS = [
    ("2026-01-01", "2026-12-31"), ("2026-03-31", "2026-03-31"), ("2025-01-01", "2025-12-31"),
    ("0001-01-01", "9999-12-31"),
]  # fmt: skip


async def held(ledger: Ledger) -> dict[str, str]:
    """A digest of every table."""
    return {
        table: await ledger.database.pool.fetchval(
            f"select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {table} t"
        )
        for table in (*TABLES, "act")
    }


async def result(ledger: Ledger, proposed: dict[str, Any], since: str, until: str, area: str = "") -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transaction, "commit", None)  # cancelled with whoever asked, it must not be in the midst of that
        told = [
            line
            async for line in simulated(
                ledger.database, from_document(proposed), date.fromisoformat(since), date.fromisoformat(until),
                lambda of: (of or "").startswith(area),
            )
        ]  # fmt: skip
    *progress, last = told
    assert [line["done"] for line in progress] == list(range(1, progress[-1]["of"] + 1))
    return last["result"]


def expected(ledger: Ledger, facts: list[Event], document: Any, since: str, until: str) -> dict[str, Any]:
    """The overlaps of payouts that each cover a day of a period, as the oracle finds them, by overlap id."""
    records = [
        *map(oracle_record, ledger.accepted),
        *(
            oracle.Record(inbound_name(_agency(fact), Kind.BENEFICIARIES), 0, offset, [], orjson.dumps(fact))
            for offset, fact in enumerate(facts)
        ),
    ]
    live = {payout.key: payout for payout in oracle.live_payouts(map(oracle.read_event, records))}

    def covers(side: Any) -> bool:
        payout = live[side["agency"], side["payout_id"]]
        return payout.first <= until and payout.last >= since

    found = oracle.expected(records, document, SECRET).overlaps
    return {id_: told for id_, told in found.items() if all(map(covers, told["payouts"]))}


def brief(told: Any) -> tuple[str, str] | None:
    return None if told is None else (told["rule"], told["verdict"])


@pytest.mark.parametrize("slices", [64, 3])
@given(
    st.tuples(policies(), policies()), opening, st.lists(sent, max_size=2), known, st.lists(facts, max_size=3),
    st.sampled_from([3, 4, 1_000, 1_000]), st.sampled_from(PERIODS),
)  # fmt: skip
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_it_tells_what_the_oracle_finds_otherwise(
    ledger: Ledger, slices: int, both: Any, opening: list[Event], later: Any, known: list[Event], facts: Any,
    limit: int, period: tuple[str, str],
) -> None:  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(domain, "GROUP_LIMIT", limit)
        patch.setattr(oracle, "GROUP_LIMIT", limit)
        patch.setattr("tepat_distribution.simulate.SLICES", slices)
        await ledger.empty()
        present, proposed = both
        await ledger.follow(present)
        registry = Registry()
        for told in [known, *facts]:
            await ledger.hear(registry.learn(told))
        for told in [opening, *later]:
            await ledger.take(told)
        kept = await held(ledger)
        said = await result(ledger, {**proposed, "version": "t-2"}, *period)
        before = expected(ledger, registry.facts, present, *period)
        after = expected(ledger, registry.facts, proposed, *period)
        assert await held(ledger) == kept
    overlaps: Counter[Any] = Counter()
    at_risk: Counter[Any] = Counter()
    for id_ in before.keys() | after.keys():
        had, will = before.get(id_), after.get(id_)
        a, b = sorted(side["programme"] for side in (had or will)["payouts"])
        key = (a, b), (had or will)["region"][:5], brief(had), brief(will)
        overlaps[key] += 1
        at_risk[key] += (had or will)["amount_at_risk"]
    rows = {
        (tuple(row["programmes"]), row["area"], brief(row["before"]), brief(row["after"])): row
        for row in said["changes"]
    }
    assert {key: row["overlaps"] for key, row in rows.items()} == overlaps
    assert {key: row["amount_at_risk"] for key, row in rows.items()} == at_risk
