"""Settings of `manage.py executor`: no database, no secret, nothing from the web process.

The executor handles untrusted files and bundle code. What is not here cannot leak from it: a stray
query fails at once, and SECRET_KEY is random for each process.
"""

import secrets

SECRET_KEY = secrets.token_urlsafe(50)
DEBUG = False
INSTALLED_APPS = ["earthbeam.executor"]
DATABASES: dict[str, dict[str, str]] = {}
USE_TZ = True
TIME_ZONE = "UTC"
LOGGING_CONFIG = None
