"""Telegram through its Bot API: core.telegram.org/bots/api#sendmessage, #making-requests, #setwebhook, #update.

A bot may write only to who has written to it first; ``telegram`` of a contact is the id of that chat.
"""

import hmac
from collections.abc import Sequence
from typing import ClassVar, Final, Literal

import httpx
import orjson
from pydantic import Field, SecretStr

from tepat_notifications.channels.base import Forged, Letter, Reply, Report
from tepat_notifications.channels.gateway import Call, Gateway, Post, json_of, sent
from tepat_notifications.domain import Fault, Outcome

TEXT_LIMIT: Final = 4_096
SHORT: Final = 1_000
"""What a person reads in a chat."""


class Telegram(Gateway):
    """A bot."""

    fields: ClassVar = ("telegram",)

    kind: Literal["telegram"]
    token: SecretStr
    secret: SecretStr | None = Field(None, description="secret_token of setWebhook; it vouches for what people write")
    url: str = "https://api.telegram.org"

    @property
    def limit(self) -> int:
        """In few words."""
        return SHORT

    def post(self, letter: Letter) -> Post | Outcome:
        """POST /bot{token}/sendMessage."""
        body = {
            "chat_id": letter.contact["telegram"], "text": letter.within(TEXT_LIMIT),
            "link_preview_options": {"is_disabled": True},
        }  # fmt: skip
        url = f"{self.url}/bot{self.token.get_secret_value()}/sendMessage"
        return Post(url, orjson.dumps(body), {"content-type": "application/json"})

    def taken(self, answer: httpx.Response) -> Outcome:
        """``{"ok": true, "result": {"message_id": 1}}``."""
        told = orjson.loads(answer.content)
        if told["ok"] is not True:
            raise ValueError("neither taken nor refused")
        return sent(str(told["result"]["message_id"]))

    def fault(self, answer: httpx.Response) -> tuple[str, Fault | None, float | None]:
        """``{"ok": false, "description", "parameters": {"retry_after"}}``; 404 is a bot that there is not."""
        said, fault, after = super().fault(answer)
        told = json_of(answer)
        waits = told.get("parameters", {}).get("retry_after", after)
        return str(told.get("description", said)), "channel" if answer.status_code == 404 else fault, waits

    @property
    def replied_to(self) -> bool:
        """Where the webhook has its secret."""
        return self.secret is not None

    def reports(self, call: Call) -> list[Report]:
        """It reports nothing of what it took."""
        self._proved(call)
        return []

    def replies(self, call: Call) -> list[Reply]:
        """The message of an update, by its chat; a photograph says nothing."""
        self._proved(call)
        update = orjson.loads(call.body)
        message = update.get("message")
        return [
            Reply(str(update["update_id"]), str(each["chat"]["id"]), each.get("text", ""))
            for each in ([message] if message is not None else [])
        ]

    async def answer(self, answers: Sequence[tuple[Reply, str]]) -> tuple[str, str] | None:
        """A method in the answer to the update, of which each brings one message."""
        for reply, text in answers:
            told = {"method": "sendMessage", "chat_id": reply.sender, "text": text}
            return orjson.dumps(told).decode(), "application/json"
        return None

    def _proved(self, call: Call) -> None:
        """Raises Forged where the update does not bear the secret."""
        known = self.secret.get_secret_value() if self.secret is not None else ""
        said = call.headers.get("x-telegram-bot-api-secret-token", "")
        if not known or not hmac.compare_digest(said.encode(), known.encode()):
            raise Forged
