"""What gateways reached over HTTP have in common: the request, and what its end means.

Apprise's plugins for them answer yes or no; here the request is made with httpx, whose errors tell whether anything
was sent at all (docs/decisions/0025).

Invariants
- No connection, and an answer that refuses (4xx), is certain. No answer, one that cannot be read, and a server's own
  failure (5xx) is doubt, but for a 503 that names when to come again.
- No redirect is followed: a notice goes where the settings or the contact say.
"""

import asyncio
import logging
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar, Final, NamedTuple
from urllib.parse import urlsplit

import httpx
import orjson
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from tepat_notifications.channels.base import Forged, Letter, Reply, Report, doubtful, failed, named
from tepat_notifications.domain import Fault, Outcome, State

logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells URLs, which hold a bot's token

if find_spec("sniffio") is None:  # httpcore looks for it several times a request, which takes longer than the request
    sys.modules["sniffio"] = None  # type: ignore[assignment]

CONNECT_SECONDS: Final = 5.0
UNSENT: Final = (
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL,
    httpx.ProxyError,
)  # fmt: skip
"""What goes wrong before anything was sent."""
OURS: Final = (401, 402, 407, 408, 425, 429, 503)
"""Refusals that say nothing about the notice: the account, or how much it sends."""


class Post(NamedTuple):
    """A request to a gateway."""

    url: str
    content: bytes
    headers: dict[str, str]


class Call(NamedTuple):
    """A callback of a gateway. ``headers`` by lower-case name; ``query`` as it was written."""

    query: str
    headers: Mapping[str, str]
    body: bytes


class Gateway(BaseModel):
    """A gateway: its settings, how it is asked, how it answers, what it reports later."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    fields: ClassVar[tuple[str, ...]]
    keyed: ClassVar[bool] = False

    at_once: int = Field(64, ge=1, le=1000, description="tries at the same time")
    seconds: float = Field(20.0, gt=0, le=300, description="until a try is given up")
    _resting: list[httpx.AsyncClient] = PrivateAttr(default_factory=list)

    @property
    def limit(self) -> int | None:
        """Characters a message holds; none: room for all."""
        return None

    def lane(self, contact: Mapping[str, str]) -> str:  # noqa: ARG002 – one gateway for all
        """All fail with the gateway."""
        return ""

    def post(self, letter: Letter) -> Post | Outcome:
        """The request that sends a notice, or why there can be none."""
        raise NotImplementedError

    def taken(self, answer: httpx.Response) -> Outcome:
        """What an answer 2xx means. Raises ValueError, KeyError, TypeError where it is not the one documented."""
        raise NotImplementedError

    def fault(self, answer: httpx.Response) -> tuple[str, Fault | None, float | None]:
        """What a refusal says, whose fault it is, and after how many seconds it may be tried again."""
        return answer.text, "channel" if answer.status_code in OURS else "recipient", _retry_after(answer)

    def greet(self, call: Call) -> str:  # noqa: ARG002
        """What a gateway wants to read before it sends callbacks. Raises Forged."""
        raise Forged("no_greeting")

    def reports(self, call: Call) -> list[Report]:  # noqa: ARG002
        """What a callback reports. Raises Forged; ValueError, KeyError, TypeError where it cannot be read."""
        raise Forged("no_callbacks")

    @property
    def replied_to(self) -> bool:
        """Whether recipients can write back."""
        return False

    def address(self, written: str) -> str | None:
        """An address as a contact has it, in the one way that ``replies`` writes it; none: it is none."""
        return written

    def replies(self, call: Call) -> list[Reply]:  # noqa: ARG002
        """What recipients wrote back, as a callback tells it. Raises as ``reports``."""
        return []

    async def answer(self, answers: Sequence[tuple[Reply, str]]) -> tuple[str, str] | None:  # noqa: ARG002
        """Answer replies; what the callback itself is answered, and of what media type, where that is the way."""
        return None

    async def send(self, letter: Letter) -> Outcome:
        """Ask the gateway to take a notice."""
        post = self.post(letter)
        if isinstance(post, Outcome):
            return post
        return await self._ask(post)

    async def _ask(self, post: Post) -> Outcome:
        client = self._resting.pop() if self._resting else self._client()
        try:
            answer = await client.post(post.url, content=post.content, headers=post.headers)
        except UNSENT as error:
            return failed(f"the gateway could not be had: {named(error)}", "channel")
        except httpx.HTTPError as error:
            return doubtful(f"the gateway gave no answer: {named(error)}")
        finally:
            self._resting.append(client)
        return self._read(answer)

    async def close(self) -> None:
        """Close the connections."""
        resting, self._resting = self._resting, []
        await asyncio.gather(*(client.aclose() for client in resting))

    def _client(self) -> httpx.AsyncClient:
        """A client of one connection: the time that httpx takes for a request grows with the connections of its pool,
        to three times as much with 32."""
        return httpx.AsyncClient(
            verify=_trusted(),
            timeout=httpx.Timeout(self.seconds, connect=min(CONNECT_SECONDS, self.seconds)),
            limits=httpx.Limits(max_connections=1),
        )

    def _read(self, answer: httpx.Response) -> Outcome:
        status = answer.status_code
        if status < 300:
            try:
                return self.taken(answer)
            except (ValueError, KeyError, TypeError, IndexError):
                return doubtful(f"the gateway's answer ({status}) is not the one it documents")
        said, fault, after = self.fault(answer)
        if status < 500 or (status == 503 and after is not None) or self.certain(answer):
            return failed(f"the gateway refused it: {status} {said}", fault, after)
        return doubtful(f"the gateway failed: {status} {said}")

    def certain(self, answer: httpx.Response) -> bool:  # noqa: ARG002
        """Whether a 5xx is documented to mean that the notice was not sent."""
        return False


_trusted = cache(httpx.create_ssl_context)
"""The authorities that are trusted, read once."""


def json_of(answer: httpx.Response) -> dict[str, Any]:
    """An answer's object; an empty one where it has none."""
    try:
        told = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _retry_after(answer: httpx.Response) -> float | None:
    told = answer.headers.get("retry-after", "")
    return float(told) if told.isdecimal() else None


def https(url: str) -> str:
    """A URL without a slash at its end. Raises ValueError where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write it as https://host/…")
    return url.rstrip("/")


def sent(message_id: str | None = None) -> Outcome:
    """The gateway took it, under this id of its own."""
    return Outcome(State.SENT, message_id=message_id)
