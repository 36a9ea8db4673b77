"""Stories of a few events on a real database: what each leaves announced, and the oracle agrees.

`check` judges all that is left and compares with the oracle; what a story is about is asserted beside it.
"""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tepat_chassis import database
from tepat_chassis.pseudonyms import Pseudonyms
from tepat_chassis.quarantine import Record
from tepat_contracts.events.fields import PAYOUT_ID_PATTERN
from tepat_contracts.policy import from_document
from tepat_demo import oracle
from tepat_distribution import domain, policed, store
from tepat_distribution.domain import STATES
from tepat_distribution.handlers import Payouts, data_of
from tepat_distribution.store import Staged

from .conftest import (
    ANI,
    BUDI,
    CITRA,
    DEWI,
    KENANGA,
    MAWAR,
    MELATI,
    MIGRATIONS,
    NOW,
    PKH_BLT,
    PKH_BPNT,
    PKH_SB,
    REGION,
    SECRET,
    Event,
    Ledger,
    Registry,
    agency,
    alone,
    ended,
    event,
    kk,
    lives,
    merged,
    nik,
    oracle_record,
    payout,
    policy,
    renewed,
    rule,
)

pytestmark = pytest.mark.integration

PKH = payout()
BPNT = payout("p2", "BPNT", BUDI, by="himbara")
APART = payout("p2", "BPNT", BUDI, MELATI, by="himbara")
LATER = "2026-02-01T00:00:00Z"


async def pairs(ledger: Ledger, registry: Registry | None = None) -> list[str]:
    """What stands announced after all is judged, as `p1+p2`; the oracle agrees."""
    found = (await ledger.check(registry.facts if registry else ())).overlaps.values()
    return sorted("+".join(sorted(side["payout_id"] for side in o["payouts"])) for o in found)


async def told(ledger: Ledger) -> list[tuple[str, int, str]]:
    """Everything announced in order: (what, revision, rule or reason)."""
    records = [orjson.loads(record.value or b"") for record in await ledger.sent()]
    return [
        (r["type"].split(".")[2], r["data"]["revision"], r["data"].get("rule") or r["data"]["reason"]) for r in records
    ]


@pytest.fixture
def registry() -> Registry:
    return Registry()


async def hear(ledger: Ledger, registry: Registry, *facts: Event) -> None:
    await ledger.hear(list(registry.learn(facts)))


# --- the ledger


async def test_a_pair_is_announced_once_whoever_comes_first(ledger: Ledger) -> None:
    await ledger.take([BPNT])
    assert await pairs(ledger) == []
    await ledger.take([PKH])
    assert await pairs(ledger) == ["p1+p2"]
    await ledger.take([PKH, BPNT, PKH])
    assert await ledger.judge() == 0  # an exact repeat leaves nothing to judge
    assert await told(ledger) == [("detected", 1, "pkh-bpnt")]


async def test_an_end_may_come_before_what_it_ends_and_a_higher_revision_revives(ledger: Ledger) -> None:
    await ledger.take([ended(), BPNT])
    assert await ledger.judge() == 1
    await ledger.take([PKH])
    assert await pairs(ledger) == []
    await ledger.take([payout(revision=1)])
    assert await pairs(ledger) == ["p1+p2"]
    await ledger.take([ended(state="returned", revision=1)])
    assert await pairs(ledger) == []
    await ledger.take([payout(revision=2)])
    assert await pairs(ledger) == ["p1+p2"]
    assert await told(ledger) == [
        ("detected", 1, "pkh-bpnt"), ("cleared", 2, "payout_ended"), ("detected", 3, "pkh-bpnt"),
    ]  # fmt: skip


async def test_a_payout_that_ended_is_resolved_anew_when_it_revives(ledger: Ledger, registry: Registry) -> None:
    await ledger.take([payout(card=MELATI), BPNT])
    assert await pairs(ledger) == []
    await ledger.take([ended()])
    await hear(ledger, registry, lives(ANI, MAWAR))  # nobody looks at what has ended
    await ledger.take([payout(card=MELATI, revision=1)])
    assert await pairs(ledger, registry) == ["p1+p2"]


async def test_a_payout_corrected_to_another_person_leaves_the_first(ledger: Ledger) -> None:
    await ledger.take([PKH, payout("p2", card=MELATI)])
    assert await pairs(ledger) == ["p1+p2"]
    await ledger.take([payout("p2", of=BUDI, card=MELATI, revision=1)])
    assert await pairs(ledger) == []
    await ledger.take([payout("p3", of=BUDI, card=KENANGA)])
    assert await pairs(ledger) == ["p2+p3"]
    assert (await told(ledger))[1] == ("cleared", 2, "payout_changed")


async def test_a_payout_corrected_to_another_card_leaves_the_first(ledger: Ledger) -> None:
    await ledger.take([PKH, BPNT])
    assert await pairs(ledger) == ["p1+p2"]
    await ledger.take([payout(card=MELATI, revision=1)])
    assert await pairs(ledger) == []


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"region": "33.74.02"}, "region", "33.74.02"),
        ({"amount": 1}, "amount_at_risk", 1),
        ({"days": ("2026-02-01", "2026-02-28")}, "during", {"from": "2026-02-01", "to": "2026-02-28"}),
    ],
)
async def test_a_change_of_the_second_payout_is_announced_anew(
    ledger: Ledger, change: Event, field: str, value: object
) -> None:
    await ledger.take([PKH, BPNT])
    await ledger.judge()
    await ledger.take([payout("p2", "BPNT", BUDI, by="himbara", time=LATER, **change)])
    ((_, overlap),) = (await ledger.check()).overlaps.items()
    assert overlap[field] == value
    assert [revision for _, revision, _ in await told(ledger)] == [1, 2]


async def test_a_pair_judged_late_is_announced_as_it_is_now(ledger: Ledger) -> None:
    for revision in range(3):
        await ledger.take([payout(revision=revision), BPNT])
    assert await pairs(ledger) == ["p1+p2"]
    assert len(await told(ledger)) == 1


@pytest.mark.parametrize(
    "then",
    [payout(card=MELATI, revision=1), ended(), payout(programme="SB", revision=1),
     payout(days=("2027-01-01", "2027-03-31"), revision=1)],
    ids=["moved", "ended", "of another programme", "of other days"],
)  # fmt: skip
async def test_a_new_payout_that_changed_before_it_was_judged_is_not_announced_as_it_came(
    ledger: Ledger, then: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MARKS_AT_ONCE", 1)
    await ledger.take([BPNT])
    await ledger.take([PKH])
    await ledger.take([then])
    assert await ledger.judge() == 3
    assert await told(ledger) == []
    await ledger.take([payout(revision=2)])
    assert await pairs(ledger) == ["p1+p2"]


WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"


async def test_two_that_take_the_same_new_payout_at_once_end_with_the_greater(ledger: Ledger) -> None:
    pool = ledger.database.pool
    async with ledger.taking([PKH, BPNT]):
        late = asyncio.create_task(ledger.take([payout(revision=1, amount=1), payout("p3", of=BUDI)]))
        while not await pool.fetchval(WAITING):
            assert not late.done()
    await late
    assert await pool.fetchval("select amount from payout where payout_id = 'p1'") == 1
    assert await pairs(ledger) == ["p1+p2", "p2+p3"]


async def test_events_that_misuse_one_id_are_told_apart_by_their_data(ledger: Ledger) -> None:
    small, great = payout(amount=10, id_="x"), payout(amount=9, id_="x")  # "9" > "10" as text
    for first, second in ((small, great), (great, small)):
        await ledger.empty()
        await ledger.follow(policy(PKH_BPNT))
        await ledger.take([first, BPNT])
        await ledger.take([second])
        ((_, overlap),) = (await ledger.check()).overlaps.items()
        assert overlap["amount_at_risk"] == 9
        assert len(ledger.recalled) == 1
        await ledger.take([first, second])  # in one batch the greater of the two asks, and stands there itself
        await ledger.check()
        assert len(ledger.recalled) <= 2


async def test_reading_again_may_take_longer_than_a_session_may_idle(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.take([payout(id_="x", amount=10), BPNT])
    await ledger.database.close()
    monkeypatch.setattr(database, "IDLE_SECONDS", 0.2)
    monkeypatch.setitem(database.SESSION, "idle_in_transaction_session_timeout", "200ms")
    await ledger.database.open(*MIGRATIONS)
    ledger.seconds_to_recall = 0.5
    await ledger.take([payout(id_="x", amount=9)])
    assert len(ledger.recalled) == 1
    assert await pairs(ledger) == ["p1+p2"]


async def test_a_repeat_in_other_bytes_is_no_other_event(ledger: Ledger) -> None:
    await ledger.take([PKH, BPNT])
    await ledger.judge()
    await ledger.take([orjson.dumps(PKH, option=orjson.OPT_INDENT_2)])
    assert len(ledger.recalled) == 1
    assert await ledger.judge() == 0


async def test_a_sign_of_life_is_taken_and_touches_nothing(ledger: Ledger) -> None:
    await ledger.take([event("dinsos", "source.complete", {"kind": "payouts", "through": "2026-03-31"})])
    assert (ledger.refused, len(ledger.accepted), await ledger.judge()) == ([], 1, 0)


async def test_a_refused_payout_is_no_part_of_the_history(ledger: Ledger) -> None:
    await ledger.take([payout("p3", "BPNT", BUDI), PKH, BPNT, b"{"])
    assert sorted(ledger.refused) == ["malformed", "not_permitted"]
    assert await pairs(ledger) == ["p1+p2"]


# --- who is who


async def test_a_household_comes_and_goes_with_a_membership(ledger: Ledger, registry: Registry) -> None:
    await ledger.take([PKH, APART])
    assert await pairs(ledger) == []
    await hear(ledger, registry, lives(BUDI, MAWAR))
    assert await pairs(ledger, registry) == ["p1+p2"]
    await hear(ledger, registry, lives(BUDI, MAWAR, until="2025-12-31", revision=1))
    assert await pairs(ledger, registry) == []
    assert (await told(ledger))[-1] == ("cleared", 2, "household_changed")
    await ledger.take([payout("p2", "BPNT", BUDI, MELATI, by="himbara", days=("2025-12-31", LAST), revision=1)])
    assert await pairs(ledger, registry) == ["p1+p2"]  # its own covers.from counts


LAST = "9999-12-31"


@pytest.mark.parametrize(
    ("since", "until", "day"),
    [
        ("2026-01-01", "2026-01-01", "2026-01-01"),
        (LAST, None, LAST),
        (LAST, LAST, LAST),
        ("0001-01-01", "0001-01-01", "0001-01-01"),
        ("0001-01-01", LAST, LAST),
    ],
)
async def test_days_are_inclusive_to_the_ends_of_the_calendar(
    ledger: Ledger, registry: Registry, since: str, until: str | None, day: str
) -> None:
    await ledger.follow(policy(rule("r", "PKH", "BPNT", "household", "review", from_=day, to=day)))
    await hear(ledger, registry, lives(BUDI, MAWAR, since, until))
    await ledger.take([payout(days=(day, day)), payout("p2", "BPNT", BUDI, None, by="himbara", days=(day, day))])
    assert await pairs(ledger, registry) == ["p1+p2"]


async def test_of_one_agencys_facts_the_latest_since_tells(ledger: Ledger, registry: Registry) -> None:
    await ledger.take([PKH, payout("p2", "BPNT", BUDI, KENANGA, by="himbara")])
    await hear(ledger, registry, lives(BUDI, MELATI, "2021-01-01"), lives(BUDI, MAWAR, "2025-01-01"))
    assert await pairs(ledger, registry) == ["p1+p2"]
    await hear(ledger, registry, lives(BUDI, MELATI, "2026-01-01"))
    assert await pairs(ledger, registry) == []


async def test_persons_come_and_go_with_a_merge(ledger: Ledger, registry: Registry) -> None:
    await ledger.take([PKH, payout("p2", of=BUDI, card=MELATI)])
    assert await pairs(ledger) == []
    await hear(ledger, registry, merged(BUDI, ANI))
    ((_, overlap),) = (await ledger.check(registry.facts)).overlaps.items()
    assert (overlap["person"], overlap["household"]) == (nik(ANI), kk(MELATI))
    await hear(ledger, registry, merged(ANI, CITRA))
    ((_, overlap),) = (await ledger.check(registry.facts)).overlaps.items()
    assert overlap["person"] == nik(CITRA)
    await hear(ledger, registry, merged(BUDI, None, revision=1))
    assert await pairs(ledger, registry) == []


async def test_facts_about_the_nik_that_stands_tell_the_household(ledger: Ledger, registry: Registry) -> None:
    await ledger.take([payout("p1", of=BUDI, card=KENANGA), payout("p2", "BPNT", CITRA, by="himbara")])
    await hear(ledger, registry, lives(BUDI, MELATI), merged(BUDI, ANI))
    assert await pairs(ledger, registry) == []
    await hear(ledger, registry, lives(ANI, MAWAR))
    assert await pairs(ledger, registry) == ["p1+p2"]


async def test_households_come_and_go_with_a_renewal(ledger: Ledger, registry: Registry) -> None:
    await ledger.take([PKH, APART])
    await hear(ledger, registry, renewed(MAWAR, KENANGA), renewed(KENANGA, MELATI))
    ((_, overlap),) = (await ledger.check(registry.facts)).overlaps.items()
    assert overlap["household"] == kk(MELATI)
    await hear(ledger, registry, renewed(KENANGA, None, revision=1))
    assert await pairs(ledger, registry) == []


async def test_the_household_of_a_person_alone_is_shared_by_that_persons_payouts(
    ledger: Ledger, registry: Registry
) -> None:
    await ledger.take([payout(card=None), payout("p2", "BPNT", card=None, by="himbara")])
    ((_, overlap),) = (await ledger.check()).overlaps.items()
    assert (overlap["scope"], overlap["household"]) == ("household", alone(ANI))
    await ledger.take([payout("p3", "BPNT", BUDI, None, by="himbara")])
    assert await pairs(ledger) == ["p1+p2"]
    await hear(ledger, registry, merged(ANI, BUDI))
    assert await pairs(ledger, registry) == ["p1+p2", "p1+p3", "p2+p3"]
    await hear(ledger, registry, lives(BUDI, MAWAR))
    ((_, overlap), *_) = (await ledger.check(registry.facts)).overlaps.items()
    assert overlap["household"] == kk(MAWAR)


async def test_the_most_trusted_agency_tells_where_a_person_lives(ledger: Ledger, registry: Registry) -> None:
    def trusting(dinsos: int | None, himbara: int | None) -> dict[str, Any]:
        agencies = [agency("dinsos", "PKH", rank=dinsos), agency("himbara", "BPNT", rank=himbara)]
        return policy(PKH_BPNT, agencies=agencies, version=f"{dinsos}-{himbara}")

    await ledger.take([PKH, APART])
    await hear(ledger, registry, lives(BUDI, MAWAR, by="himbara"), lives(BUDI, MELATI))
    for dinsos, himbara, stand in (
        (2, 1, ["p1+p2"]), (1, 2, []), (None, 2, ["p1+p2"]), (None, None, []), (None, 2**31 - 1, ["p1+p2"]), (1, 1, []),
    ):  # fmt: skip
        await ledger.follow(trusting(dinsos, himbara))
        assert await pairs(ledger, registry) == stand
    await ledger.follow(policy(PKH_BPNT, agencies=[agency("himbara", "BPNT")]))  # one that left is trusted last
    assert await pairs(ledger, registry) == []
    await ledger.follow(policy(PKH_BPNT, agencies=[agency("himbara", "BPNT", rank=9)]))
    assert await pairs(ledger, registry) == ["p1+p2"]


async def test_an_older_word_of_the_registry_says_nothing(ledger: Ledger, registry: Registry) -> None:
    (first,) = registry.learn([lives(BUDI, MELATI)])
    (second,) = registry.learn([lives(BUDI, MAWAR, revision=1)])
    await ledger.take([PKH, APART])
    await ledger.hear([second, first])
    await ledger.hear([first])
    assert await pairs(ledger, registry) == ["p1+p2"]


async def test_known_agencies_use_up_no_numbers(ledger: Ledger, registry: Registry) -> None:
    for revision in range(20):
        await hear(ledger, registry, lives(ANI, MAWAR, revision=revision, by="asing"), lives(BUDI, MAWAR))
        await ledger.follow(policy(PKH_BPNT, version=f"t-{revision}"))
    for table in ("agency", "programme"):
        assert await ledger.database.pool.fetchval(f"select max(id) = count(*) from {table}")


# --- the policy


@pytest.mark.parametrize(
    ("effective", "applies"),
    [
        ({"from_": "2026-02-01"}, True),  # the first day shared, not the first of either
        ({"from_": "2026-02-02"}, False),
        ({"to": "2026-02-01"}, True),
        ({"to": "2026-01-31"}, False),
        ({}, True),
    ],
)
async def test_a_rule_is_in_effect_on_the_first_day_shared(
    ledger: Ledger, effective: dict[str, str], applies: bool
) -> None:
    later = payout("p2", "BPNT", BUDI, by="himbara", days=("2026-02-01", "2026-12-31"))
    await ledger.follow(policy(rule("r", "PKH", "BPNT", "household", "review", **effective), version="t-2"))
    await ledger.take([PKH, later])
    assert await pairs(ledger) == (["p1+p2"] if applies else [])


@pytest.mark.parametrize(
    ("one", "other", "wins"),
    [
        (("a", "household", "review"), ("b", "household", "exclusive"), "b"),
        (("a", "household", "complementary"), ("b", "household", "review"), "b"),
        (("a", "household", "exclusive"), ("b", "person", "review"), "a"),
        (("a", "household", "review"), ("b", "person", "review"), "b"),
        (("a", "person", "review"), ("B", "person", "review"), "B"),
    ],
)
async def test_the_strongest_verdict_wins_then_the_person_then_the_lesser_id(
    ledger: Ledger, one: tuple[str, str, str], other: tuple[str, str, str], wins: str
) -> None:
    rules = [rule(id_, "PKH", "BPNT", scope, verdict) for id_, scope, verdict in (one, other)]
    await ledger.follow(policy(*rules, version="t-2"))
    await ledger.take([PKH, payout("p2", "BPNT", by="himbara")])
    ((_, overlap),) = (await ledger.check()).overlaps.items()
    assert overlap["rule"] == wins


async def test_a_policy_rejudges_all_that_ever_was(ledger: Ledger) -> None:
    await ledger.take([PKH, BPNT, payout("p3", "SB", amount=1)])
    assert await pairs(ledger) == ["p1+p2"]  # PKH with SB is a complement
    household = [rule("r", *pair, "household", "exclusive") for pair in (("PKH", "BPNT"), ("PKH", "SB"))]
    await ledger.follow(policy(*household, version="t-2"))
    assert await pairs(ledger) == ["p1+p2", "p1+p3"]
    await ledger.follow(policy(rule("r", "PKH", "BPNT", "household", "complementary"), version="t-3"))
    assert await pairs(ledger) == []
    assert (await told(ledger))[-1][::2] == ("cleared", "policy_changed")


async def test_the_same_rules_under_another_version_are_not_announced_again(ledger: Ledger) -> None:
    await ledger.take([PKH, BPNT])
    await ledger.judge()
    await ledger.follow(policy(PKH_BPNT, PKH_BLT, PKH_SB, version="t-2"))
    assert await ledger.judge() == 0
    await ledger.follow(policy(PKH_BPNT, version="t-3"))
    assert await pairs(ledger) == ["p1+p2"]
    assert len(await told(ledger)) == 1


async def test_a_policy_may_leave_no_rule_at_all(ledger: Ledger) -> None:
    await ledger.take([PKH, BPNT, payout("p3")])
    assert await pairs(ledger) == ["p1+p2", "p1+p3", "p2+p3"]
    everything = ("PKH", "BPNT", "BLT-DD", "SB")
    await ledger.follow(policy(version="t-2", programmes=everything, repeatable=everything))
    assert await pairs(ledger) == []


async def test_a_programme_that_left_the_policy_is_judged_by_the_rule_built_in(ledger: Ledger) -> None:
    await ledger.take([payout("p1", "SB"), payout("p2", "SB", card=MELATI)])
    assert await pairs(ledger) == []
    await ledger.follow(policy(PKH_BPNT, programmes=("PKH", "BPNT", "BLT-DD"), version="t-2"))
    assert await pairs(ledger) == ["p1+p2"]
    await ledger.take([payout("p3", "SB")])
    assert ledger.refused == ["programme_unknown"]
    await ledger.follow(policy(rule("r", "SB", "PKH", "household", "review"), programmes=("PKH",), version="t-3"))
    await ledger.take([payout("p4", days=("2026-03-31", "2026-03-31"))])
    assert await pairs(ledger) == ["p1+p2", "p1+p4"]


async def test_a_rejudging_of_many_pages_ends(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tepat_distribution.store.REJUDGED_AT_ONCE", 3)
    families = [(f"{ANI[:12]}{n + 1:04}", f"{MAWAR[:12]}{n // 2 + 1:04}") for n in range(20)]
    await ledger.take([payout(f"p{n}", of=of, card=card) for n, (of, card) in enumerate(families)])
    await ledger.judge()
    assert await pairs(ledger) == []
    await ledger.follow(policy(rule("r", "PKH", "PKH", "household", "review"), version="t-2"))
    assert await ledger.judge() > 6
    assert len(await pairs(ledger)) == 10


# --- persons whose payouts lie in one household, or not


async def test_a_person_is_judged_whole_wherever_the_payouts_lie(ledger: Ledger, registry: Registry) -> None:
    early, late = ("2026-01-01", "2026-12-31"), ("2026-06-01", "2026-12-31")
    await ledger.take([payout("p1", days=early), payout("p2", days=late)])
    assert await pairs(ledger) == ["p1+p2"]  # one household holds both
    await ledger.take([payout("p3", "BPNT", BUDI, by="himbara", days=early)])  # touches that household alone
    assert await pairs(ledger) == ["p1+p2", "p1+p3", "p2+p3"]
    await hear(ledger, registry, lives(ANI, MELATI, "2026-03-01"))  # p2 moves
    assert await pairs(ledger, registry) == ["p1+p2", "p1+p3"]
    await ledger.take([payout("p4", "BPNT", CITRA, MELATI, by="himbara", days=late)])  # touches p2's household
    assert await pairs(ledger, registry) == ["p1+p2", "p1+p3", "p2+p4"]
    await ledger.take([ended("p1")])
    assert await pairs(ledger, registry) == ["p2+p4"]
    await ledger.take([payout("p1", revision=1, days=early, amount=3)])
    assert await pairs(ledger, registry) == ["p1+p2", "p1+p3", "p2+p4"]
    await hear(ledger, registry, lives(ANI, MELATI, "2026-03-01", "2026-02-01", revision=1))  # and back
    assert await pairs(ledger, registry) == ["p1+p2", "p1+p3", "p2+p3"]


# --- groups too large


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group may have three live payouts."""
    monkeypatch.setattr(domain, "GROUP_LIMIT", 3)
    monkeypatch.setattr(oracle, "GROUP_LIMIT", 3)


@pytest.mark.usefixtures("limit")
async def test_a_household_too_large_is_a_finding_in_place_of_its_overlaps(ledger: Ledger) -> None:
    await ledger.take([PKH, BPNT, payout("p3", card=MAWAR)])
    assert await pairs(ledger) == ["p1+p2", "p1+p3", "p2+p3"]
    await ledger.take([payout("p4", "BLT-DD", CITRA, by="dpmd")])
    assert await pairs(ledger) == ["p1+p3"]  # by the person, who has two
    assert await ledger.too_large() == {("household", kk(MAWAR))}
    await ledger.take([payout("p5", "BLT-DD", CITRA, by="dpmd")])
    assert await pairs(ledger) == ["p1+p3", "p4+p5"]
    await ledger.take([ended("p4", by="dpmd"), ended("p5", by="dpmd")])
    assert await pairs(ledger) == ["p1+p2", "p1+p3", "p2+p3"]
    assert await ledger.too_large() == set()
    await ledger.take([payout("p4", "BLT-DD", CITRA, by="dpmd", revision=1)])
    assert await ledger.check()
    assert await ledger.too_large() == {("household", kk(MAWAR))}


@pytest.mark.usefixtures("limit")
async def test_a_person_too_large_leaves_what_the_households_find(ledger: Ledger) -> None:
    await ledger.take([PKH, payout("p2", "BPNT", by="himbara"), payout("p3", card=MELATI)])
    assert await pairs(ledger) == ["p1+p2", "p1+p3"]
    await ledger.take([payout("p4", "BLT-DD", card=KENANGA, by="dpmd")])
    assert await pairs(ledger) == ["p1+p2"]
    assert await ledger.too_large() == {("person", nik(ANI))}
    await ledger.take([payout("p5", "BPNT", BUDI, MELATI, by="himbara")])
    assert await pairs(ledger) == ["p1+p2", "p3+p5"]
    await ledger.take([ended("p4", by="dpmd")])
    assert await pairs(ledger) == ["p1+p2", "p1+p3", "p3+p5"]


@pytest.mark.usefixtures("limit")
async def test_a_group_too_large_hands_its_pairs_to_the_groups_that_cross_it(ledger: Ledger) -> None:
    by_person = rule("by-person", "PKH", "BPNT", "person", "review")
    by_household = rule("by-household", "PKH", "BPNT", "household", "exclusive")
    twice = rule("twice", "PKH", "PKH", "household", "review")
    await ledger.follow(policy(by_person, by_household, twice, version="t-2"))
    await ledger.take([PKH, payout("p2", "BPNT", by="himbara"), payout("p3", of=BUDI, card=MELATI)])
    await ledger.take([payout("p4", of=BUDI, card=MELATI), payout("p5", "BLT-DD", BUDI, KENANGA, by="dpmd")])

    async def stand() -> set[str]:
        return {overlap["rule"] for overlap in (await ledger.check()).overlaps.values()}

    assert await stand() == {"by-household", "same-programme-same-person"}
    await ledger.take([payout(f"c{n}", "BLT-DD", CITRA, by="dpmd", days=(f"20{n}-01-01",) * 2) for n in (10, 11)])
    assert await stand() == {"by-person", "same-programme-same-person"}  # of Ani, whom nobody touched
    await ledger.take([payout("p6", "BLT-DD", BUDI, KENANGA, by="dpmd", days=("2010-01-01", "2010-01-01"))])
    assert await stand() == {"by-person", "twice"}  # in Melati, which nobody touched
    await ledger.take([ended("c10", by="dpmd"), ended("p6", by="dpmd")])
    assert await stand() == {"by-household", "same-programme-same-person"}


@pytest.mark.usefixtures("limit")
async def test_a_group_too_large_shrinks_and_grows_with_moves(ledger: Ledger, registry: Registry) -> None:
    await ledger.take([PKH, BPNT, payout("p3", "BLT-DD", CITRA, by="dpmd"), payout("p4", "BPNT", DEWI, by="himbara")])
    assert await pairs(ledger) == []
    await hear(ledger, registry, lives(DEWI, MELATI))
    assert await pairs(ledger, registry) == ["p1+p2", "p1+p3"]
    await hear(ledger, registry, renewed(MELATI, MAWAR))
    assert await pairs(ledger, registry) == []
    await hear(ledger, registry, merged(DEWI, ANI), merged(CITRA, ANI))
    assert await pairs(ledger, registry) == []
    await ledger.take([ended("p2", by="himbara")])
    assert await pairs(ledger, registry) == ["p1+p3", "p1+p4"]
    await hear(ledger, registry, merged(BUDI, ANI))
    await ledger.take([payout("p2", "BPNT", BUDI, by="himbara", revision=1)])
    assert await pairs(ledger, registry) == []
    assert await ledger.too_large() == {("household", kk(MAWAR)), ("person", nik(ANI))}
    await hear(ledger, registry, merged(BUDI, None, revision=1), merged(DEWI, None, revision=1))
    await hear(ledger, registry, lives(BUDI, KENANGA))
    assert await pairs(ledger, registry) == ["p1+p3", "p1+p4"]
    assert await ledger.too_large() == set()


async def test_a_pair_of_one_person_stands_while_the_household_grows_too_large(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "GROUP_LIMIT", 60)
    monkeypatch.setattr(oracle, "GROUP_LIMIT", 60)
    people = [f"33740141018{n:05}" for n in range(1, 200)]
    await ledger.take([payout(f"o{n}", "BLT-DD", people[n], by="dpmd") for n in range(58)])
    await ledger.take([PKH, payout("p2", by="himbara", programme="PKH")])
    grown = [payout(f"n{n}", "BLT-DD", people[60 + n], by="dpmd") for n in range(100)]
    await ledger.check()
    await ledger.take([*grown, payout(amount=750_001, revision=1)])
    await ledger.check()
    assert "cleared" not in [what for what, _, rule in await told(ledger) if rule == domain.BUILT_IN_RULE]
    standing = [orjson.loads(r.value or b"") for r in await ledger.sent()]
    of_ani = [each["type"] for each in standing if {"p1", "p2"} == {p["payout_id"] for p in each["data"]["payouts"]}]
    assert of_ani == ["tepat.overlap.detected.v1"] * 2


@pytest.mark.usefixtures("limit")
async def test_a_policy_rejudges_groups_too_large(ledger: Ledger) -> None:
    await ledger.take([PKH, BPNT, payout("p3", "BLT-DD", CITRA, by="dpmd"), payout("p4", "BPNT", DEWI, by="himbara")])
    await ledger.take([payout("p5", "BPNT", DEWI, MELATI, by="himbara"), payout("p6", of=BUDI, card=MELATI)])
    assert await pairs(ledger) == ["p4+p5", "p5+p6"]
    await ledger.follow(policy(rule("r", "PKH", "BPNT", "person", "exclusive"), version="t-2", repeatable=("BPNT",)))
    assert await pairs(ledger) == ["p2+p6"]


# --- crowds


async def test_a_crowd_is_judged_in_pieces_and_nobody_waits_behind_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PAIRS_AT_ONCE", 5_000)
    monkeypatch.setattr(store, "PAIRS_OF_A_PAGE", 2_000)
    monkeypatch.setattr(store, "DIFFERENCES_AT_ONCE", 300)
    crowd = [
        payout(f"{programme}-{n}", programme, f"33740141018{n:05}", MELATI, by=by)
        for n in range(1, 51) for by, programme in (("dinsos", "PKH"), ("himbara", "BPNT"))
    ]  # fmt: skip
    await ledger.take([*crowd[:70], PKH, *crowd[70:], BPNT])
    await ledger.judge(1)
    sent = [
        [side["payout_id"] for side in orjson.loads(r.value or b"")["data"]["payouts"]] for r in await ledger.sent()
    ]
    assert ["p1", "p2"] in sent
    assert 300 < len(sent) <= 2_000
    assert len((await ledger.check()).overlaps) == 50 * 50 + 1
    await ledger.take([ended(told["data"]["payout_id"], by="dinsos", revision=1) for told in crowd[::2]])
    assert await pairs(ledger) == ["p1+p2"]


async def test_a_crowd_that_grows_too_large_is_cleared_in_pieces(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "GROUP_LIMIT", 60)
    monkeypatch.setattr(oracle, "GROUP_LIMIT", 60)
    monkeypatch.setattr(store, "PAIRS_AT_ONCE", 500)
    monkeypatch.setattr(store, "PAIRS_OF_A_PAGE", 500)
    people = [f"33740141018{n:05}" for n in range(1, 61)]
    await ledger.take([payout(f"p{n}", ("PKH", "BPNT")[n % 2], of, by=("dinsos", "himbara")[n % 2])
                       for n, of in enumerate(people)])  # fmt: skip
    assert len(await pairs(ledger)) == 30 * 30
    await ledger.take([payout("more", of=ANI)])
    assert await ledger.judge() > 3
    assert await pairs(ledger) == []
    assert await ledger.too_large() == {("household", kk(MAWAR))}
    await ledger.take([ended("more", revision=1)])
    assert len(await pairs(ledger)) == 30 * 30


# --- at the same time


@pytest.mark.parametrize("seed", range(3))
async def test_who_takes_and_who_judges_at_the_same_time_lose_nothing(
    ledger: Ledger, registry: Registry, seed: int
) -> None:
    chance = Random(seed)
    people, cards = [ANI, BUDI, CITRA, DEWI], [MAWAR, MELATI, KENANGA]

    def some_payout() -> Event:
        by, programme = chance.choice([("dinsos", "PKH"), ("himbara", "BPNT"), ("dpmd", "BLT-DD")])
        known: Event = {"by": by, "revision": chance.randrange(9), "id_": chance.choice("ab")}
        id_ = f"p{chance.randrange(8)}"
        if chance.random() < 0.2:
            return ended(id_, **known)
        return payout(id_, programme, chance.choice(people), chance.choice(cards), amount=chance.randrange(9), **known)

    batches = [[some_payout() for _ in range(chance.randrange(1, 9))] for _ in range(120)]
    words = [
        word for n in range(30)
        for word in registry.learn([lives(chance.choice(people), chance.choice(cards), revision=n)])
    ]  # fmt: skip
    taking = True

    async def take() -> None:
        while batches:
            await ledger.take(batches.pop())

    async def hear_all() -> None:
        while words:
            await ledger.hear([words.pop(0)])

    async def judge() -> None:
        while taking:
            await ledger.judge(1)
            await asyncio.sleep(0)

    judging = asyncio.create_task(judge())
    await asyncio.gather(take(), take(), take(), hear_all())
    taking = False
    await judging
    assert await pairs(ledger, registry)


# --- plans


SCANS = "select relname, seq_scan from pg_stat_user_tables where relname in ('payout', 'overlap')"


@pytest.mark.parametrize("at_once", [store.PAIRS_AT_ONCE, 100])
async def test_no_statement_reads_the_ledger_whole(
    ledger: Ledger, registry: Registry, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Whatever the statistics say, which here are those of empty tables: autovacuum looks once a minute."""
    monkeypatch.setattr(store, "PAIRS_AT_ONCE", at_once)
    monkeypatch.setattr(store, "PAIRS_OF_A_PAGE", at_once)
    pool = ledger.database.pool

    def niks(start: int, end: int) -> list[tuple[str, str]]:
        return [
            (f"33740141019{n // 1_000:02}{n % 1_000 + 1:04}", f"337401010120{n // 3 + 1:04}") for n in range(start, end)
        ]

    async def one_round(first: int) -> None:
        told = [
            payout(f"{programme}-{n}", programme, of, card, by=by)
            for n, (of, card) in enumerate(niks(first, first + 400))
            for by, programme in (("dinsos", "PKH"), ("himbara", "BPNT"))
        ]
        await ledger.take(told)
        await ledger.hear(
            registry.learn(
                [lives(of, MAWAR[:12] + f"{n % 50 + 1:04}") for n, (of, _) in enumerate(niks(first, first + 100))]
            )
        )
        await ledger.take([ended(f"PKH-{n}", by="dinsos", revision=1) for n in range(0, 400, 9)])
        await ledger.judge()

    await one_round(0)
    await pool.execute("select pg_stat_force_next_flush()")
    before = {row["relname"]: row["seq_scan"] for row in await pool.fetch(SCANS)}
    for first in range(400, 2_000, 400):
        await one_round(first)
    connections = [await pool.acquire() for _ in range(6)]
    for connection in connections:
        await connection.execute("select pg_stat_force_next_flush()")
        await pool.release(connection)
    after = {row["relname"]: row["seq_scan"] for row in await pool.fetch(SCANS)}
    assert after == before


# --- rows


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=128)
great = st.integers(0, 2**63 - 1)
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
instants = st.sampled_from([first, last, NOW]) | st.builds(
    lambda seconds, micros, zone: (NOW + timedelta(seconds=seconds, microseconds=micros)).astimezone(zone),
    st.integers(-(10**10), 10**10), st.integers(0, 10**6), offsets,
)  # fmt: skip
days = st.dates() | st.sampled_from([date.min, date.max])
odd_ids = st.from_regex(re.compile(PAYOUT_ID_PATTERN), fullmatch=True)
odd_payouts = st.builds(
    lambda revision, state, time, id_, of, card, span, amount, region, trace: payout(
        of=of, card=card, days=(min(span).isoformat(), max(span).isoformat()), amount=amount, state=state,
        revision=revision, region=region, time=time.isoformat(), id_=id_,
    ) | ({"traceparent": f"00-{trace:032x}-00f067aa0ba902b7-01"} if trace else {}),
    great, st.sampled_from(STATES[:2]), instants, texts, st.sampled_from([ANI, BUDI]),
    st.sampled_from([MAWAR, None]), st.tuples(days, days), great, st.sampled_from(["33", "33.74", REGION]),
    st.integers(0, 2**128 - 1),
)  # fmt: skip
odd_ends = st.builds(
    lambda revision, state, time, id_: ended(state=state, revision=revision, time=time.isoformat(), id_=id_),
    great, st.sampled_from(STATES[2:]), instants, texts,
)  # fmt: skip

ROWS = """
select payout_id, revision, rank, event_time, event_id, told_kk, told, nik, person, household, starts, ends, amount,
       region, trace, partition, "offset", digest, live, a.code as agency, pr.code as programme
from payout p join agency a on a.id = p.agency left join programme pr on pr.id = p.programme order by payout_id"""


@given(st.dictionaries(odd_ids, odd_payouts | odd_payouts | odd_ends, min_size=1, max_size=12))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_a_row_packed_at_the_door_is_the_event(ledger: Ledger, odd: dict[str, Event]) -> None:
    await ledger.database.pool.execute("delete from payout; delete from mark")
    ledger.accepted.clear()
    await ledger.take([{**each, "data": {**each["data"], "payout_id": name}} for name, each in odd.items()])
    assert ledger.refused == []
    rows = await ledger.database.pool.fetch(ROWS)
    kept = {oracle.read_event(oracle_record(record)).data["payout_id"]: record for record in ledger.accepted}
    assert [row["payout_id"] for row in rows] == sorted(odd)
    for row in rows:
        record = kept[row["payout_id"]]
        sent = oracle.read_event(oracle_record(record))
        data = sent.data
        assert (row["revision"], STATES[row["rank"]]) == (data["revision"], oracle.STATE[sent.type])
        assert (row["event_time"], row["event_id"], row["agency"]) == (sent.time, sent.id, "dinsos")
        assert (row["partition"], row["offset"]) == (record.partition, record.offset)
        assert row["digest"] == domain.digest(record.value or b"")
        assert row["trace"] == orjson.loads(record.value or b"").get("traceparent")
        assert row["live"] is ("covers" in data)
        said = [row[name] for name in ("nik", "person", "told", "household", "programme", "starts", "amount", "region")]
        if not row["live"]:
            assert said == [None] * 8
            continue
        of, card = data["recipient"]["nik"], data["recipient"]["kk"]
        household = kk(card) if card else alone(of)
        assert row["told_kk"] is (card is not None)
        assert [str(name) for name in said[:4]] == [nik(of), nik(of), household, household]
        assert said[4:] == [
            data["programme"], date.fromisoformat(data["covers"]["from"]), data["benefit"]["amount"], data["region"],
        ]  # fmt: skip
        assert row["ends"] == date.fromisoformat(data["covers"]["to"])


# --- of a batch, one row a payout


class Taken:
    """A store that keeps what it is given."""

    rows: Sequence[Staged] = ()

    async def take_payouts(self, _: object, staged: Sequence[Staged], beaten: Sequence[Staged]) -> None:
        self.rows = staged


def admitted(value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> Staged:
    of = policed.parse(policed.stored(from_document(policy(PKH_BPNT)), {"dinsos": 1}, {"PKH": 1, "SB": 2}))
    staged = Payouts(Taken(), lambda _: Pseudonyms(SECRET)).admit(  # type: ignore[arg-type]
        Record("agency.dinsos.payouts.v1", 0, 0, 0, value, list(headers)), "dinsos", of
    )
    assert staged is not None
    return staged


async def held(*rows: Staged) -> Staged:
    """The row that is staged of several about one payout, whatever their order."""
    found = []
    for each in (rows, rows[::-1]):
        store = Taken()
        await Payouts(store, lambda _: Pseudonyms(SECRET)).write(None, [*each, None])  # type: ignore[arg-type]
        (row,) = store.rows
        found.append(row)
    assert data_of(found[0].record) == data_of(found[1].record)
    return found[0]


def as_row(told: Event) -> Staged:
    return admitted(orjson.dumps(told))


@pytest.mark.parametrize(
    ("less", "greater"),
    [
        (payout(revision=1, time=LATER), payout(revision=2, state="planned")),
        (payout(state="planned", time=LATER), payout()),
        (payout(time=LATER), ended()),
        (ended(time=LATER), ended(state="returned")),
        (payout(time="2026-01-05T09:00:00.000001+07:00"), payout(time="2026-01-05T02:00:00.000002Z")),
        (payout(id_="10"), payout(id_="9")),
        (payout(id_="z"), payout(id_="é")),
        (payout(id_="\ue000"), payout(id_="\U0001f600")),  # by code point, not by UTF-16
        (payout(id_="x", amount=10), payout(id_="x", amount=9)),
        (payout(id_="x", card=None), payout(id_="x", card=None, region="33.75")),
    ],
)
async def test_of_a_batch_the_greatest_event_is_staged(less: Event, greater: Event) -> None:
    assert await held(as_row(less), as_row(greater), as_row(less)) == as_row(greater)


async def test_events_that_do_not_hold_are_kept_once_in_whatever_order_and_company_they_come(ledger: Ledger) -> None:
    events = [
        payout("p1", state="planned"), payout("p1", amount=700_000), ended("p1", revision=1),
        payout("p1", state="planned", revision=2), ended("p1", "returned", revision=2), payout("p2"),
    ]  # fmt: skip
    records = [ledger.append(told) for told in events]
    earlier = records[0]
    records += [ledger.append(told) for told in events]  # told twice, and read the later time first
    found = []
    for turn in (records[::-1], records, [earlier, *records[6:], *records[:6]]):
        for batches in ([turn], [turn[:4], turn[4:]], [[each] for each in turn]):
            await ledger.database.pool.execute("delete from payout; delete from payout_event; delete from mark")
            for batch in batches:
                async with ledger.taking_records(batch):
                    pass
            rows = await ledger.database.pool.fetch("select * from payout_told order by payout_id, revision, rank")
            found.append([(row["payout_id"], row["rank"], row["amount"], row["appended"]) for row in rows])
            beside = await ledger.database.pool.fetch("select payout_id from payout_event")
            assert "p2" not in {row["payout_id"] for row in beside} or turn is not records
    assert found == [
        [("p1", 0, 750_000, 1), ("p1", 1, 700_000, 2), ("p1", 2, None, 3), ("p1", 0, 750_000, 4), ("p1", 3, None, 5),
         ("p2", 1, 750_000, 6)]
    ] * 9  # fmt: skip


async def test_data_is_compared_as_canonical_json() -> None:
    one = payout(id_="x")
    two = {**one, "data": dict(reversed(one["data"].items()))}
    assert data_of(as_row(one).record) == data_of(as_row(two).record)
    headers = [(f"ce_{name}", str(value).encode()) for name, value in one.items() if name != "data"]
    binary = admitted(orjson.dumps(one["data"]), headers)
    assert data_of(binary.record) == data_of(as_row(one).record)
    with_more = {**one, "data": {"": "ü", **one["data"]}}  # unknown fields count, as they were written
    assert data_of(as_row(with_more).record).startswith('{"":"ü","benefit":')
    assert await held(as_row(with_more), binary) == binary


async def test_of_whom_the_registry_forgets_only_what_payouts_say_holds(ledger: Ledger) -> None:
    facts = [lives(ANI, MELATI), lives(BUDI, MELATI)]
    registry = Registry()
    await ledger.hear(registry.learn(facts))
    await ledger.take([payout("p1", "PKH", ANI, MAWAR), payout("b1", "BPNT", BUDI, MAWAR, by="himbara")])
    assert len((await ledger.check(facts)).overlaps) == 1  # both live under one card
    await ledger.forget(nik(BUDI))
    assert len((await ledger.check([facts[0]])).overlaps) == 0  # what is known of the one alone is the card told
    assert await ledger.database.pool.fetchval("select count(*) from membership") == 1
    assert await ledger.database.pool.fetchval("select count(*) from person") == 1


async def test_payouts_are_taken_under_the_policy_before_while_one_names_a_secret_that_is_not_here(
    ledger: Ledger,
) -> None:
    await ledger.follow({**policy(PKH_BPNT, version="t-2"), "secret_id": "lain"})
    in_force = await ledger.standing.ruling()
    assert (in_force.version, in_force.document.secret_id) == ("t-1", "main")
    await ledger.take([payout()])
    assert ledger.refused == []
    assert await ledger.database.pool.fetchval("select nik from payout") == UUID(nik(ANI))


async def test_pseudonyms_stay_those_of_the_secret_in_use(ledger: Ledger) -> None:
    await ledger.follow({**policy(PKH_BPNT, version="t-2"), "secret_id": "seal"})
    in_force = await ledger.standing.ruling()
    assert (in_force.version, in_force.document.secret_id) == ("t-2", "main")
