"""Money that is no agency's payout: funds of the community by purpose, and operating support to institutions.

Invariants
- Double entry: money goes from one account to another, and the postings of every entry sum to nothing. The database
  holds this at each commit; what was posted is never changed.
- A fund holds no less than nothing, however many spend from it at once: who spends holds the fund's row from reading
  its balance until the commit, and the database would refuse what slipped by.
- Whoever enters something names it: the same again changes nothing and is answered as it stands, something else under
  that name is refused.
- One receipt shows one entry of a book: money that went once is not entered twice under two ids.
- Support to institutions is a book of its own, and neither book is aid to persons: no payout, overlap, report or
  household's aid reads from here, and nothing here is announced.
- What a fund cannot carry is refused with words, and handed over: an answer ``referred`` to the report, said on the
  agency's reports topic in the name of the fund's agency (decision 15), goes in the transaction that records it.
- All of it stands in this database alone: who restores the service restores it from its backup (decision 23).
"""

from collections.abc import Callable
from datetime import date, datetime
from hashlib import sha256
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import orjson
from fastapi import APIRouter, Depends
from pydantic import Field
from tepat_chassis import acts
from tepat_chassis.auth import Person, Right, needs
from tepat_chassis.database import Connection, Database
from tepat_chassis.http import Page, Region, must_be_of, paging
from tepat_chassis.logging import mask
from tepat_chassis.outbox import Message, put
from tepat_chassis.standing import Standing
from tepat_chassis.wanted import Body, Day, Form, Grounds, Id
from tepat_contracts import envelope
from tepat_contracts.events.fields import REGION_PATTERN, SHA256_PATTERN
from tepat_contracts.events.reports import REPORT_ANSWERED
from tepat_contracts.topics import Kind, inbound_name

from tepat_distribution.outgoing import SERVICE
from tepat_distribution.policed import Policed
from tepat_distribution.refusals import refusal
from tepat_distribution.store import every, queries

Reader = Annotated[Person, Depends(needs(Right.read))]
Operator = Annotated[Person, Depends(needs(Right.operate))]
Before = Annotated[Page, Depends(paging(int))]
"""A listing of what was entered, the last first."""

Name = Annotated[
    str,
    Form(
        r"^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$",
        "must be 3 to 64 small letters, digits and dashes, such as tegalsari-rtlh",
        "harus 3 sampai 64 huruf kecil, angka, dan tanda hubung, contoh tegalsari-rtlh",
    ),
]
"""Of a fund, a purpose or a group."""
Told = Annotated[
    str, Field(min_length=1, max_length=128),
    Form(r"^[^\x00-\x1f\x7f]*$", "must be on one line, without tabs", "harus satu baris, tanpa tab"),
]  # fmt: skip
Note = Annotated[str | None, Field(max_length=500, pattern=r"^[^\x00]*$")]
Rupiah = Annotated[int, Field(ge=1, le=10**15)]
Receipt = Annotated[str, Field(pattern=SHA256_PATTERN, description="SHA-256 of the receipt, photo or letter")]
Slashed = Annotated[
    str, Field(max_length=200),
    Form(
        r"^[^/\x00-\x1f]+/[^\x00-\x1f\x7f]+$", "must be AGENCY/ID, such as dpmd/LPMK-1",
        "harus INSTANSI/ID, contoh dpmd/LPMK-1",
    ),
]  # fmt: skip
"""What an agency calls something, after the agency's id."""
Area = Annotated[str, Field(pattern=REGION_PATTERN)]
Village = Annotated[
    str,
    Form(
        r"^[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{4}$",
        "must be the code of a kelurahan or desa, such as 33.74.01.1001",
        "harus kode kelurahan atau desa, contoh 33.74.01.1001",
    ),
]


class Opened(Body):
    """A fund: whose, what for, and where. The institution is one that the agency has registered."""

    fund: Name
    agency: Told
    institution: Told
    purpose: Name
    region: Area


class Entered(Body):
    """Money that came or went on a day, under an id of whoever enters it."""

    entry_id: Told
    amount: Rupiah
    on: Day
    note: Note = None


class Spent(Entered):
    """What a fund paid for, shown by a receipt; for a household by its pseudonym, where it was for one."""

    receipt: Receipt
    household: Id | None = None


class Supported(Entered):
    """What an agency gave an institution to operate on."""

    agency: Told
    institution: Annotated[Slashed, Field(description="agency/institution_id")]
    region: Area
    purpose: Name = "operations"
    receipt: Receipt


class HandedOver(Body):
    """A case that a fund cannot carry. `report` is `agency/report_id`: its answer goes to `to_agency` as referred.

    `revision` must be greater than that of every answer the fund's agency gave to the report before.
    """

    hand_over_id: Told
    amount: Rupiah
    reason: Grounds
    report: Slashed | None = None
    to_agency: Told | None = None
    revision: Annotated[int, Field(ge=0, le=2**31)] = 1


_FILING: Final = "`tepat publish --template reports > case.csv`, {}, `tepat publish case.csv --agency ID`"
FILE_IT: Final = (
    f"file it as a report, so that the government is asked: {_FILING.format('fill it in')}; then hand it over again "
    "under another id with --report AGENCY/REPORT / "
    f"laporkan, agar pemerintah diminta turun tangan: {_FILING.format('isi')}; lalu serahkan lagi dengan nomor lain "
    "dan --report INSTANSI/LAPORAN"
)


def rupiah(amount: int) -> str:
    """``Rp 750.000``."""
    return f"Rp {amount:,}".replace(",", ".")


def _digest(what: str, body: Body) -> bytes:
    told = {"what": what, **body.model_dump(mode="json")}
    return sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).digest()


async def must_not_lie_ahead(day: date, standing: Standing[Policed], clock: Callable[[], datetime]) -> None:
    """Refuse (422) a day to come, by the policy's clocks."""
    zone = ZoneInfo((await standing.ruling()).document.index.policy.time_zone)
    if day > clock().astimezone(zone).date():
        raise refusal(422, "ahead", day=day)


class Funds:
    """What people do with funds, each act recorded in the transaction that does it."""

    def __init__(self, database: Database, standing: Standing[Policed], clock: Callable[[], datetime]) -> None:
        self._database = database
        self._standing = standing
        self._clock = clock

    async def must_know(self, region: str, *agencies: str) -> None:
        """Refuse (422) an area or an agency that the policy in force does not know."""
        index = (await self._standing.ruling()).document.index
        if region not in index.regions:
            raise refusal(422, "no_area", region=region)
        if unknown := sorted({*agencies} - index.agencies.keys()):
            raise refusal(422, "no_agency", agency=", ".join(unknown))

    async def one(self, connection: Connection, fund: str, person: Person) -> Any:
        """A fund, where the person may see it. Raises HTTPException."""
        row = await queries.fund(connection, fund=fund)
        if row is None:
            raise refusal(404, "no_fund")
        if not person.covers(row["region"]):
            raise refusal(403, "outside")
        return row

    async def open(self, body: Opened, person: Person) -> dict[str, Any]:
        """Open a fund; one that is open just so is answered as it stands."""
        await self.must_know(body.region, body.agency)
        if not person.covers(body.region):
            raise refusal(403, "outside")
        async with self._database.transaction() as connection:
            opened = await queries.open_fund(connection, **body.model_dump(), at=self._clock(), who=person.sub)
            if opened is None:
                there = await queries.fund(connection, fund=body.fund)
                if there is None or Opened(**{name: there[name] for name in Opened.model_fields}) != body:
                    raise refusal(409, "fund_taken")
                return _fund(there)
            await acts.record(connection, person, "fund.open", body.fund, body.model_dump(exclude={"fund"}))
            return _fund(await self.one(connection, body.fund, person))

    async def contribute(self, fund: str, body: Entered, person: Person) -> dict[str, Any]:
        """Somebody gives to a fund."""
        async with self._database.transaction() as connection:
            of = await self.one(connection, fund, person)
            between = {
                "source": "contributed", "source_holder": fund, "target": "fund", "target_holder": fund,
            }  # fmt: skip
            return await self._enter(connection, "contribution", _of(of), body, person, between)

    async def spend(self, fund: str, body: Spent, person: Person) -> dict[str, Any]:
        """A fund pays, as far as it holds enough."""
        async with self._database.transaction() as connection:
            of = await self.one(connection, fund, person)
            if await queries.entered(connection, entry_id=body.entry_id) is None:
                holds = int(await queries.hold_fund(connection, fund=fund))
                if holds < body.amount and await queries.entered(connection, entry_id=body.entry_id) is None:
                    short = rupiah(body.amount - holds)
                    raise refusal(409, "fund_too_small", holds=rupiah(holds), short=short, fund=fund)
            between = {"source": "fund", "source_holder": fund, "target": "spent", "target_holder": fund}
            return await self._enter(connection, "spending", _of(of), body, person, between)

    async def support(self, body: Supported, person: Person) -> dict[str, Any]:
        """An agency gives an institution what it needs to operate."""
        await self.must_know(body.region, body.agency)
        if not person.covers(body.region):
            raise refusal(403, "outside")
        about = {
            "book": "support", "fund": None, **body.model_dump(include={"agency", "institution", "region", "purpose"}),
        }  # fmt: skip
        async with self._database.transaction() as connection:
            await queries.have_accounts(connection, agency=body.agency, institution=body.institution)
            between = {
                "source": "granted", "source_holder": body.agency,
                "target": "institution_support", "target_holder": body.institution,
            }  # fmt: skip
            return await self._enter(connection, "support", about, body, person, between)

    async def _enter(
        self, connection: Connection, kind: str, about: dict[str, Any], body: Entered, person: Person,
        between: dict[str, str],
    ) -> dict[str, Any]:  # fmt: skip
        """Make an entry, or find it made."""
        await must_not_lie_ahead(body.on, self._standing, self._clock)
        receipt = bytes.fromhex(body.receipt) if isinstance(body, Spent | Supported) else None
        digest = _digest(f"{kind} {about['fund']}", body)
        made = await queries.enter(
            connection, **about, **between, kind=kind, entry_id=body.entry_id, amount=body.amount, on_day=body.on,
            at=self._clock(), who=person.sub, household=body.household if isinstance(body, Spent) else None,
            receipt=receipt, note=mask(body.note) if body.note else None,
            digest=digest,
        )  # fmt: skip
        entry = await queries.entered(connection, entry_id=body.entry_id)
        if entry is None:
            first = await queries.shown_by(connection, book=about["book"], receipt=receipt)
            raise refusal(409, "receipt_used", day=first["on_day"], purpose=first["purpose"])
        if entry["digest"] != digest:
            raise refusal(409, "id_taken")
        if made is not None:
            target = about["fund"] or about["institution"]
            detail = {"entry_id": body.entry_id, "amount": body.amount}
            await acts.record(connection, person, f"fund.{kind}", mask(target), detail)
        return _entry(entry)

    async def hand_over(self, fund: str, body: HandedOver, person: Person) -> dict[str, Any]:
        """A case goes to the government: recorded, and said to whoever follows the report."""
        if (body.report is None) != (body.to_agency is None):
            raise refusal(422, "report_and_agency")
        digest = _digest(f"hand-over {fund}", body)
        async with self._database.transaction() as connection:
            of = await self.one(connection, fund, person)
            holds = int(await queries.hold_fund(connection, fund=fund))
            if (told := await queries.handed_over(connection, hand_over_id=body.hand_over_id)) is not None:
                if told["digest"] != digest:
                    raise refusal(409, "id_taken")
                return _handed_over(told)
            if holds >= body.amount:
                raise refusal(409, "fund_can_carry", holds=rupiah(holds))
            reason = mask(body.reason)
            event_id = None
            if body.report is not None and body.to_agency is not None:
                await self.must_know(of["region"], of["agency"], body.to_agency)
                agency, _, report_id = body.report.partition("/")
                if not await queries.is_filed(connection, agency=agency, report_id=report_id):
                    raise refusal(409, "report_unknown", report=body.report)
                event_id = f"hand-over-{digest.hex()[:32]}"
                await put(connection, [_referred(event_id, of["agency"], body, reason, self._clock())])
            await queries.hand_over(
                connection, hand_over_id=body.hand_over_id, fund=fund, amount=body.amount, held=holds,
                at=self._clock(), who=person.sub, reason=reason, report=body.report, to_agency=body.to_agency,
                event_id=event_id, digest=digest,
            )  # fmt: skip
            detail = {"hand_over_id": body.hand_over_id, "amount": body.amount, "report": body.report}
            await acts.record(connection, person, "fund.hand_over", fund, detail)
            return _handed_over(await queries.handed_over(connection, hand_over_id=body.hand_over_id))


def _referred(event_id: str, agency: str, body: HandedOver, reason: str, now: datetime) -> Message:
    """The answer to a report, as the fund's agency gives it."""
    data = {
        "report_id": body.report, "revision": body.revision, "outcome": "referred", "to_agency": body.to_agency,
        "reason": reason,
    }  # fmt: skip
    event = envelope.event(service=SERVICE, type=REPORT_ANSWERED, id=event_id, time=now, data=data)
    event |= {"source": envelope.agency_source(agency)}
    return Message(inbound_name(agency, Kind.REPORTS), body.report or "", envelope.write(event))


def router(database: Database, standing: Standing[Policed], clock: Callable[[], datetime]) -> APIRouter:
    """Funds and support below /v1."""
    routes = APIRouter(tags=["funds"])
    funds = Funds(database, standing, clock)

    @routes.get("/funds")
    async def listing(
        person: Reader,
        page: Annotated[Page, Depends(paging(str))],
        region: Region = None,
        purpose: str | None = None,
        agency: str | None = None,
    ) -> dict[str, Any]:
        """Funds of the community with what they hold, in the person's regions."""
        must_be_of((await standing.ruling()).document.agencies, "agency", agency, what="agency")
        rows = await every(queries.funds(
            database.pool, after=page.after and page.after[0], region=region, purpose=purpose, agency=agency,
            regions=list(person.regions), at_most=page.limit + 1,
        ))  # fmt: skip
        return page.of([_fund(row) for row in rows], lambda told: (told["fund"],))

    @routes.post("/funds")
    async def opened(body: Opened, person: Operator) -> dict[str, Any]:
        """Open a fund of an institution for a purpose."""
        return await funds.open(body, person)

    @routes.get("/funds/{fund}")
    async def show(fund: str, person: Reader, page: Before) -> dict[str, Any]:
        """A fund with its entries, the last first."""
        async with database.pool.acquire() as connection:
            of = await funds.one(connection, fund, person)
            rows = await every(queries.entries(
                connection, fund=fund, before=page.after and page.after[0], at_most=page.limit + 1
            ))  # fmt: skip
        return {**_fund(of), **page.of([_entry(row) for row in rows], lambda told: (told["n"],))}

    @routes.post("/funds/{fund}/contributions")
    async def contributed(fund: str, body: Entered, person: Operator) -> dict[str, Any]:
        """Money comes into a fund."""
        return await funds.contribute(fund, body, person)

    @routes.post("/funds/{fund}/spendings")
    async def spent(fund: str, body: Spent, person: Operator) -> dict[str, Any]:
        """A fund pays for something; 409 where it holds too little."""
        return await funds.spend(fund, body, person)

    @routes.get("/funds/{fund}/hand-overs")
    async def handed_over(fund: str, person: Reader, page: Before) -> dict[str, Any]:
        """What a fund could not carry, the last first."""
        async with database.pool.acquire() as connection:
            await funds.one(connection, fund, person)
            rows = await every(queries.hand_overs(
                connection, fund=fund, before=page.after and page.after[0], at_most=page.limit + 1
            ))  # fmt: skip
        return page.of([_handed_over(row) for row in rows], lambda told: (told["n"],))

    @routes.post("/funds/{fund}/hand-overs")
    async def hand_over(fund: str, body: HandedOver, person: Operator) -> dict[str, Any]:
        """Hand a case that the fund cannot carry to the government."""
        return await funds.hand_over(fund, body, person)

    @routes.get("/institutions/support")
    async def supports(
        person: Reader,
        page: Before,
        region: Region = None,
        agency: str | None = None,
        institution: str | None = None,
    ) -> dict[str, Any]:
        """What institutions were given to operate on, the last first, in the person's regions. No aid to anybody."""
        must_be_of((await standing.ruling()).document.agencies, "agency", agency, what="agency")
        rows = await every(queries.supports(
            database.pool, before=page.after and page.after[0], region=region, agency=agency, institution=institution,
            regions=list(person.regions), at_most=page.limit + 1,
        ))  # fmt: skip
        return page.of([_entry(row) for row in rows], lambda told: (told["n"],))

    @routes.post("/institutions/support")
    async def supported(body: Supported, person: Operator) -> dict[str, Any]:
        """An agency gives an institution operating support."""
        return await funds.support(body, person)

    return routes


def _of(fund: Any) -> dict[str, Any]:
    """What an entry says of its fund."""
    return {"book": "fund", **{name: fund[name] for name in ("fund", "agency", "institution", "region", "purpose")}}


def _fund(row: Any) -> dict[str, Any]:
    names = ("fund", "agency", "institution", "purpose", "region", "holds", "contributed", "spent", "handed_over")
    return {**{name: row[name] for name in names}, "opened_at": row["opened_at"]}


def _entry(row: Any) -> dict[str, Any]:
    names = (
        "n", "entry_id", "kind", "amount", "at", "who", "fund", "agency", "institution", "region", "purpose",
        "household", "note",
    )  # fmt: skip
    told = {name: row[name] for name in names if row[name] is not None}
    return {**told, "on": row["on_day"], **({"receipt": row["receipt"].hex()} if row["receipt"] else {})}


def _handed_over(row: Any) -> dict[str, Any]:
    names = ("n", "hand_over_id", "fund", "amount", "held", "at", "who", "reason", "report", "to_agency", "event_id")
    told = {name: row[name] for name in names if row[name] is not None}
    if row["report"] is None:
        return {**told, "next": FILE_IT}
    show = f"`tepat reports show {row['report']}`"
    answers = f"{show} tells when {row['to_agency']} answers / {show} menunjukkan jawaban {row['to_agency']}"
    return {**told, "next": answers}
