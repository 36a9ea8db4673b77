"""Whether anything was lost, doubled or wrong, once everything is healed and at rest.

What must be is worked out from the inbound topics alone: by the load, which knows what the door must refuse, and by
the oracle. It is compared with the outbound topics, and with the tables of the ledger and the quarantines.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from tepat_contracts import topics
from tepat_demo import findings_oracle, oracle, stream
from tepat_demo.oracle import Record

from .load import fingerprint
from .servers import System

INBOUND = re.compile(r"agency\.[^.]+\.(payouts|beneficiaries|verifications)\.v1")
KEYED = re.compile(r"(registry|eligibility|distribution)\.(?!quarantine)[a-z]+\.v1")
NIK = re.compile(rb"(?<![0-9a-f-])33\d{14}(?![0-9a-f-])")
TELL = 20
"""Of each kind of error so many are told in words."""

LEDGER = """
select a.code as agency, p.payout_id, p.revision, p.rank, g.code as programme, p.starts, p.ends, p.amount, p.region
from payout p join agency a on a.id = p.agency left join programme g on g.id = p.programme where p.live"""
ENDED = """
select a.code as agency, p.payout_id, p.revision, p.rank
from payout p join agency a on a.id = p.agency where not p.live"""
QUARANTINE = 'select topic, partition, "offset", reason from quarantine'

Place = tuple[str, int, int]


@dataclass
class Verdict:
    """What was found. `lost`, `doubled` and `wrong` count; `told` says each in words, the first few of a kind."""

    records: int = 0
    payouts: int = 0
    overlaps: int = 0
    clearances: int = 0
    findings: int = 0
    quarantined: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    told: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing is lost, doubled or wrong."""
        return not (self.lost or self.doubled or self.wrong)

    def find(self, kind: str, found: Sequence[str], *, times: int | None = None) -> None:
        """Note errors of a kind (`lost`, `doubled`, `wrong`)."""
        number = len(found) if times is None else times
        setattr(self, kind, getattr(self, kind) + number)
        self.told += [f"{kind}: {each}" for each in found[:TELL]]
        if number > TELL:
            self.told.append(f"{kind}: … and {number - TELL} more")


async def judge(system: System, document: Mapping[str, Any], refusals: Mapping[bytes, str]) -> Verdict:
    """The verdict on a system at rest."""
    verdict = Verdict()
    names = await stream.topics(system.kafka, INBOUND)
    inbound = await stream.read(system.kafka, names)
    receipts = await stream.read(system.kafka, await stream.topics(system.kafka, stream.RECEIPTS), committed=True)
    verdict.records = len(inbound)
    unanswered = stream.Unanswered(await stream.bounds(system.kafka, names), receipts)
    if unanswered.left:
        verdict.find("lost", [f"{unanswered.left} records have no receipt"], times=unanswered.left)
    if twice := unanswered.twice():
        verdict.find("doubled", [f"{twice} records have more than one receipt"], times=twice)
    await _quarantine(system, verdict, inbound, receipts, refusals)
    accepted = oracle.accepted_by_receipts(inbound, receipts)
    await _ledger(system, verdict, accepted)
    await _overlaps(system, verdict, accepted, document)
    await _findings(system, verdict, accepted, document)
    await _order(system, verdict)
    _logs(verdict, Path(system.endpoints.logs))
    return verdict


def _compare(verdict: Verdict, what: str, are: Mapping[Any, Any], should: Mapping[Any, Any]) -> None:
    """Note what lacks, what is too much, and what differs."""
    verdict.find("lost", [f"{what} {_key(key)} is missing" for key in sorted(should.keys() - are.keys())])
    verdict.find("doubled", [f"{what} {_key(key)} should not be" for key in sorted(are.keys() - should.keys())])
    verdict.find("wrong", [
        f"{what} {_key(key)} is {are[key]}, should be {should[key]}"
        for key in sorted(are.keys() & should.keys()) if are[key] != should[key]
    ])  # fmt: skip


def _key(key: Any) -> str:
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)


async def _rows(url: str, query: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def _quarantine(
    system: System, verdict: Verdict, inbound: Sequence[Record], receipts: Sequence[Record],
    refusals: Mapping[bytes, str],
) -> None:  # fmt: skip
    """What was refused and why: by receipts, in the tables, and on the quarantines' topics."""
    should = {
        (record.topic, record.partition, record.offset): reason
        for record in inbound if (reason := refusals.get(fingerprint(record.value))) is not None
    }  # fmt: skip
    verdict.quarantined = len(should)
    events = [json.loads(record.value or b"{}") for record in receipts]
    told = {_place(e["data"]): e["data"]["reason"] for e in events if e["type"] == "tepat.event.rejected.v1"}
    _compare(verdict, "rejection of", told, should)
    held: dict[Place, str] = {}
    for service in ("registry", "eligibility", "distribution"):
        held |= {_place(row): row["reason"] for row in await _rows(system.database(service), QUARANTINE)}
    _compare(verdict, "quarantined record", held, should)
    names = [f"{service}.quarantine.v1" for service in ("registry", "eligibility", "distribution")]
    listed = [json.loads(r.value or b"{}") for r in await stream.read(system.kafka, names, committed=True)]
    _compare(verdict, "announced quarantine of", {_place(e["data"]): e["data"]["reason"] for e in listed}, should)


def _place(told: Mapping[str, Any]) -> Place:
    return told["topic"], told["partition"], told["offset"]


async def _ledger(system: System, verdict: Verdict, accepted: Sequence[Record]) -> None:
    """The payouts of the ledger, the live ones and those that have ended."""
    events = list(map(oracle.read_event, accepted))
    should = {
        payout.key: (payout.revision, payout.state, payout.programme, payout.first, payout.last, payout.amount,
                     payout.region)
        for payout in oracle.live_payouts(events)
    }  # fmt: skip
    states = list(oracle.STATE.values())
    are = {
        (row["agency"], row["payout_id"]): (
            row["revision"], states[row["rank"]], row["programme"], row["starts"].isoformat(), row["ends"].isoformat(),
            row["amount"], row["region"])
        for row in await _rows(system.database("distribution"), LEDGER)
    }  # fmt: skip
    verdict.payouts = len(should)
    _compare(verdict, "payout", are, should)
    ended = {
        (event.agency, event.data["payout_id"]): (event.data["revision"], state)
        for event in oracle.holding_payouts(events) if (state := oracle.STATE[event.type]) not in oracle.LIVE
    }  # fmt: skip
    rows = await _rows(system.database("distribution"), ENDED)
    held = {(row["agency"], row["payout_id"]): (row["revision"], states[row["rank"]]) for row in rows}
    _compare(verdict, "ended payout", held, ended)


async def _overlaps(system: System, verdict: Verdict, accepted: Sequence[Record], document: Mapping[str, Any]) -> None:
    """What stands announced, and how it came to."""
    should = oracle.expected(accepted, document, system.secret).overlaps
    announced = await stream.read(system.kafka, [stream.OVERLAPS], committed=True)
    standing = oracle.fold(announced)
    verdict.overlaps = len(should)
    verdict.find("lost", [f"overlap {id_} is not announced" for id_ in sorted(should.keys() - standing.keys())])
    verdict.find("doubled", [f"overlap {id_} should not stand" for id_ in sorted(standing.keys() - should.keys())])
    common = should.keys() & standing.keys()
    verdict.find("wrong", oracle.differences(
        {id_: standing[id_] for id_ in common}, {id_: should[id_] for id_ in common},
    ))  # fmt: skip
    verdict.find("wrong", oracle.irregularities(announced))
    answers = await stream.read(system.kafka, await stream.topics(system.kafka, stream.CLEARANCES), committed=True)
    issued, due = oracle.fold_clearances(answers), oracle.clearances(accepted, document, should)
    verdict.clearances = len(due)
    _compare(verdict, "clearance of", {payout: issued[payout] for payout in due.keys() & issued.keys()}, due)
    verdict.find("wrong", oracle.premature(accepted, answers, should, due))


async def _findings(system: System, verdict: Verdict, accepted: Sequence[Record], document: Mapping[str, Any]) -> None:
    """What is found of payouts beside overlaps, by what registry and eligibility told last."""
    persons, decisions = await _told(system, "registry.persons.v1"), await _told(system, "eligibility.decisions.v1")
    should = findings_oracle.expected(
        list(map(oracle.read_event, accepted)), document,
        {each["person"]: each for each in persons},
        {(each["programme"], each[each["unit"]]): each for each in decisions},
        system.secret, oracle.GROUP_LIMIT,
    )  # fmt: skip
    announced = await stream.read(system.kafka, ["distribution.findings.v1"], committed=True)
    verdict.findings = len(should)
    _compare(verdict, "finding", findings_oracle.fold(announced), should)


async def _told(system: System, topic: str) -> list[dict[str, Any]]:
    """The data told last under each key of a topic, less what was taken back."""
    latest = {record.key: record.value for record in await stream.read(system.kafka, [topic], committed=True)}
    return [json.loads(value)["data"] for value in latest.values() if value is not None]


async def _order(system: System, verdict: Verdict) -> None:
    """By key no revision falls, for readers of uncommitted records too, and one revision has one content."""
    names = await stream.topics(system.kafka, KEYED)
    for committed in (True, False):
        falls = fallen(await stream.read(system.kafka, names, committed=committed))
        verdict.find("wrong", [f"{each} (committed {committed})" for each in falls])


def fallen(records: Iterable[Record]) -> Iterator[str] | list[str]:
    """Where a revision falls by offset, or is told with two contents."""
    latest: dict[tuple[str, bytes | None], int] = {}
    said: defaultdict[tuple[str, bytes | None], dict[int, str]] = defaultdict(dict)
    wrong = []
    for record in sorted(records, key=lambda r: (r.topic, r.partition, r.offset)):
        if record.value is None:
            continue
        event = json.loads(record.value)
        if "revision" not in event["data"]:
            continue
        key, revision = (record.topic, record.key), event["data"]["revision"]
        where = f"{record.topic} {record.partition}:{record.offset} {(record.key or b'').decode()}"
        if revision < latest.get(key, revision):
            wrong.append(f"{where}: revision {revision} after {latest[key]}")
        if said[key].setdefault(revision, oracle.canonical(event["data"])) != oracle.canonical(event["data"]):
            wrong.append(f"{where}: revision {revision} with two contents")
        latest[key] = max(revision, latest.get(key, revision))
    return wrong


def _logs(verdict: Verdict, folder: Path) -> None:
    """No NIK or KK of the suite's own district in any service's log."""
    found = Counter(
        file.name for service in topics.SERVICES for file in folder.glob(f"{service}*.log*")
        if NIK.search(file.read_bytes())
    )  # fmt: skip
    verdict.find("wrong", [f"a NIK or KK stands in {name}" for name in sorted(found)])
