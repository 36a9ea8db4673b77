"""`tepat overlaps`: the overlaps announced, as distribution keeps them."""

from typing import Annotated, Any

import typer

from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services
from tepat_cli.terminal import Item, Shown, listing, rupiah

VERDICT_STYLE = {"exclusive": "bold red", "review": "yellow"}


def _payouts(item: Item, field: str) -> str:
    return " + ".join(str(payout.get(field, "")) for payout in item["payouts"])


def _during(item: Item) -> str:
    during: dict[str, Any] = item.get("during") or {}
    return f"{during.get('from', '')} – {during.get('to', '')}" if during else ""


COLUMNS = (
    Shown("overlap", lambda item: item["overlap_id"]),
    Shown(
        "verdict", lambda item: item.get("verdict"), style=lambda item: VERDICT_STYLE.get(item.get("verdict", ""), "")
    ),
    Shown("rule", lambda item: item.get("rule")),
    Shown("programmes", lambda item: _payouts(item, "programme")),
    Shown("payouts", lambda item: " + ".join(f"{each['agency']}/{each['payout_id']}" for each in item["payouts"])),
    Shown("states", lambda item: _payouts(item, "state")),
    Shown("during", _during),
    Shown("at risk", lambda item: rupiah(item.get("amount_at_risk")), justify="right"),
    Shown("region", lambda item: item.get("region")),
)


def overlaps(
    *,
    programme: Annotated[str | None, typer.Option(help="those with a payout of this programme")] = None,
    verdict: Annotated[str | None, typer.Option(help="exclusive or review")] = None,
    region: Annotated[str | None, typer.Option(help="those in this area, such as 33.74.01")] = None,
    agency: Annotated[str | None, typer.Option(help="those with a payout of this agency")] = None,
    live: Annotated[bool, typer.Option("--live/--all", help="those that hold now, or cleared ones too")] = True,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Payouts that overlap: which, by which rule, and how much is at risk."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items(
            "distribution",
            "overlaps",
            most=limit,
            programme=programme,
            verdict=verdict,
            region=region,
            agency=agency,
            all=None if live else "true",
        )
        listing(found, COLUMNS, as_json=as_json, limit=limit, none=words("no_overlaps"))
