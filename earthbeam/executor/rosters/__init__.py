"""Rosters: this year's from the ODS, all years' from EDU, or a file."""
