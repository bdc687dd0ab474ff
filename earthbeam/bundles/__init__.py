"""The bundle registry, templates, ID columns, revisions, and descriptor mappings.

May use `models`. Jobs, runs, the admin, and commands use its modules.
"""
