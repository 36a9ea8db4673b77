"""Up to which touch all is known that was said by the time it was made.

Invariants
- What agencies say of a person goes through registry and eligibility before it comes here. So three questions are asked
  one after the other, each once the answer to the one before is reached: where agencies' topics end (registry must have
  told what follows), where registry's end (eligibility must), and where eligibility's end. What was on any of them when
  the touch was seen has then been taken here.
- They are asked after the touch is seen, so topics end later than they did when its payouts were taken. A touch with a
  lesser number that is seen only afterwards was begun before, and its payouts were taken before that.
- A service that has never told of its progress (an older version) is not waited for, only what it had announced.
- While agencies go on sending, the ends asked for stand: what is waited for does not move away.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from aiokafka import TopicPartition
from tepat_chassis.database import Connection
from tepat_contracts.topics import Kind, is_inbound, progress_name

from tepat_distribution.store import queries

REGISTRY: Final = "registry"
ELIGIBILITY: Final = "eligibility"

Offsets = Mapping[TopicPartition, int]
#: Where topics so named end, what is not committed among it.
Sent = Callable[[Callable[[str], bool]], Awaitable[Offsets]]


class Ends(Protocol):
    """Where these topics of our services end, as committed; none as long as nobody knows."""

    async def __call__(self, *names: str) -> Offsets | None: ...


class Until(NamedTuple):
    """What is waited for: how far this database takes topics, and up to where a service has told everything."""

    taken: Offsets
    service: str
    told: Offsets


class Known:
    """Asks, and waits."""

    def __init__(self, ends: Ends, sent: Sent) -> None:
        self._ends = ends
        self._sent = sent
        self._through = 0
        #: The service that has yet to tell what `through` waits for; none where nothing waits for one.
        self.waits_for: str | None = None
        self.begin()

    def begin(self) -> None:
        """Ask anew, from the first question on."""
        self._touch: int | None = None
        self._questions: list[Callable[[], Awaitable[Until | None]]] = []
        self._until: Until | None = None
        self._tell: set[str] = set()
        self._visits: Offsets = {}

    async def through(self, connection: Connection) -> int:
        """The last touch of which all is known.

        Raises:
            aiokafka.errors.KafkaError: the broker cannot be asked.
            TimeoutError: it did not answer.
        """
        self.waits_for = None
        if self._touch is None:
            last = await queries.last_touch(connection)
            if last is None or last <= self._through:
                return self._through
            self._touch, self._questions = last, [self._of_agencies, self._of_registry, self._of_eligibility]
        while self._questions:
            if self._until is None:
                self._until = await self._questions[0]()
            until = self._until
            if until is None or not await queries.taken_up_to(connection, **_columns(until.taken)):
                return self._through
            if not await queries.told_up_to(connection, service=until.service, **_columns(until.told)):
                self.waits_for = until.service
                return self._through
            self._until = None
            self._questions.pop(0)
        self._through, self._touch = self._touch, None
        return self._through

    async def _of_agencies(self) -> Until | None:
        """What agencies have sent of persons and visits, of which the first is registry's to tell."""
        progress = {progress_name(service): service for service in (REGISTRY, ELIGIBILITY)}
        ends = await self._ends(*progress)
        if ends is None:
            return None
        self._tell = {progress[partition.topic] for partition, end in ends.items() if end}
        sent = await self._sent(lambda topic: is_inbound(topic, Kind.BENEFICIARIES, Kind.VERIFICATIONS))
        self._visits = {each: end for each, end in sent.items() if is_inbound(each.topic, Kind.VERIFICATIONS)}
        return self._told({}, REGISTRY, {each: end for each, end in sent.items() if each not in self._visits})

    async def _of_registry(self) -> Until | None:
        """What registry has told, and with the visits is eligibility's to decide."""
        ends = await self._ends("registry.persons.v1", "registry.households.v1")
        return None if ends is None else self._told(ends, ELIGIBILITY, {**ends, **self._visits})

    async def _of_eligibility(self) -> Until | None:
        """What eligibility has decided."""
        ends = await self._ends("eligibility.decisions.v1")
        return None if ends is None else self._told(ends, "", {})

    def _told(self, taken: Offsets, service: str, told: Offsets) -> Until:
        return Until(taken, service, told if service in self._tell else {})


def _columns(ends: Offsets) -> dict[str, list[Any]]:
    return {
        "topics": [each.topic for each in ends], "partitions": [each.partition for each in ends],
        "until": list(ends.values()),
    }  # fmt: skip
