"""Make Django's admin use this project's site."""

from django.contrib.admin.apps import AdminConfig


class RunwayAdminConfig(AdminConfig):
    default_site = "access.site.RunwayAdminSite"
