"""What gunicorn serves in ``test_roster_over_gunicorn``: the project, with a short patience."""

from importlib import import_module

from runway.wsgi import application as application

# Only now, as Django has to be set up before.
import_module("earthbeam.api.roster").SEND_TIMEOUT = 12  # type: ignore[attr-defined]
