"""`tepat disclosures`: who saw whose number, name and all else, in every service."""

from datetime import datetime
from heapq import merge
from typing import Annotated

import typer

from tepat_cli.days import in_order, iso
from tepat_cli.lookup import NAMED, pseudonym
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Answer, Services
from tepat_cli.terminal import Shown, listing

commands = typer.Typer(no_args_is_help=True, help="Who saw whom: what was disclosed, to whom and what for.")

COLUMNS = (
    Shown("at", lambda item: item["at"]),
    Shown("who", lambda item: item["who"], style=lambda _: "bold"),
    Shown("name", lambda item: item["name"]),
    Shown("purpose", lambda item: item["purpose"]),
    Shown("service", lambda item: item["service"]),
    Shown("what", lambda item: item["what"]),
    Shown("of", lambda item: item["of"]),
    Shown("persons", lambda item: " ".join(item["persons"])),
)
_DAY = ["%Y-%m-%d"]


@commands.command("list")
def list_(
    *,
    by: Annotated[str | None, typer.Option(help="who saw: an account, or its name")] = None,
    person: Annotated[str | None, typer.Option(help=f"whom they saw, of the erased too: {NAMED}")] = None,
    from_: Annotated[datetime | None, typer.Option("--from", formats=_DAY, help="on this day or later")] = None,
    to: Annotated[datetime | None, typer.Option("--to", formats=_DAY, help="on this day or before")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Who saw numbers, names and all else of whom, when and what for, the last first. It takes the right `merge`, in
    all regions."""
    in_order(from_, to)
    with Services(Place.of(data, kafka, api, role), "supervisor") as services:
        asked = {
            "by": by, "from": iso(from_), "to": iso(to),
            "person": pseudonym(services, "nik", person) if person is not None else None,
        }  # fmt: skip
        found = [services.items(name, "disclosures", most=limit, **asked) for name in services.names]
        last_first = merge(*found, key=_moment, reverse=True)
        listing(last_first, COLUMNS, as_json=as_json, limit=limit, none=words("nobody_seen"))


def _moment(item: Answer) -> datetime:
    return datetime.fromisoformat(item["at"])
