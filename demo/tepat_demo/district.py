"""The sample district: a year of aid in Kota Semarang, invented but lifelike, with the errors that audits found.

- One seed and size give one sequence of bytes: no clock is read and no order of hashing shows.
- A payout carries at most one planted error, so that `Tally` is exact: each planted pair overlaps and nothing
  else is exclusive; each planted bad record is refused for the reason noted and nothing else is refused.
- No event id, payout id or payout key holds a NIK or KK.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from .bad import BAD, invalid_nik
from .payments import AGENCY, Key, Payout, Treasury, allot
from .population import YEAR, Household, Numbers, Person, area_of, kelurahan, old_spelling, settle

POLICY: Final = Path(__file__).with_name("policy.yaml")
"""The policy file of the district."""
AGENCIES: Final = tuple(AGENCY.values())
REGISTRAR: Final = AGENCY["PKH"]
"""Records persons and households, and alone may merge and renew."""
WITHOUT_RIGHT: Final = AGENCY["PIP"]
LAST_QUARTER: Final = f"{YEAR}-10-01"
FORBIDDEN: Final = ({"PKH", "BLT-DD"}, {"BPNT", "BLT-DD"})

SHARE: Final = {
    "forbidden pair": 0.01,  # of households
    "moved, split or renewed": 0.02,
    "not in the registry": 0.02,
    "invalid NIK": 0.003,  # of persons
    "two NIKs": 0.002,
    "deceased recipient": 0.001,  # of recipients
    "sent twice": 0.005,  # of payouts
    "same money under two ids": 0.003,
    "cancelled or returned": 0.03,
    "late or reordered": 0.05,  # of payout events
    "bad record": 0.001,  # of households, each kind
}
MERGED: Final = 0.6
"""Of the persons with two NIKs, those whom the registrar merges within the year."""

WIB: Final = timezone(timedelta(hours=7), "WIB")

Message = tuple[str, bytes, bytes]
"""Topic, key, value."""


@dataclass(slots=True)
class Tally:
    """What the district holds and what was planted in it, by kind.

    `pairs` are payouts that must overlap as `exclusive`, by the kind of error; `apart` are the same money to one
    person whose two NIKs nobody merged: no overlap can be known. `refused` is what the door must refuse, by agency
    and reason.
    """

    households: int = 0
    persons: int = 0
    recipients: int = 0
    payouts: int = 0
    payout_events: int = 0
    planted: Counter[str] = field(default_factory=Counter)
    pairs: defaultdict[str, list[tuple[Key, Key]]] = field(default_factory=lambda: defaultdict(list))
    apart: list[tuple[Key, Key]] = field(default_factory=list)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)


class Fact(NamedTuple):
    """A person and their household from a day on, as the registrar records it."""

    person: Person
    nik: str
    name: str
    kk: str
    region: str
    since: str
    until: str | None = None
    revision: int = 0


class Told(NamedTuple):
    """Any other event, ready but for its envelope."""

    agency: str
    kind: str
    key: str
    type: str
    data: dict[str, Any]


class Raw(NamedTuple):
    """A record as it stands."""

    agency: str
    key: str
    value: bytes


class Sending(NamedTuple):
    """What is sent and when; `time` is the event's own, `state` a payout's, `refused` the door's reason."""

    send: datetime
    number: int
    time: datetime
    what: Payout | Fact | Told | Raw
    state: str = ""
    refused: str | None = None

    @property
    def agency(self) -> str:
        return REGISTRAR if isinstance(self.what, Fact) else self.what.agency


class District:
    """A year of a district of so many households; iterate it for its messages in sending order.

    `len()` is their number, and every iteration gives the same bytes. `tally` says what was planted.
    """

    def __init__(self, seed: int = 1, households: int = 30_000) -> None:
        self.seed = seed
        self.tally = Tally()
        self._numbers = Numbers()
        self._clock = self._rng("clock")
        self._treasury = Treasury(self._rng("payments"))
        self._spoilt: set[str] = set()
        self._recorded: dict[str, datetime] = {}
        self._sendings: list[Sending] = []

        homes = settle(seed, households, self._numbers)
        self.tally.households = len(homes)
        self.tally.persons = sum(len(home.members) for home in homes)
        allot(homes, self._rng("allotment"))
        forbidden, changed, unrecorded, plain = self._share_out(homes)
        self._spoil_niks(plain)
        self._record([*forbidden, *changed, *plain])
        self._change_cards(changed)
        self._pay_forbidden(forbidden)
        for home in [*changed, *unrecorded]:
            for payout in self._treasury.year(home):
                self._send(payout)
        self._pay_with_errors(plain)
        self._sign_off()
        self._sendings.sort(key=lambda s: (s.send, s.number))

    def __len__(self) -> int:
        return len(self._sendings)

    def __iter__(self) -> Iterator[Message]:
        return map(_message, self._sendings)

    def judged(self) -> Iterator[tuple[Message, str | None]]:
        """Each message with the reason for which the door must refuse it, None where it must take it."""
        return ((_message(sending), sending.refused) for sending in self._sendings)

    def _rng(self, purpose: str) -> random.Random:
        return random.Random(f"{self.seed}:{purpose}")

    def _plant(self, kind: str, of: int) -> int:
        """How many of a kind to plant: its share, at least one."""
        count = max(1, round(SHARE[kind] * of))
        self.tally.planted[kind] = count
        return count

    def _hour(self, day: date) -> datetime:
        """Some second of office hours."""
        minutes, second = divmod(int(self._clock.random() * 8 * 3600), 60)
        return datetime(day.year, day.month, day.day, 8 + minutes // 60, minutes % 60, second, tzinfo=WIB)

    def _add(
        self,
        time: datetime,
        what: Payout | Fact | Told | Raw,
        state: str = "",
        *,
        delay: int = 0,
        refused: str | None = None,
    ) -> None:
        """Schedules an event of a time, sent so many days later."""
        send = time + timedelta(delay) if delay else time
        sending = Sending(send, len(self._sendings), time, what, state, refused)
        self._sendings.append(sending)
        if refused is not None:
            self.tally.refused[sending.agency, refused] += 1

    def _share_out(self, homes: list[Household]) -> tuple[list[Household], ...]:
        """Those with a forbidden pair, with a changed card, outside the registry, and all others: disjoint."""
        rng = self._rng("shares")
        rng.shuffle(homes)
        tempted = [home for home in homes if {"PKH", "BPNT"} & set(home.programmes)]
        forbidden = tempted[: self._plant("forbidden pair", len(homes))]
        for home in forbidden:
            home.programmes.append("BLT-DD")
        rest = [home for home in homes if not any({*pair} <= {*home.programmes} for pair in FORBIDDEN)]
        changes = self._plant("moved, split or renewed", len(homes))
        known = changes + self._plant("not in the registry", len(homes))
        return forbidden, rest[:changes], rest[changes:known], rest[known:]

    # --- the registry

    def _spoil_niks(self, homes: list[Household]) -> None:
        members = [member for home in homes for member in home.members]
        count = self._plant("invalid NIK", self.tally.persons)
        for way, person in enumerate(self._rng("spoilt").sample(members, count)):
            person.nik = invalid_nik(person.nik, way)
            self._spoilt.add(person.nik)

    def _record(self, homes: list[Household]) -> None:
        """Kelurahan by kelurahan: most before the year begins, one in seven only in its first months."""
        places = list(kelurahan())
        self._rng("kelurahan").shuffle(places)
        december, january = date(YEAR - 1, 12, 1), date(YEAR, 1, 5)
        prompt = len(places) * 6 // 7
        day_of = {
            place: december + timedelta(rank * 30 // prompt)
            if rank < prompt
            else january + timedelta(3 * (rank - prompt))
            for rank, place in enumerate(places)
        }
        for home in homes:
            when = self._hour(day_of[home.region])
            for person in home.members:
                self._tell(Fact(person, person.nik, person.name, home.kk, home.region, home.joined(person)), when)
                self._recorded[person.nik] = when

    def _tell(self, fact: Fact, when: datetime) -> None:
        self._add(when, fact, refused=self._refusal(fact.nik))

    def _refusal(self, nik: str) -> str | None:
        return "nik_invalid" if nik in self._spoilt else None

    def _change_cards(self, homes: list[Household]) -> None:
        """In turn all move to another kelurahan, one leaves, the card is renewed; the registrar alone knows."""
        rng = self._rng("changes")
        for number, home in enumerate(homes):
            day = date(YEAR, rng.randint(2, 10), 1)
            told = self._hour(day + timedelta(rng.randint(0, 27)))
            change = ("moved", "split", "renewed")[number % 3]
            if change == "split" and len(home.members) == 1:
                change = "moved"
            self.tally.planted[change] += 1
            region = rng.choice(kelurahan()) if change == "moved" else home.region
            card = self._numbers.kk(region, day.isoformat())
            if change != "split":
                home.renewed = day.isoformat(), card
            if change == "renewed":
                data = {"from_kk": home.kk, "into_kk": card, "revision": 0, "reason": "kartu baru"}
                self._add(told, Told(REGISTRAR, "beneficiaries", home.kk, "tepat.household.renewed.v1", data))
                continue
            until = (day - timedelta(1)).isoformat()
            for person in home.members if change == "moved" else home.members[-1:]:
                who = person, person.nik, person.name
                self._tell(Fact(*who, home.kk, home.region, home.joined(person), until, 1), told)
                self._tell(Fact(*who, card, region, day.isoformat()), told)

    def _register_again(self, person: Person, home: Household, rng: random.Random) -> str:
        """A second NIK for a person, their name in an older spelling, half of them under a card elsewhere."""
        elsewhere = rng.random() < 0.5
        region = rng.choice(kelurahan()) if elsewhere else home.region
        kk = self._numbers.kk(region, home.since) if elsewhere else home.kk
        nik = self._numbers.nik(area_of(region), person.born, person.sex)
        fact = Fact(person, nik, old_spelling(person.name), kk, region, home.joined(person))
        self._tell(fact, self._recorded[person.nik] + timedelta(1))
        return nik

    # --- the year's payouts

    def _send(self, payout: Payout, *, ended: str | None = None, again: bool = False) -> None:
        """Its events: planned where the agency announces, then disbursed, cancelled instead, or returned after.

        What is announced for the last quarter is still to be paid.
        """
        events = []
        if payout.planned_on is not None:
            events.append((payout.planned_on, "planned"))
        waits = payout.planned_on is not None and ended is None and payout.first >= LAST_QUARTER
        if ended != "cancelled" and not waits:
            events.append((payout.paid_on, "disbursed"))
        if ended is not None:
            events.append((payout.paid_on + timedelta(0 if ended == "cancelled" else 21), ended))
        for day, state in events:
            late = self._clock.random() < SHARE["late or reordered"]
            delay = self._clock.randint(2, 40) if late else 0
            self.tally.planted["late or reordered"] += late
            time = self._hour(day)
            self._add(time, payout, state, delay=delay, refused=self._refusal(payout.nik))
            if again and (state == "disbursed" or waits):
                self._add(time, payout, state, delay=delay + self._clock.randint(1, 20))
        self.tally.payout_events += len(events) + again
        self.tally.payouts += 1

    def _pay_forbidden(self, homes: list[Household]) -> None:
        for home in homes:
            payouts = list(self._treasury.year(home))
            for payout in payouts:
                self._send(payout)
            self.tally.pairs["forbidden pair"] += [
                (a.key, b.key)
                for a, b in combinations(payouts, 2)
                if {a.programme, b.programme} in FORBIDDEN and a.first <= b.last and b.first <= a.last
            ]

    def _pay_with_errors(self, homes: list[Household]) -> None:
        """The payouts of the other households; whichever carries an error carries just one."""
        rng = self._rng("errors")
        year = [(home, list(self._treasury.year(home))) for home in homes]
        people = [member for home in homes for member in home.members if member.nik not in self._spoilt]
        self._bury(people, rng)
        twinned = self._pay_two_niks(year, rng)

        free = []
        for _, payouts in year:
            for payout in payouts:
                if payout.nik in self._spoilt:
                    self._send(payout)
                elif payout.id not in twinned:
                    free.append(payout)
        rng.shuffle(free)
        made = self._treasury.made
        twice = [p for p in free if p.programme != "SB"][: self._plant("same money under two ids", made)]
        for payout in twice:
            other = replace(payout, id=f"{payout.id}-D", paid_on=payout.paid_on + timedelta(rng.randint(1, 9)))
            self._send(payout)
            self._send(other)
            self.tally.pairs["same money under two ids"].append((payout.key, other.key))
        gone = {payout.id for payout in twice}
        rest = [payout for payout in free if payout.id not in gone]
        ended = self._plant("cancelled or returned", made)
        repeated = ended + self._plant("sent twice", made)
        for payout in rest[:ended]:
            cancelled = payout.planned_on is not None and rng.random() < 0.5
            self._send(payout, ended="cancelled" if cancelled else "returned")
        for payout in rest[ended:repeated]:
            self._send(payout, again=True)
        for payout in rest[repeated:]:
            self._send(payout)
        self._send_bad(rest[repeated:], rng)

    def _bury(self, people: list[Person], rng: random.Random) -> None:
        """Some recipients died before the year began, and are paid all the same."""
        recipients = self._treasury.recipients
        self.tally.recipients = len(recipients)
        paid = [person for person in people if person.nik in recipients]
        for person in rng.sample(paid, self._plant("deceased recipient", len(recipients))):
            person.deceased_on = date(YEAR - 1, rng.randint(1, 12), rng.randint(1, 28)).isoformat()

    def _pay_two_niks(self, year: list[tuple[Household, list[Payout]]], rng: random.Random) -> set[str]:
        """Some recipients have a second NIK, and get one programme's money under each; ids of those payouts."""
        found: dict[str, tuple[Household, list[Payout]]] = {}
        for home, payouts in year:
            for payout in payouts:
                if payout.programme != "SB" and payout.nik not in self._spoilt:
                    _, same = found.setdefault(payout.nik, (home, [payout]))
                    if same[0] is not payout and same[0].programme == payout.programme:
                        same.append(payout)
        twinned = set()
        for nik in rng.sample(list(found), self._plant("two NIKs", self.tally.persons)):
            home, payouts = found[nik]
            person = self._treasury.recipients[nik]
            second = self._register_again(person, home, rng)
            pairs = []
            for payout in payouts:
                other = replace(payout, id=f"{payout.id}-N", nik=second, name=old_spelling(person.name), kk=None)
                self._send(payout)
                self._send(other)
                pairs.append((payout.key, other.key))
                twinned.add(payout.id)
            if rng.random() < MERGED:
                self._merge(REGISTRAR, second, nik, date(YEAR, rng.randint(1, 12), rng.randint(1, 28)))
                self.tally.planted["two NIKs, merged"] += 1
                self.tally.pairs["two NIKs"] += pairs
            else:
                self.tally.apart += pairs
        return twinned

    def _merge(self, agency: str, from_nik: str, into_nik: str, day: date, *, refused: str | None = None) -> None:
        data = {
            "from_nik": from_nik,
            "into_nik": into_nik,
            "revision": 0,
            "decided_by": "verifikator",
            "reason": "satu orang, dua NIK",
        }
        what = Told(agency, "beneficiaries", from_nik, "tepat.persons.merged.v1", data)
        self._add(self._hour(day), what, refused=refused)

    def _send_bad(self, good: list[Payout], rng: random.Random) -> None:
        """Each kind of bad record, made from a good payout under an id of its own; and merges without the right."""
        count = self._plant("bad record", self.tally.households)
        for reason, spoil in BAD.values():
            for number in range(count):
                payout = rng.choice(good)
                payout = replace(payout, id=f"{payout.id}-X{number}", kk=None)
                time = self._hour(payout.paid_on)
                value = spoil(_payout_event(payout, "disbursed", time))
                self._add(time, Raw(payout.agency, payout.id, value), refused=reason)
        for _ in range(count):
            one, other = rng.choice(good), rng.choice(good)
            self._merge(WITHOUT_RIGHT, one.nik, other.nik, one.paid_on, refused="not_permitted")
        self.tally.planted["bad record"] = count * (len(BAD) + 1)

    def _sign_off(self) -> None:
        """On the fifth of each month every agency says that the month before has been told."""
        for month in range(1, 13):
            following = date(YEAR + month // 12, month % 12 + 1, 5)
            through = (following - timedelta(5)).isoformat()
            for agency in AGENCIES:
                for kind in ("beneficiaries", "payouts") if agency == REGISTRAR else ("payouts",):
                    data = {"kind": kind, "through": through}
                    self._add(self._hour(following), Told(agency, kind, agency, "tepat.source.complete.v1", data))


# --- events


def _event(agency: str, type_: str, id_: str, time: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": id_,
        "source": f"urn:tepat:agency:{agency}",
        "type": type_,
        "time": time.isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }


def _payout_event(payout: Payout, state: str, time: datetime) -> dict[str, Any]:
    data: dict[str, Any] = {"payout_id": payout.id, "revision": 0}
    if state in ("cancelled", "returned"):
        data["reason"] = "tidak memenuhi syarat" if state == "cancelled" else "dana tidak diambil"
    else:
        recipient = {"nik": payout.nik, "name": payout.name}
        if payout.kk is not None:
            recipient["kk"] = payout.kk
        data |= {
            "programme": payout.programme,
            "covers": {"from": payout.first, "to": payout.last},
            "recipient": recipient,
            "benefit": {"kind": payout.kind, "amount": payout.amount},
            "region": payout.region,
            "tranche": payout.tranche,
        }
    id_ = f"{payout.id}:{state}"
    return _event(payout.agency, f"tepat.payout.{state}.v1", id_, time, data)


def _fact_event(fact: Fact, number: int, time: datetime) -> dict[str, Any]:
    person = fact.person
    data = {
        "nik": fact.nik,
        "revision": fact.revision,
        "name": fact.name,
        "sex": person.sex,
        "birth_date": person.born,
        "region": fact.region,
        "kk": fact.kk,
        "since": fact.since,
        "relation": person.relation,
        "attributes": person.attributes,
    }
    if fact.until is not None:
        data["until"] = fact.until
    if person.deceased_on is not None:
        data["deceased_on"] = person.deceased_on
    return _event(REGISTRAR, "tepat.person.recorded.v1", f"person:{number}", time, data)


def _message(sending: Sending) -> Message:
    what = sending.what
    if isinstance(what, Payout):
        event = _payout_event(what, sending.state, sending.time)
        return f"agency.{what.agency}.payouts.v1", what.id.encode(), orjson.dumps(event)
    if isinstance(what, Fact):
        event = _fact_event(what, sending.number, sending.time)
        return f"agency.{REGISTRAR}.beneficiaries.v1", what.nik.encode(), orjson.dumps(event)
    if isinstance(what, Told):
        id_ = f"{what.type.split('.')[2]}:{sending.number}"
        event = _event(what.agency, what.type, id_, sending.time, what.data)
        return f"agency.{what.agency}.{what.kind}.v1", what.key.encode(), orjson.dumps(event)
    return f"agency.{what.agency}.payouts.v1", what.key.encode(), what.value
