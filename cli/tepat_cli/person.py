"""`tepat person`: what is known of a person, and who says what."""

from typing import Annotated, Any, Final

import typer

from tepat_cli.days import DayOption, iso
from tepat_cli.lookup import NAMED, pseudonym
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, Place
from tepat_cli.services import Services, segment
from tepat_cli.terminal import Item, Shown, json_line, listing, outlet, printable

commands = typer.Typer(no_args_is_help=True, help="A person: what is known, who says what, in whose household when.")
commands.callback()(lambda: None)

PurposeOption = Annotated[
    str | None, typer.Option(help="why number, name and all else are disclosed to you; it is recorded")
]

#: Fields told of a person in one line each, in this order.
TOLD: Final = ("person", "nik", "names", "sex", "birth_date", "region", "deceased_on", "stands_for", "aliases")

SAID = (
    Shown("field", lambda item: item["field"]),
    Shown("agency", lambda item: item["agency"]),
    Shown("says", lambda item: item.get("value", "(not disclosed)")),
    Shown("since", lambda item: item["since"]),
    Shown("told at", lambda item: item["told_at"]),
    Shown("holds", lambda item: "holds" if item["holds"] else "", style=lambda _: "bold green"),
)
MEMBERSHIPS = (
    Shown("household", lambda item: item["household"]),
    Shown("card", lambda item: item.get("kk")),
    Shown("agency", lambda item: item["agency"]),
    Shown("since", lambda item: item["since"]),
    Shown("until", lambda item: item.get("until")),
    Shown("relation", lambda item: item.get("relation")),
    Shown("region", lambda item: item.get("region")),
)


@commands.command()
def show(
    *,
    who: Annotated[str, typer.Argument(metavar="NIK", help=NAMED)],
    on: DayOption = None,
    purpose: PurposeOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """What is known of a person, by every agency that tells of them: whose word holds, and who says otherwise."""
    day = iso(on)
    with Services(Place.of(data, kafka, api, role), "reader" if purpose is None else "officer") as services:
        path = f"persons/{segment(pseudonym(services, 'nik', who))}"
        told = services.get("registry", path, on=day, purpose=purpose)
    if as_json:
        json_line(told)
        return
    with outlet():
        for name in TOLD:
            if told.get(name):
                print(f"{name:<12} {printable(told[name])}")
        if day is not None:
            print(f"{'on ' + day:<12} {_lived(told['on'])}")
    listing(told["memberships"], MEMBERSHIPS, as_json=False, limit=0, none="no agency says in whose household")
    listing(_said(told["said"]), SAID, as_json=False, limit=0, none="no agency says anything of this person")


def _said(said: dict[str, list[dict[str, Any]]]) -> list[Item]:
    return [{"field": field, **word} for field, words in said.items() for word in words]


def _lived(on: Item) -> str:
    if "household" not in on:
        return "in no household that any agency tells of"
    return f"in household {on['household']}, as {printable(on['agency'])} says since {on['since']}"
