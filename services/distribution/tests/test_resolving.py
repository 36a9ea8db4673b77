"""What becomes of a case, by its pure rules, against a plain reading of all that happened."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tepat_contracts.events.ours import CaseTold
from tepat_contracts.policy import Cases
from tepat_distribution import resolving
from tepat_distribution.refusals import CALLED
from tepat_distribution.resolving import Act, Case, Facts, Judgement, RefusedError

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
TERMS = Cases(within=timedelta(days=14), waive_alone_up_to=1_000_000)
CASE: TypeAdapter[Any] = TypeAdapter(CaseTold)


def facts(digest: str = "a", **more: Any) -> Facts:
    told: dict[str, Any] = {
        "overlap_id": UUID(int=7), "revision": 1, "live": True, "verdict": "exclusive",
        "states": ("planned", "planned"),
        "payouts": (("dinsos", "p1"), ("dpmd", "p2")), "programmes": ("PKH", "BLT-DD"), "amount_at_risk": 600_000,
        "region": "33.74.01.1001", "ends": date(2026, 3, 31), "announced_at": NOW, "digest": digest,
    }  # fmt: skip
    return Facts(**told | more)


def by(who: str, act: str = "x", at: datetime = NOW) -> Act:
    return Act(act, at, 1, who, reason="looked into", basis="Perda 1/2026")


def judged(case: Case, about: Facts, judgement: Judgement, who: str = "rini") -> Case:
    return resolving.judge(case, about, TERMS, judgement, by(who, judgement))


def test_an_overlap_that_nobody_touched_is_an_open_case_with_a_deadline_where_it_excludes() -> None:
    assert resolving.opened(facts(), TERMS).deadline == NOW + timedelta(days=14)
    review = facts(verdict="review")
    assert resolving.opened(review, TERMS).deadline is None
    assert resolving.opened(facts(), Cases()).deadline is None
    later = NOW + timedelta(days=1)
    assert resolving.taken_up(resolving.opened(review, TERMS), TERMS, later).deadline == later + timedelta(days=14)
    assert resolving.taken_up(resolving.opened(facts(), TERMS), TERMS, later).deadline == NOW + timedelta(days=14)


def test_it_is_overdue_once_and_anew_when_it_is_reopened() -> None:
    case = resolving.opened(facts(), TERMS)
    assert resolving.overdue(case, facts(), NOW + timedelta(days=13)) is None
    late = resolving.overdue(case, facts(), NOW + timedelta(days=14))
    assert late is not None
    assert (late.acts[-1].act, late.state, late.due) == ("overdue", "open", None)
    assert resolving.overdue(late, facts(), NOW + timedelta(days=99)) is None
    upheld = judged(late, facts(), "upheld")
    assert (upheld.overdue, upheld.deadline) == (False, None)
    again = resolving.followed(upheld, facts("b"), TERMS, None, NOW + timedelta(days=20))
    assert again is not None
    assert again.due == NOW + timedelta(days=34)


def test_a_large_waiver_takes_two_people_who_differ() -> None:
    large = facts(amount_at_risk=1_000_001)
    proposed = judged(Case(), large, "waived")
    assert (proposed.state, proposed.acts[-1].act, proposed.proposed_by) == ("open", "waive_proposed", "rini")
    with pytest.raises(RefusedError, match="somebody else"):
        judged(proposed, large, "waived")
    waived = judged(proposed, large, "waived", "budi")
    assert (waived.state, waived.proposed_by, [act.by for act in waived.acts]) == ("waived", None, ["rini", "budi"])
    assert judged(Case(), facts(amount_at_risk=1_000_000), "waived").state == "waived"
    # what the first proposed lapses with the facts, and with a judgement in between
    assert resolving.followed(proposed, replace(large, digest="b"), TERMS, None, NOW) is not None
    held = judged(proposed, large, "held", "budi")
    assert judged(held, large, "waived", "budi").state == "held"


def test_what_its_rule_excludes_is_not_released_but_for_a_hold_of_what_it_prefers() -> None:
    held = judged(Case(), facts(), "held")
    for case in (Case(), held):
        with pytest.raises(RefusedError, match=r"waive.*by somebody with .* / .* oleh petugas dengan hak"):
            judged(case, facts(), "released")
    with pytest.raises(RefusedError, match=r"two people, .* dua petugas"):
        judged(Case(), facts(amount_at_risk=1_000_001), "released")
    assert judged(Case(), facts(amount_at_risk=1_000_001, verdict="review"), "released").state == "released"
    prefers = facts(prefers=True)
    with pytest.raises(RefusedError, match="waiver"):
        judged(Case(), prefers, "released")
    for holding in ("held", "upheld"):
        lifted = judged(judged(Case(), prefers, holding), prefers, "released")
        assert (lifted.state, lifted.judged, lifted.due) == ("open", None, NOW + timedelta(days=14))


@pytest.mark.parametrize("state", ["released", "upheld", "waived", "closed"])
def test_only_what_is_not_settled_is_assigned(state: Any) -> None:
    with pytest.raises(RefusedError, match=f"it is {state}: .* / kasus ini {CALLED[state][1]}: "):
        resolving.assign(Case(state=state), by("rini"))


def test_the_same_judgement_twice_is_refused_and_an_ended_overlap_is_not_judged() -> None:
    with pytest.raises(RefusedError, match=r"it is upheld already.* / kasus ini sudah dinyatakan benar ganda"):
        judged(judged(Case(), facts(), "upheld"), facts(), "upheld", "budi")
    closed = resolving.followed(Case(), facts(live=False), TERMS, "payout_ended", NOW)
    assert closed is not None
    with pytest.raises(RefusedError, match="has ended"):
        judged(closed, facts(), "upheld")


def test_money_that_leaves_is_what_letting_go_is_for_and_money_that_comes_back_is_not() -> None:
    review = facts(verdict="review")
    released = judged(Case(), review, "released")
    paid = replace(review, states=("disbursed", "planned"))
    assert resolving.followed(released, paid, TERMS, None, NOW) is None
    again = judged(judged(released, paid, "held"), paid, "released")
    back = resolving.followed(again, review, TERMS, None, NOW)
    assert back is not None
    assert (back.state, back.acts[-1].act) == ("open", "reopened")


def test_money_counts_where_it_was_not_let_go() -> None:
    ended = facts(live=False)
    stopped = ("stopped", 600_000)

    def closed(case: Case) -> Case:
        after = resolving.followed(case, ended, TERMS, "payout_ended", NOW)
        assert after is not None
        return after

    assert resolving.money(closed(Case()), ended, stopped) == {"stopped": 600_000}
    assert resolving.money(closed(judged(Case(), facts(), "waived")), ended, stopped) == {}
    review = replace(ended, verdict="review")
    assert resolving.money(closed(Case()), review, stopped) == {}
    assert resolving.money(closed(judged(Case(), facts(), "held")), review, stopped) == {"stopped": 600_000}
    kept = ("kept", 600_000)
    assert resolving.money(judged(Case(), facts(), "upheld"), facts(), kept) == {"kept": 600_000}
    assert resolving.money(Case(), facts(), kept) == {}
    assert resolving.money(Case(), facts(), kept, past=True) == {"kept": 600_000}


def test_the_digest_tells_apart_all_that_is_judged_and_nothing_else() -> None:
    overlap: dict[str, Any] = {
        "overlap_id": str(UUID(int=1)), "rule": "r", "verdict": "exclusive", "scope": "household",
        "household": str(UUID(int=2)), "during": {"from": "2026-01-01", "to": "2026-01-31"}, "region": "33.74",
        "revision": 4, "policy_version": "1",
        "payouts": [
            {"agency": "a", "payout_id": f"p{n}", "revision": n, "state": "planned", "programme": "P", "amount": 5 + n}
            for n in range(2)
        ],
    }  # fmt: skip
    same = overlap | {
        "revision": 5, "policy_version": "2", "person": None, "overlap_id": UUID(int=1), "household": UUID(int=2),
        "during": {"from": date(2026, 1, 1), "to": date(2026, 1, 31)},
        "payouts": [each | {"revision": 9, "state": "disbursed"} for each in overlap["payouts"]],
    }  # fmt: skip
    assert resolving.digest(same) == resolving.digest(overlap)
    others = [
        {"rule": "s"}, {"verdict": "review"}, {"scope": "person"}, {"person": str(UUID(int=3))},
        {"household": str(UUID(int=3))}, {"during": {"from": "2026-01-02", "to": "2026-01-31"}}, {"region": "33.71"},
        {"payouts": [overlap["payouts"][0] | {"amount": 6}, overlap["payouts"][1]]},
        {"payouts": [overlap["payouts"][0], overlap["payouts"][1] | {"programme": "Q"}]},
        {"overlap_id": str(UUID(int=4))},
    ]  # fmt: skip
    assert len({resolving.digest(overlap | other) for other in others}) == len(others)
    assert resolving.digest(overlap) not in {resolving.digest(overlap | other) for other in others}


judgements = st.tuples(
    st.just("judge"), st.sampled_from(["held", "released", "upheld", "waived"]), st.sampled_from(["rini", "budi"])
)
news = st.tuples(
    st.just("announce"), st.sampled_from("ab"),
    st.tuples(*[st.sampled_from(["planned", "disbursed"])] * 2), st.sampled_from([600_000, 2_000_000]),
)  # fmt: skip
things = st.lists(
    judgements | news | st.tuples(st.sampled_from(["end", "assign", "wait"])), min_size=1, max_size=25
)  # fmt: skip


@given(things, st.sampled_from(["exclusive", "review"]), st.booleans())
@settings(max_examples=400, deadline=None)
def test_nothing_lets_go_what_was_not_judged_as_it_stands(
    happened: list[tuple[Any, ...]], verdict: str, prefers: bool
) -> None:
    """The plain reading: payments may go where the last judgement since anything judged was changed said so, where two
    people said so if it takes two, and what a rule excludes where it was waived. Who is the first of two proposes it,
    which judges nothing.
    """
    about, now = facts(verdict=verdict, prefers=prefers), NOW
    case = resolving.opened(about, TERMS)
    since: list[tuple[str, str]] = []  # judgements and proposals since the facts last changed, who made each
    seen = about
    for what, *more in happened:
        before = case
        now += timedelta(days=1)
        try:
            match what:
                case "judge":
                    judgement, who = more
                    case = resolving.judge(case, about, TERMS, judgement, by(who, judgement, now))
                    first = judgement == "waived" and about.amount_at_risk > 1_000_000
                    first = first and (not since or since[-1][0] != "proposed")
                    since.append(("proposed" if first else judgement, who))
                    seen = about
                case "assign":
                    case = resolving.assign(case, by("kepala", "assigned", now)._replace(assigned_to="rini"))
                case "wait":
                    case = resolving.overdue(case, about, now) or case
                case "announce":
                    digest, states, amount = more
                    about = replace(about, digest=f"{digest}{amount}", states=states, amount_at_risk=amount, live=True)
                    case = resolving.followed(case, about, TERMS, None, now) or case
                case "end":
                    about = replace(about, live=False)
                    case = resolving.followed(case, about, TERMS, "payout_ended", now) or case
        except RefusedError:
            assert case is before
            continue
        back = any(was == "disbursed" and is_ == "planned" for was, is_ in zip(seen.states, about.states, strict=True))
        if not about.live or about.digest != seen.digest or back:
            since, seen = [], about
        large = about.amount_at_risk > 1_000_000
        judged = next((judgement for judgement, _ in reversed(since) if judgement != "proposed"), None)
        two = len(since) > 1 and since[-2][0] == "proposed" and since[-2][1] != since[-1][1]
        lets_go = (judged == "released" and verdict == "review") or (judged == "waived" and (not large or two))
        assert (case.state in resolving.LETS_GO) == lets_go
        assert case.revision == before.revision or case.revision == before.revision + 1
        if case.revision:
            told = resolving.told(case, about, {})
            CASE.validate_json(orjson.dumps(told))
            assert resolving.read(told) == case
