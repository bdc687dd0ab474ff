"""What pages and commands say about a run: pure functions, without database or files.

Uses nothing else of `earthbeam`. The admin, the APIs, and commands use its modules.
"""
