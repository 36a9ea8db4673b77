"""Files of the embedded stack.

Invariants:
- A reader sees a file whole or not at all: it is written beside its place and renamed.
- What is secret is readable by its owner alone from the first byte on.
- A lock dies with the process that holds it, however that process ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET_PATH_LIMIT = 100
"""Bytes a Unix socket's path may have: 108 on Linux, 104 on BSD and macOS, less a terminator."""


class Locked(Exception):
    """Another process holds the lock."""


def write(path: Path, content: str | bytes, *, secret: bool = False) -> Path:
    """Put `content` at `path` atomically, mode 0600 when `secret`, else 0644; make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        Path(name).chmod(0o600 if secret else 0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


@contextmanager
def lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path`; raise `Locked` when another process has it and `wait` is false."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as busy:
            raise Locked(str(path)) from busy
        yield


def socket_dir(data: Path) -> Path:
    """The folder for the Unix sockets of `data`: within it, or where that is too long, a short one.

    The short one lies under the system's folder for temporary files, and is named after `data`.
    """
    inside = data / "run"
    if len(os.fsencode(inside / "pg" / ".s.PGSQL.65535.lock")) <= SOCKET_PATH_LIMIT:
        inside.mkdir(parents=True, exist_ok=True)
        return inside
    name = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return users_own(name)


def users_own(name: str) -> Path:
    """This user's folder of a name under the system's folder for temporary files; one that someone else put there first
    is refused.
    """
    folder = Path(tempfile.gettempdir()) / f"tepat-{os.getuid()}-{name}"
    folder.mkdir(mode=0o711, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to someone else")
    return folder
