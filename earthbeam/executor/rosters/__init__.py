"""Rosters: this year's from the ODS, the roster of all years from EDU, or a file."""
