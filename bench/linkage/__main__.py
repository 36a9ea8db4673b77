"""``python -m bench.linkage train|report|rate``: the model that finds possible duplicates, how good and how fast it is.

``train`` writes the registry's ``model.json``; ``report`` measures it on a seed that it was not trained on, and draws
the curve; ``rate`` has persons arrive at a registry of a million.
"""

import sys
from pathlib import Path

from rich.console import Console

from bench import command
from bench.linkage import rate, report, training

HERE = Path(__file__).parent
TRAINED_ON, REPORTED_ON = 1, 2028
"""Seeds. The second is frozen: nothing was chosen by it."""


def main() -> int:
    """Do what is asked; ``--write`` keeps the result beside this file."""
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    parser = command.parser(f"bench.linkage {asked}".strip(), __doc__, HERE / f"{asked or 'report'}.json")
    parser.add_argument("what", choices=("train", "report", "rate"))
    parser.add_argument("--seed", type=int, default=TRAINED_ON if asked == "train" else REPORTED_ON)
    parser.add_argument("--persons", type=command.at_least(1_000), default=1_000_000 if asked == "rate" else 300_000)
    parser.add_argument("--draws", type=float, default=1e7, help="train: pairs that Splink draws by chance")
    parser.add_argument("--arrivals", type=command.at_least(1), default=50_000, help="rate: of so many persons")
    told = parser.parse_args()
    if told.what == "train":
        training.write(training.train(told.seed, told.persons, told.draws))
        return 0
    if told.what == "rate":
        command.tell(rate.run(told.seed, told.persons, told.arrivals), HERE / "rate.json", write=told.write)
        return 0
    result = report.measure(told.seed, told.persons)
    report.show(result, Console(stderr=True))
    command.tell(result, HERE / "report.json", write=told.write)
    if told.write:
        report.CURVE.write_text(report.picture(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
