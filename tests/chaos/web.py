"""What gunicorn serves instead of ``runway.wsgi``: the same, with a clock that may be wrong."""

from runway.wsgi import application as application
from tests.chaos import clock

clock.install()
