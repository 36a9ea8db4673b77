"""The registry's database, a batch at a time. SQL stands in ``sql/queries``.

Invariants
- Whoever writes here holds the exclusive lock: within a transaction nobody else changes who is who, and the
  revisions of one key are given in the order of commits.
- ``number.stands_for`` is right at the end of every transaction, so those with one ``stands_for`` are exactly
  those a chain of links ties together: what a link may change is found by an index, not by following chains.
- Nothing is announced but through ``announce``, which keeps what it sends: an event leaves only when its content
  changed, and its revision then grows by one.
- NIKs and KKs leave this module as pseudonyms only.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from hashlib import blake2b
from importlib.resources import files
from json import loads
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

import aiosql
import orjson
from asyncpg.pgproto.pgproto import UUID as FastUUID  # noqa: N811 – ten times as fast to make and to write as uuid.UUID
from tepat_chassis.database import Connection
from tepat_chassis.outbox import Message, put
from tepat_chassis.pseudonyms import Pseudonyms
from tepat_contracts import envelope
from tepat_contracts.events import ours
from tepat_contracts.events.beneficiaries import INSTITUTION_RECORDED
from tepat_contracts.events.reports import REPORT_ANSWERED, REPORT_FILED

from tepat_registry import domain
from tepat_registry.domain import Fact, Held, Kind, Link, Number, Statement, Who

queries: Any = aiosql.from_path(str(files("tepat_registry") / "sql" / "queries"), "asyncpg", mandatory_parameters=False)

SERVICE: Final = "registry"
PERSONS: Final = "registry.persons.v1"
HOUSEHOLDS: Final = "registry.households.v1"
SUSPECTS: Final = "registry.suspects.v1"
REPORTS: Final = "registry.reports.v1"

#: The duty of looking for what may be suspected.
LOOK: Final = "look"

#: So many NIKs at most are looked at as one.
LOOKED_AT_ONCE: Final = 2_000

#: Numbers to announce anew, each with the trace of what moved it.
Touched = dict[Number, str | None]


class News(NamedTuple):
    """What may have to be announced; it is when its content is new."""

    topic: str
    type: str
    key: str
    data: Mapping[str, Any]
    trace: str | None


def identity(topic: str, key: str) -> UUID | str:
    """A key of one of our topics as the UUID that ``announced`` knows it by: itself where it is a pseudonym."""
    return key if topic in (PERSONS, HOUSEHOLDS) else uuid5(NAMESPACE_URL, f"{topic}/{key}")


def read(data: str) -> dict[str, Any]:
    """Canonical data as the fields it holds; what orjson cannot read may still stand in a field we don't know."""
    told: dict[str, Any]
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        told = loads(data)
    return told


def digest(type_: str, data: Mapping[str, Any]) -> bytes:
    """What tells contents apart; the revision is not part of it."""
    content = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    return blake2b(content, key=type_.encode(), digest_size=16).digest()


class Store:
    """Takes what the door admitted, under one secret's pseudonyms, at a time.

    Args:
        recent: fields of a person of which the word told last holds.
    """

    def __init__(self, connection: Connection, pseudonyms: Pseudonyms, now: datetime, recent: AbstractSet[str]) -> None:
        self._connection = connection
        self._pseudonyms = pseudonyms
        self._now = now
        self.recent = recent

    # -- taking ------------------------------------------------------------------------------------

    async def take(self, rows: Sequence[Fact | Link | Statement]) -> None:
        """Take a batch, and announce what it changes."""
        facts = [row for row in rows if isinstance(row, Fact)]
        links = [row for row in rows if isinstance(row, Link)]
        statements = [row for row in rows if isinstance(row, Statement)]
        touched = await self._take_facts(facts) if facts else Touched()
        if links:
            touched |= await self._take_links(Kind.NIK, [link for link in links if link.kind is Kind.NIK])
            renewed = await self._take_links(Kind.KK, [link for link in links if link.kind is Kind.KK])
            await self._announce_households(renewed)
            cards = [FastUUID(self._pseudonyms.kk(str(number))) for number in renewed]
            told = {fact.nik for fact in facts}
            await self.look([nik for nik in touched if nik not in told], cards)
        await self.announce_persons(touched)
        if statements:
            await self._take_statements(statements)

    async def _take_facts(self, facts: list[Fact]) -> Touched:
        """Take membership facts; the NIKs they changed."""
        facts = domain.greatest(facts, domain.key_of_fact, domain.order_of_fact)
        traces: Touched = {fact.nik: fact.trace for fact in facts}
        await self._connection.copy_records_to_table("staged", records=facts, columns=Fact._fields)
        taken = [row async for row in queries.take_facts(self._connection)]
        await self.look(
            [row["nik"] for row in taken], [row["left_household"] for row in taken if row["left_household"] is not None]
        )
        return {row["nik"]: traces[row["nik"]] for row in taken}

    async def _take_links(self, kind: Kind, links: list[Link]) -> Touched:
        """Take merges or renewals; the numbers that are new, or that stand for others or are stood for otherwise."""
        if not links:
            return {}
        # Also those that only a merge already overtaken names: whether it was is a matter of batches.
        named: Touched = {link.from_number: link.trace for link in links}
        named |= {link.into_number: link.trace for link in links if link.into_number is not None}
        touched: Touched = {number: named[number] for number in await self._know(kind, named)}
        links = domain.greatest(links, domain.key_of_link, domain.order_of_link)
        taken = [row async for row in queries.take_links(self._connection, **_columns(Link, links))]
        moved = [row for row in taken if row["into_number"] != row["led_into"]]
        return touched | await self._follow(kind, moved) if moved else touched

    async def _follow(self, kind: Kind, moved: Sequence[Any]) -> Touched:
        """Let every number tied to a link that moved stand for the end of its chain; the numbers this touches."""
        ties = {row[end] for row in moved for end in ("from_number", "into_number", "led_into")} - {None}
        group = [row async for row in queries.groups(self._connection, kind=kind, numbers=list(ties))]
        links = {row["number"]: row["into_number"] for row in group if row["into_number"] is not None}
        ends = domain.stands_for(links, [row["number"] for row in group])
        # A number whose end changed has a link that moved on its way there: it has that link's new end.
        traces = {ends[row["from_number"]]: row["trace"] for row in moved}
        touched: Touched = {}
        for number, stood_for, _ in group:
            if (end := ends[number]) != stood_for:
                touched[number] = touched[stood_for] = touched[end] = traces[end]
        changed = [row["number"] for row in group if ends[row["number"]] != row["stands_for"]]
        if changed:
            await queries.stand(
                self._connection, kind=kind, numbers=changed, stand_for=[ends[number] for number in changed]
            )
        if kind is Kind.NIK:
            await self._suspect(domain.circles(links, ends), ends, traces)
        return touched

    async def _suspect(
        self, found: Mapping[Number, list[Number]], ends: Mapping[Number, Number], traces: Mapping[Number, str]
    ) -> None:
        """Raise the circles found; clear those that stood announced and are no more."""
        rows = [row async for row in queries.circles(self._connection, numbers=list(ends))]
        opened = {row["least"] for row in rows} - found.keys()
        news = []
        for least, members in found.items():
            pair, persons = self.nik(least), sorted(map(self.nik, members))
            data = {"pair": pair, "kind": "merge_circle", "persons": persons}
            news.append(News(SUSPECTS, ours.SUSPECT_RAISED, pair, data, traces.get(least)))
        for least in opened:
            pair = self.nik(least)
            data = {"pair": pair, "kind": "merge_circle"}
            news.append(News(SUSPECTS, ours.SUSPECT_CLEARED, pair, data, traces.get(ends[least])))
        await queries.open_circles(self._connection, numbers=list(opened))
        await queries.close_circles(self._connection, numbers=list(found))
        await self.announce(news)

    async def _take_statements(self, statements: list[Statement]) -> None:
        """Take institutions, reports and the rest; announce where reports stand."""
        if institutions := [each for each in statements if each.type == INSTITUTION_RECORDED]:
            holding = domain.greatest(institutions, domain.key_of_revision, domain.order_of_statement)
            told = _columns(Statement, holding)
            kept = ("agency", "about", "revision", "time", "event_id", "data")
            await queries.take_institutions(self._connection, **{name: told[name] for name in kept})
        statements = domain.greatest(statements, domain.key_of_statement, domain.order_of_statement)
        taken = [row async for row in queries.take_statements(self._connection, **_columns(Statement, statements))]
        traces = {
            (row["agency"], row["about"]): row["trace"]
            for row in taken
            if row["type"] in (REPORT_FILED, REPORT_ANSWERED)
        }
        if traces:
            agencies, about = map(list, zip(*traces, strict=True))
            rows = [
                row
                async for row in queries.reports(
                    self._connection, agencies=agencies, about=about, filed=REPORT_FILED, answered=REPORT_ANSWERED
                )
            ]
            await self.announce([
                News(
                    REPORTS, ours.REPORT_ROUTED, row["about"],
                    domain.report(row["agency"], read(row["data"]), answered=row["answered"]),
                    traces[row["agency"], row["about"]],
                )
                for row in rows
            ])  # fmt: skip

    async def look(self, niks: Sequence[Number], households: Sequence[UUID]) -> None:
        """Have it looked at what may be suspected of these now."""
        for start in range(0, len(niks), LOOKED_AT_ONCE):
            await queries.look(self._connection, niks=niks[start : start + LOOKED_AT_ONCE], households=[])
        if households:
            await queries.look(self._connection, niks=[], households=households)
        if niks or households:
            await self._connection.execute(f"notify {LOOK}")

    async def _know(self, kind: Kind, numbers: Iterable[Number]) -> list[Number]:
        """Know these numbers; those that are new."""
        name = self._pseudonyms.nik if kind is Kind.NIK else self._pseudonyms.kk
        numbers = list(numbers)
        pseudonyms = [FastUUID(name(str(number))) for number in numbers]
        return [
            row["number"]
            async for row in queries.know(self._connection, kind=kind, numbers=numbers, pseudonyms=pseudonyms)
        ]

    # -- announcing --------------------------------------------------------------------------------

    async def announce_persons(self, touched: Touched) -> None:
        """Announce what is known of these NIKs, where it is new."""
        if touched:
            persons = await self.persons(touched)
            await self.announce(
                [
                    News(PERSONS, ours.PERSON_RESOLVED, data["person"], data, touched[nik])
                    for nik, data in persons.items()
                ]
            )

    async def facts(self, niks: Iterable[Number]) -> dict[Number, list[Held]]:
        """The facts that hold about these NIKs: the most trusted agency's first, of one agency's the latest."""
        facts: dict[Number, list[Held]] = {}
        async for nik, agency, time, household, data, trace in queries.facts_of(self._connection, niks=list(niks)):
            facts.setdefault(nik, []).append(Held(agency, time, str(household), read(data), trace))
        return facts

    async def persons(self, niks: Iterable[Number]) -> dict[Number, dict[str, Any]]:
        """What is known of these NIKs, as it is announced."""
        niks = list(niks)
        facts = await self.facts(niks)
        aliases = {nik: others async for nik, others in queries.aliases(self._connection, niks=niks)}
        known: dict[Number, dict[str, Any]] = {}
        async for nik, pseudonym, stands_for in queries.who(self._connection, kind=Kind.NIK, numbers=niks):
            who = Who(
                str(pseudonym),
                str(pseudonym) if stands_for == nik else self.nik(stands_for),
                str(FastUUID(self._pseudonyms.alone(str(stands_for)))),
                [self.nik(alias) for alias in aliases.get(nik, ())],
            )
            known[nik] = domain.person(who, facts.get(nik, []), self.recent)
        return known

    async def _announce_households(self, touched: Touched) -> None:
        if touched:
            rows = [row async for row in queries.who(self._connection, kind=Kind.KK, numbers=list(touched))]
            await self.announce([
                News(
                    HOUSEHOLDS, ours.HOUSEHOLD_RESOLVED, str(row["pseudonym"]),
                    {"household": str(row["pseudonym"]), "stands_for": self._kk(row["stands_for"])},
                    touched[row["number"]],
                )
                for row in rows
            ])  # fmt: skip

    async def announce(self, news: Sequence[News]) -> None:
        """Announce what is new of it."""
        told = {str(identity(each.topic, each.key)): each for each in news}
        changed = [row async for row in queries.announce(
            self._connection, keys=list(told), digests=[digest(each.type, each.data) for each in told.values()],
            now=self._now,
        )]  # fmt: skip
        await put(self._connection, [self._message(told[str(key)], revision) for key, revision in changed])

    def _message(self, news: News, revision: int) -> Message:
        event = envelope.event(
            service=SERVICE, type=news.type, id=f"{news.topic}/{news.key}/{revision}", time=self._now,
            data={**news.data, "revision": revision}, traceparent=news.trace,
        )  # fmt: skip
        return Message(news.topic, news.key, envelope.write(event))

    def nik(self, number: Number) -> str:
        """The pseudonym of a NIK."""
        return str(FastUUID(self._pseudonyms.nik(str(number))))

    def _kk(self, number: Number) -> str:
        return str(FastUUID(self._pseudonyms.kk(str(number))))


def _columns(kind: type[NamedTuple], rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Rows as the columns that ``unnest`` takes, by the names of their fields."""
    return dict(zip(kind._fields, map(list, zip(*rows, strict=True)), strict=True))
