"""Says that findings are held back where a service they wait for stands still, and that they go on.

Invariants
- A service stands still where findings have waited for it for ``STILL`` and it has told no progress meanwhile. Before
  anybody waits its silence says nothing: where nothing moves, nothing is told.
- How long anybody has waited does not follow the clock of day, which somebody may set.
- A standstill is logged once when it begins and once when it ends, by the instance that looks for findings; no other
  knows of any.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import structlog
from prometheus_client import CollectorRegistry, Gauge

log = structlog.get_logger()

STILL: Final = timedelta(minutes=5)
MESSAGE: Final = (
    "findings wait for {service}, which has told no progress since {since}: see that it runs and what its log says "
    "(`tepat logs --service {service}`); they go on by themselves once it does / temuan menunggu {service}, yang tidak "
    "memberi kabar kemajuan sejak {since}: periksa apakah layanan itu berjalan dan apa isi lognya "
    "(`tepat logs --service {service}`); temuan berlanjut dengan sendirinya setelah itu"
)


class Waiting(NamedTuple):
    """For which service findings wait, the revision of what it told last (none: nothing yet), and since when both; that
    also in seconds of a clock that nobody sets."""

    service: str
    revision: int | None
    since: datetime
    began: float


class Held:
    """What is known of findings held back; its gauges are in ``registry``.

    Args:
        steady: seconds of a clock that nobody sets.
    """

    def __init__(self, registry: CollectorRegistry, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._pages = Gauge(
            "tepat_findings_waiting", "Pages of payouts that wait for what another service tells", registry=registry
        )
        self._seconds = Gauge(
            "tepat_findings_held_seconds", "Time findings have waited for a service that told no progress meanwhile",
            ["service"], registry=registry,
        )  # fmt: skip
        self.forget()

    def forget(self) -> None:
        """Know of nothing that waits: others look for findings from here on."""
        self._waiting: Waiting | None = None
        self._still: Waiting | None = None
        self._pages.set(0)
        self._seconds.clear()

    def see(self, service: str | None, revision: int | None, pages: int, now: datetime) -> None:
        """Take what ``pages`` wait for: a service as its progress stands, or none."""
        before, still = self._waiting, self._still
        if service is None:
            self.forget()
        else:
            if before is None or before[:2] != (service, revision):
                self._seconds.clear()
                before = self._waiting = Waiting(service, revision, now, self._steady())
            waited = timedelta(seconds=self._steady() - before.began)
            self._still = before if waited >= STILL else None
            self._pages.set(pages)
            self._seconds.labels(service).set(waited.total_seconds())
        if self._still is not None and still is None:
            log.warning("findings held back", pages=pages, service=self._still.service, message=_message(self._still))
        elif still is not None and self._still is None:
            log.warning("findings go on", service=still.service, since=still.since.isoformat())

    def tells(self) -> dict[str, Any]:
        """What /v1/status tells of it: nothing while nothing is held back."""
        if self._still is None:
            return {}
        told = {"service": self._still.service, "since": self._still.since.isoformat()}
        return {"findings_held_back": told | {"message": _message(self._still)}}


def _message(still: Waiting) -> str:
    return MESSAGE.format(service=still.service, since=still.since.isoformat(timespec="minutes"))
