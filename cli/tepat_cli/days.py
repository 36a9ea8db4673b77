"""Days as options."""

from datetime import datetime
from typing import Annotated

import typer

DayOption = Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="as of this day")]


def iso(day: datetime | None) -> str | None:
    """A day as the services take it; none stays none."""
    return day.date().isoformat() if day is not None else None
