"""The notifications service's settings."""

from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, Field, SecretStr
from tepat_chassis.settings import DatabaseUrl, ServiceSettings


def _server(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("write it as host:port")
    return value


def _address(value: str) -> str:
    if not value.startswith(("https://", "http://")) or any(c.isspace() for c in value):
        raise ValueError("write it as https://host")
    return value.rstrip("/")


class NotificationsSettings(ServiceSettings):
    """Settings of every service, the database of this one (TEPAT_NOTIFICATIONS_URL), and how it sends."""

    service = "notifications"

    notifications_url: DatabaseUrl = Field(description="database of the notifications service")
    notifications_smtp: Annotated[str, AfterValidator(_server)] = Field(
        "localhost:25", description="mail server, host:port, without a login"
    )
    notifications_from: str = Field("Tepat <tepat@localhost.localdomain>", description="sender of the mail")
    notifications_channels: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="channels by name, each an Apprise URL with {fields} of the agencies' contacts; "
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
    def channels(self) -> dict[str, str]:
        """Apprise URLs by the channel's name, with their secrets: not for logs."""
        sender = quote(self.notifications_from, safe="")
        mail = f"mailto://{self.notifications_smtp}/?mode=insecure&from={sender}&to={{email}}"
        given = {name: url.get_secret_value() for name, url in self.notifications_channels.items()}
        return {"email": mail} | given
