import json

import pytest

from earthbeam.wording.ods_messages import MAX_LINES, read_results, shape


def results(*failures, processed=600, skipped=0, sent=0):
    successes = [{"status_code": 201, "count": sent}] if sent else []
    resource = {
        "records_processed": processed,
        "records_skipped": skipped,
        "records_failed": sum(each["count"] for each in failures),
        "successes": successes,
        "failures": list(failures),
    }
    return json.dumps({"resources": {"studentAssessments": resource}}).encode()


def failure(message, *lines, status=400):
    return {
        "status_code": status,
        "message": message,
        "file": "/tmp/x/studentAssessments.jsonl",
        "line_numbers": list(lines),
        "count": len(lines),
    }


def test_five_hundred_messages_of_one_shape_are_one_group_with_an_example_and_lines():
    same = [failure(f"Student '{n}' of {n * 7} is not known.", n) for n in range(500, 0, -1)]
    sent = read_results(results(*same, sent=100))["studentAssessments"]
    (group,) = sent.groups
    assert (group.count, group.messages, group.status) == (500, 500, 400)
    assert group.example == "Student '500' of 3500 is not known."
    assert group.lines == list(range(1, MAX_LINES + 1))
    assert group.more_lines == 500 - MAX_LINES
    assert (sent.processed, sent.sent, sent.refused) == (600, 100, 500)


def test_messages_that_ask_for_different_things_are_different_groups_most_frequent_first():
    sent = read_results(
        results(
            failure("'uri://ed-fi.org/GradeLevelDescriptor#9th' could not be resolved.", 1),
            failure("'uri://ed-fi.org/GradeLevelDescriptor#8th' could not be resolved.", 2, 3),
            failure("Access is denied.", 4, status=403),
            sent=596,
        )
    )["studentAssessments"]
    assert [(group.status, group.count) for group in sent.groups] == [(400, 2), (400, 1), (403, 1)]
    assert "8th" in sent.groups[0].example


def test_records_that_got_lost_count_as_refused():
    assert read_results(results(processed=10, skipped=2, sent=5))["studentAssessments"].refused == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Student 604822 unknown", "Student 7 unknown"),
        ("id 'Okafor' is taken", "id 'O Neil' is taken"),
        ('at "a b" (at $.scores[0].result)', 'at "c" (at $.scores[12].result)'),
        ("key 6f9619ff-8b86-d011-b42d-00c04fc964ff is used", "key 1-a is used"),
        ("on 2025-09-13T10:00:00 too  early", "on 2026-01-02T11:12:13 too early"),
    ],
)
def test_ids_and_values_make_no_difference(one, other):
    assert shape(one) == shape(other)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"resources": {"a": {}}}', b'{"resources": [1]}', b"\xff"]
)
def test_what_is_no_results_file_is_told(content):
    with pytest.raises(ValueError, match="not a results file"):
        read_results(content)


def test_a_file_without_successes_goes_by_the_failures():
    content = json.loads(results(failure("x", 1, 2), processed=5))
    del content["resources"]["studentAssessments"]["successes"]
    sent = read_results(json.dumps(content).encode())["studentAssessments"]
    assert (sent.refused, sent.sent) == (2, 3)
