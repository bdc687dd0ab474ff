"""What gunicorn serves instead of ``runway.wsgi``."""

from importlib import import_module

from runway.wsgi import application as application

# Only now, as Django has to be set up before.
_edu = import_module("edu.connect")
_edu.LOGIN_TIMEOUT = _edu.NETWORK_TIMEOUT = 1  # type: ignore[attr-defined]
_edu.LONGEST_PAUSE = 0.05  # type: ignore[attr-defined]
import_module("earthbeam.api.roster").RETRY_AFTER = 0  # type: ignore[attr-defined]
