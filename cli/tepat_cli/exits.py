"""How a command ends: 0 done, 1 some records rejected, 2 wrong use, 3 the cluster can't be reached.

Kept here: whatever goes wrong is told in plain words that say what to do, on standard error, without a traceback
and without repeating what was sent.
"""

from pathlib import Path
from typing import Final

from tepat_cli.refusals import words

DONE: Final = 0
REJECTED: Final = 1
WRONG_USE: Final = 2
UNREACHABLE: Final = 3


class Ended(Exception):
    """A command that can't go on. The message says why and what to do."""

    status = REJECTED


class Interrupted(Ended):
    """Ctrl-C, where something has to be said of what was done so far."""

    status = 130


class WrongUse(Ended):
    """Asked for what can't be: a missing file, an unknown agency, a token without the right."""

    status = WRONG_USE


class Unreachable(Ended):
    """A broker or service that doesn't answer, or not in time."""

    status = UNREACHABLE


def must_hold(path: Path | None, *suffixes: str) -> None:
    """Refuses a file to be written that is not named after what it would hold, such as `.svg`. Raises WrongUse."""
    if path is not None and path.suffix.lower() not in suffixes:
        form, name = suffixes[0][1:].upper(), path.with_suffix(suffixes[0]).name
        raise WrongUse(words("other_form", path=path, form=form, name=name))
