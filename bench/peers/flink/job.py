"""Overlapping payouts by Flink SQL, on a cluster of its own within this process.

``job.py WORK SETTINGS``: the settings are Flink's own, as JSON.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

BUILT_IN = {"id": "same-programme-same-person", "verdict": "exclusive", "scope": "person"}


def rule(rules: list[dict[str, Any]]) -> str:
    """The id of the rule that holds between payouts a and b, null where none does, as SQL."""
    cases = [f"when a.programme = b.programme and a.person = b.person then '{BUILT_IN['id']}'"]
    for each in rules:
        one, other = each["programmes"]
        either = f"('{one}', '{other}')"
        same = " and a.person = b.person" if each["scope"] == "person" else ""
        condition = f"a.programme in {either} and b.programme in {either} and a.programme <> b.programme{same}"
        cases.append(f"when {condition} then '{each['id']}'")
    return f"case {' '.join(cases)} end"


def of_rule(rules: list[dict[str, Any]], field: str) -> str:
    """A field of the rule called `rule`, as SQL."""
    cases = [f"when '{each['id']}' then '{each[field]}'" for each in rules]
    return f"case rule {' '.join(cases)} end"


def main() -> None:
    work, settings = json.loads(Path(sys.argv[1]).read_text()), json.loads(sys.argv[2])
    os.environ["FLINK_LOG_DIR"] = work["home"]
    from pyflink.common import Configuration  # noqa: PLC0415 - starts Java with the environment that it finds
    from pyflink.table import EnvironmentSettings, TableEnvironment  # noqa: PLC0415

    configuration = Configuration()
    for name, value in settings.items():
        configuration.set_string(name, value)
    configuration.set_string("execution.checkpointing.dir", f"file://{work['home']}/checkpoints")
    configuration.set_string("io.tmp.dirs", work["home"])
    configuration.set_string("pipeline.global-job-parameters", f"work:{sys.argv[1]}")
    table = TableEnvironment.create(
        EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration).build()
    )
    rules = [BUILT_IN, *work["rules"]]
    filled = {
        **{name: work[name] for name in ("topic", "kafka", "overlaps", "deadLetters", "name")},
        "rule": rule(work["rules"]), "verdict": of_rule(rules, "verdict"), "scope": of_rule(rules, "scope"),
    }  # fmt: skip
    text = Path(__file__).with_name("overlaps.sql").read_text()
    for name, value in filled.items():
        text = text.replace("{" + name + "}", value)
    statements = [statement.strip() for statement in text.split(";\n") if statement.strip()]
    inserts = table.create_statement_set()
    for statement in statements:
        if statement.startswith("insert"):
            inserts.add_insert_sql(statement)
        else:
            table.execute_sql(statement)
    if "--explain" in sys.argv:
        print(inserts.explain())
        return
    inserts.execute().wait()


if __name__ == "__main__":
    main()
