import base64

from earthbeam.executor.reporting.log import MASK, Redactor


def test_secrets_are_masked_wherever_they_stand():
    redactor = Redactor()
    redactor.add_secrets("s3cret-token", None, "")
    assert redactor.redact("GET /x?key=s3cret-token!") == "GET /x?key=***!"


def test_ids_are_masked_as_whole_words_only():
    redactor = Redactor()
    redactor.add_ids({"604822", "12"})
    line = "student '604822' (id=604822.) row 12 of 6048220"
    assert redactor.redact(line) == "student '***' (id=***) row 12 of 6048220"


def test_a_secret_is_masked_in_every_spelling():
    redactor = Redactor()
    redactor.add_secrets('s3cr"t/ü', 'key:s3cr"t/ü')
    for text in (
        's3cr"t/ü',
        '{"x": "s3cr\\"t/\\u00fc"}',
        "?secret=s3cr%22t%2F%C3%BC",
        "Basic " + base64.b64encode('key:s3cr"t/ü'.encode()).decode(),
    ):
        assert MASK in redactor.redact_secrets(text), text
        assert "s3cr" not in redactor.redact_secrets(text)
