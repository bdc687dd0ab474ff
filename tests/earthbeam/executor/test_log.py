from earthbeam.executor.log import Redactor


def test_secrets_are_masked_wherever_they_stand():
    redactor = Redactor()
    redactor.add_secrets("s3cret-token", None, "")
    assert redactor.redact("GET /x?key=s3cret-token!") == "GET /x?key=***!"


def test_ids_are_masked_as_whole_words_only():
    redactor = Redactor()
    redactor.add_ids({"604822", "12"})
    line = "student '604822' (id=604822.) row 12 of 6048220"
    assert redactor.redact(line) == "student '***' (id=***) row 12 of 6048220"
