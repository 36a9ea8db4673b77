"""`tepat capital`: who got business capital, and what shows that they did."""

from typing import Annotated

import typer

from tepat_cli.entering import DatedOption, ReceiptOption, dated, sha256, sides
from tepat_cli.outcomes import done
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services
from tepat_cli.terminal import Shown, json_line, listing, rupiah, say

commands = typer.Typer(no_args_is_help=True, help="Business capital: who got it, and the receipts: list, receipt.")

COLUMNS = (
    Shown("payout", lambda item: f"{item['agency']}/{item['payout_id']}"),
    Shown("programme", lambda item: item["programme"]),
    Shown("amount", lambda item: rupiah(item["amount"]), justify="right"),
    Shown("state", lambda item: item["state"]),
    Shown("from", lambda item: item["covers"]["from"]),
    Shown("household", lambda item: item["household"]),
    Shown("region", lambda item: item["region"]),
    Shown("group", lambda item: item.get("group")),
    Shown("receipt", lambda item: (item.get("receipt") or "none")[:12],
          style=lambda item: "" if "receipt" in item else "red"),
)  # fmt: skip


@commands.command("list")
def list_(
    *,
    region: Annotated[str | None, typer.Option(help="in this area, such as 35.75")] = None,
    agency: Annotated[str | None, typer.Option(help="paid by this agency")] = None,
    household: Annotated[str | None, typer.Option(help="to this household, by its pseudonym")] = None,
    receipt: Annotated[
        bool | None, typer.Option("--with-receipt/--without-receipt", help="only those with one, or without")
    ] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Payouts of business capital: to which household, of which joint group, and whether a receipt is kept."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items(
            "distribution", "capital", most=limit, region=region, agency=agency, household=household,
            receipt=None if receipt is None else str(receipt).lower(),
        )  # fmt: skip
        listing(found, COLUMNS, as_json=as_json, limit=limit, none=words("nobody_got_any"))


@commands.command("receipt")
def receipt_(
    *,
    payout: Annotated[str, typer.Argument(metavar="AGENCY/PAYOUT", help="as `tepat capital list` names it")],
    receipt: ReceiptOption,
    on: DatedOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Record that the goods were received, and the SHA-256 of what shows it."""
    agency, payout_id = sides(payout)
    body = {"agency": agency, "payout_id": payout_id, "receipt": sha256(receipt), "received_on": dated(on)}
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        told = services.post("distribution", "capital/receipts", body)
    if as_json:
        json_line(told)
        return
    say(done("receipt_kept", payout=payout, receipt=told["receipt"]))
