"""Trains the model of record linkage with Splink, in an environment of its own: `train.py PERSONS PAIRS TOLD OUT`.

PERSONS has one person a line, as JSON: what `Traits` hold, and whether it is the first NIK of who they are. PAIRS has
pairs of NIKs by what they are: `kin` and `others`, one person under one card and under two, and `relatives`, two
persons under one card. TOLD has the thresholds that the levels need, how many pairs to draw, and some pairs to say the
levels of. OUT becomes JSON: for kin and others each field's levels' m and u, from 0 on, and the levels of those pairs.

`m` is estimated from the pairs that are one person. `u` of others is from pairs of first NIKs drawn at random, none of
which is one person; that of kin from the relatives, as if they were what is looked for.
"""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import duckdb
import splink.backends.duckdb as backend
import splink.comparison_library as compare
from splink import Linker, SettingsCreator, block_on

Told = dict[str, Any]


def conditions(at: Told) -> dict[str, list[str]]:
    """What `tepat_registry.linkage.compare` says, from the highest level of each field down to 1."""
    unknown = ", ".join(f"'{day}'" for day in at["unknown"])
    within = "(list_has_all(words_l, words_r) or list_has_all(words_r, words_l))"
    rarity = "least(rarity_l, rarity_r)"
    rare = [f">= {step * at['step']}" for step in range(at["rarest"], 0, -1)]
    alike = "jaro_winkler_similarity(whole_l, whole_r)"
    same, register = "born_l = born_r", "substr(nik_l, 1, 12) = substr(nik_r, 1, 12)"
    slip = "hamming(nik_l, nik_r) <= 2 and damerau_levenshtein(nik_l, nik_r) <= 1"
    year, day = "substr(born_l, 1, 4) = substr(born_r, 1, 4)", "substr(born_l, 6) = substr(born_r, 6)"
    month = "substr(born_l, 1, 7) = substr(born_r, 1, 7)"
    swapped = "substr(born_l, 6, 2) = substr(born_r, 9) and substr(born_l, 9) = substr(born_r, 6, 2)"

    def apart(first: int, count: int, of: str) -> str:
        return f"abs(substr({of}_l, {first}, {count})::int - substr({of}_r, {first}, {count})::int)"

    return {
        "name": [
            *(f"bag_l = bag_r and rarity_l {step}" for step in rare), "bag_l = bag_r",
            *(f"{within} and {rarity} {step}" for step in rare), within,
            f"{alike} >= {at['alike']} and len(list_intersect(words_l, words_r)) > 0",
            f"{alike} >= {at['alike']}",
            f"{alike} >= {at['somewhat_alike']}",
        ],
        "birth": [
            f"{same} and odd_l <> odd_r and {slip}",
            f"odd_l <> odd_r and {slip}",
            f"{same} and {register} and {slip} and {apart(13, 4, 'nik')} >= {at['near']}",
            f"{same} and not {register} and {slip}",
            f"{same} and {register}",
            f"{same} and substr(born_l, 6) not in ({unknown})",
            same,
            f"{year} and (substr(born_l, 6) in ({unknown}) or substr(born_r, 6) in ({unknown}))",
            f"{year} and {swapped}",
            f"({month} and {apart(9, 2, 'born')} in (1, 10)) or ({day} and {apart(1, 4, 'born')} in (1, 10))",
            "substr(nik_l, 7, 6) = substr(nik_r, 7, 6)",
            year,
            day,
        ],
        "sex": ["sex_l = sex_r"],
        "place": [
            "len(list_intersect(cards_l, cards_r)) > 0",
            "region_l = region_r",
            "substr(region_l, 1, 8) = substr(region_r, 1, 8)",
            "substr(region_l, 1, 5) = substr(region_r, 1, 5)",
        ],
        "lists": ["len(list_intersect(agencies_l, agencies_r)) = 0"],
    }  # fmt: skip


def settings(at: Told) -> SettingsCreator:
    """The comparisons; the first condition that holds is the level."""
    return SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="nik",
        comparisons=[
            compare.CustomComparison(
                output_column_name=name,
                comparison_levels=[
                    {"sql_condition": "nik_l is null", "is_null_level": True},
                    *({"sql_condition": condition} for condition in of),
                    {"sql_condition": "ELSE"},
                ],
            )
            for name, of in conditions(at).items()
        ],
        blocking_rules_to_generate_predictions=[block_on("nik")],
    )


def levels(connection: duckdb.DuckDBPyConnection, at: Told) -> list[list[int]]:
    """The levels of some pairs, for whoever wants to compare."""
    connection.execute("create table asked (n int, a text, b text)")
    connection.executemany("insert into asked values (?, ?, ?)", [[n, *pair] for n, pair in enumerate(at["pairs"])])
    columns = [row[0] for row in connection.execute("describe persons").fetchall()]
    sides = ", ".join(f"{side}.{name} as {name}_{side}" for side in "lr" for name in columns)
    met = f"select n, {sides} from asked join persons l on l.nik = a join persons r on r.nik = b"
    cases = [
        " ".join(("case", *(f"when {condition} then {len(of) - n}" for n, condition in enumerate(of)), "else 0 end"))
        for of in conditions(at).values()
    ]
    return [list(row) for row in connection.execute(f"select {', '.join(cases)} from ({met}) order by n").fetchall()]


Levels = dict[str, list[float]]


def estimates(linker: Linker, letter: str) -> Levels:
    """What was estimated of each field's levels, from 0 on; 0 where none was met."""
    return {
        each["output_column_name"]: [
            float(level.get(f"{letter}_probability") or 0.0) for level in reversed(each["comparison_levels"][1:])
        ]
        for each in linker.misc.save_model_to_json()["comparisons"]
    }


def main(persons: Path, pairs: Path, told: Path, out: Path) -> None:
    """Train, and write what came of it."""
    at = json.loads(told.read_bytes())
    connection = duckdb.connect()
    columns = "* replace (nik::text as nik, born::text as born, region::text as region)"
    read = f"read_json('{persons}', format = 'newline_delimited')"
    connection.execute(f"create table persons as select {columns} from {read}")
    connection.execute("create table first_niks as select * from persons where first")
    api = backend.DuckDBAPI(connection)

    def of_labels(kind: str) -> Levels:
        labels = f"select nik_l, nik_r from read_csv('{pairs}', all_varchar = true) where kind = '{kind}'"
        connection.execute(f"create table {kind} as {labels}")
        linker = Linker(api.register("persons"), settings(at), log_level=logging.ERROR)
        linker.training.estimate_m_from_pairwise_labels(api.register(kind))
        return estimates(linker, "m")

    linker = Linker(api.register("first_niks"), settings(at), log_level=logging.ERROR)
    linker.training.estimate_u_using_random_sampling(max_pairs=at["draws"], seed=1)
    found = {
        "others": {"m": of_labels("others"), "u": estimates(linker, "u")},
        "kin": {"m": of_labels("kin"), "u": of_labels("relatives")},
    }
    levels_of = {of: {field: {k: each[k][field] for k in "mu"} for field in each["m"]} for of, each in found.items()}
    out.write_text(json.dumps(levels_of | {"levels": levels(connection, at)}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
