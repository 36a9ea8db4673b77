"""What is kept no longer: what others forgot, and notices whose time is over; and what may name a person at all."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from tepat_chassis.auth import Person, Right
from tepat_chassis.subjects import Subject
from tepat_local.testing import tables_naming
from tepat_notifications import api, retiring

from .conftest import Desk, overlap, rejection

pytestmark = pytest.mark.integration

ANI, BUDI, HOME = (f"0{n}000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
PAIR = f"{ANI}+{BUDI}"
OFFICER = "rini@prov.invalid"
ROUTES: dict[str, Any] = {
    "recipients": {
        "provinsi": [{"name": "Rini Wulandari", "role": "operator", "contact": {"email": OFFICER}}],
        "atasan": [{"name": "Joko", "role": "operator", "contact": {"email": "joko@prov.invalid"}}],
    },
    "notices": [{
        "kinds": ["suspect", "case", "finding"], "to": {"officers": "provinsi"},
        "acknowledge": {"within": "PT4H", "then": [{"to": {"officers": "atasan"}}]},
    }],
}  # fmt: skip
MAY_STAY = {
    "overlap": "of payouts that distribution keeps, and goes with them; a household",
    "act": "who saw the person, which they are told when they ask",
}


async def suspected(desk: Desk) -> None:
    """Two NIKs may be one person, and an officer is told."""
    await desk.apply(version="r-1", routes=ROUTES)
    await desk.tell("tepat.suspect.raised.v1", pair=PAIR, revision=1, kind="duplicate", persons=[ANI, BUDI])
    await desk.at_once()
    assert OFFICER in [text["To"] for text in desk.mail.texts]


async def counted(desk: Desk) -> dict[str, int]:
    """How many rows each table holds that tells of anything."""
    tables = "overlap", "attention", "telling", "rejection", "delivery", "cause", "hearing", "awaited", "awaited_step"
    return {table: await desk.database.pool.fetchval(f"select count(*) from {table}") for table in tables}


async def test_nobody_climbs_for_what_is_forgotten_and_no_table_names_the_person(desk: Desk) -> None:
    await desk.announce(overlap(1, household=UUID(HOME)))
    await suspected(desk)
    async with desk.database.pool.acquire() as connection:
        assert await tables_naming(connection, ANI, BUDI, HOME) == {"overlap", "cause"}
        subject = Subject(persons=[UUID(ANI)], households=[UUID(HOME)], purpose="asked for")
        told = await api.held(connection, Person("rini", "Bu Rini", frozenset(Right), ()), subject)
        assert [(each["verdict"], each["state"]) for each in told["suspects"]] == [("duplicate", "awaits")]
        assert [each["code"] for each in told["overlaps"]] == [overlap(1).code]
        assert len(told["notices"]) >= 2
        await desk.forget("registry.suspects.v1", PAIR)
        assert await tables_naming(connection, ANI, BUDI, HOME) <= MAY_STAY.keys()
        await desk.forget("distribution.overlaps.v1", str(overlap(1).overlap_id))
        assert await tables_naming(connection, ANI, BUDI, HOME) == set()
    sent = len(desk.mail.texts)
    desk.clock.forward(hours=5)
    await desk.send()
    await desk.digest()
    assert len(desk.mail.texts) == sent


async def test_a_forgotten_overlap_that_waits_is_told_to_nobody_and_is_new_when_it_comes_back(desk: Desk) -> None:
    await desk.announce(overlap(1, 5))
    await desk.at_once()
    assert len(desk.mail.texts) == 2
    await desk.announce(overlap(2))
    for number in (1, 2):
        await desk.forget("distribution.overlaps.v1", str(overlap(number).overlap_id))
    await desk.at_once()
    await desk.digest()
    assert len(desk.mail.texts) == 2
    assert {row["reason"] for row in await desk.deliveries(state="skipped")} == {
        "nothing was left to tell when it was due"
    }
    await desk.announce(overlap(1))
    await desk.at_once()
    assert len(desk.mail.texts) == 4


@pytest.mark.parametrize(("kind", "key"), [("cases", "overlap_id"), ("findings", "finding_id")])
async def test_cases_and_findings_are_forgotten_likewise(desk: Desk, kind: str, key: str) -> None:
    await desk.apply(version="r-1", routes=ROUTES)
    told = {
        "cases": ("tepat.case.told.v1", {"act": "opened"}),
        "findings": ("tepat.finding.raised.v1", {"rule": "over_cap"}),
    }
    type_name, more = told[kind]
    await desk.tell(type_name, **{key: ANI, "revision": 1, "region": "33", "payouts": [], **more})
    assert (await counted(desk))["hearing"] == 1
    await desk.forget(f"distribution.{kind}.v1", ANI)
    assert not {name for name, rows in (await counted(desk)).items() if rows} - {"delivery"}
    await desk.at_once()
    assert desk.mail.texts == []


async def test_notices_are_kept_as_long_as_the_policy_says(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retiring, "AT_ONCE", 2)
    await desk.announce(*map(overlap, range(1, 6)))
    await desk.announce(overlap(1, 2, live=False))
    await desk.reject(rejection(1), rejection(2))
    await suspected(desk)
    await desk.digest()
    await desk.tell("tepat.suspect.cleared.v1", pair=PAIR, revision=2)
    await desk.digest()
    await desk.apply(version="r-2", routes=ROUTES, retention={"notices": "P30D"})
    before = await counted(desk)
    assert all(before[name] for name in ("overlap", "telling", "rejection", "delivery", "cause", "hearing", "awaited"))
    desk.clock.now = datetime(2026, 4, 1, 16, 59, tzinfo=UTC)  # the last minute in Jakarta
    await desk.retire()
    assert await counted(desk) == before
    desk.clock.now = datetime(2026, 4, 4, 17, tzinfo=UTC)
    await desk.retire()
    after = await counted(desk)
    assert {name: after[name] for name in ("rejection", "delivery", "cause", "hearing", "awaited", "awaited_step")} == {
        "rejection": 0, "delivery": 0, "cause": 0, "hearing": 0, "awaited": 0, "awaited_step": 0,
    }  # fmt: skip
    assert (before["overlap"], after["overlap"]) == (5, 4)  # what stands stays, with who has heard of it
    async with desk.database.pool.acquire() as connection:
        assert await tables_naming(connection, OFFICER, "Wulandari") <= {"standing", "outbox"}
    sent = len(desk.mail.texts)
    await desk.announce(*(overlap(number, 3) for number in range(2, 6)))
    await desk.reject(rejection(3))
    await desk.digest()
    assert [text["To"] for text in desk.mail.texts[sent:]] == ["pkh@dinsos.invalid"]
    assert "1 data ditolak" in desk.mail.texts[-1]["Subject"]
