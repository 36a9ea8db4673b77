"""Rounds over HTTP: what people ask of them and do with them, and how far programmes of neighbours have spread."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, Field, StringConstraints, model_validator
from tepat_chassis import acts
from tepat_chassis.auth import Person
from tepat_chassis.database import Database
from tepat_chassis.http import Page, Region, must_be_of, paging
from tepat_chassis.logging import mask
from tepat_chassis.standing import Standing
from tepat_chassis.wanted import Body, Day, Grounds, Id, Moment
from tepat_contracts.events.fields import SHA256_PATTERN
from tepat_contracts.policy import PolicyIndex

from tepat_distribution import coupon, giving
from tepat_distribution.funds import Area, Operator, Reader, Told, Village
from tepat_distribution.giving import Outcome, Proof, State, Step
from tepat_distribution.policed import Policed
from tepat_distribution.progress import COUNTED, VILLAGE, kind
from tepat_distribution.refusals import refusal, words
from tepat_distribution.rounds import Giving, Named, Opening, Rounds, concerns
from tepat_distribution.store import every, queries

AT_ONCE: Final = 1_000
WITHIN: Final = 31
"""Days in which a kelurahan that takes part holds a round: some hold them weekly, some monthly."""
CHAIN: Final = ("psm", "rw", "unhanded")
"""Of coupons: how many came to the PSM and the RW so far (`handed`: to the resident), and were redeemed before that."""
LEVELS: Final = {"kelurahan": VILLAGE, "kecamatan": 8, "kabupaten": 5}

Words = Annotated[Grounds, AfterValidator(mask)]
"""What a person writes: a NIK in it is masked."""
Called = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00]+$"),
    AfterValidator(mask),
]  # fmt: skip
"""Whom a person names, however short the name."""
Code = Annotated[str, Field(max_length=64)]


class ToOpen(Body):
    """A round over the ranking of its name: packages (else the ranking's places), or a budget of which each gets so
    much. Coupons are handed along; by the list officers go from door to door."""

    round: Told
    day: Day
    closes: Annotated[Day | None, Field(description="the last day to fetch it; `day` unless given")] = None
    packages: Annotated[int | None, Field(ge=1, le=10_000_000)] = None
    budget: Annotated[int | None, Field(ge=1, le=2**62)] = None
    each: Annotated[int | None, Field(ge=1, le=2**62)] = None
    by: Literal["coupon", "list"] = "coupon"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.budget is None) != (self.each is None) or (self.budget is not None and self.packages is not None):
            raise ValueError(words("packages_or_budget"))
        if self.closes is not None and self.closes < self.day:
            raise ValueError(words("closes_before"))
        return self


class Who(Body):
    """Whom it is about: the code of a coupon or a pseudonym, one of them."""

    coupon: Code | None = None
    subject: Id | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.coupon is None) == (self.subject is None):
            raise ValueError(words("coupon_or_subject"))
        return self


class ProofTold(Body):
    """A photo or a signed receipt, by the SHA-256 of its file."""

    kind: Literal["photo", "receipt"]
    sha256: Annotated[str, Field(pattern=SHA256_PATTERN), AfterValidator(str.lower)]


class Coordinates(Body):
    """In degrees."""

    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]


class Delivered(Who):
    """A package that was given. The same `delivery_id` again changes nothing."""

    delivery_id: Told
    at: Moment
    officer: Called
    region: Area
    coordinates: Coordinates | None = None
    proof: ProofTold
    elsewhere: Annotated[
        Words | None, Field(description="why it was given elsewhere in the round's area than the list says")
    ] = None

    def told(self) -> Giving:
        """As it is judged."""
        where = self.coordinates
        return Giving(
            self.delivery_id, Named(self.coupon, self.subject), self.at, self.officer, self.region,
            None if where is None else (where.lat, where.lon), Proof(self.proof.kind, self.proof.sha256),
            self.elsewhere,
        )  # fmt: skip


class ToDeliver(Body):
    """What was given, as many at once as one list has."""

    deliveries: Annotated[list[Delivered], Field(min_length=1, max_length=AT_ONCE)]


class Returned(Body):
    """A package or a coupon that came back, and why."""

    coupon: Code | None = None
    subject: Id | None = None
    delivery_id: Told | None = None
    reason: Words

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.coupon, self.subject, self.delivery_id].count(None) != 2:
            raise ValueError(words("one_of_three"))
        return self


class ToReturn(Body):
    """What came back."""

    returns: Annotated[list[Returned], Field(min_length=1, max_length=AT_ONCE)]


class ToHand(Body):
    """Into whose hands coupons went; those of an area that wait one step before, or by their codes."""

    to: Step
    name: Called | None = None
    coupons: list[Code] = Field([], max_length=10_000)
    region: Area | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.coupons and self.region is None:
            raise ValueError(words("coupons_or_region"))
        return self


class ToRestock(Body):
    """Packages that came in addition, or (less than 0) were lost. The same `restock_id` again changes nothing."""

    restock_id: Told
    packages: Annotated[int, Field(ge=-10_000_000, le=10_000_000)]
    reason: Words

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.packages:
            raise ValueError(words("no_packages"))
        return self


class ToClose(Body):
    """The round ends; or goes on for the next on the list, until another day."""

    next_until: Day | None = None


class Reported(Body):
    """A round that a community held by itself in a kelurahan or desa; none after all where `packages` is 0."""

    programme: Annotated[str, Field(max_length=128)]
    region: Village
    day: Day
    packages: Annotated[int, Field(ge=0, le=10_000_000)]


def routers(
    database: Database, standing: Standing[Policed], keys: Callable[[str], bytes], clock: Callable[[], datetime]
) -> tuple[APIRouter, ...]:
    """The routes below /v1: acts on rounds, what is asked of them, and how far programmes of neighbours have spread."""
    rounds = Rounds(database, standing, keys, clock)
    return (
        _acting(rounds, database), _asking(rounds, database, standing),
        _spreading(rounds, database, standing, clock),
    )  # fmt: skip


async def _index(standing: Standing[Policed]) -> PolicyIndex:
    """The policy in force. Raises NothingInForceError."""
    return (await standing.ruling()).document.index


async def _found(database: Database, round_: str, person: Person) -> Any:
    """A round that concerns a person's regions. Raises HTTPException."""
    rows = await every(queries.rounds(
        database.pool, after=None, round=round_, programme=None, open=None, region=None, regions=[], at_most=1
    ))  # fmt: skip
    if not rows:
        raise refusal(404, "no_round")
    if not concerns(person, rows[0]["region"]):
        raise refusal(403, "outside")
    return rows[0]


def _acting(rounds: Rounds, database: Database) -> APIRouter:
    routes = APIRouter(tags=["rounds"])

    @routes.post("/rounds")
    async def open_(wanted: ToOpen, person: Operator) -> dict[str, Any]:
        """Open a round; the first on its list, as many as there are packages, are promised one."""
        await rounds.open(
            Opening(
                wanted.round, wanted.day, wanted.closes or wanted.day, wanted.packages, wanted.budget, wanted.each,
                wanted.by == "coupon",
            ),
            person,
        )  # fmt: skip
        return _summary(await _found(database, wanted.round, person))

    @routes.post("/rounds/{round_:path}/deliveries")
    async def deliver(round_: str, told: ToDeliver, person: Operator) -> dict[str, Any]:
        """Record what was given, each with its proof. What is refused says why; its neighbours are recorded."""
        stock, outcomes = await rounds.deliver(round_, [each.told() for each in told.deliveries], person)
        ids = [{"delivery_id": each.delivery_id} for each in told.deliveries]
        return {"round": round_, "stock": stock, **_outcomes(outcomes, ids)}

    @routes.post("/rounds/{round_:path}/returns")
    async def take_back(round_: str, told: ToReturn, person: Operator) -> dict[str, Any]:
        """Take back packages and coupons; the next on the list are promised one."""
        named = [Named(each.coupon, each.subject, each.delivery_id) for each in told.returns]
        reasons = [each.reason for each in told.returns]
        stock, allocated, outcomes = await rounds.take_back(round_, named, reasons, person)
        return {"round": round_, "stock": stock, "allocated": allocated, **_outcomes(outcomes)}

    @routes.post("/rounds/{round_:path}/handovers")
    async def hand(round_: str, told: ToHand, person: Operator) -> dict[str, Any]:
        """Record that coupons went into the hands of a PSM, an RW, or the residents."""
        outcomes = await rounds.hand(round_, told.to, told.name, told.coupons, told.region, person)
        return {"round": round_, "to": told.to, **_outcomes(outcomes)}

    @routes.post("/rounds/{round_:path}/stock")
    async def restock(round_: str, told: ToRestock, person: Operator) -> dict[str, Any]:
        """Add packages, which the next on the list are promised, or take away lost ones."""
        stock, allocated = await rounds.restock(round_, told.restock_id, told.packages, told.reason, person)
        return {**_summary(await _found(database, round_, person)), "stock": stock, "newly_allocated": allocated}

    @routes.post("/rounds/{round_:path}/close")
    async def close(round_: str, told: ToClose, person: Operator) -> dict[str, Any]:
        """Once the closing day is over, end the round, or promise to the next what nobody fetched."""
        unclaimed, allocated = await rounds.close(round_, told.next_until, person)
        return {
            **_summary(await _found(database, round_, person)),
            "unclaimed": unclaimed,
            "newly_allocated": allocated,
        }

    return routes


def _asking(rounds: Rounds, database: Database, standing: Standing[Policed]) -> APIRouter:
    routes = APIRouter(tags=["rounds"])

    @routes.get("/rounds")
    async def listing(
        reader: Reader,
        page: Annotated[Page, Depends(paging(int))],
        programme: str | None = None,
        region: Region = None,
        open: Annotated[bool | None, Query(description="those that go on; false: those closed")] = None,  # noqa: A002
    ) -> dict[str, Any]:
        """Rounds, the last first, in the reader's regions or around them."""
        if programme is not None:
            must_be_of((await _index(standing)).programmes, "programme", programme, what="programme")
        rows = await every(queries.rounds(
            database.pool, after=page.after and page.after[0], round=None, programme=programme, open=open,
            region=region, regions=list(reader.regions), at_most=page.limit + 1,
        ))  # fmt: skip
        return page.of([_summary(row) for row in rows], lambda told: (told["number"],))

    @routes.get("/rounds/{round_:path}/coupons")
    async def coupons(
        round_: str, person: Operator, page: Annotated[Page, Depends(paging(int))], region: Region = None
    ) -> dict[str, Any]:
        """The coupons that are to be redeemed, as they are printed. Who had them printed is recorded."""
        row = await _found(database, round_, person)
        if not row["by_coupon"]:
            raise refusal(409, "by_list")
        key = rounds.keys(row["secret_id"])
        async with database.transaction() as connection:
            rows = await every(queries.coupons(
                connection, round=round_, after=page.after[0] if page.after else 0, state="allocated", region=region,
                regions=list(person.regions), at_most=page.limit + 1,
            ))  # fmt: skip
            whose = [each["subject"] for each in rows if each["subject"] is not None]
            await acts.record(connection, person, "round.coupons", round_, {"coupons": len(rows)}, whose)
        printed = [
            {
                "place": each["place"], "coupon": coupon.code(key, round_, each["place"]), "subject": each["subject"],
                "region": each["region"], "with": _hands(each),
            }
            for each in rows
        ]  # fmt: skip
        return page.of(printed, lambda told: (told["place"],))

    @routes.get("/rounds/{round_:path}/progress")
    async def progress(
        round_: str, reader: Reader, by: Literal["kelurahan", "kecamatan", "kabupaten"] = "kelurahan"
    ) -> dict[str, Any]:
        """How far a round is, by area, as far as the reader's regions go; of coupons how many came to the PSM, the RW
        and the resident."""
        row = await _found(database, round_, reader)
        areas = await every(queries.areas(
            database.pool, rounds=[round_], lengths=[LEVELS[by]], regions=list(reader.regions)
        ))  # fmt: skip
        names = (await _index(standing)).regions
        counted = (*COUNTED, *CHAIN) if row["by_coupon"] else COUNTED
        told = [
            {"region": each["region"], "name": names.get(each["region"]), **{name: each[name] for name in counted}}
            for each in areas
        ]
        total = {name: sum(each[name] for each in told) for name in counted}
        return {**_summary(row), "areas": told, "total": total}

    @routes.get("/rounds/{round_:path}")
    async def show(
        round_: str, reader: Reader, page: Annotated[Page, Depends(paging(int))], state: State | None = None,
        region: Region = None,
    ) -> dict[str, Any]:  # fmt: skip
        """A round, and whom it promised a package, in the order of its list: where the coupon is, or when, by whom and
        on what proof the package was given."""
        row = await _found(database, round_, reader)
        rows = await every(queries.coupons(
            database.pool, round=round_, after=page.after[0] if page.after else 0, state=state, region=region,
            regions=list(reader.regions), at_most=page.limit + 1,
        ))  # fmt: skip
        return {**_summary(row), **page.of([_coupon(each) for each in rows], lambda told: (told["place"],))}

    return routes


def _spreading(
    rounds: Rounds, database: Database, standing: Standing[Policed], clock: Callable[[], datetime]
) -> APIRouter:
    routes = APIRouter(tags=["rounds"])

    @routes.post("/held")
    async def report(told: Reported, person: Operator) -> dict[str, Any]:
        """A community held a round of its own: it counts for adoption. Told otherwise later, that holds."""
        known = await _index(standing)
        must_be_of(known.programmes, "programme", told.programme, what="programme")
        if known.programmes[told.programme].adoption is None:
            raise refusal(409, "not_neighbours")
        _known_area(known, told.region)
        if told.day > _today(known, clock()):
            raise refusal(409, "ahead", day=told.day)
        revision = await rounds.hold(told.programme, told.region, told.day, told.packages, person)
        return {**told.model_dump(), "changed": revision is not None}

    @routes.get("/adoption/{region}")
    async def adoption(
        region: str,
        reader: Reader,
        programme: str,
        within: Annotated[int, Query(ge=1, le=366, description="days that a round counts for")] = WITHIN,
        months: Annotated[int, Query(ge=1, le=60, description="so many months, this one the last")] = 12,
    ) -> dict[str, Any]:
        """In how many of an area's kelurahan and desa a round was held, month by month, against the policy's targets.

        Counted are those that held one within so many days up to the month's end, or to today.
        """
        known = await _index(standing)
        must_be_of(known.programmes, "programme", programme, what="programme")
        _known_area(known, region)
        if not concerns(reader, region):
            raise refusal(403, "outside")
        villages = sum(len(code) == VILLAGE and code.startswith(f"{region}.") for code in known.regions)
        today = _today(known, clock())
        ends = _month_ends(today, months)
        told = known.programmes[programme].adoption
        targets = told.targets if told is not None else []
        upto = sorted({*ends, *(min(each.by, today) for each in targets)})
        rows = await every(queries.adoption(
            database.pool, programme=programme, region=region, upto=upto, within=within
        ))  # fmt: skip
        held = {row["upto"]: row["held"] for row in rows}
        return {
            "region": region, "name": known.regions[region], "programme": programme, "kelurahan": villages,
            "within": within,
            "months": [
                {"month": f"{end:%Y-%m}", "upto": end, "held": held[end], "share": round(held[end] / villages, 4)}
                for end in ends if villages
            ],
            "targets": [_target(each.by, each.kelurahan, held[min(each.by, today)], today) for each in targets],
        }  # fmt: skip

    return routes


def _target(by: date, kelurahan: int, held: int, today: date) -> dict[str, Any]:
    """A target, and what came of it, or is still lacking."""
    state = "met" if held >= kelurahan else "missed" if by < today else "to_come"
    return {"by": by, "kelurahan": kelurahan, "held": held, "state": state, "lacking": max(kelurahan - held, 0)}


def _month_ends(today: date, months: int) -> list[date]:
    """The last days of so many months, the last of them today."""
    ends, first = [today], today.replace(day=1)
    for _ in range(months - 1):
        ends.append(first - timedelta(days=1))
        first = ends[-1].replace(day=1)
    return ends[::-1]


def _today(known: PolicyIndex, now: datetime) -> date:
    return now.astimezone(ZoneInfo(known.policy.time_zone)).date()


def _known_area(known: PolicyIndex, region: str) -> None:
    if region not in known.regions:
        raise refusal(409, "no_area", region=region)


def _summary(row: Any) -> dict[str, Any]:
    promised = row["left"]
    return {
        "round": row["round"], "number": row["number"], "programme": row["programme"], "region": row["region"],
        "day": row["day"], "closes": row["closes"], "state": "open" if row["open"] else "closed", "kind": kind(row),
        "each": row["each"], "by": "coupon" if row["by_coupon"] else "list", "ranked": row["ranked"],
        "packages": row["packages"], "stock": row["stock"], "allocated": row["allocated"],
        "delivered": row["delivered"], "left": promised, "short": max(promised - row["stock"], 0),
        "opened_at": row["opened_at"], "opened_by": row["opened_by"], "closed_at": row["closed_at"],
    }  # fmt: skip


def _hands(row: Any) -> dict[str, Any] | None:
    """In whose hands a coupon is; none: it was not handed to anybody yet."""
    if not row["held"]:
        return None
    return {"step": giving.STEPS[row["held"] - 1], "name": row["holder"], "at": row["handed_at"]}


def _coupon(row: Any) -> dict[str, Any]:
    given = row["delivery_id"] and {
        "delivery_id": row["delivery_id"], "at": row["at"], "officer": row["officer"], "region": row["delivered_in"],
        "proof": {"kind": row["proof"], "sha256": row["sha256"]}, "elsewhere": row["elsewhere"],
    }  # fmt: skip
    return {
        "place": row["place"], "subject": row["subject"], "region": row["region"], "state": row["state"],
        "with": _hands(row), "delivery": given, "reason": row["reason"],
    }  # fmt: skip


def _outcomes(outcomes: Sequence[Outcome], beside: Sequence[dict[str, str]] | None = None) -> dict[str, Any]:
    """How many there are of each, and each."""
    counts = {name: sum(each.outcome == name for each in outcomes) for name in ("recorded", "again", "refused")}
    told = [
        {
            **(beside[at] if beside is not None else {}), "outcome": each.outcome, "place": each.place,
            "reason": each.reason, "why": each.why and dict(zip(("id", "en"), each.why, strict=True)),
        }
        for at, each in enumerate(outcomes)
    ]  # fmt: skip
    return {**counts, "outcomes": told}
