"""Bundles: the registry in the database, templates, id columns, revisions, descriptor mappings.

May use `models`. Jobs, runs, the admin, and commands use its modules.
"""
