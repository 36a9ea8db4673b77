"""What a person is told of those who saw them, whatever they were seen through; and what is told without a policy, or
of what nobody knows.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from tepat_chassis import disclosures, http, subjects
from tepat_chassis.auth import Person, Right, authenticated
from tepat_chassis.health import Health
from tepat_chassis.metrics import Metrics
from tepat_chassis.refusals import words
from tepat_contracts.topics import Kind
from tepat_registry import api
from tepat_registry.suspects import RENEWAL

from .conftest import NOW, Registry, erased, filed, kk, merged, nik, number, recorded

pytestmark = pytest.mark.integration

ANI, ALIAS, BUDI, CITRA = (number(serial) for serial in range(1, 5))
MAWAR, MELATI = number(11), number(12)
PURPOSE = {"purpose": "a visit"}


@dataclass
class Asker:
    """Who asks: somebody who has every right and may see all regions, unless a test says otherwise."""

    rights: frozenset[Right] = frozenset(Right)
    regions: tuple[str, ...] = ()

    def __call__(self) -> Person:
        return Person("rini", "Bu Rini", self.rights, self.regions)


@pytest.fixture
def asker() -> Asker:
    return Asker()


@pytest_asyncio.fixture
async def asked(registry: Registry, asker: Asker) -> AsyncIterator[httpx.AsyncClient]:
    """The registry's answers."""

    async def zone() -> str:
        return "Asia/Jakarta"

    service: Any = SimpleNamespace(name="registry", database=registry.database, standing=registry.standing)
    app = http.api(
        "registry", title="Registry", auth=SimpleNamespace(), health=Health(), metrics=Metrics(),  # type: ignore[arg-type]
        status=dict,  # type: ignore[arg-type]
        routers=[*api.routers(service, lambda: NOW), disclosures.router("registry", registry.database, zone)],
    )  # fmt: skip
    app.dependency_overrides[authenticated] = asker.__call__
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t/v1/") as client:
        yield client


async def seen(asked: httpx.AsyncClient, who: str) -> list[tuple[str, str]]:
    """Acts and their targets, as a person is told of them."""
    answer = await asked.post("subjects/held", json={"persons": [nik(who)], **PURPOSE})
    return [(each["act"], each["target"]) for each in answer.json()["seen"]]


async def test_a_person_finds_every_act_whatever_it_went_through(registry: Registry, asked: httpx.AsyncClient) -> None:
    await registry.take([
        recorded(ANI, MAWAR), recorded(BUDI, MAWAR), recorded(CITRA, MELATI, name="Joko Susilo"),
        recorded(ALIAS, MELATI), merged(ALIAS, ANI),
    ])  # fmt: skip
    people = [{"nik": ANI, "name": "Siti"}, {"name": "Djoko Soesilo"}]
    await registry.take([filed("R-1", people=people), filed("R-2", people=[])], Kind.REPORTS)
    pair = f"{nik(ALIAS)}+{nik(BUDI)}"
    await registry.database.pool.execute(
        "insert into suspect (pair, kind, a, b, state, persons, evidence, region, raised_at)"
        " values ($1, 'duplicate', $2, $3, 'raised', $4, '{}', '33.74.01.1001', now())",
        pair, nik(ALIAS), nik(BUDI), orjson.dumps([nik(ALIAS), nik(BUDI)]).decode(),
    )  # fmt: skip
    said = {"reason": "one person", "agency": "dinsos", "into": nik(BUDI)}
    for answer in (
        await asked.get(f"households/{kk(MAWAR)}", params=PURPOSE),
        await asked.get(f"households/{kk(MELATI)}"),  # masked: nobody was disclosed
        await asked.get("reports/dinsos/R-1", params=PURPOSE),
        await asked.get("reports/dinsos/R-2", params=PURPOSE),
        await asked.get(f"persons/{nik(ALIAS)}", params=PURPOSE),
        await asked.post(f"suspects/{pair}/dismiss", json={"reason": "two persons"}),
        await asked.post(f"suspects/{pair}/reopen", json={"reason": "perhaps not"}),
        await asked.post(f"suspects/{pair}/merge", json=said),
    ):
        assert answer.status_code == 200, answer.text
    household, report, one = ("disclose", kk(MAWAR)), ("disclose", "report dinsos/R-1"), ("disclose", nik(ALIAS))
    decided = [(f"suspect.{what}", pair) for what in ("dismissed", "raised", "merge")]
    assert await seen(asked, BUDI) == [household, *decided, ("disclose", nik(BUDI))]
    assert await seen(asked, CITRA) == [report, ("disclose", nik(CITRA))]
    # under whichever of their numbers they ask, and whichever was asked for: this very act included
    every = [household, report, one, *decided, ("disclose", nik(ANI))]
    assert await seen(asked, ANI) == every
    assert await seen(asked, ALIAS) == [*every, every[-1]]


async def test_blanks_are_no_reason_and_nothing_is_done_for_them(registry: Registry, asked: httpx.AsyncClient) -> None:
    await registry.take([recorded(ANI, MAWAR)])
    for answer in (
        await asked.get(f"persons/{nik(ANI)}", params={"purpose": "   "}),
        await asked.get(f"households/{kk(MAWAR)}", params={"purpose": "   "}),
        await asked.get("reports/dinsos/R-1", params={"purpose": "   "}),
        await asked.post("subjects/held", json={"persons": [nik(ANI)], "purpose": "   "}),
        await asked.post(f"persons/{nik(ANI)}/erase", json={"agency": "dinsos", "reason": "   "}),
        await asked.post("suspects/a+b/dismiss", json={"reason": "   "}),
        await asked.post("suspects/a+b/merge", json={"agency": "dinsos", "reason": "   "}),
    ):
        assert answer.status_code == 422
        assert "must be said in words" in answer.text
    assert await registry.database.pool.fetchval("select count(*) from act") == 0


async def test_what_was_merged_says_so(registry: Registry, asked: httpx.AsyncClient) -> None:
    await registry.take([recorded(ANI, MAWAR), recorded(BUDI, MELATI)])
    pair = f"{nik(ANI)}+{nik(BUDI)}"
    pool = registry.database.pool
    await pool.execute(
        "insert into suspect (pair, kind, a, b, state, persons, evidence, region, raised_at)"
        " values ($1, 'duplicate', $2, $3, 'raised', '[]', '{}', '33.74.01.1001', now())", pair, nik(ANI), nik(BUDI),
    )  # fmt: skip

    async def decided() -> tuple[Any, ...]:
        told = (await asked.get(f"suspects/{pair}")).json()
        assert ("decided_at" in told) is ("decided_by" in told)
        return tuple(told.get(name) for name in ("decision", "decided_by", "reason", "agency", "into"))

    async def act(what: str, reason: str, status: int = 200, **more: str) -> str:
        answer = await asked.post(f"suspects/{pair}/{what}", json={"reason": reason, **more})
        assert answer.status_code == status, answer.text
        return answer.text

    assert await decided() == (None,) * 5
    await act("dismiss", "two persons")
    assert await decided() == (None, "rini", "two persons", None, None)
    await act("reopen", "perhaps not")
    await act("merge", f"one person, {ANI}", agency="dinsos", into=nik(BUDI))
    merged_so = ("merge", "rini", "one person, 337401******0001", "dinsos", nik(BUDI))
    assert await decided() == merged_so
    await pool.execute("update suspect set state = 'cleared'")  # as once the topic was read
    assert await decided() == merged_so
    refused = await act("dismiss", "two persons", 409)
    assert "it is suspected no longer (merged, or told otherwise since), not raised" in refused
    assert "statusnya tidak diduga lagi (sudah digabung, atau datanya berubah)" in refused
    await pool.execute("update suspect set state = 'raised'")  # as once it was taken back
    await act("dismiss", "two persons after all")
    assert await decided() == (None, "rini", "two persons after all", None, None)


async def test_acts_of_before_find_their_persons_as_far_as_they_are_known(
    registry: Registry, asked: httpx.AsyncClient
) -> None:
    await registry.take([recorded(ANI, MAWAR), recorded(BUDI, MAWAR)])
    await registry.take([filed("R-1", people=[{"nik": ANI, "name": "Siti"}])], Kind.REPORTS)
    pair = f"{kk(MAWAR)}+{kk(MELATI)}"
    pool = registry.database.pool
    await pool.execute(
        "insert into suspect (pair, kind, a, b, state, persons, evidence, raised_at)"
        " values ($1, $2, $3, $4, 'dismissed', $5, '{}', now())",
        pair, RENEWAL, kk(MAWAR), kk(MELATI), orjson.dumps([nik(ANI)]).decode(),
    )  # fmt: skip
    acts: list[tuple[str, str, dict[str, Any]]] = [
        ("disclose", kk(MAWAR), {"purpose": "p", "persons": [nik(ANI)]}),
        ("disclose", "report dinsos/R-1", {"purpose": "p"}),
        ("suspect.dismissed", pair, {"reason": "r"}),
    ]
    for act, target, detail in acts:
        await pool.execute(
            "insert into act (who, act, target, detail) values ('rini', $1, $2, $3)",
            act, target, orjson.dumps(detail).decode(),
        )  # fmt: skip
    await pool.execute((files("tepat_registry") / "sql" / "migrations" / "0250_act_persons.sql").read_text())
    assert await seen(asked, ANI) == [*((act, target) for act, target, _ in acts), ("disclose", nik(ANI))]
    assert await seen(asked, BUDI) == [("disclose", nik(BUDI))]
    details = [orjson.loads(row["detail"]) for row in await pool.fetch("select detail from act order by id limit 3")]
    assert details == [{"purpose": "p"}, {"purpose": "p"}, {"reason": "r"}]


async def test_who_saw_whom_is_listed_when_they_are_erased_too(
    registry: Registry, asked: httpx.AsyncClient, asker: Asker
) -> None:
    await registry.take([recorded(ANI, MAWAR), recorded(BUDI, MAWAR)])
    await registry.take([filed("R-1", people=[{"nik": BUDI, "name": "Budi"}])], Kind.REPORTS)
    paths = {
        "person": f"persons/{nik(ANI)}", "household": f"households/{kk(MAWAR)}", "report": "reports/dinsos/R-1",
    }  # fmt: skip
    for path in paths.values():
        await asked.get(path, params={"purpose": f"{path} {ANI}"})
        await asked.get(path)  # masked: nobody was disclosed
    await asked.post("subjects/held", json={"persons": [nik(BUDI)], **PURPOSE})
    await registry.take([erased(ANI, _time="2026-02-01T08:00:00Z")])
    assert (await asked.get(paths["person"])).status_code == 404

    async def listed(status: int = 200, **params: Any) -> Any:
        answer = await asked.get("disclosures", params=params)
        assert answer.status_code == status, answer.text
        assert ANI not in answer.text
        return answer.json()

    every = (await listed())["items"]
    told = [(each["what"], each["of"], {*each["persons"]}) for each in every]
    assert told == [
        ("all that is held", nik(BUDI), {nik(BUDI)}), ("report", "report dinsos/R-1", {nik(BUDI)}),
        ("household", kk(MAWAR), {nik(ANI), nik(BUDI)}), ("person", nik(ANI), {nik(ANI)}),
    ]  # fmt: skip
    assert [(each["who"], each["name"], each["service"]) for each in every] == [("rini", "Bu Rini", "registry")] * 4
    assert (every[0]["purpose"], every[1]["purpose"]) == ("a visit", "reports/dinsos/R-1 337401******0001")
    assert (await listed(person=nik(ANI)))["items"] == every[2:]
    assert (await listed(person=kk(MAWAR)))["items"] == every[2:3]
    first = await listed(limit=3)
    assert first["items"] + (await listed(limit=3, cursor=first["next"]))["items"] == every
    assert (await listed(by="Bu Rini"))["items"] == (await listed(by="rini"))["items"] == every
    assert (await listed(by="joko"))["items"] == []
    await registry.database.pool.execute(  # a minute before and after midnight in Jakarta
        "update act set at = case id when $1 then timestamptz '2026-01-31 16:59Z' else '2026-01-31 17:00Z' end",
        every[0]["id"],
    )
    on = {day: (await listed(**{"from": day, "to": day}))["items"] for day in ("2026-01-31", "2026-02-01")}
    assert [len(items) for items in on.values()] == [1, 3]
    assert on["2026-01-31"][0]["id"] == every[0]["id"]

    lookup = {"nik": ANI}
    assert (await asked.post("lookup", json=lookup)).json()["pseudonym"] == nik(ANI)
    asker.regions = ("33.74",)
    assert "it takes an account for all regions" in (await listed(403))["detail"]
    asker.rights, asker.regions = frozenset(Right) - {Right.merge}, ()
    await listed(403)
    assert (await asked.post("lookup", json=lookup)).status_code == 404  # that somebody was erased is told to few


async def test_acts_are_found_by_index(registry: Registry) -> None:
    pool = registry.database.pool
    await pool.execute(
        "insert into act (who, act, target, persons) select 'rini', 'disclose', gen_random_uuid()::text,"
        " array[gen_random_uuid(), gen_random_uuid()] from generate_series(1, 20000)"
    )
    await pool.execute("vacuum analyze act")
    plan = "\n".join(row[0] for row in await pool.fetch("explain " + subjects.SEEN, [nik(ANI)], [nik(ANI)]))
    assert "act_persons" in plan
    assert "act_target" in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    "question",
    [
        f"GET persons/{nik(ANI)}", f"GET households/{kk(MAWAR)}", "GET reports", "GET reports/dinsos/R-1",
        "GET unserved", "GET unserved/count", "GET coverage?region=33.74", "POST lookup", "POST subjects/held",
        f"POST persons/{nik(ANI)}/erase", "POST suspects/a+b/dismiss", "POST suspects/a+b/merge",
    ],
)  # fmt: skip
async def test_without_a_policy_every_question_is_answered_so_at_once(
    registry: Registry, asked: httpx.AsyncClient, question: str
) -> None:
    await registry.empty()
    bodies: dict[str, Any] = {
        "lookup": {"nik": ANI}, "subjects/held": {"persons": [nik(ANI)], **PURPOSE},
        "suspects/a+b/dismiss": {"reason": "two persons"},
    }  # fmt: skip
    method, path = question.split()
    body = {"json": bodies.get(path, {"agency": "dinsos", "reason": "asked for"})} if method == "POST" else {}
    async with asyncio.timeout(5):
        answer = await asked.request(method, path, **body)
    assert answer.status_code == 409
    assert answer.json()["detail"] == words("no_policy")


async def test_what_the_quarantine_holds_is_not_searched_and_that_is_said(
    registry: Registry, asked: httpx.AsyncClient
) -> None:
    await registry.take([recorded(ANI, MAWAR)])
    ask = {"persons": [nik(ANI)], **PURPOSE}
    assert (await asked.post("subjects/held", json=ask)).json()["quarantine"] == {"records": 0}
    await registry.database.pool.execute(
        'insert into quarantine (topic, partition, "offset", agency, reason, message, sha256, sealed)'
        " values ('agency.dinsos.beneficiaries.v1', 0, 0, 'dinsos', 'nik_invalid', 'no NIK', '', '')"
    )
    told = (await asked.post("subjects/held", json=ask)).json()["quarantine"]
    last = await registry.database.pool.fetchval("select quarantined_at from quarantine")
    assert (told["records"], told["searched"]) == (1, False)
    assert datetime.fromisoformat(told["kept_until"]) == last + timedelta(days=90)


async def test_what_nobody_knows_finds_nothing_and_is_said_to(registry: Registry, asked: httpx.AsyncClient) -> None:
    for path, told in (
        ("reports?in_charge=dinsoss", "must be an agency of the policy in force; did you mean dinsos? / harus"),
        ("coverage?region=33.74&kind=wksb", "must be a kind of institution that is known; did you mean WKSBM?"),
    ):
        answer = await asked.get(path)
        assert (path, answer.status_code, told in answer.text) == (path, 422, True)
