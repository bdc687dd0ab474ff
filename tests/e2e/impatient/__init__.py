"""The same programs as ever, but for their patience: they give up in a second or two."""

WEB = "tests.e2e.impatient.web"
WORKER = ("-m", "tests.e2e.impatient.worker")
