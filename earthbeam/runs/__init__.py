"""Runs: states, reports, payloads, tokens, second tries, and the reaper that ends lost ones.

May use `models`, `files`, `bundles`, and `notify`. Jobs, launchers, the APIs, the admin, and
commands use its modules.
"""
