"""`tepat case`: overlaps as cases that people resolve: what waits, what was decided and why, and what it saved."""

from collections.abc import Mapping
from shlex import quote
from typing import Annotated, Any, Final

import typer

from tepat_cli.outcomes import done
from tepat_cli.overlaps import VERDICT_STYLE
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services, segment
from tepat_cli.terminal import Item, Shown, details, json_line, listing, outlet, printable, rupiah, say

commands = typer.Typer(no_args_is_help=True, help="Overlaps as cases: list, show, resolve, and what it saved.")

CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="its code, such as N4FB6DTK, or its overlap's id")]
ReasonOption = Annotated[str, typer.Option(help="why; it is recorded with your name, and told")]
BasisOption = Annotated[str, typer.Option(help="on what legal basis: a law, a decree")]
RevisionOption = Annotated[
    int | None, typer.Option(min=1, help="the overlap's revision as you saw it; refused if it has changed since")
]
CaseRevisionOption = Annotated[
    int | None,
    typer.Option(min=0, help="the case's revision as you saw it; refused if somebody has acted in it since"),
]


def _payouts(item: Item) -> str:
    return " + ".join(f"{each['agency']}/{each['payout_id']}" for each in item["payouts"])


def _state(item: Item) -> str:
    return f"{item['state']}{' (waiver proposed)' if item['proposed_by'] else ''}"


def _deadline(item: Item) -> str:
    return printable(item["deadline"]) + (" (overdue)" if item["overdue"] else "")


STATE_STYLE: Final = {"open": "bold", "held": "yellow", "upheld": "red", "released": "green", "waived": "green"}
COLUMNS: Final = (
    Shown("case", lambda item: item["code"]),
    Shown("state", _state, style=lambda item: STATE_STYLE.get(item["state"], "")),
    Shown("verdict", lambda item: item["verdict"], style=lambda item: VERDICT_STYLE.get(item["verdict"] or "", "")),
    Shown("programmes", lambda item: " + ".join(each["programme"] for each in item["payouts"])),
    Shown("payouts", _payouts),
    Shown("at risk", lambda item: rupiah(item["amount_at_risk"]), justify="right"),
    Shown("region", lambda item: item["region"]),
    Shown("deadline", _deadline, style=lambda item: "red" if item["overdue"] else ""),
    Shown("assigned to", lambda item: item["assigned_to"]),
    Shown("revision", lambda item: item["overlap_revision"], justify="right"),
    Shown("case revision", lambda item: item["revision"], justify="right"),
)
PAYOUTS: Final = (
    Shown("payout", lambda item: f"{item['agency']}/{item['payout_id']}"),
    Shown("programme", lambda item: item["programme"], style=lambda _: "bold"),
    Shown("state", lambda item: item.get("state")),
    Shown("amount", lambda item: rupiah(item.get("amount")), justify="right"),
    Shown("region", lambda item: item.get("region")),
)
#: What the acts of a case mean, in words.
WORDS: Final[Mapping[str, str]] = {
    "assigned": "has charge of it: ",
    "waive_proposed": "waiver proposed; it takes somebody else",
    "reopened": "reopened: what was judged has changed",
    "overdue": "overdue: nobody resolved it in time",
    "closed": "closed: the overlap has ended",
    "payout_ended": "a payout has ended",
    "payout_changed": "a payout was changed",
    "household_changed": "person or household is another",
    "policy_changed": "the policy has changed",
}


def _happened(step: Item) -> str:
    said = WORDS.get(step["what"], step["what"]) + str(step.get("assigned_to", ""))
    if "payout" in step:
        said += f": {step['payout']} (revision {step['revision']}), {rupiah(step['amount'])}"
        return said + (", late: what holds over it was told before" if step.get("late") else "")
    if "lapsed" in step:
        said += f"; the waiver that {step['lapsed']} proposed lapses / usulan pengecualian {step['lapsed']} gugur"
    if "amount_at_risk" in step:
        said += f" ({', '.join(step['changed'])})" if "changed" in step else ""
        said += f": {step['verdict']}, {' + '.join(step['states'])}, {rupiah(step['amount_at_risk'])} at risk"
    return said


TIMELINE: Final = (
    Shown("at", lambda item: item["at"]),
    Shown("what happened", _happened),
    Shown("agency's own time", lambda item: item.get("dated")),
    Shown("by", lambda item: item.get("by")),
    Shown("reason", lambda item: WORDS.get(str(item.get("reason")), item.get("reason"))),
    Shown("basis", lambda item: item.get("basis")),
    Shown("overlap revision", lambda item: item.get("overlap_revision"), justify="right"),
)


def _counted(name: str) -> tuple[Shown, Shown]:
    return (
        Shown(name, lambda item: rupiah(item[name]), justify="right"),
        Shown("payouts", lambda item: item[f"payouts_{name}"], justify="right"),
    )


FIGURES: Final = (
    Shown("programme", lambda item: item["programme"], style=lambda _: "bold"),
    Shown("kabupaten/kota", lambda item: item["region"]),
    *_counted("prevented"),
    *_counted("recovered"),
    *_counted("kept"),
)


@commands.command("list")
def list_(
    *,
    state: Annotated[
        str | None,
        typer.Option(help="open, held, released, upheld, waived or closed; unless given, all of overlaps that stand"),
    ] = None,
    verdict: Annotated[str | None, typer.Option(help="exclusive or review")] = None,
    programme: Annotated[str | None, typer.Option(help="those with a payout of this programme")] = None,
    agency: Annotated[str | None, typer.Option(help="those with a payout of this agency")] = None,
    region: Annotated[str | None, typer.Option(help="those in this area, such as 33.74.01")] = None,
    assigned_to: Annotated[str | None, typer.Option(help="those that this account has charge of")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="those whose deadline has passed")] = False,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """What waits to be resolved, or was: an overlap that nobody has touched is an open case."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items(
            "distribution", "cases", most=limit, state=state, verdict=verdict, programme=programme, agency=agency,
            region=region, assigned_to=assigned_to, overdue="true" if overdue else None,
        )  # fmt: skip
        none = services.none(words("no_cases"), "distribution", "cases", assigned_to=assigned_to)
        listing(found, COLUMNS, as_json=as_json, limit=limit, none=none)


@commands.command()
def show(
    *,
    case: CaseArgument,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """One case: how it stands, its two payouts, what became of the money, and all that happened."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get("distribution", f"cases/{segment(case)}")
    if as_json:
        json_line(told)
        return
    money = "  ".join(f"{what} {rupiah(amount)}" for what, amount in (told.get("money") or {}).items())
    during = told["during"] or {}
    with outlet():
        details({
            "case": told["code"], "overlap": told["overlap_id"],
            "revision": f"{told['overlap_revision']}, of the case {told['revision']}",
            "state": told["state"], "verdict": told["verdict"], "rule": told["rule"],
            "during": f"{during['from']} – {during['to']}" if during else None,
            "at risk": rupiah(told["amount_at_risk"]), "region": told["region"], "assigned to": told["assigned_to"],
            "proposed by": told["proposed_by"], "deadline": _deadline(told) or None, "money": money or None,
        }, 12)  # fmt: skip
    listing(told["payouts"], PAYOUTS, as_json=False, limit=0, none=words("payouts_unknown"))
    listing(told["timeline"], TIMELINE, as_json=False, limit=0, none=words("nothing_happened"))
    if told["state"] != "closed":
        say(f"{done('to_judge')}:")
        say(
            f"  tepat case hold {quote(case)} --revision {told['overlap_revision']} "
            f"--case-revision {told['revision']} --reason … --basis …"
        )


@commands.command()
def assign(
    *,
    case: CaseArgument,
    to: Annotated[str, typer.Option(help="the account that has charge of it from now on")],
    reason: Annotated[str | None, typer.Option(help="why; it is recorded with your name, and told")] = None,
    revision: RevisionOption = None,
    case_revision: CaseRevisionOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Say who is to see to it."""
    said = {"to": to} | ({} if reason is None else {"reason": reason})
    place = Place.of(data, kafka, api, role)
    _act("assign", case, said, revision, case_revision, place, "officer", as_json=as_json)


@commands.command()
def hold(
    *,
    case: CaseArgument,
    reason: ReasonOption,
    basis: Annotated[str | None, typer.Option(help="on what legal basis: a law, a decree")] = None,
    revision: RevisionOption = None,
    case_revision: CaseRevisionOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """The payments are to wait until it is resolved."""
    said = {"reason": reason} | ({} if basis is None else {"basis": basis})
    place = Place.of(data, kafka, api, role)
    _act("hold", case, said, revision, case_revision, place, "officer", as_json=as_json)


@commands.command()
def release(
    *,
    case: CaseArgument,
    reason: ReasonOption,
    basis: BasisOption,
    revision: RevisionOption = None,
    case_revision: CaseRevisionOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Lift what was held: the payments of a review may go as long as they stay as they are, and what a rule prefers.
    What a rule excludes takes a waiver."""
    said = {"reason": reason, "basis": basis}
    place = Place.of(data, kafka, api, role)
    _act("release", case, said, revision, case_revision, place, "officer", as_json=as_json)


@commands.command()
def uphold(
    *,
    case: CaseArgument,
    reason: ReasonOption,
    basis: BasisOption,
    revision: RevisionOption = None,
    case_revision: CaseRevisionOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """It is paid twice: one of the two must not be paid, or must come back."""
    said = {"reason": reason, "basis": basis}
    place = Place.of(data, kafka, api, role)
    _act("uphold", case, said, revision, case_revision, place, "officer", as_json=as_json)


@commands.command()
def waive(
    *,
    case: CaseArgument,
    reason: ReasonOption,
    basis: BasisOption,
    revision: RevisionOption = None,
    case_revision: CaseRevisionOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Both may be paid though the rule says otherwise. Above the policy's amount it takes two people, one after the
    other."""
    said = {"reason": reason, "basis": basis}
    place = Place.of(data, kafka, api, role)
    _act("waive", case, said, revision, case_revision, place, "supervisor", as_json=as_json)


@commands.command()
def figures(
    *,
    programme: Annotated[str | None, typer.Option(help="of this programme")] = None,
    region: Annotated[str | None, typer.Option(help="in this area, such as 33.74")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Rupiah that did not leave twice, came back, or were kept, in cases that the policy or somebody judged: that part
    of what `tepat report` counts as prevented and recovered. By programme and kabupaten or kota."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get("distribution", "cases/figures", programme=programme, region=region)
    if not as_json:
        say(done("what_is_judged"))
    listing(told["items"], FIGURES, as_json=as_json, limit=0, none=words("no_money_kept"))
    if not as_json:
        say(", ".join(f"{rupiah(amount)} {name}" for name, amount in told["total"].items()))
        beside = ", ".join(f"{rupiah(amount)} {name}" for name, amount in told["beside"].items())
        say(done("beside", sums=beside))


def _act(
    what: str, case: str, said: dict[str, Any], revision: int | None, case_revision: int | None, place: Place,
    role: str, *, as_json: bool,
) -> None:  # fmt: skip
    """Do it to the overlap and to the case as they were seen, as they are now where nobody says how: who acts in it
    before this comes is not overruled.
    """
    with Services(place, role) as services:
        path = f"cases/{segment(case)}"
        if revision is None or case_revision is None:
            now = services.get("distribution", path)
            revision = now["overlap_revision"] if revision is None else revision
            case_revision = now["revision"] if case_revision is None else case_revision
        seen = {"revision": revision, "case_revision": case_revision}
        told = services.post("distribution", f"{path}/{what}", said | seen)
    if as_json:
        json_line(told)
        return
    if "warning" in told:
        say(told["warning"], "yellow")
    proposed = told["last_act"]["act"] == "waive_proposed"
    say(done("waiver_proposed" if proposed else "is_now", thing=told["code"], state=told["state"]))
