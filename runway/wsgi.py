"""The WSGI application that gunicorn serves; its settings are in gunicorn.conf.py."""

import os

from django.core.wsgi import get_wsgi_application

from earthbeam.privacy import keep_private
from runway.env import load_dotenv

keep_private()  # under any server

load_dotenv()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runway.settings")
application = get_wsgi_application()
