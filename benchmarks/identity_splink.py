"""Splink's guesses on FEBRL4, for comparison with ours, in an environment that has splink.

    python identity_splink.py <people.json

Standard input has both files of FEBRL4, as lists of [number, first name, last name, birth date].
Splink is trained by expectation maximization, as its tutorials do. Prints, for each row of the
second file, its three best guesses with their probability, and the seconds it took.
"""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import splink.comparison_library as compare  # type: ignore[import-not-found, unused-ignore]
from splink import (  # type: ignore[import-not-found, unused-ignore]
    DuckDBAPI,
    Linker,
    SettingsCreator,
    block_on,
)

NAMES = ("unique_id", "first", "last", "birth")
LEAST = 0.001
# Pairs that share one of these are compared.
BLOCKS = (
    block_on("birth"),
    block_on("last", "first"),
    block_on("last", "substr(birth, 1, 4)"),
    block_on("first", "substr(birth, 1, 4)"),
    block_on("first", "substr(birth, 6, 5)"),
    block_on("last", "substr(birth, 6, 5)"),
)


def main() -> None:
    sets = json.load(sys.stdin)
    started = time.perf_counter()
    guesses: dict[str, list[tuple[float, str]]] = {}
    with TemporaryDirectory() as folder:
        for row, other, probability in _pairs(sets, Path(folder)):
            guesses.setdefault(row, []).append((probability, other))
    best = {row: sorted(each, reverse=True)[:3] for row, each in guesses.items()}
    print(json.dumps({"seconds": time.perf_counter() - started, "guesses": best}))


def _pairs(sets: list[list[list[str]]], folder: Path) -> list[tuple[str, str, float]]:
    api = DuckDBAPI()
    tables = [_register(api, folder, name, rows) for name, rows in zip("ab", sets, strict=True)]
    settings = SettingsCreator(
        link_type="link_only",
        comparisons=[
            compare.ForenameSurnameComparison("first", "last"),
            compare.DateOfBirthComparison("birth", input_is_string=True),
        ],
        blocking_rules_to_generate_predictions=list(BLOCKS),
        probability_two_random_records_match=1 / 5000,
    )
    linker = Linker(tables, settings, log_level="ERROR")
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for rule in (block_on("birth"), block_on("first", "last")):
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    found = linker.inference.predict(threshold_match_probability=LEAST).as_record_list()
    return [_in_order(each) for each in found]


def _register(api: Any, folder: Path, name: str, rows: list[list[str]]) -> Any:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in rows))
    connection = api._con
    text = ", ".join(f"nullif(cast({column} as varchar), '') as {column}" for column in NAMES)
    connection.execute(f"create table {name} as select {text} from read_json_auto('{path}')")  # noqa: S608
    return api.register(name, dataset_display_name=name)


def _in_order(pair: dict[str, Any]) -> tuple[str, str, float]:
    """Return the row of the second file, that of the first, and the probability."""
    sides = {pair[f"source_dataset_{side}"]: pair[f"unique_id_{side}"] for side in "lr"}
    return sides["b"], sides["a"], pair["match_probability"]


if __name__ == "__main__":
    main()
