"""The feed of runs that have ended, for warehouses: what came of them, without students' data."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from earthbeam.external import paging, serializers
from earthbeam.external.authentication import caller, partner_named
from earthbeam.external.clients import READ_JOBS
from earthbeam.external.listing import filtered
from earthbeam.external.schema import answers
from earthbeam.external.views import ClientView
from earthbeam.models import Run

_DEFAULT_LIMIT = 100


class RunsView(ClientView):
    """The ended runs of a partner, those that ended last at the end."""

    scope = READ_JOBS
    query = serializers.RunQuery

    @extend_schema(
        operation_id="listRuns",
        parameters=[serializers.RunQuery],
        responses=answers({200: serializers.EndedRun(many=True)}, 404),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked()
        partner = partner_named(asked["partner"], caller(request))
        rows = (
            Run.objects.filter(job__tenant__partner=partner, ended_at__isnull=False)
            .select_related("job__tenant", "job__school_year", "matches")
            .prefetch_related("updates", "summary", "errors")
            .order_by("ended_at", "pk")
        )
        rows = filtered(rows, asked, to_job="job__", time="ended_at", id_="pk")
        if "since" in asked:
            rows = rows.filter(ended_at__gt=asked["since"])
        limit = asked.get("limit", _DEFAULT_LIMIT)
        page, more = paging.page(list(rows[: limit + 1]), limit)
        headers = {}
        if more and page[-1].ended_at:
            headers = paging.next_link(request, paging.encode(page[-1].ended_at, page[-1].pk))
        return Response(serializers.EndedRun(page, many=True).data, headers=headers)
