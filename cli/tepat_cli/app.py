"""The `tepat` command, put together: every command there is stands here, in the order people meet them.

Kept here: exit status 0 done, 1 some records rejected, 2 wrong use, 3 the cluster can't be reached; no traceback
unless `TEPAT_DEBUG` is set, for it could show what was sent.
"""

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError

from tepat_cli.exits import REJECTED, UNREACHABLE, WRONG_USE, Ended
from tepat_cli.refusals import words
from tepat_cli.terminal import say
from tepat_cli.usage import Commands, misused

COMMANDS: Final = {
    "up": "stack:up",
    "demo": "demo:demo",
    "publish": "publish:publish",
    "check": "check:check",
    "overlaps": "overlaps:overlaps",
    "clearances": "clearances:clearances",
    "case": "case:commands",
    "findings": "findings:commands",
    "person": "person:commands",
    "disclosures": "disclosures:commands",
    "household": "household:commands",
    "unserved": "unserved:commands",
    "suspects": "suspects:commands",
    "institutions": "institutions:commands",
    "verification": "verification:commands",
    "objections": "objections:commands",
    "ranking": "ranking:commands",
    "round": "round:commands",
    "reports": "reports:commands",
    "report": "report:report",
    "fund": "fund:commands",
    "capital": "capital:commands",
    "group": "group:commands",
    "notices": "notices:commands",
    "trace": "trace:trace",
    "quarantine": "quarantine:commands",
    "policy": "policy:commands",
    "topics": "topics:commands",
    "logs": "logs:logs",
}
"""Each command and where it is. Only the one that is called is imported: all of them take seconds."""


def application(called: str | None = None) -> typer.Typer:
    """The command line with the command that is called, or with all of them."""
    app = typer.Typer(
        name="tepat",
        cls=Commands,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Social aid on target: payouts that overlap, found before the money leaves.",
    )
    app.callback()(lambda: None)
    for name in [called] if called in COMMANDS else COMMANDS:
        module, _, member = COMMANDS[name].partition(":")
        command = getattr(import_module(f"tepat_cli.{module}"), member)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, cls=Commands)
        else:
            app.command(name)(command)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and ends the process with its exit status."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what goes wrong there is told in words of ours
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        sys.exit(application(next(iter(arguments), None))(args=arguments, prog_name="tepat", standalone_mode=False))
    except NoArgsIsHelpError:
        sys.exit(WRONG_USE)  # the help is shown by then
    except ClickException as wrong:
        say(f"tepat: {misused(wrong)}", "red")
        sys.exit(WRONG_USE)
    except typer.Abort:
        say(f"tepat: {words('stopped')}", "red")
        sys.exit(REJECTED)
    except Ended as ended:
        say(f"tepat: {ended}", "red")
        sys.exit(ended.status)
    except Exception as wrong:
        if os.environ.get("TEPAT_DEBUG"):
            raise
        place = traceback.extract_tb(wrong.__traceback__)[-1]
        where = f"{place.name}, {Path(place.filename).name}:{place.lineno}"
        say(
            f"tepat: {words('unexpected', error=type(wrong).__name__, where=where)}",
            "red",
        )
        sys.exit(UNREACHABLE)
