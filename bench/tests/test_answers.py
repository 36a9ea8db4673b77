"""The checker of the peers' answers finds what is wrong with them."""

import json
from typing import Any

import pytest

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
