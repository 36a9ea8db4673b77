"""How a notice leaves: the channels by name, each with its breaker.

Invariants
- No error leaves a try without an end, and none takes longer than its channel's seconds.
- A channel, or the one server of a recipient, that fails several times in a row is left alone for a while, and then
  asked with a single notice.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, TypeAlias

from pydantic import Field, SecretStr

from tepat_notifications.channels.base import Channel, Letter, doubtful, named
from tepat_notifications.channels.gateway import Gateway
from tepat_notifications.channels.mail import SCHEMES, Mail, Other
from tepat_notifications.channels.sms import Sms
from tepat_notifications.channels.telegram import Telegram
from tepat_notifications.channels.webhook import Webhook
from tepat_notifications.channels.whatsapp import WhatsApp
from tepat_notifications.domain import Outcome
from tepat_notifications.trying import Breaker

__all__ = ["Channels", "Configured", "Letter"]

Configured: TypeAlias = SecretStr | Annotated[WhatsApp | Sms | Telegram | Webhook, Field(discriminator="kind")]
"""A channel in the settings: an Apprise URL with ``{fields}`` of contacts, or a gateway."""


class Channels:
    """The channels a notice may take, in the order in which they are tried."""

    def __init__(self, configured: Mapping[str, str | SecretStr | Gateway]) -> None:
        self._channels = {name: _channel(each) for name, each in configured.items()}
        self._breakers: dict[tuple[str, str], Breaker] = {}

    @property
    def names(self) -> list[str]:
        """The channels' names."""
        return list(self._channels)

    def __getitem__(self, name: str) -> Channel:
        return self._channels[name]

    def gateway(self, name: str) -> Gateway | None:
        """A channel that may call back; none: there is none of this name."""
        found = self._channels.get(name)
        return found if isinstance(found, Gateway) else None

    def limit(self, name: str) -> int | None:
        """Characters a message over a channel holds; none: room for all. An Apprise URL says so by its name."""
        limit = self._channels[name].limit
        return limit if limit is not None else LIMITS.get(name)

    def replied_to(self, name: str) -> bool:
        """Whether recipients can write back over a channel."""
        found = self.gateway(name)
        return found is not None and found.replied_to

    def keyed(self, name: str) -> bool:
        """Whether a try over this channel can be repeated without telling twice."""
        return name in self._channels and self._channels[name].keyed

    def unreachable(self, name: str, contact: Mapping[str, str]) -> str | None:
        """Why a contact cannot be reached over a channel; none: it can."""
        if name not in self._channels:
            return f"the channel {name} is no longer there"
        missing = [field for field in self._channels[name].fields if not contact.get(field)]
        return f"the agency's contact has no {' or '.join(missing)}" if missing else None

    def recipient(self, name: str, contact: Mapping[str, str]) -> str:
        """Whom a notice over this channel reaches, as the contact tells it."""
        return " ".join(contact[field] for field in self._channels[name].fields)

    def breaker(self, name: str, contact: Mapping[str, str]) -> Breaker:
        """What tells whether the channel may be asked for this contact."""
        return self._breakers.setdefault((name, self._channels[name].lane(contact)), Breaker())

    def room(self, name: str, under_way: int, now: datetime) -> int:
        """How many due notices of a channel are looked at: the free places, or many where it is to be left alone."""
        whole = self._breakers.get((name, ""))
        if whole is not None and whole.state(now) != "closed":
            return LOOKED_AT
        return max(self._channels[name].at_once - under_way, 0)

    def states(self, now: datetime) -> dict[str, str]:
        """The breaker of each channel: closed, open or half-open; of one with several servers the worst."""
        told = dict.fromkeys(self._channels, "closed")
        for (name, _), breaker in self._breakers.items():
            told[name] = max(told[name], breaker.state(now), key=("closed", "half-open", "open").index)
        return told

    async def send(self, name: str, letter: Letter) -> Outcome:
        """Send a notice; never raises. A try abandoned here may still go out."""
        channel = self._channels[name]
        try:
            async with asyncio.timeout(channel.seconds):
                return await channel.send(letter)
        except TimeoutError:
            return doubtful(f"no end after {channel.seconds:g} s")
        except Exception as error:  # whatever it was, what is not known is doubt
            return doubtful(named(error))

    async def close(self) -> None:
        """Let go of every connection, and forget what failed."""
        self._breakers.clear()
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))


LIMITS: Mapping[str, int] = {"sms": 160, "whatsapp": 1_000, "telegram": 1_000}
LOOKED_AT = 500
"""Notices of a channel that is left alone, looked at in one step: they take another, or wait."""


def _channel(configured: str | SecretStr | Gateway) -> Channel:
    if isinstance(configured, Gateway):
        return configured
    url = configured if isinstance(configured, str) else configured.get_secret_value()
    return Mail(url) if url.startswith(SCHEMES) else Other(url)
