"""``python -m bench.notices``: notices a second over a fast gateway, with and without a slow one beside it.

The notifications service runs as a process, on a broker and a durable database of its own; the gateway is a process
too, which answers at once below ``/fast`` and after ten seconds below ``/slow``. Each agency of a policy has one notice
due. Timed is from the moment they are due until the last one over the fast gateway is recorded as sent.
``--before REVISION`` measures that revision's service in the same run, over Apprise's plugin, which all know.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson
import psutil
from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.table import Table
from tepat_chassis import kafka as declaring
from tepat_contracts import envelope, topics
from tepat_local import processes

from bench import command, engine
from bench.stack import Servers, servers

RESULT: Final = Path(__file__).parent / "notices.json"
ROOT: Final = Path(__file__).parent.parent
SLOW_SECONDS: Final = 10.0
PATIENCE: Final = 300.0
TAKEN: Final = b'{"ok":true,"result":{"message_id":1},"messages":[{"id":"wamid.1"}]}'


# -- the gateway -------------------------------------------------------------------------------------------------


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(TAKEN)
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            asked = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(asked.partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            if b"/slow" in asked.split(b"\r\n")[0]:
                await asyncio.sleep(SLOW_SECONDS)
            writer.write(head + TAKEN)
    writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# -- the service -------------------------------------------------------------------------------------------------


def policy(version: str, fast: int, slow: int) -> dict[str, Any]:
    """A policy whose agencies are reached over the one or the other gateway."""
    contacts = [{"telegram": f"{n}"} for n in range(fast)] + [{"phone": f"+62812{n:07}"} for n in range(slow)]
    agencies = [
        {"id": f"ag-{number}", "name": f"Kantor {number}", "programmes": [], "contact": contact}
        for number, contact in enumerate(contacts)
    ]
    return {"version": version, "agencies": agencies, "programmes": [], "overlap_rules": []}


@asynccontextmanager
async def _service(
    at: Servers, database: str, channels: Mapping[str, Any], code: Path
) -> AsyncIterator[tuple[asyncpg.Connection, psutil.Process]]:
    """The service of ``code`` as a process, once it has the policy; its database."""
    members = ("chassis", "contracts", "services/notifications")
    environment = os.environ | at.environment("notifications", database) | processes.mark(at.home)
    environment |= {
        "PYTHONPATH": os.pathsep.join(str(code / member) for member in members),
        "TEPAT_NOTIFICATIONS_CHANNELS": orjson.dumps(channels).decode(), "TEPAT_LOG_LEVEL": "error",
    }  # fmt: skip
    with (at.home / f"{database}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tepat_notifications", env=environment, stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(PATIENCE):
            connection = await _when_followed(at.postgres.url(database), database, process)
        yield connection, psutil.Process(process.pid)
        await connection.close()
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 15)


async def _when_followed(url: str, version: str, process: asyncio.subprocess.Process) -> asyncpg.Connection:
    connection = await asyncpg.connect(url)
    while True:
        with suppress(asyncpg.UndefinedTableError):
            if await connection.fetchval("select version from standing order by seq desc limit 1") == version:
                return connection
        if process.returncode is not None:
            raise SystemExit("the service ended")
        await asyncio.sleep(0.05)


async def _rate(connection: asyncpg.Connection, fast: int, slow: int) -> dict[str, Any]:
    """Let every agency have a notice due; seconds until those over the fast gateway are sent."""
    await connection.execute(
        """insert into rejection (agency, topic, partition, "offset", reason, rejected_at)
           select 'ag-' || n, 'agency.ag-' || n || '.payouts.v1', 0, 0, 'nik_invalid', now()
           from generate_series(0, $1::int - 1) n""",
        fast + slow,
    )
    sent = "select count(*) from delivery where state = 'sent' and split_part(agency, '-', 2)::int < $1"
    started = time.perf_counter()
    async with connection.transaction():
        await _open_notices(connection, fast + slow)
        await connection.execute("notify notices")
    async with asyncio.timeout(PATIENCE):
        while await connection.fetchval(sent, fast) < fast:  # noqa: ASYNC110 – the service tells nobody else
            await asyncio.sleep(0.05)
    seconds = time.perf_counter() - started
    left = await connection.fetchval("select count(*) from delivery where state in ('queued', 'sending')")
    return {"notices": fast, "seconds": seconds, "notices_per_second": fast / seconds, "slow_ones_left": left}


async def _open_notices(connection: asyncpg.Connection, agencies: int) -> None:
    """As ``queue`` of the service does; ``channels`` where the table has it."""
    known = await connection.fetchval(
        "select exists (select from information_schema.columns "
        "where (table_name, column_name) = ('delivery', 'channels'))"
    )
    columns, values = ("channels, ", "'{email,slow}', ") if known else ("", "")
    await connection.execute(
        f"""insert into delivery (agency, channel, {columns}kind, queued_at, due_at)
            select 'ag-' || n, 'email', {values}'rejections', now(), now() from generate_series(0, $1::int - 1) n""",
        agencies,
    )


async def _measured(
    at: Servers, name: str, code: Path, channels: Mapping[str, Any], fast: int, slow: int
) -> dict[str, Any]:
    await at.postgres.declare([name])
    event = envelope.event(
        service="policy", type="tepat.policy.applied.v1", id=name, time=datetime.now(UTC), data=policy(name, fast, slow)
    )
    async with AIOKafkaProducer(bootstrap_servers=at.kafka, max_request_size=2**21) as producer:
        await producer.send_and_wait("policy.v1", envelope.write(event), key=name.encode())
    async with _service(at, name, channels, code) as (connection, running):
        before = running.cpu_times()
        told = await _rate(connection, fast, slow)
        after = running.cpu_times()
    told["cpu_ms_a_notice"] = 1_000 * (after.user + after.system - before.user - before.system) / fast
    print(name, orjson.dumps(told).decode(), file=sys.stderr)
    return told


async def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Every figure, each on a database of its own."""
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.notices", "--gateway", stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert gateway.stdout is not None
    url = f"http://127.0.0.1:{int(await gateway.stdout.readline())}"
    fast = {"kind": "telegram", "token": "bench", "url": f"{url}/fast"}
    slow = {"kind": "whatsapp", "phone_id": "1", "token": "t", "app_secret": "s", "url": f"{url}/slow", "seconds": 60}
    ours = {"email": fast, "slow": slow}
    try:
        with servers() as at, tempfile.TemporaryDirectory() as folder:
            await declaring.declare(at.kafka, topics.own(engine.PARTITIONS))
            told: dict[str, Any] = {}
            if asked.before:
                code = Path(folder)
                archive = await asyncio.to_thread(subprocess.check_output, ["git", "archive", asked.before], cwd=ROOT)
                with tarfile.open(fileobj=BytesIO(archive)) as tree:
                    tree.extractall(code, filter="data")
                apprise = {"email": f"json://{url.removeprefix('http://')}/fast?:to={{telegram}}"}
                told["before"] = await _measured(at, "before", code, apprise, asked.notices // 10, 0)
            told["fast alone"] = await _measured(at, "alone", ROOT, ours, asked.notices, 0)
            told["beside a slow one"] = await _measured(at, "beside", ROOT, ours, asked.notices, asked.slow)
    finally:
        gateway.kill()
        await gateway.wait()
    return engine.circumstances(notices=asked.notices, slow=asked.slow) | told


def show(result: Mapping[str, Any], console: Console) -> None:
    """The result as a table."""
    table = Table("", "notices", "seconds", "a second", "CPU ms each", "slow ones left then")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in ("before", "fast alone", "beside a slow one"):
        if name in result:
            told = result[name]
            table.add_row(
                name, f"{told['notices']:,}", f"{told['seconds']:.1f}", f"{told['notices_per_second']:,.0f}",
                f"{told['cpu_ms_a_notice']:.2f}",
                f"{told['slow_ones_left']:,}",
            )  # fmt: skip
    console.print(table)


def main() -> None:
    """Measure, show, and write the result."""
    parser = command.parser("python -m bench.notices", __doc__, RESULT)
    parser.add_argument("--gateway", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--notices", type=int, default=5_000, help="over the fast gateway")
    parser.add_argument("--slow", type=int, default=500, help="over the slow one")
    parser.add_argument("--before", help="a revision whose service is measured too")
    asked = parser.parse_args()
    if asked.gateway:
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve())
        return
    result = asyncio.run(measure(asked))
    command.tell(result, RESULT, write=asked.write)
    show(result, Console(stderr=True))


if __name__ == "__main__":
    main()
