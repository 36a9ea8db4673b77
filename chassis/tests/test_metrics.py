from tepat_chassis.metrics import Metrics


def told(metrics: Metrics) -> set[str]:
    return set(metrics.text().decode().splitlines())


def test_what_is_counted_is_told() -> None:
    metrics = Metrics()
    metrics.batch("payouts", 8000, 0.2, 0.4)
    metrics.failed("payouts")
    metrics.quarantined("nik_invalid")
    metrics.outbox(12, 0.5)
    metrics.relayed(3)
    metrics.marks(7)
    assert told(metrics) >= {
        'tepat_records_total{inbox="payouts"} 8000.0',
        'tepat_batches_total{inbox="payouts"} 1.0',
        'tepat_batch_failures_total{inbox="payouts"} 1.0',
        'tepat_batch_seconds_sum{inbox="payouts",step="write"} 0.4',
        'tepat_quarantined_total{reason="nik_invalid"} 1.0',
        "tepat_outbox_depth 12.0",
        "tepat_outbox_age_seconds 0.5",
        "tepat_relay_sent_total 3.0",
        "tepat_marks_pending 7.0",
    }


def test_the_lag_of_a_partition_no_longer_read_is_gone() -> None:
    metrics = Metrics()
    metrics.lag("t", 0, 5)
    metrics.lag("t", 1, 6)
    metrics.lags_told()
    metrics.lag("t", 1, 4)
    metrics.lags_told()
    assert {line for line in told(metrics) if line.startswith("tepat_lag{")} == {
        'tepat_lag{partition="1",topic="t"} 4.0'
    }


def test_two_processes_share_nothing() -> None:
    Metrics().relayed(1)
    assert "tepat_relay_sent_total 0.0" in told(Metrics())
