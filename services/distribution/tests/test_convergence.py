"""Whatever the order, repetition, split and moment, what stands announced is what overlap.md defines.

Histories are made of so few names and days that everything collides. They begin with many payouts and go on in small
steps, each of which touches little: what is forgotten then is put right by nothing else. What has been taken so far
is checked against the oracle again and again on the way, not only at the end.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tepat_demo import oracle
from tepat_distribution import domain, store

from .conftest import (
    ANI,
    BUDI,
    CITRA,
    DEWI,
    KENANGA,
    MAWAR,
    MELATI,
    PKH_BLT,
    PKH_BPNT,
    PKH_SB,
    Event,
    Ledger,
    Registry,
    agency,
    ended,
    lives,
    merged,
    payout,
    policy,
    renewed,
    rule,
)

pytestmark = pytest.mark.integration

PROGRAMMES = {"dinsos": ("PKH", "SB"), "himbara": ("BPNT", "PKH"), "dpmd": ("BLT-DD",), "warga": ("SB",)}
NIKS, KKS = [ANI, BUDI, CITRA, DEWI], [MAWAR, MELATI, KENANGA]
FIRST, LAST = "0001-01-01", "9999-12-31"

revisions = st.integers(0, 4)
times = st.sampled_from(["2026-01-05T08:00:00+07:00", "2026-01-05T01:00:00Z", "2026-01-05T01:00:00.000001Z"])
identities = st.sampled_from(["a", "B", "é", "\U0001f600"])
envelopes = st.fixed_dictionaries({"time": times, "id_": identities})
niks, kks = st.sampled_from(NIKS), st.sampled_from(KKS)
days = st.sampled_from([
    *[("2026-01-01", "2026-03-31"), ("2026-02-01", "2026-12-31"), ("2026-03-31", LAST)] * 4,
    ("2026-01-01", "2026-01-31"), (FIRST, "2026-01-01"), (FIRST, FIRST), (LAST, LAST),
])  # fmt: skip


def calls(make: Callable[..., Event], *told: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]) -> Any:
    """Events of `make`, their envelope drawn with the rest."""
    named |= {"revision": revisions}
    return st.builds(
        lambda positional, data, envelope: make(*positional, **data, **envelope),
        st.tuples(*told), st.fixed_dictionaries(named), envelopes,
    )  # fmt: skip


programmes = st.sampled_from([(by, programme) for by, codes in PROGRAMMES.items() for programme in codes])
payout_ids = st.sampled_from(["p1", "p2", "P/1 ~", "p"])


def payouts(revisions: st.SearchStrategy[int]) -> st.SearchStrategy[Event]:
    """Payouts planned or disbursed."""
    told = {
        "days": days, "revision": revisions, "state": st.sampled_from(["planned", "disbursed"]),
        "amount": st.sampled_from([0, 500_000, 2**63 - 1]), "region": st.sampled_from(["33.74.01.1001", "33.74", "33"]),
    }  # fmt: skip
    return st.builds(
        lambda sender, id_, of, card, more, envelope: payout(id_, sender[1], of, card, by=sender[0], **more | envelope),
        programmes, payout_ids, niks, st.sampled_from([*KKS, None]), st.fixed_dictionaries(told), envelopes,
    )  # fmt: skip


ends = calls(
    ended, payout_ids, state=st.sampled_from(["cancelled", "returned"]), by=st.sampled_from(sorted(PROGRAMMES))
)
opening = st.lists(
    payouts(st.integers(0, 1)), min_size=9, max_size=16,
    unique_by=lambda told: (told["source"], told["data"]["payout_id"]),
)  # fmt: skip
later = payouts(revisions)
sent = st.lists(later | later | later | ends, min_size=1, max_size=2)

tellers = st.sampled_from(["dinsos", "himbara", *PROGRAMMES, "asing"])
memberships = calls(
    lives, niks, kks, st.sampled_from([*["2020-01-01"] * 4, "2026-01-01", "2026-03-31", FIRST, LAST]),
    st.sampled_from([*[None] * 4, "2026-01-31", "2019-12-31", FIRST, LAST]), by=tellers,
)  # fmt: skip
merges = calls(merged, niks, st.sampled_from([*NIKS, None]), by=tellers)
renewals = calls(renewed, kks, st.sampled_from([*KKS, None]), by=tellers)
facts = st.lists(memberships | memberships | merges | renewals, min_size=1, max_size=2)
known = st.lists(memberships, max_size=8)

effects = st.sampled_from([
    {}, {}, {"from_": "2026-02-01"}, {"to": "2026-01-31"}, {"from_": "2026-01-01", "to": "2026-01-01"},
    {"to": FIRST}, {"from_": LAST},
])  # fmt: skip
codes = st.sampled_from(["PKH", "BPNT", "BLT-DD", "SB"])
rules = st.lists(
    st.builds(
        lambda id_, one, other, scope, verdict, effective: rule(id_, one, other, scope, verdict, **effective),
        st.sampled_from(["a", "b", "C", "tt", "é"]), codes, codes, st.sampled_from(["person", "household"]),
        st.sampled_from(domain.VERDICTS), effects,
    ),
    min_size=4, max_size=10, unique_by=lambda made: (made["id"], *sorted(made["programmes"])),
)  # fmt: skip


DENSE = [
    PKH_BPNT, PKH_BLT, PKH_SB, rule("pkh-twice", "PKH", "PKH", "household", "review"),
    rule("bpnt-blt", "BPNT", "BLT-DD", "household", "review"), rule("sb-bpnt", "SB", "BPNT", "person", "review"),
    rule("pkh-blt-person", "PKH", "BLT-DD", "person", "review"),
]  # fmt: skip
KNOWN = [("PKH", "BPNT", "BLT-DD", "SB")] * 9 + [("PKH", "SB"), ("BPNT", "BLT-DD")]


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """Any rules, ranks and repeatable programmes; now and then an agency or a programme is missing."""
    known = draw(st.sampled_from(KNOWN))
    ranks = draw(st.fixed_dictionaries({id_: st.sampled_from([1, 1, 2, 3, None, 2**31 - 1]) for id_ in PROGRAMMES}))
    missing = draw(st.sampled_from([*[None] * 9, *PROGRAMMES]))
    return policy(
        *draw(rules | st.sampled_from([DENSE, DENSE, DENSE, []])),
        agencies=[agency(id_, *of, rank=ranks[id_]) for id_, of in PROGRAMMES.items() if id_ != missing],
        programmes=known,
        repeatable=draw(st.sampled_from([{"SB"}, {"SB"}, set(), {"PKH"}, {"PKH", "BPNT"}, set(known)])),
    )


steps = st.one_of(
    *[st.tuples(st.just("take"), sent)] * 4,
    *[st.tuples(st.just("learn"), facts)] * 3,
    st.tuples(st.just("hear"), st.integers(1, 4)),
    st.tuples(st.just("judge"), st.integers(1, 2)),
    st.tuples(st.just("again"), st.integers(0, 9)),
    st.tuples(st.just("misuse"), st.tuples(st.integers(0, 40), st.sampled_from([0, 10, 9, 500_000]))),
    st.tuples(st.just("follow"), policies()),
)
happenings = st.lists(st.tuples(steps, st.booleans()), min_size=8, max_size=20)


class History:
    """Lets steps happen to a ledger, and to a registry whose word may come late."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.registry = Registry()
        self.sent: list[Event] = []
        self._unheard: list[Event] = []
        self._heard: list[Event] = []

    async def happen(self, step: str, told: Any) -> None:
        match step:
            case "take":
                self.sent += told
                await self.ledger.take(told)
            case "again":  # what was sent before comes again, in other batches
                await self.ledger.take(self.sent[told::3])
                await self.ledger.hear(self._heard[told::3])
            case "misuse":  # an event of before under its id, with another amount
                before = self.sent[told[0] % len(self.sent)]
                if "benefit" in before["data"]:
                    data = before["data"] | {"benefit": {"kind": "cash", "amount": told[1]}}
                    await self.happen("take", [before | {"data": data}])
            case "learn":
                self._unheard += self.registry.learn(told)
            case "hear":  # records of one key keep their order, others come when they come
                keys = sorted({_key(each) for each in self._unheard})[:: -1 if told % 2 else 1][:told]
                await self._hear(each for each in self._unheard if _key(each) in keys)
            case "judge":
                await self.ledger.judge(told)
            case "follow":
                await self.ledger.follow(told)
            case "check":
                await self._hear(self._unheard)
                await self.ledger.check(self.registry.facts)

    async def _hear(self, told: Iterable[Event]) -> None:
        heard = list(told)
        self._unheard = [each for each in self._unheard if each not in heard]
        self._heard += heard
        await self.ledger.hear(heard)


def _key(told: Event) -> str:
    return str(told["data"].get("person") or told["data"].get("household"))


@pytest.mark.timeout(600)
@given(
    policies(), opening, known, happenings, st.sampled_from([3, 4, 1_000, 1_000]), st.sampled_from([2, 9, 1_000, 1_000])
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_what_stands_is_what_overlap_md_defines(
    ledger: Ledger,
    first: dict[str, Any],
    opening: list[Event],
    known: list[Event],
    happening: list[Any],
    limit: int,
    crowd: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(domain, "GROUP_LIMIT", limit)
        patch.setattr(oracle, "GROUP_LIMIT", limit)
        patch.setattr(store, "PAIRS_AT_ONCE", crowd)
        patch.setattr(store, "PAIRS_OF_A_PAGE", crowd)
        await ledger.empty()
        await ledger.follow(first)
        history = History(ledger)
        for (step, told), checked in [
            (("learn", known), False),
            (("take", opening), True),
            *happening,
            (("judge", 1), True),
        ]:
            await history.happen(step, told)
            if checked:
                await history.happen("check", None)
