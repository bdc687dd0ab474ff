"""Remove the parts of URLs that would let a reader of the logs fetch a file."""

import logging
import re
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

from runway import logs

_LINK = re.compile(r"(/api/v1/files/)[^/\s?\"']+")
_QUERY = re.compile(r"\?[^\s\"']*")


def without_secrets(address: str) -> str:
    """Return ``address``, or a line with one, without a link's signature and the query."""
    return _QUERY.sub("?…", _LINK.sub(r"\1…", address))


class Logger(GunicornLogger):
    """gunicorn's logs in Runway's format, with shortened URLs."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(logs.formatter(logs.chosen_format()))

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
