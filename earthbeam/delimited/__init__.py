"""Delimited text, for the app and the executor: its encoding, header, and rows. Without Django.

Uses nothing else of `earthbeam`. Import from this package only, not from its modules.
"""

from earthbeam.delimited.headers import (
    DELIMITERS,
    Location,
    find_columns,
    first_rows,
    locate,
)
from earthbeam.delimited.reading import (
    BadFile,
    DelimitedFile,
    RowWriter,
    detect_encoding,
    writing_rows,
)

__all__ = [
    "DELIMITERS",
    "BadFile",
    "DelimitedFile",
    "Location",
    "RowWriter",
    "detect_encoding",
    "find_columns",
    "first_rows",
    "locate",
    "writing_rows",
]
