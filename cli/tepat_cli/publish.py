"""`tepat publish`: an agency's file to its topic.

Kept here: memory does not grow with the file; a row is either sent and confirmed or stands in FILE.rejected.csv
with its line; the same file sent again gives the same records (`events`), whose second copy changes nothing. To
correct what was sent, raise its revision: in a column, or for the whole file with `--revision`.
"""

import asyncio
import csv
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from tepat_contracts.envelope import is_agency_id
from tepat_contracts.topics import Kind, inbound_name, receipts_name

from tepat_cli import receipts, templates
from tepat_cli.cluster import admin, missing, producer, reader
from tepat_cli.columns import KINDS
from tepat_cli.events import Bad, Ready, Source, source
from tepat_cli.exits import REJECTED, Interrupted, Unreachable, WrongUse
from tepat_cli.office import REJECTED_HEADINGS
from tepat_cli.outcomes import done
from tepat_cli.place import DataOption, KafkaOption, Place
from tepat_cli.refusals import of_file, words
from tepat_cli.sending import BATCH_BYTES, Sending
from tepat_cli.terminal import json_line, printable, say
from tepat_cli.values import Cell, text

BREATHE_ROWS: Final = 1_000
"""Rows between two moments left to the connection and the progress bar."""

KindOption = StrEnum("KindOption", list(KINDS))  # type: ignore[misc]


class Rejects:
    """FILE.rejected.csv, which is there only if a row was rejected."""

    def __init__(self, file: Path, headings: Sequence[str]) -> None:
        self.path = file.with_name(f"{file.name}.rejected.csv")
        self.reasons: Counter[str] = Counter()
        self._headings = headings
        self._file: TextIOWrapper | None = None
        if self.path.exists() and self.path.stat().st_size and _ours(self.path):
            self.path.unlink()  # of an earlier run

    @property
    def count(self) -> int:
        """Rows rejected."""
        return self.reasons.total()

    def add(self, bad: Bad) -> None:
        """Writes a row with its line, the reason, the column and what to do."""
        if self._file is None:
            self._file = self._open()
            self._writer = csv.writer(self._file)
            self._writer.writerow([*REJECTED_HEADINGS, *_original(self._headings, self._headings)])
        self.reasons[bad.reason] += 1
        cells = ["" if cell is None else text_of(cell) for cell in bad.cells]
        self._writer.writerow([bad.line, bad.reason, bad.column, bad.advice, *_original(cells, self._headings)])

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> TextIOWrapper:
        try:
            file = self.path.open("w", encoding="utf-8", newline="")
            self.path.chmod(0o600)
        except OSError as wrong:
            raise WrongUse(words("unwritable", path=self.path, why=of_file(wrong))) from None
        return file


def text_of(cell: Cell) -> str:
    """A cell as it was, as text."""
    try:
        return text(cell)
    except ValueError:
        return str(cell)


def _original(cells: Sequence[str], headings: Sequence[str]) -> Sequence[str]:
    """The cells less those that an earlier FILE.rejected.csv put before them."""
    count = len(REJECTED_HEADINGS)
    return cells[count:] if tuple(headings[:count]) == REJECTED_HEADINGS else cells


def _ours(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().startswith(",".join(REJECTED_HEADINGS))


@contextmanager
def _bar(from_: Source) -> Iterator[Any]:
    """A progress bar on a terminal, nothing elsewhere; called with the rows read so far."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows  {task.fields[speed]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(from_.kind.name, total=1.0, rows=0, speed=0.0)
        start = time.monotonic()

        def told(rows: int) -> None:
            speed = rows / max(time.monotonic() - start, 0.001)
            progress.update(task, completed=from_.done(), rows=rows, speed=speed)

        yield told


def publish(
    *,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="CSV, XLSX or JSON Lines")] = None,
    agency: Annotated[str | None, typer.Option(metavar="ID", help="whose file it is")] = None,
    kind: Annotated[KindOption | None, typer.Option(help="what it holds, if its headings don't tell")] = None,
    revision: Annotated[int, typer.Option(min=0, help="of the rows that have none: raise it to correct a file")] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="until the services have answered for every record")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="seconds without an answer after which --wait gives up")] = 120,
    template: Annotated[KindOption | None, typer.Option(help="write an empty file of this kind instead")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="where the template goes (.csv, .xlsx)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="tell the outcome as one JSON object")] = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
) -> None:
    """Sends an agency's file to its topic; rows that can't be taken go to FILE.rejected.csv. Ends with 1 if any."""
    if template is not None:
        templates.write(template.value, output or file)
        return
    if file is None or agency is None:
        raise WrongUse(words("what_to_send"))
    if not is_agency_id(agency):
        raise WrongUse(words("no_agency_id", agency=printable(agency)))
    from_ = source(file, agency, kind.value if kind else None, revision)
    if from_.unused:
        say(done("columns_unused", columns=", ".join(map(printable, from_.unused))), "yellow")
    rejects = Rejects(file, from_.headings)
    start = time.monotonic()
    try:
        sent, unanswered = asyncio.run(
            _publish(from_, rejects, Place.of(data, kafka).kafka, agency=agency, patience=timeout if wait else None)
        )
    except KeyboardInterrupt:
        raise Interrupted(words("interrupted")) from None
    finally:
        rejects.close()
    outcome = {
        "file": str(file),
        "topic": inbound_name(agency, Kind(from_.kind.sent_as)),
        "sent": sent,
        "unanswered": unanswered if wait else None,
        "rejected": rejects.count,
        "reasons": dict(rejects.reasons.most_common()),
        "rejected_file": str(rejects.path) if rejects.count else None,
        "skipped": from_.skipped,
        "seconds": round(time.monotonic() - start, 3),
    }
    if as_json:
        json_line(outcome)
    else:
        _tell(outcome)
    if unanswered:
        raise Unreachable(words("unanswered", unanswered=unanswered, timeout=timeout))
    if rejects.count:
        raise typer.Exit(REJECTED)


async def _publish(
    from_: Source, rejects: Rejects, brokers: str, *, agency: str, patience: float | None
) -> tuple[int, int]:
    """Sends all that can be sent; how many were, and how many of them nobody answered for."""
    topic = inbound_name(agency, Kind(from_.kind.sent_as))
    async with AsyncExitStack() as stack:
        async with admin(brokers) as client:
            if topic not in await client.list_topics():
                raise missing(topic)
        answers = None
        if patience is not None:
            answers, _ = await stack.enter_async_context(reader(brokers, receipts_name(agency), new=True))
        to = await stack.enter_async_context(producer(brokers, max_batch_size=BATCH_BYTES))
        sending = Sending(to, topic, len(await to.partitions_for(topic)))
        with _bar(from_) as told:
            await _send(from_, sending, rejects, told)
        sent = sum(map(len, sending.landed.values()))
        if answers is None or patience is None:
            return sent, 0
        answered = await receipts.wait(answers, topic, sending.landed, patience)
    _reject_answered(from_, answered, rejects)
    return sent, answered.missing


async def _send(from_: Source, sending: Sending, rejects: Rejects, told: Any) -> None:
    for rows, each in enumerate(from_.records(), start=1):
        if isinstance(each, Bad):
            rejects.add(each)
        elif (full := sending.put(each.key, each.value)) is not None:
            await sending.send(full)
            sending.put(each.key, each.value)
        if rows % BREATHE_ROWS == 0:
            told(rows)
            await asyncio.sleep(0)
    await sending.finish()


def _reject_answered(from_: Source, answered: receipts.Answered, rejects: Rejects) -> None:
    """Adds what the services rejected, each with the line it came from: the file is read once more to find them."""
    if answered.rejected:
        for each in from_.records():
            if isinstance(each, Ready) and (why := answered.rejected.get(each.id)):
                column = from_.heading(why.get("pointer"))
                rejects.add(Bad(each.line, each.cells, why["reason"], column, why["message"]))
    for why in answered.nameless:
        rejects.add(Bad(0, (), why["reason"], why.get("pointer") or "", why["message"]))


def _tell(outcome: dict[str, Any]) -> None:
    sent, seconds, rejected = outcome["sent"], outcome["seconds"], outcome["rejected"]
    rate = sent / max(seconds, 0.001)
    say(done("sent", sent=sent, topic=outcome["topic"], seconds=seconds, rate=rate), "green")
    if outcome["skipped"]:
        say(done("passed_over", count=outcome["skipped"]), "dim")
    for reason, count in outcome["reasons"].items():
        say(done("refused_for", count=count, reason=reason), "red")
    if rejected:
        say(done("rejected_in", path=outcome["rejected_file"]))
    elif outcome["unanswered"] == 0:
        say(done("all_accepted"), "green")
