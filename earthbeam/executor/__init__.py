"""The executor: the sandboxed program that carries out one run. Talks to the app over HTTP only."""
