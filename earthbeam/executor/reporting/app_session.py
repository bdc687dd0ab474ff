"""How the executor connects to the app."""

import os

import requests


def app_session() -> requests.Session:
    """Return a session for the app alone: no proxy, no .netrc, no redirects.

    It trusts the authorities of REQUESTS_CA_BUNDLE, if that is set.
    """
    session = requests.Session()
    session.trust_env = False  # which would also ignore the variable
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    session.max_redirects = 0
    return session
