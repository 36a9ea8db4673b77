"""The CloudEvents envelope every record on our topics wears.

Invariants:
- what we write is structured mode, UTF-8, one JSON object; `write` refuses what would not read back;
- a traceparent is either valid by W3C Trace Context or treated as absent, never passed on malformed;
- a trace made up for a record depends on its topic, partition and offset alone, so every reader makes the same.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

SPEC_VERSION: Final = "1.0"
CONTENT_TYPE: Final = "application/cloudevents+json"
#: Kafka headers of a structured event, as aiokafka takes them.
STRUCTURED_HEADERS: Final[list[tuple[str, bytes]]] = [("content-type", CONTENT_TYPE.encode())]
#: Prefix of the headers that carry the attributes in binary mode (CloudEvents Kafka binding 1.0, 3.2.3).
BINARY_PREFIX: Final = "ce_"
#: Largest value the services take, in bytes (1 MiB); a value of exactly this size is taken.
MAX_VALUE_BYTES: Final = 1_048_576

#: Time of an event that has none of its own, as of a file's row that names no day: the same row gives the same event.
UNDATED: Final = "1970-01-01T00:00:00+07:00"

AGENCY_ID_PATTERN: Final = r"[a-z0-9][a-z0-9-]{1,38}[a-z0-9]"
_AGENCY_ID: Final = re.compile(AGENCY_ID_PATTERN)
_AGENCY_SOURCE: Final = "urn:tepat:agency:"
_SERVICE_SOURCE: Final = "urn:tepat:service:"

# https://www.w3.org/TR/trace-context/#traceparent-header: version 00 has exactly these four parts, a later
# version may go on after another dash; ff is forbidden.
_TRACEPARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[!-~]{0,200})?")


def is_agency_id(text: str) -> bool:
    """Whether the text may name an agency: 3–40 of a–z, 0–9 and dashes, no dash at either end."""
    return _AGENCY_ID.fullmatch(text) is not None


def agency_source(agency: str) -> str:
    """The `source` of an agency's events."""
    return _AGENCY_SOURCE + agency


def service_source(service: str) -> str:
    """The `source` of one of our services' events."""
    return _SERVICE_SOURCE + service


def trace_id(traceparent: object) -> str | None:
    """The 32 hexadecimal digits that name the trace, or None where the traceparent is absent or malformed."""
    if not isinstance(traceparent, str):
        return None
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace, parent, rest = match.groups()
    if (version == "00" and rest is not None) or trace == "0" * 32 or parent == "0" * 16:
        return None
    return trace


def traceparent_of(topic: str, partition: int, offset: int) -> str:
    """A valid traceparent for a record that carries none: the same for the same record, whoever asks."""
    digest = hashlib.sha256(f"{topic}-{partition}-{offset}".encode()).hexdigest()
    # A SHA-256 whose first 128 or next 64 bits are all zero is not to be met; the trace would only be ignored.
    return f"00-{digest[:32]}-{digest[32:48]}-01"


def event(
    *,
    service: str,
    type: str,  # noqa: A002 (CloudEvents' own name)
    id: str,  # noqa: A002
    time: datetime,
    data: Mapping[str, Any],
    subject: str | None = None,
    traceparent: str | None = None,
) -> dict[str, Any]:
    """An event of ours, ready for `write`; `time` must carry an offset and is written in UTC."""
    written: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": id,
        "source": service_source(service),
        "type": type,
        "time": time,
        "datacontenttype": "application/json",
        "data": data,
    }
    if subject is not None:
        written["subject"] = subject
    if trace_id(traceparent) is not None:
        written["traceparent"] = traceparent
    return written


def write(event: Mapping[str, Any]) -> bytes:
    """The bytes of a structured event: dates as YYYY-MM-DD, times in UTC with Z, UUIDs as text.

    Raises TypeError for what JSON cannot hold, an integer beyond 64 bits and a time without offset.
    """
    time = event["time"]
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise TypeError("an event's time needs an offset")
        event = {**event, "time": time.astimezone(UTC)}
    return orjson.dumps(event, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
