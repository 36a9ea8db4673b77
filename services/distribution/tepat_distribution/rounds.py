"""Rounds of goods and cash: opened over a ranking, promised in its order, given once, and never more than there is.

Invariants
- Every act locks the round's row first, so acts on one round follow one another; what may be done is decided by
  ``giving`` on what stands then, and the stock is taken by one conditional UPDATE an act, with a CHECK behind it.
- Whoever is promised a package is the next on the list: nobody is passed over, nobody is promised one twice. What is
  given back, added, or not fetched by the closing day is promised to the next, in the same transaction.
- So is what an erased person was promised; in whatever order erasure, list and opening come, none of theirs stays.
  Where it is told only then that they had fetched it before, the stock may fall below what is promised.
- Who did it is recorded in the transaction that does it, and that the round is to be told of anew.
- Asked again for what was done an act changes nothing: deliveries and added packages carry ids of who asks.
"""

from collections.abc import AsyncIterator, Callable, Container, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from tepat_chassis import acts
from tepat_chassis.auth import Person
from tepat_chassis.database import Connection, Database
from tepat_chassis.outbox import put
from tepat_chassis.standing import Standing

from tepat_distribution import coupon, giving
from tepat_distribution.giving import Coupon, Delivery, Here, Outcome, Proof, Step, refused
from tepat_distribution.outgoing import SERVICE, message
from tepat_distribution.policed import Policed
from tepat_distribution.refusals import refusal
from tepat_distribution.store import every, queries

log = structlog.get_logger()

ROUNDS: Final = "distribution.rounds.v1"
ROUND_HELD: Final = "tepat.round.held.v1"
TURNS: Final = "distribution.turns.v1"
ROUND_CLOSED: Final = "tepat.round.closed.v1"
PART: Final = 1_000
"""Places on a list that one record tells of."""
HANDED_AT_ONCE: Final = 10_000
ERASED: Final = "penerima dihapus dari data / the recipient was erased"
"""Why a package is the next one's, to whoever looks at the round."""


class Opening(NamedTuple):
    """What a round is opened with: packages, or a budget in rupiah and how much of it `each` is given."""

    round: str
    day: date
    closes: date
    packages: int | None
    budget: int | None
    each: int | None
    by_coupon: bool


class Named(NamedTuple):
    """Whom an act is about: the code of a coupon, a person's or household's pseudonym, or a delivery."""

    coupon: str | None = None
    subject: UUID | None = None
    delivery_id: str | None = None


class Giving(NamedTuple):
    """A delivery as it is told, before it is known for which place."""

    delivery_id: str
    to: Named
    at: datetime
    officer: str
    region: str
    coordinates: tuple[float, float] | None
    proof: Proof
    elsewhere: str | None


class Rounds:
    """What people do with rounds.

    Args:
        keys: the key that coupons are signed with, by the name of the province's secret.
    """

    def __init__(
        self,
        database: Database,
        standing: Standing[Policed],
        keys: Callable[[str], bytes],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._standing = standing
        self.keys = keys
        self._clock = clock

    async def open(self, wanted: Opening, person: Person) -> Any:
        """Open a round over the ranking of its name; its row, made now or before. Raises HTTPException."""
        policy = (await self._standing.ruling()).document.index.policy
        async with self._database.transaction() as connection:
            ranking = await queries.ranking(connection, round=wanted.round)
            if ranking is None:
                raise refusal(409, "no_ranking", round=wanted.round)
            _covered(person, ranking["region"])
            packages = _packages(wanted, ranking["places"])
            if not ranking["whole"]:
                raise refusal(409, "ranking_unfinished")
            begun = await queries.begin_round(
                connection, round=wanted.round, day=wanted.day, closes=wanted.closes, each=wanted.each,
                by_coupon=wanted.by_coupon, packages=packages, secret_id=policy.secret_id, now=self._clock(),
                by=person.sub,
            )  # fmt: skip
            row = await queries.locked_round(connection, round=wanted.round)
            if begun is None:
                asked = (wanted.day, wanted.closes, wanted.each, wanted.by_coupon)
                if asked != (row["day"], row["closes"], row["each"], row["by_coupon"]):
                    raise refusal(409, "opened_otherwise")
                counted = wanted.packages is not None or wanted.budget is not None
                if counted and packages != await queries.packages_at_first(connection, round=wanted.round):
                    raise refusal(409, "opened_otherwise")
                return row
            if await queries.told_before(connection, round=wanted.round):
                raise refusal(409, "opened_before")
            allocated = await queries.allocate(connection, round=wanted.round)
            detail = {"programme": row["programme"], "packages": packages, "allocated": allocated}
            await self._done(connection, person, "round.open", wanted.round, detail)
            return row

    async def deliver(self, round_: str, asked: Sequence[Giving], person: Person) -> tuple[int, list[Outcome]]:
        """Record what was given; the stock that is left and what became of each. Raises HTTPException."""
        here = await self._here(person)
        async with self._database.transaction() as connection:
            row = await self._locked(connection, round_, person)
            places = await self._places(connection, row, [each.to for each in asked], by_coupon=row["by_coupon"])
            areas = (await self._standing.ruling()).document.index.regions
            named = [_placed(each, place, areas) for each, place in zip(asked, places, strict=True)]
            ids = [each.delivery_id for each in asked]
            known = {d["delivery_id"]: _delivery(d) for d in
                     await every(queries.deliveries_under(connection, round=round_, ids=ids))}  # fmt: skip
            photos = [each.proof.sha256 for each in asked if each.proof.kind == "photo"]
            coupons, subjects = await self._coupons(connection, round_, places)
            stock, outcomes = giving.deliver(
                _round(row), named, coupons=coupons, known=known,
                photos={each["sha256"] for each in await every(queries.photos_used(connection, photos=photos))},
                here=here,
            )  # fmt: skip
            done = [each for each, outcome in zip(asked, outcomes, strict=True) if outcome.outcome == "recorded"]
            await self._keep(connection, round_, [known[each.delivery_id] for each in done], person)
            await self._told(connection, person, "round.deliver", round_, outcomes, subjects)
            return stock, outcomes

    async def _keep(self, connection: Connection, round_: str, given: Sequence[Delivery], person: Person) -> None:
        if not given:
            return
        if await queries.take_stock(connection, round=round_, packages=len(given)) is None:
            raise RuntimeError("the stock of a locked round changed")
        where = [each.coordinates or (None, None) for each in given]
        await queries.keep_deliveries(
            connection, round=round_, now=self._clock(), by=person.sub,
            ids=[each.delivery_id for each in given], places=[each.place for each in given],
            at=[each.at for each in given], officers=[each.officer for each in given],
            regions=[each.region for each in given], lats=[lat for lat, _ in where], lons=[lon for _, lon in where],
            proofs=[each.proof.kind for each in given], hashes=[each.proof.sha256 for each in given],
            elsewhere=[each.elsewhere for each in given],
        )  # fmt: skip

    async def take_back(
        self, round_: str, asked: Sequence[Named], reasons: Sequence[str], person: Person
    ) -> tuple[int, int, list[Outcome]]:
        """Take back packages and coupons, and promise them to the next; the stock, how many of these there are, and
        what became of each. Raises HTTPException.
        """
        here = await self._here(person)
        async with self._database.transaction() as connection:
            row = await self._locked(connection, round_, person)
            places = await self._places(connection, row, asked, by_coupon=False)
            coupons, subjects = await self._coupons(connection, round_, places)
            stock, outcomes = giving.take_back(_round(row), places, coupons=coupons, here=here)
            back = [at for at, outcome in enumerate(outcomes) if outcome.outcome == "recorded"]
            allocated = 0
            if back:
                await queries.take_stock(connection, round=round_, packages=row["stock"] - stock)
                await queries.keep_returns(
                    connection, round=round_, places=[outcomes[at].place for at in back],
                    reasons=[reasons[at] for at in back], now=self._clock(), by=person.sub,
                )  # fmt: skip
                allocated = await queries.allocate(connection, round=round_)
            await self._told(connection, person, "round.return", round_, outcomes, subjects)
            return stock, allocated, outcomes

    async def hand(
        self, round_: str, to: Step, name: str | None, codes: Sequence[str], region: str | None, person: Person
    ) -> list[Outcome]:
        """Record into whose hands coupons went: those of these codes, and of an area all that wait one step before;
        where none do there, why. Raises HTTPException.
        """
        here = await self._here(person)
        async with self._database.transaction() as connection:
            row = await self._locked(connection, round_, person)
            if not row["by_coupon"]:
                raise refusal(409, "by_list")
            places = await self._places(connection, row, [Named(coupon=each) for each in codes], by_coupon=True)
            step = giving.STEPS.index(to) + 1
            if region is not None:
                _covered(person, region)
                waiting = await every(queries.coupons_held(
                    connection, round=round_, step=step, region=region, at_most=HANDED_AT_ONCE
                ))  # fmt: skip
                places += [each["place"] for each in waiting]
                if not waiting:
                    counts = await every(queries.coupons_waiting(connection, round=round_, region=region))
                    held = {each["held"]: each["coupons"] for each in counts}
                    places.append(giving.nothing_to_hand(to, region, held))
            coupons, subjects = await self._coupons(connection, round_, places)
            outcomes = giving.hand(places, to, coupons=coupons, here=here)
            handed = [outcome.place for outcome in outcomes if outcome.outcome == "recorded"]
            if handed:
                await queries.keep_handovers(
                    connection, round=round_, places=handed, step=step, name=name, at=self._clock(), by=person.sub
                )
            await self._told(connection, person, "round.hand", round_, outcomes, subjects, to=to)
            return outcomes

    async def restock(
        self, round_: str, restock_id: str, packages: int, reason: str, person: Person
    ) -> tuple[int, int]:
        """Add packages, or take away lost ones (less than 0); the stock, and how many more are promised one.

        Raises HTTPException.
        """
        async with self._database.transaction() as connection:
            row = await self._locked(connection, round_, person)
            _covered(person, row["region"])
            before = await queries.restocked(connection, round=round_, restock_id=restock_id)
            if before is not None:
                if before["packages"] != packages:
                    raise refusal(409, "stock_id_taken", restock_id=restock_id, packages=before["packages"])
                return row["stock"], 0
            _open(row)
            stock = await queries.restock(
                connection, round=round_, restock_id=restock_id, packages=packages, reason=reason, now=self._clock(),
                by=person.sub,
            )  # fmt: skip
            if stock is None:
                raise refusal(409, "too_few_left", stock=row["stock"])
            allocated: int = await queries.allocate(connection, round=round_)
            detail = {"packages": packages, "reason": reason, "allocated": allocated}
            await self._done(connection, person, "round.stock", round_, detail)
            return int(stock), allocated

    async def close(self, round_: str, next_until: date | None, person: Person) -> tuple[int, int]:
        """Once the closing day is over, promise what nobody fetched to the next on the list until another day; without
        one end the round. How many did not come, and how many are promised a package now. Raises HTTPException.
        """
        here = await self._here(person)
        today = here.now.astimezone(here.zone).date()
        async with self._database.transaction() as connection:
            row = await self._locked(connection, round_, person)
            _covered(person, row["region"])
            if next_until is not None and next_until == row["closes"] and row["open"]:
                return 0, 0
            if not row["open"]:
                if next_until is not None:
                    raise refusal(409, "round_closed")
                return 0, 0
            counted = await every(queries.rounds(
                connection, after=None, round=round_, programme=None, open=None, region=None, regions=[], at_most=1
            ))  # fmt: skip
            if today <= row["closes"] and (counted[0]["left"] or next_until is not None):
                raise refusal(409, "until_closes", closes=row["closes"])
            if next_until is not None and next_until < today:
                raise refusal(409, "next_until_over")
            unclaimed, allocated = await queries.lapse(connection, round=round_), 0
            if next_until is not None:
                await queries.prolong(connection, round=round_, closes=next_until)
                allocated = await queries.allocate(connection, round=round_)
            else:
                await queries.end_round(connection, round=round_, now=here.now)
                await tell_turns(connection, [round_], here.now)
            detail = {"unclaimed": unclaimed, "allocated": allocated, "next_until": next_until and str(next_until)}
            await self._done(connection, person, "round.close", round_, detail)
            return unclaimed, allocated

    async def hold(self, programme: str, region: str, day: date, packages: int, person: Person) -> int | None:
        """Keep that a community held a round of its own; the revision told, none where it was known.

        Raises HTTPException.
        """
        _covered(person, region)
        now = self._clock()
        key = f"held|{programme}|{region}|{day}"
        async with self._database.transaction() as connection:
            revision: int | None = await queries.hold(
                connection, programme=programme, region=region, day=day, packages=packages, now=now, by=person.sub
            )
            if revision is not None:
                data = {"programme": programme, "region": region, "day": str(day), "packages": packages,
                        "revision": revision, "reported_by": person.sub}  # fmt: skip
                await put(connection, [message(ROUNDS, key, ROUND_HELD, revision, now, data)])
                await acts.record(connection, person, "round.report", key, {"packages": packages})
            return revision

    async def _here(self, person: Person) -> Here:
        zone = (await self._standing.ruling()).document.index.policy.time_zone
        return Here(self._clock(), ZoneInfo(zone), person.covers)

    @staticmethod
    async def _locked(connection: Connection, round_: str, person: Person) -> Any:
        row = await queries.locked_round(connection, round=round_)
        if row is None:
            raise refusal(404, "no_round")
        if not concerns(person, row["region"]):
            raise refusal(403, "outside")
        return row

    async def _places(
        self, connection: Connection, row: Any, asked: Sequence[Named], *, by_coupon: bool
    ) -> list[int | Outcome]:
        """Where those asked for stand on the round's list, or why that cannot be told.

        Args:
            by_coupon: a code alone counts.
        """
        key, round_ = self.keys(row["secret_id"]), row["round"]
        subjects = [each.subject for each in asked if each.subject is not None]
        listed = {each["subject"]: each["place"] for each in
                  await every(queries.places_of(connection, round=round_, subjects=subjects))}  # fmt: skip
        ids = [each.delivery_id for each in asked if each.delivery_id is not None]
        given = {each["delivery_id"]: each["place"] for each in
                 await every(queries.places_delivered(connection, round=round_, ids=ids))}  # fmt: skip

        def place(named: Named) -> int | Outcome:
            if named.coupon is not None:
                try:
                    return coupon.place_of(key, round_, named.coupon)
                except coupon.Mistyped:
                    return refused("mistyped")
                except coupon.Forged:
                    return refused("forged")
            if by_coupon:
                return refused("coupon_needed")
            found = listed.get(named.subject) if named.subject is not None else given.get(named.delivery_id)
            return found if found is not None else refused("not_listed")

        return [place(named) for named in asked]

    @staticmethod
    async def _coupons(
        connection: Connection, round_: str, places: Sequence[int | Outcome]
    ) -> tuple[dict[int, Coupon], dict[int, UUID]]:
        """The coupons of places, and whose they are."""
        wanted = [each for each in places if isinstance(each, int)]
        rows = await every(queries.coupons_at(connection, round=round_, places=wanted, reason=ERASED, by=SERVICE))
        coupons = {
            row["place"]: Coupon(
                row["place"], row["region"], row["state"], row["held"], row["delivery_id"], row["at"],
                row["subject"] is None, row["left_at"],
            ) for row in rows
        }  # fmt: skip
        return coupons, {row["place"]: row["subject"] for row in rows if row["subject"] is not None}

    async def _told(
        self, connection: Connection, person: Person, act: str, round_: str, outcomes: Sequence[Outcome],
        subjects: dict[int, UUID], **more: str,
    ) -> None:  # fmt: skip
        """Record an act on several, unless it changed nothing and nobody came with a forged coupon."""
        forged = sum(outcome.reason == "forged" for outcome in outcomes)
        if forged:
            log.warning("forged coupons were presented", round=round_, coupons=forged)
        done = [outcome.place for outcome in outcomes if outcome.outcome == "recorded"]
        if done or forged:
            detail = {"recorded": len(done), "forged": forged, **more}
            whose = [subjects[place] for place in done if place in subjects]
            await self._done(connection, person, act, round_, detail, whose)

    async def _done(
        self, connection: Connection, person: Person, act: str, round_: str, detail: dict[str, Any],
        whose: Sequence[UUID] = (),
    ) -> None:  # fmt: skip
        await acts.record(connection, person, act, round_, detail, whose)
        await queries.touch_round(connection, round=round_, now=self._clock())
        await connection.execute("notify round")


async def forget(connection: Connection, subjects: Sequence[str], now: datetime) -> None:
    """Take persons and households who are erased out of all rounds."""
    found = await every(queries.listing(connection, subjects=subjects))
    async with leaving(connection, [row["round"] for row in found], now):
        await queries.forget_listed(connection, subjects=subjects)


@asynccontextmanager
async def leaving(connection: Connection, rounds: Sequence[str], now: datetime) -> AsyncIterator[None]:
    """While these rounds stand still, somebody is taken off their lists. What is still promised to those who left goes
    to the next, as what somebody gives back does; of closed rounds it is told anew who had their turn.
    """
    await queries.lock_rankings(connection, rounds=rounds)
    opened = await every(queries.lock_rounds(connection, rounds=rounds))
    yield
    said = {"reason": ERASED, "by": SERVICE, "now": now}
    for row in await every(queries.disown(connection, rounds=[row["round"] for row in opened], **said)):
        allocated = await queries.allocate(connection, round=row["round"])
        await queries.touch_round(connection, round=row["round"], now=now)
        await connection.execute("notify round")
        log.info("erased left a round", round=row["round"], packages=row["packages"], allocated=allocated)
    await tell_turns(connection, [row["round"] for row in opened if row["closed"]], now)


async def tell_turns(connection: Connection, rounds: Sequence[str], now: datetime) -> None:
    """Tell of closed rounds who had their turn otherwise than the list said: in the transaction that closed them, or
    took somebody off their lists.

    Whoever was given a package, or gave it back, had their turn. Whoever fetched none did not: nobody knows whether the
    coupon ever came to them. So the next list has first those who got nothing, not those whose place said so.
    """
    for row in await every(queries.tell_turns(connection, rounds=rounds)):
        turns: dict[int, list[dict[str, Any]]] = {part: [] for part in range(1, max(1, -(-row["ranked"] // PART)) + 1)}
        for each in await every(queries.turns(connection, round=row["round"])):
            turns[(each["place"] - 1) // PART + 1].append({"subject": each["subject"], "had": each["had"]})
        await put(connection, [
            message(TURNS, f"{row['round']}|{part}", ROUND_CLOSED, row["revision"], now, {
                "round": row["round"], "part": part, "parts": len(turns), "revision": row["revision"],
                "programme": row["programme"], "turns": told,
            }) for part, told in turns.items()
        ])  # fmt: skip


def concerns(person: Person, region: str) -> bool:
    """Whether some of an area is in the person's regions."""
    return person.covers(region) or any(f"{own}.".startswith(f"{region}.") for own in person.regions)


def _covered(person: Person, region: str) -> None:
    if not person.covers(region):
        raise refusal(403, "outside")


def _open(row: Any) -> None:
    if not row["open"]:
        raise refusal(409, "round_closed")


def _packages(wanted: Opening, places: int) -> int:
    """How many packages the round has: of cash as many as the budget holds."""
    if wanted.budget is None or wanted.each is None:
        return wanted.packages or places
    if (packages := wanted.budget // wanted.each) == 0:
        raise refusal(409, "budget_too_small")
    return packages


def _round(row: Any) -> giving.Round:
    return giving.Round(**{name: row[name] for name in giving.Round._fields})


def _placed(told: Giving, place: int | Outcome, areas: Container[str]) -> Delivery | Outcome:
    if isinstance(place, Outcome):
        return place
    if told.region not in areas:
        return refused("area_unknown", place)
    return Delivery(
        told.delivery_id, place, told.at, told.officer, told.region, told.coordinates, told.proof, told.elsewhere
    )


def _delivery(row: Any) -> Delivery:
    where = None if row["lat"] is None else (row["lat"], row["lon"])
    proof = Proof(row["proof"], row["sha256"])
    return Delivery(
        row["delivery_id"], row["place"], row["at"], row["officer"], row["region"], where, proof, row["elsewhere"]
    )
