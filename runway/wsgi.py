"""The WSGI application that gunicorn serves; its settings are in gunicorn.conf.py."""

import os

from django.core.wsgi import get_wsgi_application

from runway.env import load_dotenv

load_dotenv()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runway.settings")
application = get_wsgi_application()
