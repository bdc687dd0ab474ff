"""A partner's own descriptor mappings, which replace the bundle's seeds of the same name."""

import csv
from pathlib import Path
from typing import Any

from earthbeam.executor.job import invalid


def write_seeds(mappings: dict[str, list[dict[str, Any]]], bundle: Path) -> None:
    """Overwrite ``seeds/TYPE.csv`` for each type: its other columns, then ``edfi_descriptor``.

    The seed's edfi_descriptor gets the partner's local descriptor, since earthmover joins on what
    the partner's ODS knows; null becomes blank. Raises StepFailed(invalid_job) if the rows of a
    type have different columns.
    """
    for kind, rows in mappings.items():
        if not rows:
            continue
        columns = list(rows[0]["v_other_columns"])
        if any(set(row["v_other_columns"]) != set(columns) for row in rows):
            raise invalid(
                f"The descriptor mappings for {kind} differ in their columns: give every row the"
                f" columns {', '.join(columns)}."
            )
        seeds = bundle / "seeds"
        seeds.mkdir(exist_ok=True)
        with (seeds / f"{kind}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*columns, "edfi_descriptor"])
            for row in rows:
                cells = [row["v_other_columns"][column] for column in columns]
                writer.writerow([_text(cell) for cell in (*cells, row.get("local_descriptor"))])


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)
