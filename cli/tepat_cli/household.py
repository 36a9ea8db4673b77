"""`tepat household`: one household with all that is known of it, put together from what each service answers."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final

import typer

from tepat_cli.days import DayOption, iso
from tepat_cli.exits import Ended
from tepat_cli.findings import COLUMNS as FINDINGS
from tepat_cli.lookup import NAMED, home
from tepat_cli.outcomes import done
from tepat_cli.overlaps import COLUMNS as OVERLAPS
from tepat_cli.person import PurposeOption
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, Place
from tepat_cli.refusals import words
from tepat_cli.services import Services, segment
from tepat_cli.terminal import Item, Shown, json_line, listing, outlet, printable, rupiah, say

commands = typer.Typer(no_args_is_help=True, help="A household: its people, all it receives, and what is known of it.")
commands.callback()(lambda: None)

MEMBERS: Final = (
    Shown("person", lambda item: item["person"]),
    Shown("nik", lambda item: item["nik"]),
    Shown("names", lambda item: printable(item.get("names"))),
    Shown("agency", lambda item: item["agency"]),
    Shown("since", lambda item: item["since"]),
    Shown("until", lambda item: item.get("until")),
    Shown("relation", lambda item: item.get("relation")),
    Shown("deceased on", lambda item: item.get("deceased_on")),
)
PAYOUTS: Final = (
    Shown("programme", lambda item: item["programme"], style=lambda _: "bold"),
    Shown("from", lambda item: item["covers"]["from"]),
    Shown("to", lambda item: item["covers"]["to"]),
    Shown("state", lambda item: item["state"]),
    Shown("amount", lambda item: rupiah(item["amount"]), justify="right"),
    Shown("kind", lambda item: item.get("kind")),
    Shown("agency", lambda item: item["agency"]),
    Shown("payout", lambda item: item["payout_id"]),
    Shown("person", lambda item: item["person"]),
)
DECISIONS: Final = (
    Shown("programme", lambda item: item["programme"], style=lambda _: "bold"),
    Shown("decision", lambda item: item["decision"]),
    Shown("of", lambda item: printable(item["of"])),
    Shown("as of", lambda item: item["as_of"]),
    Shown("policy", lambda item: item["policy_version"]),
)
REPORTS: Final = (
    Shown("report", lambda item: item["report_id"]),
    Shown("kind", lambda item: item["kind"], style=lambda _: "bold"),
    Shown("region", lambda item: item["region"]),
    Shown("filed on", lambda item: item["filed_on"]),
    Shown("outcome", lambda item: item.get("outcome")),
)
INSTITUTIONS: Final = (
    Shown("institution", lambda item: item["institution_id"]),
    Shown("kind", lambda item: item["kind"], style=lambda _: "bold"),
    Shown("name", lambda item: item["name"]),
    Shown("covers", lambda item: " ".join(item["regions"])),
)


@commands.command()
def show(
    *,
    which: Annotated[str, typer.Argument(metavar="KK", help=f"its card's number, or a member's NIK: {NAMED}")],
    on: DayOption = None,
    purpose: PurposeOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """A household under whichever of its cards: its people, as each agency says; all that they receive under every
    programme; overlaps, decisions, reports that name them, institutions near them. With --on its people on that day
    and payouts for periods begun by then; all else is as of today.
    """
    day = iso(on)
    with Services(Place.of(data, kafka, api, role), "reader" if purpose is None else "officer") as services:
        told = services.get("registry", f"households/{segment(home(services, which, day))}", on=day, purpose=purpose)
        told |= _elsewhere(services, told)
    if as_json:
        json_line(told)
        return
    with outlet():
        print(f"{'household':<12} {told['household']}")
        if told["stands_for"] != told["household"]:
            print(f"{'stands for':<12} {told['stands_for']}")
        if len(told["cards"]) > 1:
            print(f"{'cards':<12} {printable(told['cards'])}")
        if told["ppks"]:
            print(f"{'PPKS':<12} {', '.join(map(printable, told['ppks']))}")
        if day is not None:
            print(f"{'on ' + day:<12} its people, and payouts for periods begun by then; all else is as of today")
    _part("members", _memberships(told), MEMBERS, words("no_members_then"))
    _part("received", told["payouts"], PAYOUTS, words("nothing_received"))
    if told.get("more"):
        say(done("more_payouts", count=told["more"]))
    _part("overlaps", told.get("overlaps"), OVERLAPS, words("none"))
    _part("findings", told.get("findings"), FINDINGS, words("none"))
    _part("decisions", _decided(told), DECISIONS, words("none"))
    _part("reports", told["reports"], REPORTS, words("no_report_names"))
    _part("institutions near", told["institutions"], INSTITUTIONS, words("none"))
    for gap in told["gaps"]:
        say(gap["why"], "red")


def _elsewhere(services: Services, told: Item) -> dict[str, Any]:
    """What other services know of a household; of one that can't be asked, why not."""
    of = told["stands_for"]
    persons = sorted({member["stands_for"] for member in told["members"]})

    def overlaps() -> Iterable[Item]:
        return services.items("distribution", "overlaps", household=of)

    def decisions() -> Iterable[Item]:
        yield from services.items("eligibility", "decisions", household=of)
        for person in persons:
            yield from services.items("eligibility", "decisions", person=person)

    found: dict[str, Any] = {"gaps": []}

    def findings() -> Iterable[Item]:
        """Those of the household, and those of its people alone."""
        of_it = list(services.items("distribution", "findings", household=of))
        theirs = (each for who in persons for each in services.items("distribution", "findings", person=who))
        return {each["finding_id"]: each for each in (*of_it, *theirs)}.values()

    asked: tuple[tuple[str, Callable[[], Iterable[Item]]], ...] = (
        ("overlaps", overlaps),
        ("findings", findings),
        ("decisions", decisions),
    )
    for name, ask in asked:
        try:
            found[name] = list(ask())
        except Ended as gap:
            found["gaps"].append({"lacks": name, "why": str(gap)})
    return found


def _memberships(told: Item) -> list[Item]:
    return [{**member, **membership} for member in told["members"] for membership in member["memberships"]]


def _decided(told: Item) -> list[Item] | None:
    """Decisions with whom they are of: the household, or a person by names where these are disclosed, else as members
    are listed."""
    called = {each["stands_for"]: each.get("names") or each["person"] for each in told["members"]}
    return told.get("decisions") and [
        {**each, "of": called.get(each["person"], each["person"]) if each["unit"] == "person" else "household"}
        for each in told["decisions"]
    ]


def _part(title: str, rows: list[Item] | None, columns: tuple[Shown, ...], none: str) -> None:
    """A part of what is shown; none of it where it could not be asked."""
    if rows is None:
        return
    with outlet():
        print(f"\n{title}")
    listing(rows, columns, as_json=False, limit=0, none=f"{title}: {none}")
