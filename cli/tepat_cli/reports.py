"""`tepat reports`: what was reported from below, who has charge of it, and all that happened."""

from collections.abc import Callable, Mapping
from typing import Annotated, Final

import typer

from tepat_cli.exits import WrongUse
from tepat_cli.person import PurposeOption
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services, segment
from tepat_cli.terminal import Item, Shown, details, json_line, listing, outlet, printable

commands = typer.Typer(no_args_is_help=True, help="Reports from below: list, show, unfiled.")


def _who(item: Item) -> str:
    return str(item.get("in_charge") or ("the neighbours" if item["step"] == "neighbours" else ""))


COLUMNS = (
    Shown("report", lambda item: f"{item['agency']}/{item['report_id']}"),
    Shown("kind", lambda item: item["kind"], style=lambda _: "bold"),
    Shown("region", lambda item: item["region"]),
    Shown("filed", lambda item: item["filed_at"]),
    Shown("step", lambda item: item["step"]),
    Shown("in charge", _who),
    Shown("state", lambda item: item["state"], style=lambda item: "red" if item["state"] == "overdue" else ""),
    Shown("deadline", lambda item: item.get("deadline")),
    Shown("outcome", lambda item: item.get("outcome")),
)
PEOPLE = (
    Shown("name", lambda item: item.get("name", "(not disclosed)")),
    Shown("nik", lambda item: item.get("nik")),
    Shown("matched by", lambda item: item["matched_by"] or "nobody of that name is known there"),
    Shown("person", lambda item: " ".join(item["persons"])),
    Shown("known", lambda item: "yes" if item["known"] else "no"),
)


def _neighbours(item: Item) -> str:
    return ", ".join(f"{each['institution_id']} ({each['agency']})" for each in item.get("neighbours", ()))


def _asked(item: Item) -> str:
    whom = f"neighbours first: {_neighbours(item)}" if "neighbours" in item else f"{item['agency']} ({item['step']})"
    return f"goes to {whom}" + (f", to answer by {item['deadline']}" if "deadline" in item else "")


def _answered(item: Item) -> str:
    outcome = item["outcome"].replace("_", " ")
    to = f" to {item['to_agency']}" if "to_agency" in item else ""
    noted = "" if item.get("counts", True) else ", which changes nothing"
    if item.get("unknown"):
        noted = ", an agency that the policy does not know: it stays where it is"
    return f"{item['agency']} answers: {outcome}{to}{noted}" + (f" – {item['reason']}" if "reason" in item else "")


def _by(item: Item) -> str:
    return str(item.get("agency", "the neighbours"))


WORDS: Final[Mapping[str, Callable[[Item], str]]] = {
    "filed": lambda item: f"filed by {item['agency']} ({item['role']}): {item['kind']} in {item['region']}",
    "corrected": lambda item: f"{item['agency']} corrects it",
    "moved": lambda item: f"{item['agency']} files it anew: {item['kind']} in {item['region']}",
    "asked": _asked,
    "nobody": lambda item: f"nobody has charge of it at {item['step']}: passed at once",
    "answered": _answered,
    "unanswered": lambda item: f"{_by(item)} ({item['step']}) gave no answer in time",
    "unresolved": lambda item: f"{_by(item)} ({item['step']}) did not resolve it in time",
    "policy": lambda item: f"policy {item['version']} puts another in charge",
    "overdue": lambda item: f"overdue at {item['step']}: nobody is left to ask",
}
UNFILED = (
    Shown("report", lambda item: item["report_id"]),
    Shown("answered by", lambda item: item["agency"]),
    Shown("at", lambda item: item["answered_at"]),
    Shown("outcome", lambda item: item["outcome"]),
)
HAPPENED = (
    Shown("at", lambda item: item["at"]),
    Shown("what happened", lambda item: WORDS[item["what"]](item) if item["what"] in WORDS else item["what"]),
)


@commands.command("list")
def list_(
    *,
    region: Annotated[str | None, typer.Option(help="from this area, such as 64.72")] = None,
    kind: Annotated[str | None, typer.Option(help="of this kind, such as flood")] = None,
    step: Annotated[
        str | None, typer.Option(help="at neighbours, rt, kelurahan, kecamatan, kota, province; or filed")
    ] = None,
    state: Annotated[str | None, typer.Option(help="waiting, acknowledged, overdue or closed")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="those that have passed their last deadline")] = False,
    in_charge: Annotated[str | None, typer.Option(help="of which this agency has charge")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Where reports from below stand: at which step, with whom, and until when."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items(
            "registry", "reports", most=limit, region=region, kind=kind, step=step, state=state,
            overdue="true" if overdue else None, in_charge=in_charge,
        )  # fmt: skip
        listing(found, COLUMNS, as_json=as_json, limit=limit, none=words("no_reports"))


@commands.command()
def unfiled(
    *,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Answers to reports that nobody has filed: an id mistyped, or a report yet to come, with which they count."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items("registry", "reports/unfiled", most=limit)
        listing(found, UNFILED, as_json=as_json, limit=limit, none=words("all_filed"))


@commands.command()
def show(
    *,
    which: Annotated[str, typer.Argument(metavar="AGENCY/ID", help="as `tepat reports list` names it")],
    purpose: PurposeOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """A report, whom it concerns, and all that happened to it."""
    agency, slash, report_id = which.partition("/")
    if not slash:
        raise WrongUse(words("whose_report", report=printable(which)))
    with Services(Place.of(data, kafka, api, role), "reader" if purpose is None else "officer") as services:
        told = services.get("registry", f"reports/{segment(agency)}/{segment(report_id)}", purpose=purpose)
    if as_json:
        json_line(told)
        return
    with outlet():
        kept = ("timeline", "people", "neighbours", "key")
        details({name: value for name, value in told.items() if name not in kept}, 14)
        if "neighbours" in told:
            print(f"{'neighbours':<14} {printable(_neighbours(told))}")
    listing(told["people"], PEOPLE, as_json=False, limit=0, none=words("names_nobody"))
    listing(told["timeline"], HAPPENED, as_json=False, limit=0, none="")
