"""`tepat topics apply`: declares our topics and those of the agencies of the policy in force."""

import asyncio

import typer
from tepat_contracts.policy import from_document
from tepat_contracts.topics import for_policy, own

from tepat_cli.cluster import declare
from tepat_cli.place import DataOption, JsonOption, KafkaOption, PartitionsOption, Place
from tepat_cli.policy import in_force
from tepat_cli.refusals import words
from tepat_cli.terminal import Shown, listing

commands = typer.Typer(no_args_is_help=True, help="Kafka topics.")


@commands.callback()
def _group() -> None:
    """Kafka topics."""


@commands.command()
def apply(
    *,
    partitions: PartitionsOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
) -> None:
    """Declares the topics that are missing: ours, and six of each agency of the policy in force."""
    place = Place.of(data, kafka)

    async def run() -> list[dict[str, str]]:
        count = partitions or place.partitions
        declared = await declare(place.kafka, own(count))
        document = await in_force(place.kafka)
        if document is not None:
            declared += await declare(place.kafka, for_policy(from_document(document), count))
        return [{"topic": name} for name in declared]

    listing(
        asyncio.run(run()),
        (Shown("declared", lambda item: item["topic"]),),
        as_json=as_json,
        limit=0,
        none=words("all_declared"),
    )
