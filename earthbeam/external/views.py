"""The base of the external API's views, and the view that checks a token."""

from types import SimpleNamespace
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from structlog.contextvars import bind_contextvars

from earthbeam.api.parsers import StrictJSONParser
from earthbeam.external import serializers
from earthbeam.external.authentication import ClientAuthentication, HasScope, caller
from earthbeam.external.clients import CREATE_JOBS
from earthbeam.external.errors import refusal
from earthbeam.external.schema import answers
from earthbeam.external.throttling import ClientThrottle
from earthbeam.models import Job
from partners.models import Partner


class _BodyParser(StrictJSONParser):
    """Keeps texts as they are. Each field refuses what the database cannot hold."""

    @staticmethod
    def text(text: str) -> str:
        return text


class _ByHeader(DefaultContentNegotiation):
    """Only ``Accept`` counts. ``?format=`` is refused like any other unknown parameter."""

    settings: Any = SimpleNamespace(URL_FORMAT_OVERRIDE=None)


class ClientView(APIView):
    """A call of a client whose token has ``scope``."""

    authentication_classes = [ClientAuthentication]
    permission_classes = [HasScope]
    throttle_classes = [ClientThrottle]
    parser_classes = [_BodyParser]
    content_negotiation_class = _ByHeader
    scope: ClassVar[str]
    query: ClassVar[type[serializers.PagedQuery] | None] = None
    """The parameters of the view's list. Other calls take none."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        is_list = self.query is not None and request.method in ("GET", "HEAD")
        is_call = request.method in self.allowed_methods  # otherwise the response is 405
        if request.query_params and is_call and not is_list:
            raise ValidationError(
                {name: ["This call takes no parameters."] for name in request.query_params}
            )

    def get_exception_handler(self) -> Any:
        return refusal

    def asked(self) -> dict[str, Any]:
        """Return the parameters of the view's list. Raises ValidationError."""
        assert self.query is not None
        query = self.query(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        return query.validated_data

    def jobs(self) -> QuerySet[Job]:
        """Return the jobs of the partners that the token covers."""
        return Job.objects.select_related("tenant__partner", "school_year", "last_run").filter(
            tenant__partner__in=caller(self.request).partners
        )

    def job(self, uid: UUID) -> Job:
        """Return the job ``uid`` if the token covers its partner. Raises NotFound."""
        job = self.jobs().filter(pk=uid).first()
        if job is None:
            raise NotFound("There is no such job for this token.")
        bind_contextvars(job=str(job.pk), partner=job.tenant.partner_id)
        return job


class TokenView(ClientView):
    """Which partners the token is good for."""

    scope = CREATE_JOBS

    @extend_schema(
        operation_id="verifyToken", request=None, responses=answers({200: serializers.TokenAnswer})
    )
    def post(self, request: Request) -> Response:
        client = caller(request)
        partners = Partner.objects.filter(pk__in=client.partners).order_by("pk")
        answer: dict[str, Any] = {
            "client": client.id,
            "clientName": client.name,
            "scopes": sorted(client.scopes),
            "partners": list(partners.values_list("pk", flat=True)),
        }
        return Response(serializers.TokenAnswer(answer).data)
