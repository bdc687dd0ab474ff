"""Remove the parts of URLs that would let a reader of the logs fetch a file."""

import logging
import re
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

_LINK = re.compile(r"(/api/v1/files/)[^/\s?\"']+")
_QUERY = re.compile(r"\?[^\s\"']*")


def without_secrets(address: str) -> str:
    """Return ``address``, or a line with one, without a link's signature and the query."""
    return _QUERY.sub("?…", _LINK.sub(r"\1…", address))


class Logger(GunicornLogger):
    """gunicorn's access log with shortened URLs."""

    def atoms(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        atoms: dict[str, Any] = super().atoms(*args, **kwargs)
        for name in ("r", "U", "f"):
            if isinstance(atoms.get(name), str):
                atoms[name] = without_secrets(atoms[name])
        atoms["q"] = ""
        return atoms


class HideLinks(logging.Filter):
    """Shortens the URLs in Django's own log lines about requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                without_secrets(arg) if isinstance(arg, str) else arg for arg in record.args
            )
        return True


class OneLine(logging.Filter):
    """Leaves out the traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        return True
