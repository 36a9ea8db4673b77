import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from faststream.kafka import KafkaBroker
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from tepat_chassis.logging import QUIET_SECONDS, Collapse, bound, configure, get_logger, instance, mask, mask_identity

NIK = "3374014101010001"
RUN = re.compile(r"(?<!\d)\d{16}(?!\d)")
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What was logged since; a test configures first, for the output it captures is its own."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    root.handlers, root.level = before, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (NIK, "337401******0001"),
        (f"nik={NIK};kk={NIK}.", "nik=337401******0001;kk=337401******0001."),
        (f"x{NIK}y", "x337401******0001y"),
        (NIK + "1", NIK + "1"),
        (NIK[1:], NIK[1:]),
    ],
)
def test_runs_of_exactly_16_digits_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


identities = st.from_regex(r"[0-9]{16}", fullmatch=True)
texts = st.builds(lambda a, nik, b: a + nik + b, st.text(max_size=8), identities, st.text(max_size=8)) | st.text()
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary() | texts.map(str.encode)
    | identities.map(int) | identities.map(lambda nik: float(int(nik))) | texts.map(ValueError),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(texts | st.integers(), inner),
    max_leaves=8,
)  # fmt: skip


def strings(value: object) -> Iterator[str]:
    match value:
        case dict():
            for key, each in value.items():
                yield key
                yield from strings(each)
        case list():
            for each in value:
                yield from strings(each)
        case float():
            yield ""  # digits after the point are no NIK; whole floats are masked as text
        case _:
            yield str(value)


@given(values, texts)
def test_whatever_is_logged_is_json_without_a_run_of_16_digits(value: object, key: str) -> None:
    line = structlog.processors.JSONRenderer()(None, "", mask_identity(None, "", {"event": value, key: value}))
    assert not any(RUN.search(text) for text in strings(json.loads(line)))


def test_lines_say_when_who_and_within_what(lines: Lines) -> None:
    configure("registry", "debug")
    with bound(trace="4bf92f3577b34da6a3ce929d0e0e4736", agency="dinsos", topic="t", partition=3, offset=7):
        get_logger().info("batch %s", "committed", records=2)
    get_logger().info("after")
    batch, after = lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", batch.pop("timestamp"))
    assert batch == {
        "event": "batch committed", "level": "info", "logger": __name__, "service": "registry",
        "instance": instance(), "trace": "4bf92f3577b34da6a3ce929d0e0e4736", "agency": "dinsos", "topic": "t",
        "partition": 3, "offset": 7, "records": 2,
    }  # fmt: skip
    assert "trace" not in after


def test_a_trace_id_survives_its_digits_but_nothing_else_there_does() -> None:
    digits = "a" + NIK + "b" * 15
    event = mask_identity(None, "", {"trace": digits, "id": digits})
    assert event["trace"] == digits
    assert NIK not in event["id"]
    assert NIK not in mask_identity(None, "", {"trace": NIK})["trace"]


@pytest.mark.parametrize(
    "name", ["aiokafka.consumer", "faststream", "faststream.access.kafka", "asyncpg", "uvicorn.error"]
)
def test_libraries_write_the_same_lines_once_and_no_debug(name: str, lines: Lines) -> None:
    configure("registry", "debug")
    logging.getLogger(name).debug("record %s", NIK)
    logging.getLogger(name).warning("record %s", NIK)
    (line,) = lines()
    assert (line["event"], line["logger"], line["level"]) == ("record 337401******0001", name, "warning")
    assert line["service"] == "registry"


def test_an_outage_is_told_and_not_drummed() -> None:
    now = 0.0
    collapse = Collapse(lambda: now)

    def said(name: str, level: int, message: str, *args: object) -> str | None:
        record = logging.LogRecord(name, level, "", 0, message, args, None)
        return f"{record.levelname} {record.getMessage()}" if collapse.filter(record) else None

    def away(node: int) -> str | None:
        return said("aiokafka.client", logging.ERROR, "Unable connect to node with id %s", node)

    assert away(1) == "ERROR Unable connect to node with id 1"
    assert [away(node) for node in (1, 2, 3)] == [None] * 3
    assert said("aiokafka.client", logging.ERROR, "Something else") == "ERROR Something else"
    assert said("tepat_chassis.inbox", logging.ERROR, "our own") == said(
        "tepat_chassis.inbox", logging.ERROR, "our own"
    )
    assert said("aiokafka.client", logging.INFO, "connected") == said("aiokafka.client", logging.INFO, "connected")
    assert said("faststream", logging.WARNING, "Auto create topics is disabled. Make sure …") == (
        "INFO Auto create topics is disabled. Make sure …"
    )
    now = QUIET_SECONDS
    assert away(4) == "ERROR Unable connect to node with id 4 (3 more like it meanwhile)"
    assert away(4) is None


def test_faststreams_broker_logger_keeps_the_handler(lines: Lines) -> None:
    configure("registry", "debug")
    broker = KafkaBroker()
    broker._setup_logger()
    logging.getLogger("faststream.access.kafka").info("received %s", NIK)
    (line,) = lines()
    assert line["event"] == "received 337401******0001"


def test_warnings_are_lines(lines: Lines) -> None:
    configure("registry", "debug")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"odd {NIK}", stacklevel=1)
    (line,) = lines()
    assert "odd 337401******0001" in line["event"]


def test_exceptions_have_their_frames_but_no_identity_and_no_locals(lines: Lines) -> None:
    configure("registry", "debug")
    secret = NIK
    try:
        try:
            raise KeyError(secret)
        except KeyError as cause:
            error = ValueError(f"person {secret}")
            error.add_note(f"row of {secret}")
            raise error from cause
    except ValueError:
        get_logger().exception("failed for %s", secret)
    (line,) = lines()
    outer, inner = line["exception"]
    assert (outer["exc_type"], outer["exc_value"]) == ("ValueError", "person 337401******0001")
    assert inner["exc_value"] == "'337401******0001'"
    assert outer["exc_notes"] == ["row of 337401******0001"]
    assert outer["frames"][0]["name"] == "test_exceptions_have_their_frames_but_no_identity_and_no_locals"
    assert "locals" not in outer["frames"][0]


def test_what_a_database_or_a_schema_echoes_is_cut(lines: Lines) -> None:
    configure("registry", "debug")
    row = "duplicate key\nDETAIL:  Failing row contains (Siti, 33740141)."
    with pytest.raises(ValidationError) as wrong:
        TypeAdapter(dict[str, int]).validate_python({"nik": "Siti " + NIK * 4})
    get_logger().error("failed", exc_info=RuntimeError(row))
    get_logger().error("failed", exc_info=wrong.value)
    written = json.dumps(lines())
    assert "duplicate key" in written
    assert "input_type=str" in written
    assert "Siti" not in written
    assert "33740" not in written
