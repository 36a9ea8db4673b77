"""What a process counts, in its own registry.

Invariants:
- Labels hold inboxes, topics, partitions and reasons, never a person, household or event.
- The lag of a partition that this process no longer reads is gone, not stale.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters, gauges and histograms of one process; a service adds its own to ``registry``."""

    def __init__(self) -> None:
        self.registry = ours = CollectorRegistry()
        self._records = Counter("tepat_records", "Records committed", ["inbox"], registry=ours)
        self._batches = Counter("tepat_batches", "Batches committed", ["inbox"], registry=ours)
        self._failures = Counter("tepat_batch_failures", "Tries of a batch that failed", ["inbox"], registry=ours)
        self._batch_seconds = Histogram(
            "tepat_batch_seconds", "Time a batch took", ["inbox", "step"], buckets=_SECONDS, registry=ours
        )
        self._lag = Gauge("tepat_lag", "Records not yet committed", ["topic", "partition"], registry=ours)
        self._quarantined = Counter("tepat_quarantined", "Records quarantined", ["reason"], registry=ours)
        self._outbox_depth = Gauge("tepat_outbox_depth", "Events waiting to be sent", registry=ours)
        self._outbox_age = Gauge("tepat_outbox_age_seconds", "Age of the oldest of them", registry=ours)
        self._relayed = Counter("tepat_relay_sent", "Events acknowledged by the broker", registry=ours)
        self._marks = Gauge("tepat_marks_pending", "Marks not yet recomputed", registry=ours)
        self._partitions: set[tuple[str, str]] = set()
        self._fresh: set[tuple[str, str]] = set()
        ProcessCollector(registry=ours)
        PlatformCollector(registry=ours)

    def batch(self, inbox: str, records: int, decode_seconds: float, write_seconds: float) -> None:
        """A batch of ``records`` was decoded and committed, in so many seconds each."""
        self._batches.labels(inbox).inc()
        self._records.labels(inbox).inc(records)
        self._batch_seconds.labels(inbox, "decode").observe(decode_seconds)
        self._batch_seconds.labels(inbox, "write").observe(write_seconds)

    def failed(self, inbox: str) -> None:
        """A batch could not be committed and will be tried again."""
        self._failures.labels(inbox).inc()

    def lag(self, topic: str, partition: int, records: int) -> None:
        """``records`` (≥ 0) lie between the position of a partition and its end."""
        labels = (topic, str(partition))
        self._fresh.add(labels)
        self._lag.labels(*labels).set(records)

    def lags_told(self) -> None:
        """The lag of every partition read here was told: those not told since the last call are forgotten."""
        for gone in self._partitions - self._fresh:
            self._lag.remove(*gone)
        self._partitions, self._fresh = self._fresh, set()

    def quarantined(self, reason: str) -> None:
        """A record was quarantined, for one of the contracts' reasons."""
        self._quarantined.labels(reason).inc()

    def outbox(self, depth: int, age: float) -> None:
        """``depth`` events wait in the outbox, the oldest for ``age`` seconds (0 for none)."""
        self._outbox_depth.set(depth)
        self._outbox_age.set(age)

    def relayed(self, events: int) -> None:
        """The broker has acknowledged ``events``."""
        self._relayed.inc(events)

    def marks(self, pending: int) -> None:
        """``pending`` persons and households are marked as touched and not yet recomputed."""
        self._marks.set(pending)

    def text(self) -> bytes:
        """All of it in Prometheus's text format 0.0.4."""
        return generate_latest(self.registry)
