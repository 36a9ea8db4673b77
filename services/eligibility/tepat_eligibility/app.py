"""The eligibility service, put together: every subscription, duty and answer of it stands here."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files

from fastapi import FastAPI
from tepat_chassis import subjects
from tepat_chassis.database import Lock
from tepat_chassis.http import serve
from tepat_chassis.pseudonyms import Pseudonyms, having, read_secret
from tepat_chassis.quarantine import AgencyIntake
from tepat_chassis.service import Service
from tepat_chassis.standing import StandingIntake
from tepat_contracts.policy import from_document
from tepat_contracts.topics import Kind, is_inbound

from tepat_eligibility import api, fieldwork, policed, rankings
from tepat_eligibility.handlers import HOUSEHOLDS, PERSONS, Registry, Turns, Visits, follow
from tepat_eligibility.judge import Judge
from tepat_eligibility.recall import recall
from tepat_eligibility.settings import EligibilitySettings
from tepat_eligibility.store import SERVICE, queries


def is_told_of(topic: str) -> bool:
    """Whether decisions follow from what stands on this topic."""
    return topic in (PERSONS, HOUSEHOLDS) or is_inbound(topic, Kind.VERIFICATIONS)


def build(settings: EligibilitySettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> FastAPI:
    """The service, ready to be served; ``clock`` tells which day it is."""
    pseudonyms = cache(lambda secret_id: Pseudonyms(read_secret(settings.secrets, secret_id)))
    service = Service(
        settings, parse=having(policed.parse, pseudonyms), time_zone=lambda policy: policy.time_zone,
        areas=lambda policy: policy.index.regions, sql=files("tepat_eligibility") / "sql",
    )  # fmt: skip
    lots = cache(lambda secret_id: sha256(b"tepat ranking" + read_secret(settings.secrets, secret_id)).digest())
    visits = Visits(pseudonyms)

    service.policy(StandingIntake(having(from_document, pseudonyms), follow))
    service.topic(PERSONS, Registry(), lock=Lock.EXCLUSIVE)
    service.topic(HOUSEHOLDS, Registry(), lock=Lock.EXCLUSIVE)
    service.topic("distribution.turns.v1", Turns(), lock=Lock.SHARED)
    service.agencies(
        Kind.VERIFICATIONS,
        AgencyIntake(SERVICE, visits.admit, visits.write, sealer=service.sealer, metrics=service.metrics),
        lock=Lock.SHARED,
    )
    service.tells_progress(is_told_of, "erased", "mark", "touched")
    service.duty("mark", Judge(service.standing, service.database, clock).work)
    service.prepare = partial(recall, settings.kafka, service.database)
    service.pseudonyms = lambda policy: pseudonyms(policy.secret_id)
    service.pending = queries.left_to_decide
    return service.api(
        api.router(service.database),
        subjects.router(service.name, service.database, api.held),
        fieldwork.router(service.database, service.standing),
        rankings.router(service.database, service.standing, lots, clock),
    )


def main() -> None:
    """Run the service until it is told to stop."""
    settings = EligibilitySettings.load()
    serve(build(settings), settings)
