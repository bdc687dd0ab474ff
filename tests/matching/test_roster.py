import json
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthbeam.invisible import without_invisible
from earthbeam.matching import BadRosterLine, RosterStudent, read_roster, roster

URI = "uri://ed-fi.org/StudentIdentificationSystemDescriptor#"


def line(**record) -> bytes:
    return json.dumps(record).encode()


def read_one(text: bytes | str) -> RosterStudent:
    (student,) = read_roster([text])
    return student


def student_line(codes, unique_id="604822") -> bytes:
    return line(studentReference={"studentUniqueId": unique_id}, studentIdentificationCodes=codes)


def code(id_type, value):
    return {"studentIdentificationSystemDescriptor": id_type, "identificationCode": value}


def test_a_line_of_the_ods_gives_the_student_and_every_code_in_order():
    text = (
        b'{"educationOrganizationReference":{"educationOrganizationId":255901,'
        b'"link":{"rel":"LocalEducationAgency"}},"studentReference":{"studentUniqueId":"604822"},'
        b'"studentIdentificationCodes":[{"studentIdentificationSystemDescriptor":"State",'
        b'"identificationCode":"0604"},{"studentIdentificationSystemDescriptor":"Local",'
        b'"identificationCode":"9"},{"studentIdentificationSystemDescriptor":"State",'
        b'"identificationCode":"0605"}]}\n'
    )
    codes = (("State", "0604"), ("Local", "9"), ("State", "0605"))
    assert read_one(text) == RosterStudent("604822", codes)


@pytest.mark.parametrize("descriptor", ["State", URI + "State", "uri://a#b#State"])
def test_an_id_type_is_what_follows_the_last_hash_of_its_descriptor(descriptor):
    assert read_one(student_line([code(descriptor, "1")])).codes == (("State", "1"),)


@pytest.mark.parametrize("codes", [None, [], "", "[]", "null"])
def test_a_student_without_codes_still_counts(codes):
    assert read_one(student_line(codes)) == RosterStudent("604822", ())


def test_a_student_whose_codes_are_left_out_still_counts():
    text = line(studentReference={"studentUniqueId": "604822"})
    assert read_one(text) == RosterStudent("604822", ())


def test_references_and_codes_may_be_json_inside_a_string():
    text = line(
        studentReference=json.dumps({"studentUniqueId": 604822}),
        studentIdentificationCodes=json.dumps([code(URI + "State", "007")]),
    )
    assert read_one(text) == RosterStudent("604822", (("State", "007"),))


def test_code_entries_without_a_type_or_a_code_are_ignored():
    broken = [
        code(None, "1"),
        code("State", None),
        code(URI, "2"),
        code("", "3"),
        code("Local", ""),
    ]
    assert read_one(student_line([*broken, {}, None, code("Local", "4")])).codes == (
        ("Local", "4"),
    )


def test_numbers_keep_the_text_they_were_written_with():
    digits = "12345678901234567890123456789012345678"
    text = (
        '{"studentReference":{"studentUniqueId":' + digits + '},"studentIdentificationCodes":['
        '{"studentIdentificationSystemDescriptor":"A","identificationCode":12.0},'
        '{"studentIdentificationSystemDescriptor":"B","identificationCode":0.10000000000000000001}]}'
    )
    codes = (("A", "12.0"), ("B", "0.10000000000000000001"))
    assert read_one(text) == RosterStudent(digits, codes)


ids = st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none())
entries = st.fixed_dictionaries(
    {}, optional={"studentIdentificationSystemDescriptor": ids, "identificationCode": ids}
)
codes = st.one_of(st.none(), st.lists(entries | st.none(), max_size=3), ids)
records = st.fixed_dictionaries(
    {"studentReference": st.fixed_dictionaries({"studentUniqueId": ids}), "other": ids},
    optional={"studentIdentificationCodes": codes},
)


@given(records, st.booleans(), st.booleans())
def test_a_fast_decoder_reads_what_an_exact_one_does(record, escaped, packed):
    if packed:
        record = {key: json.dumps(value) for key, value in record.items()}
    text = json.dumps(record, ensure_ascii=escaped).encode(errors="surrogatepass")

    def outcome(read):
        try:
            return read()
        except BadRosterLine as error:
            return str(error)

    fast = outcome(lambda: roster.parse_roster_line(text, 1))
    assert fast == outcome(lambda: roster._student(text, 1, roster._exact))


def test_blank_lines_are_skipped_but_counted_in_line_numbers():
    good = student_line([])
    assert len(list(read_roster([b"\n", good, b"  \r\n", good, b""]))) == 2
    with pytest.raises(BadRosterLine, match="Line 4 "):
        list(read_roster([b"\n", good, b"\n", b"{"]))


@pytest.mark.parametrize(
    "text",
    [
        b'{"studentReference":{"studentUniqueId":"SECRET-1"',
        b"SECRET-1",
        b'"SECRET-1"',
        b'["SECRET-1"]',
        b"null",
        b'{"studentReference":{"studentUniqueId":"SECRET-1\xff"}}',
        b'{"studentReference":{"studentUniqueId":NaN},"x":"SECRET-1"}',
        b'{"studentReference":' + b"[" * 100_000,
        b'{"x":"SECRET-1"}',
        b'{"studentReference":null,"x":"SECRET-1"}',
        b'{"studentReference":{},"x":"SECRET-1"}',
        b'{"studentReference":{"studentUniqueId":true},"x":"SECRET-1"}',
        b'{"studentReference":"SECRET-1"}',
        b'{"studentReference":{"studentUniqueId":"1"},"studentIdentificationCodes":"SECRET-1"}',
        b'{"studentReference":{"studentUniqueId":"1"},"studentIdentificationCodes":{"SECRET-1":1}}',
    ],
)
def test_a_line_that_is_no_student_is_named_by_number_and_not_shown(text):
    with pytest.raises(BadRosterLine) as caught:
        list(read_roster([student_line([]), text]))
    assert caught.value.line_number == 2
    assert "Line 2 of the roster" in str(caught.value)
    assert caught.value.__context__ is None
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("unique_id", ["null", '""', '" "'])
def test_a_student_with_a_blank_unique_id_keeps_nobody_else_from_being_matched(unique_id):
    blank = b'{"studentReference":{"studentUniqueId":%s}}' % unique_id.encode()
    assert [student.unique_id for student in read_roster([blank, student_line([])])] == ["604822"]


def test_a_roster_is_read_no_further_than_asked():
    def lines():
        yield student_line([])
        raise AssertionError("read ahead")

    assert next(read_roster(lines())).unique_id == "604822"


ids = st.text(st.characters(codec="utf-8"), min_size=1).map(without_invisible).filter(bool)
id_types = ids.filter(lambda text: "#" not in text)


@given(
    unique_id=ids,
    codes=st.lists(st.tuples(id_types, ids)),
    prefix=st.sampled_from(["", URI]),
    as_text=st.booleans(),
    packed=st.booleans(),
    escaped=st.booleans(),
)
def test_ids_survive_every_tolerated_shape(unique_id, codes, prefix, as_text, packed, escaped):
    reference: object = {"studentUniqueId": unique_id}
    entries: object = [code(prefix + id_type, value) for id_type, value in codes]
    if packed:
        reference, entries = json.dumps(reference), json.dumps(entries)
    record = {"studentReference": reference, "studentIdentificationCodes": entries}
    text = json.dumps(record, ensure_ascii=escaped)
    expected = RosterStudent(unique_id, tuple(codes))
    assert read_one(text if as_text else text.encode()) == expected
