"""SMS through a gateway with Twilio's interface, which others offer too.

Sources: twilio.com/docs/messaging/api/message-resource (request, answer, states),
twilio.com/docs/usage/security#validating-requests (callbacks), twilio.com/docs/messaging/guides/webhook-request and
twilio.com/docs/messaging/twiml (what comes in, and its answer), twilio.com/docs/api/errors.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal, Self
from urllib.parse import parse_qs, parse_qsl, urlencode
from xml.sax.saxutils import escape

import httpx
import orjson
from pydantic import AfterValidator, Field, SecretStr, model_validator

from tepat_notifications.channels.base import Forged, Letter, Reply, Report, failed, plain, telephone
from tepat_notifications.channels.gateway import Call, Gateway, Post, https, json_of, sent
from tepat_notifications.domain import Fault, Outcome, State

STATES: Final = {
    "sent": State.SENT, "delivered": State.DELIVERED, "read": State.READ, "undelivered": State.FAILED,
    "failed": State.FAILED, "canceled": State.FAILED,
}  # fmt: skip


class Sms(Gateway):
    """An account of the gateway, and the number or the messaging service it sends from."""

    fields: ClassVar = ("phone",)

    kind: Literal["sms"]
    account: str = Field(pattern=r"^[A-Za-z0-9]+$")
    token: SecretStr = Field(description="the account's auth token; it signs the callbacks too")
    sender: str | None = Field(None, description="number or name")
    service: str | None = Field(None, description="messaging service, in the sender's place")
    callback: Annotated[str, AfterValidator(https)] | None = Field(
        None, description="where the gateway reports to: this service's /v1/callbacks/<channel> as seen from outside"
    )
    length: int = Field(160, ge=70, le=1600, description="characters of a message")
    url: str = "https://api.twilio.com"

    @model_validator(mode="after")
    def _one_sender(self) -> Self:
        if (self.sender is None) == (self.service is None):
            raise ValueError("give either sender or service")
        return self

    @property
    def limit(self) -> int:
        """Of one message."""
        return self.length

    def post(self, letter: Letter) -> Post | Outcome:
        """POST /2010-04-01/Accounts/{account}/Messages.json."""
        number = telephone(letter.contact["phone"])
        if number is None:
            return failed("the contact's phone is not a telephone number", "recipient")
        form = {"To": number, "Body": plain(letter.within(self.length))}
        if self.sender is not None:
            form["From"] = self.sender
        if self.service is not None:
            form["MessagingServiceSid"] = self.service
        if self.callback is not None:
            form["StatusCallback"] = f"{self.callback}?{urlencode({'try': letter.reference})}"
        login = base64.b64encode(f"{self.account}:{self.token.get_secret_value()}".encode()).decode()
        headers = {"authorization": f"Basic {login}", "content-type": "application/x-www-form-urlencoded"}
        return Post(f"{self.url}/2010-04-01/Accounts/{self.account}/Messages.json", urlencode(form).encode(), headers)

    def taken(self, answer: httpx.Response) -> Outcome:
        """``{"sid": "SM…", "status": "queued"}``, or a status that says it failed."""
        told = orjson.loads(answer.content)
        if STATES.get(told["status"]) is State.FAILED:
            return failed(f"the gateway refused it: {told.get('error_code')} {told.get('error_message')}", "recipient")
        return sent(str(told["sid"]))

    def fault(self, answer: httpx.Response) -> tuple[str, Fault | None, float | None]:
        """``{"code", "message"}``."""
        said, fault, after = super().fault(answer)
        told = json_of(answer)
        return f"{told['code']} {told.get('message')}" if "code" in told else said, fault, after

    @property
    def replied_to(self) -> bool:
        """A name takes no message."""
        return self.callback is not None and (self.service is not None or telephone(self.sender or "") is not None)

    def address(self, written: str) -> str | None:
        """A telephone number."""
        return telephone(written)

    def reports(self, call: Call) -> list[Report]:
        """The state of one message; nothing where the call brings a message."""
        said = self._said(call)
        if "Body" in said:
            return []
        state = STATES.get(said["MessageStatus"])
        if state is None:
            return []
        why = f"{said['ErrorCode']} {said.get('ErrorMessage', '')}".strip() if "ErrorCode" in said else None
        return [Report(parse_qs(call.query)["try"][0], state, why)]

    def replies(self, call: Call) -> list[Reply]:
        """One message, as the gateway tells of an incoming one: ``MessageSid``, ``From``, ``Body``."""
        said = self._said(call)
        return [Reply(said["MessageSid"], said["From"], said["Body"])] if "Body" in said else []

    async def answer(self, answers: Sequence[tuple[Reply, str]]) -> tuple[str, str]:
        """TwiML, which tells the gateway what to send back."""
        messages = "".join(f"<Message>{escape(text)}</Message>" for _, text in answers)
        return f'<?xml version="1.0" encoding="UTF-8"?><Response>{messages}</Response>', "text/xml"

    def _said(self, call: Call) -> dict[str, str]:
        """What it says. X-Twilio-Signature is made of the URL it was told to call and of that. Raises Forged."""
        said = dict(parse_qsl(call.body.decode(), keep_blank_values=True))
        query = f"?{call.query}" if call.query else ""
        signed = f"{self.callback}{query}" + "".join(f"{name}{said[name]}" for name in sorted(said))
        made = hmac.new(self.token.get_secret_value().encode(), signed.encode(), hashlib.sha1).digest()
        known = call.headers.get("x-twilio-signature", "").encode()
        if self.callback is None or not hmac.compare_digest(known, base64.b64encode(made)):
            raise Forged
        return said
