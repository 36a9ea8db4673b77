"""One quarantined record over HTTP: its shape to whoever operates, its bytes for a purpose."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from tepat_chassis.auth import Person, Right, authenticated
from tepat_chassis.database import Database
from tepat_chassis.pseudonyms import Pseudonyms, as_uuid
from tepat_chassis.quarantine import Record, Sealer, expire
from tepat_chassis.quarantine_api import Replay, quarantine_router, shape
from tepat_chassis.standing import Standing

NIK, WRONG = "3374014101010001", "33740141010100"
TOPIC = "agency.dinsos.payouts.v1"
EVENT = {
    "specversion": "1.0", "id": "e-1", "source": "urn:tepat:agency:dinsos", "type": "tepat.payout.planned.v1",
    "data": {"recipient": {"nik": WRONG, "name": "Siti Aminah"}, "amount": 750000, "old": NIK, "note": None, "n": 0.5},
}  # fmt: skip
PSEUDONYMS = Pseudonyms(bytes(range(32)))


@dataclass
class Operator:
    """Who asks, and with which rights."""

    client: httpx.AsyncClient
    database: Database
    rights: frozenset[Right] = frozenset({Right.operate})

    async def opens(self, offset: int, **params: str) -> httpx.Response:
        return await self.client.get(f"quarantine/{TOPIC}/0/{offset}", params=params)

    async def acts(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.database.pool.fetch("select * from act order by id")]


@pytest_asyncio.fixture
async def operator(database: str) -> AsyncIterator[Operator]:
    """Somebody before a quarantine of an event and of what is no text."""
    store = Database(database, service="distribution")
    await store.open(files("tepat_chassis") / "sql" / "migrations")
    sealer = Sealer(bytes(32))
    for offset, value in enumerate((json.dumps(EVENT).encode(), b"\xff" + NIK.encode())):
        sealed = sealer.seal(Record(TOPIC, 0, offset, 0, value, []))
        await store.pool.execute(
            'insert into quarantine (topic, partition, "offset", agency, reason, message, sha256, sealed)'
            " values ($1, 0, $2, 'dinsos', 'nik_invalid', 'no NIK', '', $3)",
            TOPIC, offset, sealed,
        )  # fmt: skip
    async with store.transaction() as connection:
        await Standing.put(connection, "t-1", {"agencies": ["dpmd"]})

    def told(document: Any) -> Any:
        return SimpleNamespace(index=SimpleNamespace(agencies=dict.fromkeys(document["agencies"])))

    service: Any = SimpleNamespace(
        name="distribution", database=store, sealer=sealer, pseudonyms=lambda _: PSEUDONYMS,
        standing=Standing(store, told),
    )  # fmt: skip
    app = FastAPI()
    app.include_router(quarantine_router(service), prefix="/v1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t/v1/") as client:
        somebody = Operator(client, store)
        app.dependency_overrides[authenticated] = lambda: Person("rudi", "Pak Rudi", somebody.rights, ())
        yield somebody
    await store.close()


@pytest.mark.integration
async def test_without_a_purpose_a_record_is_told_as_its_shape(operator: Operator) -> None:
    told = (await operator.opens(0)).json()
    assert (told["masked"], told["encoding"], told["reason"]) == (True, "utf-8", "nik_invalid")
    assert json.loads(told["value"]) == EVENT | {
        "data": {
            "recipient": {"nik": "9" * 14, "name": "Xxxx Xxxxxx"}, "amount": 999999, "old": "9" * 16, "note": None,
            "n": 9.9,
        }
    }  # fmt: skip
    assert (await operator.opens(1)).json()["value"] == "\ufffd" + "9" * 16
    assert [(act["act"], act["target"], act["persons"]) for act in await operator.acts()] == [
        ("quarantine.show", f"{TOPIC}-0-0", []), ("quarantine.show", f"{TOPIC}-0-1", []),
    ]  # fmt: skip


@pytest.mark.integration
async def test_the_bytes_need_a_purpose_and_the_right_and_leave_an_act(operator: Operator) -> None:
    assert (await operator.opens(0, purpose="the agency asked")).status_code == 403
    assert await operator.acts() == []
    operator.rights |= {Right.disclose}
    told = (await operator.opens(0, purpose=f"asked of {NIK}")).json()
    assert (json.loads(told["value"]), "masked" in told) == (EVENT, False)
    told = (await operator.opens(1, purpose="what is it")).json()
    assert (told["value"], told["encoding"]) == ((b"\xff" + NIK.encode()).hex(), "hex")
    first, second = await operator.acts()
    assert (first["act"], first["target"], first["who"]) == ("disclose", f"{TOPIC}-0-0", "rudi")
    assert json.loads(first["detail"]) == {"purpose": "asked of 337401******0001", "what": "quarantined record"}
    assert first["persons"] == second["persons"] == [as_uuid(PSEUDONYMS.nik(NIK))]
    assert (await operator.opens(7, purpose="what is it")).status_code == 404


def test_whatever_is_no_event_keeps_no_letter_and_no_digit() -> None:
    assert shape(f'{{"nik": "{NIK}", Siti') == f'{{"xxx": "{"9" * 16}", Xxxx'
    assert shape(json.dumps({NIK: {"Siti Aminah": [NIK, True]}})) == json.dumps(
        {"9" * 16: {"Xxxx Xxxxxx": ["9" * 16, True]}}
    )
    assert shape("[" * 100_000) == "[" * 100_000
    kept = {"specversion": 9, "id": "337401******0001", "type": 9}
    assert json.loads(shape(json.dumps({"specversion": 1, "id": NIK, "type": 7}))) == kept


def leaves(told: Any) -> str:
    return "".join(map(leaves, told)) if isinstance(told, list) else str(told)


@given(st.recursive(st.text() | st.integers() | st.floats(), st.lists))
def test_no_value_of_any_kind_keeps_a_letter_or_a_digit(told: Any) -> None:
    said = shape(json.dumps(told))
    said.encode()
    assert {sign for sign in leaves(json.loads(said)) if sign.isalnum()} <= {*"9xX"}


@pytest.mark.integration
async def test_what_was_sent_is_kept_for_ninety_days(operator: Operator) -> None:
    async def offsets() -> list[int]:
        return [
            row["offset"] for row in await operator.database.pool.fetch('select "offset" from quarantine order by 1')
        ]

    for days, kept in ((89, [0, 1]), (91, [1])):
        await operator.database.pool.execute(
            "update quarantine set quarantined_at = now() - $1 * interval '1 day' where \"offset\" = 0", days
        )
        async with operator.database.transaction() as connection:
            await expire(connection)
        assert await offsets() == kept


@pytest.mark.integration
async def test_what_nobody_sent_and_no_reason_there_is_are_refused(operator: Operator) -> None:
    operator.rights |= {Right.read}

    async def listed(**params: str) -> httpx.Response:
        return await operator.client.get("quarantine", params=params)

    for known, records in (("dinsos", 2), ("dpmd", 0)):  # not in the policy any more; in it
        assert len((await listed(agency=known)).json()["items"]) == records
    answer = await listed(agency="dinso")
    assert (answer.status_code, "did you mean dinsos?" in answer.text) == (422, True)
    assert (await listed(reason="nik_invalid")).status_code == 200
    answer = await listed(reason="nik")
    assert (answer.status_code, "nik_invalid" in answer.text) == (422, True)
    assert (await operator.client.post("quarantine/replay", json={"reason": "nik"})).status_code == 422


def test_what_is_taken_again_is_named_by_a_reason_or_as_it_is_listed() -> None:
    asked = Replay.model_validate({
        "reason": "nik_invalid", "entries": [{"topic": TOPIC, "partition": 0, "offset": 1, "agency": "dinsos"}],
    })  # fmt: skip
    assert asked.reason == "nik_invalid"
    assert asked.entries is not None
    assert asked.entries[0].offset == 1
