"""What gateways report, over HTTP: ``/v1/callbacks/{channel}``, open to the outside and without a token.

Invariants
- Nothing is taken that the gateway did not sign, and nothing is told to who did not.
- What gateways bring of recipients' replies (``replying.py``) is answered once it is kept: at most once.
- A report is kept in one transaction, under the service's exclusive lock, before it is answered; in whatever order and
  however often reports come, a notice never goes back from *read* or *delivered*.
"""

from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from tepat_chassis.database import Database, Lock

from tepat_notifications.channels import Channels
from tepat_notifications.channels.base import Forged
from tepat_notifications.channels.gateway import Call, Gateway
from tepat_notifications.refusals import refusal
from tepat_notifications.replying import Replies
from tepat_notifications.sending import Sender

log = structlog.get_logger()


def router(database: Database, channels: Channels, sender: Sender, replies: Replies) -> APIRouter:
    """The routes below /v1."""
    routes = APIRouter(tags=["callbacks"])

    def gateway(channel: str) -> Gateway:
        found = channels.gateway(channel)
        if found is None:
            raise refusal(404, "no_channel")
        return found

    @routes.get("/callbacks/{channel}")
    async def greet(channel: str, request: Request) -> PlainTextResponse:
        """What a gateway asks for when the callback is set up."""
        try:
            return PlainTextResponse(gateway(channel).greet(await _call(request)))
        except Forged as forged:
            raise refusal(403, forged.why) from None

    @routes.post("/callbacks/{channel}", response_model=None)
    async def report(channel: str, request: Request) -> Response | dict[str, Any]:
        """What became of notices that a gateway took, and what recipients wrote back; how many of each were read, or
        what a gateway sends to them who wrote."""
        by, call = gateway(channel), await _call(request)
        try:
            reports, written = by.reports(call), by.replies(call)
        except Forged as forged:
            log.warning("a callback was refused", channel=channel, reason=forged.why)
            raise refusal(403, forged.why) from None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise refusal(400, "callback_odd") from None
        async with database.transaction(Lock.EXCLUSIVE) as connection:
            await sender.reported(connection, channel, reports)
            answers = await replies.take(connection, channel, by, written)
        said = await by.answer(answers) if written else None
        if said is not None:
            return Response(said[0], media_type=said[1])
        return {"reports": len(reports), "replies": len(written)}

    return routes


async def _call(request: Request) -> Call:
    return Call(request.url.query, request.headers, await request.body())
