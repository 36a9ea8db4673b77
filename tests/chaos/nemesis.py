"""Which fault strikes what, and when: drawn from one seed.

Invariants
- A round is either one fault, after which it is measured how soon the system works again, or a storm of several, whose
  blocks overlap. Rounds go on until so many processes have been killed and each kind of fault has struck.
- The pace is the nemesis's own: it waits for nothing but the end of a round.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random

import httpx

from .faults import FAULTS, Fault, Missed
from .servers import System
from .watch import Watch

CALM = 0.5
"""The share of rounds with one fault."""
STORM = (3, 6)
BRIEF_STORM = (6, 9)
PAUSE_SECONDS = (0.2, 2.5)
LOOK_SECONDS = 0.2
RECOVERY_SECONDS = 90.0
"""How long the system may take to work again after a round, before it is given up."""


@dataclass(frozen=True)
class Struck:
    """A fault that was inflicted. `recovered` are the seconds from its end until a sounding came back; none in a
    storm."""

    fault: str
    target: str
    kills: bool
    recovered: float | None = None


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.TransportError:
        return False


class Stuck(Exception):
    """The system did not come back; the message says after what, and what is missing."""


class Nemesis:
    """Inflicts faults until `kills` processes were killed; `struck` and `storms` tell of it.

    Args:
        brief: only storms, unmeasured, of one kill of each process and one of each other kind of fault.
    """

    def __init__(
        self, system: System, watch: Watch, seed: int, *, brief: bool, say: Callable[[str], None] = print
    ) -> None:
        self._system = system
        self._watch = watch
        self._rng = Random(f"nemesis {seed}")
        self._brief = brief
        self._say = say
        self._deck: list[tuple[Fault, str]] = []
        self.struck: list[Struck] = []
        self.storms: list[float] = []
        self.missed: dict[str, int] = {}

    @property
    def kills(self) -> int:
        """Processes killed so far."""
        return sum(each.kills for each in self.struck)

    async def rage(self, kills: int) -> None:
        """Round after round, until so many processes were killed. Raises Stuck where the system does not come back."""
        while self.kills < kills:
            if not self._brief and self._rng.random() < CALM:
                await self._calm()
            else:
                await self._storm()

    def _draw(self) -> tuple[Fault, str]:
        """The next fault and its target: all there are come in turn, in an order of chance, the heavier more often."""
        if not self._deck:
            self._deck = [
                (fault, target)
                for fault in FAULTS
                if fault.brief or not self._brief
                for target in self._targets(fault)
                for _ in range(1 if self._brief else fault.weight)
            ]
            self._rng.shuffle(self._deck)
        return self._deck.pop()

    def _targets(self, fault: Fault) -> Sequence[str]:
        return fault.targets if fault.kills or not self._brief else [self._rng.choice(fault.targets)]

    async def _calm(self) -> None:
        fault, target = self._draw()
        await self._ready()
        if await self._inflict(fault, target):
            recovered = await self._recovered(f"{fault.name} {target}")
            self.struck[-1] = Struck(fault.name, target, fault.kills, recovered)
            self._say(f"{self.kills:4} kills; {fault.name} {target}: works again after {recovered:.1f} s")

    async def _storm(self) -> None:
        drawn = [self._draw() for _ in range(self._rng.randint(*(BRIEF_STORM if self._brief else STORM)))]
        names = ", ".join(f"{fault.name} {target}" for fault, target in drawn)
        async with asyncio.TaskGroup() as blocks:
            for fault, target in drawn:
                blocks.create_task(self._inflict(fault, target))
                await asyncio.sleep(self._rng.uniform(*PAUSE_SECONDS))
        if not self._brief:
            self.storms.append(await self._recovered(f"a storm ({names})"))
            self._say(f"{self.kills:4} kills; storm ({names}): works again after {self.storms[-1]:.1f} s")

    async def _inflict(self, fault: Fault, target: str) -> bool:
        """Whether there was something to strike."""
        rng = Random(self._rng.random())
        try:
            async with AsyncExitStack() as block:
                await block.enter_async_context(fault.strike(self._system, target, rng))
                self.struck.append(Struck(fault.name, target, fault.kills))
                if fault.seconds is not None:
                    await asyncio.sleep(rng.uniform(*fault.seconds))
        except Missed as why:
            self.missed[str(why)] = self.missed.get(str(why), 0) + 1
            return False
        return True

    async def _ready(self) -> None:
        """Wait until every instance works, so that what is measured next is that fault's own doing."""
        urls = [url for instances in self._system.endpoints.instances.values() for url in instances]
        until = time.monotonic() + RECOVERY_SECONDS
        async with httpx.AsyncClient(timeout=2) as client:
            while urls:
                if await _answers(client, f"{urls[-1]}/health/ready"):
                    urls.pop()
                elif time.monotonic() > until:
                    raise Stuck(f"not ready within {RECOVERY_SECONDS:g} s: {', '.join(urls)}")
                else:
                    await asyncio.sleep(LOOK_SECONDS)

    async def _recovered(self, after: str) -> float:
        began = time.monotonic()
        try:
            await self._watch.sounding(RECOVERY_SECONDS)
        except TimeoutError as error:
            raise Stuck(f"{after}: {error}") from None
        return time.monotonic() - began
