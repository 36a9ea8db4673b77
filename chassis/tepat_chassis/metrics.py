"""What a process counts, in its own registry.

Invariants:
- Labels hold topics, agencies and reasons, never a person, household or event.
- A gauge of a partition this process no longer reads is gone, not stale.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters, gauges and histograms of one process; a service adds its own to ``registry``."""

    def __init__(self) -> None:
        self.registry = ours = CollectorRegistry()
        self.records = Counter("tepat_records", "Records taken", ["topic_kind", "agency"], registry=ours)
        """Records taken, by kind of topic (payouts, beneficiaries, …) and agency ("" for our own topics)."""
        self.batches = Counter("tepat_batches", "Batches committed", registry=ours)
        """Batches committed."""
        self.batch_seconds = Histogram(
            "tepat_batch_seconds", "From decoding to commit", buckets=_SECONDS, registry=ours
        )
        """Seconds from the first decoding of a batch to its commit."""
        self.lag = Gauge("tepat_lag", "Records not yet read", ["topic", "partition"], registry=ours)
        """Records between this process's position and the end; set through ``behind``."""
        self.quarantined = Counter("tepat_quarantined", "Records quarantined", ["reason"], registry=ours)
        """Records quarantined, by reason."""
        self.outbox_depth = Gauge("tepat_outbox_depth", "Events waiting to be sent", registry=ours)
        """Events waiting in the outbox."""
        self.outbox_age_seconds = Gauge(
            "tepat_outbox_age_seconds", "Age of the oldest of them", registry=ours
        )
        """Seconds the oldest of them has waited, 0 for none."""
        self.relay_sent = Counter("tepat_relay_sent", "Events acknowledged by the broker", registry=ours)
        """Events the broker has acknowledged."""
        self.marks_pending = Gauge("tepat_marks_pending", "Marks not yet recomputed", registry=ours)
        """Persons and households marked as touched and not yet recomputed."""
        ProcessCollector(registry=ours)
        PlatformCollector(registry=ours)

    def behind(self, topic: str, partition: int, records: int) -> None:
        """Sets the lag of a partition, in records (≥ 0)."""
        self.lag.labels(topic, str(partition)).set(max(records, 0))

    def revoked(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Forgets the lag of partitions, given as topic and number, that another process reads now."""
        for topic, partition in partitions:
            self.lag.remove(topic, str(partition))

    def text(self) -> bytes:
        """All of it in Prometheus's text format 0.0.4."""
        return generate_latest(self.registry)
