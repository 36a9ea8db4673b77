"""Whoever is responsible sees that findings are held back, once, and what to do."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from ruamel.yaml import YAML
from structlog.testing import capture_logs
from tepat_distribution.held import MESSAGE, STILL, Held

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RULES = Path(__file__).parents[3] / "deploy" / "alerts" / "findings.yaml"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


class Waiter(Held):
    """Waits by clocks that agree, unless somebody set the one of day."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.passed = timedelta()
        super().__init__(registry, lambda: 1e6 + self.passed.total_seconds())

    def wait(self, service: str | None, revision: int | None, pages: int, passed: timedelta = timedelta()) -> None:
        self.passed = passed
        self.see(service, revision, pages, NOW + passed)


@pytest.fixture
def held(registry: CollectorRegistry) -> Waiter:
    return Waiter(registry)


def waited(registry: CollectorRegistry, service: str) -> float | None:
    return registry.get_sample_value("tepat_findings_held_seconds", {"service": service})


def test_a_standstill_is_told_once_when_it_begins_and_once_when_it_ends(
    held: Waiter, registry: CollectorRegistry
) -> None:
    with capture_logs() as logs:
        for later in (timedelta(), STILL - SECOND, STILL, STILL + SECOND):
            held.wait("registry", 4, 12, later)
        assert registry.get_sample_value("tepat_findings_waiting") == 12
        assert waited(registry, "registry") == (STILL + SECOND).total_seconds()
        held.wait("registry", 5, 12, 2 * STILL)
        held.wait(None, None, 0, 2 * STILL)
    assert [(each["event"], each["log_level"], each["service"]) for each in logs] == [
        ("findings held back", "warning", "registry"), ("findings go on", "warning", "registry"),
    ]  # fmt: skip
    assert logs[0]["message"] == MESSAGE.format(service="registry", since="2026-03-01T09:00+00:00")
    assert (waited(registry, "registry"), registry.get_sample_value("tepat_findings_waiting")) == (None, 0)


def test_status_tells_of_it_as_long_as_it_lasts(held: Waiter) -> None:
    for revision, later, tells in ((None, timedelta(), False), (None, STILL, True), (1, STILL, False)):
        held.wait("eligibility", revision, 1, later)
        assert bool(held.tells()) is tells
    held.wait("eligibility", 1, 1, 2 * STILL)
    told = held.tells()["findings_held_back"]
    assert (told["service"], told["since"]) == ("eligibility", (NOW + STILL).isoformat())


def test_a_clock_that_is_set_makes_no_standstill_and_hides_none(held: Waiter, registry: CollectorRegistry) -> None:
    with capture_logs() as logs:
        held.see("registry", 4, 1, NOW)
        held.see("registry", 4, 1, NOW + STILL)
        assert (held.tells(), waited(registry, "registry"), logs) == ({}, 0, [])
        held.passed = STILL
        held.see("registry", 4, 1, NOW - STILL)
    assert [each["event"] for each in logs] == ["findings held back"]
    assert (held.tells()["findings_held_back"]["since"], waited(registry, "registry")) == (NOW.isoformat(), 300)


def test_who_waits_for_another_service_begins_to_wait(held: Waiter, registry: CollectorRegistry) -> None:
    held.wait("registry", 4, 1)
    held.wait("eligibility", 4, 1, STILL)
    assert (held.tells(), waited(registry, "registry"), waited(registry, "eligibility")) == ({}, None, 0)


def test_an_instance_that_looks_no_more_knows_of_none(held: Waiter, registry: CollectorRegistry) -> None:
    held.wait("registry", 4, 1)
    held.wait("registry", 4, 1, STILL)
    with capture_logs() as logs:
        held.forget()
    assert (held.tells(), waited(registry, "registry"), logs) == ({}, None, [])


def test_an_alert_rings_when_it_is_logged_and_says_what_to_do_in_both_languages(
    held: Waiter, registry: CollectorRegistry
) -> None:
    held.wait("registry", 4, 1)
    (group,) = YAML(typ="safe").load(RULES)["groups"]
    (rule,) = group["rules"]
    expr = re.fullmatch(r"max by \(service\) \((\w+)\) >= (\d+)", rule["expr"])
    assert expr is not None
    metric, seconds = expr.groups()
    assert f"{metric}{{" in generate_latest(registry).decode()
    assert int(seconds) == STILL.total_seconds()
    assert set(rule["annotations"]) == {"summary", "description", "ringkasan", "uraian"}
    for text in rule["annotations"].values():
        assert "{{ $labels.service }}" in text
