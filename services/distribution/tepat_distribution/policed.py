"""The policy as distribution uses it: the door's index, and the ledger's numbers for agencies and programmes.

Invariant: the numbers are stored with the policy in the transaction that puts it in force, so whoever decodes
under a policy has the numbers of that policy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tepat_contracts.policy import Policy, PolicyIndex, from_document


@dataclass(frozen=True, slots=True)
class Policed:
    """A policy in force. ``agencies`` and ``programmes`` give the ledger's numbers."""

    index: PolicyIndex
    agencies: Mapping[str, int]
    programmes: Mapping[str, int]

    @property
    def secret_id(self) -> str:
        """Which secret the province's pseudonyms are made under."""
        return self.index.policy.secret_id


def parse(stored: Any) -> Policed:
    """The policy out of what ``stored`` made."""
    return Policed(PolicyIndex(from_document(stored["policy"])), stored["agencies"], stored["programmes"])


def stored(policy: Policy, agencies: Mapping[str, int], programmes: Mapping[str, int]) -> dict[str, Any]:
    """What is put in force: the policy and the numbers."""
    return {"policy": policy.document(), "agencies": dict(agencies), "programmes": dict(programmes)}
