"""The words of the notices: Jinja2 templates, Indonesian first and then English.

Invariants
- No template gets anything but names, numbers, dates and codes: no NIK, no KK, no pseudonym. Should an agency have
  made its payout's number of a NIK, it is masked like everywhere.
- A subject is one line. What goes over a channel that carries only so many characters is no longer than that; in it
  the code of the case comes first, and the link by which it is acknowledged is whole.
- Such a message is written in the 7-bit alphabet of GSM 03.38, a short one in one language alone: in an SMS a single
  letter beyond it would leave 70 characters of the 160.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.numbers import format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from tepat_chassis.logging import mask
from tepat_contracts.cases import LETTERS
from tepat_contracts.regions import time_zone

from tepat_notifications.channels.base import plain
from tepat_notifications.domain import LANGUAGES, ORDER, Advice, Kind, Language, Payout, Province

LISTED = 50
"""Cases a notice names one by one; the rest it counts."""
NAME_LENGTH = 80
SUBJECT_LENGTH = 200
BETWEEN_LANGUAGES = "\n\n" + "-" * 72 + "\n\n"
SMS = 160
BOTH_LANGUAGES = 500
"""Characters from which on a message that carries only so many has room for both languages, and for what to do."""
CODE_AND_COMMA = LETTERS + len(", ")
LEAST_ABOUT = 12
"""Characters that say what it is about, below which a link is left out: it is that long."""
CUT = "..."
OVER = "cleared"
"""What is said of an overlap that is over."""
CLOCKS: Mapping[str, str] = {"Asia/Jakarta": "WIB", "Asia/Makassar": "WITA", "Asia/Jayapura": "WIT"}
LOCALES: Mapping[Language, str] = {"id": "id_ID", "en": "en_GB"}


class Text(NamedTuple):
    """A notice in words."""

    subject: str
    body: str


class Texts:
    """Writes notices."""

    def __init__(self) -> None:
        environment = Environment(
            loader=PackageLoader("tepat_notifications"), undefined=StrictUndefined, autoescape=False,  # noqa: S701 – plain text
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        environment.filters |= {"rupiah": rupiah}
        self._templates: dict[tuple[str, Language], Template] = {
            (kind, language): environment.get_template(f"{kind}.{language}.j2", globals={"locale": locale})
            for kind in ("overlaps", "digest", "rejections")
            for language, locale in LOCALES.items()
        }
        self._notice = environment.get_template("notice.j2")
        self._short = environment.get_template("short.j2")

    def write(
        self, kind: Kind, agency: str, content: Mapping[str, Any], province: Province,
        *, limit: int | None = None,
    ) -> Text:  # fmt: skip
        """A notice to a recipient, in their languages or that of its route, of at most so many characters; ``content``
        is what ``told``, ``refused`` or ``heard`` makes.
        """
        languages = tuple(each for each in LANGUAGES if each == content.get("route_language")) or province.languages(
            agency
        )
        parts = [self._one(kind, each, agency, content, province) for each in languages]
        subject = f"[Tepat] {' / '.join(subject for subject, _ in parts)}"[:SUBJECT_LENGTH]
        if limit is None:
            return Text(subject, BETWEEN_LANGUAGES.join(body for _, body in parts) + "\n")
        if limit < BOTH_LANGUAGES:
            languages = languages[:1]
        share = limit // len(languages) - (len(languages) - 1)
        return Text(subject, "\n".join(self._within(share, each, content, province) for each in languages))

    def _within(self, limit: int, language: Language, content: Mapping[str, Any], province: Province) -> str:
        """A message of at most so many characters: the code of its case, what it is about, and where it is
        acknowledged; as far as there is room the amount, the place, what to do, and of several the other codes.
        """
        short: Any = self._short.make_module({
            "language": language, "place": lambda code: _nearest(code, province.regions), "link": None,
            "awaited": False, "replied_to": False, "long": limit > SMS, **content,
        })  # fmt: skip
        about, amount, area, todo = (
            mask(plain(" ".join(str(part).split()))) for part in (short.about, short.amount, short.area, short.todo)
        )
        head, confirm = str(short.head), str(short.confirm)
        if len(head) + len(confirm) + LEAST_ABOUT > limit:
            confirm = ""
        room = limit - len(head) - len(" ") - (len(confirm) + len(" ") if confirm else 0)
        if len(about) + len(".") > room:
            about = about[: room - len(CUT)].rstrip(" ,;:(") + CUT
        else:
            for more in filter(None, (amount, area)):
                if len(about) + len(", .") + len(more) <= room:
                    about = f"{about}, {more}"
            about += "."
            if limit > SMS and todo and len(about) + len(" ") + len(todo) <= room:
                about = f"{about} {todo}"
            about += _others(str(short.case), content, room - len(about))
        return " ".join(filter(None, (head, about, confirm)))

    def _one(
        self, kind: Kind, language: Language, agency: str, content: Mapping[str, Any], province: Province
    ) -> tuple[str, str]:
        def day(value: date) -> str:
            if isinstance(value, datetime):
                value = value.astimezone(province.zone)
            return format_date(value, "long", LOCALES[language])

        def programme(code: str) -> str:
            name = province.programmes.get(code)
            return code if name is None else f"{code} ({_short(getattr(name, language))})"

        def moment(told: str, region: str | None) -> str:
            zone = time_zone(region or "") or province.zone.key
            at = datetime.fromisoformat(told).astimezone(ZoneInfo(zone))
            return f"{format_date(at, 'long', LOCALES[language])} {at:%H.%M} {CLOCKS.get(zone, zone)}"

        template = self._templates.get((kind, language), self._notice)
        text = template.render(
            agency=_name(agency, province), day=day, programme=programme, moment=moment,
            iso_day=lambda told: day(date.fromisoformat(told)), kind=kind, language=language,
            name=lambda other: _name(other, province), place=lambda code: place(code, province.regions),
            locale=LOCALES[language], **content,
        )  # fmt: skip
        subject, _, body = text.partition("\n")
        return mask(subject.strip()), mask(body.strip())


def told(tallies: Sequence[Mapping[str, Any]], cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a notice about overlaps says.

    Args:
        tallies: number and rupiah of cases, by what is said of them and by pair of programmes.
        cases: those that are listed one by one.
    """
    numbers: Counter[str] = Counter()
    pairs: dict[tuple[str, str], dict[str, Any]] = {}
    for tally in tallies:
        numbers[tally["what"]] += tally["cases"]
        if tally["what"] != OVER:
            a, b = sorted((tally["programme_a"], tally["programme_b"]), key=lambda code: code or "")
            pair = pairs.setdefault((a, b), {"cases": 0, "at_risk": 0, "programme_a": a, "programme_b": b})
            pair["cases"] += tally["cases"]
            pair["at_risk"] += tally["at_risk"]
    listed: dict[str, list[Mapping[str, Any]]] = {}
    for nth, case in enumerate(sorted(cases, key=lambda case: ORDER.index(case["what"])), 1):
        listed.setdefault(case["what"], []).append({**case, "place": nth})
    return {
        "number": numbers.total(),
        "numbers": numbers,
        "pairs": sorted(pairs.values(), key=lambda pair: pair["at_risk"], reverse=True),
        "at_risk": sum(pair["at_risk"] for pair in pairs.values()),
        "listed": listed,
        "left": {what: number - len(listed.get(what, ())) for what, number in numbers.items()},
        "sorts": [
            _sort("overlap", [{**row, "amount": row["amount_at_risk"]} for row in of], numbers[what], over=what == OVER)
            for what, of in listed.items()
        ],
    }


def advised(rows: Iterable[Mapping[str, Any]], recipient: str, province: Province) -> list[dict[str, Any]]:
    """Overlaps, or their tallies, with what their rules say of which payout goes first: ``goes`` and ``waits``, where
    one does. Whoever pays the waiting one alone is told to hold it, as of any other.
    """
    found = []
    for row in rows:
        advice = None
        if row["what"] != OVER and row["verdict"] == "exclusive":
            advice = province.advice(
                recipient, row["rule"],
                *(Payout(row[f"agency_{side}"], row[f"programme_{side}"]) for side in ("a", "b")),
            )  # fmt: skip
        told = _with(row, advice)
        if (row["what"], told["verdict"]) == ("exclusive", "preferred"):
            told["what"] = "preferred"
        found.append(told)
    return found


def ruled(rows: Iterable[Mapping[str, Any]], recipient: str, province: Province) -> list[dict[str, Any]]:
    """Causes by routes, the overlaps among them as ``advised`` has them. One kept before its rule was is not."""
    found = []
    for row in rows:
        advice = None
        if row["kind"] == "overlap" and row["state"] != "over" and row["verdict"] == "exclusive":
            a, b = (Payout(each["agency"], each["programme"], each.get("state")) for each in row["said"]["payouts"])
            advice = province.advice(recipient, row["said"].get("rule"), a, b)
        found.append(_with(row, advice))
    return found


def _with(row: Mapping[str, Any], advice: Advice | None) -> dict[str, Any]:
    if advice is None:
        return dict(row)
    verdict = row["verdict"] if advice.alone else "preferred"
    return dict(row) | {"goes": advice.goes, "waits": advice.waits, "verdict": verdict}


def refused(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a notice about rejected records says: how many, by reason and topic."""
    reasons: Counter[str] = Counter()
    for row in rows:
        reasons[row["reason"]] += row["records"]
    return {
        "number": sum(row["records"] for row in rows),
        "rows": rows,
        "since": min(row["since"] for row in rows),
        "until": max(row["until"] for row in rows),
        "sorts": [_sort("rejection", [], len(reasons)) | {"left": 0, "verdicts": reasons.most_common()}],
    }


def heard(rows: Iterable[Mapping[str, Any]], link: str | None) -> dict[str, Any]:
    """What a notice by routes says.

    Args:
        rows: those causes that are listed, sorted by whether they are over and by kind; ``number`` of each counts all
            of its sort.
        link: where it is acknowledged.
    """
    sorts = []
    for (over, kind), found in groupby(rows, lambda row: (row["state"] == "over", row["kind"])):
        listed = list(found)
        sort = _sort(kind, listed, listed[0]["number"], over=over)
        sorts.append(sort | {"climbed": any(row["level"] for row in listed) and not over})
    return {
        "number": sum(sort["number"] for sort in sorts),
        "sorts": sorts,
        "awaited": any(row["awaited"] for sort in sorts for row in sort["listed"]),
        "link": link,
        "route_language": next((sort["listed"][0]["language"] for sort in sorts), None),
    }


def _sort(kind: str, listed: Sequence[Mapping[str, Any]], number: int, *, over: bool = False) -> dict[str, Any]:
    """So many of one kind, of which these are listed; ``verdicts``: how many of those are of which, the most first;
    ``todo``: the keys of what to do.
    """
    verdicts = Counter(row["verdict"] or "" for row in listed)
    left = number - len(listed)
    todo = [kind]
    if kind == "overlap":
        todo = [each for each in ORDER if each in verdicts or (left and each == "exclusive")] + ["paid"]
    return {
        "kind": kind, "over": over, "number": number, "listed": listed, "left": left,
        "verdicts": verdicts.most_common(), "todo": todo,
    }  # fmt: skip


def _others(case: str, content: Mapping[str, Any], room: int) -> str:
    """The codes of a notice's further cases, as many as there is room for."""
    codes = [row["code"] for sort in content["sorts"] for row in sort["listed"]][1:]
    begin = f" {case} "
    fit = (room - len(begin) - len(CUT) + len(", ")) // CODE_AND_COMMA
    if not codes or fit < 1:
        return ""
    return begin + ", ".join(codes[:fit]) + (CUT if fit < content["number"] - 1 else ".")


def rupiah(amount: int) -> str:
    """An amount as it is written in Indonesia: Rp 750.000."""
    return f"Rp {format_decimal(amount, locale='id_ID')}"


def place(code: str, regions: Mapping[str, str]) -> str:
    """An area by its names, from the village up to the kabupaten or kota; its code where it has none."""
    parts = code.split(".")
    names = [regions.get(".".join(parts[:n])) for n in range(len(parts), 1, -1)] or [regions.get(code)]
    return ", ".join(name for name in names if name) or code


def _nearest(code: str, regions: Mapping[str, str]) -> str:
    """An area by its own name alone."""
    return place(code, regions).partition(",")[0]


def _name(agency: str, province: Province) -> str:
    return _short(province.agencies.get(agency, agency))


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= NAME_LENGTH else flat[: NAME_LENGTH - 1] + "…"
