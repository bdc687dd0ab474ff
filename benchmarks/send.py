"""`make bench-send`: how fast lightbeam sends records, by the ODS's time and the requests at once.

    python -m benchmarks.send [--records 2000] [--milliseconds 0 20 100] [--at-once 2 8 32]

An ODS stand-in answers each record after so many milliseconds. CPU is that of lightbeam.
"""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import ods
from benchmarks.measure import PROJECT, machine, write_results
from earthbeam.executor.job import Ods
from earthbeam.executor.lightbeam.commands import Lightbeam
from earthbeam.executor.lightbeam.config import BundleSettings
from earthbeam.executor.workspace.folders import Workspace
from runway.sandbox.ods.server import CLIENT_ID, CLIENT_SECRET

RESOURCE = "gradeLevelDescriptors"
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="make bench-send", description=__doc__)
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--milliseconds", nargs="*", type=int, default=[0, 20, 100])
    parser.add_argument("--at-once", nargs="*", type=int, default=[2, 8, 32])
    options = parser.parse_args(arguments)
    runs = [
        run(options.records, milliseconds, at_once)
        for milliseconds in options.milliseconds
        for at_once in options.at_once
    ]
    found = {f"per_second_{run['milliseconds']}ms_{run['at_once']}": run["rate"] for run in runs}
    path = write_results("send", machine("lightbeam", "aiohttp"), runs, found)
    print(f"\nKept in {path.relative_to(PROJECT)}.")


def run(records: int, milliseconds: int, at_once: int) -> Row:
    """Send ``records`` records to an ODS that takes ``milliseconds`` for each."""
    with (
        Workspace() as workspace,
        ods.serving("--milliseconds", str(milliseconds)) as url,
    ):
        data = workspace.folder("data")
        _write(records, data / f"{RESOURCE}.jsonl")
        where = Ods("2026", url, CLIENT_ID, CLIENT_SECRET)
        lightbeam = Lightbeam(where, replace(BundleSettings(), pool_size=at_once), workspace)
        results = workspace.root / "results.json"
        began = os.times()
        done = lightbeam.run("send", "--results-file", str(results), data=data)
        ended = os.times()
        sent = json.loads(results.read_text())["resources"][RESOURCE]["successes"]
    assert done.exit_code == 0 and sum(each["count"] for each in sent) == records
    wall = ended.elapsed - began.elapsed
    cpu = ended.children_user + ended.children_system - began.children_user - began.children_system
    row = {"milliseconds": milliseconds, "at_once": at_once, "rate": round(records / wall)}
    print(f"{milliseconds:>4} ms {at_once:>3} at once {row['rate']:>6,} records/s", flush=True)
    return row | {"records": records, "cpu_ms_a_record": round(cpu / records * 1000, 2)}


def _write(records: int, path: Path) -> None:
    with path.open("w") as file:
        for number in range(records):
            record = {"namespace": "uri://x.org/G", "codeValue": str(number)}
            file.write(json.dumps(record | {"shortDescription": "x" * 60}) + "\n")


if __name__ == "__main__":
    main()
