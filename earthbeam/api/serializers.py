"""The bodies of reports, with the contract's names.

Strict about types, since a number sent as text is a mistake somewhere. Lenient about unknown
fields, since executors may report more than the app stores.
"""

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from earthbeam.models import RunUpdate

_MAX_INT = 2**31 - 1  # PostgreSQL's integer
_unit = RegexValidator(r"^[a-z][a-z ]*\Z", "A unit is made of small letters and spaces.")
_action = RegexValidator(r"^[a-z0-9_]+\Z", "An action is made of small letters, digits, and _.")
_code = RegexValidator(r"^[A-Za-z0-9_.-]+\Z", "A code is made of letters, digits, _, . and -.")


class Text(serializers.CharField):
    """A JSON string that is not empty, kept as it is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """JSON's true or false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Count(serializers.IntegerField):
    """A JSON number that is whole and not negative."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_value=_MAX_INT, **options)

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return data


class Rate(serializers.FloatField):
    """A JSON number between 0 and 1."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_value=1, **options)

    def to_internal_value(self, data: Any) -> float:
        if type(data) not in (int, float):
            self.fail("invalid")
        return float(data)


class UpdateReport(serializers.Serializer[Any]):
    action = Text(max_length=64, validators=[_action])
    status = serializers.ChoiceField(choices=RunUpdate.Status.choices)


class ErrorReport(serializers.Serializer[Any]):
    code = Text(max_length=50, validators=[_code])
    payload = serializers.DictField()


class UnmatchedIdsReport(serializers.Serializer[Any]):
    name = Text(max_length=200)
    type = Text(max_length=200)
    count = Count(required=False, allow_null=True, default=None)


class ByName(serializers.DictField):
    """Values by the names of resources or files."""

    name = Text(max_length=255)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values = super().to_internal_value(data)
        for name in values:
            self.name.run_validation(name)
        return values


class OutputFilesReport(serializers.Serializer[Any]):
    path = Text(max_length=700)
    sentToOds = Flag(source="sent_to_ods")
    records = ByName(child=Count(), required=False)
    sha256 = ByName(child=Text(max_length=64), required=False)


class MatchesReport(serializers.Serializer[Any]):
    inputRows = Count(source="input_rows")
    odsMatched = Count(source="ods_matched")
    crossYearMatched = Count(source="cross_year_matched")
    unmatched = Count()
    untransformable = Count(required=False, allow_null=True)
    blankIds = Count(source="blank_ids")
    ambiguousIds = Count(source="ambiguous_ids")
    idName = Text(source="id_name", max_length=200)
    idType = Text(source="id_type", max_length=200)
    matchRate = Rate(source="match_rate")
    missingIdColumns = serializers.ListField(
        child=Text(max_length=200), source="missing_id_columns", required=False, max_length=100
    )
    peakMemoryMb = Count(source="peak_memory_mb", required=False, allow_null=True)
    identityChecks = serializers.ChoiceField(
        ["report", "hold"], source="identity_checks", required=False
    )
    identityColumns = serializers.DictField(
        child=Text(max_length=200), source="identity_columns", required=False, allow_null=True
    )
    disagreeing = Count(required=False, allow_null=True)
    repairable = Count(required=False, allow_null=True)
    suggested = Count(required=False, allow_null=True)
    confirmed = Count(required=False, allow_null=True)
    refusedRows = Count(source="refused_rows", required=False, allow_null=True)

    def validate(self, figures: dict[str, Any]) -> dict[str, Any]:
        """Refuse figures that do not account for each row, which the database would."""
        parts = ("ods_matched", "cross_year_matched", "unmatched")
        if figures["input_rows"] != sum(figures[part] for part in parts):
            raise serializers.ValidationError(
                "inputRows must be odsMatched, crossYearMatched, and unmatched together."
            )
        reasons = figures["blank_ids"] + figures["ambiguous_ids"]
        if figures["unmatched"] < reasons + (figures.get("untransformable") or 0):
            raise serializers.ValidationError(
                "blankIds, ambiguousIds, and untransformable are parts of unmatched."
            )
        if figures["ods_matched"] < (figures.get("refused_rows") or 0):
            raise serializers.ValidationError("refusedRows is a part of odsMatched.")
        return figures


class ProgressReport(serializers.Serializer[Any]):
    action = serializers.ChoiceField(choices=RunUpdate.Action.choices)
    done = Count()
    total = Count(required=False, allow_null=True, default=None)
    unit = Text(max_length=40, validators=[_unit])


class ResourceCounts(serializers.Serializer[Any]):
    records_processed = Count()
    records_skipped = Count()
    records_failed = Count()


class SummaryReport(serializers.DictField):
    """Resource names with their counts."""

    child = ResourceCounts()
    resource = Text(max_length=200)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        counts = super().to_internal_value(data)
        for name in counts:
            self.resource.run_validation(name)
        return counts
