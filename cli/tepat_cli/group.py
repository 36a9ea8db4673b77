"""`tepat group`: joint business groups (KUBE) and who is in them."""

from datetime import datetime
from typing import Annotated

import typer

from tepat_cli.entering import DatedOption, dated
from tepat_cli.lookup import NAMED, pseudonym
from tepat_cli.outcomes import done
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Answer, Services, segment
from tepat_cli.terminal import Shown, json_line, listing, printable, say

commands = typer.Typer(
    no_args_is_help=True, help="Joint business groups (KUBE), a person in one at most: form, add, leave, show, list."
)

GroupArgument = Annotated[str, typer.Argument(metavar="GROUP", help="its name, such as mawar-jaya")]
WhoArgument = Annotated[str, typer.Argument(metavar="NIK", help=NAMED)]

GROUPS = (
    Shown("group", lambda item: item["group"], style=lambda _: "bold"),
    Shown("title", lambda item: item["title"]),
    Shown("region", lambda item: item["region"]),
    Shown("agency", lambda item: item["agency"]),
    Shown("formed on", lambda item: item["formed_on"]),
    Shown("members", lambda item: item["members"], justify="right"),
)
PEOPLE = (
    Shown("person", lambda item: item["person"]),
    Shown("since", lambda item: item["since"]),
    Shown("until", lambda item: item.get("until")),
    Shown("also in", lambda item: " ".join(item.get("also_in", ())), style=lambda _: "red"),
)


@commands.command()
def form(
    *,
    group: GroupArgument,
    title: Annotated[str, typer.Option(help="what it is called, such as 'KUBE Mawar Jaya'")],
    agency: Annotated[str, typer.Option(help="that forms it")],
    region: Annotated[str, typer.Option(help="its kelurahan or desa, such as 35.75.01.1001")],
    on: DatedOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Form a group."""
    body = {"group": group, "title": title, "agency": agency, "region": region, "formed_on": dated(on)}
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        told = services.post("distribution", "groups", body)
    if as_json:
        json_line(told)
        return
    say(done("group_stands", group=group, day=told["formed_on"], region=told["region"]))


@commands.command()
def add(
    *,
    group: GroupArgument,
    who: WhoArgument,
    on: DatedOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """A person joins; refused while they are in another group."""
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        body = {"person": pseudonym(services, "nik", who), "since": dated(on)}
        _changed(services.post("distribution", f"groups/{segment(group)}/members", body), as_json=as_json)


@commands.command()
def leave(
    *,
    group: GroupArgument,
    who: WhoArgument,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="their last day in it [today]")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """A member leaves."""
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        path = f"groups/{segment(group)}/members/{segment(pseudonym(services, 'nik', who))}/leave"
        _changed(services.post("distribution", path, {"until": dated(until)}), as_json=as_json)


@commands.command()
def show(
    *,
    group: GroupArgument,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """A group: who is and was in it, as pseudonyms; `also in` where NIKs were merged that are in two."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get("distribution", f"groups/{segment(group)}")
    if as_json:
        json_line(told)
        return
    listing(told["people"], PEOPLE, as_json=False, limit=0, none=words("no_members"))
    say(done("group_of", title=printable(told["title"]), region=told["region"], members=told["members"]))


@commands.command("list")
def list_(
    *,
    region: Annotated[str | None, typer.Option(help="in this area, such as 35.75")] = None,
    agency: Annotated[str | None, typer.Option(help="formed by this agency")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Groups, and how many are in each."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items("distribution", "groups", most=limit, region=region, agency=agency)
        listing(found, GROUPS, as_json=as_json, limit=limit, none=words("no_groups"))


def _changed(told: Answer, *, as_json: bool) -> None:
    if as_json:
        json_line(told)
        return
    say(done("group_has", group=told["group"], members=told["members"]))
