"""Overlapping payouts by Quix Streams: a ledger by payout, regrouped by household, and there the pairs.

``app.py WORK INSTANCES``: so many processes of one consumer group, each with a state directory of its own.
"""

import json
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from door import Door, Refused
from quixstreams import Application, State
from quixstreams.models import Serializer
from quixstreams.state.rocksdb import RocksDBOptions

CANCELLED = 2
BUILT_IN = {"id": "same-programme-same-person", "verdict": "exclusive", "scope": "person"}

Payout = dict[str, Any]
Letter = tuple[bytes, str]
"""A record that is not taken, and why."""
Announced = tuple[str, dict[str, Any] | None]
"""A pair, and its overlap; None where it is cleared."""


class Overlap(Serializer):
    """An overlap as JSON; nothing once it is cleared."""

    def __call__(self, value: Announced, ctx: object) -> bytes | None:  # noqa: ARG002 - as it is called
        return None if value[1] is None else orjson.dumps(value[1])


def run(work: dict[str, Any], instance: int, settings: dict[str, Any]) -> None:
    """One instance, until it is stopped."""
    app = Application(
        broker_address=work["kafka"],
        consumer_group="peer-quix",
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        state_dir=Path(work["home"]) / f"state-{instance}",
        rocksdb_options=RocksDBOptions(**settings["rocksdb"]),
        commit_interval=settings["commit_interval"],
        producer_extra_config=settings["producer"],
        consumer_extra_config=settings["consumer"],
        loglevel="WARNING",
    )
    door = Door(work)
    rules = {frozenset(rule["programmes"]): rule for rule in work["rules"]}
    inbound = app.topic(work["topic"], key_deserializer="bytes", value_deserializer="bytes")
    dead_letters = app.topic(work["deadLetters"], key_serializer="bytes", value_serializer="bytes")
    overlaps = app.topic(work["overlaps"], key_serializer="str", value_serializer=Overlap())

    def admitted(value: bytes) -> Payout | Letter | None:
        try:
            return door.admit(value)
        except Refused as refused:
            return value, str(refused)

    def household(change: Payout, state: State) -> Iterator[Announced]:
        yield from _difference(change, state, rules)

    told = app.dataframe(inbound).apply(admitted)
    refused = told[told.apply(lambda one: isinstance(one, tuple))]
    refused = refused.set_headers(lambda letter, *_: [("reason", letter[1].encode())])
    refused.apply(lambda letter: letter[0]).to_topic(dead_letters)
    payouts = told[told.apply(lambda one: isinstance(one, dict))]
    changes = payouts.apply(_changes, stateful=True, expand=True)
    by_household = changes.group_by(
        lambda change: change["household"], name="household", key_deserializer="str", key_serializer="str"
    )
    by_household.apply(household, stateful=True, expand=True).to_topic(overlaps, key=lambda announced: announced[0])
    app.run()


def _changes(told: Payout, state: State) -> list[Payout]:
    """What an event changes in the households concerned; the ledger keeps the one that holds."""
    held = state.get("held")
    if held is not None and tuple(held["order"]) >= told["order"]:
        return []
    state.set("held", told)
    changes = [told] if "household" in told else []
    if held is not None and "household" in held and held["household"] != told.get("household"):
        changes.insert(0, {"id": told["id"], "household": held["household"]})
    return changes


def _difference(change: Payout, state: State, rules: dict[frozenset[str], Any]) -> Iterator[Announced]:
    """What a payout's change does to its household's overlaps: a function of the live payouts before and after."""
    held: dict[str, Payout] = state.get("payouts") or {}
    before = held.pop(change["id"], None)
    after = change if "programme" in change else None
    for other in held.values():
        was = _overlap(before, other, rules) if before else None
        found = _overlap(after, other, rules) if after else None
        if found != was:
            yield "|".join(sorted((change["id"], other["id"]))), found
    if after:
        held[after["id"]] = after
    if held:
        state.set("payouts", held)
    else:
        state.delete("payouts")


def _overlap(one: Payout, other: Payout, rules: dict[frozenset[str], Any]) -> dict[str, Any] | None:
    """The overlap of two payouts of one household; None where they do not overlap."""
    first, last = max(one["from"], other["from"]), min(one["to"], other["to"])
    if first > last:
        return None
    same = one["programme"] == other["programme"]
    rule = BUILT_IN if same else rules.get(frozenset((one["programme"], other["programme"])))
    if rule is None or (rule["scope"] == "person" and one["person"] != other["person"]):
        return None
    a, b = sorted((one["id"], other["id"]))
    found = {
        "a": a, "b": b, "rule": rule["id"], "verdict": rule["verdict"], "scope": rule["scope"],
        "household": str(UUID(one["household"])), "from": first, "to": last,
        "amount_at_risk": min(one["amount"], other["amount"]),
    }  # fmt: skip
    if rule["scope"] == "person":
        found["person"] = str(UUID(one["person"]))
    return found


def main() -> None:
    work, settings = json.loads(Path(sys.argv[1]).read_text()), json.loads(sys.argv[2])
    context = get_context("spawn")
    others = [
        context.Process(target=run, args=(work, n, settings), daemon=True) for n in range(1, settings["instances"])
    ]
    for other in others:
        other.start()
    run(work, 0, settings)


if __name__ == "__main__":
    main()
