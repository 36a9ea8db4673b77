"""`tepat suspects`: what may be wrong about who is who, for somebody to decide."""

from typing import Annotated, Any

import typer

from tepat_cli.outcomes import done
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services, segment
from tepat_cli.terminal import Item, Shown, details, json_line, listing, printable, say

commands = typer.Typer(no_args_is_help=True, help="What may be wrong about who is who: list, show, decide.")

PairArgument = Annotated[str, typer.Argument(metavar="PAIR", help="as `tepat suspects list` names it")]
ReasonOption = Annotated[str, typer.Option(help="why; it is recorded with your name")]
AgencyOption = Annotated[str, typer.Option(help="in whose name it is said: one with the policy's right `merge`")]


def _evidence(item: Item) -> str:
    if item["kind"] == "merge_circle":
        return f"{len(item['persons'])} NIKs are merged in a circle"
    return "  ".join(f"{name}={printable(value)}" for name, value in item["evidence"].items())


COLUMNS = (
    Shown("pair", lambda item: item["pair"]),
    Shown("kind", lambda item: item["kind"], style=lambda _: "bold"),
    Shown("evidence", _evidence),
    Shown("region", lambda item: item.get("region")),
    Shown("since", lambda item: item["raised_at"]),
    Shown("state", lambda item: item["state"]),
    Shown("reason", lambda item: item.get("reason")),
)


@commands.command("list")
def list_(
    *,
    state: Annotated[
        str, typer.Option(help="raised, withheld (there are more probable ones), dismissed or cleared")
    ] = "raised",
    kind: Annotated[str | None, typer.Option(help="of this kind: renewal, duplicate, merge_circle")] = None,
    region: Annotated[str | None, typer.Option(help="in this area, such as 33.74.01")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """What waits for somebody to decide: circles of merges, cards that a whole family left for a new one, NIKs of
    perhaps one person, the most probable first."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items("registry", "suspects", most=limit, state=state, kind=kind, region=region)
        listing(found, COLUMNS, as_json=as_json, limit=limit, none=words("nothing_so", state=state))


@commands.command()
def show(
    *,
    pair: PairArgument,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """One of them, with whom it concerns; `tepat person show` and `tepat household show` tell of these."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get("registry", f"suspects/{segment(pair)}")
    if as_json:
        json_line(told)
        return
    evidence = told.pop("evidence")
    details(told, 12)
    if evidence:
        print("evidence")
    details({f"  {name}": value for name, value in evidence.items()}, 12)


def _act(what: str, pair: str, body: dict[str, Any], place: Place) -> Item:
    with Services(place, "registrar") as services:
        return services.post("registry", f"suspects/{segment(pair)}/{what}", body)


@commands.command()
def dismiss(
    *,
    pair: PairArgument,
    reason: ReasonOption,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """It is not so. It does not come back, whatever is told, until it is reopened."""
    told = _act("dismiss", pair, {"reason": reason}, Place.of(data, kafka, api, role))
    say(done("is_now", thing=pair, state=told["state"]))


@commands.command()
def reopen(
    *,
    pair: PairArgument,
    reason: ReasonOption,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """What was dismissed is to be decided again."""
    told = _act("reopen", pair, {"reason": reason}, Place.of(data, kafka, api, role))
    say(done("is_now", thing=pair, state=told["state"]))


@commands.command()
def merge(
    *,
    pair: PairArgument,
    agency: AgencyOption,
    reason: ReasonOption,
    into: Annotated[
        str | None, typer.Option(help="of a duplicate: which of its two persons stands for both from now on")
    ] = None,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """It is so: said on the agency's topic, from which every service takes the two as one."""
    body = {"agency": agency, "reason": reason} | ({"into": into} if into is not None else {})
    told = _act("merge", pair, body, Place.of(data, kafka, api, role))
    say(done("merged", agency=told["agency"], event=told["event"]))


@commands.command()
def unmerge(
    *,
    pair: PairArgument,
    agency: AgencyOption,
    reason: ReasonOption,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """It was not so after all: what `merge` said is taken back."""
    told = _act("unmerge", pair, {"agency": agency, "reason": reason}, Place.of(data, kafka, api, role))
    say(done("unmerged", agency=told["agency"], event=told["event"]))
