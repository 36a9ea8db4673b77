"""WhatsApp through Meta's Cloud API.

Sources: developers.facebook.com/docs/whatsapp/cloud-api/reference/messages (request and answer),
…/webhooks/reference/messages and …/messages/status (callbacks), …/support/error-codes. A message that we begin, and
not the recipient, must be of a template that Meta approved: ``template``, with one parameter in its body.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal
from urllib.parse import parse_qs

import httpx
import orjson
import structlog
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from tepat_notifications.channels.base import Forged, Letter, Reply, Report, failed, telephone
from tepat_notifications.channels.gateway import Call, Gateway, Post, json_of, sent
from tepat_notifications.domain import Fault, Outcome, State

log = structlog.get_logger()

BUSY: Final = (4, 80007, 130429, 131048, 131056)
"""Too many messages: of the application, the account, the number, or to this recipient."""
DOWN: Final = (131000, 131016, 133004)
"""Answers 5xx that say the message was not sent."""
TEXT_LIMIT: Final = 4_096
PARAMETER_LIMIT: Final = 1_000
"""A parameter holds no line break, and a template with its parameters 1024 characters."""
STATES: Final = {"sent": State.SENT, "delivered": State.DELIVERED, "read": State.READ, "failed": State.FAILED}

NO_MESSAGE: Final = ("reaction", "system", "unsupported", "unknown")
"""Types of messages that nobody waits for an answer to."""


class Template(BaseModel):
    """An approved template whose body has one parameter, ``{{1}}``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    language: str = "id"


class WhatsApp(Gateway):
    """A business number of the Cloud API."""

    fields: ClassVar = ("phone",)

    kind: Literal["whatsapp"]
    phone_id: str = Field(pattern=r"^\d+$", description="the number's id at Meta")
    token: SecretStr
    app_secret: SecretStr = Field(description="signs the callbacks")
    verify_token: SecretStr | None = Field(None, description="what Meta says when the callback is set up")
    template: Template | None = None
    url: str = "https://graph.facebook.com/v23.0"

    @property
    def limit(self) -> int:
        """As much as a template takes."""
        return PARAMETER_LIMIT

    def post(self, letter: Letter) -> Post | Outcome:
        """POST /{phone_id}/messages."""
        number = telephone(letter.contact["phone"])
        if number is None:
            return failed("the contact's phone is not a telephone number", "recipient")
        body: dict[str, Any] = {
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": number[1:],
            "biz_opaque_callback_data": letter.reference,
        }  # fmt: skip
        if self.template is None:
            body |= {"type": "text", "text": {"preview_url": False, "body": letter.within(TEXT_LIMIT)}}
        else:
            told = " ".join(letter.within(PARAMETER_LIMIT).split())
            body |= {
                "type": "template",
                "template": {
                    "name": self.template.name, "language": {"code": self.template.language},
                    "components": [{"type": "body", "parameters": [{"type": "text", "text": told}]}],
                },
            }  # fmt: skip
        return self._post(body)

    def taken(self, answer: httpx.Response) -> Outcome:
        """``{"messages": [{"id": "wamid…"}]}``."""
        return sent(str(orjson.loads(answer.content)["messages"][0]["id"]))

    def fault(self, answer: httpx.Response) -> tuple[str, Fault | None, float | None]:
        """``{"error": {"code", "message"}}``; an access token (190) and the limits are ours."""
        said, fault, after = super().fault(answer)
        error = json_of(answer).get("error")
        if not isinstance(error, dict):
            return said, fault, after
        code = error.get("code")
        if code in BUSY or code in DOWN or code == 190:
            fault = "channel"
        return f"{code} {error.get('message')}", fault, after

    def certain(self, answer: httpx.Response) -> bool:
        """By the code of its error."""
        error = json_of(answer).get("error")
        return isinstance(error, dict) and error.get("code") in DOWN

    def greet(self, call: Call) -> str:
        """The challenge, to whoever knows the verify token."""
        asked = {name: values[0] for name, values in parse_qs(call.query).items()}
        known = self.verify_token.get_secret_value() if self.verify_token is not None else ""
        said = asked.get("hub.verify_token", "")
        if not known or not hmac.compare_digest(said.encode(), known.encode()):
            raise Forged
        return asked.get("hub.challenge", "")

    @property
    def replied_to(self) -> bool:
        """Where callbacks are set up."""
        return self.verify_token is not None

    def address(self, written: str) -> str | None:
        """A telephone number."""
        return telephone(written)

    def reports(self, call: Call) -> list[Report]:
        """The statuses of a callback."""
        return [
            Report(status["biz_opaque_callback_data"], STATES[status["status"]], _why(status.get("errors")))
            for value in self._values(call)
            for status in value.get("statuses", ())
            if status["status"] in STATES and "biz_opaque_callback_data" in status
        ]

    def replies(self, call: Call) -> list[Reply]:
        """The messages of a callback; a photograph or a voice says nothing, a thumb is no message."""
        return [
            Reply(message["id"], f"+{message['from']}", _words(message))
            for value in self._values(call)
            for message in value.get("messages", ())
            if message["type"] not in NO_MESSAGE
        ]

    async def answer(self, answers: Sequence[tuple[Reply, str]]) -> None:
        """POST /{phone_id}/messages: within a day of theirs no template is needed."""
        for reply, text in answers:
            outcome = await self._ask(self._post({
                "messaging_product": "whatsapp", "recipient_type": "individual", "to": reply.sender[1:],
                "context": {"message_id": reply.message_id}, "type": "text", "text": {"body": text},
            }))  # fmt: skip
            if outcome.state is not State.SENT:
                log.warning("a reply was not answered", reason=outcome.reason)

    def _post(self, body: Mapping[str, Any]) -> Post:
        headers = {"authorization": f"Bearer {self.token.get_secret_value()}", "content-type": "application/json"}
        return Post(f"{self.url}/{self.phone_id}/messages", orjson.dumps(body), headers)

    def _values(self, call: Call) -> list[dict[str, Any]]:
        """What a callback tells, signed with the app's secret in X-Hub-Signature-256. Raises Forged."""
        made = hmac.new(self.app_secret.get_secret_value().encode(), call.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(call.headers.get("x-hub-signature-256", "").encode(), f"sha256={made}".encode()):
            raise Forged
        return [change["value"] for entry in orjson.loads(call.body)["entry"] for change in entry["changes"]]


def _words(message: Mapping[str, Any]) -> str:
    """What a message says in words: a text, or the button of a template."""
    said: str = message.get("text", {}).get("body") or message.get("button", {}).get("text") or ""
    return said


def _why(errors: Any) -> str | None:
    return "; ".join(f"{each.get('code')} {each.get('title')}" for each in errors) if errors else None
