"""The figures of a run, as a table and as JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

from .nemesis import Nemesis
from .verdict import Verdict

SERVICE_KILL_P99_SECONDS = 15.0


def quantile(seconds: Sequence[float], share: float) -> float:
    """The least of these that so large a share of them does not exceed."""
    return sorted(seconds)[max(0, ceil(share * len(seconds)) - 1)]


def figures(
    seed: int, nemesis: Nemesis, verdict: Verdict, *, sent: Mapping[str, int], seconds: float, drained: float | None
) -> dict[str, Any]:
    """Everything that a run with one seed found."""
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "kills": nemesis.kills,
        "faults": dict(Counter(f"{each.fault}: {each.target}" for each in nemesis.struck)),
        "missed": nemesis.missed,
        "recovered": [
            [each.fault, each.target, round(each.recovered, 2)] for each in nemesis.struck if each.recovered is not None
        ],
        "storms": [round(each, 2) for each in nemesis.storms],
        "drained_seconds": None if drained is None else round(drained, 1),
        "sent": dict(sent),
        "records": verdict.records,
        "payouts": verdict.payouts,
        "overlaps": verdict.overlaps,
        "clearances": verdict.clearances,
        "findings": verdict.findings,
        "quarantined": verdict.quarantined,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "wrong": verdict.wrong,
        "told": verdict.told,
    }


def together(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of several runs as one, with the recovery by kind of fault."""
    faults: Counter[str] = Counter()
    recovered: defaultdict[str, list[float]] = defaultdict(list)
    for run in runs:
        faults.update(run["faults"])
        for fault, target, seconds in run["recovered"]:
            recovered[kind(fault, target)].append(seconds)
        if run["storms"]:
            recovered["a storm of several"] += run["storms"]
    judged = ("records", "payouts", "overlaps", "clearances", "findings", "quarantined")
    summed = ("kills", *judged, "lost", "doubled", "wrong")
    return {
        "seeds": [run["seed"] for run in runs],
        **{name: sum(run[name] for run in runs) for name in summed},
        "seconds": round(sum(run["seconds"] for run in runs), 1),
        "faults": dict(sorted(faults.items())),
        "recovery_seconds": {
            name: {
                "times": len(each), "p50": quantile(each, 0.5), "p99": quantile(each, 0.99), "max": max(each),
            }
            for name, each in sorted(recovered.items())
        },
        "told": [each for run in runs for each in run["told"]],
    }  # fmt: skip


def kind(fault: str, target: str) -> str:
    """Under which a fault's recovery is counted: services together, servers each."""
    if fault in ("kill", "stop", "freeze"):
        return f"{fault} {target if target in ('kafka', 'postgres') else 'a service'}"
    if fault in ("cut", "silence", "slow", "forget"):
        return f"{fault} a service from {target.partition('/')[2]}"
    return fault


def too_slow(summary: Mapping[str, Any]) -> list[str]:
    """Where recovery took longer than it may."""
    told = summary["recovery_seconds"].get("kill a service")
    if told is None or told["p99"] <= SERVICE_KILL_P99_SECONDS:
        return []
    return [f"after a service was killed p99 is {told['p99']:.1f} s, more than {SERVICE_KILL_P99_SECONDS:g} s"]


def table(summary: Mapping[str, Any]) -> Iterable[str]:
    """The figures in lines of text."""
    yield f"seeds {', '.join(map(str, summary['seeds']))}; {summary['seconds']:.0f} s"
    yield (
        f"{summary['kills']} kills, {sum(summary['faults'].values())} faults; {summary['records']} records, "
        f"{summary['payouts']} live payouts, {summary['overlaps']} overlaps, {summary['clearances']} clearances, "
        f"{summary['findings']} findings, {summary['quarantined']} quarantined"
    )
    yield f"lost {summary['lost']}, doubled {summary['doubled']}, wrong {summary['wrong']}"
    yield ""
    yield f"{'works again after, s':34}{'times':>6}{'p50':>8}{'p99':>8}{'max':>8}"
    for name, told in summary["recovery_seconds"].items():
        yield f"{name:34}{told['times']:>6}{told['p50']:>8.1f}{told['p99']:>8.1f}{told['max']:>8.1f}"
    if "kill a service" not in summary["recovery_seconds"]:
        yield "no service was killed: how soon one works again is not known"
    yield ""
    for name, times in summary["faults"].items():
        yield f"{name:48}{times:>5}"
