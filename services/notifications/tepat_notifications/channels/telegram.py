"""Telegram through its Bot API: core.telegram.org/bots/api#sendmessage, #making-requests.

A bot may write only to who has written to it first; ``telegram`` of a contact is the id of that chat.
"""

from typing import ClassVar, Final, Literal

import httpx
import orjson
from pydantic import SecretStr

from tepat_notifications.channels.base import Letter
from tepat_notifications.channels.gateway import Gateway, Post, json_of, sent
from tepat_notifications.domain import Fault, Outcome

TEXT_LIMIT: Final = 4_096
SHORT: Final = 1_000
"""What a person reads in a chat."""


class Telegram(Gateway):
    """A bot."""

    fields: ClassVar = ("telegram",)

    kind: Literal["telegram"]
    token: SecretStr
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
