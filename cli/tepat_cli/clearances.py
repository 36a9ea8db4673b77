"""`tepat clearances`: whether planned payouts may go, as distribution last answered."""

from typing import Annotated

import typer

from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services
from tepat_cli.terminal import Shown, listing, rupiah

DECISION_STYLE = {"clear": "green", "hold": "bold red", "unknown": "yellow"}

COLUMNS = (
    Shown("payout", lambda item: f"{item['agency']}/{item['payout_id']}"),
    Shown("revision", lambda item: item["revision"], justify="right"),
    Shown("programme", lambda item: item["programme"]),
    Shown("amount", lambda item: rupiah(item["amount"]), justify="right"),
    Shown("answer", lambda item: item["decision"], style=lambda item: DECISION_STYLE[item["decision"]]),
    Shown("why", lambda item: "; ".join(item["reasons"])),
    Shown("overlaps", lambda item: len(item["overlaps"]) or "", justify="right"),
    Shown("region", lambda item: item["region"]),
)


def clearances(
    *,
    decision: Annotated[str | None, typer.Option(help="clear, hold or unknown")] = None,
    programme: Annotated[str | None, typer.Option(help="payouts of this programme")] = None,
    agency: Annotated[str | None, typer.Option(help="payouts of this agency")] = None,
    region: Annotated[str | None, typer.Option(help="payouts in this area, such as 33.74.01")] = None,
    payout_id: Annotated[str | None, typer.Option("--payout", help="this payout")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Whether planned payouts may go: clear, hold or unknown, and why."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items(
            "distribution", "clearances", most=limit,
            decision=decision, programme=programme, agency=agency, region=region, payout_id=payout_id,
        )  # fmt: skip
        listing(found, COLUMNS, as_json=as_json, limit=limit, none=words("nothing_planned"))
