"""`python -m tests.chaos`: faults at random while a load runs, and whether anything was lost, doubled or wrong."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

from tepat_local import files, processes

from .controls import CONTROLS
from .figures import table, together, too_slow
from .run import run


def main() -> int:
    """The exit status: 0 where all is as it must be, 1 where not."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, action="append", help="may be given several times [7]")
    parser.add_argument("--kills", type=int, default=20, help="processes killed with each seed [20]")
    parser.add_argument("--brief", action="store_true", help="storms only, and nothing measured")
    parser.add_argument("--control", choices=sorted(CONTROLS), default="", help="run with this defect")
    parser.add_argument("--result", type=Path, help="write the figures there, as JSON")
    parser.add_argument("--logs", type=Path, help="keep there what every process wrote")
    asked = parser.parse_args()
    processes.end_on_sigterm()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the suite's own clients, in the midst of it
    runs: list[dict[str, Any]] = []
    wrong: list[str] = []
    flags = (" --brief" if asked.brief else "") + (f" --control {asked.control}" if asked.control else "")
    for seed in asked.seed or [7]:
        replay = f"replay: .venv/bin/python -m tests.chaos --seed {seed} --kills {asked.kills}{flags}"
        try:
            found = run(seed, asked.kills, brief=asked.brief, control=asked.control, logs=asked.logs)
        except BaseException:
            print(replay, file=sys.stderr)
            raise
        runs.append(found)
        if found["lost"] or found["doubled"] or found["wrong"]:
            wrong += [*(f"seed {seed}: {each}" for each in found["told"]), replay]
        if asked.result:
            files.write(asked.result, json.dumps(together(runs) | {"runs": runs}, indent=1) + "\n")
    summary = together(runs)
    wrong += too_slow(summary)
    print("", *table(summary), sep="\n")
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
