"""Jobs of other systems: create a job, upload its files, start it, and follow its status."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from earthbeam import errors
from earthbeam.external import file_links, paging, serializers
from earthbeam.external.authentication import caller, partner_named
from earthbeam.external.clients import CREATE_JOBS, READ_JOBS
from earthbeam.external.errors import Conflict, LengthRequired, as_validation_error
from earthbeam.external.idempotency import HEADER, made_once
from earthbeam.external.listing import filtered
from earthbeam.external.schema import answers
from earthbeam.external.views import ClientView
from earthbeam.jobs.later_runs import start_resend
from earthbeam.jobs.lifecycle import cancel_run, create_job, find_uploads, start_run
from earthbeam.jobs.rules import JobRequest, problems
from earthbeam.jobs.status import JobStatus, has_outcome, has_status
from earthbeam.models import Bundle, Job, Run
from partners.models import Partner, SchoolYear, Tenant

_DEFAULT_LIMIT = 100


class JobsView(ClientView):
    """Make a job, or list jobs."""

    query = serializers.JobQuery

    @property
    def scope(self) -> str:  # type: ignore[override]
        return CREATE_JOBS if self.request.method == "POST" else READ_JOBS

    @extend_schema(
        operation_id="createJob",
        parameters=[
            OpenApiParameter(
                HEADER,
                location=OpenApiParameter.HEADER,
                description="Sent again with the same request, it makes no second job.",
            )
        ],
        request=serializers.JobRequestBody,
        responses=answers({201: serializers.CreatedJob}, 404, 411, 413, 415, 422),
    )
    def post(self, request: Request) -> Response:
        if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
            raise LengthRequired  # Django would take it for an empty body
        body = serializers.JobRequestBody(data=request.data)
        body.is_valid(raise_exception=True)
        client = caller(request)
        partner = partner_named(body.validated_data["partner"], client)

        def make() -> Job:
            wanted = _job_request(body.validated_data, partner)
            if found := list(problems(wanted)):
                raise as_validation_error(*found)
            return create_job(wanted, api_client=client.name)

        job = made_once(request, body.validated_data, make)
        answer = {
            "uid": job.pk,
            "uploadUrls": {
                file.template_key: file_links.link(
                    request, job, f"input/{file.stored_name}", "upload"
                )
                for file in job.files.all()
            },
        }
        return Response(serializers.CreatedJob(answer).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="listJobs",
        parameters=[serializers.JobQuery],
        responses=answers({200: serializers.JobAnswer(many=True)}, 404),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked()
        partner = partner_named(asked["partner"], caller(request))
        rows = filtered(
            self.jobs().filter(tenant__partner=partner),
            asked,
            to_job="",
            time="created_at",
            id_="pk",
        )
        if "status" in asked:
            rows = rows.filter(has_status(*_statuses(asked["status"])))
        if "outcome" in asked:
            rows = rows.filter(has_outcome(asked["outcome"]))
        limit = asked.get("limit", _DEFAULT_LIMIT)
        page, more = paging.page(list(rows.order_by("created_at", "pk")[: limit + 1]), limit)
        headers = (
            paging.next_link(request, paging.encode(page[-1].created_at, page[-1].pk))
            if more
            else {}
        )
        return Response(serializers.JobAnswer(page, many=True).data, headers=headers)


class JobView(ClientView):
    """How a job stands, with all that its last run has reported."""

    scope = READ_JOBS

    @extend_schema(operation_id="getJob", responses=answers({200: serializers.JobDetails}, 404))
    def get(self, request: Request, uid: UUID) -> Response:
        return Response(serializers.JobDetails(self.job(uid)).data)


class StartView(ClientView):
    """Start a run of a job whose files have been brought: a load, a preview, or a resend."""

    scope = CREATE_JOBS

    @extend_schema(
        operation_id="startJob",
        request=serializers.StartBody,
        responses=answers({202: serializers.StartedJob}, 404),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        job, client = self.job(uid), caller(request).name
        # Clients from before there was a body send what they like.
        sent = request.data if "json" in (request.content_type or "") else {}
        body = serializers.StartBody(data=sent or {})
        body.is_valid(raise_exception=True)
        try:
            find_uploads(job)
            if body.validated_data["resend"]:
                start_resend(job, api_client=client)
            else:
                preview = body.validated_data["preview"]
                kind = Run.Kind.PREVIEW if preview else Run.Kind.LOAD
                start_run(job, kind=kind, api_client=client)
        except errors.JobError as error:
            raise as_validation_error(error) from None
        answer = serializers.StartedJob({"uid": job.pk, "status": JobStatus.QUEUED})
        return Response(answer.data, status=status.HTTP_202_ACCEPTED)


class CancelView(ClientView):
    """End a job's run, if it has one in progress."""

    scope = CREATE_JOBS

    @extend_schema(
        operation_id="cancelJob",
        request=None,
        responses=answers({202: serializers.StartedJob}, 404, 409),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        job = self.job(uid)
        if job.last_run is None or not cancel_run(job.last_run, caller(request).name):
            raise Conflict("The job has no run in progress.")
        answer = serializers.StartedJob({"uid": job.pk, "status": JobStatus.ERROR})
        return Response(answer.data, status=status.HTTP_202_ACCEPTED)


def _statuses(asked: str) -> list[JobStatus]:
    """Those that the API calls ``asked``."""
    if asked == JobStatus.COMPLETE_WITH_ERRORS:
        return [JobStatus.COMPLETE_WITH_ERRORS, JobStatus.COMPLETE_UNMATCHED]
    return [JobStatus(asked)]


def _job_request(body: dict[str, Any], partner: Partner) -> JobRequest:
    """Return what the body requests. Raises ValidationError."""
    tenant = Tenant.objects.filter(partner=partner, code=body["tenant"]).first()
    year = SchoolYear.objects.filter(end_year=int(body["schoolYear"])).first()
    path = body["bundle"]
    bundle = Bundle.objects.filter(
        pk=path if path.startswith("assessments/") else f"assessments/{path}", enabled_for=partner
    ).first()
    wrong = {}
    if tenant is None:
        wrong["tenant"] = [f"{partner} has no tenant {body['tenant']!r}."]
    if year is None:
        wrong["schoolYear"] = [f"There is no school year that ends in {body['schoolYear']}."]
    if bundle is None:
        wrong["bundle"] = [f"{partner} has no bundle {path!r}. Have it enabled for the partner."]
    if tenant is None or year is None or bundle is None:
        raise ValidationError(wrong)
    return JobRequest(
        tenant=tenant,
        school_year=year,
        bundle=bundle,
        files=body["files"],
        params=body["params"],
    )
