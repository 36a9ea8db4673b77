"""How a try ends, by what the other side did: sent, certainly not sent, or nobody can know."""

import base64
import hashlib
import hmac
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import orjson
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from apprise.plugins.email.base import NotifyEmail
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tepat_notifications.channels import Channels, Letter
from tepat_notifications.channels.base import Forged, Report, plain, telephone
from tepat_notifications.channels.gateway import Call, Gateway
from tepat_notifications.channels.mail import DELIVERY_HEADER
from tepat_notifications.channels.sms import Sms
from tepat_notifications.channels.telegram import Telegram
from tepat_notifications.channels.webhook import Webhook, signature
from tepat_notifications.channels.whatsapp import WhatsApp
from tepat_notifications.domain import Outcome, State

from .conftest import Mail
from .gateways import HANGS_UP, Answer, Asked, Says, Server, serving

pytestmark = pytest.mark.integration

ID = UUID(int=7)
CONTACT = {
    "email": "pkh@dinsos.invalid", "phone": "0812-3456 7890", "telegram": "4711", "webhook": "https://dinsos.invalid/hook"
}  # fmt: skip
BODY = "Kepada Dinas Sosial,\n.\n\nselesai\n"


def letter(**contact: str) -> Letter:
    return Letter(ID, 2, "dinsos", CONTACT | contact, "Rp 750.000 – dua kali", BODY)


# -- e-mail ------------------------------------------------------------------------------------------------------


def over(address: str, mode: str = "insecure", login: str = "") -> Channels:
    sender = quote("Tepat <tepat@tepat.invalid>")
    return Channels({"email": f"mailto://{login}{address}/?mode={mode}&from={sender}&to={{email}}"})


async def mailed(channels: Channels, *letters: Letter) -> list[Outcome]:
    try:
        return [await channels.send("email", each) for each in letters]
    finally:
        await channels.close()


async def test_a_message_taken_is_sent(mail: Mail) -> None:
    assert await mailed(over(mail.address), letter()) == [Outcome(State.SENT)]
    (text,) = mail.texts
    assert text["Subject"] == "Rp 750.000 – dua kali"
    assert text["To"] == "pkh@dinsos.invalid"
    assert text["From"] == "Tepat <tepat@tepat.invalid>"
    assert text[DELIVERY_HEADER] == str(ID)
    assert text.get_content_type() == "text/plain"
    assert text.get_content().replace("\r\n", "\n") == BODY


async def test_a_session_is_used_again_and_opened_anew_where_the_server_ended_it(mail: Mail) -> None:
    channels = over(mail.address)
    assert {each.state for each in await mailed(channels, *[letter()] * 5)} == {State.SENT}
    assert mail.sessions == 1
    assert await channels.send("email", letter()) == Outcome(State.SENT)
    assert mail.sessions == 2
    mail.end_sessions()
    assert await mailed(channels, letter()) == [Outcome(State.SENT)]
    assert mail.sessions == 3
    assert len(mail.texts) == 7


@pytest.mark.parametrize(
    ("answer", "fault"), [("550 5.1.1 no such mailbox", "recipient"), ("450 4.2.0 busy, come again", None)]
)
async def test_a_recipient_refused_is_certain_and_spares_the_session(mail: Mail, answer: str, fault: str) -> None:
    mail.at_recipient = lambda address: answer if address.startswith("pkh") else None
    refused, sent = await mailed(over(mail.address), letter(), letter(email="other@dinsos.invalid"))
    assert (refused.state, refused.fault) == (State.FAILED, fault)
    assert answer in str(refused.reason)
    assert sent.state is State.SENT
    assert mail.sessions == 1
    assert len(mail.texts) == 1


@pytest.mark.parametrize("answer", ["554 5.6.0 spam", "452 4.3.1 full"])
async def test_a_text_refused_is_certain(mail: Mail, answer: str) -> None:
    mail.at_text = lambda server: answer
    (outcome,) = await mailed(over(mail.address), letter())
    assert outcome.state is State.FAILED
    assert answer in str(outcome.reason)


async def test_no_server_is_certain() -> None:
    (outcome,) = await mailed(over("127.0.0.1:1"), letter())
    assert (outcome.state, outcome.fault) == (State.FAILED, "channel")
    assert "ConnectionRefusedError" in str(outcome.reason)


async def test_a_connection_lost_before_the_text_is_certain(mail: Mail) -> None:
    mail.at_recipient = lambda address: "421 4.3.2 closing"
    (outcome,) = await mailed(over(mail.address), letter())
    assert (outcome.state, outcome.fault) == (State.FAILED, "channel")


async def test_a_connection_lost_after_the_text_is_doubt(mail: Mail) -> None:
    mail.at_text = lambda server: server.transport.abort()
    (outcome,) = await mailed(over(mail.address), letter())
    assert outcome.state is State.DOUBTFUL


async def test_silence_after_the_text_is_doubt(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NotifyEmail, "socket_connect_timeout", 0.3)
    end = threading.Event()

    def silent(server: Any) -> None:
        end.wait(10)

    mail.at_text = silent
    try:
        (outcome,) = await mailed(over(mail.address), letter())
        assert outcome.state is State.DOUBTFUL
    finally:
        end.set()


@pytest.mark.parametrize("to", ["nobody", "a@b@c", "a@b.invalid, c@d.invalid"])
async def test_an_address_that_is_none_is_certain(mail: Mail, to: str) -> None:
    (outcome,) = await mailed(over(mail.address), letter(email=to))
    assert (outcome.state, outcome.fault) == (State.FAILED, "recipient")
    assert mail.tries == 0


@pytest.mark.parametrize("url", ["nonsense", "mailto://", "mailto://:0/?to=a@b.invalid", "nosuchkind://x"])
async def test_a_url_that_is_none_is_certain(url: str) -> None:
    (outcome,) = await mailed(Channels({"email": url}), letter())
    assert outcome.state is State.FAILED


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture(params=["starttls", "ssl"])
def secured(request: pytest.FixtureRequest, certificate: Path) -> Iterator[tuple[str, str, Mail]]:
    """A mail server that takes nothing without encryption and a login: its address, its mode, and what it got."""

    def login(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        known = isinstance(given, LoginPassword) and (given.login, given.password) == (b"tepat", b"h@sh")
        return AuthResult(success=known, handled=known)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Mail(f"localhost:{port}")
    by_command = request.param == "starttls"
    options: dict[str, Any] = {"tls_context": context, "require_starttls": True} if by_command else {}
    controller = Controller(
        server, hostname="127.0.0.1", port=port, ready_timeout=10, ssl_context=None if by_command else context,
        authenticator=login, auth_required=True, auth_require_tls=by_command, **options,
    )  # fmt: skip

    def knock() -> None:
        """As the controller does, which trusts no certificate of its own making."""
        trusting = ssl.create_default_context(cafile=certificate)
        with smtplib.SMTP_SSL("localhost", port, timeout=10, context=trusting) as client:
            client.noop()

    if not by_command:
        controller._trigger_server = knock
    controller.start()
    yield server.address, request.param, server
    controller.stop(no_assert=True)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it does not see that all of it is TLS
async def test_mail_over_an_encrypted_session_with_a_login(
    secured: tuple[str, str, Mail], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, mode, server = secured
    (untrusted,) = await mailed(over(address, mode, "tepat:h%40sh@"), letter())
    assert (untrusted.state, untrusted.fault) == (State.FAILED, "channel")
    assert "CERTIFICATE_VERIFY_FAILED" in str(untrusted.reason)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    (refused,) = await mailed(over(address, mode, "tepat:wrong@"), letter())
    assert (refused.state, refused.fault) == (State.FAILED, "channel")
    assert server.texts == []
    sent = await mailed(over(address, mode, "tepat:h%40sh@"), letter(), letter())
    assert sent == [Outcome(State.SENT)] * 2
    assert [text["To"] for text in server.texts] == ["pkh@dinsos.invalid"] * 2


async def test_a_server_that_offers_no_encryption_gets_nothing(mail: Mail) -> None:
    (outcome,) = await mailed(over(mail.address, "starttls"), letter())
    assert outcome.state is State.FAILED
    assert mail.tries == 0


# -- gateways over HTTP ------------------------------------------------------------------------------------------


def whatsapp(url: str, **more: Any) -> WhatsApp:
    return WhatsApp.model_validate(
        {"kind": "whatsapp", "phone_id": "106", "token": "EAAG", "app_secret": "app", "verify_token": "hello",
         "url": url} | more
    )  # fmt: skip


def sms(url: str, **more: Any) -> Sms:
    return Sms.model_validate({"kind": "sms", "account": "AC1", "token": "auth", "sender": "TEPAT", "url": url} | more)


def telegram(url: str) -> Telegram:
    return Telegram.model_validate({"kind": "telegram", "token": "1:bot", "url": url})


def webhook(**more: Any) -> Webhook:
    return Webhook.model_validate({"kind": "webhook", "secrets": {"dinsos": "between us"}, "unencrypted": True} | more)


async def tried(gateway: Gateway, one: Letter) -> Outcome:
    channels = Channels({"it": gateway})
    try:
        return await channels.send("it", one)
    finally:
        await channels.close()


TAKEN: dict[str, Answer] = {
    "whatsapp": lambda asked: Says(200, {"messaging_product": "whatsapp", "messages": [{"id": "wamid.1"}]}),
    "sms": lambda asked: Says(201, {"sid": "SM1", "status": "queued", "error_code": None}),
    "telegram": lambda asked: Says(200, {"ok": True, "result": {"message_id": 1}}),
    "webhook": lambda asked: Says(204, b""),
}


def one_of(kind: str, server: Server, seconds: float = 20) -> tuple[Gateway, Letter]:
    match kind:
        case "whatsapp":
            return whatsapp(server.url, seconds=seconds), letter()
        case "sms":
            return sms(server.url, seconds=seconds), letter()
        case "telegram":
            made = telegram(server.url)
            return made.model_copy(update={"seconds": seconds}), letter()
        case _:
            return webhook(seconds=seconds), letter(webhook=f"{server.url}/hook")


KINDS = list(TAKEN)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_gateway_takes_is_sent(kind: str) -> None:
    with serving(TAKEN[kind]) as server:
        outcome = await tried(*one_of(kind, server))
    assert outcome.state is State.SENT
    assert outcome.message_id == {"whatsapp": "wamid.1", "sms": "SM1", "telegram": "1", "webhook": None}[kind]
    assert len(server.asked) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_gateway_that_is_not_there_is_certain(kind: str) -> None:
    with serving(TAKEN[kind]) as server:
        gateway, one = one_of(kind, server)
    outcome = await tried(gateway, one)
    assert (outcome.state, outcome.fault) == (State.FAILED, "channel")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_gateway_that_takes_it_and_hangs_up_is_doubt(kind: str) -> None:
    with serving(lambda asked: HANGS_UP) as server:
        outcome = await tried(*one_of(kind, server))
    assert (outcome.state, outcome.fault) == (State.DOUBTFUL, "channel")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_gateway_that_does_not_answer_in_time_is_doubt(kind: str) -> None:
    end = threading.Event()

    def slow(asked: Asked) -> Says:
        end.wait(10)
        return Says(200)

    with serving(slow) as server:
        try:
            outcome = await tried(*one_of(kind, server, seconds=0.2))
        finally:
            end.set()
    assert (outcome.state, outcome.fault) == (State.DOUBTFUL, "channel")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "state", "fault"),
    [
        (302, State.FAILED, "recipient"), (400, State.FAILED, "recipient"), (401, State.FAILED, "channel"),
        (429, State.FAILED, "channel"), (500, State.DOUBTFUL, "channel"), (502, State.DOUBTFUL, "channel"),
        (503, State.DOUBTFUL, "channel"),
    ],
)  # fmt: skip
async def test_what_a_status_means(kind: str, status: int, state: State, fault: str) -> None:
    with serving(lambda asked: Says(status, b"3374014107850001 <no JSON", {"Location": "/elsewhere"})) as server:
        outcome = await tried(*one_of(kind, server))
    assert (outcome.state, outcome.fault) == (state, fault)
    assert len(server.asked) == 1
    assert "3374014107850001" not in str(outcome.reason)


@pytest.mark.parametrize("kind", KINDS)
async def test_one_that_asks_to_come_again_is_certain_and_waited_for(kind: str) -> None:
    with serving(lambda asked: Says(503, {}, {"Retry-After": "120"})) as server:
        outcome = await tried(*one_of(kind, server))
    assert (outcome.state, outcome.fault, outcome.again_after) == (State.FAILED, "channel", 120)


@pytest.mark.parametrize("kind", ["whatsapp", "sms", "telegram"])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"ok": 1, "messages": [], "status": "queued"}'])
async def test_an_answer_that_is_not_documented_is_doubt(kind: str, body: bytes) -> None:
    with serving(lambda asked: Says(200, body)) as server:
        outcome = await tried(*one_of(kind, server))
    assert outcome.state is State.DOUBTFUL


async def test_whatsapp_is_asked_as_it_documents() -> None:
    with serving(TAKEN["whatsapp"]) as server:
        await tried(whatsapp(server.url), letter())
        await tried(whatsapp(server.url, template={"name": "tepat_kabar"}), letter())
        none = await tried(whatsapp(server.url), letter(phone="call me"))
    text, template = server.asked
    assert text.path == "/106/messages"
    assert text.headers["authorization"] == "Bearer EAAG"
    assert text.json == {
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": "6281234567890", "type": "text",
        "biz_opaque_callback_data": f"{ID}.2",
        "text": {"preview_url": False, "body": f"Rp 750.000 – dua kali\n\n{BODY}".strip()},
    }  # fmt: skip
    assert template.json["template"] == {
        "name": "tepat_kabar", "language": {"code": "id"},
        "components": [{"type": "body", "parameters": [
            {"type": "text", "text": "Rp 750.000 – dua kali Kepada Dinas Sosial, . selesai"}]}],
    }  # fmt: skip
    assert (none.state, none.fault) == (State.FAILED, "recipient")


@pytest.mark.parametrize(
    ("status", "code", "state", "fault"),
    [
        (400, 131026, State.FAILED, "recipient"), (400, 131056, State.FAILED, "channel"),
        (401, 190, State.FAILED, "channel"), (500, 131000, State.FAILED, "channel"),
        (500, 1, State.DOUBTFUL, "channel"),
    ],
)  # fmt: skip
async def test_whatsapps_errors(status: int, code: int, state: State, fault: str) -> None:
    error = {"error": {"message": "(#…) it does not go", "type": "OAuthException", "code": code, "fbtrace_id": "A"}}
    with serving(lambda asked: Says(status, error)) as server:
        outcome = await tried(whatsapp(server.url), letter())
    assert (outcome.state, outcome.fault) == (state, fault)
    assert f"{code} (#…) it does not go" in str(outcome.reason)


async def test_an_sms_is_asked_as_it_is_documented() -> None:
    callback = "https://tepat.example/v1/callbacks/sms"
    with serving(TAKEN["sms"]) as server:
        await tried(sms(server.url, callback=callback), letter())
        await tried(sms(server.url, sender=None, service="MG1"), letter())
    first, second = server.asked
    assert first.path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert first.headers["authorization"] == f"Basic {base64.b64encode(b'AC1:auth').decode()}"
    assert first.form == {
        "To": "+6281234567890", "From": "TEPAT", "Body": "Rp 750.000 - dua kali\n\nKepada Dinas Sosial,\n.\n\nselesai",
        "StatusCallback": f"{callback}?try={ID}.2",
    }  # fmt: skip
    assert {"From", "StatusCallback"}.isdisjoint(second.form)
    assert second.form["MessagingServiceSid"] == "MG1"


async def test_an_sms_taken_as_failed_is_certain() -> None:
    says = {"sid": "SM1", "status": "failed", "error_code": 30006, "error_message": "Landline"}
    with serving(lambda asked: Says(201, says)) as server:
        outcome = await tried(sms(server.url), letter())
    assert (outcome.state, outcome.fault) == (State.FAILED, "recipient")
    assert "30006 Landline" in str(outcome.reason)


async def test_telegram_is_asked_as_it_documents() -> None:
    with serving(TAKEN["telegram"]) as server:
        await tried(telegram(server.url), letter())
        server.answer = lambda asked: Says(
            429, {"ok": False, "description": "Too Many Requests", "parameters": {"retry_after": 7}}
        )
        busy = await tried(telegram(server.url), letter())
        server.answer = lambda asked: Says(403, {"ok": False, "description": "Forbidden: bot was blocked by the user"})
        blocked = await tried(telegram(server.url), letter())
    assert server.asked[0].path == "/bot1:bot/sendMessage"
    assert server.asked[0].json["chat_id"] == "4711"
    assert (busy.state, busy.fault, busy.again_after) == (State.FAILED, "channel", 7)
    assert (blocked.state, blocked.fault) == (State.FAILED, "recipient")
    assert "blocked by the user" in str(blocked.reason)


async def test_no_reason_holds_the_bots_token() -> None:
    with serving(lambda asked: HANGS_UP) as server:
        outcome = await tried(telegram(server.url), letter())
    assert "1:bot" not in str(outcome.reason)


async def test_a_webhook_is_signed_over_its_time_and_text() -> None:
    with serving(TAKEN["webhook"]) as server:
        for _ in range(2):
            await tried(*one_of("webhook", server))
    first, again = server.asked
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"] == str(ID)
    assert first.json == {
        "delivery_id": str(ID), "recipient": "dinsos", "subject": "Rp 750.000 – dua kali", "text": BODY
    }  # fmt: skip
    stamp = first.headers["tepat-timestamp"]
    assert abs(time.time() - int(stamp)) < 60
    made = hmac.new(b"between us", f"{stamp}.".encode() + first.body, hashlib.sha256).hexdigest()
    assert first.headers["tepat-signature"] == f"v1={made}" == f"v1={signature('between us', stamp, first.body)}"


async def test_a_webhook_without_a_secret_or_encryption_is_not_sent() -> None:
    stranger = Letter(ID, 1, "himbara", CONTACT, "a", "b")
    for gateway, one in ((webhook(), stranger), (webhook(unencrypted=False), letter(webhook="http://h.invalid/x")),
                         (webhook(), letter(webhook="file:///etc/passwd"))):  # fmt: skip
        outcome = await tried(gateway, one)
        assert (outcome.state, outcome.fault) == (State.FAILED, "recipient")


async def test_connections_to_a_gateway_are_used_again() -> None:
    with serving(TAKEN["webhook"]) as server:
        gateway, one = one_of("webhook", server)
        channels = Channels({"it": gateway})
        for _ in range(5):
            assert (await channels.send("it", one)).state is State.SENT
        await channels.close()
    assert server.connections == 1


async def test_another_channel_is_sent_or_in_doubt() -> None:
    with serving(lambda asked: Says(200)) as server:
        channels = Channels({"it": f"json://{server.url.removeprefix('http://')}/notices"})
        assert await channels.send("it", letter()) == Outcome(State.SENT)
        server.answer = lambda asked: Says(500)
        assert (await channels.send("it", letter())).state is State.DOUBTFUL
        await channels.close()


# -- callbacks ---------------------------------------------------------------------------------------------------


def statuses(*told: tuple[str, str]) -> bytes:
    each = [
        {"id": "wamid.1", "status": status, "recipient_id": "62", "biz_opaque_callback_data": reference}
        | ({"errors": [{"code": 131026, "title": "Message undeliverable"}]} if status == "failed" else {})
        for reference, status in told
    ]  # fmt: skip
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "106"}, "statuses": each}
    entry = [{"id": "1", "changes": [{"field": "messages", "value": value}]}]
    return orjson.dumps({"object": "whatsapp_business_account", "entry": entry})


def signed(body: bytes, secret: bytes = b"app") -> dict[str, str]:
    return {"x-hub-signature-256": f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"}


def test_whatsapps_callbacks_are_read_where_they_are_signed() -> None:
    gateway = whatsapp("http://h")
    body = statuses((f"{ID}.1", "read"), (f"{ID}.2", "failed"), (f"{ID}.3", "played"))
    assert gateway.reports(Call("", signed(body), body)) == [
        Report(f"{ID}.1", State.READ), Report(f"{ID}.2", State.FAILED, "131026 Message undeliverable"),
    ]  # fmt: skip
    message = orjson.dumps({"entry": [{"changes": [{"value": {"messages": [{"text": {"body": "terima kasih"}}]}}]}]})
    assert gateway.reports(Call("", signed(message), message)) == []
    for headers in ({}, signed(body, b"other"), signed(body + b" "), {"x-hub-signature-256": "sha256=é"}):
        with pytest.raises(Forged):
            gateway.reports(Call("", headers, body))


def test_whatsapp_is_greeted_only_with_the_verify_token() -> None:
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "hello"}
    assert whatsapp("http://h").greet(Call(urlencode(asked), {}, b"")) == "1158201444"
    for gateway, said in ((whatsapp("http://h"), "bye"), (whatsapp("http://h", verify_token=None), "")):
        with pytest.raises(Forged):
            gateway.greet(Call(urlencode(asked | {"hub.verify_token": said}), {}, b""))


def of_twilio(url: str, form: dict[str, str], secret: bytes = b"auth") -> dict[str, str]:
    told = url + "".join(name + form[name] for name in sorted(form))
    return {"x-twilio-signature": base64.b64encode(hmac.new(secret, told.encode(), hashlib.sha1).digest()).decode()}


def test_an_sms_gateways_callbacks_are_read_where_they_are_signed() -> None:
    callback = "https://tepat.example/v1/callbacks/sms"
    gateway = sms("http://h", callback=callback)
    query = urlencode({"try": f"{ID}.1"})
    form = {
        "MessageSid": "SM1",
        "MessageStatus": "undelivered",
        "ErrorCode": "30003",
        "To": "+62812",
        "AccountSid": "A",
    }
    for told, reports in (
        (form, [Report(f"{ID}.1", State.FAILED, "30003")]),
        (form | {"MessageStatus": "sending"}, []),
        ({"MessageSid": "SM1", "MessageStatus": "delivered", "Later": ""}, [Report(f"{ID}.1", State.DELIVERED)]),
    ):
        body = urlencode(told).encode()
        assert gateway.reports(Call(query, of_twilio(f"{callback}?{query}", told), body)) == reports
        for headers in ({}, of_twilio(callback, told), of_twilio(f"{callback}?{query}", told, b"other")):
            with pytest.raises(Forged):
                gateway.reports(Call(query, headers, body))
    unset = sms("http://h")
    with pytest.raises(Forged):
        unset.reports(Call(query, of_twilio(f"None?{query}", form), urlencode(form).encode()))


def test_a_channel_without_callbacks_takes_none() -> None:
    for gateway in (telegram("http://h"), webhook()):
        with pytest.raises(Forged):
            gateway.reports(Call("", {}, b"{}"))
        with pytest.raises(Forged):
            gateway.greet(Call("", {}, b""))


# -- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0812-3456 7890", "+6281234567890"), ("62 812 3456 7890", "+6281234567890"),
        ("+62 (812) 3456.7890", "+6281234567890"), ("+14155550100", "+14155550100"),
        ("812", None), ("+0812345678", None), ("call me", None), ("", None), ("0812345678901234567", None),
    ],
)  # fmt: skip
def test_a_telephone_number_as_it_is_dialled(written: str, number: str | None) -> None:
    assert telephone(written) == number


def test_an_sms_holds_only_letters_of_its_own() -> None:
    assert plain("Rp 750.000 – “dua” kali… Ñ é") == 'Rp 750.000 - "dua" kali. N e'


@pytest.mark.parametrize("limit", [40, 70, 160, 1000])
def test_what_is_too_long_ends_where_a_line_does(limit: int) -> None:
    lines = "\n".join(f"Kasus {n}" for n in range(200))
    one = Letter(ID, 1, "dinsos", CONTACT, "Tahan dulu", lines)
    told = one.within(limit)
    assert len(told) <= limit
    assert told.startswith("Tahan dulu\n\nKasus 0\n")
    assert told.removesuffix("...").rsplit("\n", 1)[-1] in lines.split("\n")
    assert Letter(ID, 1, "dinsos", CONTACT, "Tahan dulu", lines, "2 kasus").within(limit) == "2 kasus"
    assert Letter(ID, 1, "dinsos", CONTACT, "Tahan", "dulu").within(limit) == "Tahan\n\ndulu"


async def test_a_channel_asks_the_contact_for_what_it_needs(mail: Mail) -> None:
    channels = Channels({"email": f"mailto://{mail.address}/?from=a@b.invalid&to={{email}}", "wa": "json://x/{phone}"})
    assert channels.names == ["email", "wa"]
    assert channels.unreachable("wa", {"email": "a@b.invalid"}) == "the agency's contact has no phone"
    assert channels.unreachable("email", {"email": "a@b.invalid"}) is None
    assert channels.unreachable("email", {"email": ""}) == "the agency's contact has no email"
    assert channels.unreachable("fax", {}) == "the channel fax is no longer there"
    assert channels.recipient("wa", {"phone": "+62 8/1"}) == "+62 8/1"
