"""What pages and commands say of a run: pure functions, without database or files.

Uses nothing else of `earthbeam`. The admin, the APIs, and commands use its modules.
"""
