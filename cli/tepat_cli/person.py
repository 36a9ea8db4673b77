"""`tepat person`: what is known of a person, and who says what."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from tepat_cli.days import DayOption, iso
from tepat_cli.exits import WrongUse
from tepat_cli.lookup import NAMED, pseudonym
from tepat_cli.outcomes import done
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, Place
from tepat_cli.refusals import of_file, words
from tepat_cli.services import Services, segment
from tepat_cli.terminal import Item, Shown, json_line, listing, outlet, printable, say

commands = typer.Typer(
    no_args_is_help=True, help="A person: what is known and who says it; all that is held; to be forgotten."
)

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
    listing(told["memberships"], MEMBERSHIPS, as_json=False, limit=0, none=words("no_household_said"))
    listing(_said(told["said"]), SAID, as_json=False, limit=0, none=words("nothing_said"))


@commands.command()
def export(
    *,
    who: Annotated[str, typer.Argument(metavar="NIK", help=NAMED)],
    purpose: Annotated[str, typer.Option(help="why all is disclosed to you; it is recorded")],
    out: Annotated[Path | None, typer.Option(help="write it to this file, which nobody else may read")] = None,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """All that every service holds of a person, and who saw it, as one JSON document: what a person may ask for."""
    with Services(Place.of(data, kafka, api, role), "officer") as services:
        person = pseudonym(services, "nik", who)
        registry = services.post("registry", "subjects/held", {"persons": [person], "purpose": purpose})
        held = registry["held"]
        subject = {
            "persons": [each["person"] for each in held["persons"]],
            "households": sorted({fact["household"] for fact in held["facts"]}),
            "purpose": purpose,
        }
        others = [
            services.post(name, "subjects/held", subject) for name in services.names if name != "registry"
        ]  # fmt: skip
    told = {"person": person, "purpose": purpose, "services": [registry, *others]}
    document = orjson.dumps(told, option=orjson.OPT_INDENT_2)
    if out is None:
        with outlet():
            print(document.decode())
        return
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(document)
    except FileExistsError:
        raise WrongUse(words("there_already", path=out)) from None
    except OSError as wrong:
        raise WrongUse(words("unwritable", path=out, why=of_file(wrong))) from None
    say(done("all_in", path=out))
    for each in (registry, *others):
        if sealed := each.get("quarantine", {}).get("records"):
            until = each["quarantine"]["kept_until"][:10]
            say(done("not_searched", count=sealed, service=each["service"], until=until), "yellow")


@commands.command()
def erase(
    *,
    who: Annotated[str, typer.Argument(metavar="NIK", help=NAMED)],
    agency: Annotated[str, typer.Option(help="in whose name: an agency with the right `merge`")],
    reason: Annotated[str, typer.Option(help="why; it is recorded")],
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Have a person forgotten: identity, facts and decisions go, tombstones stay. Refused while something must stay."""
    with Services(Place.of(data, kafka, api, role), "registrar") as services:
        person = pseudonym(services, "nik", who)
        told = services.post("registry", f"persons/{segment(person)}/erase", {"agency": agency, "reason": reason})
    say(done("being_forgotten", person=person, count=len(told["events"])))


def _said(said: dict[str, list[dict[str, Any]]]) -> list[Item]:
    return [{"field": field, **word} for field, words in said.items() for word in words]


def _lived(on: Item) -> str:
    if "household" not in on:
        return "in no household that any agency tells of"
    return f"in household {on['household']}, as {printable(on['agency'])} says since {on['since']}"
