"""Ports of 127.0.0.1 that the embedded stack listens on.

Invariants:
- A name keeps its port from one start to the next, unless something else has taken it.
- A port lies below the range from which the kernel takes the ports of outgoing connections: a server
  that is being restarted never finds its port in use by a client, and a client that retries never
  connects to itself.
- A port that was chosen is nobody else's of this user until the process that chose it ends, whether or not anything
  listens on it yet: stacks that start at the same moment have different ones.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import socket
from collections.abc import Mapping
from pathlib import Path

from tepat_local import files

LOWEST, HIGHEST = 15_000, 32_000


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def listens(host: str, port: int) -> bool:
    """Whether something takes connections at `host` and `port` now."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def _reserve(port: int, file: Path) -> bool:
    """Whether `port` is one of those in `file` as long as this process lives, or the one that reserved it for that.

    A file of the port is locked, and says what for; it stays open, and the kernel lets go of it.
    """
    folder, held_for = files.users_own("ports"), os.fsencode(file)
    with files.lock(folder / "lock"):
        reservation = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(reservation, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = os.pread(reservation, len(held_for) + 1, 0)
            os.close(reservation)
            return told == held_for
        os.ftruncate(reservation, 0)
        os.pwrite(reservation, held_for, 0)
    return True


class Ports:
    """The ports of one data directory, by name, remembered in `file` (JSON); those `given` are not chosen."""

    def __init__(self, file: Path, given: Mapping[str, int] | None = None) -> None:
        self._file = file.resolve()
        self._given = given or {}
        self._known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def __getitem__(self, name: str) -> int:
        """The port of `name`: the given one, the one it had, or a free one when it had none or lost it.

        Raises:
            OSError: the given port is in use.
        """
        if name in self._given:
            if not is_free(self._given[name]):
                raise OSError(f"port {self._given[name]}, given for {name}, is in use")
            _reserve(self._given[name], self._file)  # another of this user's may be what gave it
            return self._given[name]
        port = self._known.get(name)
        while port is None or not (is_free(port) and _reserve(port, self._file)):
            port = random.randrange(LOWEST, HIGHEST)
            if port in (*self._known.values(), *self._given.values()):
                port = None
        if self._known.get(name) != port:
            self._known[name] = port
            files.write(self._file, json.dumps(self._known, indent=2))
        return port
