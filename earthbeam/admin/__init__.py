"""The admin of bundles, jobs, and runs. Django finds its modules through this one."""

from earthbeam.admin.bundles.admin import BundleAdmin, DescriptorMappingAdmin
from earthbeam.admin.bundles.revisions import BundleRevisionAdmin
from earthbeam.admin.jobs.admin import JobAdmin
from earthbeam.admin.partners.admin import PartnerAdmin
from earthbeam.admin.partners.tenant import TenantAdmin
from earthbeam.admin.partners.webhooks import WebhookAdmin
from earthbeam.admin.queue import QueueAdmin
from earthbeam.admin.runs.admin import RunAdmin
from earthbeam.admin.runs.destructions import DestructionAdmin
from earthbeam.admin.runs.output_sets import OutputSetAdmin

__all__ = [
    "BundleAdmin",
    "BundleRevisionAdmin",
    "DescriptorMappingAdmin",
    "DestructionAdmin",
    "JobAdmin",
    "OutputSetAdmin",
    "PartnerAdmin",
    "QueueAdmin",
    "RunAdmin",
    "TenantAdmin",
    "WebhookAdmin",
]
