"""Tegalsari: what is sent of it, and what is made of what the services tell."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from tepat_contracts.door import Door
from tepat_contracts.policy import PolicyIndex, load
from tepat_contracts.topics import Kind
from tepat_demo import report, stream, tegalsari
from tepat_demo.district import POLICY
from tepat_demo.services import Answer
from tepat_demo.tegalsari import PACKAGES, POOR, TAKING_PART, Held, Tegalsari


def test_every_family_passes_the_door_and_is_one_of_its_own() -> None:
    policy, door = PolicyIndex(load(POLICY.read_text())), Door[Any](Kind.BENEFICIARIES)
    told = [door.admit(value, [], topic.split(".")[1], policy)["data"] for topic, _, value in Tegalsari()]
    assert len({data["nik"] for data in told}) == len({data["kk"] for data in told}) == POOR
    assert list(Tegalsari()) == list(Tegalsari())


class Played:
    """Services that hold the round as they must, or give a coupon's package twice."""

    def __init__(self, *, twice: bool = False) -> None:
        self.twice = twice
        self.posted: list[str] = []

    async def status(self, service: str) -> list[Answer]:
        return [{"idle": True}]

    async def post(self, service: str, path: str, body: Answer) -> Answer:
        self.posted.append(path)
        if not path.endswith("deliveries"):
            return {}
        again = not self.twice and len(body["deliveries"]) == 1
        outcome: Answer = (
            {"outcome": "refused", "reason": "redeemed"} if again else {"outcome": "recorded", "reason": None}
        )
        return {"outcomes": [outcome] * len(body["deliveries"])}

    async def get(self, service: str, path: str, *, role: str = "reader") -> Answer:
        match path.partition("?")[0].split("/"):
            case ["rankings", name]:
                first = 0 if name == tegalsari.ROUND else PACKAGES
                return {"items": [{"subject": f"s{(first + n) % POOR}"} for n in range(POOR)], "next": None}
            case ["rounds", _, "coupons"]:
                assert role == "operator"
                return {"items": [{"coupon": f"c{n}", "subject": f"s{n}"} for n in range(PACKAGES)], "next": None}
            case ["rounds", _, "progress"]:
                return {"packages": PACKAGES, "delivered": PACKAGES, "stock": 0}
            case ["adoption", _]:
                return {"kelurahan": 177, "targets": [{"held": self.posted.count("held")}]}
        raise AssertionError(path)


async def held(monkeypatch: pytest.MonkeyPatch, *, twice: bool = False) -> Held:
    async def nothing(*_: object, **__: object) -> dict[Any, Any]:
        return {}

    for name in ("send", "bounds", "answers"):
        monkeypatch.setattr(stream, name, nothing)
    return await tegalsari.run("", Played(twice=twice), Tegalsari(), 1, lambda _: None)


async def test_a_round_is_held_and_compared_with_what_must_be(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await held(monkeypatch)
    assert (found.wrong, found.first_again, found.taking_part) == ([], PACKAGES, TAKING_PART)
    assert (await held(monkeypatch, twice=True)).wrong == ["refused there: [], and not ['redeemed']"]
    text = io.StringIO()
    Console(file=text, width=100).print(*report.shared(found), sep="\n")
    shown = " ".join(text.getvalue().split())
    assert "650 poor families ranked for 100 packages; 100 given" in shown
    assert "89 of the 177 kelurahan of Kota Semarang took part (50.3 %)" in shown
