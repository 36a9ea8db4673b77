"""The notifications service's settings."""

from typing import Annotated, Final
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr
from tepat_chassis.settings import DatabaseUrl, ServiceSettings

from tepat_notifications.channels import Configured

MODES: Final = {"smtp": "insecure", "starttls": "starttls", "smtps": "ssl"}


def _server(value: SecretStr) -> SecretStr:
    given = value.get_secret_value()
    try:
        parts = urlsplit(given if "://" in given else f"smtp://{given}")
        complete = parts.scheme in MODES and parts.hostname and parts.port
    except ValueError:
        complete = False
    if not complete:
        raise ValueError("write it as host:port, starttls://user:password@host:port or smtps://user:password@host:port")
    return value


def _address(value: str) -> str:
    if not value.startswith(("https://", "http://")) or any(c.isspace() for c in value):
        raise ValueError("write it as https://host")
    return value.rstrip("/")


class NotificationsSettings(ServiceSettings):
    """Settings of every service, the database of this one (TEPAT_NOTIFICATIONS_URL), and how it sends."""

    service = "notifications"

    notifications_url: DatabaseUrl = Field(description="database of the notifications service")
    notifications_smtp: Annotated[SecretStr, AfterValidator(_server)] = Field(
        SecretStr("localhost:25"),
        description="mail server: host:port (no encryption, no login), starttls://user:password@host:port, or smtps://…",
    )
    notifications_from: str = Field("Tepat <tepat@localhost.localdomain>", description="sender of the mail")
    notifications_channels: dict[str, Configured] = Field(
        default_factory=dict,
        description="channels by name, in the order in which they are tried after e-mail: each a gateway (an object "
        "with its kind: whatsapp, sms, telegram, webhook) or an Apprise URL with {fields} of the agencies' contacts; "
        "one named email takes the place of the mail server above",
    )
    notifications_gather_seconds: float = Field(
        2.0, ge=0, le=60, description="how long a notice at once waits for what comes with it"
    )

    notifications_link: Annotated[str, AfterValidator(_address)] | None = Field(
        None,
        description="address under which recipients reach this service, such as https://tepat.example.invalid: "
        "notices then carry a link by which they are acknowledged",
    )

    @property
    def channels(self) -> dict[str, Configured]:
        """The channels by name, e-mail first; they hold secrets: not for logs."""
        given = self.notifications_smtp.get_secret_value()
        server = urlsplit(given if "://" in given else f"smtp://{given}")
        login = ":".join(quote(unquote(each), safe="") for each in (server.username, server.password) if each)
        place = f"{login}@{server.hostname}" if login else server.hostname
        mail = (
            f"mailto://{place}:{server.port}/?mode={MODES[server.scheme]}"
            f"&from={quote(self.notifications_from, safe='')}&to={{email}}"
        )
        return {"email": SecretStr(mail)} | self.notifications_channels
