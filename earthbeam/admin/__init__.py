"""The admin of bundles, jobs and runs, a module for each; Django finds them here."""

from earthbeam.admin.bundle_revisions import BundleRevisionAdmin
from earthbeam.admin.bundles import BundleAdmin, DescriptorMappingAdmin
from earthbeam.admin.jobs import JobAdmin
from earthbeam.admin.output_sets import OutputSetAdmin
from earthbeam.admin.partner import PartnerAdmin
from earthbeam.admin.queue import QueueAdmin
from earthbeam.admin.runs import RunAdmin
from earthbeam.admin.tenant import TenantAdmin
from earthbeam.admin.webhooks import WebhookAdmin

__all__ = [
    "BundleAdmin",
    "BundleRevisionAdmin",
    "DescriptorMappingAdmin",
    "JobAdmin",
    "OutputSetAdmin",
    "PartnerAdmin",
    "QueueAdmin",
    "RunAdmin",
    "TenantAdmin",
    "WebhookAdmin",
]
