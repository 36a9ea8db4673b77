"""The words of the notices: Jinja2 templates, Indonesian first and then English.

Invariants
- No template gets anything but names, numbers, dates and codes: no NIK, no KK, no pseudonym. Should an agency have
  made its payout's number of a NIK, it is masked like everywhere.
- A subject is one line.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from babel.dates import format_date
from babel.numbers import format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from tepat_chassis.logging import mask

from tepat_notifications.domain import Kind, Language, Province

LISTED = 50
"""Cases a notice names one by one; the rest it counts."""
NAME_LENGTH = 80
SUBJECT_LENGTH = 200
BETWEEN_LANGUAGES = "\n\n" + "-" * 72 + "\n\n"
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

    def write(self, kind: Kind, agency: str, content: Mapping[str, Any], province: Province) -> Text:
        """A notice to an agency, in its languages; ``content`` is what ``told`` or ``refused`` makes."""
        parts = [self._one(kind, language, agency, content, province) for language in province.languages(agency)]
        subject = " / ".join(subject for subject, _ in parts)
        return Text(f"[Tepat] {subject}"[:SUBJECT_LENGTH], BETWEEN_LANGUAGES.join(body for _, body in parts) + "\n")

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

        text = self._templates[kind, language].render(
            agency=_name(agency, province), day=day, programme=programme,
            name=lambda other: _name(other, province), place=lambda code: place(code, province.regions), **content,
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


def rupiah(amount: int) -> str:
    """An amount as it is written in Indonesia: Rp 750.000."""
    return f"Rp {format_decimal(amount, locale='id_ID')}"


def place(code: str, regions: Mapping[str, str]) -> str:
    """An area by its names, from the village up to the kabupaten or kota; its code where it has none."""
    parts = code.split(".")
    names = [regions.get(".".join(parts[:n])) for n in range(len(parts), 1, -1)] or [regions.get(code)]
    return ", ".join(name for name in names if name) or code


def _name(agency: str, province: Province) -> str:
    return _short(province.agencies.get(agency, agency))


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= NAME_LENGTH else flat[: NAME_LENGTH - 1] + "…"
