"""`tepat verification`: whom officers were to visit, and what they found."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from tepat_cli.outcomes import done
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services, segment
from tepat_cli.terminal import Item, Shown, json_line, listing, printable, say

commands = typer.Typer(no_args_is_help=True, help="Field verification: batches, the funnel of one, visits.")


def _count(name: str) -> Shown:
    return Shown(name.replace("_", " "), lambda item: item[name], justify="right")


def _reason(item: Item) -> str | None:
    reason: str | None = item["reason"]
    untold = item["outcome"] == "rejected" and not (reason or "").strip()
    return "no reason given / tanpa alasan" if untold else reason


VISITED = tuple(_count(name) for name in ("visited", "confirmed", "rejected", "moved", "deceased", "not_found"))
BATCHES = (
    Shown("batch", lambda item: item["batch"], style=lambda _: "bold"),
    _count("listed"),
    *VISITED,
    Shown("listed on", lambda item: item["listed_on"]),
    Shown("last visit", lambda item: item["last_visit"]),
    Shown("forgotten", lambda item: item.get("forgotten") or None, justify="right"),
)
REASONS = (
    Shown("not confirmed", lambda item: item["outcome"]),
    Shown("reason", _reason),
    Shown("persons", lambda item: item["persons"], justify="right"),
)
VISITS = (
    Shown("visit", lambda item: f"{item['agency']}/{item['verification_id']}"),
    Shown("batch", lambda item: item["batch"]),
    Shown("person", lambda item: item["person"]),
    Shown("programme", lambda item: item["programme"]),
    Shown("outcome", lambda item: item["outcome"], style=lambda _: "bold"),
    Shown("reason", _reason),
    Shown("on", lambda item: item["verified_on"]),
    Shown("officer", lambda item: item["officer"]),
    Shown("region", lambda item: item["region"]),
    Shown("evidence", lambda item: len(item["evidence"]), justify="right"),
)


@commands.command()
def batches(
    *,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Each batch: how many were listed, how many visited, and what was found."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items("eligibility", "verifications/batches", most=limit)
        listing(found, BATCHES, as_json=as_json, limit=limit, none=words("no_batches"))


@commands.command()
def funnel(
    *,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="as `tepat verification batches` names it")],
    agency: Annotated[str | None, typer.Option(help="as far as this agency told it")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """One batch, from the list to the confirmed: why others were not, by region, officer and day."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get("eligibility", f"verifications/batches/{segment(batch)}", agency=agency)
    if as_json:
        json_line(told)
        return
    listing(told["reasons"], REASONS, as_json=False, limit=0, none=words("all_confirmed"))
    for part, name in (("regions", "region"), ("officers", "officer"), ("days", "day")):
        columns = (Shown(name, _named(name)), *([_count("listed")] if part == "regions" else []), *VISITED)
        listing(told[part], columns, as_json=False, limit=0, none=words("nobody_visited"))
    say(summary(told))


def _named(field: str) -> Callable[[Item], Any]:
    return lambda item: item[field]


def summary(told: Item) -> str:
    """The funnel in a line."""
    ends = ("rejected", "moved", "deceased", "not_found", "waiting", "forgotten")
    others = ", ".join(f"{told[name]:,} {name.replace('_', ' ')}" for name in ends if told.get(name))
    rest = f"; {others}" if others else ""
    if without := told.get("rejected_without_reason"):
        return done("batch_unreasoned", batch=printable(told["batch"]), listed=told["listed"],
                    confirmed=told["confirmed"], rest=rest, count=without)  # fmt: skip
    return done("batch", batch=printable(told["batch"]), listed=told["listed"], confirmed=told["confirmed"], rest=rest)


@commands.command("list")
def list_(
    *,
    batch: Annotated[str | None, typer.Option(help="of this batch")] = None,
    outcome: Annotated[str | None, typer.Option(help="confirmed, rejected, moved, deceased or not_found")] = None,
    officer: Annotated[str | None, typer.Option(help="by this officer, as the agency writes it")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Visits one by one: to whom (a pseudonym), what was found, by whom, and on what evidence."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items(
            "eligibility", "verifications", most=limit, batch=batch, outcome=outcome, officer=officer
        )
        none = services.none(words("no_visits"), "eligibility", "verifications", batch=batch, officer=officer)
        listing(found, VISITS, as_json=as_json, limit=limit, none=none)
