"""`tepat notices`: what was told to whom, how it went, and what nobody has acknowledged."""

from typing import Annotated

import typer

from tepat_cli.outcomes import done
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services, segment
from tepat_cli.terminal import Item, Shown, details, json_line, listing, outlet, printable, say

commands = typer.Typer(no_args_is_help=True, help="Notices and how they went: list, show, acknowledge, again, replies.")

CodeArgument = Annotated[str, typer.Argument(metavar="CODE", help="of the case, as the notice names it")]

WRONG = ("failed", "doubtful", "skipped")


def _state(item: Item) -> str:
    """The state, and of one that failed whether it was given up."""
    return "failed, given up" if item["state"] == "failed" and item["due_at"] is None else str(item["state"])


def _sent(item: Item) -> str | None:
    """When it was handed over; whether it was is not known of one in doubt."""
    sent: str | None = item["sent_at"]
    return "doubt" if item["state"] == "doubtful" else sent


COLUMNS = (
    Shown("notice", lambda item: item["delivery_id"]),
    Shown("recipient", lambda item: item["agency"]),
    Shown("kind", lambda item: item["kind"], style=lambda _: "bold"),
    Shown("channel", lambda item: item["channel"]),
    Shown("state", _state, style=lambda item: "red" if item["state"] in WRONG else ""),
    Shown("of", lambda item: item["causes"], justify="right"),
    Shown("tries", lambda item: item.get("attempts"), justify="right"),
    Shown("level", lambda item: item.get("level"), justify="right"),
    Shown("last try", lambda item: item["sending_at"]),
    Shown("next try", lambda item: item["due_at"]),
    Shown("sent", _sent),
    Shown("acknowledged", lambda item: item.get("acknowledged_at")),
    Shown("reason", lambda item: item.get("reason")),
)
HEARD = (
    Shown("level", lambda item: item["level"], justify="right"),
    Shown("recipient", lambda item: item["recipient"]),
    Shown("heard of", lambda item: item["news"]),
    Shown("channel", lambda item: item.get("channel")),
    Shown("state", lambda item: item.get("state", f"waits ({item['moment']})")),
    Shown("at", lambda item: item.get("sending_at", item["due_at"])),
    Shown("acknowledged", lambda item: item.get("acknowledged_at")),
)
REPLIES = (
    Shown("at", lambda item: item["came_at"]),
    Shown("channel", lambda item: item["channel"]),
    Shown("from", lambda item: item["sender"]),
    Shown("outcome", lambda item: item["outcome"].replace("_", " ")),
    Shown("cases", lambda item: ", ".join(item["codes"])),
    Shown("text", lambda item: item.get("text")),
)
WORDS = {
    "awaited": "somebody is to acknowledge it",
    "climbed": "nobody did in time: the next level's turn",
    "link": "acknowledged by the link in the notice",
    "reply": "acknowledged by a reply to the notice",
    "person": "acknowledged by an officer",
    "event": "answered by what was done",
    "ended": "over: nothing is left to acknowledge",
    "unanswered": "nobody did in time, and nobody is left to tell",
}
STEPS = (
    Shown("at", lambda item: item["at"]),
    Shown("level", lambda item: item["level"], justify="right"),
    Shown("what happened", lambda item: WORDS.get(item["what"], item["what"])),
    Shown("by", lambda item: item.get("by")),
)


@commands.command("list")
def list_(
    *,
    recipient: Annotated[str | None, typer.Option(help="to this agency, or this officer as group/name")] = None,
    kind: Annotated[
        str | None, typer.Option(help="overlap, case, finding, report, suspect, summary; overlaps, digest, rejections")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(help="queued, sending, sent, delivered, read, failed, doubtful (it may have gone out) or skipped"),
    ] = None,
    channel: Annotated[str | None, typer.Option(help="over this channel, such as email")] = None,
    level: Annotated[int | None, typer.Option(help="that climbed at least so far")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Notices, the newest first: to whom, of what, and how they went."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items(
            "notifications",
            "notices",
            most=limit,
            agency=recipient,
            kind=kind,
            state=state,
            channel=channel,
            level=level,
        )
        listing(found, COLUMNS, as_json=as_json, limit=limit, none=words("no_notices"))


@commands.command()
def show(
    *,
    code: CodeArgument,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """What a code stands for, who hears of it, and each step towards its acknowledgement."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get("notifications", f"notices/{segment(code)}")
    if as_json:
        json_line(told)
        return
    with outlet():
        for cause in told["causes"]:
            _show(cause)


def _show(cause: Item) -> None:
    awaited = cause["awaited"]
    details({name: told for name, told in cause.items() if name not in ("heard", "steps", "awaited")}, 14)
    if awaited is not None and awaited["how"] is None:
        by = f"by {printable(awaited['deadline'])}" if awaited["deadline"] else "once somebody has been told"
        print(f"{'acknowledge':<14} {by}, at level {awaited['level']}")
    print()
    listing(cause["heard"], HEARD, as_json=False, limit=0, none=words("nobody_hears"))
    if cause["steps"]:
        print()
        listing(cause["steps"], STEPS, as_json=False, limit=0, none="")


@commands.command()
def acknowledge(
    *,
    code: CodeArgument,
    note: Annotated[str, typer.Option(help="how it was heard, such as by telephone; recorded with your name")] = "",
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Somebody knows and acts: nobody above is told."""
    with Services(Place.of(data, kafka, api, role), "officer") as services:
        told = services.post("notifications", f"notices/{segment(code)}/acknowledge", {"note": note})
    say(words("acknowledged" if told["acknowledged"] else "nothing_awaited", code=told["code"]))


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
        say(done("queued", notice=notice, was=told["was"]))
    else:
        say(done("told_instead", notice=notice, was=told["was"], delivery=told["delivery_id"]))


@commands.command()
def replies(
    *,
    outcome: Annotated[
        str | None, typer.Option(help="acknowledged, nothing_awaited or not_understood: somebody may have to call back")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="over this channel, such as whatsapp")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """What recipients wrote back, the newest first, and what became of it."""
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        found = services.items("notifications", "replies", most=limit, outcome=outcome, channel=channel)
        listing(found, REPLIES, as_json=as_json, limit=limit, none=words("no_replies"))
