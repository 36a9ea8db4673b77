"""The registry over HTTP.

Invariants
- A NIK or a KK is shown masked unless its disclosure was asked for with a purpose, by somebody with the right,
  and recorded with both before it is answered.
- Who may see some regions only sees no person of another one.
- No NIK and no KK stands in an address: ``lookup`` takes them in a body and gives the pseudonym.
"""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter
from tepat_chassis.service import Service

from tepat_registry.api import households, institutions, persons, reports, subjects, suspects, trace, unserved
from tepat_registry.handlers import InUse


def routers(service: Service[InUse], clock: Callable[[], datetime]) -> list[APIRouter]:
    """The routes below /v1."""
    return [
        persons.router(service, clock),
        households.router(service, clock),
        suspects.router(service, clock),
        institutions.router(service, clock),
        *subjects.routers(service, clock),
        reports.router(service, clock),
        trace.router(service),
        unserved.router(service, clock),
    ]
