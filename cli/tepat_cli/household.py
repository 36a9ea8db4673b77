"""`tepat household`: who belongs to a household, and did."""

from typing import Annotated

import typer

from tepat_cli.days import DayOption, iso
from tepat_cli.lookup import NAMED, pseudonym
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, Place
from tepat_cli.services import Services, segment
from tepat_cli.terminal import Item, Shown, json_line, listing, outlet, printable

commands = typer.Typer(no_args_is_help=True, help="A household: its members through time.")
commands.callback()(lambda: None)

MEMBERS = (
    Shown("person", lambda item: item["person"]),
    Shown("nik", lambda item: item["nik"]),
    Shown("agency", lambda item: item["agency"]),
    Shown("since", lambda item: item["since"]),
    Shown("until", lambda item: item.get("until")),
    Shown("relation", lambda item: item.get("relation")),
    Shown("deceased on", lambda item: item.get("deceased_on")),
)


@commands.command()
def show(
    *,
    which: Annotated[str, typer.Argument(metavar="KK", help=NAMED)],
    on: DayOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Who belongs to a household under whichever of its cards, as each agency says; or who did on a day."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        path = f"households/{segment(pseudonym(services, 'kk', which))}"
        told = services.get("registry", path, on=iso(on))
    if as_json:
        json_line(told)
        return
    with outlet():
        print(f"{'household':<12} {told['household']}")
        if told["stands_for"] != told["household"]:
            print(f"{'stands for':<12} {told['stands_for']}")
        if len(told["cards"]) > 1:
            print(f"{'cards':<12} {printable(told['cards'])}")
    rows: list[Item] = [{**member, **membership} for member in told["members"] for membership in member["memberships"]]
    listing(rows, MEMBERS, as_json=False, limit=0, none="nobody belonged to it then")
