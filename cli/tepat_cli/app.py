"""The `tepat` command, put together: every command there is stands here, in the order people meet them.

Kept here: exit status 0 done, 1 some records rejected, 2 wrong use, 3 the cluster can't be reached; no traceback
unless `TEPAT_DEBUG` is set, for it could show what was sent.
"""

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import typer

from tepat_cli import logs, overlaps, policy, publish, quarantine, topics, trace
from tepat_cli.exits import DONE, UNREACHABLE, Ended
from tepat_cli.terminal import say

app = typer.Typer(
    name="tepat",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Social aid on target: payouts that overlap, found before the money leaves.",
)
app.command()(publish.publish)
app.command()(overlaps.overlaps)
app.command()(trace.trace)
app.add_typer(quarantine.commands, name="quarantine")
app.add_typer(policy.commands, name="policy")
app.add_typer(topics.commands, name="topics")
app.command()(logs.logs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and ends the process with its exit status."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what goes wrong there is told in words of ours
    try:
        app(args=arguments, prog_name="tepat")
    except Ended as ended:
        say(f"tepat: {ended}", "red")
        sys.exit(ended.status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it ends
        sys.exit(DONE)
    except KeyboardInterrupt:
        say("tepat: interrupted", "red")
        sys.exit(130)
    except Exception as wrong:
        if os.environ.get("TEPAT_DEBUG"):
            raise
        place = traceback.extract_tb(wrong.__traceback__)[-1]
        say(
            f"tepat: this should not have happened ({type(wrong).__name__} in {place.name}, "
            f"{Path(place.filename).name}:{place.lineno}); TEPAT_DEBUG=1 shows where",
            "red",
        )
        sys.exit(UNREACHABLE)
