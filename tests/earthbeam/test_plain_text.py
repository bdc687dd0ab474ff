"""What people enter stays text, in whatever quotes a bundle puts it: with earthmover's loader."""

import pytest
import yaml
from earthmover import util
from earthmover.yaml_parser import JinjaEnvironmentYamlLoader
from hypothesis import example, given
from hypothesis import strategies as st

from earthbeam import plain_text

BUNDLE = """\
version: 2
config:
  plain: ${TEXT}
  double: "<${TEXT}>"
  single: '<${TEXT}>'
  block: |
    <${TEXT}>
  flow: [${TEXT}, next]
  key_${TEXT}: value
  raw: "{%raw%}{{ '<' }}${TEXT}>{%endraw%}"
  expression: "{{ '<' ~ "${TEXT}" ~ '>' }}"
  condition: {% if "${TEXT}" == '' %}empty{% else %}given{% endif %}
  last: value
"""
KEYS = ["plain", "double", "single", "block", "flow", "raw", "expression", "condition", "last"]


def load(folder, text):
    """The bundle, as earthmover reads it with ``text`` as a parameter's value."""
    path = folder / "earthmover.yaml"
    path.write_text(BUNDLE)
    return JinjaEnvironmentYamlLoader.load_config_file(str(path), {"TEXT": text}, "")["config"]


def rendered(text):
    """As earthmover renders the texts that it has read: the second time."""
    return util.build_jinja_template(text).render()


values = st.text(
    alphabet=st.one_of(
        st.characters(categories=["Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"]),
        st.sampled_from(" ._-/+:"),
    ),
    min_size=1,
    max_size=30,
).filter(lambda value: plain_text.problem(value) is None)


@given(values)
@example("PSAT 8/9")
@example("End-of-Course Alternate")
@example("uri://ed-fi.org/a-b")
@example("2026")
@example("10:30")
@example("Año 3")
def test_a_value_that_is_allowed_stays_a_value_in_every_quoting(tmp_path_factory, value):
    read = load(tmp_path_factory.mktemp("bundle"), value)
    assert list(read) == [*KEYS[:5], f"key_{value}", *KEYS[5:]]
    # A number, a date or `yes` is read as such: a value all the same.
    assert read["plain"] == yaml.safe_load(value)
    assert not isinstance(read["plain"], dict | list)
    assert read["flow"] == [read["plain"], "next"]
    for name in ("double", "single", "expression"):
        assert read[name] == f"<{value}>"
        assert rendered(read[name]) == f"<{value}>"
    assert read["block"] == f"<{value}>\n"
    assert rendered(read["raw"]) == f"<{value}>"
    assert (read["condition"], read["last"]) == ("given", "value")


ATTACK = "cycler.__init__.__globals__.os.system('true')"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (rf"CAP\x7b\x7b {ATTACK} \x7d\x7d", "“\\” at position 4"),
        (rf"\u007b\u007b {ATTACK} \u007d\u007d", "“\\” at position 1"),
        (rf"\U0000007b\U0000007b {ATTACK} }}}}", "“\\” at position 1"),
        (rf"{{\x7b {ATTACK} }}}}", "“{” at position 1"),
        (rf"\x7b% set x = {ATTACK} %\x7d", "“\\” at position 1"),
        (f"{{% set x = {ATTACK} %}}", "“{” at position 1"),
        ("a %} b", "“%” at position 3"),
        ("a'b", "“'” at position 2"),
        ('a"b', '“"” at position 2'),
        ("a\nsources: x", "the character U+000A at position 2"),
        ("a\u2028b", "line separator at position 2"),
        ("a\u00a0b", "no-break space at position 2"),
        ("a\u200bb", "zero width space at position 2"),
        ("a #b", "“#” at position 3"),
        ("a, b", "“,” at position 2"),
        ("[a]", "“[” at position 1"),
        ("${HOME}", "“$” at position 1"),
        ("a|b", "“|” at position 2"),
        ("f(x)", "“(” at position 2"),
        ("x=1", "“=” at position 2"),
        ("&a", "“&” at position 1"),
        ("@a", "“@” at position 1"),
        ("`a`", "“`” at position 1"),
        ("- a", "begins with “-”"),
        ("---", "begins with “-”"),
        (": a", "begins with “:”"),
        ("\u0301a", "begins with"),
        (" a", "begins or ends with a blank"),
        ("a ", "begins or ends with a blank"),
        ("a: b", '":" at position 2 without'),
        ("a:", '":" at position 2 without'),
        ("lipsum.__globals__", '"__"'),
    ],
)
def test_a_value_that_could_become_code_is_refused_by_its_character(value, reason):
    assert reason in (plain_text.problem(value) or "")


@pytest.mark.parametrize("value", ["", "Standard", "PSAT/NMSQT", "aMath", "uri://ed-fi.org/x_1.2"])
def test_what_bundles_allow_and_namespaces_are_fine(value):
    assert plain_text.problem(value) is None
