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
from json import dumps, loads
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

from tepat_registry import aid, domain
from tepat_registry.domain import VILLAGE, Erasure, Fact, Held, Kind, Link, Number, Statement, Who
from tepat_registry.linkage.names import form

queries: Any = aiosql.from_path(str(files("tepat_registry") / "sql" / "queries"), "asyncpg", mandatory_parameters=False)

SERVICE: Final = "registry"
PERSONS: Final = "registry.persons.v1"
HOUSEHOLDS: Final = "registry.households.v1"
SUSPECTS: Final = "registry.suspects.v1"
REPORTS: Final = "registry.reports.v1"

#: What merges that lead back to where they began are suspected as.
CIRCLE: Final = "merge_circle"

#: The duty of looking for what may be suspected.
LOOK: Final = "look"
#: The duty of letting reports go where they go.
ROUTE: Final = "route"

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


def canonical_json(data: Mapping[str, Any]) -> str:
    """Data as the door's canonical form has them."""
    return dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


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

    async def take(self, rows: Sequence[Fact | Link | Erasure | Statement]) -> None:
        """Take a batch, and announce what it changes. Erasures come first: what they erase is then not taken."""
        if erasures := [row for row in rows if isinstance(row, Erasure)]:
            await self._take_erasures(erasures)
        facts = [row for row in rows if isinstance(row, Fact)]
        links = await self._unerased([row for row in rows if isinstance(row, Link)])
        statements = await self._stripped([row for row in rows if isinstance(row, Statement)])
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
        """Raise the circles found; clear those that stood raised and are no more. One alone is none."""
        rows = [row async for row in queries.circles(self._connection, numbers=list(ends))]
        found = {least: members for least, members in found.items() if len(members) > 1}
        opened = {row["least"] for row in rows} - found.keys()
        raised = [
            News(
                SUSPECTS, ours.SUSPECT_RAISED, pair,
                {"pair": pair, "kind": CIRCLE, "persons": sorted(map(self.nik, members))}, traces.get(least),
            )
            for least, members in found.items() for pair in [self.nik(least)]
        ]  # fmt: skip
        cleared = [
            News(SUSPECTS, ours.SUSPECT_CLEARED, pair, {"pair": pair, "kind": CIRCLE}, traces.get(ends[least]))
            for least in opened for pair in [self.nik(least)]
        ]  # fmt: skip
        if cleared:
            _ = [_ async for _ in queries.clear_suspects(self._connection, pairs=[each.key for each in cleared])]
        if raised:
            pairs, none = [each.key for each in raised], [None] * len(raised)
            _ = [_ async for _ in queries.raise_(
                self._connection, now=self._now, pairs=pairs, kinds=[CIRCLE] * len(raised), a=pairs, b=pairs,
                persons=[orjson.dumps(each.data["persons"]).decode() for each in raised],
                evidence=["{}"] * len(raised), regions=none, traces=[each.trace for each in raised],
            )]  # fmt: skip
        await self.announce([*cleared, *raised])

    async def _take_erasures(self, erasures: list[Erasure]) -> None:
        """Forget what was told of persons up to then, and leave tombstones of what was announced of them."""
        erasures = domain.greatest(erasures, lambda each: each.nik, lambda each: each.time)
        told = _columns(Erasure, erasures)
        moved_on = {row["person"] async for row in queries.take_erasures(
            self._connection, persons=told["person"], times=told["time"], agencies=told["agency"],
            event_ids=told["event_id"],
        )}  # fmt: skip
        erasures = [each for each in erasures if each.person in moved_on]
        if not erasures:
            return
        until = {each.nik: each.time for each in erasures}
        which = {"niks": list(until), "times": list(until.values())}
        left = {row["household"] async for row in queries.erase_facts(self._connection, **which)}
        links = [row async for row in queries.erase_links(self._connection, **which)]
        touched: Touched = {each.nik: each.trace for each in erasures}
        touched |= await self._follow(Kind.NIK, links) if links else {}
        await queries.unknow(self._connection, niks=list(until))
        still = {row["number"] async for row in queries.who(self._connection, kind=Kind.NIK, numbers=list(until))}
        unknown = {each.nik: str(each.person) for each in erasures if each.nik not in still}
        await self._strip_reports(until)
        await queries.erase_named(self._connection, **which)
        await aid.keep_named(self._connection, queries, unknown)
        await self.announce_persons(touched)
        gone = list(unknown.values())
        rows = [row async for row in queries.forget_suspects(self._connection, persons=gone, named=gone)]
        await self._forget(PERSONS, gone)
        await self._forget(SUSPECTS, [*gone, *(row["pair"] for row in rows)])
        await self.look(list(touched), list(left.union(*((row["a"], row["b"]) for row in rows)) - {*map(UUID, gone)}))

    async def _strip_reports(self, until: Mapping[Number, datetime]) -> None:
        """Take persons who are erased out of what was reported by then."""
        stripped = {}
        async for agency, about, revision, time, data in queries.reports_to_strip(
            self._connection, type=REPORT_FILED, niks=list(map(str, until))
        ):
            niks = {str(nik) for nik, erased in until.items() if time <= erased}
            if (less := domain.without(told := read(data), niks)) != told:
                stripped[agency, about, revision] = canonical_json(less)
        if stripped:
            agencies, about, revisions = map(list, zip(*stripped, strict=True))
            await queries.rewrite_reports(
                self._connection, type=REPORT_FILED, agencies=agencies, about=about, revisions=revisions,
                data=list(stripped.values()),
            )  # fmt: skip
            await self._connection.execute(f"notify {ROUTE}")

    async def _unerased(self, links: list[Link]) -> list[Link]:
        """Those of the links that tell nothing of a person erased since."""
        niks = {nik for link in links if link.kind is Kind.NIK for nik in (link.from_number, link.into_number) if nik}
        erased = await self._erased(niks)
        if not erased:
            return links
        return [
            link for link in links
            if link.kind is not Kind.NIK
            or all(nik not in erased or link.time > erased[nik] for nik in (link.from_number, link.into_number) if nik)
        ]  # fmt: skip

    async def _stripped(self, statements: list[Statement]) -> list[Statement]:
        """The statements, without people in reports who were erased since."""
        reports = {each: read(each.data) for each in statements if each.type == REPORT_FILED}
        named = {int(nik) for each in reports for nik in domain.NIK_WRITTEN.findall(each.data)}
        erased = await self._erased(named)
        if not erased:
            return statements
        stripped = []
        for each in statements:
            niks = {str(nik) for nik, until in erased.items() if each.time <= until}
            if each in reports and (less := domain.without(reports[each], niks)) != reports[each]:
                each = each._replace(data=canonical_json(less))  # noqa: PLW2901
            stripped.append(each)
        return stripped

    async def _erased(self, niks: AbstractSet[Number]) -> dict[Number, datetime]:
        """Those of these NIKs that are erased, and until when."""
        if not niks:
            return {}
        named = {FastUUID(self._pseudonyms.nik(str(nik))): nik for nik in niks}
        return {named[person]: time async for person, time in queries.erased(self._connection, persons=list(named))}

    async def _forget(self, topic: str, keys: Sequence[str]) -> None:
        """Leave a tombstone under those of the keys under which something stands announced."""
        named = {str(identity(topic, key)): key for key in keys}
        rows = [row async for row in queries.withdraw(self._connection, keys=list(named))]
        await put(self._connection, [Message(topic, named[str(row["key"])], None) for row in rows])

    async def _take_statements(self, statements: list[Statement]) -> None:
        """Take institutions, reports and the rest; have reports routed."""
        revisions = domain.greatest(statements, domain.key_of_revision, domain.order_of_revision)
        if institutions := [each for each in revisions if each.type == INSTITUTION_RECORDED]:
            told = _columns(Statement, institutions)
            data = [read(each.data) for each in institutions]
            await queries.take_institutions(
                self._connection, **told, kind=[each["kind"] for each in data],
                areas=[" ".join(each["regions"]) if each["active"] else "" for each in data],
            )  # fmt: skip
            await queries.route_near(
                self._connection, agency=told["agency"], about=told["about"], since=min(told["at"])
            )
        if reports := [each for each in revisions if each.type in (REPORT_FILED, REPORT_ANSWERED)]:
            told = _columns(Statement, reports)
            await queries.take_reports(self._connection, **told, filed=REPORT_FILED)
        if institutions or reports:
            await self._connection.execute(f"notify {ROUTE}")
        statements = domain.greatest(statements, domain.key_of_statement, domain.order_of_statement)
        taken = [row async for row in queries.take_statements(self._connection, **_columns(Statement, statements))]
        held = {(row["agency"], row["about"]) for row in taken if row["type"] == REPORT_FILED}
        await self._take_named([s for s in statements if s.type == REPORT_FILED and (s.agency, s.about) in held])

    async def look_at_reports(self) -> None:
        """Take again whom every report names, while everyone is to be looked at."""
        rows = queries.reports_to_look_at(self._connection, filed=REPORT_FILED)
        await self._take_named([Statement(*(row[name] for name in Statement._fields)) async for row in rows])

    async def _take_named(self, reports: Sequence[Statement]) -> None:
        """Take whom these reports name by NIK, or by name and birth date: they may be missed whatever their decile."""
        if not reports:
            return
        told = {(report.agency, report.about): report for report in reports}
        agencies, about = map(list, zip(*told, strict=True))
        moved = {row["nik"] async for row in queries.forget_named(self._connection, agencies=agencies, reports=about)}
        named = [
            (report.agency, report.about, int(person["nik"]), data["region"], report.time)
            for report in reports for data in [read(report.data)]
            for person in data["people"] if person.get("nik") is not None
        ]  # fmt: skip
        niks = [nik for _, _, nik, _, _ in named]
        await queries.take_named(
            self._connection, agencies=[agency for agency, *_ in named], reports=[each for _, each, *_ in named],
            niks=niks, persons=[self.nik(nik) for nik in niks],
            alone=[str(FastUUID(self._pseudonyms.alone(str(nik)))) for nik in niks],
            regions=[region for *_, region, _ in named], at=[time for *_, time in named],
        )  # fmt: skip
        sought = [
            (report.agency, report.about, data["region"], " ".join(form(person["name"])), born, report.time)
            for report in reports for data in [read(report.data)] if data["region"].count(".") == VILLAGE
            for person in data["people"] if person.get("nik") is None and (born := person.get("birth_date")) is not None
        ]  # fmt: skip
        if sought:
            agencies, about, regions, words, born, at = map(list, zip(*sought, strict=True))
            await queries.take_sought(
                self._connection, agencies=agencies, reports=about, regions=regions, words=words, born=born, at=at
            )
            regions, born = map(list, zip(*dict.fromkeys(zip(regions, born, strict=True)), strict=True))
            moved |= {row["nik"] async for row in queries.residents_born(self._connection, regions=regions, born=born)}
        await self._keep_missed(moved | {*niks} | await self._match(moved))

    async def _match(self, niks: AbstractSet[Number]) -> set[Number]:
        """Keep whom of these reports seek, and seek no longer; those for whom that may change who is meant."""
        facts = await self.facts(niks)
        return await self._keep_matched(niks, await self.persons(niks, facts), facts)

    async def _keep_matched(
        self, niks: Iterable[Number], persons: Mapping[Number, Mapping[str, Any]],
        facts: Mapping[Number, Sequence[Held]],
    ) -> set[Number]:  # fmt: skip
        """The same, where what is known of them is at hand."""
        lived = {nik: persons.get(nik, {}) for nik in niks}
        about = [row["nik"] async for row in queries.perhaps_sought(
            self._connection, niks=list(lived), regions=[told.get("region") for told in lived.values()],
            born=[told.get("birth_date") for told in lived.values()],
        )]  # fmt: skip
        if not about:
            return set()
        told = [
            (nik, self.nik(nik), lived[nik]["region"], " ".join(form(names["name"].data["name"])),
             lived[nik]["birth_date"])
            for nik in about if (names := domain.holding(facts.get(nik, ()), self.recent, ("name",)))
        ]  # fmt: skip
        known, people, regions, words, born = map(list, zip(*told, strict=True)) if told else ([] for _ in range(5))
        return {row["nik"] async for row in queries.keep_matched(
            self._connection, about=about, niks=known, persons=people, regions=regions, words=words, born=born,
        )}  # fmt: skip

    async def retire_reports(self, before: datetime, most: int) -> int:
        """Forget reports filed before an instant, up to so many, and leave tombstones of them; how many there were."""
        rows = [
            row async for row in queries.retire_reports(self._connection, before=before, most=most, filed=REPORT_FILED)
        ]
        if rows:
            agencies, about = [row["agency"] for row in rows], [row["about"] for row in rows]
            moved = {
                row["nik"] async for row in queries.forget_named(self._connection, agencies=agencies, reports=about)
            }
            await self._keep_missed(moved | await self._match(moved))
            await self._forget(REPORTS, [row["key"] for row in rows])
        return len(rows)

    async def _keep_missed(self, moved: AbstractSet[Number]) -> None:
        """Keep which of these may be missed, now that other reports name them or none."""
        ends = {
            row["number"]: row["stands_for"]
            async for row in queries.who(self._connection, kind=Kind.NIK, numbers=list(moved))
        }
        known = {*ends.values()}
        facts = await self.facts(known)
        await aid.keep_needy(self._connection, queries, await self.persons(known, facts), facts)
        await aid.keep_named(self._connection, queries, {nik: self.nik(nik) for nik in moved - ends.keys()})

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
            facts = await self.facts(touched)
            persons = await self.persons(touched, facts)
            moved = await self._keep_matched(touched, persons, facts)
            await aid.keep_needy(self._connection, queries, persons, facts)
            if moved:
                await self._keep_missed(moved)
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

    async def persons(
        self, niks: Iterable[Number], facts: Mapping[Number, Sequence[Held]] | None = None
    ) -> dict[Number, dict[str, Any]]:
        """What is known of these NIKs, as it is announced; ``facts`` about them where they are at hand."""
        niks = list(niks)
        facts = await self.facts(niks) if facts is None else facts
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
