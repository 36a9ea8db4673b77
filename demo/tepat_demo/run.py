"""The demo: a sample district through a running stack, and whether what was announced is right.

- What is announced is compared with the oracle, which reads the agencies' raw topics and the receipts, never a
  database.
- Ends are looked up only after every record is answered and every service is at rest, so that nothing on its way is
  taken for missing.
- Reported are counts and pseudonyms only.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import orjson
from tepat_contracts.policy import load

from . import cases, stream, tegalsari
from .district import POLICY, District, Tally
from .oracle import (
    Announcement,
    Clearance,
    Outcome,
    Record,
    accepted_by_receipts,
    clearances,
    differences,
    expected,
    fold,
    fold_clearances,
    irregularities,
    overlap_id,
)
from .services import HttpServices, Services, settled

K = TypeVar("K")

PATIENCE = 90.0
"""Seconds without any progress after which the demo gives up."""

ApplyPolicy = Callable[[Path], Awaitable[None]]
"""Puts a policy file in force, and returns once every service has taken it."""
Refusals = Counter[tuple[str, str]]
"""Records refused, by agency and reason."""
Answers = Mapping[tuple[str, str], Clearance]
"""To planned payouts, by agency and payout id."""


class Progress(Protocol):
    """Told what is being done and how far it is."""

    def stage(self, name: str, total: int | None) -> None:
        """Something begins, of a known size or of an unknown one."""
        ...

    def advance(self, done: int) -> None:
        """So much more of it is done."""
        ...


class Silent:
    """Tells nobody."""

    def stage(self, name: str, total: int | None) -> None:
        """Nothing."""

    def advance(self, done: int) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """Overlaps of one kind by verdict, how many households they touch, and the amounts at risk, in rupiah."""

    exclusive: int
    review: int
    households: int
    at_risk: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a run found.

    `by_pair` is keyed by the two programmes, `by_kecamatan` by the kecamatan's code; `refused` are this run's records
    refused. `clearances` are payouts and rupiah by programme and answer. `seconds` is from the first record sent until
    every service is at rest. `wrong` says in words whatever is not as it must be.
    """

    seed: int
    tally: Tally
    sent: int
    seconds_sending: float
    seconds: float
    total: Row
    by_pair: Mapping[tuple[str, str], Row]
    by_kecamatan: Mapping[str, Row]
    refused: Refusals
    clearances: Mapping[tuple[str, str], tuple[int, int]]
    accepted: int
    announced: int
    expected: int
    too_large: int
    wrong: Sequence[str] = field(default_factory=list)
    notices: Mapping[str, Any] = field(default_factory=dict)
    cases: cases.Told | None = None
    tegalsari: tegalsari.Held | None = None

    @property
    def agrees(self) -> bool:
        """Whether the oracle and the announcements agree, and every record was answered as it must be."""
        return not self.wrong

    @property
    def events_per_second(self) -> float:
        """Records sent, taken, judged and announced a second."""
        return self.sent / self.seconds


async def run(
    endpoints: Mapping[str, Any],
    tokens: Path,
    secret: bytes,
    district: District,
    *,
    apply_policy: ApplyPolicy,
    progress: Progress | None = None,
    services: Services | None = None,
    pasuruan: cases.Pasuruan | None = None,
    families: tegalsari.Tegalsari | None = None,
) -> Report:
    """Runs a sample district through the stack that answers at `endpoints`; then the places beside it that are given.

    `endpoints` are those of `endpoints.json`, `tokens` the directory of its tokens, `secret` the province's
    pseudonym secret (`secrets/main` of an embedded stack). Raises TimeoutError where nothing goes on for
    `PATIENCE` seconds, KafkaError and httpx.HTTPError where something can't be reached.
    """
    told = progress or Silent()
    if services is None:
        async with HttpServices(endpoints, tokens) as over_http:
            return await run(
                endpoints, tokens, secret, district, apply_policy=apply_policy, progress=told, services=over_http,
                pasuruan=pasuruan, families=families,
            )  # fmt: skip
    found = await _run(endpoints["kafka"], secret, district, apply_policy, told, services)
    if pasuruan is not None:
        told.stage("Pasuruan verifies, Magelang counts", sum(1 for _ in pasuruan))
        beside = await cases.run(endpoints["kafka"], services, pasuruan, PATIENCE, told.advance)
        found = replace(found, cases=beside, wrong=[*found.wrong, *beside.wrong])
    if families is not None:
        told.stage("Tegalsari shares 100 packages", sum(1 for _ in families))
        held = await tegalsari.run(endpoints["kafka"], services, families, PATIENCE, told.advance)
        found = replace(found, tegalsari=held, wrong=[*found.wrong, *held.wrong])
    await settled(services, PATIENCE)
    return replace(found, notices=await services.get("notifications", "notices/summary"))


async def _run(
    kafka: str,
    secret: bytes,
    district: District,
    apply_policy: ApplyPolicy,
    progress: Progress,
    services: Services,
) -> Report:
    progress.stage("policy", None)
    await apply_policy(POLICY)
    inbound = await stream.topics(kafka, stream.INBOUND)
    before = await stream.bounds(kafka, inbound)

    progress.stage("agencies send", len(district))
    began = time.perf_counter()
    sent = await stream.send(kafka, district, progress.advance)
    sending = time.perf_counter() - began
    after = await stream.bounds(kafka, inbound)
    progress.stage("services take", sum(end - first for first, end in after.values()))
    await stream.answers(kafka, after, PATIENCE, progress.advance)
    progress.stage("services come to rest, the oracle judges", None)
    receipts = await stream.read(kafka, await stream.topics(kafka, stream.RECEIPTS), committed=True)
    at_rest, (accepted, outcome, due) = await asyncio.gather(
        _settled(services), _judged(kafka, inbound, receipts, secret)
    )
    seconds = at_rest - began

    progress.stage("announcements and notices", None)
    announced = await stream.read(kafka, [stream.OVERLAPS], committed=True)
    issued = await stream.read(kafka, await stream.topics(kafka, stream.CLEARANCES), committed=True)
    answers = await services.get("distribution", "clearances/figures")
    at_last = await stream.read(kafka, await stream.topics(kafka, stream.RECEIPTS), committed=True)
    twice = stream.Unanswered(after, at_last).twice()
    await services.post("notifications", "digests/run", {"now": True})  # ahead of their hour
    standing = fold(announced)
    refused = refusals(receipts, {where: end for where, (_, end) in before.items()})
    return Report(
        seed=district.seed,
        tally=district.tally,
        sent=sent,
        seconds_sending=sending,
        seconds=seconds,
        total=_row(standing.values()),
        by_pair=_rows(standing.values(), _pair),
        by_kecamatan=_rows(standing.values(), _kecamatan),
        refused=refused,
        clearances={(row["programme"], row["decision"]): (row["payouts"], row["amount"]) for row in answers["items"]},
        accepted=accepted,
        announced=len(standing),
        expected=len(outcome.overlaps),
        too_large=len(outcome.too_large),
        wrong=[
            *differences(standing, outcome.overlaps),
            *irregularities(announced, compacted=True),
            *_answered_otherwise(fold_clearances(issued), due),
            *_not_found(district.tally, standing),
            *_answered_wrongly(refused, district.tally.refused),
            *([f"{twice} records have more than one receipt"] if twice else []),
        ],
    )


async def _settled(services: Services) -> float:
    """When nothing was left to do anywhere."""
    await settled(services, PATIENCE)
    return time.perf_counter()


async def _judged(
    kafka: str, inbound: Collection[str], receipts: Sequence[Record], secret: bytes
) -> tuple[int, Outcome, Answers]:
    """How many of the records on the inbound topics were taken, and what the oracle makes of them."""
    accepted = accepted_by_receipts(await stream.read(kafka, inbound), receipts)
    policy = load(POLICY.read_text()).document()
    return len(accepted), *await asyncio.to_thread(_judge, accepted, policy, secret)


def _judge(accepted: list[Record], policy: Mapping[str, Any], secret: bytes) -> tuple[Outcome, Answers]:
    """The oracle, without the collector walking its millions of objects again and again: a third of the time."""
    gc.disable()
    try:
        outcome = expected(accepted, policy, secret)
        return outcome, clearances(accepted, policy, outcome.overlaps)
    finally:
        gc.enable()


def refusals(receipts: Iterable[Record], since: Mapping[stream.Partition, int]) -> Refusals:
    """Rejections of records from the offsets `since` on, by agency and reason; one told twice counts once."""
    refused: dict[tuple[str, int, int], tuple[str, str]] = {}
    for receipt in receipts:
        event = orjson.loads(receipt.value or b"{}")
        if event.get("type") == "tepat.event.rejected.v1":
            data = event["data"]
            where = data["topic"], data["partition"]
            if where in since and data["offset"] >= since[where]:
                refused[*where, data["offset"]] = data["topic"].split(".")[1], data["reason"]
    return Counter(refused.values())


def _answered_wrongly(refused: Refusals, planted: Refusals) -> list[str]:
    return [
        f"{agency}: {refused[agency, reason]} records refused as {reason}, {planted[agency, reason]} had to be"
        for agency, reason in sorted(refused.keys() | planted.keys())
        if refused[agency, reason] != planted[agency, reason]
    ]


def _answered_otherwise(issued: Answers, due: Answers) -> list[str]:
    """Planned payouts that were not answered as the oracle would."""
    return [
        f"{agency}/{payout} is answered {issued.get((agency, payout))}, expected {answer}"
        for (agency, payout), answer in sorted(due.items())
        if issued.get((agency, payout)) != answer
    ]


def _not_found(tally: Tally, standing: Mapping[str, Announcement]) -> list[str]:
    """What was planted and is not announced, whatever the oracle says."""
    return [
        f"{kind}: {a[0]}/{a[1]} with {b[0]}/{b[1]} is not announced as exclusive"
        for kind, pairs in tally.pairs.items()
        for a, b in pairs
        if standing.get(overlap_id(a, b), {}).get("verdict") != "exclusive"
    ]


def _pair(overlap: Announcement) -> tuple[str, str]:
    one, other = sorted(payout["programme"] for payout in overlap["payouts"])
    return one, other


def _kecamatan(overlap: Announcement) -> str:
    code: str = overlap["region"]
    return code[: len("33.74.01")]


def _row(overlaps: Iterable[Announcement]) -> Row:
    listed = list(overlaps)
    verdicts = Counter(overlap["verdict"] for overlap in listed)
    households = {overlap["household"] for overlap in listed}
    at_risk = sum(overlap["amount_at_risk"] for overlap in listed)
    return Row(verdicts["exclusive"], verdicts["review"], len(households), at_risk)


def _rows(overlaps: Iterable[Announcement], of: Callable[[Announcement], K]) -> dict[K, Row]:
    groups: dict[K, list[Announcement]] = {}
    for overlap in overlaps:
        groups.setdefault(of(overlap), []).append(overlap)
    return {key: _row(group) for key, group in groups.items()}
