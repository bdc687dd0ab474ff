"""Bundles whose rows to match are not simply the raw input's: earthmover makes them."""

import pytest

from runway.sandbox.population import (
    CURRENT,
    EARLIER,
    SHARED_STATE_ID,
    WITHOUT_CODES,
    in_group,
)
from tests.earthbeam.executor import hostile
from tests.earthbeam.executor.conftest import edu_roster
from tests.earthbeam.executor.test_runs import (
    HEADER,
    INTERIM,
    csv_rows,
    ids_sent,
    interim,
    json_lines,
)

pytestmark = pytest.mark.slow

change_bundles = hostile.change_bundles

HERE = in_group(CURRENT)[10:18]
EARLIER_ONE = in_group(EARLIER)[0]
SHARED = next(s for s in in_group(CURRENT) if s.unique_id == SHARED_STATE_ID[0])
COLUMNS = HEADER.split(",")
ROWS = [
    *((s.state_id, "V-1", "Nuñez, Zoë") for s in HERE),
    (EARLIER_ONE.state_id, "V-2", 'O"Brien, Pat'),
    (SHARED.state_id, "V-3", "Twin, Olga"),
    ("", "V-4", "Blank, Siân"),
    ("9900000001", "V-5", "Unknown, Çelik"),
]


def csv_text():
    return interim([(state, number, name.replace('"', '""')) for state, number, name in ROWS])


def fixed_width_text():
    rest = ["Grand Bend School", "5", "Mathematics", "Fall", "09/13/2025", "221", "3.4", "38"]
    lines = [
        "".join(
            f"{cell:<{WIDTH}}" for cell in (state, number, name.replace('"', "'"), *rest, "Middle")
        )
        for state, number, name in ROWS
    ]
    return "\n".join(lines) + "\n"


WIDTH = 24


def renamed(text):
    """The ids come under a name that only a transformation makes."""
    return text.replace("StateStudentID", "State Student ID", 1)


def two_headers(text):
    """Every column under a heading of a first row, which is given where it changes."""
    top = ["Student"] * 3 + ["Result"] * (len(COLUMNS) - 3)
    return ",".join(top) + "\n" + text


def bundle(source, normalize, match="$transformations.normalized"):
    """SAMPLE_INTERIM whose raw input needs work before anything else can read it."""

    def change(text):
        text = text.replace(
            "    file: ${INPUT_FILE}\n    type: ${INPUT_FILETYPE}\n    header_rows: 1\n", source, 1
        )
        text = text.replace(
            "    TEST_WINDOW:", f'    EARTHMOVER_NODE_TO_XWALK: "{match}"\n    TEST_WINDOW:', 1
        )
        return text.replace(
            "transformations:\n  input:\n    source: $sources.input\n",
            "transformations:\n  normalized:\n    source: $sources.input\n    operations:\n"
            f"{normalize}  input:\n    source: $transformations.normalized\n",
            1,
        )

    return {f"{INTERIM}/earthmover.yaml": change}


def rename(names):
    pairs = "".join(f'          "{old}": {new}\n' for old, new in names.items())
    return f"      - operation: rename_columns\n        columns:\n{pairs}"


CSV = "    file: ${INPUT_FILE}\n    type: csv\n    header_rows: 1\n"
STRIP = (
    "      - operation: modify_columns\n        columns:\n"
    '          "*": "{%raw%}{{ value if value is string }}{%endraw%}"\n'
)
COLSPECS = "name,start_index,end_index\n" + "".join(
    f"{name},{number * WIDTH},{(number + 1) * WIDTH}\n" for number, name in enumerate(COLUMNS)
)
FIXED = (
    "    file: ${INPUT_FILE}\n    type: fixedwidth\n    colspec_file: ./colspecs.csv\n"
    "    colspec_headers: {name: name, start: start_index, end: end_index}\n"
)
TWO_HEADERS = "    file: ${INPUT_FILE}\n    type: csv\n    header_rows: [0, 1]\n"
GROUPED = {f"{'Student' if i < 3 else 'Result'}__{c}": c for i, c in enumerate(COLUMNS)}

CASES = {
    "a transformation": (
        "scores.csv",
        renamed(csv_text()),
        bundle(CSV, rename({"State Student ID": "StateStudentID"})),
    ),
    "fixed widths": (
        "scores.txt",
        fixed_width_text(),
        bundle(FIXED, STRIP) | {f"{INTERIM}/colspecs.csv": COLSPECS},
    ),
    "two rows of headers": (
        "scores.csv",
        two_headers(csv_text()),
        bundle(TWO_HEADERS, rename(GROUPED)),
    ),
}


@pytest.mark.parametrize(
    ("case", "encoding"), [*((case, "cp1252") for case in CASES), ("a transformation", "utf-8")]
)
def test_a_node_is_matched_with_the_same_guarantees_as_a_raw_file(
    app, ods, workbench, write_file, change_bundles, case, encoding
):
    name, text, changes = CASES[case]
    workbench.bundle_repo = change_bundles(changes)
    workbench.job(write_file(name, text.encode(encoding)), INTERIM, ods, cross_year=True)
    app.roster = edu_roster

    ended = workbench.run()

    assert (ended.exit_status, app.outcome()) == (0, "done success"), ended.log
    (matches,) = app.posted("matches")
    counts = (
        "inputRows",
        "odsMatched",
        "crossYearMatched",
        "unmatched",
        "blankIds",
        "ambiguousIds",
    )
    assert [matches[key] for key in counts] == [12, 8, 1, 3, 1, 1]
    assert (matches["idName"], matches["idType"]) == ("StateStudentID", "State")
    sent = ids_sent(ods.received("studentAssessments"))
    assert sent == {student.unique_id for student in HERE}
    output = workbench.output()
    offered = ids_sent(json_lines(output["non-ods/studentAssessments.jsonl"]))
    assert offered == {EARLIER_ONE.unique_id}
    assert not {WITHOUT_CODES, *SHARED_STATE_ID} & (sent | offered)
    unmatched = csv_rows(output["input_no_student_id_match.csv"])
    assert list(unmatched[0]) == COLUMNS
    assert [row["StudentName"] for row in unmatched] == [
        "Twin, Olga",
        "Blank, Siân",
        "Unknown, Çelik",
    ]
