"""What every channel is, and what goes over it.

Invariants
- A try ends as *sent* where the other side said so, as *failed* only where it is certain that it did not take the
  notice, else as *doubtful*.
- A reason holds nothing that looks like a NIK, and no secret of a channel.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol
from uuid import UUID

from tepat_chassis.logging import mask

from tepat_notifications.domain import Fault, Outcome, State

REASON_LENGTH: Final = 300


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice on its way out.

    Args:
        attempt: which try of the notice it is, from 1, whatever the channel.
        contact: how its recipient is reached; a channel takes the fields it knows.
        short: the notice in few words, for channels that carry no more, where there are such words.
    """

    delivery_id: UUID
    attempt: int
    recipient: str
    contact: Mapping[str, str]
    subject: str
    body: str
    short: str | None = None

    @property
    def reference(self) -> str:
        """What a gateway is given and gives back when it reports what became of this very try."""
        return f"{self.delivery_id}.{self.attempt}"

    def within(self, limit: int) -> str:
        """What fits of it into ``limit`` characters: the short words if it has them, all of it, or its first lines."""
        if self.short is not None and len(self.short) <= limit:
            return self.short
        whole = f"{self.subject}\n\n{self.body}".strip()
        if len(whole) <= limit:
            return whole
        cut = whole[: limit - 3]
        lines = cut.rpartition("\n")[0].rstrip()
        return (lines if len(lines) > limit // 2 else cut) + "..."


class Report(NamedTuple):
    """What a gateway reports of a try: sent (taken on), delivered, read, or failed for a reason."""

    reference: str
    state: State
    reason: str | None = None


class Reply(NamedTuple):
    """What a recipient wrote back. ``sender``: the address it came from, as ``Gateway.address`` writes addresses."""

    message_id: str
    sender: str
    text: str


class Forged(Exception):
    """A callback that does not come from the gateway, and why that is known."""

    def __init__(self, why: Literal["forged", "no_greeting", "no_callbacks"] = "forged") -> None:
        super().__init__(why)
        self.why = why


class Channel(Protocol):
    """A way to a recipient.

    ``fields`` of a contact it needs; ``limit``, the characters a message holds, none where there is room for all; tries
    it makes ``at_once``; a try is given up after ``seconds``; ``keyed`` where the other side takes a notice once,
    however often it is sent under one key, so that a try in doubt can be repeated.
    """

    @property
    def fields(self) -> tuple[str, ...]: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def at_once(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def keyed(self) -> bool: ...

    def lane(self, contact: Mapping[str, str]) -> str:
        """What fails together: empty for the channel as a whole, else the server that this contact is reached by."""
        ...

    async def send(self, letter: Letter) -> Outcome:
        """Try once. May raise anything: that is doubt."""
        ...

    async def close(self) -> None:
        """Let go of connections; sending opens them anew."""
        ...


def failed(reason: str, fault: Fault | None = None, again_after: float | None = None) -> Outcome:
    """It certainly was not taken."""
    return Outcome(State.FAILED, mask(reason)[:REASON_LENGTH], fault, again_after)


def doubtful(reason: str, fault: Fault | None = "channel") -> Outcome:
    """It may have been taken."""
    return Outcome(State.DOUBTFUL, mask(reason)[:REASON_LENGTH], fault)


def named(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


_SEPARATORS: Final = re.compile(r"[\s().-]+")
_NUMBER: Final = re.compile(r"\+[1-9]\d{7,14}")


def telephone(written: str) -> str | None:
    """A telephone number as E.164 has it (+628123456789), Indonesian where it begins with 0 or 62; none: it is none."""
    number = _SEPARATORS.sub("", written)
    if number.startswith("0"):
        number = f"+62{number[1:]}"
    elif number.startswith("62"):
        number = f"+{number}"
    return number if _NUMBER.fullmatch(number) else None


_TYPOGRAPHY: Final[Mapping[int, Any]] = str.maketrans("–—‘’“”…·\u00a0", "--''\"\".- ", "")


def plain(text: str) -> str:
    """Text in the letters of an SMS, of which one message takes 160; a single other letter would leave room for 70."""
    return unicodedata.normalize("NFKD", text.translate(_TYPOGRAPHY)).encode("ascii", "ignore").decode()
