"""E-mail through Apprise: its settings, its message and its session, whose answers are told apart here.

Invariants
- Whatever goes wrong before the text was handed over, and a refusal of the text, is certain; a connection lost after
  that is doubt.
- A session that was used before may have been closed by the server meanwhile. That shows at its first command, when
  nothing was handed over: it is opened anew, once.
"""

import asyncio
import smtplib
import time
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from string import Formatter
from typing import Any, Final, cast
from urllib.parse import quote

import apprise

with warnings.catch_warnings():  # it asks for a module that Python 3.13 no longer has
    warnings.simplefilter("ignore", DeprecationWarning)
    from apprise.plugins.email.base import NotifyEmail
from apprise.exception import AppriseImproperlyConfigured
from apprise.plugins.email.smtp import AppriseSMTPController

from tepat_notifications.channels.base import Letter, doubtful, failed, named
from tepat_notifications.domain import Outcome, State

AT_ONCE: Final = 8
SECONDS: Final = 60.0
SCHEMES: Final = ("mailto://", "mailtos://")
DELIVERY_HEADER: Final = "X-Tepat-Delivery"
IDLE_SECONDS: Final = 30.0
"""Servers end sessions that are idle for longer; one that rested as long is not used again."""
MESSAGES: Final = 100
"""Messages of one session; servers have limits."""

ASSET = apprise.AppriseAsset(app_id="Tepat", app_desc="Tepat", app_url="")


class Url:
    """An Apprise URL with ``{fields}`` of a contact. It holds the channel's secrets: not for logs."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.fields = tuple(dict.fromkeys(field for _, field, _, _ in Formatter().parse(url) if field))

    def of(self, contact: Mapping[str, str]) -> str:
        """The URL that reaches a contact."""
        return self._url.format_map({field: quote(contact[field], safe="") for field in self.fields})


class Session(AppriseSMTPController):
    """Apprise's session with a mail server, its answers told apart."""

    messages = 0
    rests_since = 0.0

    def begin(self, sender: str) -> Outcome | None:
        """Name the sender; none: the server takes it. Raises OSError and smtplib's errors."""
        smtp = cast(smtplib.SMTP, self._socket)
        smtp.ehlo_or_helo_if_needed()
        code, answer = smtp.mail(sender)
        if code == 421:
            raise smtplib.SMTPServerDisconnected("the server ended the session")
        return None if code == 250 else _refused(code, answer)

    def hand_over(self, recipients: list[str], message: str) -> Outcome:
        """Name the recipients and give the text. Raises OSError and smtplib's errors, which are doubt."""
        smtp = cast(smtplib.SMTP, self._socket)
        try:
            for code, answer in [smtp.rcpt(each) for each in recipients]:
                if code not in (250, 251):
                    return _refused(code, answer)
        except (OSError, smtplib.SMTPException) as error:
            return _unsent(error)
        try:
            code, answer = smtp.data(message)
        except smtplib.SMTPDataError as error:  # the server did not ask for the text
            return _refused(error.smtp_code, error.smtp_error)
        return Outcome(State.SENT) if code == 250 else _refused(code, answer)

    def fresh(self) -> bool:
        """Forget what a refused notice began; false where the session is of no more use."""
        with suppress(OSError, smtplib.SMTPException):
            return cast(smtplib.SMTP, self._socket).rset()[0] == 250
        return False

    def end(self) -> None:
        """Take leave. How a session ends changes nothing about how its notices went."""
        with suppress(Exception):
            self.__exit__(None, None, None)


class Mail:
    """E-mail over one Apprise URL (mailto, mailtos); sessions are used again."""

    limit = None
    keyed = False

    def __init__(self, url: str, at_once: int = AT_ONCE, seconds: float = SECONDS) -> None:
        self.at_once, self.seconds = at_once, seconds
        self._url = Url(url)
        self.fields = self._url.fields
        self._threads = ThreadPoolExecutor(at_once, "mail")
        self._resting: list[tuple[Any, Session]] = []

    def lane(self, contact: Mapping[str, str]) -> str:  # noqa: ARG002 – one mail server for all
        """All fail with the mail server."""
        return ""

    async def send(self, letter: Letter) -> Outcome:
        """Send it from a thread: a try abandoned here may still go out."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.deliver, letter)

    async def close(self) -> None:
        """Take leave of the mail server."""
        resting, self._resting = self._resting, []
        await asyncio.gather(*(asyncio.to_thread(session.end) for _, session in resting))

    def deliver(self, letter: Letter) -> Outcome:
        """Send a notice now, blocking."""
        plugin: Any = NotifyEmail
        try:
            service = plugin(asset=ASSET, **(plugin.parse_url(self._url.of(letter.contact)) or {}))
        except AppriseImproperlyConfigured as error:
            return failed(f"the channel's URL is not one that Apprise reads: {error}", "channel")
        if len(service.targets) != 1:
            return failed("the contact's e-mail address is not one", "recipient")
        _, sender = service.from_addr
        message = next(
            NotifyEmail.prepare_emails(
                subject=letter.subject, body=letter.body, from_addr=service.from_addr, to=service.targets,
                smtp_host=sender.rpartition("@")[2], notify_format=apprise.NotifyFormat.TEXT,
                headers={DELIVERY_HEADER: str(letter.delivery_id), **service.headers},
            )
        )  # fmt: skip
        key = (
            service.smtp_host, service.port, service.secure_mode, service.user, service.password,
            service.verify_certificate, service.socket_connect_timeout,
        )  # fmt: skip
        try:
            session, refused = self._begun(key, sender)
        except Exception as error:  # the connection or the login: nothing was handed over
            return _unsent(error)
        outcome = refused
        try:
            if outcome is None:
                outcome = session.hand_over(message.to_addrs, message.body)
        finally:
            self._rest(key, session, outcome)
        return outcome

    def _begun(self, key: Any, sender: str) -> tuple[Session, Outcome | None]:
        """A session that has taken the sender, or what it answered instead."""
        with suppress(IndexError, OSError, smtplib.SMTPException):
            while True:
                known, session = self._resting.pop()
                if known == key and time.monotonic() - session.rests_since < IDLE_SECONDS:
                    return session, session.begin(sender)
                session.end()
        session = Session(*key)
        session.__enter__()
        return session, session.begin(sender)

    def _rest(self, key: Any, session: Session, outcome: Outcome | None) -> None:
        session.messages += 1
        session.rests_since = time.monotonic()
        usable = outcome is not None and (outcome.state is State.SENT or session.fresh())
        if usable and session.messages < MESSAGES:
            self._resting.append((key, session))
        else:
            session.end()


def _refused(code: int, answer: bytes | str) -> Outcome:
    said = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    fault = "recipient" if code >= 500 else "channel" if code == 421 else None
    return failed(f"the mail server refused it: {code} {said}", fault)  # type: ignore[arg-type]


def _unsent(error: BaseException) -> Outcome:
    return failed(f"the mail server could not be had: {named(error)}", "channel")


class Other:
    """Any further channel that Apprise knows, by its URL. It answers yes or no and not why: a no is doubt."""

    limit = None
    keyed = False
    at_once = 4
    seconds = SECONDS

    def __init__(self, url: str) -> None:
        self._url = Url(url)
        self.fields = self._url.fields
        self._threads = ThreadPoolExecutor(self.at_once, "apprise")

    def lane(self, contact: Mapping[str, str]) -> str:  # noqa: ARG002 – nothing is known of it
        """All fail together."""
        return ""

    async def send(self, letter: Letter) -> Outcome:
        """Send it from a thread: a try abandoned here may still go out."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._deliver, letter)

    async def close(self) -> None:
        """Nothing stays open."""

    def _deliver(self, letter: Letter) -> Outcome:
        told = apprise.Apprise(asset=ASSET)
        try:
            known = told.add(self._url.of(letter.contact))
        except AppriseImproperlyConfigured:
            known = False
        if not known:
            return failed("the channel's URL is not one that Apprise reads", "channel")
        if told.notify(title=letter.subject, body=letter.body, body_format=apprise.NotifyFormat.TEXT):
            return Outcome(State.SENT)
        return doubtful("the channel reports a failure, and not whether the notice was taken before")
