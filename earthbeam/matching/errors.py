"""Errors of matching. No message contains any data from a student's record."""


class MatchingError(Exception):
    """Base of this package's errors. Retrying with the same data does not help."""


class BadRosterLine(MatchingError):
    """A roster line is not an Ed-Fi student: fetch the roster again or fix its source."""

    def __init__(self, line_number: int, reason: str) -> None:
        super().__init__(f"Line {line_number} of the roster {reason}.")
        self.line_number = line_number
        self.reason = reason


class NoIdColumns(MatchingError):
    """None of the bundle's possible student ID columns is in the input."""

    def __init__(self) -> None:
        super().__init__(
            "The input has none of the columns that may hold student ids: check that the file is"
            " one of this assessment, or name its id column in POSSIBLE_STUDENT_ID_COLUMNS."
        )


class NoRows(MatchingError):
    """The input has a header but no rows."""

    def __init__(self) -> None:
        super().__init__(
            "The input has no rows below its header: upload a file with results in it."
        )


class InsufficientMatches(MatchingError):
    """No pair of an ID column and an ID type matches enough rows, in any roster that was tried.

    The attributes are the fields of the executor's ``insufficient_matches`` report: the best rate
    of all rosters tried and the required rate (both fractions of all rows), and the column and ID
    type of the best rate. The type has the name its users know.
    """

    def __init__(
        self, *, match_rate: float, match_threshold: float, id_name: str, id_type: str
    ) -> None:
        super().__init__(
            f"Only {match_rate:.1%} of the rows match a student, at best by column {id_name!r} as"
            f" id type {id_type!r}; {match_threshold:.1%} are required. Check that the file belongs"
            " to this district and school year."
        )
        self.match_rate = match_rate
        self.match_threshold = match_threshold
        self.id_name = id_name
        self.id_type = id_type
