"""``runway submit | status | open-rows | output-sets``: the client on the command line.

The installation and the credentials come from the environment: RUNWAY_URL, and either RUNWAY_TOKEN
or RUNWAY_TOKEN_URL, RUNWAY_CLIENT_ID, RUNWAY_CLIENT_SECRET, and RUNWAY_AUDIENCE (by default, the
URL). Exit status: 0, 1 if a job failed or a request was refused, 2 for a wrong command line, 3 if
Runway could not be reached or was not done in time.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runway_client import ClientCredentials, NotInTime, Runway, RunwayError, Unreachable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        with connect(os.environ) as runway:
            options.do(runway, options)
    except (Unreachable, NotInTime) as error:
        return _failed(error, 3)
    except (RunwayError, OSError) as error:
        return _failed(error, 1)
    return 0


def connect(variables: Mapping[str, str]) -> Runway:
    """Return a client for what the variables name. Raises RunwayError if one is missing."""
    url, token = variables.get("RUNWAY_URL"), variables.get("RUNWAY_TOKEN")
    if not url:
        raise RunwayError("Set RUNWAY_URL, such as https://runway.example.org.")
    if token:
        return Runway(url, token)
    names = ("RUNWAY_TOKEN_URL", "RUNWAY_CLIENT_ID", "RUNWAY_CLIENT_SECRET")
    missing = [name for name in names if not variables.get(name)]
    if missing:
        raise RunwayError(f"Set {', '.join(missing)}, or RUNWAY_TOKEN.")
    audience = variables.get("RUNWAY_AUDIENCE") or url
    return Runway(url, ClientCredentials(*(variables[name] for name in names), audience=audience))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runway", description="Submit assessment files to Runway, and fetch what came of them."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    submit = commands.add_parser("submit", help="create a job, upload its files, and start it")
    for name in ("partner", "tenant", "bundle", "year"):
        submit.add_argument(name, help="end year, such as 2026" if name == "year" else None)
    submit.add_argument("values", nargs="+", metavar="KEY=VALUE", help="INPUT_FILE=scores.csv …")
    submit.add_argument("--param", action="append", default=[], metavar="KEY=VALUE")
    submit.add_argument("--key", help="the same key within a day means the same job")
    submit.add_argument("--preview", action="store_true", help="do everything but send")
    submit.add_argument("--wait", action="store_true", help="until the run has ended")
    submit.set_defaults(do=_submit)
    status = commands.add_parser("status", help="show a job with its last run, as JSON")
    status.add_argument("job")
    status.set_defaults(do=lambda runway, options: _show(runway.job(options.job)))
    rows = commands.add_parser("open-rows", help="store a job's open rows as CSV")
    rows.add_argument("job")
    rows.add_argument("target", type=Path)
    rows.set_defaults(do=lambda runway, options: runway.open_rows(options.job, options.target))
    sets = commands.add_parser("output-sets", help="list output sets, or download them")
    sets.add_argument("partner")
    sets.add_argument("--tenant")
    sets.add_argument("--created-after", metavar="TIME", help="ISO 8601")
    sets.add_argument("--all", action="store_true", help="also those that were sent to the ODS")
    sets.add_argument("--download", type=Path, metavar="FOLDER", help="a folder for each set")
    sets.set_defaults(do=_output_sets)
    return parser


def _submit(runway: Runway, options: argparse.Namespace) -> None:
    job = runway.submit(
        partner=options.partner,
        tenant=options.tenant,
        bundle=options.bundle,
        school_year=options.year,
        files={name: Path(value) for name, value in _pairs(options.values)},
        params=dict(_pairs(options.param)),
        key=options.key,
        preview=options.preview,
    )
    _show(runway.wait(job["uid"]) if options.wait else job)


def _output_sets(runway: Runway, options: argparse.Namespace) -> None:
    filters = {
        "tenant": options.tenant,
        "createdAfter": options.created_after,
        "sentToOds": None if options.all else "false",
    }
    given = {name: value for name, value in filters.items() if value}
    for each in runway.output_sets(partner=options.partner, **given):
        if options.download:
            runway.download(each, options.download / each["uid"])
        _show(each)


def _pairs(texts: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    for name, sign, _ in pairs:
        if not (name and sign):
            raise RunwayError(f"{name!r} is not KEY=VALUE.")
    return [(name, value) for name, _, value in pairs]


def _show(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")


def _failed(error: Exception, status: int) -> int:
    sys.stderr.write(f"runway: {error}\n")
    for name, value in getattr(error, "fields", {}).items():
        sys.stderr.write(f"  {name}: {value}\n")
    return status
