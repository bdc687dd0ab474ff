"""Notify other systems when a run ends: webhooks and events, delivered at least once.

May use `models`. Runs, tasks, and the admin use its modules.
"""
