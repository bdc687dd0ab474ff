"""Links to Runway support: SUPPORT_CONTACT, an email address or a URL."""

from urllib.parse import quote, urlencode

from django import template
from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def support_link(path: str = "") -> SafeString:
    """Return a link to support that names the page at ``path``; empty without SUPPORT_CONTACT."""
    contact = settings.SUPPORT_CONTACT
    if not contact:
        return SafeString("")
    return format_html('<a href="{}">Contact support</a>', support_url(contact, path))


def support_url(contact: str, path: str = "") -> str:
    """Return the target of a link to ``contact``. In a URL, ``{link}`` becomes the page's link."""
    link = f"{settings.APP_URL}{path}" if path else ""
    if "://" in contact:
        return contact.replace("{link}", quote(link, safe=""))
    prefilled = {"subject": "Runway", **({"body": link} if link else {})}
    return f"mailto:{contact}?{urlencode(prefilled, quote_via=quote)}"
