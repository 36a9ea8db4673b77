"""`tepat objections`: what people of a village object to (*sanggah*), and what becomes of it."""

from typing import Annotated

import typer

from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services
from tepat_cli.terminal import Item, Shown, listing

commands = typer.Typer(no_args_is_help=True, help="What is objected to in a village, and what becomes of it.")


def _days_left(item: Item) -> str | None:
    if item["state"] == "not_filed_yet":
        return "not filed yet"
    left = item.get("days_left")
    return None if left is None else f"{left} of 14"


COLUMNS = (
    Shown("objection", lambda item: f"{item['agency']}/{item['objection_id']}"),
    Shown("programme", lambda item: item["programme"]),
    Shown("person", lambda item: item["person"]),
    Shown("grounds", lambda item: item["grounds"]),
    Shown("region", lambda item: item["region"]),
    Shown("filed on", lambda item: item["filed_on"]),
    Shown("state", lambda item: item["state"], style=lambda _: "bold"),
    Shown("village", lambda item: item["village"]),
    Shown("days left", _days_left, justify="right"),
    Shown("settled by", lambda item: item.get("settled_by")),
)


@commands.command("list")
def list_(
    *,
    state: Annotated[
        str | None, typer.Option(help="not_filed_yet, open, upheld, rejected, lapsed or other_village")
    ] = None,
    programme: Annotated[str | None, typer.Option(help="to this programme")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Objections by the day they were filed: upheld or rejected by an officer's visit, or lapsed after 14 days."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items("eligibility", "objections", most=limit, state=state, programme=programme)
        listing(found, COLUMNS, as_json=as_json, limit=limit, none=words("no_objections"))
