"""Notices over several channels, on a real database, a real mail server and real HTTP servers, by a fixed clock."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from tepat_chassis.auth import Person, Right, authenticated
from tepat_contracts.cases import case_code
from tepat_notifications import api, callbacks
from tepat_notifications.channels import Channels
from tepat_notifications.channels.gateway import Gateway
from tepat_notifications.domain import RETRY_AFTER
from tepat_notifications.hearings import cause_id
from tepat_notifications.replying import Replies
from tepat_notifications.store import Store
from tepat_notifications.trying import FAILURES, PAUSE

from .conftest import POLICY, Desk, overlap, rejection
from .gateways import HANGS_UP, Asked, Says, Server, serving
from .test_channels import TAKEN, of_twilio, signed, sms, statuses, webhook, whatsapp

pytestmark = pytest.mark.integration

PHONE = "+6281234567890"


@pytest.fixture
def gateway() -> Iterator[Server]:
    with serving(TAKEN["whatsapp"]) as server:
        yield server


async def equip(desk: Desk, contact: dict[str, str], **configured: str | Gateway) -> None:
    """Let dinsos be reached as told, over these channels; nobody else is."""
    while desk.held:
        await desk.lose_duty()
    desk.channels = Channels(configured)
    desk.store = Store(desk.channels.names, 2.0)
    await desk.apply(agencies=[agency | {"contact": contact if agency["id"] == "dinsos" else {}}
                               for agency in POLICY["agencies"]])  # fmt: skip


def email(desk: Desk) -> str:
    return f"mailto://{desk.mail.address}/?mode=insecure&from=tepat%40tepat.invalid&to={{email}}"


async def told(desk: Desk) -> list[tuple[str, str]]:
    """The channel and state of each record of dinsos's notices, in order."""
    return [(each["channel"], each["state"]) for each in await desk.published() if each["agency"] == "dinsos"]


async def row(desk: Desk, **by: str) -> dict[str, Any]:
    (one,) = await desk.deliveries(agency="dinsos", **by)
    return one


# -- one channel after the other ---------------------------------------------------------------------------------


async def test_a_recipient_refused_is_reached_over_the_next_channel_at_once(desk: Desk, gateway: Server) -> None:
    await equip(desk, {"email": "gone@dinsos.invalid", "phone": PHONE}, email=email(desk), wa=whatsapp(gateway.url))
    desk.mail.at_recipient = lambda address: "550 5.1.1 no such mailbox"
    await desk.announce(overlap(1))
    await desk.at_once()
    assert await told(desk) == [("email", "failed"), ("wa", "sent")]
    (asked,) = gateway.asked
    assert overlap(1).code in asked.json["text"]["body"]
    assert str(overlap(1).household) not in asked.json["text"]["body"]
    one = await row(desk)
    assert (one["via"], one["recipient"], one["attempts"], one["message_id"]) == ("wa", PHONE, 2, "wamid.1")
    # What it heard there it has heard: nothing of it goes over the first channel again.
    desk.mail.at_recipient = lambda address: None
    await desk.announce(overlap(1, 2, amount_a=750_000))
    await desk.digest()
    assert desk.mail.texts == []
    assert len(gateway.asked) == 1


async def test_a_channel_that_is_down_is_tried_three_times_before_the_next(desk: Desk, gateway: Server) -> None:
    await equip(desk, {"email": "a@dinsos.invalid", "phone": PHONE}, email=email(desk), wa=whatsapp(gateway.url))
    desk.mail.at_recipient = lambda address: "451 4.3.0 later"
    await desk.announce(overlap(1))
    await desk.at_once()
    for wait in RETRY_AFTER[:2]:
        assert (await row(desk))["due_at"] == desk.clock() + wait
        desk.clock.now += wait
        await desk.send()
    assert await told(desk) == [("email", "failed")] * 3 + [("wa", "sent")]


async def test_a_contact_takes_the_first_channel_that_it_has(desk: Desk, gateway: Server) -> None:
    channels = {"email": email(desk), "wa": whatsapp(gateway.url)}
    await equip(desk, {"phone": PHONE}, **channels)
    await desk.announce(overlap(1))
    await desk.at_once()
    assert await told(desk) == [("wa", "sent")]
    await equip(desk, {"telegram": "4711"}, **channels)
    await desk.announce(overlap(2))
    await desk.at_once()
    assert await told(desk) == [("wa", "sent"), ("email", "skipped")]
    reason = (await row(desk, state="skipped"))["reason"]
    assert reason == "the agency's contact has no email; the agency's contact has no phone"


async def test_a_channel_that_is_gone_is_passed_over(desk: Desk, gateway: Server) -> None:
    await equip(desk, {"email": "a@dinsos.invalid", "phone": PHONE}, email=email(desk), wa=whatsapp(gateway.url))
    await desk.announce(overlap(1))
    await equip(desk, {"email": "a@dinsos.invalid", "phone": PHONE}, wa=whatsapp(gateway.url))
    await desk.at_once()
    assert await told(desk) == [("wa", "sent")]


async def test_a_notice_given_up_has_tried_every_channel(desk: Desk, gateway: Server) -> None:
    await equip(desk, {"email": "a@dinsos.invalid", "phone": PHONE}, email=email(desk), wa=whatsapp(gateway.url))
    desk.mail.at_recipient = lambda address: "550 5.1.1 no such mailbox"
    gateway.answer = lambda asked: Says(400, {"error": {"code": 131026, "message": "Message undeliverable"}})
    await desk.announce(overlap(1))
    await desk.at_once()
    for wait in RETRY_AFTER:
        desk.clock.now += wait
        await desk.send()
    assert await told(desk) == [("email", "failed")] + [("wa", "failed")] * 6
    one = await row(desk)
    assert (one["state"], one["due_at"]) == ("failed", None)
    assert "131026 Message undeliverable" in one["reason"]


# -- doubt -------------------------------------------------------------------------------------------------------


async def test_what_may_have_been_taken_goes_over_no_other_channel(desk: Desk, gateway: Server) -> None:
    await equip(desk, {"email": "a@dinsos.invalid", "phone": PHONE}, wa=whatsapp(gateway.url), email=email(desk))
    gateway.answer = lambda asked: HANGS_UP
    await desk.announce(overlap(1))
    await desk.at_once()
    await desk.digest()
    assert await told(desk) == [("wa", "doubtful")]
    assert len(gateway.asked) == 1
    assert desk.mail.texts == []


async def test_a_doubtful_try_is_repeated_word_for_word_where_the_other_side_knows_its_key(
    desk: Desk, gateway: Server
) -> None:
    await equip(desk, {"webhook": f"{gateway.url}/hook"}, hook=webhook())
    gateway.answer = lambda asked: HANGS_UP
    await desk.announce(overlap(1))
    await desk.at_once()
    assert (await row(desk))["state"] == "doubtful"
    gateway.answer = lambda asked: Says(401)  # that a later try was refused tells nothing of the first
    await desk.announce(overlap(1, 2, amount_a=900_000), overlap(2))
    desk.clock.now += RETRY_AFTER[0]
    await desk.send()
    gateway.answer = TAKEN["webhook"]
    desk.clock.now += RETRY_AFTER[1]
    await desk.send()
    assert (await told(desk))[:3] == [("hook", "doubtful"), ("hook", "doubtful"), ("hook", "sent")]
    first, second, third = gateway.asked[:3]
    assert first.body == second.body == third.body
    assert first.headers["idempotency-key"] == third.headers["idempotency-key"]
    await desk.at_once()
    await desk.digest()
    texts = [asked.json["text"] for asked in gateway.asked[3:]]
    assert any(overlap(2).code in text for text in texts)
    assert any("Rp 900.000" in text for text in texts)


async def test_what_a_dead_instance_left_is_repeated_over_a_channel_that_knows_its_key(
    desk: Desk, gateway: Server
) -> None:
    await equip(desk, {"webhook": f"{gateway.url}/hook"}, hook=webhook())
    hold, reached = threading.Event(), threading.Event()

    def stay(asked: Asked) -> None:
        reached.set()
        hold.wait(20)

    gateway.answer = stay
    await desk.announce(overlap(1))
    desk.clock.forward(seconds=61)
    sending = asyncio.ensure_future(desk.send())
    assert await asyncio.to_thread(reached.wait, 20)
    steps, connection = desk.held.pop()
    await connection.close()
    sending.cancel()
    await asyncio.wait({sending})
    await steps.aclose()
    gateway.answer = TAKEN["webhook"]
    hold.set()
    await desk.send()
    assert (await row(desk))["state"] == "doubtful"
    desk.clock.now += RETRY_AFTER[0]
    await desk.send()
    assert await told(desk) == [("hook", "doubtful"), ("hook", "sent")]
    assert len({asked.headers["idempotency-key"] for asked in gateway.asked}) == 1


async def test_doubt_stays_doubt_where_its_channel_is_gone(desk: Desk, gateway: Server) -> None:
    contact = {"webhook": f"{gateway.url}/hook", "email": "a@dinsos.invalid"}
    await equip(desk, contact, hook=webhook(), email=email(desk))
    gateway.answer = lambda asked: HANGS_UP
    await desk.announce(overlap(1))
    await desk.at_once()
    await equip(desk, contact, email=email(desk))
    await desk.announce(overlap(2))
    desk.clock.now += RETRY_AFTER[0]
    await desk.send()
    one = next(each for each in await desk.deliveries(agency="dinsos") if each["via"] == "hook")
    assert (one["state"], one["due_at"]) == ("doubtful", None)
    assert one["reason"] == "the channel hook is no longer there"
    assert all(overlap(1).code not in text.get_content() for text in desk.mail.texts)


# -- a channel left alone ----------------------------------------------------------------------------------------

MANY = [f"kota-{number}" for number in range(12)]


async def crowd(desk: Desk, contact: dict[str, str], **configured: str | Gateway) -> None:
    """Twelve agencies, each with rejected records to hear of."""
    await equip(desk, {}, **configured)
    agencies = [{"id": name, "name": name, "programmes": [], "contact": contact} for name in MANY]
    await desk.apply(agencies=agencies)
    await desk.reject(*(rejection(number, name) for number, name in enumerate(MANY)))


async def test_a_channel_that_is_down_is_left_alone_and_asked_with_one_notice(desk: Desk, gateway: Server) -> None:
    await crowd(desk, {"phone": PHONE}, wa=whatsapp(gateway.url, at_once=1))
    gateway.answer = lambda asked: Says(429)
    await desk.digest()
    assert len(gateway.asked) == FAILURES
    assert desk.channels.states(desk.clock()) == {"wa": "open"}
    desk.clock.now += PAUSE
    await desk.send()
    assert len(gateway.asked) == FAILURES + 1
    gateway.answer = TAKEN["whatsapp"]
    desk.clock.now += PAUSE * 2
    await desk.send()
    desk.clock.forward(seconds=2)
    await desk.send()
    desk.clock.forward(minutes=5)
    await desk.send()
    assert desk.channels.states(desk.clock()) == {"wa": "closed"}
    assert {each["state"] for each in await desk.deliveries()} == {"sent"}
    assert len(gateway.asked) == FAILURES + 1 + len(MANY)


async def test_those_who_have_another_channel_take_it_while_one_is_left_alone(desk: Desk, gateway: Server) -> None:
    contact = {"phone": PHONE, "email": "a@kota.invalid"}
    await crowd(desk, contact, wa=whatsapp(gateway.url, at_once=1), email=email(desk))
    gateway.answer = lambda asked: Says(429)
    await desk.digest()
    assert len(gateway.asked) == FAILURES
    assert len(desk.mail.texts) == len(MANY) - FAILURES


async def test_one_recipients_server_that_is_down_is_left_alone_and_no_other(desk: Desk, gateway: Server) -> None:
    hook = webhook(secrets=dict.fromkeys([*MANY, "dinsos"], "between us"))
    with serving(lambda asked: Says(503, {}, {"Retry-After": "1"})) as down:
        await crowd(desk, {"webhook": down.url}, hook=hook)
        await desk.digest()
        assert len(down.asked) == len(MANY)
        desk.clock.now += RETRY_AFTER[0]
        await desk.send()
        assert len(down.asked) == len(MANY)
    assert desk.channels.states(desk.clock()) == {"hook": "open"}
    agencies = [agency | {"contact": {"webhook": gateway.url}} for agency in POLICY["agencies"]]
    await desk.apply(agencies=agencies)
    await desk.reject(rejection(99))
    await desk.digest()
    assert await told(desk) == [("hook", "sent")]


async def test_a_slow_channel_holds_up_no_other(desk: Desk, gateway: Server) -> None:
    await equip(desk, {}, wa=whatsapp(gateway.url, at_once=2), email=email(desk))
    agencies = [
        {"id": name, "name": name, "programmes": [],
         "contact": {"phone": PHONE} if number % 2 else {"email": f"{name}@kota.invalid"}}
        for number, name in enumerate(MANY)
    ]  # fmt: skip
    await desk.apply(agencies=agencies)
    await desk.reject(*(rejection(number, name) for number, name in enumerate(MANY)))
    end = threading.Event()

    def slow(asked: Asked) -> Says | None:
        end.wait(20)
        return TAKEN["whatsapp"](asked)

    gateway.answer = slow
    sending = asyncio.ensure_future(desk.digest())
    try:
        assert len(await desk.mail.wait(6)) == 6
        assert not sending.done()
        assert len(gateway.asked) <= 2
    finally:
        end.set()
    await sending
    assert {each["state"] for each in await desk.deliveries()} == {"sent"}
    assert len(gateway.asked) == 6


# -- what gateways report, and what people do --------------------------------------------------------------------


@pytest.fixture
async def asked(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """The service's answers, as they are to an operator. The channels are those of the desk when they are asked."""
    app = FastAPI()
    held: Any = desk

    class Present:
        """Whatever the desk has now."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Any:
            return getattr(getattr(held, self._name), name)

    made: Any = Present
    app.include_router(
        callbacks.router(desk.database, made("channels"), made("sender"), Replies(desk.hearings, desk.clock)),
        prefix="/v1",
    )
    app.include_router(
        api.router(desk.database, desk.standing, made("store"), made("channels"), desk.clock), prefix="/v1"
    )
    app.dependency_overrides[authenticated] = lambda: Person("rini", "Bu Rini", frozenset(Right), desk.regions)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t/v1/") as client:
        yield client


async def reports(asked: httpx.AsyncClient, *told: tuple[str, str]) -> int:
    body = statuses(*told)
    answer = await asked.post("callbacks/wa", content=body, headers=signed(body))
    return answer.status_code


async def test_a_channel_that_nobody_set_up_or_used_is_refused_with_the_nearest(
    desk: Desk, asked: httpx.AsyncClient
) -> None:
    assert (await asked.get("notices", params={"channel": "email"})).json()["items"] == []
    answer = await asked.get("notices", params={"channel": "e-mail"})
    assert (answer.status_code, "did you mean email?" in answer.text) == (422, True)


async def test_only_what_was_handed_over_has_a_time_of_sending(
    desk: Desk, gateway: Server, asked: httpx.AsyncClient
) -> None:
    async def told() -> list[tuple[str, bool, str | None, bool]]:
        listed = (await asked.get("notices", params={"agency": "dinsos"})).json()["items"]
        return [(each["state"], bool(each["sending_at"]), each["sent_at"], bool(each["due_at"])) for each in listed]

    await equip(desk, {"phone": PHONE}, wa=whatsapp(gateway.url))
    gateway.answer = lambda asked: HANGS_UP
    await desk.announce(overlap(1))
    assert await told() == [("queued", False, None, True)]
    await desk.at_once()
    gateway.answer = lambda asked: Says(400)
    desk.clock.forward(seconds=1)
    await desk.announce(overlap(2))
    await desk.at_once()
    assert await told() == [("failed", True, None, True), ("doubtful", True, None, False)]
    for wait in RETRY_AFTER:
        desk.clock.now += wait
        await desk.send()
    assert await told() == [("failed", True, None, False), ("doubtful", True, None, False)]


async def test_a_notice_was_sent_when_its_try_ended_and_not_when_it_began(
    desk: Desk, gateway: Server, asked: httpx.AsyncClient
) -> None:
    def slowly(asked: Asked) -> Says | None:
        desk.clock.forward(seconds=12)
        return TAKEN["whatsapp"](asked)

    gateway.answer = slowly
    await equip(desk, {"phone": PHONE}, wa=whatsapp(gateway.url))
    await desk.announce(overlap(1))
    await desk.at_once()
    (sent,) = (await asked.get("notices", params={"agency": "dinsos"})).json()["items"]
    began, ended = (datetime.fromisoformat(sent[name]) for name in ("sending_at", "sent_at"))
    assert ended - began == timedelta(seconds=12)


async def over_whatsapp(desk: Desk, gateway: Server) -> UUID:
    """A notice that was sent over WhatsApp, and would go over e-mail next."""
    await equip(desk, {"email": "a@dinsos.invalid", "phone": PHONE}, wa=whatsapp(gateway.url), email=email(desk))
    await desk.announce(overlap(1))
    await desk.at_once()
    delivery_id: UUID = (await row(desk))["delivery_id"]
    return delivery_id


async def test_delivered_and_read_are_told_and_never_go_back(
    desk: Desk, gateway: Server, asked: httpx.AsyncClient
) -> None:
    one = await over_whatsapp(desk, gateway)
    assert await reports(asked, (f"{one}.1", "sent"), (f"{one}.1", "delivered")) == 200
    assert await reports(asked, (f"{one}.1", "read")) == 200
    for late in ("delivered", "sent", "failed", "read"):
        assert await reports(asked, (f"{one}.1", late)) == 200
    for stranger in (f"{one}.2", f"{uuid4()}.1", "somebody else's", "", f"{one}.99999999999"):
        assert await reports(asked, (stranger, "failed")) == 200
    assert await told(desk) == [("wa", "sent"), ("wa", "delivered"), ("wa", "read")]
    assert [each["revision"] for each in await desk.published() if each["agency"] == "dinsos"] == [1, 2, 3]
    listed = (await asked.get("notices", params={"state": "read", "channel": "wa"})).json()["items"]
    assert [(each["delivery_id"], each["due_at"]) for each in listed] == [(str(one), None)]
    assert (await asked.get("notices", params={"channel": "email", "agency": "dinsos"})).json()["items"] == []
    summary = (await asked.get("notices/summary")).json()
    assert summary["by_channel"]["wa"] == {"read": 1, "skipped": 1}
    assert summary["sent"] == 1


async def test_a_message_reported_as_lost_takes_the_next_channel(
    desk: Desk, gateway: Server, asked: httpx.AsyncClient
) -> None:
    one = await over_whatsapp(desk, gateway)
    assert await reports(asked, (f"{one}.1", "failed")) == 200
    await desk.send()
    assert await told(desk) == [("wa", "sent"), ("wa", "failed"), ("email", "sent")]
    assert overlap(1).code in desk.mail.texts[0].get_content()
    reason = next(each["reason"] for each in await desk.published() if each["state"] == "failed")
    assert reason == "the gateway reports: 131026 Message undeliverable"


async def test_a_message_reported_as_lost_while_another_gathers_comes_with_a_digest(
    desk: Desk, gateway: Server, asked: httpx.AsyncClient
) -> None:
    one = await over_whatsapp(desk, gateway)
    await desk.announce(overlap(2))
    assert await reports(asked, (f"{one}.1", "failed")) == 200
    await desk.at_once()
    await desk.announce(overlap(3, verdict="review"))
    await desk.digest()
    texts = [each.json["text"]["body"] for each in gateway.asked[1:]]
    assert [overlap(1).code in text for text in texts] == [False, True]
    assert [each["state"] for each in await desk.deliveries(agency="dinsos", kind="overlaps")] == ["failed", "sent"]


@pytest.mark.parametrize(("report", "end"), [("read", "read"), ("failed", "failed")])
async def test_a_report_that_overtakes_the_answer_counts(
    desk: Desk, gateway: Server, asked: httpx.AsyncClient, report: str, end: str
) -> None:
    loop = asyncio.get_running_loop()

    def first(asks: Asked) -> Says | None:
        reference = asks.json["biz_opaque_callback_data"]
        asyncio.run_coroutine_threadsafe(reports(asked, (reference, report)), loop).result(10)
        return TAKEN["whatsapp"](asks)

    gateway.answer = first
    await over_whatsapp(desk, gateway)
    assert (await told(desk))[0] == ("wa", end)


async def test_a_report_settles_doubt(desk: Desk, gateway: Server, asked: httpx.AsyncClient) -> None:
    gateway.answer = lambda asks: HANGS_UP
    one = await over_whatsapp(desk, gateway)
    assert await reports(asked, (f"{one}.1", "sent")) == 200
    assert await told(desk) == [("wa", "doubtful"), ("wa", "sent")]
    assert (await row(desk))["reason"] is None
    await desk.announce(overlap(2))
    await desk.at_once()
    (other,) = await desk.deliveries(agency="dinsos", state="doubtful")
    assert await reports(asked, (f"{other['delivery_id']}.1", "failed")) == 200
    await desk.send()
    assert (await told(desk))[2:] == [("wa", "doubtful"), ("wa", "failed"), ("email", "sent")]


async def test_an_sms_gateway_reports_too(desk: Desk, asked: httpx.AsyncClient) -> None:
    callback = "https://tepat.example/v1/callbacks/sms"
    with serving(TAKEN["sms"]) as server:
        await equip(desk, {"phone": PHONE}, sms=sms(server.url, callback=callback))
        await desk.announce(overlap(1))
        await desk.at_once()
    url = server.asked[0].form["StatusCallback"]
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    query = url.partition("?")[2]
    for status, headers in ((403, {}), (200, of_twilio(url, form))):
        answer = await asked.post(f"callbacks/sms?{query}", data=form, headers=headers)
        assert answer.status_code == status
    assert await told(desk) == [("sms", "sent"), ("sms", "delivered")]


async def test_a_callback_that_the_gateway_did_not_make_changes_nothing(
    desk: Desk, gateway: Server, asked: httpx.AsyncClient
) -> None:
    one = await over_whatsapp(desk, gateway)
    body = statuses((f"{one}.1", "read"))
    assert (await asked.post("callbacks/wa", content=body)).status_code == 403
    assert (await asked.post("callbacks/wa", content=body, headers=signed(body, b"guess"))).status_code == 403
    assert (await asked.post("callbacks/wa", content=b"{}", headers=signed(b"{}"))).status_code == 400
    assert (await asked.post("callbacks/email", content=body)).status_code == 404
    assert (await asked.post("callbacks/fax", content=body)).status_code == 404
    greeting = {"hub.mode": "subscribe", "hub.challenge": "42", "hub.verify_token": "hello"}
    assert (await asked.get("callbacks/wa", params=greeting)).text == "42"
    assert (await asked.get("callbacks/wa", params=greeting | {"hub.verify_token": "?"})).status_code == 403
    assert await told(desk) == [("wa", "sent")]


async def given_up(desk: Desk) -> UUID:
    desk.mail.at_recipient = lambda address: "550 5.1.1 no such mailbox"
    await equip(desk, {"email": "a@dinsos.invalid"}, email=email(desk))
    await desk.announce(overlap(1))
    await desk.at_once()
    for wait in RETRY_AFTER:
        desk.clock.now += wait
        await desk.send()
    desk.mail.at_recipient = lambda address: None
    delivery_id: UUID = (await row(desk))["delivery_id"]
    return delivery_id


@pytest.mark.parametrize(
    ("told", "regions", "seen"),
    [
        (["33.74.01.1001"], (), True), (["33.74.01.1001"], ("35",), False), (["33.74.01.1001"], ("35", "33.74"), True),
        (["33.74.01", "33.74.02"], ("33.74",), True), (["33.74.01", "33.74.02"], ("33.74.01",), False),
        (["33.74.10", "33.74.11"], ("33.74.1",), False), (["33.74", "35.78"], ("33", "35"), False),
        (["33.74", "35.78"], (), True), (["33.74", None], ("33.74",), False),
    ],
)  # fmt: skip
async def test_a_notice_is_shown_to_those_who_may_see_all_that_it_tells(
    desk: Desk, asked: httpx.AsyncClient, told: list[str | None], regions: tuple[str, ...], seen: bool
) -> None:
    """Sent or given up; and no other is sent again."""
    desk.mail.at_recipient = lambda address: "550 5.1.1 no such mailbox"
    await equip(desk, {"email": "a@dinsos.invalid"}, email=email(desk))
    await desk.announce(*(overlap(n, region=region) for n, region in enumerate(told)))
    await desk.at_once()
    desk.clock.now += RETRY_AFTER[0]
    one = (await row(desk))["delivery_id"]
    desk.regions = regions
    listed = (await asked.get("notices")).json()["items"]
    summary = (await asked.get("notices/summary")).json()
    assert len(listed) == sum(summary["by_state"].values()) == sum(summary["by_kind"].values()) == 2 * seen
    assert sum(sum(states.values()) for states in summary["by_channel"].values()) == 2 * seen
    assert (await asked.post(f"notices/{one}/again", json={})).status_code == (409 if seen else 404)


async def test_rejections_and_what_waits_are_shown_to_those_who_may_see_all(
    desk: Desk, asked: httpx.AsyncClient
) -> None:
    await equip(desk, {"email": "a@dinsos.invalid"}, email=email(desk))
    await desk.announce(overlap(1))
    await desk.reject(rejection(1))
    desk.regions = ("33.74",)
    assert (await asked.get("notices")).json()["items"] == []
    await desk.at_once()
    await desk.digest()
    assert {each["kind"] for each in (await asked.get("notices")).json()["items"]} == {"overlaps"}
    desk.regions = ()
    assert {each["kind"] for each in (await asked.get("notices")).json()["items"]} == {"overlaps", "rejections"}


async def test_a_notice_given_up_can_be_sent_again(desk: Desk, asked: httpx.AsyncClient) -> None:
    one = await given_up(desk)
    assert (await asked.post(f"notices/{one}/again", json={"reason": "   "})).status_code == 422
    answer = await asked.post(f"notices/{one}/again", json={"reason": "the mailbox is there again"})
    assert (answer.status_code, answer.json()) == (200, {"delivery_id": str(one), "was": "failed"})
    assert (await asked.post(f"notices/{one}/again", json={})).status_code == 409
    await desk.send()
    assert len(desk.mail.texts) == 1
    assert overlap(1).code in desk.mail.texts[0].get_content()
    refused = await asked.post(f"notices/{one}/again", json={})
    assert refused.status_code == 409
    assert "not told again" in refused.json()["detail"]
    assert (await asked.post(f"notices/{uuid4()}/again", json={})).status_code == 404
    assert [each["state"] for each in await desk.published() if each["agency"] == "dinsos"] == ["failed"] * 6 + ["sent"]
    acts = await desk.database.pool.fetch("select who, act, target from act")
    assert [tuple(each) for each in acts] == [("rini", "notices.again", str(one))]


async def test_one_sent_again_while_another_gathers_goes_with_that(desk: Desk, asked: httpx.AsyncClient) -> None:
    one = await given_up(desk)
    await desk.announce(overlap(2))
    answer = (await asked.post(f"notices/{one}/again", json={})).json()
    assert answer["delivery_id"] != str(one)
    await desk.send()
    (text,) = desk.mail.texts
    assert overlap(1).code in text.get_content()
    assert overlap(2).code in text.get_content()


async def test_one_in_doubt_is_sent_again_only_where_somebody_says_so(desk: Desk, asked: httpx.AsyncClient) -> None:
    desk.mail.at_text = lambda server: server.transport.abort()
    await equip(desk, {"email": "a@dinsos.invalid"}, email=email(desk))
    await desk.announce(overlap(1))
    await desk.reject(rejection(1))
    await desk.at_once()
    await desk.digest()
    desk.mail.at_text = lambda server: None
    await desk.digest()
    assert desk.mail.texts == []
    for each in await desk.deliveries(agency="dinsos", state="doubtful"):
        assert (await asked.post(f"notices/{each['delivery_id']}/again", json={})).status_code == 200
    await desk.send()
    assert len(desk.mail.texts) == 2
    assert {each["state"] for each in await desk.deliveries(agency="dinsos")} == {"sent"}


FIRE = {
    "revision": 1, "agency": "dpmd", "kind": "fire", "region": "33.74.01.1001", "step": "kelurahan",
    "state": "waiting", "in_charge": "dinsos", "deadline": "2026-03-03T03:00:00+00:00",
}  # fmt: skip


async def in_doubt(desk: Desk, *reports: str) -> UUID:
    """A notice by routes of these reports, lost from sight after its text was handed over."""
    await equip(desk, {"email": "a@dinsos.invalid"}, email=email(desk))
    lurah = [{"name": "M", "role": "lurah", "contact": {"email": "m@kel.invalid"}}]
    route = {"kinds": ["report"], "to": {"officers": "lurah"}, "acknowledge": {"within": "PT4H", "then": []}}
    await desk.apply(routes={"recipients": {"lurah": lurah}, "notices": [route]})
    desk.mail.at_text = lambda server: server.transport.abort()
    for each in reports:
        await desk.tell("tepat.report.routed.v1", report_id=each, **FIRE)
    await desk.at_once()
    desk.mail.at_text = lambda server: None
    (one,) = await desk.deliveries(state="doubtful")
    delivery_id: UUID = one["delivery_id"]
    return delivery_id


async def test_one_by_routes_in_doubt_is_sent_again_once_where_somebody_says_so(
    desk: Desk, asked: httpx.AsyncClient
) -> None:
    one = await in_doubt(desk, "L-1", "L-2")
    for _ in range(2):
        await desk.digest()
    assert desk.mail.texts == []
    answer = await asked.post(f"notices/{one}/again", json={"reason": "the lurah has nothing"})
    assert (answer.status_code, answer.json()) == (200, {"delivery_id": str(one), "was": "doubtful"})
    assert (await asked.post(f"notices/{one}/again", json={})).status_code == 409
    await desk.send()
    await desk.digest()
    (text,) = desk.mail.texts
    assert "2 laporan warga" in text["Subject"]
    assert (await asked.post(f"notices/{one}/again", json={})).status_code == 409
    acts = await desk.database.pool.fetch("select who, act, target from act")
    assert [tuple(each) for each in acts] == [("rini", "notices.again", str(one))]


async def test_of_one_by_routes_in_doubt_only_what_nobody_has_heard_since_is_told_again(
    desk: Desk, asked: httpx.AsyncClient
) -> None:
    one = await in_doubt(desk, "L-1", "L-2", "L-3")
    await desk.tell("tepat.report.routed.v1", report_id="L-1", **FIRE | {"revision": 2, "step": "kota"})
    await desk.at_once()
    await desk.tell("tepat.report.routed.v1", report_id="L-2", **FIRE | {"revision": 2, "state": "closed"})
    await desk.tell("tepat.report.routed.v1", report_id="L-4", **FIRE)
    answer = (await asked.post(f"notices/{one}/again", json={})).json()
    assert answer["delivery_id"] != str(one)  # it goes with the notice that gathers, before its hour
    await desk.send()
    await desk.at_once()
    await desk.digest()
    first, second, third, fourth = (text.get_content() for text in desk.mail.texts)
    codes = [case_code(cause_id("report", f"dpmd/L-{number}")) for number in range(1, 5)]
    assert [code in first for code in codes] == [True, False, False, False]
    assert [code in second for code in codes] == [False, False, True, False]
    assert [code in third for code in codes] == [False, False, False, True]
    assert [code in fourth for code in codes] == [False, True, False, False]


async def test_one_by_routes_given_up_can_be_sent_again(desk: Desk, asked: httpx.AsyncClient) -> None:
    desk.mail.at_recipient = lambda address: "550 5.1.1 no such mailbox"
    with pytest.raises(ValueError, match="not enough values"):
        await in_doubt(desk, "L-1")
    for wait in RETRY_AFTER:
        desk.clock.now += wait
        await desk.send()
    desk.mail.at_recipient = lambda address: None
    (one,) = await desk.deliveries(state="failed")
    assert (await asked.post(f"notices/{one['delivery_id']}/again", json={})).status_code == 200
    await desk.send()
    assert len(desk.mail.texts) == 1


async def test_what_was_told_since_is_not_told_again(desk: Desk, asked: httpx.AsyncClient) -> None:
    one = await given_up(desk)
    await desk.announce(overlap(2, verdict="review"))
    await desk.digest()
    assert overlap(1).code in desk.mail.texts[0].get_content()
    assert (await asked.post(f"notices/{one}/again", json={})).status_code == 200
    await desk.send()
    assert len(desk.mail.texts) == 1
    assert (await row(desk, kind="overlaps"))["reason"] == "nothing was left to tell when it was due"
