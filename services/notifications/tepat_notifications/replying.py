"""What recipients write back over a gateway: a case's code acknowledges the notice that told it to that very address.

Invariants
- A reply counts for the address that its gateway vouches for, over the channel by which that was told: nobody
  acknowledges from one address what another was told, and nobody learns whether a code is anybody's.
- A message counts once however often the gateway tells it.
- Whoever is not understood is told so, at most once in ``QUIET``: two programs that answer each other fall silent.
- Of what is not understood no long number is kept: it may be a NIK.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import APIRouter, Depends
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database
from tepat_chassis.http import Page, paging
from tepat_contracts.cases import LETTERS

from tepat_notifications.api import must_be_channel
from tepat_notifications.channels import Channels
from tepat_notifications.channels.base import Reply
from tepat_notifications.channels.gateway import Gateway
from tepat_notifications.hearings import Hearings
from tepat_notifications.store import every, queries

Operator = Annotated[Person, Depends(needs(Right.operate))]
ReplyOutcome: TypeAlias = Literal["acknowledged", "nothing_awaited", "not_understood"]

QUIET: Final = timedelta(hours=1)
READ: Final = 500
"""Characters of a reply that are looked at, and kept."""
_LONG_NUMBER: Final = re.compile(r"\d(?:[\s.,-]*\d){9,}")
_NO_LETTER: Final = re.compile(r"[^A-Z2-7]")
_MISREAD: Final = str.maketrans("01", "OI")
"""Digits that no code has, and the letters they are mistaken for."""
ANSWERS: Final = {
    "acknowledged": "Tepat {codes}: terima kasih, sudah kami catat. / Thank you, we have noted it.",
    "nothing_awaited": "Tepat {codes}: tidak perlu dikonfirmasi lagi, terima kasih. / Nothing to confirm, thank you.",
    "not_understood": "Tepat: kode kasus tidak kami kenali. Balas dengan kode dari pesan kami. / We do not know that "
    "case code. Reply with the code in our message.",
}
"""In one SMS both languages, whoever reads it."""
NAMED: Final = 3
"""Codes that an answer names."""


def codes_in(text: str) -> list[str]:
    """Whatever may be a case's code in a text, in large or small letters, with blanks or dots between them."""
    letters = _NO_LETTER.sub("", text[:READ].upper().translate(_MISREAD))
    return sorted({letters[at : at + LETTERS] for at in range(len(letters) - LETTERS + 1)})


class Replies:
    """Takes replies."""

    def __init__(self, hearings: Hearings, clock: Callable[[], datetime]) -> None:
        self._hearings = hearings
        self._clock = clock

    async def take(
        self, connection: Connection, channel: str, gateway: Gateway, replies: Sequence[Reply]
    ) -> list[tuple[Reply, str]]:
        """Keep replies that are new and acknowledge what they name, under the service's exclusive lock; what is to be
        answered.
        """
        answers = []
        for reply in replies:
            if not await queries.reply_known(connection, channel=channel, message_id=reply.message_id):
                answer = await self._take(connection, channel, gateway, reply)
                answers += [(reply, answer)] if answer is not None else []
        return answers

    async def _take(self, connection: Connection, channel: str, gateway: Gateway, reply: Reply) -> str | None:
        now = self._clock()
        told = await every(queries.telling_codes(connection, codes=codes_in(reply.text), channel=channel))
        newest = {
            row["code"]: row for row in reversed(told) if gateway.address(row["recipient"]) == reply.sender
        }  # fmt: skip
        outcome: ReplyOutcome = "nothing_awaited" if newest else "not_understood"
        for row in newest.values():
            for notice in await every(queries.of_delivery(connection, id=row["delivery_id"])):
                if await self._hearings.acknowledge(connection, notice["causes"], "reply", row["agency"], now):
                    outcome = "acknowledged"
        lost = outcome == "not_understood"
        answered = not lost or not await queries.answered_since(
            connection, channel=channel, sender=reply.sender, since=now - QUIET
        )
        codes = sorted(newest)
        await queries.keep_reply(
            connection, channel=channel, message_id=reply.message_id, sender=reply.sender, now=now, outcome=outcome,
            codes=codes, text=_LONG_NUMBER.sub("…", reply.text[:READ]) if lost else None, answered=answered,
        )  # fmt: skip
        return ANSWERS[outcome].format(codes=", ".join(codes[:NAMED])) if answered else None


def router(database: Database, channels: Channels) -> APIRouter:
    """What was written back: numbers of people, and what they wrote, so for operators alone."""
    routes = APIRouter(tags=["notices"])

    @routes.get("/replies")
    async def replies(
        person: Operator,  # noqa: ARG001 – the right is what counts
        page: Annotated[Page, Depends(paging(int))],
        outcome: ReplyOutcome | None = None,
        channel: str | None = None,
    ) -> dict[str, Any]:
        """Replies, the newest first; the text of those that were not understood."""
        await must_be_channel(database, channels, channel)
        (before,) = page.after or (None,)
        rows = queries.replies(database.pool, before=before, outcome=outcome, channel=channel, at_most=page.limit + 1)
        return page.of([dict(row) async for row in rows], lambda item: (item["reply_id"],))

    return routes
