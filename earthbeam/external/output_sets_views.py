"""The output sets of runs, for systems that load them elsewhere."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from earthbeam import paths
from earthbeam.external import file_links, paging, serializers
from earthbeam.external.authentication import caller, partner_named
from earthbeam.external.clients import READ_JOBS, READ_OUTPUT_FILES
from earthbeam.external.listing import filtered
from earthbeam.external.schema import answers
from earthbeam.external.views import ClientView
from earthbeam.jobs.retention import still_stored
from earthbeam.models import OutputSet
from partners import audit


class OutputSetsView(ClientView):
    """The sets of successful runs of a partner, oldest first; all of them, unless limited.

    Withdrawn ones are listed only for ``withdrawnAfter``, since they must not be loaded any more.
    """

    scope = READ_JOBS
    query = serializers.OutputSetQuery

    @extend_schema(
        operation_id="listOutputSets",
        parameters=[serializers.OutputSetQuery],
        responses=answers({200: serializers.OutputSetAnswer(many=True)}, 404),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked()
        partner = partner_named(asked["partner"], caller(request))
        time = "withdrawn_at" if "withdrawnAfter" in asked else "published_at"
        rows = (
            OutputSet.objects.filter(partner=partner, published_at__isnull=False)
            .select_related("run__job__tenant", "run__job__school_year")
            .order_by(time, "uid")
        )
        if "withdrawnAfter" in asked:
            rows = rows.filter(withdrawn_at__gt=asked["withdrawnAfter"])
        else:
            rows = rows.filter(still_stored(), withdrawn_at=None)
        rows = filtered(rows, asked, to_job="run__job__", time=time, id_="uid")
        if "sentToOds" in asked:
            rows = rows.filter(sent_to_ods=asked["sentToOds"] == "true")
        headers = {}
        # The list is whole unless the client asks for pages.
        if (limit := asked.get("limit", paging.MAX_LIMIT if "cursor" in asked else None)) is None:
            page = list(rows)
        else:
            page, more = paging.page(list(rows[: limit + 1]), limit)
            if more and (at := getattr(page[-1], time)):
                headers = paging.next_link(request, paging.encode(at, page[-1].uid))
        return Response(serializers.OutputSetAnswer(page, many=True).data, headers=headers)


class DownloadLinksView(ClientView):
    """Links to the files of a set."""

    scope = READ_OUTPUT_FILES

    @extend_schema(
        operation_id="makeDownloadLinks",
        request=None,
        responses=answers({200: serializers.DownloadLinks}, 404),
    )
    def post(self, request: Request, uid: UUID) -> Response:
        output_set = (
            OutputSet.objects.select_related("run__job__tenant")
            .filter(pk=uid, partner__in=caller(request).partners)
            .filter(still_stored(), published_at__isnull=False, withdrawn_at=None)
            .first()
        )
        if output_set is None:
            raise NotFound("There is no such output set for this token.")
        job = output_set.run.job
        folder = paths.set_folder(output_set)
        links = {
            name: file_links.link(request, job, f"{folder}/{name}", "download")
            for name in output_set.files
        }
        audit.record(
            job, "download links made", client=caller(request).id, output_set=str(output_set.pk)
        )
        return Response(serializers.DownloadLinks({"downloadLinks": links}).data)
