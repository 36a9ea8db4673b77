"""What a part of one of our compacted topics says in the end."""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


def newest(told: Iterable[tuple[K, T | None]], revision: Callable[[T], int]) -> tuple[dict[K, T], list[K]]:
    """Of each key what has the greatest revision since its last tombstone, the first of equals; and the keys that a
    tombstone forgot, which goes before what is told of them.

    Args:
        told: keys and what is told of them, in the order of the topic; none is a tombstone.
    """
    latest: dict[K, T] = {}
    forgotten: dict[K, None] = {}
    for key, each in told:
        if each is None:
            latest.pop(key, None)
            forgotten[key] = None
        elif key not in latest or revision(each) > revision(latest[key]):
            latest[key] = each
    return latest, list(forgotten)
