"""How a try ends, by what the other side did: sent, certainly not sent, or nobody can know."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from apprise.plugins.email.base import NotifyEmail
from tepat_notifications.channels import DELIVERY_HEADER, Channels, Letter, deliver
from tepat_notifications.domain import Outcome, State

ID = UUID(int=7)


def letter(address: str, to: str = "pkh@dinsos.invalid") -> Letter:
    url = f"mailto://{address}/?mode=insecure&from={quote('Tepat <tepat@tepat.invalid>')}&to={quote(to)}"
    return Letter(ID, url, "Rp 750.000 – dua kali", "Kepada Dinas Sosial,\n.\n\nselesai\n")


def test_a_message_taken_is_sent(mail: Any) -> None:
    assert deliver(letter(mail.address)) == Outcome(State.SENT)
    (text,) = mail.texts
    assert text["Subject"] == "Rp 750.000 – dua kali"
    assert text["To"] == "pkh@dinsos.invalid"
    assert text["From"] == "Tepat <tepat@tepat.invalid>"
    assert text[DELIVERY_HEADER] == str(ID)
    assert text.get_content_type() == "text/plain"
    assert text.get_content().replace("\r\n", "\n") == "Kepada Dinas Sosial,\n.\n\nselesai\n"


@pytest.mark.parametrize("answer", ["550 5.1.1 no such mailbox", "450 4.2.0 busy, come again"])
def test_a_recipient_refused_is_certain(mail: Any, answer: str) -> None:
    mail.at_recipient = lambda address: answer
    outcome = deliver(letter(mail.address))
    assert outcome.state is State.FAILED
    assert answer in str(outcome.reason)
    assert mail.texts == []


@pytest.mark.parametrize("answer", ["554 5.6.0 spam", "452 4.3.1 full"])
def test_a_text_refused_is_certain(mail: Any, answer: str) -> None:
    mail.at_text = lambda server: answer
    outcome = deliver(letter(mail.address))
    assert outcome.state is State.FAILED
    assert answer in str(outcome.reason)


def test_no_server_is_certain(mail: Any) -> None:
    outcome = deliver(letter("127.0.0.1:1"))
    assert outcome.state is State.FAILED
    assert "ConnectionRefusedError" in str(outcome.reason)


def test_a_connection_lost_before_the_text_is_certain(mail: Any) -> None:
    def hang_up(address: str) -> str:
        return "421 4.3.2 closing"

    mail.at_recipient = hang_up
    assert deliver(letter(mail.address)).state is State.FAILED


def test_a_connection_lost_after_the_text_is_doubt(mail: Any) -> None:
    mail.at_text = lambda server: server.transport.abort()
    outcome = deliver(letter(mail.address))
    assert outcome.state is State.DOUBTFUL


def test_silence_after_the_text_is_doubt(mail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NotifyEmail, "socket_connect_timeout", 0.3)
    end = threading.Event()

    def silent(server: Any) -> None:
        end.wait(10)

    mail.at_text = silent
    try:
        assert deliver(letter(mail.address)).state is State.DOUBTFUL
    finally:
        end.set()


@pytest.mark.parametrize("to", ["nobody", "a@b@c", "a@b.invalid, c@d.invalid"])
def test_an_address_that_is_none_is_certain(mail: Any, to: str) -> None:
    outcome = deliver(letter(mail.address, to))
    assert outcome.state is State.FAILED
    assert mail.tries == 0


@pytest.mark.parametrize("url", ["nonsense", "mailto://", "mailto://:0/?to=a@b.invalid", "nosuchkind://x"])
def test_a_url_that_is_none_is_certain(url: str) -> None:
    assert deliver(Letter(ID, url, "a", "b")).state is State.FAILED


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[int]]]:
    """A webhook that answers with the first of the statuses."""
    statuses: list[int] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(statuses[0])
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", statuses
        server.shutdown()
        thread.join()


def test_another_channel_is_sent_or_in_doubt(gateway: tuple[str, list[int]]) -> None:
    address, statuses = gateway
    statuses.append(200)
    assert deliver(Letter(ID, f"json://{address}/notices", "a", "b")) == Outcome(State.SENT)
    statuses[0] = 500
    assert deliver(Letter(ID, f"json://{address}/notices", "a", "b")).state is State.DOUBTFUL


async def test_a_channel_asks_the_contact_for_what_its_url_names(mail: Any) -> None:
    channels = Channels({"email": f"mailto://{mail.address}/?from=a@b.invalid&to={{email}}", "wa": "json://x/{phone}"})
    assert channels.names == ["email", "wa"]
    assert channels.missing("wa", {"email": "a@b.invalid"}) == ["phone"]
    assert channels.missing("email", {"email": "a@b.invalid"}) == []
    assert channels.missing("email", {"email": ""}) == ["email"]
    assert channels.url("wa", {"phone": "+62 8/1"}) == "json://x/%2B62%208%2F1"
    assert channels.recipient("wa", {"phone": "+62 8/1"}) == "+62 8/1"
    sent = await channels.send(Letter(ID, channels.url("email", {"email": "c@d.invalid"}), "a", "b"))
    assert sent == Outcome(State.SENT)
    assert mail.texts[0]["To"] == "c@d.invalid"
