"""`tepat ranking`: who comes first in a round where there is not enough for all."""

from typing import Annotated, Any

import typer

from tepat_cli.outcomes import done
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import PAGE, Services, segment
from tepat_cli.terminal import Item, Shown, json_line, listing, printable, say

commands = typer.Typer(
    no_args_is_help=True, help="Who comes first where there is not enough for all: make, show, list."
)

ROUNDS = (
    Shown("round", lambda item: item["round"], style=lambda _: "bold"),
    Shown("programme", lambda item: item["programme"]),
    Shown("region", lambda item: item["region"]),
    Shown("ranked", lambda item: item["ranked"], justify="right"),
    Shown("places", lambda item: item["places"], justify="right"),
    Shown("reached", lambda item: item["reached"], justify="right"),
    Shown("policy", lambda item: item["policy_version"]),
    Shown("made at", lambda item: item["made_at"]),
    Shown("by", lambda item: item["made_by"]),
)


def _facts(item: Item) -> str:
    return "  ".join(f"{name}={printable(value)}" for name, value in item["facts"].items())


RANKED = (
    Shown("rank", lambda item: item["rank"], justify="right"),
    Shown("subject", lambda item: item["subject"]),
    Shown("score", lambda item: item["score"], justify="right"),
    Shown("reached", lambda item: "yes" if item["reached"] else "no", style=lambda i: "green" if i["reached"] else ""),
    Shown("why", lambda item: item["why"]["en"]),
    Shown("rests on", _facts),
)

RoundArgument = Annotated[str, typer.Argument(metavar="ROUND", help="the round's name, such as 2026-W10")]


@commands.command()
def make(
    *,
    round_: RoundArgument,
    programme: Annotated[str, typer.Option(help="all who are eligible for it are ranked")],
    region: Annotated[str, typer.Option(help="in this area, such as 33.74.01.1001")],
    places: Annotated[int | None, typer.Option(min=1, help="for so many; the policy's quota unless given")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Rank all who are eligible in an area. The same round made again is the same list: nobody is drawn twice."""
    body: dict[str, Any] = {"round": round_, "programme": programme, "region": region}
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        made = services.post("eligibility", "rankings", body if places is None else body | {"places": places})
    if as_json:
        json_line(made)
        return
    say(summary(made))


@commands.command()
def show(
    *,
    round_: RoundArgument,
    reached: Annotated[
        bool | None, typer.Option("--reached/--left-out", help="only those who were, or were not")
    ] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """A round: each one's rank and score, what it rests on, and why they were reached or not."""
    path, only = f"rankings/{segment(round_)}", None if reached is None else str(reached).lower()
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get("eligibility", path, limit=1)
        found = services.items("eligibility", path, most=min(limit or PAGE, PAGE), reached=only)
        listing(found, RANKED, as_json=as_json, limit=limit, none=words("nobody_ranked"))
    if not as_json:
        say(summary(told))


def summary(told: Item) -> str:
    """A round in a line."""
    return done(
        "ranked", round=printable(told["round"]), ranked=told["ranked"], programme=told["programme"],
        region=told["region"], reached=told["reached"], rank_by=printable(told["rank_by"]),
    )  # fmt: skip


@commands.command("list")
def list_(
    *,
    programme: Annotated[str | None, typer.Option(help="of this programme")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Rounds, the last first, with who made them."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items("eligibility", "rankings", most=limit, programme=programme)
        listing(found, ROUNDS, as_json=as_json, limit=limit, none=words("no_rankings"))
