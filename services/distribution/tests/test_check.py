"""A payment list before it is sent: what is answered is what its clearances will say."""

from datetime import timedelta
from functools import partial
from uuid import UUID

import orjson
import pytest
from tepat_distribution import domain
from tepat_distribution.detect import FINDINGS

from .conftest import (
    BUDI,
    CITRA,
    DEWI,
    KENANGA,
    MELATI,
    PKH_BLT,
    PKH_BPNT,
    PKH_SB,
    Ledger,
    agency,
    complete,
    ended,
    kk,
    payout,
    policy,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

EKA = "3374015505900001"
WEEK = "P7D"
planned = partial(payout, state="planned")


async def settle(ledger: Ledger) -> None:
    await ledger.judge()
    await ledger.clear()


async def test_who_is_silent_is_judged_at_the_moment_of_the_answer(ledger: Ledger) -> None:
    """Nothing answers clearances between: whatever is kept of silences is old."""
    agencies = [agency("dinsos", "PKH"), agency("himbara", "BPNT", silent_after=WEEK), agency("dpmd", "BLT-DD")]
    await ledger.follow(policy(PKH_BPNT, version="t-2", agencies=agencies, programmes=("PKH", "BPNT", "BLT-DD")))
    ledger.appended = int(ledger.now.timestamp() * 1e3)
    (line,) = await ledger.listed([planned()])
    assert (line["decision"], line["reasons"]) == ("unknown", ["silent: himbara was never heard of"])
    await settle(ledger)
    await ledger.take([complete("himbara")])
    (line,) = await ledger.listed([planned()])
    assert (line["decision"], line["reasons"]) == ("clear", [])
    ledger.now += timedelta(days=7, seconds=1)
    (line,) = await ledger.listed([planned()])
    assert line["reasons"] == ["silent: himbara since 2026-03-01T09:01:00Z"]
    assert (await ledger.listed([planned(programme="BPNT", by="himbara")], by="himbara"))[0]["reasons"] == []


async def test_a_list_is_given_the_reasons_of_its_clearances_in_their_words(ledger: Ledger) -> None:
    agencies = [
        agency("dinsos", "PKH", "SB"), agency("himbara", "BPNT", silent_after=WEEK),
        agency("dpmd", "BLT-DD", silent_after=WEEK),
    ]  # fmt: skip
    await ledger.follow(policy(PKH_BPNT, {**PKH_BLT, "prefer": "PKH"}, PKH_SB, version="t-2", agencies=agencies))
    blt = partial(payout, programme="BLT-DD", by="dpmd")
    await ledger.take([
        blt("planned", of=BUDI, state="planned"), blt("paid", of=CITRA), blt("far", of=CITRA, card=MELATI),
        payout("food", "BPNT", of=BUDI, by="himbara"),
    ])  # fmt: skip
    await settle(ledger)
    lines = [planned("A-1"), planned("A-2", card=MELATI, of=BUDI), planned("A-3", of=CITRA, card=None)]
    asked = [(line["decision"], line["reasons"]) for line in await ledger.listed(lines)]
    await ledger.take(lines)
    await settle(ledger)
    told = {each["payout_id"]: (each["decision"], each["reasons"]) for each in await ledger.issued("dinsos")}
    assert asked == [told[f"A-{n}"] for n in (1, 2, 3)]
    silent = ["silent: dpmd since 1970-01-01T00:00:00Z", "silent: himbara since 1970-01-01T00:00:00Z"]
    assert told["A-1"] == ("hold", [
        "exclusive: pkh-blt with dpmd/paid", "preferred: pkh-blt with dpmd/planned", *silent,
    ])  # fmt: skip


def other_content(revision: int = 0) -> list[str]:
    return [
        f"planned: the ledger holds revision {revision} with other content: raise --revision or the column revision"
    ]


def too(n: int) -> list[str]:
    return [f"repeated: this id stands in line {n} too"]


async def test_of_lines_of_one_id_only_the_one_that_will_hold_is_judged(ledger: Ledger) -> None:
    """By revision, then time, then the event's id, wherever they stand in the list."""
    await ledger.follow(policy(PKH_BLT, version="t-2"))
    await ledger.take([payout("paid", "BLT-DD", of=BUDI, by="dpmd")])
    late = "2026-01-06T08:00:00+07:00"
    lines = [
        planned("A", of=BUDI, time=late), planned("A", of=CITRA, card=None),
        planned("B", of=CITRA, card=None, id_="b-1"), planned("B", of=BUDI, id_="b-2"),
        planned("C", of=CITRA, card=None, revision=1, days=("2027-01-01", "2027-03-31")), planned("C", time=late),
        planned("D", of=DEWI, card=None, id_="d"), planned("D", of=DEWI, card=None, id_="d", amount=1),
        planned("E", of=EKA, card=None, id_="e"), planned("E", of=EKA, card=None, id_="e"),
    ]  # fmt: skip
    answers = await ledger.listed(lines)
    paid = ["exclusive: pkh-blt with dpmd/paid"]
    same = ["exclusive: same-programme-same-person with dinsos/"]
    assert [line["reasons"] for line in answers] == [
        [*paid, same[0] + "B"], too(1), too(4), [*paid, same[0] + "A"], [], too(5), too(8), too(7), [], too(9),
    ]  # fmt: skip
    assert [line.get("same_id_as") for line in answers] == [None, 1, 4, None, None, 5, 8, 7, None, 9]
    assert [line["decision"] for line in answers] == ["hold"] * 4 + ["clear"] + ["hold"] * 3 + ["clear", "hold"]


async def test_a_line_that_the_ledger_holds_otherwise_is_held_until_its_revision_is_raised(ledger: Ledger) -> None:
    await ledger.follow(policy(PKH_BLT, version="t-2"))
    ids = "abcdefg"
    await ledger.take([planned(id_) for id_ in ids])
    lines = [
        planned("a"), planned("b", amount=1), planned("c", of=BUDI), planned("d", card=MELATI), planned("e", "SB"),
        planned("f", amount=1, revision=1), payout("g", amount=1),
    ]  # fmt: skip
    told = [line["reasons"] for line in await ledger.listed(lines)]
    assert told[1:5] == [other_content()] * 4
    assert other_content() not in [told[0], *told[5:]]


async def test_what_the_ledger_goes_on_holding_counts_in_place_of_its_line(ledger: Ledger) -> None:
    """Citra was paid under the id that the list gives to somebody else, which it will not come to stand for."""
    await ledger.take([planned("told", of=CITRA, card=None), planned("over", of=BUDI, card=None, revision=1)])
    answers = await ledger.listed([
        planned("told", of=DEWI, card=None), planned("over", of=EKA, card=None),
        planned("c", of=CITRA, card=None), planned("b", of=BUDI, card=None),
        planned("d", of=DEWI, card=None), planned("e", of=EKA, card=None),
    ])  # fmt: skip
    same = "exclusive: same-programme-same-person with dinsos/"
    assert [line["reasons"] for line in answers] == [
        other_content(), ["planned: the ledger holds revision 1 of it"], [same + "told"], [same + "over"], [], [],
    ]  # fmt: skip


def takes_back(reason: str) -> tuple[str, list[str]]:
    return "ends", [f"ends: {reason}"]


async def test_a_list_is_judged_as_the_ledger_is_once_it_has_taken_payments_back(ledger: Ledger) -> None:
    """What is given in their place is answered as its clearance will be; what goes on standing goes on counting."""
    agencies = [agency("dinsos", "PKH"), agency("dpmd", "BLT-DD")]
    await ledger.follow(policy(PKH_BLT, version="t-2", agencies=agencies))
    far = ("2026-07-01", "2026-09-30")
    await ledger.take([
        planned("old"), payout("paid", of=BUDI, card=None), planned("newer", of=CITRA, card=None, revision=1),
        planned("gone", of=DEWI, card=None), ended("gone"), planned("kept", of=EKA, card=None),
    ])  # fmt: skip
    await settle(ledger)
    lines = [
        planned("A"), ended("old"), planned("B", of=BUDI, card=None), ended("paid", "returned"),
        planned("C", of=CITRA, card=None), ended("newer"), ended("gone"), ended("odd"),
        planned("D", of=DEWI, card=None), planned("E", days=far), ended("E"), planned("F", days=far),
        planned("G", of=EKA, card=None), ended("kept", id_="k"),
        {**ended("kept", id_="k"), "data": {**ended("kept")["data"], "reason": "moved"}},
    ]  # fmt: skip
    told = {n: (line["decision"], line["reasons"]) for n, line in enumerate(await ledger.listed(lines))}
    back = takes_back("takes a payment back, nothing to clear")
    assert [told[n] for n in (1, 3, 5, 6, 7, 9, 10, 13)] == [
        back, back,
        ("hold", ["planned: the ledger holds revision 1 of it: raise --revision or the column revision"]),
        takes_back("it was taken back before, nothing changes"),
        takes_back("no payment of this id is known: check the id"),
        ("hold", too(11)), back, back,
    ]  # fmt: skip
    assert told[14] == ("hold", too(14))
    afar = await ledger.listed([planned("H", days=far), ended("old")], regions=("33.75",))
    assert [line["rejected"] for line in afar] == ["not_permitted"] * 2
    await ledger.take(lines)
    await settle(ledger)
    issued = {each["payout_id"]: (each["decision"], each["reasons"]) for each in await ledger.issued("dinsos")}
    asked = {lines[n]["data"]["payout_id"]: told[n] for n in (0, 2, 4, 8, 11, 12)}
    assert asked == {id_: issued[id_] for id_ in asked}
    assert {id_ for id_, (decision, _) in asked.items() if decision == "hold"} == {"C"}


async def test_a_line_that_is_refused_takes_nothing_back(ledger: Ledger) -> None:
    """What was paid outside a person's regions goes on counting, and the line hinders no other of its id."""
    there = "33.74.02.1001"
    await ledger.take([
        payout("near", of=BUDI, card=None, region=there), payout("far", of=CITRA, card=None),
        planned("moved", of=EKA, card=None),
    ])  # fmt: skip
    here = partial(planned, card=None, region=there)
    lines = [
        ended("near"), here("B", of=BUDI), ended("far"), here("C", of=CITRA), ended("moved", revision=1),
        here("moved", of=DEWI, revision=1), ended("odd"),
    ]  # fmt: skip
    everywhere = await ledger.listed(lines)
    assert [line["decision"] for line in everywhere] == ["ends", "clear", "ends", "clear", "ends", "hold", "ends"]
    within = await ledger.listed(lines, regions=("33.75", "33.74.02"))
    assert [within[n] for n in (0, 1, 6)] == [everywhere[n] for n in (0, 1, 6)]
    assert [line.get("rejected") for line in within] == [None, None, "not_permitted", None, "not_permitted", None, None]
    assert (within[3]["decision"], within[3]["reasons"]) == (
        "hold", ["exclusive: same-programme-same-person with dinsos/far"],
    )  # fmt: skip
    assert within[5]["decision"] == "clear"


@pytest.mark.parametrize(("limit", "holds"), [(3, "C"), (4, "AC"), (5, "ABCD")])
async def test_who_is_too_many_is_counted_with_the_list(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, limit: int, holds: str
) -> None:
    """With it Mawar has 5 payments, 4 of them Ani's; Melati 3 instead of 5; and Eka 5, 2 of them in Kenanga."""
    monkeypatch.setattr(domain, "GROUP_LIMIT", limit)
    await ledger.follow(policy(PKH_BLT, version="t-2"))
    far = [(f"20{n}-01-01",) * 2 for n in range(10, 20)]
    await ledger.take([
        payout("paid", "BLT-DD", by="dpmd"), payout("same"), planned("old", days=far[0]),
        *(planned(f"m{n}", of=CITRA, card=MELATI, days=far[n]) for n in range(4)),
        payout("m", "BLT-DD", of=DEWI, card=MELATI, by="dpmd"),
        *(payout(f"e{n}", of=EKA, card=None, days=far[n]) for n in range(2)), payout("e", of=EKA, card=None),
    ])  # fmt: skip
    await settle(ledger)
    lines = [
        planned("A"), planned("B", of=BUDI), planned("old", days=far[1], revision=1),
        planned("C", of=CITRA, card=MELATI), ended("m0"), ended("m1"),
        planned("m2", of=CITRA, card=KENANGA, days=far[2], revision=1),
        planned("D", of=EKA, card=KENANGA), planned("E", of=EKA, card=KENANGA, days=far[3]),
    ]  # fmt: skip
    answers = zip(lines, await ledger.listed(lines), strict=True)
    asked = {line["data"]["payout_id"]: (told["decision"], told["reasons"]) for line, told in answers}
    await ledger.take(lines)
    await settle(ledger)
    issued = {each["payout_id"]: (each["decision"], each["reasons"]) for each in await ledger.issued("dinsos")}
    asked = {id_: of for id_, of in asked.items() if of[0] != "ends"}
    assert asked == {id_: issued[id_] for id_ in asked}
    assert {id_ for id_, (decision, _) in asked.items() if decision == "hold"} == {*holds}
    stands = [told["data"] for told in map(orjson.loads, (r.value or b"" for r in await ledger.sent(FINDINGS)))]
    named = {reason.rpartition(" ")[2] for _, reasons in issued.values() for reason in reasons if "too_many" in reason}
    assert named <= {told["finding_id"] for told in stands}
    assert bool(named) == (limit < 5)


async def test_whoever_is_not_looked_through_is_told_so_and_goes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the list is sent, by its clearances, and no more once the household is one again."""
    monkeypatch.setattr(domain, "GROUP_LIMIT", 2)
    far = [(f"20{n}-01-01",) * 2 for n in range(10, 14)]
    people = [BUDI, CITRA, DEWI]
    await ledger.take([planned(f"m{n}", of=of, card=MELATI, days=far[n]) for n, of in enumerate(people)])
    await settle(ledger)
    finding = domain.finding_id("group_too_large", UUID(kk(MELATI)))
    too_many = f"too_many: the household has more than 2 payouts, which are not looked through: see finding {finding}"
    line = planned("A", of=EKA, card=MELATI, days=far[3])
    (told,) = await ledger.listed([line])
    assert (told["decision"], told["reasons"], told["overlaps"]) == ("clear", [too_many], [])
    await ledger.take([line])
    await settle(ledger)
    last = {each["payout_id"]: (each["decision"], each["reasons"]) for each in await ledger.issued("dinsos")}
    assert last == dict.fromkeys(("m0", "m1", "m2", "A"), ("clear", [too_many]))
    await ledger.take([ended("m0"), ended("m1")])
    await settle(ledger)
    last |= {each["payout_id"]: (each["decision"], each["reasons"]) for each in await ledger.issued("dinsos")}
    assert (last["m2"], last["A"]) == (("clear", []), ("clear", []))
