"""The registry service, put together: every subscription, duty and answer of it stands here."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from importlib.resources import files
from operator import attrgetter

from fastapi import FastAPI
from tepat_chassis.database import Lock
from tepat_chassis.http import serve
from tepat_chassis.pseudonyms import Pseudonyms, having, read_secret
from tepat_chassis.quarantine import AgencyIntake
from tepat_chassis.service import Service
from tepat_chassis.standing import StandingIntake
from tepat_contracts.policy import from_document
from tepat_contracts.topics import Kind, is_inbound

from tepat_registry import api
from tepat_registry.aid import AID, Aid
from tepat_registry.handlers import RECHECK, Intake, InUse, Policies, Recheck
from tepat_registry.recall import recall
from tepat_registry.reports import Reports
from tepat_registry.settings import RegistrySettings
from tepat_registry.store import LOOK, ROUTE, SERVICE, queries
from tepat_registry.suspects import Suspects


def clock() -> datetime:
    """Now."""
    return datetime.now(UTC)


def build(settings: RegistrySettings, clock: Callable[[], datetime] = clock) -> FastAPI:
    """The service, ready to be served; ``clock`` is what its deadlines go by."""
    pseudonyms = cache(lambda secret_id: Pseudonyms(read_secret(settings.secrets, secret_id)))
    policies = Policies(pseudonyms)
    service: Service[InUse] = Service(
        settings, parse=policies.parse, time_zone=lambda policy: policy.index.policy.time_zone,
        areas=lambda policy: policy.index.regions, sql=files("tepat_registry") / "sql",
    )  # fmt: skip

    service.policy(StandingIntake(having(from_document, pseudonyms), policies.follow))
    for kind in (Kind.BENEFICIARIES, Kind.REPORTS):
        intake = Intake(kind, service.standing, clock)
        service.agencies(
            kind,
            AgencyIntake(SERVICE, intake.admit, intake.write, sealer=service.sealer, metrics=service.metrics),
            lock=Lock.EXCLUSIVE,
        )
    service.topic(AID, Aid(queries), lock=Lock.SHARED)
    service.tells_progress(lambda topic: is_inbound(topic, Kind.BENEFICIARIES))
    service.duty(RECHECK, Recheck(service.standing, clock).work)
    service.duty(LOOK, Suspects(service.standing, clock).work)
    service.duty(ROUTE, Reports(service.standing, clock).work)
    service.prepare = partial(recall, settings.kafka, service.database)
    service.pseudonyms = attrgetter("pseudonyms")
    service.pending = queries.left_to_do
    return service.api(*api.routers(service, clock))


def main() -> None:
    """Run the service until it is told to stop."""
    settings = RegistrySettings.load()
    serve(build(settings), settings)
