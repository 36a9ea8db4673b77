"""What a peer found, folded from its topic, and what it should have found.

A peer writes each overlap under its pair: a JSON object with `a` and `b` (the payout ids, sorted), `rule`,
`verdict`, `scope`, `person` (where the scope is that), `household`, `from`, `to` and `amount_at_risk`; no value once
it is cleared.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from tepat_demo.oracle import Record

from bench import workload

Pair = tuple[str, str, str, str]
"""Agency and payout id of the one, and of the other, sorted."""


class Answer(NamedTuple):
    """What is said of a pair that overlaps."""

    rule: str
    verdict: str
    scope: str
    person: str | None
    household: str
    first: str
    last: str
    amount_at_risk: int


Answers = dict[Pair, Answer]


def fold(announced: Iterable[tuple[bytes | None, bytes | None]]) -> Answers:
    """The overlaps that stand after all of a peer's records, key and value. Raises ValueError, KeyError."""
    latest = dict(announced)
    found: Answers = {}
    for value in latest.values():
        if value is not None:
            told = json.loads(value)
            pair = (workload.AGENCY, told["a"], workload.AGENCY, told["b"])
            if pair in found:
                raise ValueError(f"{pair} stands under two keys")
            found[pair] = Answer(
                told["rule"], told["verdict"], told["scope"], told.get("person"), told["household"],
                told["from"], told["to"], told["amount_at_risk"],
            )  # fmt: skip
    return found


def of_announcements(overlaps: Mapping[str, Mapping[str, Any]]) -> Answers:
    """The same of overlaps as our engine announces them and the oracle expects them."""
    found: Answers = {}
    for told in overlaps.values():
        one, other = told["payouts"]
        found[one["agency"], one["payout_id"], other["agency"], other["payout_id"]] = Answer(
            told["rule"], told["verdict"], told["scope"], told.get("person"), told["household"],
            told["during"]["from"], told["during"]["to"], told["amount_at_risk"],
        )  # fmt: skip
    return found


def refusals(letters: Iterable[Record]) -> dict[str, str]:
    """The reason for which each record was refused, by its SHA-256, from dead letters: the record itself, with a header
    `reason` that begins with the reason's code. Raises KeyError."""
    return {
        sha256(letter.value or b"").hexdigest(): dict(letter.headers)["reason"].decode().partition(" ")[0]
        for letter in letters
    }


def of_quarantine(announced: Iterable[Record]) -> dict[str, str]:
    """The same, as our engine announces it."""
    told = (json.loads(record.value or b"{}")["data"] for record in announced)
    return {data["sha256"]: data["reason"] for data in told}


Brief = dict[UUID, tuple[str, int]]
"""Verdict and amount at risk by overlap: all that the handler per record announces."""


def fold_brief(announced: Iterable[tuple[bytes | None, bytes | None]]) -> Brief:
    """The overlaps that stand after all that the handler per record announced."""
    latest = [json.loads(value) for value in dict(announced).values() if value is not None]
    return {UUID(told["overlap_id"]): (told["verdict"], told["amount"]) for told in latest if told["live"]}


def brief(should: Answers, found: Brief) -> Brief:
    """What the handler per record should have announced, where it may take a pair in either order."""
    expected: Brief = {}
    for (_, a, _, b), answer in should.items():
        one, other = uuid5(NAMESPACE_URL, f"{a}|{b}"), uuid5(NAMESPACE_URL, f"{b}|{a}")
        expected[other if other in found else one] = answer.verdict, answer.amount_at_risk
    return expected


def differences(found: Mapping[Any, object], should: Mapping[Any, object]) -> list[str]:
    """Each pair of which the two say otherwise, in words; empty where they agree."""
    return [
        f"{pair}: {found.get(pair, 'nothing')} instead of {should.get(pair, 'nothing')}"
        for pair in sorted(found.keys() | should.keys())
        if found.get(pair) != should.get(pair)
    ]
