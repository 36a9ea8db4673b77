"""The payouts of the bench: one agency, four programmes, keys not by household, a share of corrections and ends."""

import random
from collections.abc import Iterator
from typing import Any

import orjson
from tepat_demo.bad import BAD

AGENCY = "bench"
TOPIC = f"agency.{AGENCY}.payouts.v1"
PROGRAMMES = ("PKH", "BPNT", "PIP", "BLT-DD")
CHANGED = 0.08
"""The share of records that correct, cancel or repeat an earlier payout."""

POLICY: dict[str, Any] = {
    "version": "bench-1",
    "agencies": [{"id": AGENCY, "name": "Bench", "trust_rank": 1, "programmes": list(PROGRAMMES)}],
    "programmes": [{"code": code, "name": {"id": code, "en": code}, "unit": "household"} for code in PROGRAMMES],
    "overlap_rules": [
        {"id": "pkh-bpnt", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "review"},
        {"id": "pkh-blt", "programmes": ["PKH", "BLT-DD"], "scope": "household", "verdict": "exclusive"},
    ],
}


def payouts(count: int, households: int, seed: int = 1) -> Iterator[tuple[bytes, bytes]]:
    """``count`` events over ``households`` households, as (key, value); those of other seeds are other payouts."""
    r = random.Random(seed)
    first = (seed - 1) * 100_000_000
    sent: list[tuple[int, int, str, int]] = []
    for number in range(count):
        if sent and r.random() < CHANGED:
            payout, household, programme, quarter = sent[r.randrange(len(sent))]
            kind, revision = r.choice((("disbursed", 1), ("cancelled", 1), ("disbursed", 0)))
        else:
            household, quarter = (seed - 1) * households + r.randrange(households), r.randrange(4)
            programme = r.choices(PROGRAMMES, (4, 5, 3, 1))[0]
            payout, kind, revision = first + number, "disbursed", 0
            if number % 16 == 0:
                sent.append((payout, household, programme, quarter))
        yield _event(payout, household, programme, quarter, kind, revision)


def refused() -> Iterator[tuple[bytes, bytes, str]]:
    """Records that the door must refuse, as (key, value, reason)."""
    good = orjson.loads(_event(8_000_000_000, 0, "PKH", 0, "disbursed", 0)[1])
    ways = {name: way for name, way in BAD.items() if way[0] not in ("source_mismatch", "not_permitted")}
    spoilt = [(reason, spoil(good)) for reason, spoil in ways.values()]
    spoilt.append(("source_mismatch", orjson.dumps(good | {"source": f"urn:tepat:agency:not-{AGENCY}"})))
    for number, (reason, value) in enumerate(spoilt):
        yield b"refused-%d" % number, value, reason


def halves(number: int) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """Two payouts that overlap, of a household that no other payout is for."""
    household = 100_000_000 + number
    return (
        _event(9_000_000_000 + number, household, "PKH", 0, "disbursed", 0),
        _event(9_100_000_000 + number, household, "BPNT", 0, "disbursed", 0),
    )


def _event(payout: int, household: int, programme: str, quarter: int, kind: str, revision: int) -> tuple[bytes, bytes]:
    payout_id = f"{programme}-2026-{payout}"
    number, serial = divmod(household, 9999)
    year, (month_born, day_born) = number // (12 * 28), divmod(number % (12 * 28), 28)
    data: dict[str, Any] = {"payout_id": payout_id, "revision": revision}
    if kind == "cancelled":
        data["reason"] = "salah"
    else:
        month = quarter * 3 + 1
        data |= {
            "programme": programme,
            "covers": {"from": f"2026-{month:02d}-01", "to": f"2026-{month + 2:02d}-28"},
            "recipient": {
                "nik": f"337401{day_born + 1:02d}{month_born + 1:02d}{50 + year:02d}{serial + 1:04d}",
                "kk": f"337401{number:06d}{serial + 1:04d}",
            },
            "benefit": {"kind": "cash", "amount": 750000},
            "region": "33.74.01.1001",
        }
    event = {
        "specversion": "1.0", "id": f"ev-{payout}-{revision}-{kind}", "source": f"urn:tepat:agency:{AGENCY}",
        "type": f"tepat.payout.{kind}.v1", "time": "2026-01-05T08:00:00+07:00", "data": data,
    }  # fmt: skip
    return payout_id.encode(), orjson.dumps(event)
