"""Every sentence of overlap.md as a case of a few lines; the comment above a group is the sentence."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tepat_demo.oracle import (
    Record,
    accepted_by_receipts,
    canonical,
    clearances,
    differences,
    expected,
    fold,
    instant,
    irregularities,
    overlap_id,
    premature,
)

from .histories import (
    ANI,
    BUDI,
    CITRA,
    DEWI,
    KENANGA,
    MAWAR,
    MELATI,
    POLICY,
    SECRET,
    History,
    policy,
    rule,
)

PKH_TWICE = rule("pkh-twice", "PKH", "PKH", "household", "review")


def named(kind: str, number: str) -> str:
    return str(uuid.UUID(bytes=hmac.new(SECRET, f"{kind}:{number}".encode(), hashlib.sha256).digest()[:16]))


def both() -> History:
    """Ani's PKH (p1) and Budi's BPNT (p2), both of household Mawar."""
    return History().pay().pay("BPNT", BUDI, agency="himbara", payout="p2")


# --- Ledger


def test_a_payout_is_known_by_agency_and_payout_id() -> None:
    assert History().pay().pay(agency="himbara").pairs() == ["p1+p1"]
    assert History().pay().pay(days=("2026-02-01", "2026-02-28")).pairs() == []


def amount_held(history: History) -> int:
    """The amount that p1 holds, seen through its overlap with a greater one."""
    (overlap,) = history.pay("BPNT", BUDI, agency="himbara", payout="p2", amount=9_000_000).overlaps()
    return int(overlap["amount_at_risk"])


def test_the_greatest_revision_holds_whatever_its_rank_and_time() -> None:
    history = History().pay(revision=2, amount=2, state="planned", time="2026-01-01T00:00:00Z").pay(revision=1)
    assert amount_held(history) == 2


def test_then_the_greatest_rank() -> None:
    later = "2026-02-01T00:00:00Z"
    assert amount_held(History().pay(amount=1).pay(amount=2, state="planned", time=later)) == 1
    assert History().pay().end("cancelled").end("cancelled", "p2").pay(payout="p2").pairs() == []
    ended = History().end("returned").end("cancelled", time=later).pay("BPNT", BUDI, agency="himbara")
    assert ended.pairs() == []


def test_then_the_greatest_time_as_an_instant_to_the_microsecond() -> None:
    early, late = "2026-01-05T09:00:00.000001+07:00", "2026-01-05T02:00:00.000002Z"
    assert amount_held(History().pay(amount=1, time=late, id_="a").pay(amount=2, time=early, id_="b")) == 1
    assert instant("2026-01-05T08:00:00+07:00") == instant("2026-01-05t01:00:00.000000z")
    assert instant("0001-01-01T00:00:00+07:00") < instant("0001-01-01T00:00:00Z")


def test_then_the_greatest_id_by_code_point() -> None:
    assert amount_held(History().pay(amount=1, id_="é").pay(amount=2, id_="z")) == 1
    assert amount_held(History().pay(amount=1, id_="10").pay(amount=2, id_="9")) == 2


def test_data_as_canonical_json_decides_between_events_that_misuse_one_id() -> None:
    one, other = History().pay(amount=9, id_="x"), History().pay(amount=10, id_="x")
    assert amount_held(History([*one.records, *other.records])) == 9  # "10" < "9" as text
    assert canonical({"b": 1, "a": "é"}) == '{"a":"é","b":1}'


def test_an_id_seen_before_is_not_dropped_and_a_repeat_changes_nothing() -> None:
    assert amount_held(History().pay(amount=1, id_="x").pay(amount=2, revision=1, id_="x")) == 2
    history = both()
    assert History(history.records * 2).overlaps() == history.overlaps()


def test_live_while_planned_or_disbursed() -> None:
    assert both().overlaps()[0]["payouts"][0]["state"] == "disbursed"
    assert History().pay(state="planned").pay(payout="p2").overlaps()[0]["payouts"][0]["state"] == "planned"
    assert both().end("cancelled").pairs() == []
    assert both().end("returned", "p2", agency="himbara").pairs() == []


def test_cancelled_may_arrive_before_what_it_ends_and_a_higher_revision_revives() -> None:
    cancelled = History().end("cancelled").pay().pay("BPNT", BUDI, agency="himbara", payout="p2")
    assert cancelled.pairs() == []
    assert cancelled.pay(revision=1).pairs() == ["p1+p2"]


# --- Memberships


def test_the_household_is_where_the_membership_says_not_what_the_payout_names() -> None:
    apart = History().pay(kk=MELATI).pay("BPNT", BUDI, MAWAR, agency="himbara", payout="p2")
    assert apart.pairs() == []
    assert apart.lives(ANI, MAWAR).pairs() == ["p1+p2"]


@pytest.mark.parametrize(
    ("since", "until", "holds"),
    [
        ("2026-01-01", "2026-01-01", True),  # both inclusive
        ("2026-01-02", None, False),
        ("2025-01-01", "2025-12-31", False),
        ("2025-01-01", None, True),  # until may be open
        ("2026-01-01", "2025-12-31", False),  # until before since: on no day
    ],
)
def test_a_membership_holds_from_since_to_until(since: str, until: str | None, holds: bool) -> None:
    history = History().pay(kk=MELATI).pay("BPNT", BUDI, agency="himbara", payout="p2")
    assert bool(history.lives(ANI, MAWAR, since, until).pairs()) is holds


def test_of_facts_with_the_same_agency_nik_and_since_the_greatest_holds() -> None:
    history = both().lives(ANI, MAWAR, revision=1).lives(ANI, MELATI, revision=0)
    assert history.pairs() == ["p1+p2"]
    assert history.lives(ANI, MELATI, revision=1, time="2026-01-06T00:00:00Z").pairs() == []
    assert both().lives(ANI, MAWAR, id_="a").lives(ANI, MELATI, id_="b").pairs() == []
    # the same id misused: the greater data, that is the greater kk
    assert both().lives(ANI, MAWAR, id_="a").lives(ANI, MELATI, id_="a").pairs() == []


def test_a_fact_is_withdrawn_by_an_until_before_its_since() -> None:
    history = both().lives(ANI, MELATI, "2025-01-01")
    assert history.pairs() == []
    assert history.lives(ANI, MELATI, "2025-01-01", "2024-12-31", revision=1).pairs() == ["p1+p2"]


def test_a_null_until_is_an_open_one() -> None:
    data = {"nik": ANI, "kk": MELATI, "since": "2025-01-01", "until": None, "revision": 0}
    assert both().send("dinsos", "beneficiaries", "tepat.person.recorded.v1", data).pairs() == []


def test_the_lowest_trust_rank_tells_then_the_lesser_agency_then_the_latest_since() -> None:
    told = both().lives(ANI, MAWAR, agency="himbara").lives(ANI, MELATI, agency="dinsos")
    assert told.pairs() == ["p1+p2"]  # himbara has rank 1
    tied = both().lives(ANI, MELATI, agency="dpmd").lives(ANI, MAWAR, agency="dinsos")
    assert tied.pairs() == ["p1+p2"]  # both have rank 2
    latest = both().lives(ANI, MAWAR, "2025-06-01").lives(ANI, MELATI, "2020-01-01")
    assert latest.pairs() == ["p1+p2"]


def test_an_agency_without_a_rank_or_outside_the_policy_comes_last() -> None:
    assert both().lives(ANI, MELATI, agency="warga").lives(ANI, MAWAR, agency="dinsos").pairs() == ["p1+p2"]
    assert both().lives(ANI, MELATI, agency="asing").lives(ANI, MAWAR, agency="dinsos").pairs() == ["p1+p2"]
    assert both().lives(ANI, MAWAR, agency="asing").lives(ANI, MELATI, agency="warga").pairs() == ["p1+p2"]
    assert both().lives(ANI, MELATI, agency="asing").pairs() == []


# --- Merges


def test_a_merge_says_that_two_niks_are_one_person() -> None:
    twice = History().pay().pay(nik=BUDI, payout="p2", kk=MELATI)
    assert twice.pairs() == []
    (overlap,) = twice.merge(BUDI, ANI).overlaps()
    assert (overlap["rule"], overlap["person"]) == ("same-programme-same-person", named("nik", ANI))


def test_the_person_is_at_the_end_of_the_chain() -> None:
    history = History().pay(nik=DEWI).pay(nik=ANI, payout="p2").merge(ANI, BUDI).merge(BUDI, CITRA)
    assert history.pairs() == []
    assert history.merge(CITRA, DEWI).overlaps()[0]["person"] == named("nik", DEWI)


def test_of_merges_of_one_nik_the_greatest_holds_from_whichever_agency() -> None:
    history = History().pay().pay(nik=BUDI, payout="p2").merge(BUDI, ANI, revision=1)
    assert history.merge(BUDI, CITRA, agency="himbara").pairs() == ["p1+p2"]
    assert history.unmerge(BUDI, agency="himbara", revision=2).pairs() == []
    assert history.merge(BUDI, ANI, revision=2, time="2026-01-06T00:00:00Z").pairs() == ["p1+p2"]
    # equal revision, time and id: the greater agency
    tied = History().pay().pay(nik=BUDI, payout="p2").merge(BUDI, ANI, agency="himbara", id_="x")
    assert tied.merge(BUDI, CITRA, agency="dinsos", id_="x").pairs() == ["p1+p2"]
    # and equal agency: the greater data
    misused = History().pay().pay(nik=BUDI, payout="p2").merge(BUDI, ANI, id_="x").merge(BUDI, CITRA, id_="x")
    assert misused.pairs() == []


def test_a_circle_and_what_leads_into_it_is_one_person_known_by_its_own_least_nik() -> None:
    circle = [BUDI, ANI, CITRA]  # Dewi leads into it
    history = History().pay(nik=DEWI).pay(nik=CITRA, payout="p2")
    for i, nik in enumerate(circle):
        history.merge(nik, circle[(i + 1) % 3])
    (overlap,) = history.merge(DEWI, CITRA).overlaps()
    assert overlap["person"] == named("nik", min(circle))
    # a lesser NIK that leads in doesn't name it
    lesser = History().pay(nik=BUDI).pay(nik=CITRA, payout="p2").merge(BUDI, CITRA)
    (overlap,) = lesser.merge(CITRA, DEWI).merge(DEWI, CITRA).overlaps()
    assert BUDI < CITRA < DEWI
    assert overlap["person"] == named("nik", CITRA)


def test_a_merge_into_itself_changes_nothing() -> None:
    assert both().merge(ANI, ANI).overlaps() == both().overlaps()


def test_the_household_is_told_by_facts_about_the_nik_that_stands() -> None:
    history = History().pay(kk=MELATI).pay("BPNT", BUDI, agency="himbara", payout="p2").merge(ANI, CITRA)
    assert history.lives(ANI, MAWAR).pairs() == []  # nobody asks for Ani's own any more
    assert history.lives(CITRA, MAWAR).pairs() == ["p1+p2"]


# --- Household


def test_where_no_fact_holds_the_payouts_own_kk() -> None:
    assert both().overlaps()[0]["household"] == named("kk", MAWAR)


def test_where_it_names_none_a_household_of_that_person_alone_shared_by_their_payouts() -> None:
    history = History().pay(kk=None).pay("BPNT", kk=None, agency="himbara", payout="p2")
    (overlap,) = history.overlaps()
    assert (overlap["household"], overlap["scope"]) == (named("alone", ANI), "household")
    assert History().pay(kk=None).pay("BPNT", BUDI, None, agency="himbara", payout="p2").pairs() == []
    merged = History().pay(kk=None).pay("BPNT", BUDI, None, agency="himbara", payout="p2").merge(ANI, BUDI)
    assert merged.overlaps()[0]["household"] == named("alone", BUDI)


def test_a_household_alone_is_not_the_household_that_names_a_kk() -> None:
    assert History().pay(kk=None).pay("BPNT", agency="himbara", payout="p2").pairs() == []


def test_two_payouts_of_one_person_may_belong_to_two_households() -> None:
    history = (
        History()
        .lives(ANI, MAWAR, "2020-01-01", "2026-01-31")
        .lives(ANI, MELATI, "2026-02-01")
        .pay(days=("2026-01-01", "2026-03-31"))
        .pay("BPNT", agency="himbara", payout="p2", days=("2026-02-01", "2026-03-31"))
    )
    assert history.pairs() == []
    in_person = policy(rule("r", "PKH", "BPNT", "person", "exclusive"))
    (overlap,) = history.overlaps(in_person)
    assert overlap["household"] == named("kk", MELATI)  # of the one that sorts second, on its covers.from


# --- Renewals


def test_a_renewed_kk_stands_for_the_one_at_the_end_of_its_chain_wherever_it_is_named() -> None:
    history = History().pay(kk=MAWAR).pay("BPNT", BUDI, KENANGA, agency="himbara", payout="p2")
    assert history.renew(MAWAR, MELATI).pairs() == []
    assert history.renew(MELATI, KENANGA).overlaps()[0]["household"] == named("kk", KENANGA)
    assert history.lives(ANI, MAWAR).pairs() == ["p1+p2"]  # in a membership too


def test_of_renewals_of_one_kk_the_greatest_holds_and_null_withdraws() -> None:
    history = History().pay(kk=MAWAR).pay("BPNT", BUDI, MELATI, agency="himbara", payout="p2")
    assert history.renew(MAWAR, MELATI, revision=1).pairs() == ["p1+p2"]
    assert history.renew(MAWAR, KENANGA, agency="warga").pairs() == ["p1+p2"]
    assert history.renew(MAWAR, None, agency="dpmd", revision=2).pairs() == []


def test_a_circle_of_renewals_stands_for_its_least_kk() -> None:
    history = History().pay(kk=MELATI).pay("BPNT", BUDI, KENANGA, agency="himbara", payout="p2")
    (overlap,) = history.renew(MELATI, KENANGA).renew(KENANGA, MELATI).overlaps()
    assert overlap["household"] == named("kk", MELATI)


# --- Overlap


@pytest.mark.parametrize(
    ("days", "during"),
    [
        (("2026-03-31", "2026-04-30"), {"from": "2026-03-31", "to": "2026-03-31"}),  # inclusive dates
        (("2026-04-01", "2026-04-30"), None),
        (("2025-01-01", "2026-01-01"), {"from": "2026-01-01", "to": "2026-01-01"}),
        (("2026-02-01", "2026-02-28"), {"from": "2026-02-01", "to": "2026-02-28"}),
    ],
)
def test_covers_share_at_least_one_day(days: tuple[str, str], during: dict[str, str] | None) -> None:
    found = History().pay().pay("BPNT", BUDI, agency="himbara", payout="p2", days=days).overlaps()
    assert [o["during"] for o in found] == ([during] if during else [])


def test_the_pair_of_programmes_is_unordered() -> None:
    assert both().pairs(policy(rule("r", "BPNT", "PKH", "household", "review"))) == ["p1+p2"]
    assert both().pairs(policy(rule("r", "BPNT", "SB", "household", "review"))) == []


def test_a_pair_may_name_one_programme_twice() -> None:
    history = History().pay().pay(nik=BUDI, payout="p2")
    assert history.pairs() == []
    assert history.overlaps(policy(PKH_TWICE))[0]["rule"] == "pkh-twice"


def test_scope_person_wants_the_same_person_scope_household_the_same_household() -> None:
    in_person = policy(rule("r", "PKH", "BPNT", "person", "review"))
    assert both().pairs(in_person) == []
    same = History().pay().pay("BPNT", kk=MELATI, agency="himbara", payout="p2")
    assert same.pairs() == []
    assert same.pairs(in_person) == ["p1+p2"]


@pytest.mark.parametrize(
    ("effective", "applies"),
    [
        ({"from": "2026-01-01", "to": "2026-01-01"}, True),  # inclusive, and only the first shared day counts
        ({"from": "2026-01-02"}, False),
        ({"to": "2025-12-31"}, False),
        ({"to": "2026-01-01"}, True),
        ({}, True),
        (None, True),
        ({"from": None, "to": None}, True),
    ],
)
def test_effective_holds_the_first_shared_day(effective: Any, applies: bool) -> None:
    rules = policy(rule("r", "PKH", "BPNT", "household", "review", effective=effective))
    assert bool(both().pairs(rules)) is applies


def test_a_group_of_1000_is_a_family_one_of_1001_is_an_error_of_data() -> None:
    def many(count: int) -> History:
        history = History().pay(days=("2026-06-01", "2026-06-01"))
        for i in range(count - 1):  # each of its own day, but the last
            day = "2026-06-01" if i == 0 else f"{1000 + i}-01-01"
            history.pay("BPNT", BUDI, agency="himbara", payout=f"q{i}", days=(day, day))
        return history

    assert many(1_000).pairs() == ["p1+q0"]
    outcome = many(1_001).outcome()
    assert outcome.overlaps == {}
    assert outcome.too_large == {("household", named("kk", MAWAR))}
    # those that ended don't count
    assert many(1_001).end("cancelled", "q7", agency="himbara").pairs() == ["p1+q0"]


def test_the_limit_counts_the_group_of_the_rules_own_scope() -> None:
    history = History().pay().pay("BPNT", agency="himbara", payout="p2")
    for i in range(1_000):
        history.pay("SB", BUDI, agency="warga", payout=f"s{i}", days=(f"{1000 + i}-01-01",) * 2)
    in_person = rule("r", "PKH", "BPNT", "person", "review")
    assert history.pairs(policy(rule("r", "PKH", "BPNT", "household", "review"))) == []
    assert history.pairs(policy(in_person)) == ["p1+p2"]  # Ani herself has two
    assert history.outcome().too_large == {("household", named("kk", MAWAR))}
    moved = History([r._replace(value=(r.value or b"").replace(BUDI.encode(), ANI.encode())) for r in history.records])
    assert moved.pairs(policy(in_person)) == []
    assert moved.outcome().too_large == {("household", named("kk", MAWAR)), ("person", named("nik", ANI))}


def test_the_built_in_rule() -> None:
    history = History().pay().pay(payout="p2", kk=MELATI)
    (overlap,) = history.overlaps(policy())
    assert (overlap["rule"], overlap["verdict"], overlap["scope"]) == (
        "same-programme-same-person",
        "exclusive",
        "person",
    )
    assert History().pay().pay(payout="p2", nik=BUDI).pairs(policy()) == []


def test_the_built_in_rule_holds_under_the_same_limit() -> None:
    history = History()
    for i in range(1_001):
        history.pay(payout=f"p{i}", kk=f"{MAWAR[:12]}{i:04}")
    assert history.outcome().overlaps == {}
    assert history.outcome().too_large == {("person", named("nik", ANI))}


def test_repeatable_switches_off_only_the_built_in_rule() -> None:
    history = History().pay("SB", agency="warga").pay("SB", agency="warga", payout="p2")
    assert history.pairs() == []
    assert history.pairs(policy(rule("r", "SB", "SB", "person", "review"))) == ["p1+p2"]
    no_longer = [*POLICY["programmes"][:3], {"code": "SB", "repeatable": False}]
    assert history.pairs(policy(programmes=no_longer)) == ["p1+p2"]
    assert history.pairs(policy(programmes=[])) == ["p1+p2"]  # a programme the policy no longer knows


def test_the_strongest_verdict_wins() -> None:
    strong = rule("z", "PKH", "BPNT", "household", "exclusive")
    middle = rule("b", "PKH", "BPNT", "household", "review")
    weak = rule("a", "PKH", "BPNT", "household", "complementary")
    assert both().overlaps(policy(weak, middle, strong))[0]["rule"] == "z"
    assert both().overlaps(policy(weak, middle))[0]["rule"] == "b"
    assert both().pairs(policy(weak)) == []  # complementary is announced to nobody


def test_among_equals_person_before_household_then_the_lesser_id_by_code_point() -> None:
    history = History().pay().pay("BPNT", agency="himbara", payout="p2")
    household, person = (rule(i, "PKH", "BPNT", s, "review") for i, s in (("a", "household"), ("b", "person")))
    (overlap,) = history.overlaps(policy(household, person))
    assert (overlap["rule"], overlap["person"]) == ("b", named("nik", ANI))
    small, capital = (rule(i, "PKH", "BPNT", "household", "review") for i in ("a", "B"))
    (overlap,) = history.overlaps(policy(small, capital))
    assert overlap["rule"] == "B"
    assert "person" not in overlap


def test_a_policys_exclusive_rule_beside_the_built_in_is_decided_by_its_id() -> None:
    history = History().pay().pay(payout="p2")
    assert history.overlaps(policy(rule("a", "PKH", "PKH", "person", "exclusive")))[0]["rule"] == "a"
    assert history.overlaps(policy(rule("z", "PKH", "PKH", "person", "exclusive")))[0]["rule"].startswith("same")
    stronger = policy(rule("a", "PKH", "PKH", "person", "complementary"), PKH_TWICE)
    assert history.overlaps(stronger)[0]["rule"] == "same-programme-same-person"


# --- Identity and announcement


def test_what_is_announced() -> None:
    (overlap,) = (
        History()
        .pay(payout="z", agency="dinsos", amount=750_000, revision=3, state="planned", region="33.74.01.1001")
        .pay("BPNT", BUDI, agency="himbara", payout="a", amount=600_000, region="33.74.02.1002")
        .overlaps()
    )
    namespace = uuid.UUID("6f0a1f0e-6a4b-5b0e-9d59-2f6f6c1f7a10")
    assert overlap == {
        "overlap_id": str(uuid.uuid5(namespace, "dinsos/z|himbara/a")),
        "rule": "pkh-bpnt",
        "verdict": "review",
        "scope": "household",
        "household": named("kk", MAWAR),
        "payouts": [
            {
                "agency": "dinsos",
                "payout_id": "z",
                "revision": 3,
                "state": "planned",
                "programme": "PKH",
                "amount": 750_000,
            },
            {
                "agency": "himbara",
                "payout_id": "a",
                "revision": 0,
                "state": "disbursed",
                "programme": "BPNT",
                "amount": 600_000,
            },
        ],
        "during": {"from": "2026-01-01", "to": "2026-03-31"},
        "amount_at_risk": 600_000,
        "region": "33.74.02.1002",
    }


def test_the_two_are_sorted_as_tuples_by_code_point() -> None:
    assert overlap_id(("b", "x"), ("a-", "y")) == overlap_id(("a-", "y"), ("b", "x"))
    (overlap,) = (  # as tuples "a" < "a-", though "a-/…" < "a/…" as text
        History().pay(agency="a-", payout="1").pay("BPNT", BUDI, agency="a", payout="2").overlaps()
    )
    assert [p["agency"] for p in overlap["payouts"]] == ["a", "a-"]


def test_no_nik_and_no_kk_leaves_the_oracle() -> None:
    said = repr(both().pay(nik=ANI, payout="p3").outcome())
    assert not any(number in said for number in (ANI, BUDI, MAWAR))


# --- What events may look like


def test_binary_events_duplicate_keys_and_null() -> None:
    data = {
        "payout_id": "p2",
        "revision": 0,
        "programme": "BPNT",
        "covers": {"from": "2026-01-01", "to": "2026-01-31"},
        "recipient": {"nik": BUDI, "kk": MAWAR},
        "benefit": {"kind": "cash", "amount": 200_000},
        "region": "33.74.01.1001",
    }
    headers = {"ce_specversion": "1.0", "ce_id": "b", "ce_type": "tepat.payout.disbursed.v1",
               "ce_source": "urn:tepat:agency:himbara", "ce_time": "2026-01-05T01:00:00Z"}  # fmt: skip
    assert History().pay().raw("himbara", "payouts", json.dumps(data).encode(), headers).pairs() == ["p1+p2"]
    last_counts = json.dumps(data).replace('"kk"', f'"kk": "{MAWAR}", "kk"').replace(f'"{MAWAR}"}}', "null}")
    assert History().pay().raw("himbara", "payouts", last_counts.encode(), headers).pairs() == []
    structured = History().pay().pay("BPNT", BUDI, agency="himbara", payout="p2").records
    (with_headers,) = (r._replace(headers=[("ce_type", b"x"), ("other", b"\xff")]) for r in structured[1:])
    assert History([structured[0], with_headers]).pairs() == ["p1+p2"]


def test_events_that_tell_nothing_of_payouts_or_persons_are_passed_over() -> None:
    complete = {"kind": "payouts", "through": "2026-01-31"}
    history = both().send("dinsos", "payouts", "tepat.source.complete.v1", complete)
    assert history.pairs() == ["p1+p2"]


def test_dates_of_a_policy_read_from_yaml() -> None:
    from datetime import date  # noqa: PLC0415

    rules = policy(rule("r", "PKH", "BPNT", "household", "review", effective={"from": date(2026, 1, 2)}))
    assert both().pairs(rules) == []


# --- The door is not the function


def receipt(kind: str, **data: Any) -> Record:
    event = {"specversion": "1.0", "type": f"tepat.{kind}.v1", "data": data}
    return Record("agency.dinsos.receipts.v1", 0, 0, [], json.dumps(event).encode())


def test_only_what_the_receipts_say_was_taken_counts() -> None:
    records = [Record("agency.dinsos.payouts.v1", 1, offset, [], b"{}") for offset in range(6)]
    where = {"topic": "agency.dinsos.payouts.v1", "partition": 1}
    receipts = [
        receipt("events.accepted", **where, from_offset=0, to_offset=1, accepted=2, rejected=0),
        receipt("events.accepted", **where, from_offset=0, to_offset=1, accepted=2, rejected=0),
        receipt("events.accepted", topic="agency.dinsos.payouts.v1", partition=0, from_offset=0, to_offset=9),
        receipt("event.rejected", **where, offset=2, reason="schema", message="…"),
        receipt("event.rejected", **where, offset=3, reason="schema", message="…"),
        receipt("event.replayed", **where, offset=3, outcome="accepted"),
        receipt("event.replayed", **where, offset=2, outcome="rejected", reason="schema"),
        receipt("events.accepted", **where, from_offset=5, to_offset=5, accepted=1, rejected=0),
    ]
    assert [r.offset for r in accepted_by_receipts(records, receipts)] == [0, 1, 3, 5]


# --- Folding and comparing


def announced(*said: tuple[str, dict[str, Any]]) -> list[Record]:
    values = [json.dumps({"type": f"tepat.overlap.{kind}.v1", "data": data}) for kind, data in said]
    return [Record("distribution.overlaps.v1", 0, offset, [], v.encode()) for offset, v in enumerate(values)]


def test_folding_to_the_greatest_revision_less_the_cleared() -> None:
    overlap = both().overlaps()[0]
    first = {**overlap, "revision": 1, "policy_version": "t", "amount_at_risk": 1}
    second = {**overlap, "revision": 2, "policy_version": "t"}
    gone = {"overlap_id": overlap["overlap_id"], "revision": 3, "payouts": [], "reason": "payout_ended"}
    tombstone = Record("distribution.overlaps.v1", 0, 9, [], None)
    assert fold([*announced(("detected", second), ("detected", first)), tombstone]) == {overlap["overlap_id"]: overlap}
    assert fold(announced(("detected", first), ("detected", second), ("cleared", gone))) == {}


def early(history: History, *decisions: str, of: str = "p2") -> list[str]:
    """What is found of these answers to a payout, where each record was sent a millisecond after the one before."""
    records = [record._replace(at=record.offset) for record in history.records]
    strict = policy(rule("x", "PKH", "BPNT", "household", "exclusive"))
    overlaps = expected(records, strict, SECRET).overlaps
    told = [json.dumps({"data": {"payout_id": of, "decision": decision}}).encode() for decision in decisions]
    issued = [Record("agency.himbara.clearances.v1", 0, offset, [], value) for offset, value in enumerate(told)]
    return premature(records, issued, overlaps, clearances(records, strict, overlaps))


def test_nothing_is_clear_before_what_was_sent_earlier_is_known() -> None:
    second = {"programme": "BPNT", "nik": BUDI, "agency": "himbara", "payout": "p2", "state": "planned"}
    sent = History().pay().pay(**second)
    assert early(sent, "clear", "hold")[0].startswith("himbara/p2 was called clear, sent 1 ms after what holds it")
    assert early(sent, "unknown", "hold") == []
    assert early(History().pay(**second).pay(), "clear", "hold") == [], "it was sent first"
    for other in (
        History().pay().pay(**second).lives(BUDI, MAWAR, since="2021-01-01"),
        History().pay().pay(**second).pay(),
    ):
        assert len(early(other, "clear", "hold")) == 1, "told again, and nothing else"
    for changed in (
        History().pay("BPNT", ANI, MELATI).pay(revision=1).pay(**second),
        History().pay(kk=MELATI).pay(**second).lives(ANI, MAWAR),
        History().pay(kk=MELATI).pay(**second).renew(MELATI, MAWAR),
        History().pay(nik=CITRA, kk=MAWAR).pay(**second).merge(CITRA, ANI),
    ):
        assert changed.pairs(policy(rule("x", "PKH", "BPNT", "household", "exclusive"))) == ["p1+p2"]
        assert early(changed, "clear", "hold") == [], "it may have come to overlap later"


def test_irregularities() -> None:
    one, two, three = ({"overlap_id": "o", "revision": n, "x": n} for n in (1, 2, 3))
    good = announced(("detected", one), ("detected", one), ("detected", two), ("cleared", three))
    assert irregularities(good) == []
    assert "revision 1 after 2" in irregularities(announced(("detected", one), ("detected", two), ("detected", one)))[0]
    assert "two contents" in irregularities(announced(("detected", one), ("detected", {**one, "x": 9})))[0]
    passed_over = announced(("detected", one), ("detected", three))
    assert "straight after 1" in irregularities(passed_over)[0]
    assert irregularities(passed_over, compacted=True) == []


def test_differences_in_words() -> None:
    should = both().pay(payout="p3", days=("2025-01-01", "2026-06-30")).outcome().overlaps
    assert differences(should, should) == []
    assert differences({k: {**v, "additive": 1} for k, v in should.items()}, should) == []
    first, second, third = sorted(should)
    ours = {
        first: should[first],
        second: {**should[second], "amount_at_risk": 1},
        "ffffffff-0000-0000-0000-000000000000": should[first],
    }
    told = differences(ours, should)
    assert len(told) == 3
    assert any("amount_at_risk is announced as 1, expected 750000" in line for line in told)
    assert any(line.startswith(f"overlap {third} is missing: ") for line in told)
    assert any("should not stand" in line for line in told)
    assert not any(number in line for line in told for number in (ANI, BUDI, MAWAR))


# --- What must hold: convergence


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Few persons, few households, few payouts: everything collides."""
    history = History()
    nik, kk = st.sampled_from([ANI, BUDI, CITRA, DEWI]), st.sampled_from([MAWAR, MELATI, KENANGA])
    agency, revision = st.sampled_from(["dinsos", "himbara", "warga"]), st.integers(0, 2)
    day, id_ = st.sampled_from(["2026-01-01", "2026-02-01", "2026-03-01"]), st.sampled_from("abc")
    time = st.sampled_from(["2026-01-05T08:00:00+07:00", "2026-01-05T01:00:00Z", "2026-01-05T01:00:00.000001Z"])
    for kind in draw(st.lists(st.sampled_from("pppppeelllmurr"), max_size=14)):
        told: dict[str, Any] = {
            "agency": draw(agency),
            "revision": draw(revision),
            "id_": draw(id_),
            "time": draw(time),
        }
        payout = draw(st.sampled_from(["p1", "p2", "p3"]))
        first, last = sorted((draw(day), draw(day)))
        match kind:
            case "p":
                told |= {
                    "state": draw(st.sampled_from(["planned", "disbursed"])),
                    "amount": draw(st.integers(1, 3)),
                }
                told |= {"payout": payout, "days": (first, last), "kk": draw(st.none() | kk)}
                history.pay(draw(st.sampled_from(["PKH", "BPNT"])), draw(nik), **told)
            case "e":
                history.end(draw(st.sampled_from(["cancelled", "returned"])), payout, **told)
            case "l":
                history.lives(draw(nik), draw(kk), draw(day), draw(st.none() | day), **told)
            case "m":
                history.merge(draw(nik), draw(nik), **told)
            case "u":
                history.unmerge(draw(nik), **told)
            case "r":
                history.renew(draw(kk), draw(st.none() | kk), **told)
    return history.records


@given(histories(), st.data())
def test_every_order_and_every_duplication_give_the_same_set(records: list[Record], data: st.DataObject) -> None:
    copies = data.draw(st.lists(st.sampled_from(records), max_size=4)) if records else []
    shuffled = data.draw(st.permutations([*records, *copies]))
    assert expected(shuffled, POLICY, SECRET) == expected(records, POLICY, SECRET)


@given(histories())
def test_an_overlap_is_always_of_two_live_payouts_that_share_a_day(records: list[Record]) -> None:
    for overlap in expected(records, POLICY, SECRET).overlaps.values():
        keys = [(p["agency"], p["payout_id"]) for p in overlap["payouts"]]
        assert keys == sorted(set(keys))
        assert overlap["overlap_id"] == overlap_id(*reversed(keys))
        assert overlap["during"]["from"] <= overlap["during"]["to"]
        assert {p["state"] for p in overlap["payouts"]} <= {"planned", "disbursed"}
        assert overlap["verdict"] in ("exclusive", "review")
