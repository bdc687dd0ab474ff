"""The dashboard on the admin's start page."""

from typing import Any

from django import template

from earthbeam.admin.dashboard.start_page import dashboard as dashboard_of

register = template.Library()


@register.inclusion_tag("admin/dashboard.html", takes_context=True)
def dashboard(context: template.Context) -> dict[str, Any]:
    return {"dashboard": dashboard_of(context["user"])}
