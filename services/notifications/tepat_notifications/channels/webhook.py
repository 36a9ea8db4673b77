"""Our own webhook: a notice as JSON to a program of its recipient, signed, and safe against replays.

    POST <webhook of the contact>
    Content-Type: application/json
    Idempotency-Key: <delivery id>             the same however often a notice is sent
    Tepat-Timestamp: <seconds since 1970>
    Tepat-Signature: v1=<hex HMAC-SHA256(secret, timestamp + "." + body)>

A receiver makes the signature itself over the bytes it got, compares in constant time, refuses (401) what differs or
is older than five minutes, and takes one key once; it answers 2xx when it has kept the notice, and for a key it knows.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import ClassVar, Literal
from urllib.parse import urlsplit

import httpx
import orjson
from pydantic import Field, SecretStr

from tepat_notifications.channels.base import Letter, failed
from tepat_notifications.channels.gateway import Gateway, Post, sent
from tepat_notifications.domain import Fault, Outcome


class Webhook(Gateway):
    """The webhooks of recipients, each with a secret of its own that it was given."""

    fields: ClassVar = ("webhook",)
    keyed: ClassVar = True

    kind: Literal["webhook"]
    secrets: dict[str, SecretStr] = Field(min_length=1, description="by the recipient's id")
    unencrypted: bool = Field(False, description="http:// too, for trials")

    def lane(self, contact: Mapping[str, str]) -> str:
        """Each server fails by itself."""
        return urlsplit(contact.get("webhook", "")).netloc

    def post(self, letter: Letter) -> Post | Outcome:
        """The notice, signed anew at each try."""
        url = letter.contact["webhook"]
        secret = self.secrets.get(letter.recipient)
        if secret is None:
            return failed("the settings have no webhook secret for this recipient", "recipient")
        parts = urlsplit(url)
        if not parts.hostname or parts.scheme not in (("http", "https") if self.unencrypted else ("https",)):
            return failed("the contact's webhook is not an https:// URL", "recipient")
        body = orjson.dumps({
            "delivery_id": str(letter.delivery_id), "recipient": letter.recipient, "subject": letter.subject,
            "text": letter.body,
        })  # fmt: skip
        now = str(int(time.time()))
        return Post(url, body, {
            "content-type": "application/json", "idempotency-key": str(letter.delivery_id), "tepat-timestamp": now,
            "tepat-signature": f"v1={signature(secret.get_secret_value(), now, body)}",
        })  # fmt: skip

    def taken(self, answer: httpx.Response) -> Outcome:  # noqa: ARG002
        """Any 2xx."""
        return sent()

    def fault(self, answer: httpx.Response) -> tuple[str, Fault | None, float | None]:
        """What it says is not repeated: it is the program of somebody else."""
        _, fault, after = super().fault(answer)
        return "", fault, after


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The hex HMAC-SHA256 over ``timestamp.body``."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
