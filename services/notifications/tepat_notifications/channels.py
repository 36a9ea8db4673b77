"""How a notice leaves: through Apprise, one URL a channel.

Invariants
- A try ends as *sent* where the other side said so, as *failed* only where it is certain that it did not take the
  notice, else as *doubtful*. Apprise itself answers yes or no and not why; so
  - over e-mail its own session with the mail server is asked for the server's answers: whatever goes wrong
    before the text was handed over, and a refusal of the text, is certain;
  - over any other channel a no is doubtful.
- No error leaves a try without an end, and none takes longer than ``PATIENCE_SECONDS``.
"""

import asyncio
import smtplib
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from string import Formatter
from typing import Any, cast
from urllib.parse import quote
from uuid import UUID

import apprise

with warnings.catch_warnings():  # it asks for a module that Python 3.13 no longer has
    warnings.simplefilter("ignore", DeprecationWarning)
    from apprise.plugins.email.base import NotifyEmail
from apprise.exception import AppriseImproperlyConfigured
from apprise.plugins.email.smtp import AppriseSMTPController

from tepat_notifications.domain import Outcome, State

AT_ONCE = 4
PATIENCE_SECONDS = 60.0
MAIL = ("mailto://", "mailtos://")
DELIVERY_HEADER = "X-Tepat-Delivery"
REASON_LENGTH = 300

ASSET = apprise.AppriseAsset(app_id="Tepat", app_desc="Tepat", app_url="")


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice on its way out. ``url`` holds the channel's secrets: not for logs."""

    delivery_id: UUID
    url: str
    subject: str
    body: str


class Channels:
    """The channels a notice may take.

    Args:
        urls: an Apprise URL by the channel's name; ``{email}`` in it stands for that field of an agency's contact.
    """

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = urls
        self._fields = {
            name: [field for _, field, _, _ in Formatter().parse(url) if field] for name, url in urls.items()
        }
        self._threads = ThreadPoolExecutor(AT_ONCE, "send")

    @property
    def names(self) -> list[str]:
        """The channels' names."""
        return list(self._urls)

    def missing(self, channel: str, contact: Mapping[str, str]) -> list[str]:
        """The fields a contact lacks for a channel."""
        return [field for field in self._fields[channel] if not contact.get(field)]

    def recipient(self, channel: str, contact: Mapping[str, str]) -> str:
        """Whom a notice over this channel reaches, as the contact tells it."""
        return " ".join(contact[field] for field in self._fields[channel])

    def url(self, channel: str, contact: Mapping[str, str]) -> str:
        """The Apprise URL that reaches a contact."""
        filled = {field: quote(contact[field], safe="") for field in self._fields[channel]}
        return self._urls[channel].format_map(filled)

    async def send(self, letter: Letter) -> Outcome:
        """Send a notice; never raises. A try abandoned here may still go out."""
        sending = asyncio.get_running_loop().run_in_executor(self._threads, deliver, letter)
        try:
            return await asyncio.wait_for(sending, PATIENCE_SECONDS)
        except TimeoutError:
            return Outcome(State.DOUBTFUL, f"no end after {PATIENCE_SECONDS:.0f} s")


def deliver(letter: Letter) -> Outcome:
    """Send a notice now, blocking; never raises."""
    try:
        if letter.url.startswith(MAIL):  # without the hundred other kinds that Apprise would load to find this one
            return _mail(letter)
        told = apprise.Apprise(asset=ASSET)
        if not told.add(letter.url):
            return Outcome(State.FAILED, "the channel's URL is not one that Apprise reads")
        if told.notify(title=letter.subject, body=letter.body, body_format=apprise.NotifyFormat.TEXT):
            return Outcome(State.SENT)
        return Outcome(State.DOUBTFUL, "the channel reports a failure, and not whether the notice was taken before")
    except AppriseImproperlyConfigured as error:
        return Outcome(State.FAILED, f"the channel's URL is not one that Apprise reads: {error}"[:REASON_LENGTH])
    except Exception as error:  # whatever it was, what is not known is doubt
        return Outcome(State.DOUBTFUL, f"{type(error).__name__}: {error}"[:REASON_LENGTH])


class _Session(AppriseSMTPController):
    """Apprise's session with a mail server, its answers told apart."""

    def submit(self, sender: str, recipients: list[str], message: str) -> Outcome:
        smtp = cast(smtplib.SMTP, self._socket)
        try:
            smtp.ehlo_or_helo_if_needed()
            for code, answer in (smtp.mail(sender), *(smtp.rcpt(each) for each in recipients)):
                if code not in (250, 251):
                    return _refused(code, answer)
        except (OSError, smtplib.SMTPException) as error:
            return _unsent(error)
        try:
            code, answer = smtp.data(message)
        except smtplib.SMTPDataError as error:  # the server did not ask for the text
            return _refused(error.smtp_code, error.smtp_error)
        return Outcome(State.SENT) if code == 250 else _refused(code, answer)


def _mail(letter: Letter) -> Outcome:
    plugin: Any = NotifyEmail
    service = plugin(asset=ASSET, **(plugin.parse_url(letter.url) or {}))
    if len(service.targets) != 1:
        return Outcome(State.FAILED, "the contact's e-mail address is not one")
    _, sender = service.from_addr
    message = next(
        NotifyEmail.prepare_emails(
            subject=letter.subject, body=letter.body, from_addr=service.from_addr, to=service.targets,
            smtp_host=sender.rpartition("@")[2], notify_format=apprise.NotifyFormat.TEXT,
            headers={DELIVERY_HEADER: str(letter.delivery_id), **service.headers},
        )
    )  # fmt: skip
    session = _Session(
        service.smtp_host, service.port, service.secure_mode, service.user, service.password,
        service.verify_certificate, service.socket_connect_timeout,
    )  # fmt: skip
    try:
        session.__enter__()
    except Exception as error:  # the connection or the login: nothing was handed over
        return _unsent(error)
    try:
        return session.submit(sender, message.to_addrs, message.body)
    finally:
        with suppress(Exception):  # how the session ends changes nothing about how it went
            session.__exit__(None, None, None)


def _refused(code: int, answer: bytes | str) -> Outcome:
    said = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    return Outcome(State.FAILED, f"the mail server refused it: {code} {said}"[:REASON_LENGTH])


def _unsent(error: BaseException) -> Outcome:
    return Outcome(State.FAILED, f"the mail server could not be had: {type(error).__name__}: {error}"[:REASON_LENGTH])
