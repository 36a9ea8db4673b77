"""`tepat unserved`: who should be served and is not."""

from typing import Annotated, Any

import typer

from tepat_cli.days import DayOption, iso
from tepat_cli.outcomes import done
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services
from tepat_cli.terminal import Shown, json_line, listing, say

commands = typer.Typer(
    no_args_is_help=True,
    help="The unserved: of deciles 1 to 4, or named in a report, and nobody gives them anything.",
)
commands.callback()(lambda: None)

AreaArgument = Annotated[str, typer.Argument(metavar="AREA", help="such as 33.74 or 33.74.01.1001")]
DecileOption = Annotated[int, typer.Option(min=1, max=4, help="up to this decile")]
DaysOption = Annotated[int, typer.Option(min=0, help="for so many days at least")]
ExceptOption = Annotated[
    list[str] | None,
    typer.Option("--except", metavar="PROGRAMME", help="its aid does not count, such as neighbours'; may be repeated"),
]

HOUSEHOLDS = (
    Shown("household", lambda item: item["household"]),
    Shown("region", lambda item: item["region"]),
    Shown("decile", lambda item: item.get("decile"), justify="right"),
    Shown("persons", lambda item: len(item["persons"]), justify="right"),
    Shown("days", lambda item: item["days"], justify="right", style=lambda _: "bold"),
    Shown("since", lambda item: item["since"]),
    Shown("", lambda item: "never served" if item["never"] else ""),
)
PARTS = (
    Shown("area", lambda item: item["region"]),
    Shown("name", lambda item: item["name"]),
    Shown("needy", lambda item: item["needy"], justify="right"),
    Shown("unserved", lambda item: item["households"], justify="right", style=lambda _: "bold"),
    Shown("persons", lambda item: item["persons"], justify="right"),
    Shown("never served", lambda item: item["never"], justify="right"),
)


def _asked(region: str, on: Any, decile: int, days: int, apart: list[str] | None) -> dict[str, Any]:
    return {"region": region, "on": iso(on), "decile": decile, "days": days, "except": apart or None}


@commands.command("list")
def list_(
    *,
    region: AreaArgument,
    on: DayOption = None,
    decile: DecileOption = 4,
    days: DaysOption = 0,
    apart: ExceptOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Households in which somebody should be served and is not, and for how long: those the longest first."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        asked = _asked(region, on, decile, days, apart)

        def none() -> str:
            needy = services.get("registry", "unserved/count", by="kabupaten", **asked)["needy"]
            if not needy:
                return words("nobody_in_need")
            return (
                words("everyone_received", days=days, needy=needy) if days else words("everyone_receives", needy=needy)
            )

        found = services.items("registry", "unserved", most=limit, **asked)
        listing(found, HOUSEHOLDS, as_json=as_json, limit=limit, none=none)


@commands.command()
def count(
    *,
    region: AreaArgument,
    by: Annotated[str, typer.Option(help="a line for each kabupaten, kecamatan or kelurahan")] = "kelurahan",
    on: DayOption = None,
    decile: DecileOption = 4,
    days: DaysOption = 0,
    apart: ExceptOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """By part of an area how many households should be served, and how many are not."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get("registry", "unserved/count", by=by, **_asked(region, on, decile, days, apart))
    if as_json:
        json_line(told)
        return
    listing(told["items"], PARTS, as_json=False, limit=0, none=words("nobody_needy"))
    counts = {name: told[name] for name in ("households", "needy", "never", "persons")}
    say(done("unserved", day=told["on"], **counts))
