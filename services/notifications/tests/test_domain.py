"""When digests are due, how often a notice is tried, in which language."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tepat_contracts.policy import from_document
from tepat_notifications.domain import RETRY_AFTER, SPREAD, province, retry_at

POLICY: dict[str, Any] = {"version": "1", "agencies": [], "programmes": [], "overlap_rules": []}


@pytest.mark.parametrize(
    ("zone", "routes", "now", "due"),
    [
        ("Asia/Jakarta", None, "2026-03-02T23:59:59+00:00", "2026-03-03T00:00:00+00:00"),
        ("Asia/Jakarta", None, "2026-03-03T00:00:00+00:00", "2026-03-04T00:00:00+00:00"),
        ("Asia/Jayapura", None, "2026-03-02T21:00:00+00:00", "2026-03-02T22:00:00+00:00"),
        ("Asia/Makassar", {"digest_at": "16:30"}, "2026-03-02T03:00:00+00:00", "2026-03-02T08:30:00+00:00"),
        ("Asia/Jakarta", {"digest_at": "late"}, "2026-03-02T03:00:00+00:00", "2026-03-03T00:00:00+00:00"),
        ("Asia/Jakarta", {"digest_at": 7}, "2026-03-02T03:00:00+00:00", "2026-03-03T00:00:00+00:00"),
        ("Asia/Jakarta", ["07:00"], "2026-12-31T23:00:00+00:00", "2027-01-01T00:00:00+00:00"),
    ],
)
def test_digests_are_due_at_the_hour_of_the_policy_in_its_time_zone(zone: str, routes: Any, now: str, due: str) -> None:
    told = province(from_document(POLICY | {"time_zone": zone, "routes": routes}))
    assert told.next_digest(datetime.fromisoformat(now)) == datetime.fromisoformat(due)


def test_a_refused_notice_is_tried_again_five_times() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    waits = [retry_at(attempts, now) for attempts in range(1, 7)]
    assert waits == [now + each for each in RETRY_AFTER] + [None]
    assert len(RETRY_AFTER) == 5
    assert list(RETRY_AFTER) == sorted(RETRY_AFTER)
    assert RETRY_AFTER[0] >= timedelta(seconds=5)
    assert retry_at(1, now, 1.0) == now + RETRY_AFTER[0] * (1 + SPREAD)


def test_languages_are_those_of_the_contact() -> None:
    agencies = [
        {"id": f"ag-{n}", "name": "A", "programmes": [], "contact": contact}
        for n, contact in enumerate(({}, {"language": "en"}, {"language": "id"}, {"language": "jv"}))
    ]
    told = province(from_document(POLICY | {"agencies": agencies}))
    assert [told.languages(f"ag-{n}") for n in range(5)] == [("id", "en"), ("en",), ("id",), ("id", "en"), ("id", "en")]
