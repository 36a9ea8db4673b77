"""A payment list before it is sent: what is answered is what its clearances will say."""

from datetime import timedelta
from functools import partial

import pytest

from .conftest import BUDI, CITRA, MELATI, PKH_BLT, PKH_BPNT, PKH_SB, Ledger, agency, complete, payout, policy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

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
