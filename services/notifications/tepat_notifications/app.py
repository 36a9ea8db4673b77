"""The notifications service, put together: every subscription, duty and answer of it stands here."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files

from fastapi import FastAPI
from tepat_chassis import subjects
from tepat_chassis.database import Connection, Lock
from tepat_chassis.duty import by_steps
from tepat_chassis.http import serve
from tepat_chassis.pseudonyms import read_secret
from tepat_chassis.service import Service
from tepat_chassis.standing import StandingIntake
from tepat_contracts.policy import from_document

from tepat_notifications import acknowledging, api, callbacks, replying
from tepat_notifications.channels import Channels
from tepat_notifications.domain import Province, province
from tepat_notifications.handlers import Causes, Overlaps, Receipts, follow
from tepat_notifications.hearings import Hearings
from tepat_notifications.links import Links
from tepat_notifications.retiring import Retirer
from tepat_notifications.sending import DUTY, Sender
from tepat_notifications.settings import NotificationsSettings
from tepat_notifications.store import Store, queries


def build(settings: NotificationsSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> FastAPI:
    """The service, ready to be served; ``clock`` is what its timers go by."""
    service: Service[Province] = Service(
        settings,
        parse=_province,
        time_zone=lambda province: province.zone.key,
        areas=lambda province: province.regions,
        sql=files("tepat_notifications") / "sql",
    )
    channels = Channels(settings.channels)
    store = Store(channels.names, settings.notifications_gather_seconds)
    hearings = Hearings(store.gather)
    links = Links(read_secret(settings.secrets, "seal"), settings.notifications_link)
    sender = Sender(store, channels, service.standing, clock=clock, registry=service.metrics.registry, link=links.url)

    service.policy(StandingIntake(from_document, partial(follow, store, clock)))
    service.topic("distribution.overlaps.v1", Overlaps(store, clock), lock=Lock.EXCLUSIVE, follows_policy=True)
    causes = Causes(hearings, clock)
    for topic in ("distribution.cases.v1", "distribution.findings.v1", "registry.reports.v1", "registry.suspects.v1"):
        service.topic(topic, causes, lock=Lock.EXCLUSIVE, follows_policy=True)
    service.receipts(Receipts(store, clock), lock=Lock.EXCLUSIVE)
    sender.wake = service.duty(DUTY, sender.work).wake
    service.duty("retire", by_steps(Retirer(service.standing, clock).step), drained=False)
    service.pending = partial(_pending, clock, timedelta(seconds=settings.notifications_gather_seconds))
    service.tells = lambda: {"channels": channels.states(clock())}
    app = service.api(
        api.router(service.database, service.standing, store, channels, clock),
        api.tracing(service.database),
        acknowledging.router(service.database, hearings, clock),
        replying.router(service.database, channels),
        subjects.router(service.name, service.database, api.held),
    )
    app.include_router(acknowledging.link_router(service.database, hearings, links, clock), prefix="/v1")  # signed
    app.include_router(
        callbacks.router(service.database, channels, sender, replying.Replies(hearings, clock)), prefix="/v1"
    )  # signed, not by a token
    return app


def _province(document: object) -> Province:
    return province(from_document(document))


async def _pending(clock: Callable[[], datetime], gather: timedelta, connection: Connection) -> int:
    """Notices under way, due, or gathering what comes with them; not the digests that wait for their hour."""
    left: int = await queries.due_soon(connection, by=clock() + gather)
    return left


def main() -> None:
    """Run the service until it is told to stop."""
    settings = NotificationsSettings.load()
    serve(build(settings), settings)
