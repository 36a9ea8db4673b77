"""What the tests of the command share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tepat_cli.app import main


@dataclass(frozen=True)
class Run:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Both outlets, lines joined, for looking for a phrase."""
        return " ".join((self.out + self.err).split())


Tepat = Callable[..., Run]


@pytest.fixture
def tepat(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tepat:
    """Runs the command in this process, with nothing set around it."""
    for name in ("DATA", "KAFKA", "API", "TOKEN", "CONFIG", "PARTITIONS", "DEBUG"):
        monkeypatch.delenv(f"TEPAT_{name}", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Run:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        told = capsys.readouterr()
        return Run(int(ended.value.code or 0), told.out, told.err)

    return run
