"""`tepat check`: a payment list given back with the answer for each line, without publishing anything.

Kept here: every row of the file stands in the answer with its own cells, in its order; rows that can't be taken stand
there with what to do; the list itself is never written to, and no file of answers stands half written.
"""

import csv
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final, TextIO

import typer
from tepat_contracts.bilingual import BETWEEN
from tepat_contracts.envelope import is_agency_id

from tepat_cli.events import Bad, Ready, Source, source
from tepat_cli.exits import REJECTED, Unreachable, WrongUse, must_hold
from tepat_cli.outcomes import done
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, Place
from tepat_cli.publish import text_of
from tepat_cli.refusals import of_file, words
from tepat_cli.services import Answer, Services
from tepat_cli.terminal import json_line, printable, say

HEADINGS: Final = ("line", "answer", "jawaban", "why", "column", "overlaps with")
IN_INDONESIAN: Final = {
    "clear": "aman",
    "hold": "tahan",
    "unknown": "belum diketahui",
    "ends": "mengakhiri",
    "rejected": "ditolak",
}
_KINDS: Final = {
    "exclusive": "dilarang bersama", "preferred": "didahulukan", "released": "sudah dilepas", "held": "ditahan petugas",
    "silent": "tanpa kabar", "behind": "data instansi lain belum selesai dibaca", "planned": "sudah direncanakan",
    "disbursed": "sudah disalurkan", "cancelled": "sudah dibatalkan", "returned": "sudah dikembalikan",
    "repeated": "berulang", "ends": "mengakhiri", "too_many": "terlalu banyak",
}  # fmt: skip
_DETAILS: Final = {
    "takes a payment back, nothing to clear": "pembayaran ditarik kembali, tidak perlu persetujuan",
    "it was taken back before, nothing changes": "sudah ditarik kembali, tidak ada yang berubah",
    "no payment of this id is known: check the id": "pembayaran dengan id ini belum dikenal: periksa id-nya",
    " with other content": " dengan isi lain", " of it": "",
    ": raise --revision or the column revision": ": naikkan --revision atau kolom revision",
    "this id stands in line ": "id ini juga ada di baris ", " too": "",
    " with ": " dengan ", " since ": " sejak ", " was never heard of": " belum pernah mengirim kabar",
    "the ledger holds revision ": "yang berlaku adalah revisi ",
    "the household has more than ": "keluarga ini punya lebih dari ",
    "the person has more than ": "orang ini punya lebih dari ",
    " payouts, which are not looked through: see finding ":
        " pembayaran, yang tumpang tindihnya tidak diperiksa: lihat temuan ",
}  # fmt: skip
CUT_OFF: Final = {"failed": words("cut_off")}
Row = tuple[Ready | Bad, str, Answer]
"""A row of the file, the word that answers it, and what that rests on."""
STYLE: Final = {"clear": "green", "hold": "bold red", "unknown": "yellow", "ends": "dim", "rejected": "red"}


def check(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the payment list: CSV, XLSX or JSON Lines")],
    agency: Annotated[str, typer.Option(metavar="ID", help="whose list it is")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="where the answers go: FILE.checked.csv")
    ] = None,
    as_json: JsonOption = False,
    revision: Annotated[int, typer.Option(min=0, help="of the rows that have none, as it will be published")] = 0,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Gives a payment list back with the answer for each line, publishing nothing. Ends with 1 if lines can't be taken.

    The answer holds for the moment: publish the list as planned, and its clearances follow whatever changes. A row that
    cancels or returns a payment is answered with `ends`: the others are judged as if it were gone.
    """
    if not is_agency_id(agency):
        raise WrongUse(words("no_agency_id", agency=printable(agency)))
    if as_json and output is not None:
        raise WrongUse(words("json_or_output"))
    must_hold(output, ".csv")
    if output is not None and output.exists() and file.exists() and output.samefile(file):
        raise WrongUse(words("the_list_itself", path=output))
    from_ = source(file, agency, "payouts", revision)
    if next(from_.records(), None) is None:
        raise WrongUse(words("no_lines", path=file))
    sent = array("I")
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        answers = services.sent_lines("distribution", "checks", _sent(from_, sent), agency=agency)
        rows = _answered(from_, answers, sent)
        counted = _json(rows) if as_json else _written(rows, from_.headings, output, file)
    if counted["rejected"]:
        raise typer.Exit(REJECTED)


def _sent(from_: Source, lines: "array[int]") -> Iterator[bytes]:
    """The rows that can be sent, an event a line; their lines in the file are added to `lines`."""
    for each in from_.records():
        if isinstance(each, Ready):
            lines.append(each.line)
            yield each.value + b"\n"


def _answered(from_: Source, answers: Iterator[Answer], sent: "array[int]") -> Iterator[Row]:
    """Every row with its answer, which names the lines of the file. Raises Unreachable where answers end before.

    Args:
        sent: the lines of the rows that were sent, in order.
    """
    for each in from_.records():
        if isinstance(each, Bad):
            told = {"rejected": each.reason, "pointer": each.pointer, "column": each.column, "message": each.advice}
            yield each, "rejected", told
            continue
        answer: Answer = next(answers, CUT_OFF)
        if "failed" in answer or "result" in answer:
            raise Unreachable(f"distribution: {(CUT_OFF | answer)['failed']}")
        if also := answer.get("same_id_as"):
            line = sent[also - 1]
            reasons = [reason.replace(f" line {also} ", f" line {line} ") for reason in answer["reasons"]]
            answer |= {"same_id_as": line, "reasons": reasons}
        elif "rejected" in answer:
            answer["column"] = from_.heading(answer.get("pointer"))
        yield each, answer.get("decision", "rejected"), answer


def _json(rows: Iterator[Row]) -> Counter[str]:
    counted = Counter[str]()
    for row, word, answer in rows:
        counted[word] += 1
        json_line({"line": row.line, **{name: told for name, told in answer.items() if name != "n"}})
    return counted


def _written(rows: Iterator[Row], headings: Sequence[str], output: Path | None, file: Path) -> Counter[str]:
    path = output or file.with_name(f"{file.name}.checked.csv")
    counted, crowded = Counter[str](), 0
    with _whole(path) as to:
        writer = csv.writer(to)
        writer.writerow([*HEADINGS, *headings])
        for row, word, answer in rows:
            counted[word] += 1
            crowded += any(reason.startswith("too_many: ") for reason in answer.get("reasons", ()))
            cells = ["" if cell is None else text_of(cell) for cell in row.cells]
            told = (_why(answer), answer.get("column", ""), _overlaps(answer))
            writer.writerow([row.line, word, IN_INDONESIAN[word], *told, *cells])
    for word, style in STYLE.items():
        if counted[word]:
            say(f"{counted[word]:>9,} {word}{BETWEEN}{IN_INDONESIAN[word]}", style)
    if crowded:
        say(done("not_looked_through", lines=f"{crowded:,}"), "yellow")
    say(done("answers_in", path=path))
    return counted


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A file to write, for its owner alone, that takes its place only once it is whole. Raises WrongUse."""
    try:
        with TemporaryDirectory(prefix=".checked-", dir=path.parent) as aside:
            written = Path(aside) / path.name
            with written.open("w", encoding="utf-8", newline="") as to:
                written.chmod(0o600)
                yield to
            written.replace(path)
    except OSError as wrong:
        raise WrongUse(words("unwritable", path=path, why=of_file(wrong))) from None


def _why(answer: Answer) -> str:
    if "rejected" in answer:
        return f"{answer['rejected']}: {answer['message']}"
    return "; ".join(f"{reason} / {in_indonesian(reason)}" for reason in answer["reasons"])


def in_indonesian(reason: str) -> str:
    """What lets a payment go or not, or why that is not known, in Indonesian."""
    kind, _, detail = reason.partition(": ")
    for english, indonesian in _DETAILS.items():
        detail = detail.replace(english, indonesian)
    return f"{_KINDS.get(kind, kind)}: {detail}" if detail else _KINDS.get(kind, kind)


def _overlaps(answer: dict[str, Any]) -> str:
    return "; ".join(
        f"{each['agency']}/{each['payout_id']} ({each['programme']}, {each['state']}, {each['verdict']})"
        for each in answer.get("overlaps", ())
    )
