"""The distribution service, put together: every subscription, duty and answer of it stands here."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from importlib.resources import files
from typing import Any

import structlog
from fastapi import FastAPI
from tepat_chassis import subjects
from tepat_chassis.database import Connection, Lock
from tepat_chassis.duty import by_steps
from tepat_chassis.http import serve
from tepat_chassis.pace import Gate
from tepat_chassis.pseudonyms import Pseudonyms, having, read_secret
from tepat_chassis.quarantine import AgencyIntake
from tepat_chassis.service import Service
from tepat_chassis.standing import StandingIntake
from tepat_contracts.policy import Policy, from_document
from tepat_contracts.topics import Kind, is_inbound, progress_name

from tepat_distribution import (
    api,
    cases_api,
    coupon,
    findings_api,
    funds,
    groups,
    policed,
    reporting,
    rounds_api,
    trace,
)
from tepat_distribution.aid import Teller
from tepat_distribution.cases import Deadlines
from tepat_distribution.check import Checks
from tepat_distribution.clearances import Clearer
from tepat_distribution.detect import CLEAR, JUDGED, Detector
from tepat_distribution.findings import Finder
from tepat_distribution.forgetting import Forgetter
from tepat_distribution.handlers import Decisions, Payouts, Persons, Rankings, Reports, Through, data_of
from tepat_distribution.held import Held
from tepat_distribution.knowing import ELIGIBILITY, REGISTRY, Known
from tepat_distribution.outgoing import SERVICE
from tepat_distribution.progress import Progress
from tepat_distribution.rebuild import recall
from tepat_distribution.recall import Recall
from tepat_distribution.settings import DistributionSettings
from tepat_distribution.store import BY_KEY, MARKS_WAITING, Store, queries

log = structlog.get_logger()


def build(settings: DistributionSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> FastAPI:
    """The service, ready to be served; ``clock`` tells when people act, and what is due."""
    pseudonyms = cache(lambda secret_id: Pseudonyms(read_secret(settings.secrets, secret_id)))
    service = Service(
        settings,
        parse=having(policed.parse, pseudonyms),
        time_zone=lambda policy: policy.index.policy.time_zone,
        areas=lambda policy: policy.index.regions,
        sql=files("tepat_distribution") / "sql",
    )
    store = Store(data_of, Recall(settings.kafka, data_of))
    payouts = Payouts(store, pseudonyms)
    coupons = cache(lambda secret_id: coupon.key(read_secret(settings.secrets, secret_id)))

    service.prepare = partial(recall, settings.kafka, service.database, store)
    service.policy(StandingIntake(having(from_document, pseudonyms), partial(follow, store)))
    service.topic("registry.persons.v1", Persons(store), lock=Lock.EXCLUSIVE)
    service.topic("registry.households.v1", Persons(store), lock=Lock.EXCLUSIVE)
    service.topic("eligibility.decisions.v1", Decisions(store), lock=Lock.SHARED)
    service.topic("eligibility.rankings.v1", Rankings(), lock=Lock.SHARED)
    for other in (REGISTRY, ELIGIBILITY):
        service.topic(progress_name(other), Through(), lock=Lock.SHARED)
    service.topic("registry.reports.v1", Reports(), lock=Lock.SHARED)
    service.agencies(
        Kind.PAYOUTS,
        AgencyIntake(SERVICE, payouts.admit, payouts.write, sealer=service.sealer, metrics=service.metrics),
        lock=Lock.SHARED,
        gate=Gate(service.database, queries.marks_waiting, at_most=MARKS_WAITING, channel=JUDGED),
    )
    service.duty("mark", by_steps(Detector(store).step, BY_KEY))
    inbound = partial(service.ends_of, lambda topic: is_inbound(topic, Kind.PAYOUTS))
    service.duty(CLEAR, by_steps(Clearer(store, service.standing, inbound).step, BY_KEY))
    service.duty("aid", by_steps(Teller(store).step, BY_KEY), drained=False)
    service.duty("case", by_steps(Deadlines(clock).step, BY_KEY), drained=False)
    held = Held(service.metrics.registry)
    service.duty("findings", Finder(store, Known(service.ends, service.ends_of), held).work, drained=False)
    service.tells = held.tells
    service.duty("forget", by_steps(Forgetter(service.standing, clock).step), drained=False)
    service.duty("round", by_steps(Progress(clock).step), drained=False)
    service.pseudonyms = lambda policy: pseudonyms(policy.secret_id)
    service.pending = left_to_do
    return service.api(
        api.router(service.database, service.standing, Checks(service.database, pseudonyms, inbound)),
        trace.router(service.database, service.standing, coupons),
        cases_api.router(service.database, service.standing, clock),
        findings_api.router(service.database, service.standing),
        *rounds_api.routers(service.database, service.standing, coupons, clock),
        reporting.router(service.database, service.standing, clock),
        funds.router(service.database, service.standing, clock),
        groups.router(service.database, service.standing, clock),
        subjects.router(service.name, service.database, api.held),
    )


async def left_to_do(connection: Connection) -> int:
    """What is left to judge, to answer, and of whom and which rounds to tell now."""
    left = await queries.left_to_judge(connection, now=datetime.now(UTC))
    return int(left + await queries.left_to_clear(connection))


async def follow(store: Store, connection: Connection, policy: Policy, document: dict[str, object]) -> dict[str, Any]:  # noqa: ARG001
    """Follow a policy; what is kept of it. Pseudonyms stay those of the secret in use, as the registry's do."""
    secret_id = await queries.secret_in_use(connection) or policy.secret_id
    if secret_id != policy.secret_id:
        log.error("the policy names another secret, which is not followed: pseudonyms in use would not match")
    kept = policy.model_copy(update={"secret_id": secret_id})
    return policed.stored(kept, *await store.follow(connection, policy))


def main() -> None:
    """Run the service until it is told to stop."""
    settings = DistributionSettings.load()
    serve(build(settings), settings)
