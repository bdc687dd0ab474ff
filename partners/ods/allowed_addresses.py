"""Which URLs an ODS may have in this deployment, judged by the URL itself."""

from urllib.parse import urlsplit

from django.conf import settings


def problem(url: str) -> str | None:
    """Return why the ODS at ``url`` cannot be used, and what to do about it. None if it can.

    Development allows plain http and this machine, for the local stand-in.
    """
    if settings.IN_DEVELOPMENT:
        return None
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if host in _own_hosts():
        return "This is Runway's own address. Enter the address of the ODS."
    if parts.scheme != "https" and host not in settings.ODS_HTTP_HOSTS:
        return (
            "The URL must begin with https://: by plain http, the ODS's credentials and students' "
            "results could be read on the way."
        )
    return None


def _own_hosts() -> set[str]:
    urls = (settings.APP_URL, settings.EXECUTOR_APP_URL)
    names = {*(urlsplit(url).hostname for url in urls), *settings.ALLOWED_HOSTS}
    return {name for name in names if name and not name.startswith((".", "*"))}
