"""Serve the ODS stand-in until it is terminated: ``python -m runway.sandbox.ods --port 8401``."""

import argparse
import signal

from runway.sandbox.ods.server import CLIENT_ID, CLIENT_SECRET, SandboxOds
from runway.sandbox.population import CURRENT_YEAR, students


def main() -> None:
    """Parse the command line, print the base URL as the first line, and serve."""
    parser = argparse.ArgumentParser(prog="python -m runway.sandbox.ods", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--year", type=int, default=CURRENT_YEAR, help="of the roster")
    parser.add_argument("--client-id", default=CLIENT_ID)
    parser.add_argument("--client-secret", default=CLIENT_SECRET)
    options = parser.parse_args()
    ods = SandboxOds(students(), **vars(options))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(ods.url, flush=True)
    try:
        ods.serve_forever()
    except KeyboardInterrupt:
        print("stopped", flush=True)


if __name__ == "__main__":
    main()
