"""Households decided whole: what stands of each of them, and of those who live there, under some programmes.

No I/O, and no clock of its own. Invariant: who decides for good and who only asks what if make views, visits and
decisions by this one way, so both come to the same.
"""

from collections.abc import Iterator, Mapping, Sequence

from tepat_eligibility.domain import (
    Day,
    Decision,
    Programme,
    Told,
    Visit,
    household_view,
    niks_of,
    person_view,
)


class Household:
    """A household on a day: views made once, however many programmes decide by them.

    Args:
        members: who lives there, the deceased among them, in the order of their pseudonyms.
        visits: those made to NIKs; none of programmes that ask for none.
    """

    __slots__ = ("_alive", "_day", "_made", "_members", "_name", "_to_any", "_views", "_whole", "region")

    def __init__(self, name: str, members: Sequence[Told], day: Day, visits: Mapping[str, list[Visit]] | None) -> None:
        self._name, self._members, self._day = name, members, day
        self._views = [person_view(told, day) for told in members]
        alive = [view for view in self._views if not view["deceased"]]
        self._alive = bool(alive)
        self._whole = household_view(alive)
        self._made: list[Sequence[Visit]] = [()] * len(members)
        if visits:
            self._made = [_visits_of(told, visits) for told in members]
        self._to_any = [visit for each in self._made for visit in each] if visits else ()
        self.region: str | None = min([view["region"] for view in alive if "region" in view], default=None)

    def decided(self, programme: Programme) -> Iterator[tuple[str, Decision, str | None]]:
        """Each subject of a programme's unit, in an order of their own: its decision, and the region it lives in."""
        if programme.unit == "household":
            if self._alive:
                yield self._name, programme.decide(None, self._whole, self._day, self._to_any), self.region
            return
        for told, view, to_one in zip(self._members, self._views, self._made, strict=True):
            yield told["person"], programme.decide(view, self._whole, self._day, to_one), view.get("region")


def _visits_of(told: Told, visits: Mapping[str, list[Visit]]) -> Sequence[Visit]:
    return [visit for nik in niks_of(told) for visit in visits.get(nik, ())]
