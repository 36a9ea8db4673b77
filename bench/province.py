"""A province for the bench of deciding again and of what if: households, what stands decided of them, a year's payouts.

A sample is made and decided here by the service's own domain; PostgreSQL copies it under other pseudonyms until the
province is as large as asked. So a million households are there in minutes, and of each stands what the service would
have decided.
"""

import copy
import random
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
from tepat_eligibility import policed
from tepat_eligibility.domain import Day, Decision, Visit
from tepat_eligibility.households import Households, Resident, facts
from tepat_eligibility.store import explain

SAMPLE: Final = 10_000
SIZES: Final = (1, 2, 2, 3, 3, 3, 4, 4, 5, 6)
"""Members of a household: 3.3 in the mean."""
KABUPATEN: Final = [f"33.{number:02d}" for number in (*range(1, 30), *range(71, 77))]
YEAR: Final = 2026


def _programme(code: str, unit: str, criteria: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "name": {"id": code, "en": code}, "unit": unit, "criteria": criteria,
            "effective": {"from": "2020-01-01"}, **more}  # fmt: skip


def _component(code: str, criteria: str, amount: int) -> dict[str, Any]:
    return {"code": code, "name": {"id": code, "en": code}, "criteria": criteria, "amount": amount}


PROGRAMMES: Final = [
    _programme(
        "PKH", "household",
        'household.decile <= 4 && household.members.exists(m, m.age < 6 || m.age >= 60 || m.school_level in ["SD", "SMP", "SMA"])',  # noqa: E501
        period="quarter", most_components=4, components=[
            _component("anak-dini", "person.age < 6", 750_000),
            _component("lansia", "person.age >= 60", 600_000),
            _component("sma", 'person.school_level == "SMA"', 500_000),
            _component("smp", 'person.school_level == "SMP"', 375_000),
            _component("sd", 'person.school_level == "SD"', 225_000),
        ],
    ),
    _programme("BPNT", "household", "household.decile <= 5", amount=200_000, period="month"),
    _programme("BLT-DD", "household", "household.decile == 1", amount=300_000, period="month", needs_verification=True),
    _programme("KESRA", "household", "household.decile <= 4", amount=900_000, period="once"),
    _programme(
        "PERMAKANAN", "household", "household.size == 1 && household.members.exists(m, m.age >= 75)",
        amount=900_000, period="month",
    ),
    _programme(
        "PIP", "person",
        'person.age >= 6 && person.age <= 21 && person.school_level in ["SD", "SMP", "SMA"] && household.decile <= 5',
        amount=450_000, period="year",
    ),
]  # fmt: skip

POLICY: Final[dict[str, Any]] = {
    "version": "bench-1",
    "agencies": [{
        "id": "bench", "name": "Bench", "trust_rank": 1, "programmes": [each["code"] for each in PROGRAMMES],
    }],
    "programmes": PROGRAMMES,
    "overlap_rules": [
        {"id": "pkh-bpnt", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "review"},
        {"id": "pkh-blt", "programmes": ["PKH", "BLT-DD"], "scope": "household", "verdict": "exclusive"},
    ],
}  # fmt: skip


def begun_earlier(version: str) -> dict[str, Any]:
    """A policy of which every decision is to be made again, and none differs: all began a year earlier."""
    policy = copy.deepcopy(POLICY) | {"version": version}
    for programme in policy["programmes"]:
        programme["effective"] = {"from": "2019-01-01"}
    return policy


def stricter(version: str) -> dict[str, Any]:
    """The same, but PKH asks for another decile, and each of its decisions tells so; rules of overlap differ too."""
    policy = begun_earlier(version)
    pkh = policy["programmes"][0]
    pkh["criteria"] = pkh["criteria"].replace("decile <= 4", "decile <= 3")
    policy["overlap_rules"] = [
        {"id": "pkh-bpnt", "programmes": ["PKH", "BPNT"], "scope": "household", "verdict": "complementary"},
        {"id": "bpnt-blt", "programmes": ["BPNT", "BLT-DD"], "scope": "household", "verdict": "exclusive"},
    ]
    return policy


# --- eligibility ------------------------------------------------------------------------------------------------

SCHEMA = """
create unlogged table sample_person (
    person uuid, household uuid, alone uuid, told text, region text, born text, facts text);
create unlogged table sample_stands (subject uuid, fold bigint, region text);
create unlogged table sample_decision (subject uuid, programme text, unit text, decision text, region text, explanation bigint);
create unlogged table sample_visit (nik uuid, outcome text)"""  # noqa: E501

AT = "md5({} || $1::text)::uuid"
"""The pseudonym that one of the sample has in a copy."""

COPY = f"""
with one as (
    select {AT.format("person")} as person, {AT.format("household")} as household,
           person as was, household as was_household, told, region, born, facts from sample_person),
persons as (
    insert into person (person, revision, told)
    select person, 1, replace(replace(told, was::text, person::text), was_household::text, household::text) from one)
insert into residence (person, household, aliases, region, born, facts)
select person, household, '', region, born, facts from one"""

COPY_DECISIONS = f"""
insert into decision (
    subject, decided_at, revision, as_of, programme, unit, decision, region, policy_version, explanation)
select {AT.format("subject")}, now(), 1, $2, programme, unit, decision, region, 'bench-1', explanation
from sample_decision"""

COPY_STANDS = f"insert into stands select {AT.format('subject')}, fold, region from sample_stands"

COPY_VISITS = f"""
insert into verification (
    nik, event_time, revision, verified_on, agency, verification_id, event_id, outcome, region, digest)
select {AT.format("nik")}, now(), 0, $2, 'bench', nik || '-' || $1, 'e', outcome, '33.74', ''
from sample_visit"""
INDEXES = """
select indexname, indexdef from pg_indexes
where tablename = any(array['person', 'residence', 'decision']) and indexname not like '%_pkey'"""


async def populate(connection: "asyncpg.Connection[asyncpg.Record]", households: int, today: date) -> int:
    """Fill eligibility's database with so many households that all stands decided of; the number of decisions.

    Args:
        households: a multiple of ``SAMPLE``, or less than it.
    """
    await connection.execute(SCHEMA)
    persons, decisions, stands, made, visits = _sample(min(SAMPLE, households), today)
    await explain(connection, made)
    await connection.copy_records_to_table("sample_person", records=persons)
    await connection.copy_records_to_table("sample_decision", records=decisions)
    await connection.copy_records_to_table("sample_stands", records=stands)
    await connection.copy_records_to_table("sample_visit", records=visits)
    indexes = await connection.fetch(INDEXES)
    for index in indexes:
        await connection.execute(f"drop index {index['indexname']}")
    for number in range(max(1, households // SAMPLE)):
        await connection.execute(COPY, str(number))
        await connection.execute(COPY_DECISIONS, str(number), today)
        await connection.execute(COPY_STANDS, str(number))
        await connection.execute(COPY_VISITS, str(number), today)
    for index in indexes:
        await connection.execute(index["indexdef"])
    await connection.execute("drop table sample_person, sample_decision, sample_stands, sample_visit")
    await connection.execute("insert into today (day) values ($1)", today)
    await connection.execute("insert into recalled (cleared) values (true)")
    await connection.execute("vacuum analyze")
    return int(await connection.fetchval("select count(*) from decision"))


def _sample(households: int, today: date) -> tuple[list[Any], list[Any], list[Any], set[Decision], list[Any]]:
    """Persons, what is decided of them and their households, as one number too, the different decisions, visits."""
    r, day = random.Random(1), Day(today)
    deciding = Households(policed.parse(POLICY).programmes, day)
    persons: list[Any] = []
    decisions: list[Any] = []
    standing: list[Any] = []
    different: set[Decision] = set()
    visits: list[Any] = []
    for _ in range(households):
        name = UUID(int=r.getrandbits(128))
        members = sorted(_members(r, str(name)), key=lambda told: str(told["person"]))
        outcomes: dict[str, list[Visit]] = {}
        if members[0]["attributes"]["decile"] == 1 and r.random() < 0.8:
            nik, outcome = members[0]["person"], r.choice(("confirmed", "confirmed", "rejected"))
            outcomes[nik] = [Visit(today, datetime.now(UTC), "e", "bench", None, outcome)]
            visits.append((UUID(nik), outcome))
        persons += [
            (UUID(told["person"]), name, UUID(told["alone"]), orjson.dumps(told).decode(), told["region"],
             told["birth_date"], facts(told))
            for told in members
        ]  # fmt: skip
        residents = [
            Resident(str(name), "", told["person"], "", "", told["region"], told["birth_date"], facts(told))
            for told in members
        ]
        for found in deciding.decided(residents):
            subject, decided, region, *_ = deciding.verified(found, outcomes)
            if decided.fold:
                standing.append((UUID(subject), int(decided.fold), region))
            different.update(decided.decisions)
            decisions += [
                (UUID(subject), each.programme, each.unit, each.decision, region, each.id) for each in decided.decisions
            ]
    return persons, decisions, standing, different, visits


def _members(r: random.Random, household: str) -> list[dict[str, Any]]:
    decile, region = r.randint(1, 10), f"{r.choice(KABUPATEN)}.{r.randint(1, 16):02d}.{r.randint(2001, 2015)}"
    made = []
    for _ in range(r.choice(SIZES)):
        who, born = str(UUID(int=r.getrandbits(128))), r.randint(1940, 2025)
        age = YEAR - born
        level = "SD" if 6 < age <= 12 else "SMP" if 12 < age <= 15 else "SMA" if 15 < age <= 18 else "none"
        made.append({
            "person": who, "revision": 1, "stands_for": who, "alone": str(UUID(int=r.getrandbits(128))), "aliases": [],
            "memberships": [{"agency": "bench", "household": household, "since": "2020-01-01", "region": region}],
            "birth_date": date(born, r.randint(1, 12), r.randint(1, 28)).isoformat(), "sex": r.choice("LP"),
            "region": region, "attributes": {"decile": decile, "school_level": level, "disability": False},
        })  # fmt: skip
    return made


# --- distribution -----------------------------------------------------------------------------------------------

LEDGER = """
with household as (
    select n, md5('h' || n)::uuid as household, md5('p' || n)::uuid as person, n % 10 as decile,
           ($3::text[])[1 + n % cardinality($3)] || '.01.2001' as region
    from generate_series($1::bigint, $2::bigint) n
), paid as (
    select 'PKH' as programme, q * 3 as month, 3 as months, 750000 as amount, 4 as below from generate_series(0, 3) q
    union all select 'BPNT', q * 2, 2, 400000, 5 from generate_series(0, 5) q
    union all select 'BLT-DD', q * 3, 3, 900000, 1 from generate_series(0, 3) q
    union all select 'PIP', 6, 1, 450000, 3
)
insert into payout (
    agency, revision, rank, event_time, nik, told, told_kk, programme, starts, ends, amount, partition, "offset",
    digest, person, household, payout_id, event_id, region)
select a.id, 0, 1, now(), h.person, h.household, true, p.id, day,
       (day + make_interval(months => paid.months))::date - 1, paid.amount, 0, 0, 0, h.person, h.household,
       paid.programme || '-' || h.n || '-' || paid.month, 'e', h.region
from household h join paid on h.decile < paid.below
join programme p on p.code = paid.programme join agency a on a.code = 'bench'
cross join lateral (select make_date($4, 1 + paid.month, 1) as day) d"""


async def pay(connection: "asyncpg.Connection[asyncpg.Record]", households: int, year: int) -> int:
    """Fill distribution's ledger with what so many households were paid in a year; the number of payouts."""
    indexes = await connection.fetch(
        "select indexname, indexdef from pg_indexes where tablename = 'payout' and indexname <> 'payout_pkey'"
    )
    for index in indexes:
        await connection.execute(f"drop index {index['indexname']}")
    for first in range(0, households, 100_000):
        last = min(first + 100_000, households) - 1
        await connection.execute(LEDGER, first, last, KABUPATEN, year)
    for index in indexes:
        await connection.execute(index["indexdef"])
    await connection.execute("vacuum analyze payout")
    return int(await connection.fetchval("select count(*) from payout"))
