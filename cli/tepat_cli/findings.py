"""`tepat findings`: what is wrong with payouts beside overlaps, as distribution found it."""

from typing import Annotated

import typer

from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services, segment
from tepat_cli.terminal import Item, Shown, details, json_line, listing, outlet, printable, rupiah

commands = typer.Typer(no_args_is_help=True, help="What is wrong with payouts beside overlaps: list, show.")

MONEY = ("amount", "paid", "cap", "over")


def _evidence(item: Item) -> str:
    return "  ".join(f"{name}={_told(name, value)}" for name, value in item["evidence"].items())


def _told(name: str, value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(printable, value))
    return rupiah(value) if name in MONEY and isinstance(value, int) else printable(value)


COLUMNS = (
    Shown("finding", lambda item: item["finding_id"]),
    Shown("rule", lambda item: item["rule"], style=lambda item: "bold red" if item["live"] else "dim"),
    Shown("programme", lambda item: item["programme"]),
    Shown("payouts", lambda item: " + ".join(f"{each['agency']}/{each['payout_id']}" for each in item["payouts"])),
    Shown("evidence", _evidence),
    Shown("region", lambda item: item["region"]),
    Shown("since", lambda item: item["announced_at"]),
)
PAYOUTS = (
    Shown("agency", lambda item: item["agency"]),
    Shown("payout", lambda item: item["payout_id"], style=lambda _: "bold"),
    Shown("from", lambda item: item["covers"]["from"]),
    Shown("to", lambda item: item["covers"]["to"]),
    Shown("state", lambda item: item["state"]),
    Shown("amount", lambda item: rupiah(item["amount"]), justify="right"),
    Shown("tranche", lambda item: item.get("tranche")),
    Shown("component", lambda item: item.get("component")),
    Shown("region", lambda item: item["region"]),
)


@commands.command("list")
def list_(
    *,
    rule: Annotated[
        str | None,
        typer.Option(
            help="paid_to_deceased, not_registered, paid_to_ineligible, paid_unverified, outside_area, over_cap, "
            "twice_in_round or group_too_large"
        ),
    ] = None,
    programme: Annotated[str | None, typer.Option(help="those about this programme")] = None,
    agency: Annotated[str | None, typer.Option(help="those with a payout of this agency")] = None,
    region: Annotated[str | None, typer.Option(help="those in this area, such as 33.74.01")] = None,
    live: Annotated[bool, typer.Option("--live/--all", help="those that stand now, or cleared ones too")] = True,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Payouts to the deceased, to persons nobody registered, to those found ineligible or not yet verified, above what
    the policy pays, twice in a round, or where the programme does not run."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items(
            "distribution", "findings", most=limit, rule=rule, programme=programme, agency=agency, region=region,
            all=None if live else "true",
        )  # fmt: skip
        listing(found, COLUMNS, as_json=as_json, limit=limit, none=words("no_findings"))


@commands.command()
def show(
    *,
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="as `tepat findings list` names it")],
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """One finding: the evidence, and its payouts as the ledger has them now."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get("distribution", f"findings/{segment(finding)}")
    if as_json:
        json_line(told)
        return
    payouts, evidence = told.pop("payouts"), told.pop("evidence")
    many = told.get("live_payouts")
    details(told, 14)
    with outlet():
        print("evidence")
    details({f"  {name}": _told(name, value) for name, value in evidence.items()}, 14)
    with outlet():
        print("\npayouts")
    none = words("not_in_ledger")
    if many is not None:
        none = words("not_listed", payouts=f"{many:,}", most=f"{evidence['live_payouts_over']:,}")
    listing(payouts, PAYOUTS, as_json=False, limit=0, none=none)
