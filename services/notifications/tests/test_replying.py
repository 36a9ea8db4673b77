"""A reply with the code acknowledges the notice told to that very address: over real HTTP, signed as gateways do."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from tepat_chassis.auth import Person, Right, authenticated
from tepat_contracts.cases import case_code
from tepat_notifications import callbacks, replying
from tepat_notifications.channels import Channels
from tepat_notifications.channels.gateway import Gateway
from tepat_notifications.channels.sms import Sms
from tepat_notifications.channels.telegram import Telegram
from tepat_notifications.channels.whatsapp import WhatsApp
from tepat_notifications.hearings import cause_id
from tepat_notifications.replying import ANSWERS, QUIET, codes_in
from tepat_notifications.store import Store

from .conftest import Desk
from .gateways import Asked, Says, Server, serving
from .test_channels import TAKEN, of_twilio, signed, sms, whatsapp

CALLBACK = "https://tepat.example/v1/callbacks/it"
LURAH, RW = "0812-3456 7890", "+62811111111"
CHAT = {LURAH: "4711", RW: "4712"}
NOT_UNDERSTOOD = ANSWERS["not_understood"]


def gateways(url: str) -> dict[str, Gateway]:
    telegram = {"kind": "telegram", "token": "1:bot", "secret": "hook", "url": url}
    return {
        "sms": sms(url, sender="+62899999999", callback=CALLBACK),
        "whatsapp": whatsapp(url),
        "telegram": Telegram.model_validate(telegram),
    }


class Phone:
    """Somebody's telephone, behind a gateway; ``said`` are the answers it got."""

    def __init__(self, service: httpx.AsyncClient, gateway: Gateway, server: Server) -> None:
        self._service, self._gateway, self._server = service, gateway, server
        self._number = 0
        self.said: list[str] = []

    async def writes(self, text: str, phone: str = LURAH, *, again: bool = False, forged: bool = False) -> int:
        """Send a message, or the last one again; the status of the callback."""
        self._number += not again
        number = "62" + phone.replace("-", "").replace(" ", "").removeprefix("+62").removeprefix("0")
        match self._gateway:
            case Sms():
                form = {"MessageSid": f"SM{self._number}", "From": f"+{number}", "To": "+62899999999", "Body": text}
                return await self._posts(urlencode(form).encode(), {
                    "content-type": "application/x-www-form-urlencoded",
                } | of_twilio(CALLBACK, form, b"?" if forged else b"auth"))  # fmt: skip
            case WhatsApp():
                message = {"id": f"wamid.{self._number}", "from": number, "type": "text", "text": {"body": text}}
                value = {"messaging_product": "whatsapp", "messages": [message]}
                body = orjson.dumps({"entry": [{"changes": [{"field": "messages", "value": value}]}]})
                return await self._posts(body, signed(body, b"?" if forged else b"app"))
            case _:
                message = {"message_id": 1, "chat": {"id": int(CHAT[phone])}, "text": text}
                body = orjson.dumps({"update_id": self._number, "message": message})
                return await self._posts(body, {"x-telegram-bot-api-secret-token": "?" if forged else "hook"})

    async def _posts(self, body: bytes, headers: dict[str, str]) -> int:
        sent = len(self._server.asked)
        answer = await self._service.post("/v1/callbacks/it", content=body, headers=headers)
        if "<Message>" in answer.text:
            self.said.append(answer.text.partition("<Message>")[2].partition("</Message>")[0])
        elif answer.status_code == 200 and "method" in answer.text:
            assert answer.json()["method"] == "sendMessage"
            self.said.append(answer.json()["text"])
        self.said += [asked.json["text"]["body"] for asked in self._server.asked[sent:]]
        return answer.status_code


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The application behind a socket."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve([listening]))
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}") as client:
                yield client
        finally:
            server.should_exit = True
            await task


def answer(asked: Asked) -> Says | None:
    return TAKEN["sms" if asked.path.startswith("/2010") else "telegram" if "/bot" in asked.path else "whatsapp"](asked)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(answer) as server:
        yield server


@asynccontextmanager
async def told(desk: Desk, gateway: Gateway, server: Server, *reports: str) -> AsyncIterator[Phone]:
    """The lurah was told of these reports in one notice, the RW of all others of the day in another."""
    desk.channels = Channels({"it": gateway})
    desk.store = Store(desk.channels.names, 2.0)
    route: dict[str, Any] = {"channel": ["it"], "acknowledge": {"within": "PT4H", "then": []}}
    await desk.apply(routes={
        "recipients": {
            name: [{"name": "M", "role": name, "contact": {"phone": phone, "telegram": CHAT[phone]}}]
            for name, phone in (("lurah", LURAH), ("rw", RW))
        },
        "notices": [
            route | {"kinds": ["report"], "verdicts": ["fire"], "to": {"officers": "lurah"}},
            route | {"kinds": ["report"], "to": {"officers": "rw"}},
        ],
    })  # fmt: skip
    for number, kind in [*((each, "fire") for each in reports), ("L-9", "flood")]:
        await desk.tell(
            "tepat.report.routed.v1", report_id=number, revision=1, agency="dpmd", kind=kind, region="33.74.01.1001",
            step="kelurahan", state="waiting", in_charge="dinsos",
        )  # fmt: skip
    await desk.at_once()
    app = FastAPI()
    replies = replying.Replies(desk.hearings, desk.clock)
    app.include_router(callbacks.router(desk.database, desk.channels, desk.sender, replies), prefix="/v1")
    app.include_router(replying.router(desk.database, desk.channels), prefix="/v1")
    app.dependency_overrides[authenticated] = lambda: Person("rini", "Bu Rini", frozenset(Right), ())
    async with served(app) as client:
        yield Phone(client, gateway, server)
        desk.mail.at_text = lambda server: None


def code(report: str) -> str:
    return case_code(cause_id("report", f"dpmd/{report}"))


async def ends(desk: Desk) -> dict[str, tuple[str | None, str | None]]:
    rows = await desk.database.pool.fetch("select c.code, a.how, a.by from awaited a join cause c using (cause_id)")
    return {row["code"]: (row["how"], row["by"]) for row in rows}


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["sms", "whatsapp", "telegram"])
async def test_a_reply_with_the_code_acknowledges_what_that_address_was_told(
    desk: Desk, server: Server, kind: str
) -> None:
    async with told(desk, gateways(server.url)[kind], server, "L-1", "L-2") as phone:
        texts = [asked.form["Body"] if kind == "sms" else asked.body.decode() for asked in server.asked]
        assert all("Balas dengan kodenya." in text for text in texts)
        theirs, mine = code("L-9"), code("L-1")
        waits = {code(each): (None, None) for each in ("L-1", "L-2", "L-9")}
        assert await phone.writes(theirs) == 200  # told to another address
        assert await phone.writes(mine, forged=True) == 403
        assert await ends(desk) == waits
        assert phone.said == [NOT_UNDERSTOOD]
        spaced = f"sudah ditangani: {mine[:4].lower()} {mine[4:6]}.{mine[6:]}"
        assert await phone.writes(spaced) == 200
        assert await phone.writes(spaced, again=True) == 200  # the gateway tells it twice
        by = ("reply", "lurah/M")
        assert await ends(desk) == waits | {mine: by, code("L-2"): by}  # what its notice told, as by its link
        assert phone.said[1:] == [ANSWERS["acknowledged"].format(codes=mine)]
        await phone.writes(mine)
        await phone.writes(theirs, RW)
        assert (await ends(desk))[theirs] == ("reply", "rw/M")
        assert phone.said[2:] == [
            ANSWERS["nothing_awaited"].format(codes=mine), ANSWERS["acknowledged"].format(codes=theirs),
        ]  # fmt: skip
    acknowledged = [data["acknowledged"]["how"] for data in await desk.published() if "acknowledged" in data]
    assert acknowledged == ["person"] * 2


@pytest.mark.integration
async def test_what_is_not_understood_is_kept_and_answered_once_an_hour(desk: Desk, server: Server) -> None:
    async with told(desk, gateways(server.url)["sms"], server, "L-1") as phone:
        for text in ("Terima kasih", "NIK saya 3374 0101 0190 0001, tolong", ""):
            assert await phone.writes(text) == 200
        assert phone.said == [NOT_UNDERSTOOD]
        desk.clock.now += QUIET
        await phone.writes("apa ini?")
        await phone.writes("halo", RW)
        assert phone.said == [NOT_UNDERSTOOD] * 3
        page = (await phone._service.get("/v1/replies", params={"limit": 3})).json()
        rest = (await phone._service.get("/v1/replies", params={"cursor": page["next"]})).json()
        kept = [(each["sender"], each["outcome"], each["text"]) for each in page["items"] + rest["items"]]
        lurah = "+6281234567890"
        assert kept == [
            (RW, "not_understood", "halo"), (lurah, "not_understood", "apa ini?"), (lurah, "not_understood", ""),
            (lurah, "not_understood", "NIK saya …, tolong"), (lurah, "not_understood", "Terima kasih"),
        ]  # fmt: skip
        await phone.writes(code("L-1"))
        found = (await phone._service.get("/v1/replies", params={"outcome": "acknowledged"})).json()["items"]
        unknown = await phone._service.get("/v1/replies", params={"channel": "whatsap"})
        assert (unknown.status_code, "must be a channel that is set up, or was used" in unknown.text) == (422, True)
        assert [(each["codes"], each["text"]) for each in found] == [([code("L-1")], None)]


def test_an_answer_is_one_sms_in_both_languages() -> None:
    codes = ", ".join(["K7QF2MZA"] * replying.NAMED)
    assert all(len(text.format(codes=codes)) <= 160 and " / " in text for text in ANSWERS.values())


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=100), st.text(max_size=100), st.integers())
def test_a_code_is_found_wherever_it_stands_and_however_it_is_written(before: str, after: str, seed: int) -> None:
    chance = random.Random(seed)
    written = "".join(
        chance.choice((each, each.lower())) + chance.choice(("", " ", " - ", ".", "\n")) for each in "K7QF2MZA"
    )
    assert "K7QF2MZA" in codes_in(f"{before} {written}{after}")


def test_what_a_code_cannot_have_is_read_as_what_it_looks_like() -> None:
    assert codes_in("k1of2mza") == ["KIOF2MZA"]
    assert codes_in("ok, siap") == []
    assert len(codes_in("A" * 10_000 + "K7QF2MZA")) == 1
