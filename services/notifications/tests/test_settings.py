"""How the service is told what to send over."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr
from tepat_notifications.channels import Channels
from tepat_notifications.channels.sms import Sms
from tepat_notifications.channels.whatsapp import WhatsApp
from tepat_notifications.settings import NotificationsSettings


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    (tmp_path / "jwks.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "KAFKA": "h:1", "NOTIFICATIONS_URL": "postgresql://h/d", "SECRETS": str(tmp_path),
        "JWKS": str(tmp_path / "jwks.json"), "ISSUER": "here",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"TEPAT_{name}", value)
    return monkeypatch


def mail_url(environment: pytest.MonkeyPatch, server: str) -> str:
    environment.setenv("TEPAT_NOTIFICATIONS_SMTP", server)
    (url,) = NotificationsSettings.load([]).channels.values()
    assert isinstance(url, SecretStr)
    return url.get_secret_value()


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("127.0.0.1:2525", "mailto://127.0.0.1:2525/?mode=insecure"),
        ("smtp://mail.invalid:25", "mailto://mail.invalid:25/?mode=insecure"),
        ("starttls://tepat:h%40sh@mail.invalid:587", "mailto://tepat:h%40sh@mail.invalid:587/?mode=starttls"),
        ("smtps://tepat:{hush}@mail.invalid:465", "mailto://tepat:%7Bhush%7D@mail.invalid:465/?mode=ssl"),
    ],
)
def test_mail_goes_through_the_server_named(environment: pytest.MonkeyPatch, server: str, url: str) -> None:
    sender = "Tepat%20%3Ctepat%40localhost.localdomain%3E"
    assert mail_url(environment, server) == f"{url}&from={sender}&to={{email}}"


def test_further_channels_in_their_order_and_one_in_the_mail_servers_place(environment: pytest.MonkeyPatch) -> None:
    whatsapp = {"kind": "whatsapp", "phone_id": "1", "token": "hush", "app_secret": "hush"}
    sms = {"kind": "sms", "account": "AC1", "token": "hush", "sender": "TEPAT"}
    environment.setenv("TEPAT_NOTIFICATIONS_CHANNELS", json.dumps({
        "wa": whatsapp, "email": "mailtos://u:hush@h?to={email}", "sms": sms, "chat": "json://{x}"
    }))  # fmt: skip
    settings = NotificationsSettings.load([])
    channels = settings.channels
    assert list(channels) == ["email", "wa", "sms", "chat"]
    assert isinstance(channels["wa"], WhatsApp)
    assert isinstance(channels["sms"], Sms)
    assert "hush" not in repr(settings) + repr(channels)
    made = Channels(channels)
    assert [made[name].fields for name in made.names] == [("email",), ("phone",), ("phone",), ("x",)]


@pytest.mark.parametrize(
    "channel",
    [
        {"kind": "whatsapp", "phone_id": "1"},
        {"kind": "pigeon", "token": "hush"},
        {"kind": "sms", "account": "AC1", "token": "hush"},
        {"kind": "sms", "account": "AC1", "token": "hush", "sender": "A", "service": "B"},
        {"kind": "webhook", "secrets": {}},
        {"kind": "telegram", "token": "hush", "chat": 1},
    ],
)
def test_a_channel_that_is_none_ends_with_status_2_and_tells_no_secret(
    environment: pytest.MonkeyPatch, channel: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("TEPAT_NOTIFICATIONS_CHANNELS", json.dumps({"x": channel}))
    with pytest.raises(SystemExit) as ended:
        NotificationsSettings.load([])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "notifications_channels" in told
    assert "hush" not in told


@pytest.mark.parametrize("server", ["localhost", ":25", "localhost:smtp", "pop3://h:110", "smtps://h"])
def test_a_server_that_is_none_ends_with_status_2(
    environment: pytest.MonkeyPatch, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("TEPAT_NOTIFICATIONS_SMTP", server)
    with pytest.raises(SystemExit) as ended:
        NotificationsSettings.load([])
    assert ended.value.code == 2
    assert "host:port" in capsys.readouterr().err
