"""Runs: states, reports, payloads, tokens, second tries, and the reaper that ends lost runs.

May use `models`, `files`, `bundles`, and `notify`. Jobs, launchers, the APIs, the admin, and
commands use its modules.
"""
