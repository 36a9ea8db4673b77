"""Takes what households receive, as distribution tells it, and keeps who is needy: the two sides of who is missed.

Invariants
- Of each household what has the greatest revision since its last tombstone is kept, however often it comes; whether its
  persons are known by then changes nothing. Of one that distribution has forgotten nothing is.
- `needy` holds, at the end of every transaction that changes a person or a report, what facts, links and reports say.
  It names days and does not depend on today: who is missed on a day is asked of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson
from tepat_chassis.compacted import newest
from tepat_chassis.database import Connection
from tepat_chassis.span import Span
from tepat_chassis.standing import InForce

from tepat_registry import domain
from tepat_registry.domain import Held, Number

AID: Final = "distribution.aid.v1"
LIVE: Final = ("planned", "disbursed")


class Aid:
    """Takes `distribution.aid.v1`.

    Args:
        queries: the service's statements.
    """

    def __init__(self, queries: Any) -> None:
        self._queries = queries

    def decode(
        self, spans: Sequence[Span], in_force: InForce[Any] | None  # noqa: ARG002 – an intake's signature
    ) -> tuple[list[dict[str, Any]], list[str]]:  # fmt: skip
        """The latest of each household in the batch, and those forgotten before."""

        def told() -> Iterator[tuple[str, dict[str, Any] | None]]:
            for record in (record for span in spans for record in span.records):
                if record.value is not None:
                    data = orjson.loads(record.value)["data"]
                    yield data["household"], data
                elif record.key is not None:
                    yield record.key.decode(), None

        latest, forgotten = newest(told(), itemgetter("revision"))
        return list(latest.values()), forgotten

    async def write(self, connection: Connection, told: tuple[list[dict[str, Any]], list[str]]) -> None:
        """Forget what is forgotten, and keep what is newer."""
        work, forgotten = told
        if forgotten:
            await self._queries.forget_aid(connection, households=forgotten)
            await self._queries.forget_received(connection, households=forgotten)
        if not work:
            return
        taken = {
            str(row["household"])
            async for row in self._queries.take_aid(
                connection,
                households=[each["household"] for each in work], revisions=[each["revision"] for each in work],
                others=[each.get("more", 0) for each in work],
                payouts=[orjson.dumps(each["payouts"]).decode() for each in work],
            )
        }  # fmt: skip
        await self._queries.forget_received(connection, households=list(taken))
        live = [
            (each["household"], payout)
            for each in work if each["household"] in taken
            for payout in each["payouts"] if payout["state"] in LIVE
        ]  # fmt: skip
        await self._queries.take_received(
            connection,
            households=[household for household, _ in live], persons=[payout["person"] for _, payout in live],
            programmes=[payout["programme"] for _, payout in live],
            starts=[date.fromisoformat(payout["covers"]["from"]) for _, payout in live],
            ends=[date.fromisoformat(payout["covers"]["to"]) for _, payout in live],
        )  # fmt: skip


class Needy(NamedTuple):
    """A person who may be missed, under a card from one day to another."""

    person: str
    since: date
    until: date
    card: str
    region: str
    decile: int | None
    deceased_on: date | None
    known_since: date | None
    named_at: datetime | None


async def keep_needy(
    connection: Connection, queries: Any, persons: Mapping[Number, Mapping[str, Any]],
    facts: Mapping[Number, Sequence[Held]],
) -> None:  # fmt: skip
    """Keep who is needy among these persons.

    Args:
        persons: as they are announced, by NIK; ``facts``: those that hold about them, as ``Store.facts`` gives them.
    """
    names = {name for told in persons.values() for name in (told["person"], *told["aliases"])}
    named = {str(row["person"]): row async for row in queries.named_of(connection, persons=list(names))}
    rows = [row for nik, told in persons.items() for row in _needy(told, facts.get(nik, ()), named)]
    await _keep(connection, queries, [told["person"] for told in persons.values()], rows)


async def keep_named(connection: Connection, queries: Any, niks: Mapping[Number, str]) -> None:
    """Keep who is named in a report, of NIKs, with their pseudonyms, of which nothing else is known."""
    rows = [
        Needy(str(row["person"]), date.min, date.max, str(row["alone"]), row["region"], None, None, None, row["at"])
        async for row in queries.named_of(connection, persons=list(niks.values()))
    ]
    await _keep(connection, queries, niks.values(), rows)


async def _keep(connection: Connection, queries: Any, persons: Iterable[str], rows: Sequence[Needy]) -> None:
    columns = list(map(list, zip(*rows, strict=True))) if rows else [[] for _ in Needy._fields]
    names = ("needy", "since", "until", "cards", "regions", "deciles", "deceased_on", "known_since", "named_at")
    await queries.keep_needy(connection, persons=list(persons), **dict(zip(names, columns, strict=True)))


def _needy(told: Mapping[str, Any], facts: Sequence[Held], named: Mapping[str, Any]) -> list[Needy]:
    decile = told["attributes"].get("decile")
    reports = [named[name] for name in (told["person"], *told["aliases"]) if name in named]
    first = min(reports, key=lambda row: (row["at"], row["region"]), default=None)
    if told["stands_for"] != told["person"] or ((decile is None or decile > domain.NEEDY) and first is None):
        return []
    at = first["at"] if first is not None else None
    stays = domain.stays(facts)
    if not stays:
        if first is None:
            return []
        return [Needy(told["person"], date.min, date.max, told["alone"], first["region"], None, None, None, at)]
    died, known = told.get("deceased_on"), stays[0].since
    return [
        Needy(
            told["person"], stay.since, stay.until, stay.household, told["region"], decile,
            date.fromisoformat(died) if died is not None else None, known, at,
        )
        for stay in stays
    ]  # fmt: skip
