"""supervisord, run for one data directory: it starts, restarts and stops the programs of the stack.

Invariants:
- A program that ends is started again, at once the first time, then after 1, 2, 3 … seconds, for ever.
- Services stop before the servers that they use; what does not stop in time is killed, with its children.
- Each end of a program and each new start is told; so is the end of supervisord itself.
- It stops everything in order even where nobody hears it any more: a standard error that is gone would end it at the
  first line that it can't write, with every program left behind, so that one is a file.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
import xmlrpc.client
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from supervisor.xmlrpc import SupervisorTransport

from tepat_local import files, processes

SERVERS, SERVICES = "servers", "services"

STOP_SECONDS = {SERVICES: 5, SERVERS: 3}
"""How long each group may take to stop; together within the 10 s that a stop may take."""

START_SECONDS = 30
"""How long supervisord itself may take to start."""

_STARTED = re.compile(r"INFO supervisord started with pid")
_ENDED = re.compile(r"(?:INFO|WARN) exited: (\S+) \((.+); (?:not )?expected\)")
_SPAWNED = re.compile(r"INFO spawned: '(\S+)' with pid (\d+)")
_SPAWN_FAILED = re.compile(r"spawnerr: (.+)")


@dataclass(frozen=True)
class Program:
    """One process of the stack.

    `stop` is the signal it takes as the wish to end. `user` is the system account it runs as, the caller's
    where None.
    """

    name: str
    group: str
    command: list[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stop: str = "TERM"
    user: str | None = None


class Supervisor:
    """One supervisord with the programs of `data`; `say` gets what an operator should know."""

    def __init__(self, data: Path, programs: Iterable[Program], say: Callable[[str], None]) -> None:
        self._data = data
        self._programs = list(programs)
        self._say = say
        self._socket = files.socket_dir(data) / "supervisor.sock"
        self._up_or_gone = threading.Event()
        self.ended = threading.Event()
        """Set once supervisord has ended, for whatever reason."""
        self._down: set[str] = set()
        config = files.write(data / "run" / "supervisord.conf", self._config(), secret=True)
        self._trouble = files.write(data / "run" / "supervisord.trouble", "", secret=True)
        with self._trouble.open("ab") as trouble:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=trouble,
                text=True,
                env=os.environ | processes.mark(data),
                start_new_session=True,
            )
        threading.Thread(target=self._listen, name="supervisord", daemon=True).start()

    def _listen(self) -> None:
        """Hear what supervisord tells, and pass on what matters, until it has ended."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if _STARTED.search(line):
                self._up_or_gone.set()
            elif ended := _ENDED.search(line):
                name, how = ended.groups()
                self._down.add(name)
                self._say(f"{name} ended ({how}): starting it again; see {self._log(name)}")
            elif (spawned := _SPAWNED.search(line)) and spawned[1] in self._down:
                self._down.remove(spawned[1])
                self._say(f"{spawned[1]} runs again, as process {spawned[2]}")
            elif failed := _SPAWN_FAILED.search(line):
                self._say(f"a program can't be started: {failed[1]}")
        self._process.wait()
        self._process.stdout.close()
        self.ended.set()
        self._up_or_gone.set()

    def launch(self, group: str) -> None:
        """Start the programs of `group`, without waiting for them to be ready.

        Raises:
            RuntimeError: supervisord did not start, or is gone.
        """
        self._up_or_gone.wait(START_SECONDS)
        if self.ended.is_set() or not self._up_or_gone.is_set():
            raise RuntimeError(f"supervisord did not start: {' '.join(self._trouble.read_text().split())}")
        transport = SupervisorTransport(serverurl=f"unix://{self._socket}")
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport) as remote:
                remote.supervisor.startProcessGroup(group, False)
        except (OSError, xmlrpc.client.Error) as gone:
            raise RuntimeError(f"supervisord does not answer; see {self._log('supervisord')}") from gone

    def shutdown(self, patience: float) -> None:
        """Stop services, then servers, then supervisord; return when it has ended or `patience` seconds are over."""
        if self._process.poll() is None:
            self._process.terminate()
        self.ended.wait(patience)

    def _log(self, name: str) -> Path:
        return self._data / "logs" / f"{name}.log"

    def _config(self) -> str:
        """The configuration. Raises ValueError for a value that supervisord's format can't hold."""
        lines = [
            "[supervisord]",
            f"logfile={_quoted(str(self._log('supervisord')))}",
            "logfile_maxbytes=5MB",
            "logfile_backups=1",
            f"pidfile={_quoted(str(self._data / 'run' / 'supervisord.pid'))}",
            *(["user=root"] if os.geteuid() == 0 else []),
            "[unix_http_server]",
            f"file={_quoted(str(self._socket))}",
            "chmod=0600",
            "[supervisorctl]",
            f"serverurl=unix://{_quoted(str(self._socket))}",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        ]
        for priority, group in enumerate((SERVERS, SERVICES), start=1):
            members = [program for program in self._programs if program.group == group]
            if members:
                names = ",".join(program.name for program in members)
                lines += [f"[group:{group}]", f"programs={names}", f"priority={priority}"]
            for program in members:
                lines += [
                    f"[program:{program.name}]",
                    f"command={_quoted(shlex.join(program.command))}",
                    f"environment={','.join(_assigned(*each) for each in program.env.items())}",
                    "autostart=false",
                    "autorestart=true",
                    "startretries=1000000000",
                    f"stopsignal={program.stop}",
                    f"stopwaitsecs={STOP_SECONDS[group]}",
                    "killasgroup=true",
                    "redirect_stderr=true",
                    f"stdout_logfile={_quoted(_quoted(str(self._log(program.name))))}",  # expanded twice
                    "stdout_logfile_maxbytes=50MB",
                    "stdout_logfile_backups=3",
                    *([f"user={program.user}"] if program.user else []),
                ]
        return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    """`value` as supervisord's configuration takes it, which expands what stands after a percent sign."""
    if "\n" in value or " ;" in value or " #" in value:
        raise ValueError("a path or command holds a line break, or a space before ; or #")
    return value.replace("%", "%%")


def _assigned(name: str, value: str) -> str:
    if '"' in value:
        raise ValueError(f"{name} holds a double quote")
    return f'{name}="{_quoted(value)}"'
