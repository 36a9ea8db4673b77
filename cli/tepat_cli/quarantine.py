"""`tepat quarantine`: what the services could not take, and taking it again.

A quarantined record is named as its topic, partition and offset, `agency.dinsos.payouts.v1-3-42`; slashes between
them are understood too.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any

import typer
from tepat_contracts.topics import OWNER, Kind

from tepat_cli.exits import REJECTED, WrongUse
from tepat_cli.outcomes import done
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Missing, Services, segment
from tepat_cli.terminal import Item, Shown, details, json_line, listing, say

commands = typer.Typer(no_args_is_help=True, help="Records that could not be taken: list, show, replay.")

ServiceOption = Annotated[str | None, typer.Option("--service", help="of this service alone")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="quarantined for this reason, such as nik_invalid")]

_NAME = re.compile(r"(?P<topic>[a-z0-9.-]+?\.v\d+)[-/](?P<partition>\d+)[-/](?P<offset>\d+)")


def name(item: Item) -> str:
    """How a quarantined record is named."""
    return f"{item['topic']}-{item['partition']}-{item['offset']}"


def entry(text: str) -> dict[str, Any]:
    """The record a name names. Raises WrongUse."""
    found = _NAME.fullmatch(text)
    if found is None:
        raise WrongUse(words("no_record", text=text))
    return {"topic": found["topic"], "partition": int(found["partition"]), "offset": int(found["offset"])}


def owner(topic: str) -> str:
    """The service that takes a topic's records."""
    kind = topic.split(".")[-2]
    if kind not in set(Kind):
        raise WrongUse(words("not_sent_on", topic=topic))
    return OWNER[Kind(kind)]


COLUMNS = (
    Shown("record", name),
    Shown("reason", lambda item: item.get("reason"), style=lambda _: "red"),
    Shown("field", lambda item: item.get("pointer")),
    Shown("message", lambda item: item.get("message")),
    Shown("event", lambda item: item.get("event_id")),
    Shown("since", lambda item: item.get("quarantined_at")),
    Shown("replayed", lambda item: item.get("replayed_at")),
)


def _services(service: str | None) -> list[str]:
    owners = sorted(set(OWNER.values()))
    if service is None:
        return owners
    if service not in owners:
        raise WrongUse(words("no_quarantine", service=service, owners=", ".join(owners)))
    return [service]


@commands.command("list")
def list_(
    *,
    service: ServiceOption = None,
    reason: ReasonOption = None,
    agency: Annotated[str | None, typer.Option(help="sent by this agency")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """What is in quarantine: where it was sent, and why it could not be taken."""
    with Services(Place.of(data, kafka, api, role), "operator") as services:

        def of(name: str) -> Iterator[Item]:
            for item in services.items(name, "quarantine", most=limit, reason=reason, agency=agency):
                yield {"service": name, **item}

        items = chain.from_iterable(map(of, _services(service)))
        listing(items, COLUMNS, as_json=as_json, limit=limit, none=words("quarantine_empty"))


@commands.command()
def show(
    *,
    record: Annotated[str, typer.Argument(metavar="ID", help="TOPIC-PARTITION-OFFSET")],
    purpose: Annotated[str | None, typer.Option(help="why what was sent is disclosed to you; it is recorded")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """One record in quarantine; what was sent is told as its shape alone (9 a digit, x a letter) unless a purpose is
    given, which takes the right to disclose too.
    """
    wanted = entry(record)
    topic, partition, offset = wanted.values()
    with Services(Place.of(data, kafka, api, role), "operator" if purpose is None else "admin") as services:
        try:
            told = services.get(owner(topic), f"quarantine/{segment(topic)}/{partition}/{offset}", purpose=purpose)
        except Missing:
            raise WrongUse(words("not_quarantined", record=record)) from None
    if as_json:
        json_line(told)
        return
    details(told, 15)


@commands.command()
def replay(
    *,
    records: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="TOPIC-PARTITION-OFFSET")] = None,
    reason: ReasonOption = None,
    every: Annotated[bool, typer.Option("--all", help="whatever is in quarantine")] = False,
    service: ServiceOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Takes records again after a fix, each once however often it is called. Ends with 1 if some are still rejected."""
    if sum((bool(records), reason is not None, every)) != 1:
        raise WrongUse(words("what_to_replay"))
    asked: dict[str, Any] = {}
    if records:
        for wanted in map(entry, records):
            asked.setdefault(owner(wanted["topic"]), {"entries": []})["entries"].append(wanted)
    else:
        asked = {each: {"reason": reason} if reason else {} for each in _services(service)}
    rejected = 0
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        for each, body in asked.items():
            told = services.post(each, "quarantine/replay", body)
            rejected += told["rejected"]
            if as_json:
                json_line({"service": each, **told})
            else:
                counts = {what: told[what] for what in ("replayed", "accepted", "rejected")}
                say(done("replayed", service=each, **counts))
    if rejected:
        raise typer.Exit(REJECTED)
