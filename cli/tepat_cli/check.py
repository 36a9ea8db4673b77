"""`tepat check`: a payment list given back with the answer for each line, without publishing anything.

Kept here: every row of the file stands in the answer with its own cells, in its order; rows that can't be taken stand
there with what to do.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from tepat_contracts.envelope import is_agency_id

from tepat_cli.events import Bad, Ready, Source, source
from tepat_cli.exits import REJECTED, Unreachable, WrongUse
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, Place
from tepat_cli.publish import text_of
from tepat_cli.services import Answer, Services
from tepat_cli.terminal import json_line, printable, say

HEADINGS: Final = ("line", "answer", "jawaban", "why", "overlaps with")
IN_INDONESIAN: Final = {"clear": "aman", "hold": "tahan", "unknown": "belum diketahui", "rejected": "ditolak"}
_KINDS: Final = {
    "exclusive": "dilarang bersama", "preferred": "didahulukan", "released": "sudah dilepas", "held": "ditahan petugas",
    "silent": "tanpa kabar", "behind": "data instansi lain belum selesai dibaca", "planned": "sudah direncanakan",
    "disbursed": "sudah disalurkan", "cancelled": "sudah dibatalkan", "returned": "sudah dikembalikan",
}  # fmt: skip
_DETAILS: Final = {
    " with ": " dengan ", " since ": " sejak ", " was never heard of": " belum pernah mengirim kabar",
    "the ledger holds revision ": "yang berlaku adalah revisi ", " of it": "",
}  # fmt: skip
CUT_OFF: Final = {"failed": "the answer was cut off: try again"}
STYLE: Final = {"clear": "green", "hold": "bold red", "unknown": "yellow", "rejected": "red"}


def check(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the payment list: CSV, XLSX or JSON Lines")],
    agency: Annotated[str, typer.Option(metavar="ID", help="whose list it is")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="where the answers go: FILE.checked.csv")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Gives a payment list back with the answer for each line, publishing nothing. Ends with 1 if lines can't be taken.

    The answer holds for the moment: publish the list as planned, and its clearances follow whatever changes.
    """
    if not is_agency_id(agency):
        raise WrongUse(f"‘{printable(agency)}’ is no agency: 3–40 of a–z, 0–9 and -, such as dinsos-jateng")
    from_ = source(file, agency, "payouts")
    if next(from_.records(), None) is None:
        raise WrongUse(f"{file} has no lines to check: fill in its rows, one a payment")
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        answers = services.sent_lines("distribution", "checks", _sent(from_), agency=agency)
        counted = _json(from_, answers) if as_json else _written(from_, answers, output, file)
    if counted["rejected"]:
        raise typer.Exit(REJECTED)


def _sent(from_: Source) -> Iterator[bytes]:
    """The rows that can be sent, an event a line."""
    for each in from_.records():
        if isinstance(each, Ready):
            yield each.value + b"\n"


def _answered(from_: Source, answers: Iterator[Answer]) -> Iterator[tuple[Ready | Bad, str, Answer]]:
    """Every row with its answer: the word, and what it rests on. Raises Unreachable where answers end before."""
    for each in from_.records():
        if isinstance(each, Bad):
            yield each, "rejected", {"message": each.advice, "rejected": each.reason}
            continue
        answer = next(answers, CUT_OFF)
        if "failed" in answer or "result" in answer:
            raise Unreachable(f"distribution: {(CUT_OFF | answer)['failed']}")
        yield each, answer.get("decision", "rejected"), answer


def _json(from_: Source, answers: Iterator[Answer]) -> Counter[str]:
    counted = Counter[str]()
    for row, word, answer in _answered(from_, answers):
        counted[word] += 1
        json_line({"line": row.line, **{name: told for name, told in answer.items() if name != "n"}})
    return counted


def _written(from_: Source, answers: Iterator[Answer], output: Path | None, file: Path) -> Counter[str]:
    path = output or file.with_name(f"{file.name}.checked.csv")
    counted = Counter[str]()
    try:
        to = path.open("w", encoding="utf-8", newline="")
        path.chmod(0o600)
    except OSError as wrong:
        raise WrongUse(f"{path} can't be written ({wrong.strerror}): free it, or name another with --output") from None
    with to:
        writer = csv.writer(to)
        writer.writerow([*HEADINGS, *from_.headings])
        for row, word, answer in _answered(from_, answers):
            counted[word] += 1
            cells = ["" if cell is None else text_of(cell) for cell in row.cells]
            writer.writerow([row.line, word, IN_INDONESIAN[word], _why(answer), _overlaps(answer), *cells])
    for word, style in STYLE.items():
        if counted[word]:
            say(f"{counted[word]:>9,} {word} / {IN_INDONESIAN[word]}", style)
    say(f"each line with its answer stands in {path}; nothing was published")
    return counted


def _why(answer: Answer) -> str:
    if "rejected" in answer:
        return f"{answer['rejected']}: {answer['message']}"
    return "; ".join(f"{reason} / {in_indonesian(reason)}" for reason in answer["reasons"])


def in_indonesian(reason: str) -> str:
    """What lets a payment go or not, or why that is not known, in Indonesian."""
    kind, _, detail = reason.partition(": ")
    for english, words in _DETAILS.items():
        detail = detail.replace(english, words)
    return f"{_KINDS.get(kind, kind)}: {detail}" if detail else _KINDS.get(kind, kind)


def _overlaps(answer: dict[str, Any]) -> str:
    return "; ".join(
        f"{each['agency']}/{each['payout_id']} ({each['programme']}, {each['state']}, {each['verdict']})"
        for each in answer.get("overlaps", ())
    )
