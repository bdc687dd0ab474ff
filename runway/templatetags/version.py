"""The release of Runway that serves the page."""

from django import template

from runway import __version__

register = template.Library()


@register.simple_tag
def runway_version() -> str:
    return __version__
