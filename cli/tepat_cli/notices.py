"""`tepat notices`: who was told what over which channel, how it went, and what could not be delivered."""

from typing import Annotated

import typer

from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.services import Services, segment
from tepat_cli.terminal import Item, Shown, listing, say

commands = typer.Typer(no_args_is_help=True, help="Notices and how they went: list, again.")

WRONG = ("failed", "doubtful", "skipped")


def _next(item: Item) -> str | None:
    due: str | None = item.get("due_at")
    return due or ("given up" if item["state"] in ("failed", "skipped") else None)


COLUMNS = (
    Shown("notice", lambda item: item["delivery_id"]),
    Shown("kind", lambda item: item["kind"], style=lambda _: "bold"),
    Shown("agency", lambda item: item["agency"]),
    Shown("channel", lambda item: item["channel"]),
    Shown("state", lambda item: item["state"], style=lambda item: "red" if item["state"] in WRONG else ""),
    Shown("of", lambda item: item["causes"]),
    Shown("tries", lambda item: item["attempts"]),
    Shown("sent", lambda item: item.get("sending_at")),
    Shown("next try", _next),
    Shown("reason", lambda item: item.get("reason")),
)


@commands.command("list")
def list_(
    *,
    state: Annotated[
        str | None,
        typer.Option(help="queued, sending, sent, delivered, read, failed, doubtful (it may have gone out) or skipped"),
    ] = None,
    channel: Annotated[str | None, typer.Option(help="over this channel, such as email")] = None,
    kind: Annotated[str | None, typer.Option(help="overlaps, digest or rejections")] = None,
    agency: Annotated[str | None, typer.Option(help="to this agency")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Notices, the newest first, without their text."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items(
            "notifications", "notices", most=limit, state=state, channel=channel, kind=kind, agency=agency
        )
        listing(found, COLUMNS, as_json=as_json, limit=limit, none="there is no such notice")


@commands.command()
def again(
    *,
    notice: Annotated[str, typer.Argument(metavar="NOTICE", help="as `tepat notices list` names it")],
    reason: Annotated[str | None, typer.Option(help="why; it is recorded with your name")] = None,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Send a notice again that was given up, skipped or is in doubt, over its first channel and with what holds now.

    One in doubt may have arrived: ask its agency before.
    """
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        body = {"reason": reason} if reason is not None else {}
        told = services.post("notifications", f"notices/{segment(notice)}/again", body)
    if told["delivery_id"] == notice:
        say(f"{notice} was {told['was']} and is queued")
    else:
        say(f"{notice} was {told['was']}; what it would have said goes with {told['delivery_id']}, which is due now")
