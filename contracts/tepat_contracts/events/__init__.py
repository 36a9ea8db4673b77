"""Every event once: what agencies send (`INBOUND`) and what we send (`ours`).

Invariant: what a type's `data` looks like is written in one place, as a TypedDict; the door, the JSON Schemas and
the AsyncAPI document are all made from it.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, get_args, get_type_hints

from pydantic import TypeAdapter

from tepat_contracts.topics import Kind

from .beneficiaries import BeneficiariesEvent
from .payouts import PayoutsEvent
from .reports import ReportsEvent
from .verifications import VerificationsEvent

_UNIONS: Final[Mapping[Kind, Any]] = {
    Kind.PAYOUTS: PayoutsEvent,
    Kind.BENEFICIARIES: BeneficiariesEvent,
    Kind.REPORTS: ReportsEvent,
    Kind.VERIFICATIONS: VerificationsEvent,
}


def inbound(kind: Kind) -> Mapping[str, Any]:
    """The event types a kind's topic takes, each with its whole event as a TypedDict."""
    union = get_args(_UNIONS[kind])[0]
    return {type_name: event for event in get_args(union) for type_name in get_args(get_type_hints(event)["type"])}


@cache
def adapter(kind: Kind) -> TypeAdapter[Any]:
    """Validates a whole structured event of a kind; strict."""
    return TypeAdapter(_UNIONS[kind])
