"""Trains the model on a population: `python -m bench.linkage train`.

Splink estimates how often each level comes up, in an environment of its own. The bands are set on the same population:
the upper one where it is right often enough, the lower one where it holds enough of those that are one person. What is
reported is reported on another seed.
"""

import json
import random
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tepat_registry.linkage import compare, model
from tepat_registry.linkage.compare import ONE_CARD, Traits
from tepat_registry.linkage.model import PLACE, Model

from bench.linkage.pairs import Met, Population
from bench.peers import own

HERE = Path(__file__).parent
MODEL = Path(model.__file__).with_name("model.json")

PRECISION, RECALL = 0.991, 0.952
"""Aimed at on the population trained on: a little more than is promised on another."""
COMPARED, AT_AN_EDGE = 3_000, 1e-3
"""So many pairs have their levels told by Splink's conditions too; and of a similarity that lies at a threshold the two
libraries may round the last digit otherwise."""


def train(seed: int, persons: int, draws: float) -> dict[str, Any]:
    """The model, as `model.json` has it. Raises ValueError where conditions and levels differ on a pair."""
    population = Population(seed, persons)
    some = random.Random(seed).sample(population.met, COMPARED)
    with tempfile.TemporaryDirectory() as folder:
        at = {name: Path(folder) / name for name in ("persons", "pairs", "told", "out")}
        with at["persons"].open("w") as file:
            seconds = {population.traits[met.b].nik for met in population.met if met.one}
            file.writelines(json.dumps(_row(each, first=each.nik not in seconds)) + "\n" for each in population.traits)
        at["pairs"].write_text("\n".join(("kind,nik_l,nik_r", *_labels(population))))
        at["told"].write_text(json.dumps(_told(draws, [_niks(population, met) for met in some])))
        script = HERE / "splink" / "train.py"
        subprocess.run([own.python("splink", HERE), script, *at.values()], check=True)
        found = json.loads(at["out"].read_bytes())
    wrong = [met for met, levels in zip(some, found.pop("levels"), strict=True) if list(met.levels) != levels]
    if len(wrong) > COMPARED * AT_AN_EDGE:
        raise ValueError(f"Splink's conditions differ from the levels on {len(wrong)} of {COMPARED} pairs: {wrong[:3]}")
    _fill(found["others"], m=sum(met.one for met in population.met), u=draws)
    kin = [met for met in population.met if met.levels[PLACE] == ONE_CARD]
    among_kin = sum(met.one for met in kin)
    _fill(found["kin"], m=among_kin, u=len(kin) - among_kin)
    apart = sum(met.one for met in population.met) - among_kin
    told: dict[str, Any] = {
        "trained": {"seed": seed, "persons": len(population.traits), "draws": int(draws)},
        "bands": {"same": 0.0, "to_judge": 0.0},
        "kin": {"prior": among_kin / (len(kin) - among_kin), "fields": found["kin"]},
        "others": {"prior": 2 * apart / len(population.traits) ** 2, "fields": found["others"]},
        "words": {
            "unseen": round(population.unseen, 2),
            "bits": {word: round(bits, 2) for word, bits in sorted(population.words.items())},
        },
    }
    return told | {"bands": bands(Model.of(told), population.met, len(population.one))}


def _fill(fields: Mapping[str, dict[str, list[float]]], **pairs: float) -> None:
    """What never came up among so many pairs is taken for half a pair, not for impossible."""
    for levels in fields.values():
        for letter, count in pairs.items():
            levels[letter] = [each or 0.5 / count for each in levels[letter]]


def bands(known: Model, met: Sequence[Met], one: int) -> dict[str, float]:
    """From which weights on pairs are told of, and as the same."""
    ranked = sorted(((known.weight(each.levels), each.one) for each in met), reverse=True)
    right, same, to_judge = 0, ranked[0][0], ranked[-1][0]
    for count, (weight, is_one) in enumerate(ranked, 1):
        right += is_one
        if count < len(ranked) and ranked[count][0] == weight:
            continue
        if right >= PRECISION * count:
            same = weight
        if right >= RECALL * one:
            to_judge = weight
            break
    return {"same": round(same - 5e-4, 3), "to_judge": round(to_judge - 5e-4, 3)}


def write(told: Mapping[str, Any]) -> None:
    """Keep the model with the registry, a line a field."""
    fields = [
        f'"{of}": {{"prior": {told[of]["prior"]:.4g}, "fields": {{\n'
        + ",\n".join(f'  "{name}": {_rounded(levels)}' for name, levels in told[of]["fields"].items())
        + "\n}}"
        for of in ("kin", "others")
    ]
    rest = [f'"{name}": {json.dumps(told[name])}' for name in ("trained", "bands", "words")]
    MODEL.write_text("{\n" + ",\n".join([*rest[:2], *fields, rest[2]]) + "\n}\n")


def _rounded(levels: Mapping[str, Sequence[float]]) -> str:
    return json.dumps({letter: [float(f"{each:.4g}") for each in of] for letter, of in levels.items()})


def _row(traits: Traits, *, first: bool) -> dict[str, Any]:
    words = sorted({*traits.words})
    return traits._asdict() | {
        "first": first, "odd": traits.odd, "words": words, "whole": " ".join(traits.words), "bag": " ".join(words),
        "listed": None, "cards": sorted({card for _, card in traits.listed}),
        "agencies": sorted({agency for agency, _ in traits.listed}),
    }  # fmt: skip


def _labels(population: Population) -> Iterator[str]:
    for met in population.met:
        related = met.levels[PLACE] == ONE_CARD
        if met.one or related:
            yield ",".join(("relatives" if not met.one else "kin" if related else "others", *_niks(population, met)))


def _niks(population: Population, met: Met) -> tuple[str, str]:
    return population.traits[met.a].nik, population.traits[met.b].nik


def _told(draws: float, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {
        "step": compare.STEP, "rarest": compare.RAREST, "alike": compare.ALIKE, "near": compare.NEAR,
        "somewhat_alike": compare.SOMEWHAT_ALIKE, "unknown": compare.UNKNOWN, "draws": draws, "pairs": pairs,
    }  # fmt: skip
