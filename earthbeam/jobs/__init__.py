"""Create and delete jobs, with their rules, years, status, unmatched rows, and re-runs.

May use `models`, `files`, `delimited`, `matching`, `identity`, `bundles`, and `runs`. The admin,
the APIs, launchers, and commands use its modules.
"""
