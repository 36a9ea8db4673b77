"""How the service is told what to send over."""

from pathlib import Path
from urllib.parse import unquote

import pytest
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


def test_mail_goes_through_the_server_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TEPAT_NOTIFICATIONS_SMTP", "127.0.0.1:2525")
    (url,) = NotificationsSettings.load([]).channels.values()
    assert unquote(url) == (
        "mailto://127.0.0.1:2525/?mode=insecure&from=Tepat <tepat@localhost.localdomain>&to={email}"
    )


def test_further_channels_and_one_in_the_mail_servers_place(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TEPAT_NOTIFICATIONS_CHANNELS", '{"email": "mailtos://u:hush@h?to={email}", "wa": "json://{x}"}')
    settings = NotificationsSettings.load([])
    assert settings.channels == {"email": "mailtos://u:hush@h?to={email}", "wa": "json://{x}"}
    assert "hush" not in repr(settings)


@pytest.mark.parametrize("server", ["localhost", ":25", "localhost:smtp"])
def test_a_server_that_is_none_ends_with_status_2(
    environment: pytest.MonkeyPatch, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("TEPAT_NOTIFICATIONS_SMTP", server)
    with pytest.raises(SystemExit) as ended:
        NotificationsSettings.load([])
    assert ended.value.code == 2
    assert "host:port" in capsys.readouterr().err
