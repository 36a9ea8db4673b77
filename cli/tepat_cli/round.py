"""`tepat round`: goods and cash given by a ranking, coupon by coupon, and how far aid among neighbours has spread."""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from tepat_contracts.bilingual import BETWEEN, Said

from tepat_cli.entering import sha256
from tepat_cli.exits import REJECTED, WrongUse, must_hold
from tepat_cli.outcomes import done, part
from tepat_cli.place import ApiOption, AsOption, DataOption, JsonOption, KafkaOption, LimitOption, Place
from tepat_cli.refusals import of_file, words
from tepat_cli.services import Services, segment
from tepat_cli.terminal import Item, Shown, json_line, listing, printable, rupiah, say

commands = typer.Typer(
    no_args_is_help=True,
    help="Rounds of goods and cash: open one over a ranking, print and hand on its coupons, record what was given.",
)

AT_ONCE: Final = 500
COLUMNS: Final = (
    "delivery_id", "coupon", "subject", "at", "officer", "region", "lat", "lon", "photo", "receipt", "elsewhere",
)  # fmt: skip
"""Of a file of deliveries."""

RoundArgument = Annotated[str, typer.Argument(metavar="ROUND", help="the name of the round, which is its ranking's")]
RegionOption = Annotated[str | None, typer.Option(help="in this area, such as 33.74.01")]
_DAY: Final = ["%Y-%m-%d"]


def _count(name: str) -> Shown:
    return Shown(name, lambda item: item.get(name), justify="right")


def _with(item: Item) -> str:
    held = item["with"]
    return "" if held is None else f"{held['step'].upper()} {printable(held['name'])}".strip()


def _given(item: Item) -> str:
    given = item.get("delivery")
    if given is None:
        return printable(item.get("reason"))
    return f"{printable(given['at'])} by {printable(given['officer'])}, {given['proof']['kind']}"


ROUNDS = (
    Shown("round", lambda item: item["round"], style=lambda _: "bold"),
    Shown("programme", lambda item: item["programme"]),
    Shown("region", lambda item: item["region"]),
    Shown("day", lambda item: item["day"]),
    Shown("closes", lambda item: item["closes"]),
    Shown("state", lambda item: item["state"]),
    Shown("each", lambda item: rupiah(item["each"]), justify="right"),
    *map(_count, ("packages", "stock", "delivered")),
    Shown("to fetch", lambda item: item["left"], justify="right"),
)
PROMISED = (
    Shown("place", lambda item: item["place"], justify="right"),
    Shown("subject", lambda item: item["subject"]),
    Shown("region", lambda item: item["region"]),
    Shown("state", lambda item: item["state"], style=lambda i: "green" if i["state"] == "delivered" else ""),
    Shown("coupon is with", _with),
    Shown("given, or why not", _given),
)
COUPONS = (
    Shown("place", lambda item: item["place"], justify="right"),
    Shown("coupon", lambda item: item["coupon"], style=lambda _: "bold"),
    Shown("region", lambda item: item["region"]),
    Shown("subject", lambda item: item["subject"]),
    Shown("is with", _with),
)
AREAS = (
    Shown("region", lambda item: item["region"]),
    Shown("name", lambda item: item.get("name")),
    *map(_count, ("allocated", "psm", "rw")),
    Shown("resident", lambda item: item["handed"], justify="right"),
    *map(_count, ("delivered", "returned", "unclaimed")),
    Shown("to fetch", lambda item: item["left"], justify="right"),
)
MONTHS = (
    Shown("month", lambda item: item["month"]),
    Shown("kelurahan that held a round", lambda item: item["held"], justify="right"),
    Shown("of all", lambda item: f"{item['share']:.1%}", justify="right"),
)
TARGETS = (
    Shown("by", lambda item: item["by"]),
    Shown("target", lambda item: item["kelurahan"], justify="right"),
    Shown("held", lambda item: item["held"], justify="right"),
    Shown("lacking", lambda item: item["lacking"], justify="right"),
    Shown("", lambda item: item["state"].replace("_", " "), style=lambda i: "green" if i["state"] == "met" else ""),
)


def summary(told: Item) -> str:
    """A round in a line."""
    each = part("each", amount=rupiah(told["each"])) if told["each"] is not None else ""
    short = part("short", count=told["short"]) if told["short"] else ""
    plain = ("programme", "region", "state", "packages", "stock", "delivered", "left", "ranked", "closes")
    shown = {name: told[name] for name in plain}
    return done("round_is", round=printable(told["round"]), each=each, short=short, **shown)


def _done(told: Item, as_json: bool) -> None:
    if as_json:
        json_line(told)
    else:
        say(summary(told))


@commands.command("open")
def open_(
    *,
    round_: RoundArgument,
    day: Annotated[datetime, typer.Option("--on", formats=_DAY, help="the day it begins")],
    closes: Annotated[datetime | None, typer.Option(formats=_DAY, help="the last day to fetch it [--on]")] = None,
    packages: Annotated[int | None, typer.Option(min=1, help="how many there are; the ranking's places unless given")]
    = None,
    budget: Annotated[int | None, typer.Option(min=1, help="of cash: rupiah in all")] = None,
    each: Annotated[int | None, typer.Option(min=1, help="of cash: rupiah that each gets")] = None,
    by_list: Annotated[bool, typer.Option("--door-to-door", help="by the list, without coupons")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:  # fmt: skip
    """Open a round over the ranking of that name (`tepat ranking make`): the first on it are promised a package."""
    body = {
        "round": round_, "day": f"{day:%Y-%m-%d}", "closes": closes and f"{closes:%Y-%m-%d}", "packages": packages,
        "budget": budget, "each": each, "by": "list" if by_list else "coupon",
    }  # fmt: skip
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        _done(services.post("distribution", "rounds", {k: v for k, v in body.items() if v is not None}), as_json)


@commands.command("list")
def list_(
    *,
    programme: Annotated[str | None, typer.Option(help="of this programme")] = None,
    region: RegionOption = None,
    is_open: Annotated[bool | None, typer.Option("--open/--closed", help="only those that go on, or ended")] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Rounds, the last first."""
    only = None if is_open is None else str(is_open).lower()
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        found = services.items("distribution", "rounds", most=limit, programme=programme, region=region, open=only)
        listing(found, ROUNDS, as_json=as_json, limit=limit, none=words("no_rounds"))


@commands.command()
def show(
    *,
    round_: RoundArgument,
    state: Annotated[str | None, typer.Option(help="allocated, delivered, returned or unclaimed")] = None,
    region: RegionOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """A round: whom it promised a package (pseudonyms), where each coupon is, what was given by whom on what proof."""
    path = f"rounds/{segment(round_)}"
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get("distribution", path, limit=1)
        found = services.items("distribution", path, most=limit, state=state, region=region)
        listing(found, PROMISED, as_json=as_json, limit=limit, none=words("nobody"))
    if not as_json:
        say(summary(told))


@commands.command()
def coupons(
    *,
    round_: RoundArgument,
    region: RegionOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.csv", help="a sheet for the PSM to print from")
    ] = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """The coupons to be redeemed, as they are printed. Whoever has one gets the package: keep the sheet as money.

    Who had them printed is recorded.
    """
    must_hold(output, ".csv")
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        found = services.items("distribution", f"rounds/{segment(round_)}/coupons", region=region)
        if output is None:
            listing(found, COUPONS, as_json=as_json, limit=limit, none=words("no_coupons"))
        else:
            say(done("coupons_in", count=_printed(output, found, round_), path=output))


def _printed(path: Path, items: Iterable[Item], round_: str) -> int:
    """Write a sheet that only its owner reads, for Excel and LibreOffice; how many coupons are on it."""
    count = 0
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(handle, "w", encoding="utf-8-sig", newline="") as file:  # noqa: PTH123 – of a descriptor
            writer = csv.writer(file, delimiter=";")
            writer.writerow(["putaran", "urutan", "kupon", "wilayah", "subjek"])
            for each in items:
                writer.writerow([round_, each["place"], each["coupon"], each["region"], each["subject"]])
                count += 1
    except OSError as wrong:
        raise WrongUse(words("unwritable", path=path, why=of_file(wrong))) from None
    return count


@commands.command()
def hand(
    *,
    round_: RoundArgument,
    codes: Annotated[list[str] | None, typer.Argument(metavar="[COUPON]...", help="these coupons")] = None,
    to: Annotated[str, typer.Option(help="psm, rw or resident: in this order")],
    name: Annotated[str | None, typer.Option(help="whose hands, such as 'Bu Sri, PSM Tegalsari'")] = None,
    region: Annotated[str | None, typer.Option(help="all of this area that wait one step before")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Record into whose hands coupons went: the PSM, then the RW, then the residents."""
    body = {"to": to, "name": name, "coupons": codes or [], "region": region}
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        told = services.post("distribution", f"rounds/{segment(round_)}/handovers", body)
    _outcomes(told, part("handed", to=to), as_json)


@commands.command()
def deliver(
    *,
    round_: RoundArgument,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE.csv", help=f"many at once: {', '.join(COLUMNS)}")
    ] = None,
    coupon: Annotated[str | None, typer.Option(help="the code on the coupon")] = None,
    subject: Annotated[str | None, typer.Option(help="door to door: the pseudonym on the list")] = None,
    photo: Annotated[str | None, typer.Option(metavar="FILE", help="the proof; a SHA-256 will do")] = None,
    receipt: Annotated[str | None, typer.Option(metavar="FILE", help="or this, signed; a SHA-256 will do")] = None,
    officer: Annotated[str | None, typer.Option(help="who gave it")] = None,
    region: Annotated[str | None, typer.Option(help="where, such as 33.74.01.1001")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="when, such as 2026-03-06T09:30+07:00 [now]")] = None,
    lat: Annotated[float | None, typer.Option(help="degrees")] = None,
    lon: Annotated[float | None, typer.Option(help="degrees")] = None,
    elsewhere: Annotated[str | None, typer.Option(help="why in another kelurahan than the list says; no names")] = None,
    delivery_id: Annotated[str | None, typer.Option("--id", help="yours; made of the rest unless given")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """Record what was given, with its proof: one, or a file of them. Ends with 1 if any is refused, and says why.

    Telling the same again changes nothing. Of a photo or receipt its SHA-256 is sent, and nothing else.
    """
    one: dict[str, Any] = dict(
        zip(
            COLUMNS,
            (delivery_id, coupon, subject, at, officer, region, lat, lon, photo, receipt, elsewhere),
            strict=True,
        )
    )
    one["at"] = at or datetime.now().astimezone().isoformat(timespec="seconds")
    rows = _rows(file) if file is not None else iter([("", one)])
    folder = file.parent if file is not None else Path()
    total: dict[str, Any] = {"recorded": 0, "again": 0, "refused": 0, "outcomes": []}
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        while some := list(islice(rows, AT_ONCE)):
            body = {"deliveries": [_delivery(line, row, folder) for line, row in some]}
            lines = {f"body/deliveries/{place}": line for place, (line, _) in enumerate(some)}
            told = services.post("distribution", f"rounds/{segment(round_)}/deliveries", body, lines)
            for name in ("recorded", "again", "refused"):
                total[name] += told[name]
            total |= {"stock": told["stock"], "outcomes": [*total["outcomes"], *told["outcomes"]]}
    _outcomes(total, part("delivered"), as_json)


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file, by their headings, each with the line it is on in words."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            rows = csv.DictReader(file, delimiter=";" if ";" in first else ",")
            if unknown := sorted({*(rows.fieldnames or ())} - {*COLUMNS}):
                raise WrongUse(words("other_columns", path=path, columns=", ".join(unknown)))
            for row in rows:
                yield f"{path}, line {rows.line_num}:", row
    except OSError as wrong:
        raise WrongUse(words("unreadable", path=path, why=of_file(wrong))) from None
    except UnicodeDecodeError:
        raise WrongUse(words("not_utf8", path=path)) from None
    except csv.Error as wrong:
        raise WrongUse(words("unreadable", path=path, why=str(wrong))) from None


def _delivery(line: str, row: Item, folder: Path) -> dict[str, Any]:
    """A delivery as the service takes it. Raises WrongUse, which names its `line`, where something lacks."""
    try:
        return _made(row, folder)
    except WrongUse as wrong:
        raise WrongUse(f"{line} {wrong}".strip()) from None


def _made(row: Item, folder: Path) -> dict[str, Any]:
    told = {name: value for name in COLUMNS if (value := row.get(name)) not in (None, "")}
    proofs = [name for name in ("photo", "receipt") if name in told]
    if not {"at", "officer", "region"} <= {*told} or len(proofs) != 1 or ("coupon" in told) == ("subject" in told):
        raise WrongUse(words("lacks"))
    made: dict[str, Any] = {
        "at": told["at"], "officer": told["officer"], "region": told["region"],
        "proof": {"kind": proofs[0], "sha256": _digest(str(told[proofs[0]]), folder)},
        **{name: told[name] for name in ("coupon", "subject", "elsewhere") if name in told},
    }  # fmt: skip
    if "lat" in told and "lon" in told:
        try:
            made["coordinates"] = {"lat": float(told["lat"]), "lon": float(told["lon"])}
        except ValueError:
            raise WrongUse(words("degrees")) from None
    coupon = "".join(str(made.get("coupon", "")).upper().replace("-", "").split())  # one act, however it is spelt
    known = json.dumps({**made, "coupon": coupon}, sort_keys=True).encode()
    return {"delivery_id": told.get("delivery_id") or hashlib.sha256(known).hexdigest()[:32], **made}


def _digest(proof: str, folder: Path) -> str:
    """The SHA-256 of a file, or what is one already. Raises WrongUse."""
    if len(proof) == 64 and not {*proof.lower()} - {*"0123456789abcdef"}:
        return proof.lower()
    return sha256(folder / proof)


def _outcomes(told: Item, what: Said, as_json: bool) -> None:
    """What became of each; ends with 1 where any was refused."""
    if as_json:
        for each in told["outcomes"]:
            json_line(each)
    else:
        for each in told["outcomes"]:
            if each["outcome"] == "refused":
                which = printable(each.get("delivery_id") or (each["place"] and f"#{each['place']}") or "")
                why = BETWEEN.join((each["why"]["en"], each["why"]["id"]))
                say(f"{which}: {why}".removeprefix(": "), "red")
        left = part("in_stock", stock=told["stock"]) if "stock" in told else ""
        counts = {name: told[name] for name in ("recorded", "again", "refused")}
        say(done("recorded", what=what, left=left, **counts))
    if told["refused"]:
        raise typer.Exit(REJECTED)


@commands.command("return")
def return_(
    *,
    round_: RoundArgument,
    reason: Annotated[str, typer.Option(help="why it came back")],
    coupon: Annotated[str | None, typer.Option(help="the code on the coupon")] = None,
    subject: Annotated[str | None, typer.Option(help="the pseudonym on the list")] = None,
    delivery_id: Annotated[str | None, typer.Option("--delivery", help="the id of a delivery")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """A package or a coupon came back: it is promised to the next on the list."""
    named = {"coupon": coupon, "subject": subject, "delivery_id": delivery_id, "reason": reason}
    body = {"returns": [{name: value for name, value in named.items() if value is not None}]}
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        told = services.post("distribution", f"rounds/{segment(round_)}/returns", body)
    _outcomes(told, part("taken_back", count=told["allocated"]), as_json)


@commands.command()
def stock(
    *,
    round_: RoundArgument,
    id_: Annotated[str, typer.Option("--id", help="yours, so that telling it again changes nothing")],
    reason: Annotated[str, typer.Option(help="where they came from, or what became of them")],
    add: Annotated[int, typer.Option(min=0, help="so many came in addition")] = 0,
    lose: Annotated[int, typer.Option(min=0, help="so many were lost or spoilt")] = 0,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """More packages, which the next on the list are promised, or fewer: --add or --lose so many."""
    if add == lose:
        raise WrongUse(words("add_or_lose"))
    body = {"restock_id": id_, "packages": add - lose, "reason": reason}
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        _done(services.post("distribution", f"rounds/{segment(round_)}/stock", body), as_json)


@commands.command()
def close(
    *,
    round_: RoundArgument,
    next_until: Annotated[
        datetime | None, typer.Option(formats=_DAY, help="the next on the list get what nobody fetched, until this day")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """When the closing day is over: end the round, or let what nobody fetched go to the next on the list."""
    body = {"next_until": next_until and f"{next_until:%Y-%m-%d}"}
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        told = services.post("distribution", f"rounds/{segment(round_)}/close", body)
    _done(told, as_json)
    if not as_json:
        say(done("unclaimed", unclaimed=told["unclaimed"], newly=told["newly_allocated"]))


@commands.command()
def progress(
    *,
    round_: RoundArgument,
    by: Annotated[str, typer.Option(help="kelurahan, kecamatan or kabupaten")] = "kelurahan",
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """How far a round is, by area: promised, handed to PSM, RW and resident so far, delivered, returned, not fetched,
    left."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get("distribution", f"rounds/{segment(round_)}/progress", by=by)
    if as_json:
        json_line(told)
        return
    total = [{"region": "all", **told["total"]}] if told["areas"] else []
    listing([*told["areas"], *total], AREAS, as_json=False, limit=0, none=words("nobody_promised"))
    say(summary(told))
    if unhanded := told["total"].get("unhanded"):
        say(done("unhanded", count=unhanded))


@commands.command()
def report(
    *,
    region: Annotated[str, typer.Argument(metavar="KELURAHAN", help="such as 33.74.01.1001")],
    programme: Annotated[str, typer.Option(help="of this programme of neighbours")],
    day: Annotated[datetime, typer.Option("--on", formats=_DAY, help="the day it was held")],
    packages: Annotated[int, typer.Option(min=0, help="how many were given; 0 takes it back")],
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """A community held a round by itself: it counts for adoption. Told otherwise later, that holds."""
    body = {"programme": programme, "region": region, "day": f"{day:%Y-%m-%d}", "packages": packages}
    with Services(Place.of(data, kafka, api, role), "operator") as services:
        told = services.post("distribution", "held", body)
    if as_json:
        json_line(told)
        return
    say(
        done("held_round" if told["changed"] else "held_round_known", region=region, packages=packages, day=told["day"])
    )


@commands.command()
def adoption(
    *,
    region: Annotated[str, typer.Argument(metavar="REGION", help="such as 33.74")],
    programme: Annotated[str, typer.Option(help="of this programme of neighbours")],
    within: Annotated[int | None, typer.Option(min=1, help="days that a round counts for [31]")] = None,
    months: Annotated[int | None, typer.Option(min=1, max=60, help="so many, this one the last [12]")] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
    kafka: KafkaOption = None,
    api: ApiOption = None,
    role: AsOption = None,
) -> None:
    """In how many kelurahan a round was held, month by month, against the policy's targets."""
    with Services(Place.of(data, kafka, api, role), "reader") as services:
        told = services.get(
            "distribution", f"adoption/{segment(region)}", programme=programme, within=within, months=months
        )
    if as_json:
        json_line(told)
        return
    listing(told["months"], MONTHS, as_json=False, limit=0, none=words("no_kelurahan_there"))
    listing(told["targets"], TARGETS, as_json=False, limit=0, none=words("no_targets"))
    now = told["months"][-1]["held"] if told["months"] else 0
    say(done("adopted", held=now, kelurahan=told["kelurahan"], name=told["name"], days=told["within"]))
