"""The checker of the peers' answers finds what is wrong with them."""

import json
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tepat_contracts import door, regions
from tepat_contracts.identity import PROVINCES
from tepat_contracts.policy import PolicyIndex, from_document
from tepat_contracts.topics import Kind
from tepat_demo.oracle import Record

from bench import workload
from bench.peers import answers

TOLD: dict[str, Any] = {
    "a": "BPNT-1", "b": "PKH-2", "rule": "pkh-bpnt", "verdict": "review", "scope": "household", "household": "h",
    "from": "2026-01-01", "to": "2026-03-28", "amount_at_risk": 750000,
}  # fmt: skip
ANNOUNCED = {
    "rule": "pkh-bpnt", "verdict": "review", "scope": "household", "household": "h", "amount_at_risk": 750000,
    "during": {"from": "2026-01-01", "to": "2026-03-28"},
    "payouts": [{"agency": "bench", "payout_id": "BPNT-1"}, {"agency": "bench", "payout_id": "PKH-2"}],
}  # fmt: skip
SHOULD = answers.of_announcements({"o": ANNOUNCED})


def folded(*said: dict[str, Any] | None) -> answers.Answers:
    return answers.fold((b"pair", json.dumps(told).encode() if told else None) for told in said)


def test_the_latest_of_a_pair_counts() -> None:
    assert answers.differences(folded(TOLD | {"verdict": "exclusive"}, None, TOLD), SHOULD) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_at_risk": 1}, {"verdict": "exclusive"}, {"rule": "pkh-blt"}, {"scope": "person"}, {"person": "p"},
        {"household": "i"}, {"from": "2026-01-02"}, {"to": "2026-03-29"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_a_field_that_is_wrong_is_found(wrong: dict[str, Any]) -> None:
    assert len(answers.differences(folded(TOLD | wrong), SHOULD)) == 1


def test_an_overlap_missing_or_cleared_is_found() -> None:
    assert len(answers.differences(folded(), SHOULD)) == len(answers.differences(folded(TOLD, None), SHOULD)) == 1


def test_an_overlap_too_many_is_found() -> None:
    assert len(answers.differences(folded(TOLD), {})) == 1


def test_a_pair_under_two_keys_is_refused() -> None:
    value = json.dumps(TOLD).encode()
    with pytest.raises(ValueError, match="two keys"):
        answers.fold([(b"one", value), (b"other", value)])


def test_the_handler_per_record_is_held_against_the_same() -> None:
    found = next(iter(answers.brief(SHOULD, {})))
    told = {"overlap_id": str(found), "verdict": "review", "amount": 750000, "live": True}

    def differences(**changed: Any) -> list[str]:
        brief = answers.fold_brief([(b"o", json.dumps(told | changed).encode())])
        return answers.differences(brief, answers.brief(SHOULD, brief))

    assert differences() == []
    assert len(differences(live=False)) == len(differences(amount=1)) == len(differences(verdict="exclusive")) == 1


# --- what is refused


def test_a_dead_letter_is_the_record_and_why() -> None:
    letters = [Record("peer.x.dead-letters.v1", 0, 0, [("reason", b"schema /data/amount")], b"a record")]
    announced = json.dumps({"data": {"sha256": sha256(b"a record").hexdigest(), "reason": "schema"}}).encode()
    refused = answers.refusals(letters)
    assert refused == answers.of_quarantine([Record("distribution.quarantine.v1", 0, 0, [], announced)])
    assert len(answers.differences(refused, {})) == 1


def test_every_door_refuses_the_same_for_the_same_reason(tmp_path: Path) -> None:
    theirs = import_module("bench.peers.quix.door")  # made for an environment of its own, in which it stands alone
    peers = theirs.Door({
        "agency": workload.AGENCY, "secret": "00", "provinces": PROVINCES, "regions": regions.names(),
        "programmes": workload.PROGRAMMES, "began": tmp_path / "began",
    })  # fmt: skip
    ours, policy = door.Door(Kind.PAYOUTS), PolicyIndex(from_document(workload.POLICY))
    refused = list(workload.refused())
    assert len({sha256(value).digest() for _, value, _ in refused}) == len(refused) == 12
    for _, value, reason in refused:
        with pytest.raises(door.Refused) as here:
            ours.admit(value, [], workload.AGENCY, policy)
        with pytest.raises(theirs.Refused) as there:
            peers.admit(value)
        assert here.value.rejection.reason == str(there.value).partition(" ")[0] == reason
