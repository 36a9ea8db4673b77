"""`tepat trace ID`: one thing's path through every service, out of their databases.

A service that knows the thing may name what concerns it to others (`also`): these are asked for it too, once each.
"""

from collections import deque
from datetime import UTC, datetime
from typing import Annotated

import orjson
import typer

from tepat_cli.exits import Unreachable, WrongUse
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Answer, Missing, Services, segment
from tepat_cli.terminal import Item, Shown, listing, printable, say

SERVICE_STYLE = {"registry": "cyan", "eligibility": "magenta", "distribution": "green", "notifications": "blue"}


def _detail(item: Item) -> str:
    detail = item.get("detail") or {}
    return "  ".join(
        f"{field}={printable(value)}" for field, value in detail.items() if value is not None and field != "dated"
    )


def _at(step: Item) -> datetime:
    """When a step was; first where that can't be told."""
    try:
        moment = datetime.fromisoformat(step["at"])
    except (KeyError, TypeError, ValueError):
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


COLUMNS = (
    Shown("at", lambda item: item.get("at")),
    Shown("service", lambda item: item["service"], style=lambda item: SERVICE_STYLE.get(item["service"], "")),
    Shown("what", lambda item: item.get("what"), style=lambda _: "bold"),
    Shown("agency's own time", lambda item: (item.get("detail") or {}).get("dated")),
    Shown("detail", _detail),
)


def trace(
    *,
    thing: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="an event, AGENCY/PAYOUT or payout, AGENCY/REPORT, overlap, case, finding, household, round or coupon",
        ),
    ],
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """The path of an event, payout, overlap, finding or household: from the agency's event to the notice."""
    steps: dict[bytes, Answer] = {}
    silent: dict[str, str] = {}
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        asking = deque((service, thing) for service in services.names)
        asked = set(asking)
        while asking:
            service, name = asking.popleft()
            try:
                told = services.get(service, f"trace/{segment(name)}")
            except Missing:
                continue
            except Unreachable as wrong:
                silent[service] = str(wrong)
                continue
            steps |= {orjson.dumps(step, option=orjson.OPT_SORT_KEYS): step for step in told["steps"]}
            also = {(other, each) for other, names in told.get("also", {}).items() for each in names} - asked
            asking += sorted(also)
            asked |= also
    for each in silent.values():
        say(each, "yellow")
    if not steps:
        if silent:
            raise Unreachable(words("known_by_none"))
        raise WrongUse(words("nobody_knows", thing=printable(thing)))
    listing(sorted(steps.values(), key=_at), COLUMNS, as_json=as_json, limit=0, none="")
    if silent:
        raise Unreachable(words("gaps"))
