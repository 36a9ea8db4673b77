"""Persons and households by whatever names them: a NIK, the number of a card, or a pseudonym."""

import re
import sys
from getpass import getpass
from typing import Final, Literal
from uuid import UUID

from tepat_cli.exits import WrongUse
from tepat_cli.services import Services
from tepat_cli.terminal import printable

_NUMBER: Final = re.compile(r"\d{16}")
NAMED: Final = "a pseudonym, a number of 16 digits, or - to be asked for it (so that no history of commands keeps it)"


def pseudonym(services: Services, kind: Literal["nik", "kk"], who: str) -> str:
    """The pseudonym that the registry knows them by. Raises WrongUse, Missing, Unreachable."""
    if who == "-":
        who = getpass(f"{kind.upper()}: ") if sys.stdin.isatty() else sys.stdin.readline()
    who = who.strip()
    if _NUMBER.fullmatch(who):
        found: str = services.post("registry", "lookup", {kind: who})["pseudonym"]
        return found
    try:
        return str(UUID(who))
    except ValueError:
        raise WrongUse(f"‘{printable(who)}’ is no {kind.upper()} of 16 digits and no pseudonym") from None
