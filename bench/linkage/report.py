"""How good the model is on a population that it was not trained on: `python -m bench.linkage report`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from tepat_registry.linkage.compare import FIELDS, ONE_CARD, Levels
from tepat_registry.linkage.model import Model, model

from bench.linkage.pairs import Met, Population

CURVE = Path(__file__).with_name("curve.svg")

_PLACES = {name: place for place, name in enumerate(FIELDS)}
_NAMED_ALIKE, _BORN_ALIKE = 10, 7
HARD: Final[Mapping[str, Callable[[Levels], bool]]] = {
    "born on one day, under one card": lambda of: _at(of, "place") == ONE_CARD and _at(of, "birth") >= _BORN_ALIKE,
    "of one name, under one card": lambda of: _at(of, "place") == ONE_CARD and _at(of, "name") >= _NAMED_ALIKE,
    "of one name, in one kelurahan": lambda of: _at(of, "place") == ONE_CARD - 1 and _at(of, "name") >= _NAMED_ALIKE,
    "of one name and day of birth": lambda of: _at(of, "birth") >= _BORN_ALIKE and _at(of, "name") >= _NAMED_ALIKE,
}
"""Two persons that look like one: twins, fathers and sons, namesakes."""


def _at(levels: Levels, field: str) -> int:
    return levels[_PLACES[field]]


def measure(seed: int, persons: int) -> dict[str, Any]:
    """What the model makes of the population of a seed."""
    known = model()
    population = Population(seed, persons, known.bits, known.unseen)
    met, one, arrivals = population.met, len(population.one), len(population.traits)
    ranked = sorted(((known.weight(each.levels), each.one) for each in met), reverse=True)
    return {
        "seed": seed, "arrivals": arrivals, "twice": one,
        "met": {"share": sum(each.one for each in met) / one, "pairs_per_arrival": len(met) / arrivals},
        "same": _upper(known, met, one, arrivals),
        "recall": _share(ranked, known.to_judge, one),
        "to_judge": _to_judge(known, met, arrivals),
        "hard": {
            name: {
                "met": sum(not each.one and alike(each.levels) for each in met),
                **{
                    band: sum(
                        not each.one and alike(each.levels) and known.band(known.weight(each.levels)) == band
                        for each in met
                    )
                    for band in ("same", "to_judge")
                },
            }
            for name, alike in HARD.items()
        },
        "bands": {"same": known.same, "to_judge": known.to_judge},
        "curve": curve(ranked, one),
    }  # fmt: skip


def _upper(known: Model, met: Sequence[Met], one: int, arrivals: int) -> dict[str, float]:
    told = [each.one for each in met if known.weight(each.levels) >= known.same]
    return {"precision": sum(told) / len(told), "recall": sum(told) / one, "of_arrivals": len(told) / arrivals}


def _to_judge(known: Model, met: Sequence[Met], arrivals: int) -> dict[str, float]:
    told = [each for each in met if known.band(known.weight(each.levels)) == "to_judge"]
    return {
        "of_arrivals": len({each.b for each in told}) / arrivals, "pairs": len(told),
        "precision": sum(each.one for each in told) / len(told),
    }  # fmt: skip


def _share(ranked: Sequence[tuple[float, bool]], least: float, one: int) -> float:
    return sum(is_one for weight, is_one in ranked if weight >= least) / one


def curve(ranked: Sequence[tuple[float, bool]], one: int) -> list[tuple[float, float, float]]:
    """Weight from which on, recall and precision; a point wherever recall has grown by a two-hundredth."""
    points: list[tuple[float, float, float]] = []
    right = 0
    for count, (weight, is_one) in enumerate(ranked, 1):
        right += is_one
        if count < len(ranked) and ranked[count][0] == weight:
            continue
        if not points or right / one >= points[-1][1] + 0.005 or count == len(ranked):
            points.append((round(weight, 2), round(right / one, 4), round(right / count, 4)))
    return points


def show(result: Mapping[str, Any], console: Console) -> None:
    """The result as a table."""
    same, judge = result["same"], result["to_judge"]
    table = Table("", "reached", "wanted", title=f"{result['arrivals']:,} arrivals, {result['twice']:,} of them again")
    table.add_row("precision of the upper band", f"{same['precision']:.4f}", "≥ 0.99")
    table.add_row("recall of the upper band", f"{same['recall']:.4f}", "")
    table.add_row("recall above the lower threshold", f"{result['recall']:.4f}", "≥ 0.95")
    table.add_row("of arrivals, to be judged", f"{judge['of_arrivals']:.2%}", "≤ 0.50 %")
    table.add_row("of those to be judged, one person", f"{judge['precision']:.2f}", "")
    table.add_row("of one person, met under a key", f"{result['met']['share']:.4f}", "")
    table.add_row("compared, an arrival", f"{result['met']['pairs_per_arrival']:.2f}", "")
    for name, of in result["hard"].items():
        table.add_row(f"two persons {name}", f"{of['met']:,}: {of['same']} the same, {of['to_judge']} to judge", "")
    console.print(table)


WIDTH, HEIGHT, LEFT, TOP = 640, 400, 60, 30
FROM = 0.5
"""Both axes begin here."""


def picture(result: Mapping[str, Any]) -> str:
    """Precision over recall as SVG, with the two thresholds."""

    def at(recall: float, precision: float) -> tuple[float, float]:
        x, y = ((max(value, FROM) - FROM) / (1 - FROM) for value in (recall, precision))
        return round(LEFT + x * (WIDTH - LEFT - 20), 1), round(HEIGHT - 45 - y * (HEIGHT - 45 - TOP), 1)

    drawn = [(recall, precision) for _, recall, precision in result["curve"] if recall >= FROM]
    line = " ".join(f"{x},{y}" for x, y in (at(*point) for point in drawn))
    left, bottom = at(FROM, FROM)
    right, top = at(1, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18">Precision over recall, {result["arrivals"]:,} arrivals, seed {result["seed"]}</text>',
        f'<path d="M{left},{top}V{bottom}H{right}" fill="none" stroke="black"/>',
    ]  # fmt: skip
    for tenth in range(5, 11):
        x, y = at(tenth / 10, tenth / 10)
        parts += [
            f'<path d="M{x},{top}V{bottom}M{left},{y}H{right}" stroke="#ddd"/>',
            f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{tenth / 10}</text>',
            f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{tenth / 10}</text>',
        ]
    parts.append(f'<polyline points="{line}" fill="none" stroke="#0b5" stroke-width="2"/>')
    for name, least, colour in (("the same", "same", "#05b"), ("to be judged", "to_judge", "#b50")):
        point = min(result["curve"], key=lambda each: abs(each[0] - result["bands"][least]))
        x, y = at(*point[1:])
        parts += [
            f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>',
            f'<text x="{x - 8}" y="{y + 18}" text-anchor="end" fill="{colour}">'
            f"{name}, from {result['bands'][least]} bits</text>",
        ]
    parts.append(f'<text x="{(left + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">recall</text>')
    parts.append(f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">precision</text>')
    return "\n".join([*parts, "</svg>", ""])
