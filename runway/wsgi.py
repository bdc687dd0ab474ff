"""The WSGI application that gunicorn serves. Its settings are in gunicorn.conf.py."""

import os

from django.core.wsgi import get_wsgi_application

from earthbeam.privacy import keep_private
from runway.env import load_dotenv

keep_private()  # whatever the server

load_dotenv()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runway.settings")
application = get_wsgi_application()
