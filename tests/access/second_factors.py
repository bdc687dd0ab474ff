"""Second factors as people use them: an authenticator app, and signing in with its codes."""

import re
import time

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.models import User
from django.test import Client

from access import factors

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PASSWORD = "sturdy horse 99"


def give_app(user: User) -> list[str]:
    """An authenticator app that knows SECRET and was set up a while ago; its recovery codes."""
    user.set_password(PASSWORD)
    user.save()
    return factors.add_app(user, SECRET, _step() - 10, first=False) or []


def _step() -> int:
    return int(time.time()) // 30


def code(secret: str = SECRET) -> str:
    """What the app shows now."""
    return totp.format_hotp_value(totp.hotp_value(secret, _step()))


def wrong_code() -> str:
    """None of those that are right now or soon."""
    near = {
        totp.format_hotp_value(totp.hotp_value(SECRET, _step() + off)) for off in range(-10, 11)
    }
    return next(each for each in ("000000", "111111", "222222") if each not in near)


def later(user: User) -> None:
    """As if the app's last code was used minutes ago."""
    row = Authenticator.objects.get(user=user, type=factors.APP)
    row.data["last_step"] -= 10
    row.save()


def give_password(client: Client, name: str, password: str = PASSWORD, **query: str):
    return client.post("/admin/login/", {"username": name, "password": password, **query})


def give_code(client: Client, given: str):
    return client.post("/second-factor/", {"code": given})


def signed_in(user: User) -> Client:
    """The client of somebody who signed in with password and app."""
    client = Client()
    give_password(client, user.username)
    later(user)
    give_code(client, code())
    assert is_in(client)
    later(user)
    return client


def is_in(client: Client) -> bool:
    return client.get("/security/").status_code == 200


def shown_secret(text: str) -> str:
    """The key on the page that sets an app up."""
    found = re.search(r'class="rw-key">([A-Z2-7 ]+)<', text)
    assert found
    return found[1].replace(" ", "")


def shown_codes(text: str) -> list[str]:
    return re.findall(r"<li><code>(\d{8})</code></li>", text)
