"""What the executor stores in a job's ``output/`` and the app reads: contract section 12."""

SEND_RESULTS = "lb-send-results.json"
"""lightbeam's results: what the ODS took and refused, by resource."""
REFUSED_RECORDS = "refused_records.jsonl"
"""The refused records with the rows that they come from."""
ROW_REVIEW = "row_review.jsonl"
"""The rows that need a person's attention, and those that were matched by more than their ID."""

UNMATCHED_ROWS = "input_no_student_id_match.csv"
"""The input's rows that were matched to no student, as a file like the input."""

STUDENT_RESULTS = "studentAssessments"
STUDENT_ASSOCIATIONS = "studentAssessmentEducationOrganizationAssociations"
STUDENT_RESOURCES = (STUDENT_RESULTS, STUDENT_ASSOCIATIONS)
"""Whose records a withdrawal deletes. The others, such as assessments, belong to many jobs."""
