"""`manage.py destroy_tenant`: delete a tenant with everything of it, in two steps."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import filesizeformat

from earthbeam.files import fault
from earthbeam.jobs import deletion, whole_tenant
from earthbeam.management.operator import operator
from earthbeam.management.tenants import find_tenant
from partners.models import Tenant


class Command(BaseCommand):
    help = (
        "Delete a tenant with its jobs, files, rosters, confirmed students, and ODS connections. "
        "The first call says what there is, and gives a code. The second, with --confirm CODE, "
        "destroys it and records that. What the ODS has stays there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("partner", help="The partner's code.")
        parser.add_argument("tenant", help="The tenant's code.")
        parser.add_argument("--confirm", metavar="CODE", help="The code that the first call gave.")
        parser.add_argument(
            "--by", default=operator(), help="Who destroys it (default: %(default)s)."
        )

    def handle(
        self, *, partner: str, tenant: str, confirm: str | None, by: str, **options: Any
    ) -> None:
        found = find_tenant(partner, tenant)
        try:
            if confirm is None:
                self._ask(found)
            else:
                record = whole_tenant.destroy(found, confirm, by=by)
                self.stdout.write(f"{partner}/{tenant} is destroyed: {record.files} files.")
        except whole_tenant.NotConfirmed:
            raise CommandError(
                "The code is wrong, older than an hour, or from before the tenant's jobs changed. "
                "Nothing was destroyed. Call the command without --confirm for a new one."
            ) from None
        except deletion.CannotDelete as kept:
            jobs = ", ".join(str(job.pk) for job in kept.jobs[:5])
            raise CommandError(
                f"Nothing was destroyed: {len(kept.jobs)} jobs have a run in progress or are on "
                f"legal hold, among them {jobs}. Cancel the runs, or end the holds."
            ) from None
        except OSError as error:
            raise CommandError(
                f"The file storage failed ({fault(error)}). The tenant is still there, perhaps "
                "with fewer files. Call the command again with the same code."
            ) from None

    def _ask(self, tenant: Tenant) -> None:
        extent = whole_tenant.extent(tenant)
        self.stdout.write(
            f"{tenant} has {extent.jobs} jobs, {extent.files} files "
            f"({filesizeformat(extent.bytes)}), {extent.confirmed_students} confirmed students, "
            f"and {extent.ods_connections} ODS connections.\n"
            "To destroy all of this for good, within an hour:\n\n"
            f"    manage.py destroy_tenant {tenant.partner_id} {tenant.code} "
            f"--confirm {whole_tenant.code(tenant)}\n"
        )
