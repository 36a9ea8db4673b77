"""What the tests share: the example policy and a good event to spoil."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from tepat_contracts import examples
from tepat_contracts.door import Door, Kind, Refused, Rejection
from tepat_contracts.policy import PolicyIndex, load

EXAMPLE = Path(__file__).parents[1] / "examples" / "semarang.yaml"


@pytest.fixture(scope="session")
def policy_text() -> str:
    return EXAMPLE.read_text("utf-8")


@pytest.fixture(scope="session")
def policy(policy_text: str) -> PolicyIndex:
    return PolicyIndex(load(policy_text))


@pytest.fixture
def payout() -> dict[str, Any]:
    return orjson.loads(orjson.dumps(examples.inbound("tepat.payout.planned.v1")))  # type: ignore[no-any-return]


Judge = Callable[..., Rejection | None]


@pytest.fixture
def judge(policy: PolicyIndex) -> Judge:
    """Why a record is refused, or None where it is taken."""

    def judged(
        value: bytes | dict[str, Any] | None,
        kind: Kind = Kind.PAYOUTS,
        agency: str = examples.AGENCY,
        headers: list[tuple[str, bytes]] | None = None,
        policy: PolicyIndex = policy,
    ) -> Rejection | None:
        record = json.dumps(value).encode() if isinstance(value, dict) else value
        try:
            Door(kind).admit(record, headers or [], agency, policy)
        except Refused as refused:
            return refused.rejection
        return None

    return judged
