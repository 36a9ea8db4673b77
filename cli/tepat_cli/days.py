"""Days as options."""

from datetime import date, datetime
from typing import Annotated

import typer

from tepat_cli.exits import WrongUse
from tepat_cli.refusals import words

DayOption = Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="as of this day")]


def iso(day: datetime | None) -> str | None:
    """A day as the services take it; none stays none."""
    return day.date().isoformat() if day is not None else None


def in_order(first: date | None, last: date | None) -> None:
    """Refuses a period that ends before it begins. Raises WrongUse."""
    if first is not None and last is not None and last < first:
        raise WrongUse(words("ends_before", first=f"{first:%Y-%m-%d}", last=f"{last:%Y-%m-%d}"))
