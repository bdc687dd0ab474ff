"""A run's outcome in a sentence or two, which never claim more than happened.

Pure: from the facts that a run has left to words and the parts of a picture. Executors other than
ours do not tell how rows were matched; then the words go by what there is, without numbers that
no one reported.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rows:
    """Where the input's rows went, as the run reported it."""

    total: int
    ods: int
    earlier: int
    """Matched on EDU's roster of all years. For a job that goes to no ODS, all that matched."""
    unmatched: int
    blank: int = 0
    ambiguous: int = 0
    untransformable: int = 0
    """Rows that have a student, but with which the assessment's bundle fails."""
    identity_checks: str = ""
    """What was done with rows that disagree: report or hold. Empty: no identity checks."""
    disagreeing: int | None = None
    """Rows whose ID leads to another student; None if there were no names to compare."""
    suggested: int | None = None
    """Unmatched rows with suggested students."""
    confirmed: int | None = None
    """Rows that went to a student whom a person confirmed for their ID earlier."""
    refused: int | None = None
    """Rows that were sent, of which the ODS refused a record; None if no one said."""

    @property
    def held(self) -> int:
        """Rows that are unmatched because they disagree."""
        return (self.disagreeing or 0) if self.identity_checks == "hold" else 0


@dataclass(frozen=True)
class Facts:
    """What is known about a run that has ended."""

    succeeded: bool
    to_ods: bool
    rows: Rows | None = None
    unmatched: int | None = 0
    """Rows that matched no student; None: some, and no one said how many."""
    ods_set: bool = False
    """Whether there are results for the ODS, which were sent there."""
    edu_set: bool = False
    """Whether there are results for EDU."""
    counted: bool = True
    """Whether the run reported the results of its records."""
    refused: int = 0
    skipped: int = 0
    sending_began: bool = False
    cancelled: bool = False
    kind: str = "load"
    """What the run did: load, preview, resend, or withdraw."""
    processed: int = 0
    """Records that it was about."""


@dataclass(frozen=True)
class Part:
    """A part of the input's rows. ``kind`` is a class of runway.css that colors it."""

    kind: str
    label: str
    rows: int


@dataclass(frozen=True)
class Outcome:
    """``tone`` is a class of runway.css. ``parts`` are empty if the rows are unknown."""

    tone: str
    headline: str
    sentences: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def widths(self) -> list[tuple[Part, str]]:
        """Each part with its share of the rows, such as ``37.500%``."""
        total = sum(part.rows for part in self.parts) or 1
        return [(part, f"{100 * part.rows / total:.3f}%") for part in self.parts]


def outcome(facts: Facts) -> Outcome:
    """Return the words and the picture for ``facts``."""
    if not facts.succeeded:
        return _failed(facts)
    if facts.kind == "withdraw":
        return _withdrawn(facts)
    if facts.kind == "preview":
        return _previewed(facts)
    base = _by_rows(facts, facts.rows) if facts.rows and facts.rows.total else _by_sets(facts)
    again = ["This run sent only the records that the ODS had refused before."]
    sentences = [
        *(again if facts.kind == "resend" else []),
        *base.sentences,
        *_about_records(facts),
        *_about_unmatched(facts),
        *_about_identity(facts.rows),
    ]
    tone = "rw-flawed" if facts.refused else "rw-good" if facts.unmatched == 0 else "rw-warn"
    return Outcome(tone, base.headline, tuple(sentences), base.parts)


def _failed(facts: Facts) -> Outcome:
    headline = "The run was cancelled." if facts.cancelled else "The run failed."
    if facts.kind == "withdraw":
        after = (
            "Some of the job's records may be deleted already. Withdraw the job again to delete "
            "the others."
        )
    elif facts.kind == "resend":
        after = (
            "What the job loaded before is still loaded. Send the refused records again when the "
            "cause is fixed."
        )
    elif facts.kind == "preview":
        after = "Nothing was sent to the ODS, and nothing is offered to EDU."
    elif not facts.to_ods:
        after = "It left no results for EDU."
    elif facts.sending_began:
        after = (
            "Sending had started, so some records may be in the ODS. You can run the job again: "
            "the ODS replaces the records it already has."
        )
    else:
        after = "Nothing was sent to the ODS."
    return Outcome("rw-bad", headline, (after,))


def _withdrawn(facts: Facts) -> Outcome:
    deleted = facts.processed - facts.skipped
    sentences = []
    if facts.to_ods:
        sentences.append(f"{_records(deleted)} {_was(deleted)} deleted from the ODS.")
        if facts.skipped:
            sentences.append(f"{_records(facts.skipped)} had already been deleted.")
    if facts.edu_set:
        sentences.append(
            "The results for EDU are marked as withdrawn, and its loaders remove them."
        )
    sentences.append("You can run the job again to load it again.")
    return Outcome("rw-idle", "The job was withdrawn.", tuple(sentences))


def _previewed(facts: Facts) -> Outcome:
    headline = "This is a preview: nothing was sent."
    rows = facts.rows
    if rows is None or not rows.total:
        return Outcome("rw-busy", headline)
    where = [
        f"{rows.ods:,} would be sent to the ODS" if rows.ods else "",
        f"{rows.earlier:,} would be ready for EDU" if rows.earlier else "",
        f"{rows.unmatched:,} would stay behind" if rows.unmatched else "",
    ]
    parts = (
        Part("rw-ods", "For the ODS", rows.ods),
        Part("rw-edu", "For EDU", rows.earlier),
        Part("rw-unmatched", "Unmatched", rows.unmatched),
    )
    sentences = (
        f"Of {_rows(rows.total)}, {', '.join(filter(None, where))}.",
        *_about_unmatched(facts),
        *_about_identity(rows),
    )
    return Outcome("rw-busy", headline, sentences, tuple(each for each in parts if each.rows))


def _everything_was_sent(facts: Facts) -> bool:
    return (
        facts.ods_set
        and not facts.edu_set
        and facts.counted
        and facts.refused == 0
        and facts.skipped == 0
        and facts.unmatched == 0
        and (
            facts.rows is None
            or (
                (facts.rows.earlier == 0 and facts.rows.unmatched == 0)
                and facts.rows.ods == facts.rows.total
            )
        )
    )


def _by_rows(facts: Facts, rows: Rows) -> Outcome:
    parts = []
    if facts.to_ods:
        label = "Sent to the ODS" if facts.ods_set else "Matched, no results for the ODS"
        if facts.ods_set and facts.refused and rows.refused is None:
            label += f" (which refused {_records(facts.refused)})"
        parts.append(Part("rw-ods", label, rows.ods - (rows.refused or 0)))
        parts.append(Part("rw-refused", "Refused by the ODS", rows.refused or 0))
    waiting = "Ready for EDU" if facts.edu_set else "Matched, no results for EDU"
    parts.append(Part("rw-edu", waiting, rows.earlier))
    parts.append(Part("rw-unmatched", "Unmatched", rows.unmatched))
    parts = [part for part in parts if part.rows]
    if facts.to_ods and _everything_was_sent(facts):
        matched = (_matched_all(rows.total, facts),)
        return Outcome("", "All results were sent to the ODS.", matched, tuple(parts))
    if not facts.to_ods and rows.earlier == rows.total and facts.edu_set and _clean(facts):
        matched = (_matched_all(rows.total, facts),)
        return Outcome("", "The results are ready for EDU.", matched, tuple(parts))
    clauses = [clause for clause in _clauses(facts, rows) if clause]
    return Outcome("", f"Of {_rows(rows.total)}, {', '.join(clauses)}.", (), tuple(parts))


def _clean(facts: Facts) -> bool:
    return facts.refused == 0 and facts.unmatched == 0 and facts.skipped == 0


def _matched_all(total: int, facts: Facts) -> str:
    students = "students in this year's roster" if facts.to_ods else "students in the roster"
    return f"All {_rows(total)} matched {students}." if total > 1 else "Its one row matched."


def _clauses(facts: Facts, rows: Rows) -> list[str]:
    ods = earlier = unmatched = held = ""
    if facts.to_ods and rows.ods:
        count = f"{rows.ods:,}"
        if facts.ods_set:
            ods = f"{count} {_was(rows.ods)} sent to the ODS"
            if facts.refused:
                of = f" of {_rows(rows.refused)}" if rows.refused else ""
                ods += f" (it refused {_records(facts.refused)}{of})"
        else:
            ods = f"{count} matched, but produced no records for the ODS"
    if rows.earlier:
        count = f"{rows.earlier:,}"
        matched = "matched a prior year" if facts.to_ods else "matched a student"
        wait = "is ready for EDU" if rows.earlier == 1 else "are ready for EDU"
        if facts.edu_set:
            earlier = f"{count} {matched} and {wait}"
        else:
            earlier = f"{count} {matched}, but produced no records for EDU"
    if without := max(0, rows.unmatched - rows.untransformable):
        unmatched = f"{without:,} did not match a student"
    if rows.untransformable:
        held = f"{rows.untransformable:,} could not be read as this assessment"
    clauses = [ods, earlier, unmatched, held]
    return clauses if any(clauses) else ["none matched"]


def _by_sets(facts: Facts) -> Outcome:
    """Describe the outcome without row counts, by which sets of results exist."""
    if facts.to_ods and _everything_was_sent(facts):
        return Outcome("", "All results were sent to the ODS.")
    if facts.to_ods and facts.ods_set and facts.edu_set:
        return Outcome(
            "",
            "Some results were sent to the ODS. The others are ready for EDU.",
            ("These belong to students found only in a prior year.",),
        )
    if facts.to_ods and facts.ods_set:
        return Outcome("", "Results were sent to the ODS.")
    if facts.edu_set:
        also = ("Nothing was sent to the ODS.",) if facts.to_ods else ()
        return Outcome("", "The results are ready for EDU.", also)
    return Outcome("", "The run is finished.", ("It reported no results.",))


def _about_records(facts: Facts) -> list[str]:
    if not facts.to_ods or not facts.ods_set:
        return []
    sentences = []
    if not facts.counted:
        sentences.append("The run did not report how many the ODS accepted.")
    if facts.refused and not (facts.rows and facts.rows.ods):  # else it was said with the rows
        sentences.append(f"The ODS refused {_records(facts.refused)}.")
    if facts.skipped:
        sentences.append(
            f"{_records(facts.skipped)} {_was(facts.skipped)} skipped as already sent."
        )
    return sentences


def _about_unmatched(facts: Facts) -> list[str]:
    rows = facts.rows
    if facts.unmatched is None:
        return ["Some rows did not match a student. The run did not report how many."]
    sentences = []
    if facts.unmatched and not (rows and rows.total):
        sentences.append(f"{_rows(facts.unmatched)} did not match a student.")
    reasons = []
    if rows and rows.blank:
        reasons.append(f"{rows.blank:,} {'has' if rows.blank == 1 else 'have'} no ID")
    if rows and rows.ambiguous:
        has = "has" if rows.ambiguous == 1 else "have"
        reasons.append(f"{rows.ambiguous:,} {has} an ID that belongs to more than one student")
    if rows and rows.held:
        leads = "leads" if rows.held == 1 else "lead"
        reasons.append(
            f"{rows.held:,} {leads} to a student with another name and another birth date"
        )
    if reasons:
        sentences.append(f"Of the unmatched rows, {_listed(reasons)}.")
    return sentences


def _about_identity(rows: Rows | None) -> list[str]:
    if rows is None or not rows.identity_checks:
        return []
    sentences = []
    if rows.disagreeing is None:
        sentences.append(
            "Names could not be compared: the rosters or the file have no names that Runway can "
            "read."
        )
    elif rows.disagreeing and not rows.held:
        leads = "leads" if rows.disagreeing == 1 else "lead"
        sentences.append(
            f"{_rows(rows.disagreeing)} {leads} to a student with another name and another birth "
            "date, and "
            f"{_was(rows.disagreeing)} loaded all the same."
        )
    if rows.confirmed:
        goes = "went to the student" if rows.confirmed == 1 else "went to the students"
        sentences.append(f"{_rows(rows.confirmed)} {goes} confirmed for their ID earlier.")
    if rows.suggested:
        sentences.append(f"Runway suggests students for {_rows(rows.suggested)}.")
    return sentences


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
