import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.bundles.id_columns import student_id_columns

YAML = """\
version: 2

config:
  output_dir: ${OUTPUT_DIR}
  macros: >
    {%- macro upper(x) -%}{{ x }}: {}{%- endmacro -%}
  parameter_defaults:
    STUDENT_ID_NAME: 'edFi_studentUniqueID' # what the rows get
    POSSIBLE_STUDENT_ID_COLUMNS: 'Student ID, State ID'
    # a remark
    API_YEAR: 2026

{% set years = ["a"] %}
sources:
  other:
    file: ./seeds/a.csv
    rename_cols: True
  input:
    file: ${INPUT_FILE}
    header_rows: 1
    {% if "${API_YEAR}"|int > 2025 %}
    optional_fields: [a]
    {% endif %}
transformations:
  input:
    source: $sources.input
"""


def changed(old: str, new: str) -> str:
    assert old in YAML
    return YAML.replace(old, new)


def test_the_columns_are_those_of_the_parameters_defaults():
    assert student_id_columns(YAML) == ["Student ID", "State ID"]


def test_columns_that_jinja_would_choose_between_all_count():
    text = changed(
        "    # a remark\n",
        "    {% if x %}\n    POSSIBLE_STUDENT_ID_COLUMNS: Other\n    {% endif %}\n",
    )
    assert student_id_columns(text) == ["Student ID", "State ID", "Other"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    header_rows: 1\n", "    rename_cols: True\n"),
        ("    header_rows: 1\n", "    type: fixedwidth\n"),
        ("API_YEAR: 2026", "EARTHMOVER_NODE_TO_XWALK: $transformations.clean"),
        ("'Student ID, State ID'", "${COLUMNS}"),
        ("'Student ID, State ID'", "[unbalanced"),
        ("'Student ID, State ID'", "''"),
        ("POSSIBLE_STUDENT_ID_COLUMNS", "SOMETHING"),
        ("parameter_defaults", "parameters"),
        ("  input:\n    file", "  scores:\n    file"),
    ],
)
def test_what_a_files_own_header_cannot_tell_is_not_known(old, new):
    assert student_id_columns(changed(old, new)) == []


def test_the_raw_input_by_name_is_the_raw_input():
    text = changed("API_YEAR: 2026", "EARTHMOVER_NODE_TO_XWALK: $sources.input")
    assert student_id_columns(text) == ["Student ID", "State ID"]


def test_a_yaml_that_would_run_code_or_grow_does_not():
    evil = '!!python/object/apply:os.system ["exit 1"]'
    assert student_id_columns(changed("2026", evil)) == ["Student ID", "State ID"]
    bomb = "&a [x, x]\n    B: &b [*a, *a]\n    C: [*b, *b]"
    assert student_id_columns(changed("2026", bomb)) == ["Student ID", "State ID"]


@given(st.text() | st.text().map(lambda text: YAML + text) | st.text().map(YAML.__add__))
def test_whatever_the_text_nothing_is_raised(text):
    student_id_columns(text)
    student_id_columns(f"config:\n  parameter_defaults:\n    {text}\n")
