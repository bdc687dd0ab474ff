"""The executor-facing API. Each view reads one request and passes it to the responsible module."""

import time
from typing import Any, cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework import status
from rest_framework.exceptions import APIException, AuthenticationFailed, NotFound, ValidationError
from rest_framework.fields import Field
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from structlog.contextvars import bind_contextvars

from earthbeam import metrics
from earthbeam.api import serializers
from earthbeam.api.authentication import (
    AccessTokenAuthentication,
    InitTokenAuthentication,
    TokenIsForRunInPath,
)
from earthbeam.api.parsers import StrictJSONParser
from earthbeam.models import Run
from earthbeam.runs import payload, relaunch, reports, states, tokens

_TOO_OLD = (
    "The executor is of an earlier version of Runway, which can only load jobs. Update the "
    "executor's image, then try again."
)


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class OneRenderer(DefaultContentNegotiation):
    """Always responds with JSON, whatever a client accepts."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class RunView(APIView):
    """A request about the run in the path, by that run's executor."""

    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [TokenIsForRunInPath]
    parser_classes = [StrictJSONParser]
    content_negotiation_class = OneRenderer

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        began = time.monotonic()
        response = super().dispatch(request, *args, **kwargs)
        if not response.streaming:
            call = type(self).__name__.removesuffix("View").lower()
            seconds = metrics.CALL_SECONDS.labels(call, str(response.status_code))
            seconds.observe(time.monotonic() - began)
        return response

    def run(self) -> Run:
        """Return the run of the path and token.

        Raises NotFound, or AuthenticationFailed for an executor that another one has replaced.
        """
        run = self._run_in_path()
        if self._is_superseded(run):
            raise AuthenticationFailed("Another executor carries out this run now.")
        return run

    def _is_superseded(self, run: Run) -> bool:
        bearer = cast(tokens.Bearer, self.request.auth)
        return bearer.is_superseded(run)

    def _run_in_path(self) -> Run:
        run = (
            Run.objects.select_related("job__tenant__partner", "job__school_year")
            .filter(pk=self.kwargs["run_id"])
            .first()
        )
        if run is None:
            raise NotFound("There is no such run.")
        bind_contextvars(run=str(run.pk), job=str(run.job_id), partner=run.job.tenant.partner_id)
        return run


class InitView(RunView):
    """The handshake: begins the run, once, and gives its executor an access token and job URL.

    Ends a run of a kind that its executor does not know: it would load the job instead.
    """

    authentication_classes = [InitTokenAuthentication]
    http_method_names = ["get"]

    def get(self, request: Request, run_id: str) -> Response:
        run = self.run()
        if run.kind != Run.Kind.LOAD and run.kind not in _kinds_known(request):
            why = {"message": _TOO_OLD}
            states.fail(run.pk, "invalid_job", why, executor_size=run.executor_size)
            raise Conflict(_TOO_OLD)
        if not states.begin(run.pk, executor_size=run.executor_size):
            raise AuthenticationFailed("The run is no longer new: an init token works once.")
        return _private({"token": tokens.access_token(run), "jobUrl": payload.job_url(run.pk)})


class JobView(RunView):
    """The job payload.

    A run that has ended gets none, since it contains the ODS's secret. If the job cannot be carried
    out any more, this ends the run: without the payload its executor does not know where to report.
    """

    http_method_names = ["get"]

    def get(self, request: Request, run_id: str) -> Response:
        run = self.run()
        if run.status not in Run.UNFINISHED:
            raise Conflict("The run has ended.")
        try:
            body = payload.build(run)
        except payload.NoPayload as error:
            why = {"message": str(error)}
            states.fail(run.pk, "invalid_job", why, executor_size=run.executor_size)
            raise Conflict(str(error)) from None
        payload.keep_fingerprint(run, body)
        return _private(body)


class ReportView(RunView):
    """Something that a run reports: validated by ``body``, then stored; 201.

    A late report of an executor that another one has replaced is accepted, so that repeating it
    does no harm, but not stored.
    """

    http_method_names = ["post"]
    body: type[Field[Any, Any, Any, Any]]

    def post(self, request: Request, run_id: str) -> Response:
        run = self._run_in_path()
        report = self.body().run_validation(request.data)
        answer = None if self._is_superseded(run) else self.keep(run, report)
        return Response(answer, status=status.HTTP_201_CREATED)

    def keep(self, run: Run, report: Any) -> dict[str, str] | None:
        """Store the report, and return the response's body, if any."""
        raise NotImplementedError


class StatusView(ReportView):
    body = serializers.UpdateReport

    def keep(self, run: Run, report: Any) -> None:
        reports.record_update(run, report["action"], report["status"])
        if report["action"] == "done":
            success = report["status"] == "success"
            if success or not relaunch.after_failure(run):
                states.finish(run.pk, success, executor_size=run.executor_size)


class ErrorView(ReportView):
    body = serializers.ErrorReport

    def keep(self, run: Run, report: Any) -> None:
        reports.record_error(run, report["code"], report["payload"])


class SummaryView(ReportView):
    body = serializers.SummaryReport

    def keep(self, run: Run, report: Any) -> None:
        reports.record_summary(run, report)


class UnmatchedIdsView(ReportView):
    body = serializers.UnmatchedIdsReport

    def keep(self, run: Run, report: Any) -> None:
        reports.record_unmatched_ids(run, **report)


class MatchesView(ReportView):
    body = serializers.MatchesReport

    def keep(self, run: Run, report: Any) -> None:
        reports.record_matches(run, report)


class ProgressView(ReportView):
    body = serializers.ProgressReport

    def keep(self, run: Run, report: Any) -> None:
        reports.record_progress(run, **report)


class OutputFilesView(ReportView):
    body = serializers.OutputFilesReport

    def keep(self, run: Run, report: Any) -> dict[str, str] | None:
        try:
            output_set = reports.add_output_set(run, **report)
        except reports.BadOutputPath as error:
            raise ValidationError({"path": [str(error)]}) from None
        except reports.OutputSetExists:
            raise Conflict("The run has reported this output set before.") from None
        return {"uid": str(output_set.uid)} if output_set else None


def _kinds_known(request: Request) -> list[str]:
    return [kind.strip() for kind in request.headers.get("Runway-Kinds", "").split(",")]


def _private(body: dict[str, Any]) -> Response:
    return Response(body, headers={"Cache-Control": "no-store"})
