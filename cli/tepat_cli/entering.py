"""What a person enters by hand: an amount, a day, a receipt."""

from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Annotated

import typer

from tepat_cli.days import iso
from tepat_cli.exits import WrongUse
from tepat_cli.refusals import of_file, words
from tepat_cli.values import Unreadable
from tepat_cli.values import rupiah as read_rupiah

AmountOption = Annotated[str, typer.Option("--amount", help="rupiah: 750000 or 'Rp 750.000'")]
DatedOption = Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="the day it was [today]")]
ReceiptOption = Annotated[
    Path, typer.Option("--receipt", metavar="FILE", help="receipt, photo or letter: its SHA-256 is kept, not the file")
]
EntryArgument = Annotated[
    str, typer.Argument(metavar="ENTRY", help="your number for it, such as kwitansi-17: the same again changes nothing")
]


def amount(written: str) -> int:
    """Rupiah as written. Raises WrongUse."""
    try:
        return read_rupiah(written)
    except Unreadable as wrong:
        raise WrongUse(f"--amount: {wrong}") from None


def dated(day: datetime | None) -> str:
    """The day named, or today by this machine's clock."""
    return iso(day) or datetime.now(UTC).astimezone().date().isoformat()


def sha256(receipt: Path) -> str:
    """The SHA-256 of a file. Raises WrongUse where it cannot be read, or is empty."""
    try:
        with receipt.open("rb") as file:
            if not receipt.stat().st_size:
                raise WrongUse(words("shows_nothing", path=receipt))
            return file_digest(file, "sha256").hexdigest()
    except OSError as wrong:
        raise WrongUse(words("unreadable", path=receipt, why=of_file(wrong))) from None


def sides(named: str) -> tuple[str, str]:
    """An agency and what it calls something, of `agency/name`. Raises WrongUse."""
    agency, slash, name = named.partition("/")
    if not (agency and slash and name):
        raise WrongUse(words("agency_and_id", named=named))
    return agency, name
