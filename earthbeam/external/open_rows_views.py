"""A job's open rows, and decisions on whose they are: what the admin's page does, for clients."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from earthbeam import errors
from earthbeam.external import serializers
from earthbeam.external.authentication import caller
from earthbeam.external.clients import DECIDE_STUDENTS, READ_STUDENTS
from earthbeam.external.errors import Conflict, as_validation_error
from earthbeam.external.idempotency import HEADER, made_once
from earthbeam.external.open_rows_serializers import DecisionsBody, OpenRowsAnswer
from earthbeam.external.schema import answers
from earthbeam.external.views import ClientView
from earthbeam.jobs import open_rows
from earthbeam.jobs.open_rows import OpenRows
from earthbeam.jobs.rerun_rows import RowsTaken, RunChanged, rerun_rows
from earthbeam.jobs.status import JobStatus
from earthbeam.jobs.unmatched import NotFixable, Unmatched
from earthbeam.models import Job
from partners import audit

_CHANGED = (
    "The job was run again, so its open rows are others now. Nothing was loaded. Read them again."
)


class OpenRowsView(ClientView):
    """The rows that matched no student, with the students that are suggested for them."""

    scope = READ_STUDENTS

    @extend_schema(
        operation_id="listOpenRows",
        responses=answers({200: OpenRowsAnswer}, 404, 409),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        job = self.job(uid)
        rows = _open_rows(job)
        audit.record(job, "unmatched rows read", client=caller(request).id)
        answer = Response(OpenRowsAnswer(_listed(rows)).data)
        answer["Cache-Control"] = "private, no-store"
        return answer


class _Csv(JSONRenderer):
    """Lets a request accept CSV. The view writes that itself; refusals are JSON all the same."""

    media_type = "text/csv"
    format = "csv"


class OpenRowsFileView(ClientView):
    """The rows that matched no student, as CSV, each with its row in the file and the reason.

    Empty if there are none. Row and reason are empty where the run did not tell them.
    """

    scope = READ_STUDENTS
    renderer_classes = [JSONRenderer, _Csv]

    @extend_schema(
        operation_id="getOpenRowsFile",
        responses=answers({(200, "text/csv"): OpenApiTypes.STR}, 404, 409),
    )
    def get(self, request: Request, uid: UUID) -> HttpResponse:
        job = self.job(uid)
        found = _found(job)
        try:
            content = open_rows.as_csv(job, found) if found else b""
        except NotFixable as reason:
            raise Conflict(str(reason)) from None
        audit.record(job, "unmatched rows read", client=caller(request).id)
        return HttpResponse(
            content,
            content_type="text/csv; charset=utf-8",
            headers={"Cache-Control": "private, no-store"},
        )


class DecisionsView(ClientView):
    """Say to which students open rows belong. Those rows are loaded in a separate job."""

    scope = DECIDE_STUDENTS

    @extend_schema(
        operation_id="decideOpenRows",
        parameters=[
            OpenApiParameter(
                HEADER,
                location=OpenApiParameter.HEADER,
                description="Sent again with the same request, it makes no second job.",
            )
        ],
        request=DecisionsBody,
        responses=answers({201: serializers.StartedJob}, 404, 409, 411, 413, 415, 422),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        job = self.job(uid)
        body = DecisionsBody(data=request.data)
        body.is_valid(raise_exception=True)
        asked = {"job": str(job.pk), **body.validated_data}
        made = made_once(request, asked, lambda: self._decide(job, body.validated_data))
        answer = serializers.StartedJob({"uid": made.pk, "status": JobStatus.QUEUED})
        return Response(answer.data, status=status.HTTP_201_CREATED)

    def _decide(self, job: Job, body: dict[str, Any]) -> Job:
        rows = _open_rows(job)
        if rows is None or body["version"] != rows.file.sha256:
            raise Conflict(_CHANGED)
        chosen = {each["row"]: each["studentUniqueId"] for each in body["decisions"]}
        strangers = [
            number
            for number, student in chosen.items()
            if number not in rows.taken
            and (number not in rows.reviews or rows.reviews[number].student(student) is None)
        ]
        if strangers:
            raise ValidationError(
                {
                    "decisions": [
                        f"Row {number}: this student is not one of those that were suggested."
                        for number in strangers
                    ]
                }
            )
        client = caller(self.request)
        try:
            made = rerun_rows(rows.run, rows.file, {}, api_client=client.name, students=chosen)
        except RowsTaken as error:
            taken = ", ".join(f"row {row} in job {of.pk}" for row, of in error.jobs.items())
            raise Conflict(f"Nothing was loaded. Already in a later job: {taken}.") from None
        except RunChanged:
            raise Conflict(_CHANGED) from None
        except NotFixable as reason:
            raise Conflict(str(reason)) from None
        except errors.JobError as error:
            raise as_validation_error(error) from None
        audit.record(job, "students chosen", client=client.id, rows=len(chosen), into=str(made.pk))
        return made


def _found(job: Job) -> Unmatched | None:
    """Return what the last run left open; None if nothing. Raises Conflict if it has not ended."""
    if job.last_run is None or job.last_run.outcome is None:
        raise Conflict("The job has not ended. Its open rows are known when it has.")
    if job.last_run.status == job.last_run.Status.ERROR:
        raise Conflict("The job's last run failed, so there are no open rows. Run it again.")
    return open_rows.unmatched_of(job)


def _open_rows(job: Job) -> OpenRows | None:
    """Return the job's open rows; None if there are none. Raises Conflict if it has not ended."""
    found = _found(job)
    if found is None:
        return None
    try:
        return open_rows.read(job, found)
    except NotFixable as reason:
        raise Conflict(str(reason)) from None


def _listed(rows: OpenRows | None) -> dict[str, Any]:
    if rows is None:
        return {"version": "", "idName": "", "idType": "", "rows": []}
    return {
        "version": rows.file.sha256,
        "idName": rows.found.id_name,
        "idType": rows.found.id_type,
        "rows": [_row(rows, number) for number in range(1, len(rows.file.rows) + 1)],
    }


def _row(rows: OpenRows, number: int) -> dict[str, Any]:
    review, later = rows.reviews.get(number), rows.taken.get(number)
    return {
        "row": number,
        "id": rows.file.id_of(number),
        "jobUid": later.pk if later else None,
        "reason": review.reason if review else None,
        "person": review.person if review else None,
        "matched": review.matched if review else None,
        "suggestions": review.suggestions if review else [],
        "cell": review.cell if review else None,
    }
