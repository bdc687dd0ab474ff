"""The executor: the sandboxed program that carries out one run. Talks to the app over HTTP only."""

from pathlib import Path

_HERE = Path(__file__).parent

# Children are started by path, in Python's isolated mode: nothing of ours is importable for them.
earthmover_server_path = _HERE / "earthmover_server.py"
fast_earthmover_path = _HERE / "fast_earthmover.py"
