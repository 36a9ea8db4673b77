"""Records that no agency should send: each way takes an event that is good and gives the bytes sent instead.

Each is wrong in one way only, so that the reason of its refusal is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from .payments import AGENCY

Event = dict[str, Any]
Spoil = Callable[[Event], bytes]


def invalid_nik(nik: str, way: int) -> str:
    """A NIK spoilt in one of six ways: short, no province, no day, no month, serial 0000, a letter O for a zero."""
    return (
        nik[:15],
        f"00{nik[2:]}",
        f"{nik[:6]}35{nik[8:]}",
        f"{nik[:8]}13{nik[10:]}",
        f"{nik[:12]}0000",
        f"{nik[:12]}O{nik[13:]}",
    )[way % 6]


def _with(**changes: Any) -> Spoil:
    return lambda event: orjson.dumps(event | changes)


def _with_data(**changes: Any) -> Spoil:
    return lambda event: orjson.dumps(event | {"data": event["data"] | changes})


def _inverted(event: Event) -> bytes:
    return _with_data(covers={"from": event["data"]["covers"]["to"], "to": "2025-06-30"})(event)


def _bad_card(event: Event) -> bytes:
    return _with_data(recipient=event["data"]["recipient"] | {"kk": "3374010101200000"})(event)


def _following(all_: list[str], one: str) -> str:
    return all_[(all_.index(one) + 1) % len(all_)]


def _another_agency(event: Event) -> bytes:
    own = event["source"].rpartition(":")[2]
    return _with(source=f"urn:tepat:agency:{_following(list(AGENCY.values()), own)}")(event)


def _another_programme(event: Event) -> bytes:
    return _with_data(programme=_following(list(AGENCY), event["data"]["programme"]))(event)


BAD: Final[dict[str, tuple[str, Spoil]]] = {
    "broken JSON": ("malformed", lambda event: orjson.dumps(event)[:-60]),
    "not UTF-8": ("malformed", lambda event: orjson.dumps(event).replace(b'"region":"', b'"region":"\xff')),
    "empty value": ("malformed", lambda _: b""),
    "amount missing": ("schema", _with_data(benefit={"kind": "cash"})),
    "revision as text": ("schema", _with_data(revision="0")),
    "time without offset": ("schema", _with(time="2026-01-05T08:00:00")),
    "another agency's name": ("source_mismatch", _another_agency),
    "unknown type": ("unknown_type", _with(type="tepat.payout.promised.v1")),
    "card serial 0000": ("kk_invalid", _bad_card),
    "unknown programme": ("programme_unknown", _with_data(programme="BANSOS")),
    "unknown region": ("region_unknown", _with_data(region="99.99.99.9999")),
    "inverted covers": ("covers_inverted", _inverted),
    "another's programme": ("not_permitted", _another_programme),
}
"""What is wrong, the reason it must be refused for, and how it is done; all start from a disbursed payout."""
