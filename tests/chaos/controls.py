"""Defects put into a service on purpose."""

from collections.abc import Callable

CONTROLS: dict[str, Callable[[], None]] = {}
