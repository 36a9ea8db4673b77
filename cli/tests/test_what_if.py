"""`tepat policy simulate`, the services played by a transport: what is asked, and how it is shown."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import orjson
import pytest

from .conftest import Tepat
from .test_services import POLICY, Api, api, objects

__all__ = ["api"]


def decision(before: str, after: str, subjects: int, **more: Any) -> dict[str, Any]:
    return {
        "programme": "PKH", "area": "33.74", "before": before, "after": after, "period_before": None,
        "period_after": None, "subjects": subjects, "due_before": 0, "due_after": 0, "gained": 0, "lost": 0, **more,
    }  # fmt: skip


REVIEW, EXCLUSIVE = {"rule": "pkh-bpnt", "verdict": "review"}, {"rule": "pkh-bpnt", "verdict": "exclusive"}
DECIDED: dict[str, Any] = {
    "day": "2026-03-01", "present": "2026-01", "proposed": "p-2", "households": 1_000, "pending": 0,
    "changes": [
        decision("ineligible", "eligible", 12, period_after="quarter", due_after=9_000_000, gained=9_000_000),
        decision("eligible", "ineligible", 3, period_before="quarter", due_before=2_250_000, lost=2_250_000),
        decision("eligible", "eligible", 700, period_before="quarter", period_after="quarter"),
        decision("unknown", "none", 5, area=None),
    ],
}  # fmt: skip
FOUND: dict[str, Any] = {
    "from": "2025-01-01", "to": "2025-12-31", "present": "2026-01", "proposed": "p-2", "pending": 0,
    "changes": [
        {"programmes": ["BPNT", "PKH"], "area": "33.74", "before": None, "after": REVIEW, "overlaps": 40,
         "amount_at_risk": 8_000_000},
        {"programmes": ["BPNT", "PKH"], "area": "33.71", "before": REVIEW, "after": None, "overlaps": 7,
         "amount_at_risk": 1_400_000},
        {"programmes": ["BPNT", "PKH"], "area": "33.71", "before": REVIEW, "after": EXCLUSIVE, "overlaps": 1,
         "amount_at_risk": 200_000},
        {"programmes": ["PKH", "PKH"], "area": "33.71", "before": EXCLUSIVE, "after": EXCLUSIVE, "overlaps": 99,
         "amount_at_risk": 1},
    ],
}  # fmt: skip


def lines(*told: dict[str, Any]) -> httpx.Response:
    def each() -> Iterator[bytes]:
        yield from (orjson.dumps(line) + b"\n" for line in told)

    return httpx.Response(200, content=each())


@pytest.fixture
def played(api: Api) -> Api:
    api.answers["POST /eligibility/v1/simulations"] = lambda _: lines({"done": 500, "of": 1_000}, {"result": DECIDED})
    api.answers["POST /distribution/v1/simulations"] = lambda _: lines({"result": FOUND})
    return api


def test_it_asks_both_services_and_tells_what_changes(played: Api, tepat: Tepat) -> None:
    ran = tepat("policy", "simulate", POLICY)
    assert ran.status == 0, ran
    asked = {request.url.path: orjson.loads(request.content) for request in played.asked}
    last_year = datetime.now(UTC).year - 1
    assert asked["/eligibility/v1/simulations"]["policy"]["version"] == "2026-01"
    assert asked["/distribution/v1/simulations"]["from"] == f"{last_year}-01-01"
    assert asked["/distribution/v1/simulations"]["to"] == f"{last_year}-12-31"
    rows = [line.split("\t") for line in ran.out.splitlines()]
    gains = ["PKH", "Kota Semarang", "ineligible", "eligible", "12", "Rp 9.000.000", "", "none → quarter"]
    assert [cell.casefold() for cell in rows[1]] == [cell.casefold() for cell in gains]
    assert len(rows) == 1 + 3 + 1 + 1 + 3
    assert "12 gain eligibility, 3 lose it" in ran.err
    assert "40 appear with Rp 8.000.000 at risk, 7 vanish with Rp 1.400.000" in ran.err


def test_json_has_a_line_for_each_change(played: Api, tepat: Tepat) -> None:
    told = objects(tepat("policy", "simulate", POLICY, "--json", "--from", "2024-02-01").out)
    assert [each["kind"] for each in told] == ["decisions"] * 3 + ["overlaps"] * 3
    assert told[-1]["after"] == EXCLUSIVE
    period = orjson.loads(next(each for each in played.asked if "distribution" in each.url.path).content)
    assert (period["from"], period["to"]) == ("2024-02-01", "2024-12-31")


def test_the_picture_stands_for_itself(played: Api, tepat: Tepat, tmp_path: Path) -> None:
    out = tmp_path / "what-if.svg"
    assert tepat("policy", "simulate", POLICY, "--picture", out).status == 0
    drawn = out.read_text()
    words = " ".join(" ".join(ElementTree.fromstring(drawn).itertext()).replace("\xa0", " ").split())
    for told in ("PKH", "12", "Rp 9.000.000", "BPNT + PKH: pkh-bpnt (review)", "Rp 8.000.000"):
        assert told in words
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
    assert tepat("policy", "simulate", POLICY, "--picture", tmp_path / "none" / "x.svg").status == 2
    asked = len(played.asked)
    ran = tepat("policy", "simulate", POLICY, "--picture", tmp_path / "x.docx")
    assert (ran.status, len(played.asked), "would hold SVG: name it x.svg" in ran.words) == (2, asked, True)


def test_a_policy_with_mistakes_is_not_simulated(played: Api, tepat: Tepat, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 2026\nagencies: []\nprogrammes: []\noverlap_rules: []\n")
    ran = tepat("policy", "simulate", path)
    assert (ran.status, played.asked) == (1, [])
    assert ran.out.startswith(f"{path}:1:")


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (lines({"done": 1, "of": 2}, {"failed": "the database can't be reached"}), 3, "the database can't be reached"),
        (lines({"done": 1, "of": 2}), 3, "distribution broke off"),
        (httpx.Response(409, json={"detail": "another simulation is being worked out here"}), 2, "another simulation"),
        (httpx.Response(403, json={"detail": "the right policy is missing"}), 2, "the right policy is missing"),
        (httpx.Response(200, text="<html>"), 3, "--api"),
        (httpx.ConnectError("refused"), 3, "does not answer"),
    ],
)
def test_what_cannot_be_told_is_said_in_words(
    played: Api, tepat: Tepat, answer: httpx.Response | Exception, status: int, words: str
) -> None:
    played.answers["POST /distribution/v1/simulations"] = answer
    ran = tepat("policy", "simulate", POLICY)
    assert ran.status == status
    assert words in ran.words


def test_a_period_must_not_end_before_it_begins(played: Api, tepat: Tepat) -> None:
    assert tepat("policy", "simulate", POLICY, "--from", "2025-02-01", "--to", "2025-01-01").status == 2
    assert played.asked == []
