"""`tepat fund`: what neighbours give together, what it pays for, and what it cannot carry."""

from typing import Annotated

import typer
from tepat_contracts.bilingual import halves

from tepat_cli.entering import AmountOption, DatedOption, EntryArgument, ReceiptOption, amount, dated, sha256
from tepat_cli.exits import WrongUse
from tepat_cli.lookup import home
from tepat_cli.outcomes import done
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import PAGE, Services, segment
from tepat_cli.terminal import Item, Shown, json_line, listing, rupiah, say

commands = typer.Typer(
    no_args_is_help=True,
    help="Funds of the community, by institution and purpose: open, contribute, spend, hand-over, show, list.",
)

FundArgument = Annotated[str, typer.Argument(metavar="FUND", help="its name, such as tegalsari-rtlh")]

FUNDS = (
    Shown("fund", lambda item: item["fund"], style=lambda _: "bold"),
    Shown("purpose", lambda item: item["purpose"]),
    Shown("institution", lambda item: f"{item['agency']}/{item['institution']}"),
    Shown("region", lambda item: item["region"]),
    Shown("given", lambda item: rupiah(item["contributed"]), justify="right"),
    Shown("spent", lambda item: rupiah(item["spent"]), justify="right"),
    Shown("holds", lambda item: rupiah(item["holds"]), justify="right", style=lambda _: "bold"),
    Shown("handed over", lambda item: item["handed_over"], justify="right"),
)
ENTRIES = (
    Shown("entry", lambda item: item["entry_id"]),
    Shown("on", lambda item: item["on"]),
    Shown("what", lambda item: item["kind"]),
    Shown("amount", lambda item: rupiah(item["amount"] if item["kind"] == "contribution" else -item["amount"]),
          justify="right"),
    Shown("household", lambda item: item.get("household")),
    Shown("receipt", lambda item: (item.get("receipt") or "")[:12]),
    Shown("by", lambda item: item["who"]),
    Shown("note", lambda item: item.get("note")),
)  # fmt: skip
HANDED = (
    Shown("case", lambda item: item["hand_over_id"]),
    Shown("at", lambda item: item["at"]),
    Shown("needs", lambda item: rupiah(item["amount"]), justify="right"),
    Shown("held", lambda item: rupiah(item["held"]), justify="right"),
    Shown("report", lambda item: item.get("report")),
    Shown("referred to", lambda item: item.get("to_agency")),
    Shown("reason", lambda item: item["reason"]),
)


@commands.command("open")
def open_(
    *,
    fund: FundArgument,
    agency: Annotated[str, typer.Option(help="that registered the institution")],
    institution: Annotated[str, typer.Option(help="whose fund it is, as `tepat institutions list` names it")],
    purpose: Annotated[str, typer.Option(help="what for, such as food or rtlh")],
    region: Annotated[str, typer.Option(help="where, such as 33.74.01.1001")],
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Open a fund of an institution for one purpose: what is given for food repairs no house."""
    body = {"fund": fund, "agency": agency, "institution": institution, "purpose": purpose, "region": region}
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        known = services.items("registry", "institutions", region=region)
        if not any((each["agency"], each["institution_id"]) == (agency, institution) for each in known):
            raise WrongUse(words("no_institution", agency=agency, institution=institution, region=region))
        told = services.post("distribution", "funds", body)
    _done(told, done("fund_open", fund=told["fund"], holds=rupiah(told["holds"])), as_json=as_json)


@commands.command()
def contribute(
    *,
    fund: FundArgument,
    entry: EntryArgument,
    amount_: AmountOption,
    on: DatedOption = None,
    note: Annotated[str | None, typer.Option(help="such as from which coin box; no names")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Money comes into a fund."""
    body = {"entry_id": entry, "amount": amount(amount_), "on": dated(on), "note": note}
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        told = services.post("distribution", f"funds/{segment(fund)}/contributions", body)
        holds = services.get("distribution", f"funds/{segment(fund)}", limit=1)["holds"]
    _done(told, done("fund_given", amount=rupiah(told["amount"]), fund=fund, holds=rupiah(holds)), as_json=as_json)


@commands.command()
def spend(
    *,
    fund: FundArgument,
    entry: EntryArgument,
    amount_: AmountOption,
    receipt: ReceiptOption,
    household: Annotated[
        str | None, typer.Option(help="for whom: a pseudonym, a KK or NIK, or - to be asked for it")
    ] = None,
    on: DatedOption = None,
    note: Annotated[str | None, typer.Option(help="what for; no names")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """A fund pays for something. It never pays more than it holds."""
    body = {
        "entry_id": entry, "amount": amount(amount_), "on": dated(on), "receipt": sha256(receipt), "note": note,
    }  # fmt: skip
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        if household is not None:
            body["household"] = home(services, household, dated(on))
        told = services.post("distribution", f"funds/{segment(fund)}/spendings", body)
        holds = services.get("distribution", f"funds/{segment(fund)}", limit=1)["holds"]
    _done(told, done("fund_spent", amount=rupiah(told["amount"]), fund=fund, holds=rupiah(holds)), as_json=as_json)


@commands.command("hand-over")
def hand_over(
    *,
    fund: FundArgument,
    case: Annotated[str, typer.Argument(metavar="CASE", help="your number for it, such as kasus-4")],
    amount_: AmountOption,
    reason: Annotated[str, typer.Option(help="what is needed and why; no names")],
    report: Annotated[
        str | None, typer.Option(metavar="AGENCY/REPORT", help="the report of it, which is answered as referred")
    ] = None,
    to_agency: Annotated[str | None, typer.Option(metavar="AGENCY", help="the agency that is to take it up")] = None,
    revision: Annotated[int, typer.Option(min=0, help="greater than of your earlier answers to the report")] = 1,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """What a fund cannot carry goes to the government: neighbours first, then whoever the report is referred to."""
    body = {
        "hand_over_id": case, "amount": amount(amount_), "reason": reason, "report": report, "to_agency": to_agency,
        "revision": revision,
    }  # fmt: skip
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        told = services.post("distribution", f"funds/{segment(fund)}/hand-overs", body)
    needed, held = rupiah(told["amount"]), rupiah(told["held"])
    _done(told, done("handed_over", amount=needed, fund=fund, held=held, next=halves(told["next"])), as_json=as_json)


@commands.command()
def show(
    *,
    fund: FundArgument,
    handed_over: Annotated[bool, typer.Option("--handed-over", help="what it could not carry instead")] = False,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """A fund: what came in and what it paid for, the last first."""
    path = f"funds/{segment(fund)}"
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get("distribution", path, limit=1)
        most = min(limit or PAGE, PAGE)
        if handed_over:
            found = services.items("distribution", f"{path}/hand-overs", most=most)
            listing(found, HANDED, as_json=as_json, limit=limit, none=words("all_carried"))
        else:
            found = services.items("distribution", path, most=most)
            listing(found, ENTRIES, as_json=as_json, limit=limit, none=words("nothing_came_in"))
    if not as_json:
        sums = {name: rupiah(told[name]) for name in ("contributed", "spent", "holds")}
        say(done("fund_sums", fund=fund, **sums))


@commands.command("list")
def list_(
    *,
    region: Annotated[str | None, typer.Option(help="in this area, such as 33.74")] = None,
    purpose: Annotated[str | None, typer.Option(help="for this, such as rtlh")] = None,
    agency: Annotated[str | None, typer.Option(help="of institutions that this agency registered")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Funds, and what each holds."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items("distribution", "funds", most=limit, region=region, purpose=purpose, agency=agency)
        none = services.none(words("no_funds"), "distribution", "funds", purpose=purpose)
        listing(found, FUNDS, as_json=as_json, limit=limit, none=none)


def _done(told: Item, said: str, *, as_json: bool) -> None:
    if as_json:
        json_line(told)
    else:
        say(said)
