"""Templates rendered for a whole partition make exactly what earthmover makes row by row."""

import jinja2
import pandas
import pytest
from earthmover import util
from earthmover.nodes.destination import FileDestination
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.executor.earthmover import by_partition
from earthbeam.executor.earthmover.by_partition import _DestinationPartition, _Partition
from earthbeam.executor.earthmover.rendering import (
    Usage,
    keeps_types,
    render_rows,
    usage_of,
)

MACROS = """
{% macro level(score) %}{% if score | int(0) > 50 %}high{% else %}low{% endif %}{% endmacro %}

{% macro cell(name) %}"{{ name }}": {{ level(name) | tojson }}{% endmacro %}
{% macro unused(grade) %}{{ grade | random }}{% endmacro %}
"""
TEMPLATES = (
    "{{ score }}",
    "fixed {{ 1 + 1 }}",
    "{{ score }}/{{ grade | upper }}",
    "{{ level(score) }} {{ cell(grade) }}",
    "{% if missing is defined %}yes{% else %}{{ missing | default('none') }}{% endif %}",
    "{% for part in name.split(' ') %}{{ loop.index }}={{ part | tojson }};{% endfor %}",
    "{% for key, value in __row_data__.items() if key != '__row_data__' %}{{ key }}:{{ value }},"
    "{% endfor %}",
    "{% set it = namespace(n=0) %}{% for c in name %}{% set it.n = it.n + 1 %}{% endfor %}"
    "{{ it.n }}",
    "{{ md5(name | string) }}",
    "{{ range if range is string else 'a function' }}",
    "{{ score is none }} {{ score | string | length }} {{ grade == 1 }}",
    FileDestination.DEFAULT_TEMPLATE,
)
CELLS = st.one_of(
    st.sampled_from(["", "3", 'Fifth "grade"', "51", "Ñandú", "{{ score }}", " a  b\n"]),
    st.text(max_size=3),
    st.none(),
    st.sampled_from([1, 1.0, True, 0, False, float("nan"), 7.5, pandas.NA]),
)
COLUMNS = ("score", "grade", "name", "range")


@pytest.fixture(autouse=True, scope="module")
def few_rows_too():
    """Has templates looked at for any number of rows."""
    before, by_partition.FEW_ROWS = by_partition.FEW_ROWS, 0
    yield
    by_partition.FEW_ROWS = before


class Errors:
    """Stands for earthmover's error handler, whose words are compared."""

    ctx = set[str]({"line"})

    def throw(self, message):
        raise ValueError(message)


def build(template):
    built = util.build_jinja_template(template, macros=MACROS)
    by_partition.remember(built, MACROS.strip() + template)
    return built


def outcome(render):
    """What rendering gives: the rows, or the words of the error."""
    Errors.ctx = {"line"}
    try:
        return list(render())
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"


def by_column(kind, rows, template):
    frame, built = kind(rows), build(template)
    return outcome(
        lambda: frame.apply(
            util.render_jinja_template,
            axis=1,
            template=built,
            template_str=template,
            error_handler=Errors(),
        )
    )


def as_destination(kind, rows, template):
    destination = object.__new__(FileDestination)
    destination.error_handler, destination.template = Errors(), "it.jsont"
    frame, built = kind(rows), build(template)
    return outcome(lambda: frame.apply(destination.render_row, jinja_template=built, axis=1))


@given(st.data(), st.sampled_from(TEMPLATES))
def test_any_rows_become_what_earthmover_makes_of_them(data, template):
    columns = data.draw(st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True))
    text = data.draw(st.booleans())
    cells = st.sampled_from(["", "3", "51", "Ñ"]) if text else CELLS
    count = data.draw(st.integers(1, 6))
    values = {name: [data.draw(cells) for _ in range(count)] for name in columns}
    # As earthmover reads it, and as pandas guesses the types.
    dtype = data.draw(st.sampled_from([object, None, *(["string[pyarrow]"] if text else [])]))
    rows = pandas.DataFrame(values, dtype=dtype)
    assert by_column(_Partition, rows, template) == by_column(pandas.DataFrame, rows, template)
    expected = as_destination(pandas.DataFrame, rows, template)
    assert as_destination(_DestinationPartition, rows, template) == expected


def test_a_partition_without_rows_stays_earthmovers():
    rows = pandas.DataFrame({"score": [], "grade": []}, dtype=object)
    expected = as_destination(pandas.DataFrame, rows, "{{ score }}")
    assert as_destination(_DestinationPartition, rows, "{{ score }}") == expected


def test_a_template_that_fails_in_one_row_fails_in_earthmovers_words():
    rows = pandas.DataFrame({"score": ["1", "2", "x"], "grade": "3"}, dtype=object)
    template = "{{ 6 // (score | int) }}"
    assert "by zero" in (said := by_column(_Partition, rows, template))
    assert "(available variables are `score`, `grade`)" in " ".join(said.split())
    assert said == by_column(pandas.DataFrame, rows, template)


@pytest.mark.parametrize(
    ("source", "names", "pure"),
    [
        ("{{ score }}", {"score"}, True),
        (MACROS + "{{ grade }}", {"grade"}, True),
        (MACROS + "{{ cell(grade) }}", {"cell", "grade", "level", "name", "score"}, True),
        (MACROS + "{{ unused(grade) }}", {"unused", "grade"}, False),
        ("{{ __row_data__ | length }}", None, True),
        ("{{ lipsum() }}{{ a }}", {"lipsum", "a"}, False),
        ("{{ [a, b] | random }}", {"a", "b"}, False),
        ("{{ [[a, b]] | map('random') | list }}", {"a", "b"}, False),
        ("{{ a.__class__ }}", {"a"}, False),
        ("{{ a['__class__'] }}", {"a"}, False),
        ("{{ a | attr('__class__') }}", {"a"}, False),
        ("{% include 'other' %}", None, False),
        ("{% import 'other' as other with context %}{{ other.x }}", None, False),
        ("{% extends 'other' %}", None, False),
        ("{{ self.part() }}{% block part %}{{ a }}{% endblock %}", None, False),
    ],
)
def test_what_a_template_reads_and_whether_it_is_pure(source, names, pure):
    expected = Usage(None if names is None else frozenset(names), pure)
    assert usage_of(source, jinja2.Environment(autoescape=True)) == expected


def test_a_column_of_numbers_among_text_is_no_reason_to_render_row_by_row():
    text = pandas.DataFrame({"score": ["1"], "year": [2026]})
    assert keeps_types(text)
    assert not keeps_types(pandas.DataFrame({"score": [1], "year": [2026.5]}))


def count_renders(values, *, pure=True):
    calls = []

    def render(row):
        calls.append(row)
        return row["a"] + "!"

    rows = pandas.DataFrame({"a": values, "b": "other"}, dtype=object)
    made = render_rows(rows, Usage(frozenset({"a"}), pure=pure), render)
    assert made == [value + "!" for value in values]
    return len(calls)


def test_a_pure_template_is_rendered_once_for_each_value():
    assert count_renders(["3", "4"] * 2000) == 2


def test_a_template_that_is_not_pure_is_rendered_for_each_row():
    assert count_renders(["3", "4"] * 2000, pure=False) == 4000


def test_results_are_not_kept_where_rows_differ():
    values = [str(number) for number in range(600)]
    assert count_renders(values + values) == 1200
