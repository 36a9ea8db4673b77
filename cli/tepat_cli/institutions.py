"""`tepat institutions`: sources of help from the community, whom they cover, and what they are given to operate on."""

from datetime import datetime
from typing import Annotated

import typer

from tepat_cli.days import DayOption, iso
from tepat_cli.entering import AmountOption, DatedOption, EntryArgument, ReceiptOption, amount, dated, sha256
from tepat_cli.outcomes import done, part
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services
from tepat_cli.terminal import Shown, json_line, listing, rupiah, say

commands = typer.Typer(no_args_is_help=True, help="Sources of help from the community: list, coverage, support.")
support = typer.Typer(no_args_is_help=True, help="What they are given to operate on, which is no aid to a person.")
commands.add_typer(support, name="support")

COLUMNS = (
    Shown("institution", lambda item: item["institution_id"]),
    Shown("kind", lambda item: item["kind"], style=lambda _: "bold"),
    Shown("name", lambda item: item["name"]),
    Shown("covers", lambda item: " ".join(item["regions"])),
    Shown("agency", lambda item: item["agency"]),
)
PARTS = (
    Shown("area", lambda item: item["region"]),
    Shown("name", lambda item: item["name"]),
    Shown("kelurahan", lambda item: item["kelurahan"], justify="right"),
    Shown("covered", lambda item: item["covered"], justify="right"),
)
SUPPORTS = (
    Shown("entry", lambda item: item["entry_id"]),
    Shown("on", lambda item: item["on"]),
    Shown("institution", lambda item: item["institution"], style=lambda _: "bold"),
    Shown("region", lambda item: item["region"]),
    Shown("purpose", lambda item: item["purpose"]),
    Shown("amount", lambda item: rupiah(item["amount"]), justify="right"),
    Shown("given by", lambda item: item["agency"]),
    Shown("receipt", lambda item: item["receipt"][:12]),
)
MONTHS = (Shown("on", lambda item: item["on"]), Shown("covered", lambda item: item["covered"], justify="right"))


@commands.command("list")
def list_(
    *,
    region: Annotated[
        str | None, typer.Option(help="those that cover this area, or a part of it, such as 33.71")
    ] = None,
    active: Annotated[bool, typer.Option("--active/--ended", help="those at work, or those no longer")] = True,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """WKSBM, PSM, Karang Taruna, LKS and others: which there are, and which areas each covers."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items(
            "registry", "institutions", most=limit, region=region, active="true" if active else "false"
        )
        listing(found, COLUMNS, as_json=as_json, limit=limit, none=words("no_institutions"))


@commands.command()
def coverage(
    *,
    region: Annotated[str, typer.Argument(metavar="AREA", help="such as 33.71")],
    by: Annotated[str, typer.Option(help="a line for each kabupaten, kecamatan or kelurahan")] = "kelurahan",
    kind: Annotated[str | None, typer.Option(help="by institutions of this kind alone, such as WKSBM")] = None,
    on: DayOption = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="also month by month from this day on")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """How many kelurahan and desa of an area an active institution covers."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get(
            "registry", "coverage", region=region, by=by, kind=kind, on=iso(on), since=iso(since),
        )  # fmt: skip
    if as_json:
        json_line(told)
        return
    listing(told["items"], PARTS, as_json=False, limit=0, none=words("no_kelurahan"))
    if "through_time" in told:
        listing(told["through_time"], MONTHS, as_json=False, limit=0, none="")
    whose = kind or part("institutions")
    say(done("covered", name=told["name"], kind=whose, covered=told["covered"], kelurahan=told["kelurahan"],
             day=told["on"]))  # fmt: skip


@support.command()
def give(
    *,
    institution: Annotated[
        str, typer.Argument(metavar="AGENCY/INSTITUTION", help="as `tepat institutions list` names both")
    ],
    entry: EntryArgument,
    agency: Annotated[str, typer.Option(help="that gives it")],
    amount_: AmountOption,
    region: Annotated[str, typer.Option(help="where the institution works, such as 64.72")],
    receipt: ReceiptOption,
    purpose: Annotated[str, typer.Option(help="what for, such as operations or training")] = "operations",
    on: DatedOption = None,
    note: Annotated[str | None, typer.Option(help="no names")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """An agency gives an institution, or a TKSK, what it needs to operate."""
    body = {
        "entry_id": entry, "agency": agency, "institution": institution, "amount": amount(amount_), "region": region,
        "receipt": sha256(receipt), "purpose": purpose, "on": dated(on), "note": note,
    }  # fmt: skip
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        told = services.post("distribution", "institutions/support", body)
    if as_json:
        json_line(told)
        return
    say(done("support_given", amount=rupiah(told["amount"]), institution=told["institution"], agency=told["agency"]))


@support.command("list")
def supports(
    *,
    region: Annotated[str | None, typer.Option(help="in this area, such as 64.72")] = None,
    agency: Annotated[str | None, typer.Option(help="given by this agency")] = None,
    institution: Annotated[
        str | None, typer.Option(metavar="AGENCY/INSTITUTION", help="given to this institution")
    ] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """What institutions were given, the last first. It is in no report of aid."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items(
            "distribution", "institutions/support", most=limit, region=region, agency=agency, institution=institution
        )
        none = services.none(words("nothing_given"), "distribution", "institutions/support", institution=institution)
        listing(found, SUPPORTS, as_json=as_json, limit=limit, none=none)
