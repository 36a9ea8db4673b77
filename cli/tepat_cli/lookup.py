"""Persons and households by whatever names them: a NIK, the number of a card, or a pseudonym."""

import re
import sys
from datetime import UTC, datetime
from getpass import getpass
from typing import Final, Literal
from uuid import UUID

from tepat_cli.exits import WrongUse
from tepat_cli.refusals import words
from tepat_cli.services import Missing, Services, segment

_NUMBER: Final = re.compile(r"\d{16}")
NAMED: Final = "a pseudonym, a number of 16 digits, or - to be asked for it (so that no history of commands keeps it)"


def pseudonym(services: Services, kind: Literal["nik", "kk"], who: str) -> str:
    """The pseudonym that the registry knows them by. Raises WrongUse, Missing, Unreachable."""
    who = _told(who, kind.upper())
    if _NUMBER.fullmatch(who):
        found: str = services.post("registry", "lookup", {kind: who})["pseudonym"]
        return found
    try:
        return str(UUID(who))
    except ValueError:
        raise WrongUse(words("no_pseudonym", kind=kind.upper())) from None


def home(services: Services, which: str, day: str | None) -> str:
    """The pseudonym of a household: by its own, the number of its card, or the NIK of somebody who lives there on a day
    (today). Raises as ``pseudonym``.
    """
    which = _told(which, "KK")
    try:
        return pseudonym(services, "kk", which)
    except Missing:
        try:
            who = pseudonym(services, "nik", which)
        except Missing:
            raise Missing(words("unknown_number")) from None
    told = services.get(
        "registry", f"persons/{segment(who)}", on=day or datetime.now(UTC).astimezone().date().isoformat()
    )
    found: str = told["on"].get("household") or told["alone"]
    return found


def _told(who: str, what: str) -> str:
    """What names them; `-` is asked for."""
    if who == "-":
        who = getpass(f"{what}: ") if sys.stdin.isatty() else sys.stdin.readline()
    return who.strip()
