"""`tepat up`: the whole system on this machine, until interrupted."""

import os
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from tepat_contracts.topics import SERVICES
from tepat_local.stack import Stack
from tepat_local.stack import up as run

from tepat_cli.exits import DONE, WrongUse
from tepat_cli.place import DataOption, KafkaOption, Settings
from tepat_cli.terminal import printable

SERVERS = ("kafka", "controller", "postgres", "mail")


def up(
    *,
    data: DataOption = None,
    kafka: KafkaOption = None,
    kafka_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="of the broker; a free one otherwise")
    ] = None,
    port: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PORT", help="of postgres, mail, registry, distribution-2 …")
    ] = None,
    instances: Annotated[
        list[str] | None, typer.Option(metavar="SERVICE=N", help="so many processes of a service; 1 otherwise")
    ] = None,
) -> None:
    """Runs the whole system on this machine until interrupted; its addresses are in DIR/endpoints.json."""
    ports = _numbers(port or [], "--port", 65535)
    counts = _numbers(instances or [], "--instances", 100)
    if kafka_port is not None:
        ports["kafka"] = kafka_port
    for name in ports:
        if name not in SERVERS and name.split("-")[0] not in SERVICES:
            raise WrongUse(f"‘{printable(name)}’ has no port; {', '.join((*SERVERS, *SERVICES))} have")
    for name in counts:
        if name not in SERVICES:
            raise WrongUse(f"‘{printable(name)}’ is no service; {', '.join(SERVICES)} are")
    settings = Settings.read(data=data, kafka=kafka)
    environment = {**os.environ, **({"TEPAT_KAFKA": settings.kafka} if settings.kafka else {})}
    console = Console(highlight=False, soft_wrap=True)
    stack = Stack(
        settings.directory,
        instances=counts,
        ports=ports,
        settings=environment,
        say=lambda line: console.print(Text(printable(line))),
    )
    status = run(stack)
    if status != DONE:
        raise typer.Exit(status)


def _numbers(given: list[str], option: str, most: int) -> dict[str, int]:
    """`NAME=NUMBER` of a repeated option. Raises WrongUse."""
    numbers = {}
    for each in given:
        name, _, number = each.partition("=")
        if not number.isdecimal() or not 1 <= int(number) <= most:
            raise WrongUse(f"{option} takes NAME=NUMBER, not ‘{printable(each)}’")
        numbers[name] = int(number)
    return numbers
