"""The executor: the sandboxed program that carries out one run. Talks to the app over HTTP only."""

from pathlib import Path

# The child is started by path, in Python's isolated mode: nothing of ours is importable for it.
earthmover_server_path = Path(__file__).with_name("earthmover_server.py")
