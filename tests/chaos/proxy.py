"""The network between a service and a server: a TCP proxy a link, which can be cut, silenced and slowed.

No kept library does this from Python alone (Toxiproxy is a program in Go), so it is done here with asyncio.

Invariants
- Bytes of a connection are never reordered, altered or left out: a link is slow or still, or the connection is dead
  to its end.
- The proxies run in a thread of their own: what the suite computes meanwhile slows no service.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

CHUNK = 64 * 1024
AHEAD = 64
"""Chunks that wait for their moment in a slowed connection, before the sender has to wait as well."""
CLIENT_AT = 12
"""Where in a Kafka client's first bytes the length of its client id stands (size, key, version, correlation)."""


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    carrying: asyncio.Task[Any] | None
    """Held here, for nothing else holds it once one side has gone and is to learn nothing of it."""
    name: str = ""
    forgotten: bool = False

    def abort(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


@dataclass(eq=False)
class Link:
    """What passes from `port` to `target`, both on 127.0.0.1."""

    port: int
    target: int
    _connections: set[_Connection] = field(default_factory=set)
    _refusing: bool = False
    _delay: float = 0.0
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        """Reset every connection, and each new one."""
        self._refusing = True
        self.reset()

    def reset(self, client: str | None = None) -> int:
        """Reset every connection, or those of a Kafka client of that id; how many there were."""
        cut = [each for each in self._connections if client is None or each.name == client]
        for each in cut:
            each.abort()
        return len(cut)

    def silence(self) -> None:
        """Let nothing pass, and tell nobody: what is sent meanwhile arrives once the link is mended."""
        self._flowing.clear()

    def forget(self) -> None:
        """Let nothing pass any more on the connections there are, and tell nobody; new ones work."""
        for each in self._connections:
            each.forgotten = True

    def slow(self, seconds: float) -> None:
        """Let everything pass so much later, in each direction."""
        self._delay = seconds

    def mend(self) -> None:
        """Let everything pass as it comes."""
        self._refusing, self._delay = False, 0.0
        self._flowing.set()

    async def serve(self) -> asyncio.Server:
        """Begin to listen."""
        self.mend()
        return await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(writer, to_server, asyncio.current_task())
        self._connections.add(connection)
        try:
            with suppress(asyncio.CancelledError):  # the network is closed
                await self._carry(connection, (reader, to_server), (from_server, writer))
        finally:
            connection.abort()
            self._connections.discard(connection)

    async def _carry(self, connection: _Connection, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Carry bytes both ways until one side is gone, and with it the connection."""
        try:
            async with asyncio.TaskGroup() as both:
                for reader, writer in ways:
                    both.create_task(self._pass(reader, writer, connection))
        except* OSError:
            pass

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection) -> None:
        """Carry bytes one way, each chunk when its moment has come."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(AHEAD)

        async def deliver() -> None:
            while True:
                moment, chunk = await waiting.get()
                await asyncio.sleep(moment - loop.time())
                await self._flowing.wait()
                if connection.forgotten:
                    continue
                if not chunk or writer.is_closing():
                    raise ConnectionResetError
                writer.write(chunk)
                await writer.drain()

        async with asyncio.TaskGroup() as group:
            group.create_task(deliver())
            while chunk := await reader.read(CHUNK):
                if writer is connection.server and not connection.name:
                    connection.name = _client(chunk)
                await waiting.put((loop.time() + self._delay, chunk))
            await waiting.put((loop.time() + self._delay, b""))


def _client(first: bytes) -> str:
    """The client id in the first bytes a Kafka client sends; something else where it is no Kafka client."""
    length = int.from_bytes(first[CLIENT_AT : CLIENT_AT + 2], "big")
    return first[CLIENT_AT + 2 : CLIENT_AT + 2 + length].decode("utf-8", "replace")


class Network:
    """Links by name, served in a thread of their own while the block lasts."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._links: dict[str, Link] = {}
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Network:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._on_loop(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def link(self, name: str, port: int, target: int) -> None:
        """Serve a link of that name."""

        async def serve() -> None:
            self._links[name] = Link(port, target)
            self._servers.append(await self._links[name].serve())

        self._on_loop(serve())

    def on(self, name: str, change: Callable[[Link], T]) -> T:
        """Change a link; what the change gives back."""

        async def changed() -> T:
            return change(self._links[name])

        return self._on_loop(changed())

    def mend(self) -> None:
        """Mend every link."""
        for name in self._links:
            self.on(name, Link.mend)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for link in self._links.values():
            link.reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
