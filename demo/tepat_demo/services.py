"""The services' HTTP interfaces, as far as the demo asks them: are they done, and what was sent to whom.

Kept here: `settled` returns only when each service in turn, in the direction events flow, has said twice in a row
that nothing is left to do, on every instance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

FLOW: Final = ("registry", "eligibility", "distribution", "notifications")
"""Each service but the last tells those after it."""
LOOK_SECONDS: Final = 0.2
IN_A_ROW: Final = 2
RESTART_SECONDS: Final = 30

Answer = dict[str, Any]


class Services(Protocol):
    """What the demo asks of the services."""

    async def status(self, service: str) -> list[Answer]:
        """GET /v1/status of every instance of a service."""
        ...

    async def get(self, service: str, path: str, *, role: str = "reader") -> Answer:
        """GET /v1/{path}."""
        ...

    async def post(self, service: str, path: str, body: Answer) -> Answer:
        """POST /v1/{path} as an operator."""
        ...


class HttpServices:
    """The services of a running stack. As a context manager it closes its connections."""

    def __init__(
        self, endpoints: Mapping[str, Any], tokens: Path, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """`endpoints` as in `endpoints.json`; `tokens` the directory of tokens, one file a role."""
        one_each = {service: [url] for service, url in endpoints["http"].items()}
        self._instances: Mapping[str, Sequence[str]] = endpoints.get("instances") or one_each
        self._tokens = tokens
        self._client = httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(60, connect=5))

    async def __aenter__(self) -> HttpServices:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def status(self, service: str) -> list[Answer]:
        """GET /v1/status of every instance. Raises httpx.HTTPError."""
        return [await self._asked("GET", f"{url}/v1/status", None) for url in self._instances[service]]

    async def get(self, service: str, path: str, *, role: str = "reader") -> Answer:
        """GET /v1/{path}. Raises httpx.HTTPError."""
        return await self._asked("GET", f"{self._instances[service][0]}/v1/{path}", role)

    async def post(self, service: str, path: str, body: Answer) -> Answer:
        """POST /v1/{path}. Raises httpx.HTTPError."""
        return await self._asked("POST", f"{self._instances[service][0]}/v1/{path}", "operator", json=body)

    async def _asked(self, method: str, url: str, role: str | None, **more: Any) -> Answer:
        """What a service answers; one that has died or waits for its servers is asked again: it comes back."""
        headers = {"authorization": f"Bearer {(self._tokens / role).read_text().strip()}"} if role else {}
        clock = asyncio.get_running_loop().time
        until = clock() + RESTART_SECONDS
        while True:
            try:
                response = await self._client.request(method, url, headers=headers, **more)
                answer: Answer = response.raise_for_status().json()
                return answer
            except (httpx.TransportError, httpx.HTTPStatusError) as error:
                away = (
                    not isinstance(error, httpx.HTTPStatusError)
                    or error.response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
                )
                if not away or clock() > until:
                    raise
            await asyncio.sleep(LOOK_SECONDS)


async def settled(services: Services, patience: float) -> None:
    """Returns once nothing is left to do anywhere.

    Raises TimeoutError where a service is not idle and nothing about it changed for `patience` seconds.
    """
    clock = asyncio.get_running_loop().time
    for service in FLOW:
        left, since, idle = None, clock(), 0
        while idle < IN_A_ROW:
            answers = await services.status(service)
            idle = idle + 1 if all(answer["idle"] for answer in answers) else 0
            if idle == IN_A_ROW:
                break
            now_left = [{name: answer.get(name) for name in ("lag", "pending", "outbox")} for answer in answers]
            if now_left != left:
                left, since = now_left, clock()
            if clock() - since > patience:
                raise TimeoutError(f"{service} does not come to rest; it has left: {left}")
            await asyncio.sleep(LOOK_SECONDS)
