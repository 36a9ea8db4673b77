"""One JSON object a line on standard output, the same for our own events and for the libraries'.

Invariants:
- No line holds a run of exactly 16 digits (a NIK or a KK): the last step before rendering masks it in every
  string, key, whole number, exception and traceback. That is the last line of defence, not a licence.
- No exception echoes the data it stumbled over: local variables are never rendered, and the parts of
  PostgreSQL's and Pydantic's messages that repeat a row or an input are cut.
- What a library warns of again and again while a server is away is told at its beginning, and then twice a minute.
- A line can always be written: what JSON doesn't know is written as its text.
"""

import logging
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["bound", "configure", "get_logger", "instance", "mask"]

_IDENTITY = re.compile(r"(?<!\d)(\d{6})\d{6}(\d{4})(?!\d)")
_ECHO = re.compile(r"\nDETAIL:.*|(?<=input_value=).*?(?=, input_type=)", re.DOTALL)
_TRACE = re.compile(r"[0-9a-f]{32}")
_DEEPEST = 20
_LIBRARIES = ("aiokafka", "asyncio", "asyncpg", "faststream", "faststream.access.kafka")

_DRUMMING = ("aiokafka", "faststream")
_EXPECTED = ("Auto create topics is disabled", "Consumer in group")
_REMEMBERED = 1_000
QUIET_SECONDS = 30.0

bound = structlog.contextvars.bound_contextvars
"""``with bound(trace=…, agency=…, topic=…, partition=…, offset=…):`` adds these to every line within."""


def mask(text: str) -> str:
    """``text`` with the birth date cut out of every run of exactly 16 digits: ``337401******0001``."""
    return _IDENTITY.sub(r"\1******\2", text)


def instance() -> str:
    """This process among those of its service: ``host-pid``."""
    return f"{socket.gethostname()}-{os.getpid()}"


def get_logger(**values: Any) -> structlog.stdlib.BoundLogger:
    """A logger named after the calling module; ``values`` stand in each of its lines."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(**values)
    return logger


def _clean(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911
    """``value`` as plain JSON, masked."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 10**15:
        return int(value)
    if isinstance(value, float) and not (value.is_integer() and abs(value) >= 10**15):
        return float(value)
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {_clean(str(key)): _clean(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(each, depth + 1) for each in value]
    if isinstance(value, float):
        value = int(value)
    return mask(_ECHO.sub("…", str(value))).encode(errors="replace").decode()


def mask_identity(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The last processor before rendering. A whole W3C trace id under ``trace`` is left as it is."""
    cleaned: EventDict = _clean(event)
    trace = event.get("trace")
    if isinstance(trace, str) and _TRACE.fullmatch(trace):
        cleaned["trace"] = trace
    return cleaned


class Collapse(logging.Filter):
    """Lets a library warn of the same thing once in ``QUIET_SECONDS``, and then say how often it would have: an
    outage is told, not drummed. What is expected of every start is no warning."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record of a library is let through; other loggers' are."""
        if record.name.partition(".")[0] not in _DRUMMING:
            return True
        if str(record.msg).startswith(_EXPECTED) and record.levelno == logging.WARNING:
            record.levelno, record.levelname = logging.INFO, "INFO"
        if record.levelno < logging.WARNING:
            return True
        key, now = (record.name, str(record.msg)), self._clock()
        since, unsaid = self._said.get(key, (-QUIET_SECONDS, 0))
        if now - since < QUIET_SECONDS:
            self._said[key] = since, unsaid + 1
            return False
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said[key] = now, 0
        if unsaid:
            record.msg, record.args = f"{record.getMessage()} ({unsaid} more like it meanwhile)", None
        return True


def configure(service: str, level: str = "info") -> None:
    """Sends every log of this process to standard output as JSON; calling it again replaces what it set.

    ``level`` is debug, info, warning or error. Libraries log nothing below info, for at debug they print
    records.
    """
    lowest = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    who = {"service": service, "instance": instance()}

    def stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {**event, **who}

    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False, use_rich=False)
            ),
            structlog.processors.StackInfoRenderer(),
            stamp,
            mask_identity,
            structlog.processors.JSONRenderer(serializer=lambda event, **_: orjson.dumps(event).decode()),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    handler.addFilter(Collapse())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(lowest)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(max(lowest, logging.INFO))
    for name in (
        "faststream",
        "faststream.access.kafka",
    ):  # FastStream adds no handler where it finds this one
        logging.getLogger(name).handlers = [handler]
        logging.getLogger(name).propagate = False
    logging.getLogger("uvicorn").setLevel(max(lowest, logging.WARNING))
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
