"""What the commands of the bench have in common: how each is asked, and how its result is told and kept."""

import argparse
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tepat_local import processes

ROOT = Path(__file__).parents[1]


def parser(prog: str, description: str | None, result: Path) -> argparse.ArgumentParser:
    """A parser that knows ``--write``; the broker's client is silent from here on but for errors, and SIGTERM ends the
    program with all it started."""
    processes.end_on_sigterm()
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # a broker that has just started elects its leaders
    made = argparse.ArgumentParser(prog=prog, description=description)
    made.add_argument("--write", action="store_true", help=f"keep the result in {result.relative_to(ROOT)}")
    return made


def at_least(least: int) -> Callable[[str], int]:
    """The type of an argument that is a number no less than that."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more, not {value}")
        return value

    number.__name__ = "number"
    return number


def tell(result: Mapping[str, Any], file: Path, *, write: bool) -> None:
    """Print a result as JSON, and keep it if asked to."""
    text = json.dumps(result, indent=2)
    print(text)
    if write:
        file.write_text(text + "\n")
