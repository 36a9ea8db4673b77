"""The words of the notices: Jinja2 templates, Indonesian first and then English.

Invariants
- No template gets anything but names, numbers, dates and codes: no NIK, no KK, no pseudonym. Should an agency have
  made its payout's number of a NIK, it is masked like everywhere.
- A subject is one line. What goes over a channel of ``LIMITS`` is no longer than that, and names the case by its code.
- A message over SMS is written in the 7-bit alphabet of GSM 03.38, one language alone: a single letter beyond it would
  leave 70 characters of the 160.
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

from tepat_notifications.domain import LANGUAGES, Kind, Language, Province

LISTED = 50
"""Cases a notice names one by one; the rest it counts."""
NAME_LENGTH = 80
SUBJECT_LENGTH = 200
BETWEEN_LANGUAGES = "\n\n" + "-" * 72 + "\n\n"
LIMITS: Mapping[str, int] = {"sms": 160, "whatsapp": 1_000, "telegram": 1_000}
"""The most characters of a message over a channel by this name; over others there is room for all."""
SMS = 160
CODE_AND_COMMA = LETTERS + 2
BEFORE_CODES = ". Kasus ..."
_VARIANTS = ((True, True, True), (False, True, True), (False, False, True), (False, False, False))
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
        self._brief = environment.get_template("short.j2")

    def write(
        self, kind: Kind, agency: str, content: Mapping[str, Any], province: Province,
        *, channel: str = "email",
    ) -> Text:  # fmt: skip
        """A notice to a recipient, in their languages or that of its route, as long as the channel takes; ``content``
        is what ``told``, ``refused`` or ``heard`` makes.
        """
        languages = tuple(each for each in LANGUAGES if each == content.get("route_language")) or province.languages(
            agency
        )
        parts = [self._one(kind, each, agency, content, province) for each in languages]
        subject = f"[Tepat] {' / '.join(subject for subject, _ in parts)}"[:SUBJECT_LENGTH]
        if channel in LIMITS and "sorts" in content:
            return Text(subject, self._short(languages, content, province, LIMITS[channel]))
        return Text(subject, BETWEEN_LANGUAGES.join(body for _, body in parts) + "\n")

    def _short(self, languages: Sequence[Language], content: Mapping[str, Any], province: Province, limit: int) -> str:
        """A message of at most so many characters; in each language where there is room for more than one."""
        if limit == SMS:
            return self._within(limit, languages[0], content, province)
        share = limit // len(languages) - 1
        return "\n".join(self._within(share, each, content, province) for each in languages)

    def _within(self, limit: int, language: Language, content: Mapping[str, Any], province: Province) -> str:
        """As much as there is room for: the code of its case, what it is about, where it is acknowledged, and then
        the amount, the place and, of several, the other codes.
        """
        codes = [cause["code"] for sort in content["sorts"] for cause in sort["listed"]]

        def written(number: int, *, place: bool, amount: bool, link: bool) -> str:
            text = self._brief.render(
                content, language=language, codes=codes[:number], with_place=place, with_amount=amount,
                with_link=link, with_todo=limit > SMS, place=lambda code: _nearest(code, province.regions),
            )  # fmt: skip
            return mask(text.strip())

        for place, amount, link in _VARIANTS:
            text = written(0, place=place, amount=amount, link=link)
            if len(text) <= limit:
                room = max(limit - len(text) - len(BEFORE_CODES), 0) // CODE_AND_COMMA
                return written(room, place=place, amount=amount, link=link)
        return text[:limit]

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

        template = self._notice if "sorts" in content else self._templates[kind, language]
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
        if tally["what"] != "cleared":
            programmes = {name: tally[name] for name in ("programme_a", "programme_b")}
            pair = pairs.setdefault((*programmes.values(),), {"cases": 0, "at_risk": 0} | programmes)
            pair["cases"] += tally["cases"]
            pair["at_risk"] += tally["at_risk"]
    listed: dict[str, list[Mapping[str, Any]]] = {}
    for case in cases:
        listed.setdefault(case["what"], []).append(case)
    return {
        "number": numbers.total(),
        "numbers": numbers,
        "pairs": sorted(pairs.values(), key=lambda pair: pair["at_risk"], reverse=True),
        "at_risk": sum(pair["at_risk"] for pair in pairs.values()),
        "listed": listed,
        "left": {what: number - len(listed.get(what, ())) for what, number in numbers.items()},
    }


def refused(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a notice about rejected records says: how many, by reason and topic."""
    return {
        "number": sum(row["records"] for row in rows),
        "rows": rows,
        "since": min(row["since"] for row in rows),
        "until": max(row["until"] for row in rows),
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
        number = listed[0]["number"]
        sorts.append({
            "kind": kind, "over": over, "number": number, "listed": listed, "left": number - len(listed),
            "climbed": any(row["level"] for row in listed) and not over,
        })  # fmt: skip
    return {
        "number": sum(sort["number"] for sort in sorts),
        "sorts": sorts,
        "awaited": any(row["awaited"] for sort in sorts for row in sort["listed"]),
        "link": link,
        "route_language": next((sort["listed"][0]["language"] for sort in sorts), None),
    }


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
