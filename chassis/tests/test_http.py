import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
import httpx
import pytest
from aiokafka.errors import KafkaConnectionError
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query
from pydantic import AwareDatetime, BaseModel
from tepat_chassis.auth import Auth, Person, Right, TokenRefusedError, needs
from tepat_chassis.health import Health
from tepat_chassis.http import Background, Page, Region, api, must_be_of, paging
from tepat_chassis.metrics import Metrics
from tepat_chassis.refusals import words
from tepat_chassis.standing import NothingInForceError
from tepat_chassis.wanted import Body, Day, Form, Id, Moment, Purpose

NIK = "3374014101010001"
NO_GROUNDS = (
    "must be said in words: at least 3 characters, apart from blanks before and after / "
    "harus diisi dengan kata-kata: sedikitnya 3 karakter, di luar spasi di awal dan akhir"
)
Reader = Annotated[Person, Depends(needs(Right.read))]
router = APIRouter()
ROWS = [(datetime(2026, 1, day, tzinfo=UTC), UUID(int=day)) for day in range(1, 8)]


class Badges(Auth):
    """The token is the rights, with + between."""

    def __init__(self) -> None:
        pass

    async def person(self, token: str) -> Person:
        if token == "none":
            raise TokenRefusedError("it is none", "bukan token")
        return Person("siti", "Siti", frozenset(Right(right) for right in token.split("+")), ())


class Named(BaseModel):
    nik: int
    relations: dict[str, int] = {}


class Entry(Body):
    packages: int = 1


class Entered(Body):
    entries: list[Entry] = []  # noqa: RUF012 – copied for each
    day: Day | None = None
    at: Moment | None = None
    who: Id | None = None
    share: float = 1
    again: bool = False
    note: str = ""


@router.get("/rows")
async def rows(_: Reader, page: Annotated[Page, Depends(paging(datetime, UUID))]) -> dict[str, Any]:
    left = [row for row in ROWS if page.after is None or row > page.after]
    return page.of(left[: page.limit + 1], lambda row: row)


@router.post("/names")
async def names(_: Reader, named: Named) -> None:
    raise RuntimeError(f"no room for {named.nik}")


@router.post("/entered")
async def entered(_: Reader, told: Entered) -> Entered:
    return told


@router.get("/asked")
async def asked(
    _: Reader,
    region: Region = None,
    kind: Literal["one", "other"] | None = None,
    why: Annotated[str, Query(min_length=3, max_length=5, pattern="^[a-z]*$")] = "why",
    many: Annotated[int, Query(ge=1, le=10**15)] = 1,
    much: Annotated[float, Query(gt=0.5, lt=1.5)] = 1,
    programme: str | None = None,
    at: AwareDatetime | None = None,
    code: Annotated[str, Form("^[a-z]*$", "must be small letters", "harus huruf kecil")] = "",
    purpose: Annotated[Purpose | None, Query()] = None,
) -> dict[str, Any]:
    must_be_of({"PKH"}, "programme", programme, what="programme")
    return {"errors": [], "asked": [region, kind, why, many, much, at, code, purpose]}


@router.get("/gone")
async def gone(_: Reader) -> None:
    raise HTTPException(410, "it was withdrawn")


class FAILING:
    error: Exception = RuntimeError()


@router.get("/failing")
async def failing(_: Reader) -> None:
    raise FAILING.error


async def status() -> dict[str, Any]:
    return {"policy_version": "2026-01", "topics": ["agency.dinsos.payouts.v1"]}


async def known_areas() -> frozenset[str]:
    return frozenset({"33.74"})


def built(health: Health, *routers: APIRouter) -> FastAPI:
    return api(
        "registry",
        title="Registry",
        auth=Badges(),
        health=health,
        metrics=Metrics(),
        status=status,
        routers=routers,
        time_zone=lambda: "Asia/Makassar",
        areas=known_areas,
    )


@pytest.fixture
def health() -> Health:
    health = Health(clock=lambda: 0.0)
    health.database_ok()
    return health


@pytest.fixture
async def client(health: Health) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(built(health, router), raise_app_exceptions=False)
    headers = {"Authorization": "Bearer read"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


async def test_health_metrics_and_status_need_no_token(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    assert (await client.get("/health/live")).json() == {"ok": True, "reasons": []}
    assert (await client.get("/health/ready")).status_code == 200
    assert (await client.get("/v1/status")).json() == {
        "service": "registry",
        "policy_version": "2026-01",
        "topics": ["agency.dinsos.payouts.v1"],
        "ready": True,
    }
    metrics = await client.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "tepat_outbox_depth 0.0" in metrics.text


async def test_what_is_not_ready_says_why(client: httpx.AsyncClient, health: Health) -> None:
    health.waiting(99)
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json() == {"ok": False, "reasons": ["an event has waited 99 s in the outbox"]}
    assert (await client.get("/health/live")).status_code == 200
    assert (await client.get("/v1/status")).json()["ready"] is False


async def test_the_interface_is_described_and_no_page_loads_scripts(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()
    assert described["components"]["securitySchemes"]["bearer"]["bearerFormat"] == "JWT"
    assert described["paths"]["/v1/rows"]["get"]["security"] == [{"bearer": []}]
    assert "security" not in described["paths"]["/v1/status"]["get"]
    for page in ("/docs", "/redoc"):
        assert (await client.get(page)).status_code == 404


@pytest.mark.parametrize(
    ("asked", "token", "status", "detail"),
    [
        ("GET /v1/rows", "none", 401, words("token_refused", why=("it is none", "bukan token"))),
        ("GET /v1/rows", "operate", 403, words("right_missing", right="read")),
        ("GET /v1/nothing", "read", 404, words("no_address")),
        ("DELETE /v1/rows", "read", 405, words("no_address")),
        ("GET /v1/gone", "read", 410, "it was withdrawn"),
        ("GET /v1/rows?cursor=x", "read", 400, words("cursor")),
    ],
)
async def test_errors_are_problems(asked: str, token: str, status: int, detail: str, client: httpx.AsyncClient) -> None:
    answer = await client.request(*asked.split(), headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": answer.reason_phrase,
        "status": status,
        "detail": detail,
    }


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"nik": f"x{NIK}"}, "body/nik"),
        ({"nik": 1, "relations": {NIK: "x"}}, "body/relations/337401******0001"),
        (NIK, "body"),
    ],
)
async def test_wrong_input_is_pointed_at_and_not_repeated(
    body: object, pointer: str, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/v1/names", json=body)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert NIK not in answer.text


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("kind=bogus", "query/kind must be one or other / harus one atau other"),
        (
            "region=3374",
            "query/region must be the code of an area, such as 33.74 or 33.74.01.1001 / "
            "harus kode wilayah, contoh 33.74 atau 33.74.01.1001",
        ),
        ("why=x", "query/why must have at least 3 characters / harus sedikitnya 3 karakter"),
        ("why=wherefore", "query/why must have at most 5 characters / paling banyak 5 karakter"),
        ("why=x:y", "query/why is not of the form that is wanted / bentuknya tidak seperti yang diminta"),
        ("many=0", "query/many must be 1 or more / harus 1 atau lebih"),
        (f"many={NIK}", "query/many must be 1,000,000,000,000,000 or less / harus 1,000,000,000,000,000 atau kurang"),
        ("much=0", "query/much must be more than 0.5 / harus lebih dari 0.5"),
        ("much=1.5", "query/much must be less than 1.5 / harus kurang dari 1.5"),
        ("region=33.99", "query/region " + words("no_area", region="33.99")),
        ("many=x", "query/many must be a whole number, such as 750000 / harus bilangan bulat, contoh 750000"),
        (
            "at=2026-03-06T09:30",
            "query/at must be a moment with its zone, such as 2026-03-06T09:30+07:00 / "
            "harus tanggal dan jam dengan zona waktu, contoh 2026-03-06T09:30+07:00",
        ),
        ("code=Ab", "query/code must be small letters / harus huruf kecil"),
        ("purpose=%20%20%20%20", f"query/purpose {NO_GROUNDS}"),
        ("purpose=%20ab%C2%A0", f"query/purpose {NO_GROUNDS}"),
        ("purpose=", f"query/purpose {NO_GROUNDS}"),
        ("purpose=aduan%00", f"query/purpose {NO_GROUNDS}"),
        (
            "programme=NOPE",
            "query/programme must be a programme of the policy in force / harus program dalam kebijakan yang berlaku",
        ),
        (
            "programme=pkg",
            "query/programme must be a programme of the policy in force; did you mean PKH? / "
            "harus program dalam kebijakan yang berlaku; mungkin maksudnya PKH?",
        ),
        ("programme=PKH&why=xyz&region=33.74", ""),
    ],
)
async def test_a_refusal_says_what_is_wanted(query: str, told: str, client: httpx.AsyncClient) -> None:
    answer = (await client.get(f"/v1/asked?{query}")).json()
    assert [f"{each['pointer']} {each['message']}" for each in answer["errors"]] == ([told] if told else [])


async def test_blanks_around_a_purpose_are_left_out(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/asked?purpose=%20%09a%20b%0A")).json()["asked"][-1] == "a b"


async def test_an_answer_names_the_zone_its_moments_are_to_be_shown_in(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/rows")).headers["tepat-time-zone"] == "Asia/Makassar"


async def test_an_error_of_ours_tells_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/names", json={"nik": int(NIK)})
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == "the service failed; its log says why / layanan gagal; sebabnya ada di lognya"


@pytest.mark.parametrize(
    ("error", "away", "indonesian"),
    [(KafkaConnectionError(), "broker", "broker Kafka"), (ConnectionRefusedError(), "database", "basis data"),
     (TimeoutError(), "database", "basis data"),
     (asyncpg.CannotConnectNowError("starting up"), "database", "basis data")],
)  # fmt: skip
async def test_a_server_that_is_away_is_told_as_such(
    error: Exception, away: str, indonesian: str, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FAILING, "error", error)
    answer = await client.get("/v1/failing")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["detail"].startswith(f"the {away} can't be reached just now: try again / {indonesian} sedang")


async def test_what_rests_on_a_policy_says_that_there_is_none(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FAILING, "error", NothingInForceError())
    answer = await client.get("/v1/failing")
    assert (answer.status_code, answer.headers["Content-Type"]) == (409, "application/problem+json")
    english, _, indonesian = answer.json()["detail"].partition(" / ")
    assert english == "no policy was applied yet: `tepat policy apply FILE`"
    assert indonesian == "belum ada kebijakan yang berlaku: jalankan `tepat policy apply FILE`"


async def test_a_body_over_a_mebibyte_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/names", content=b" " * (1024 * 1024 + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize("limit", [1, 3, 7, 1000])
async def test_a_listing_is_read_to_its_end_each_row_once_and_no_answer_is_empty(
    limit: int, client: httpx.AsyncClient
) -> None:
    read: list[Any] = []
    cursor: str | None = None
    while True:
        asked = {"limit": str(limit), **({"cursor": cursor} if cursor else {})}
        answer = (await client.get("/v1/rows", params=asked)).json()
        assert 0 < len(answer["items"]) <= limit
        read += [row[1] for row in answer["items"]]
        if (cursor := answer["next"]) is None:
            break
    assert read == [str(row[1]) for row in ROWS]


@pytest.mark.parametrize("limit", [0, 1001, "x"])
async def test_limits_have_limits(limit: object, client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/v1/rows?limit={limit}")).status_code == 422


@pytest.mark.parametrize("cursor", ["", "W10=", "eyJ9", "WyJ4IiwgInkiXQ==", "é"])
async def test_a_strange_cursor_is_refused(cursor: str, client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/rows", params={"cursor": cursor})).status_code == 400


def test_a_route_that_asks_no_right_is_refused(health: Health) -> None:
    bare = APIRouter()

    @bare.get("/open")
    async def open_() -> None: ...

    with pytest.raises(ValueError, match="/open asks no right"):
        built(health, bare)
    nested = APIRouter()
    nested.include_router(bare)
    with pytest.raises(ValueError, match="asks no right"):
        built(health, nested)


async def test_a_right_of_the_whole_router_will_do(health: Health) -> None:
    whole = APIRouter(dependencies=[Depends(needs(Right.operate))])

    @whole.get("/open")
    async def open_() -> None: ...

    transport = httpx.ASGITransport(built(health, whole))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for token, status in (("read", 403), ("operate", 200)):
            answer = await client.get("/v1/open", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == status


async def test_loops_may_finish_when_the_service_stops() -> None:
    finished = []

    async def loop(background: Background) -> None:
        await background.stopping.wait()
        finished.append("batch in hand")

    async with (background := Background()):
        background.start("consumer", loop(background))
    assert finished == ["batch in hand"]
    assert background.failure is None


async def test_a_loop_may_end_while_the_service_puts_things_away() -> None:
    ended = asyncio.Event()

    async def loop(background: Background) -> None:
        await background.stopping.wait()
        ended.set()

    @asynccontextmanager
    async def lifespan(background: Background) -> AsyncIterator[None]:
        async with background:
            background.start("relay", loop(background))
            yield
            await ended.wait()  # before the block is left

    app = api(
        "registry",
        title="Registry",
        auth=Badges(),
        health=Health(),
        metrics=Metrics(),
        status=status,
        lifespan=lifespan,
    )
    async with app.router.lifespan_context(app):
        pass
    assert app.state.background.failure is None


async def test_loops_that_do_not_finish_are_cancelled() -> None:
    async with (background := Background(finish=0.0)):
        background.start("consumer", asyncio.sleep(3600))
    assert background.failure is None
    assert not background.failed.is_set()


WHOLE = "must be a whole number, such as 750000 / harus bilangan bulat, contoh 750000"
A_DAY = "must be a day, such as 2026-03-06 / harus tanggal, contoh 2026-03-06"
A_TIME = (
    "must be a moment with its zone, such as 2026-03-06T09:30+07:00 / "
    "harus tanggal dan jam dengan zona waktu, contoh 2026-03-06T09:30+07:00"
)
AN_ID = "0b6f6f4c-3f0e-5a53-8f8e-5c7d1c6f2a44"


@pytest.mark.parametrize(("told", "wanted"), [
    *(({"entries": [{"packages": no}]}, WHOLE) for no in ("1", 1.0, True)),
    *(({"day": no}, A_DAY) for no in (0, "0", "1772755200", False, "2026-03-06T00:00:00", "2026-03-06 00:00")),
    *(({"at": no}, A_TIME) for no in (1772755200.5, "1772755200", "2026-03-06T09:30")),
    ({"who": 1}, f"must be an id such as {AN_ID} / harus berupa ID, contoh {AN_ID}"),
    ({"share": "1"}, "must be a number, such as -6.98 / harus angka, contoh -6.98"),
    *(({"again": no}, "must be true or false / harus true atau false") for no in (1, "yes")),
    ({"note": 1}, "must be a text / harus berupa teks"),
])  # fmt: skip
async def test_what_is_told_as_something_else_is_refused_in_both_languages(
    client: httpx.AsyncClient, told: dict[str, Any], wanted: str
) -> None:
    answer = await client.post("/v1/entered", json=told)
    assert (answer.status_code, [each["message"] for each in answer.json()["errors"]]) == (422, [wanted])


async def test_days_moments_and_ids_are_told_in_text(client: httpx.AsyncClient) -> None:
    told = {
        "day": "2026-03-06",
        "at": "2026-03-06T09:30:00+07:00",
        "who": AN_ID,
        "share": 1,
        "entries": [{"packages": 2}],
    }
    answer = await client.post("/v1/entered", json=told)
    assert (answer.status_code, answer.json()) == (200, {**told, "share": 1.0, "again": False, "note": ""})
