"""One run: a system, a load, a nemesis; then it heals, comes to rest, and is judged."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from tepat_contracts.policy import load as policy_of
from tepat_demo import stream
from tepat_demo.district import POLICY
from tepat_demo.services import FLOW, HttpServices, settled

from . import watch
from .figures import figures
from .load import Load
from .nemesis import Nemesis, Stuck
from .servers import System, system
from .verdict import INBOUND, Verdict, judge
from .watch import Watch

A_SECOND = 80.0
"""Records that the agencies send."""
WITHOUT_PROGRESS_SECONDS = 60.0
REST_SECONDS = 120.0
"""Within which everything must have drained once all is healed."""


def run(
    seed: int,
    kills: int,
    *,
    brief: bool,
    control: str = "",
    logs: Path | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """The figures of one run. Whatever is not as it must be is counted and told in them.

    Args:
        logs: where what every process wrote is kept, by seed.
    """
    with system(say=lambda _: None, control=control) as running:
        try:
            return asyncio.run(_run(running, seed, kills, brief=brief, say=say))
        finally:
            if logs is not None:
                shutil.copytree(running.data / "logs", logs / f"seed-{seed}", dirs_exist_ok=True)


async def _run(running: System, seed: int, kills: int, *, brief: bool, say: Callable[[str], None]) -> dict[str, Any]:
    document = watch.policy(policy_of(POLICY.read_text()).document())
    file = running.data / "policy.json"
    file.write_text(json.dumps(document))
    await asyncio.to_thread(running.tepat, "policy", "apply", file)
    say(f"seed {seed}: everything runs")
    began = time.monotonic()
    load = Load(running.kafka, seed, A_SECOND)
    verdict, drained = Verdict(), None
    async with Watch(running) as watching:
        await watching.sounding(60)
        nemesis = Nemesis(running, watching, seed, brief=brief, say=say)
        sending = asyncio.create_task(load.run())
        try:
            await nemesis.rage(kills)
        except Stuck as stuck:
            verdict.find("lost", [f"liveness: {stuck}"])
        load.stop()
        await sending
    say(f"seed {seed}: healed, {sum(load.sent.values())} records sent; coming to rest")
    try:
        async with asyncio.timeout(REST_SECONDS):
            since = time.monotonic()
            await healed(running, WITHOUT_PROGRESS_SECONDS)
            drained = time.monotonic() - since
    except (TimeoutError, httpx.HTTPError) as error:
        left = str(error) or await _unfinished(running)
        verdict.find("lost", [f"liveness: not at rest within {REST_SECONDS:g} s: {left}"])
    judged = await judge(running, document, load.refusals)
    judged.lost += verdict.lost
    judged.told = [*verdict.told, *judged.told]
    return figures(seed, nemesis, judged, sent=load.sent, seconds=time.monotonic() - began, drained=drained)


async def _unfinished(running: System) -> str:
    """Which services are not at rest, and what they say of themselves."""
    said = []
    async with HttpServices(running.told, running.data / "tokens") as services:
        for service in FLOW:
            try:
                async with asyncio.timeout(10):
                    said += [f"{service} {told}" for told in await services.status(service) if not told["idle"]]
            except (TimeoutError, httpx.HTTPError) as error:
                said.append(f"{service} does not answer: {error!r}")
    return "; ".join(said) or "all of them are by now"


async def healed(running: System, patience: float) -> None:
    """Wait until every record has a receipt, and no service has anything left to do.

    Raises TimeoutError where nothing goes on for `patience` seconds.
    """
    bounds = await stream.bounds(running.kafka, await stream.topics(running.kafka, INBOUND))
    await stream.answers(running.kafka, bounds, patience)
    async with HttpServices(running.told, running.data / "tokens") as services:
        await settled(services, patience)
