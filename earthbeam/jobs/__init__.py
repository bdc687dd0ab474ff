"""Jobs: creating and deleting them, their rules, years, and status, unmatched rows, and re-runs.

May use `models`, `files`, `bundles`, `runs`, and the executor's reader of delimited text.
The admin, the APIs, launchers, and commands use its modules.
"""
