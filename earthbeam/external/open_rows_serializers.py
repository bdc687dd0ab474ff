"""Requests and answers about a job's open rows and the students that they may belong to."""

from typing import Any

from rest_framework import serializers

from earthbeam.external.serializers import Text
from earthbeam.jobs.unmatched import MAX_ROWS


class Decision(serializers.Serializer[Any]):
    row = serializers.IntegerField(min_value=1, help_text="Of the open rows.")
    studentUniqueId = Text(max_length=200, help_text="Of a student that the row lists.")


class DecisionsBody(serializers.Serializer[Any]):
    version = Text(max_length=64, help_text="Of the open rows that were read.")
    decisions = serializers.ListField(child=Decision(), allow_empty=False, max_length=MAX_ROWS)

    def validate_decisions(self, decisions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows = [each["row"] for each in decisions]
        twice = sorted({row for row in rows if rows.count(row) > 1})
        if twice:
            raise serializers.ValidationError(f"Row {twice[0]} is decided twice.")
        return [dict(each) for each in decisions]


class PersonAnswer(serializers.Serializer[Any]):
    firstName = serializers.CharField(source="first_name")
    middleName = serializers.CharField(source="middle_name")
    lastSurname = serializers.CharField(source="last_name")
    birthDate = serializers.CharField(source="birth_date")


class StudentAnswer(serializers.Serializer[Any]):
    """A student of a roster. Parts of the name, or the birth date, may be empty."""

    studentUniqueId = serializers.CharField(source="unique_id")
    ids = serializers.DictField(child=serializers.CharField(), help_text="The other IDs, by type.")
    person = PersonAnswer()
    thisYear = serializers.BooleanField(
        source="this_year", help_text="Whether this year's roster has the student."
    )


class SuggestionAnswer(serializers.Serializer[Any]):
    student = StudentAnswer()
    likelihood = serializers.CharField(help_text="very_likely, likely, or possible.")
    sure = serializers.BooleanField(help_text="Very likely, and no other student is likely.")
    repair = serializers.CharField(help_text="What was done to the ID, such as leading_zeros.")
    agrees = serializers.DictField(
        child=serializers.CharField(),
        help_text="lastSurname, firstName, birthDate: same, close, or different.",
    )


class CellAnswer(serializers.Serializer[Any]):
    column = serializers.CharField()
    value = serializers.CharField(help_text="Its first 100 characters.")
    shouldBeDate = serializers.BooleanField(source="should_be_date")


class OpenRowAnswer(serializers.Serializer[Any]):
    row = serializers.IntegerField(help_text="Its number among the open rows, from 1.")
    id = serializers.CharField(help_text="As the file has it.")
    jobUid = serializers.UUIDField(
        allow_null=True, help_text="The later job that loads the row; null while it is open."
    )
    reason = serializers.CharField(
        allow_null=True,
        help_text="unknown, blank, ambiguous, disagrees, or untransformable; null if not known.",
    )
    person = PersonAnswer(allow_null=True, help_text="Whom the row is about, as far as it says.")
    matched = StudentAnswer(
        allow_null=True, help_text="If it disagrees, the student to whom its ID leads."
    )
    suggestions = SuggestionAnswer(many=True)
    cell = CellAnswer(
        allow_null=True, help_text="If it is untransformable, the cell with which the bundle fails."
    )


class OpenRowsAnswer(serializers.Serializer[Any]):
    version = serializers.CharField(help_text="Send it with decisions on these rows.")
    idName = serializers.CharField(help_text="The file's column with the IDs.")
    idType = serializers.CharField()
    rows = OpenRowAnswer(many=True)
