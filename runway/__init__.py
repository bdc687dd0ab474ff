__version__ = "0.2.0.dev0"
"""The newest release in CHANGELOG.md, or the one that is being worked on."""
