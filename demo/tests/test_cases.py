"""Pasuruan and Magelang: what is sent of them, and what is made of what the services tell."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import orjson
import pytest
from rich.console import Console
from tepat_contracts.door import Door
from tepat_contracts.policy import PolicyIndex, load
from tepat_contracts.topics import Kind
from tepat_demo import cases, report, stream
from tepat_demo.cases import CONFIRMED, LISTED, TWICE, Pasuruan, Told
from tepat_demo.district import POLICY
from tepat_demo.services import Answer


@pytest.fixture(scope="module")
def pasuruan() -> Pasuruan:
    return Pasuruan(1)


def test_one_seed_is_one_sequence_of_bytes(pasuruan: Pasuruan) -> None:
    assert list(Pasuruan(1)) == list(pasuruan)
    assert list(Pasuruan(2)) != list(pasuruan)


def test_the_figures_are_those_of_the_report(pasuruan: Pasuruan) -> None:
    assert (len(pasuruan.people), sum(each.confirmed for each in pasuruan.people)) == (4_011, 891)
    assert sum(pasuruan.reasons.values()) == 3_120
    assert all(each.officer for each in pasuruan.people)
    assert 0 < pasuruan.capital < CONFIRMED
    assert len({each.nik for each in pasuruan.people}) == len({each.kk for each in pasuruan.people}) == LISTED


def test_every_message_passes_the_door(pasuruan: Pasuruan) -> None:
    policy = PolicyIndex(load(POLICY.read_text()))
    doors: dict[str, Door[Any]] = {kind.value: Door(kind) for kind in Kind}
    types: Counter[str] = Counter()
    ids = set()
    for topic, key, value in pasuruan:
        _, agency, kind, _ = topic.split(".")
        event = doors[kind].admit(value, [], agency, policy)
        types[event["type"]] += 1
        ids.add(event["id"])
        assert key.decode() not in event["id"]
    assert types == {
        "tepat.person.recorded.v1": LISTED, "tepat.verification.listed.v1": LISTED,
        "tepat.verification.recorded.v1": LISTED + TWICE, "tepat.institution.recorded.v1": 5,
    }  # fmt: skip
    assert len(ids) == sum(types.values())


class Played:
    """Services that tell what was planted, or something a little else."""

    def __init__(self, pasuruan: Pasuruan, **other: int) -> None:
        self.pasuruan, self.other = pasuruan, other

    async def status(self, service: str) -> list[Answer]:
        return [{"idle": True}]

    async def post(self, service: str, path: str, body: Answer) -> Answer:
        raise AssertionError

    async def get(self, service: str, path: str, *, role: str = "reader") -> Answer:
        match service, path.partition("?")[0]:
            case "eligibility", "verifications/batches/2022-miskin-ekstrem":
                reasons = self.pasuruan.reasons.most_common()
                officers = self.pasuruan.officers.items()
                return {
                    "listed": LISTED, "visited": LISTED, "confirmed": CONFIRMED, "rejected": LISTED - CONFIRMED,
                    "reasons": [{"outcome": "rejected", "reason": why, "persons": n} for why, n in reasons],
                    "officers": [{"officer": who, "visited": n} for who, n in officers], "days": [{}, {}],
                } | self.other  # fmt: skip
            case "eligibility", "decisions":
                if "cursor" not in path:
                    return {"items": [{"due": {"amount": 2_500_000}}] * 300, "next": "a=/b"}
                assert "cursor=a%3D/b" in path
                return {"items": [{"due": {"amount": 2_500_000}}] * (self.pasuruan.capital - 300), "next": None}
            case "registry", "coverage":
                return {"name": "Kota Magelang", "covered": 5, "kelurahan": 17}
        raise AssertionError(path)


async def told(pasuruan: Pasuruan, monkeypatch: pytest.MonkeyPatch, **other: int) -> Told:
    async def nothing(*_: object, **__: object) -> dict[Any, Any]:
        return {}

    for name in ("send", "bounds", "answers"):
        monkeypatch.setattr(stream, name, nothing)
    return await cases.run("", Played(pasuruan, **other), pasuruan, 1, lambda _: None)


async def test_what_is_told_is_compared_with_what_was_planted(
    pasuruan: Pasuruan, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await told(pasuruan, monkeypatch)
    assert found.wrong == []
    assert (found.families, found.capital) == (pasuruan.capital, 2_500_000 * pasuruan.capital)
    assert (await told(pasuruan, monkeypatch, confirmed=890)).wrong == ["confirmed in Pasuruan: 890, and not 891"]


async def test_the_report_of_both_places(pasuruan: Pasuruan, monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    found = await told(pasuruan, monkeypatch)
    Console(file=text, width=100).print(*report.beside(found), sep="\n")
    shown = " ".join(text.getvalue().split())
    assert "4,011 listed → 4,011 visited → 891 confirmed; 3,120 rejected by" in shown
    assert f"due to the {pasuruan.capital:,} confirmed families with a business" in shown
    assert "a WKSBM in 5 of 17 kelurahan (29.4 %)" in shown
    assert orjson.dumps(pasuruan.people[0].nik).decode() not in shown
