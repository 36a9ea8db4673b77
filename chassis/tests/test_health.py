import pytest
from tepat_chassis.health import Health


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    """Ready at first."""
    health = Health(["payouts"], live_within=60, ready_within=20, clock=clock)
    health.subscribed("payouts", 2)
    health.assigned("payouts", 12)
    health.committed("payouts")
    assert health.ready
    assert health.live
    return health


def test_nothing_is_ready_at_first(clock: Clock) -> None:
    assert Health(["payouts"], needs_policy=True, clock=clock).unready() == [
        "the database has not answered yet",
        "payouts has joined no group yet",
        "no policy is in force",
    ]


def test_an_inbox_that_stands_still_is_first_unready_then_stuck(health: Health, clock: Clock) -> None:
    clock.now += 21
    health.database_ok()
    assert health.unready() == ["payouts has not polled for 21 s"]
    assert health.live
    clock.now += 40
    health.database_ok()
    assert health.stuck() == ["payouts has not polled for 61 s"]
    health.polled("payouts", ago=19)
    assert health.ready


def test_one_that_never_polled_ages_from_the_start(clock: Clock) -> None:
    health = Health(["payouts"], clock=clock)
    clock.now += 61
    health.database_ok()
    assert not health.live


def test_without_its_database_it_is_not_ready_but_lives(health: Health, clock: Clock) -> None:
    clock.now += 100
    assert health.live
    assert health.unready()[0] == "the database has not answered for 100 s"
    health.relayed()
    health.polled("payouts")
    assert health.ready


def test_of_the_topics_subscribed_to_it_must_hold_a_partition(health: Health) -> None:
    health.subscribed("policy", 1)
    health.assigned("policy", 0)
    assert health.ready  # another instance has it
    health.assigned("payouts", 0)
    assert health.unready() == ["no partition of 3 topics is assigned"]


def test_before_any_agency_has_topics_it_is_ready(health: Health) -> None:
    health.subscribed("payouts", 0)
    health.assigned("payouts", 0)
    assert health.ready


def test_events_must_leave(health: Health) -> None:
    health.waiting(21)
    assert health.unready() == ["an event has waited 21 s in the outbox"]
    health.waiting(0)
    assert health.ready


def test_a_policy_where_one_is_needed(clock: Clock) -> None:
    health = Health(needs_policy=True, clock=clock)
    health.database_ok()
    assert health.unready() == ["no policy is in force"]
    health.policy("2026-01")
    assert health.ready


def test_a_policy_put_off_keeps_it_from_its_work_only_where_none_is_in_force(health: Health) -> None:
    health.policy("1", "policy 2 waits")
    assert (health.unready(), health.remarks()) == ([], ["policy 2 waits"])
    health.policy(None, "policy 2 waits")
    assert (health.unready(), health.remarks()) == (["no policy is in force: policy 2 waits"], [])
    health.policy("2")
    assert (health.unready(), health.remarks()) == ([], [])
