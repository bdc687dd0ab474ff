"""The executor: the sandboxed program that carries out one run. It reaches the app only by HTTP."""
