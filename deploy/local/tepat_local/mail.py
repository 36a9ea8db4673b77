"""A real SMTP server of the stack's own, whose mailbox can be read: aiosmtpd, writing a Maildir.

Invariants:
- What it accepted is in the mailbox, whole, or the sender was told otherwise.
- Nothing leaves this machine.
"""

from __future__ import annotations

import asyncio
import mailbox
import sys
from collections.abc import Iterator
from email.message import Message
from pathlib import Path


def command(folder: Path, port: int) -> list[str]:
    """What runs the server in the foreground on `port` of 127.0.0.1, its Maildir at `folder`."""
    server = [sys.executable, "-m", "aiosmtpd", "--nosetuid", "--smtputf8", "--listen", f"127.0.0.1:{port}"]
    return [*server, "--class", "aiosmtpd.handlers.Mailbox", str(folder)]


def messages(folder: Path) -> Iterator[Message]:
    """The messages received so far, oldest first."""
    if not folder.exists():
        return
    received = mailbox.Maildir(folder, create=False)
    for key in sorted(received.keys()):
        yield received[key]


async def answers(port: int) -> bool:
    """Whether an SMTP server greets on `port` of 127.0.0.1 now."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        async with asyncio.timeout(2):
            return (await reader.readline()).startswith(b"220")
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
