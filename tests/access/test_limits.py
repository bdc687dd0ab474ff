import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from access import limits
from access.models import FailedSignIns
from tests import people

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

SIGN_IN = "/admin/login/"


@pytest.fixture
def root():
    return people.make_superuser("root")


def attempt(name="root", password="wrong", address="203.0.113.7", client=None, **headers):
    client = client or Client()
    form = {"username": name, "password": password}
    return client.post(SIGN_IN, form, REMOTE_ADDR=address, **headers)


def text(answer):
    return " ".join(answer.content.decode().split())


def fail(times, **how):
    for _ in range(times):
        assert attempt(**how).status_code == 200


def pass_time(by):
    for kept in FailedSignIns.objects.all():
        kept.since -= by
        kept.save()


def test_the_right_password_signs_in_as_often_as_one_likes(root):
    for _ in range(limits.PER_ACCOUNT + 5):
        assert attempt(password="x").status_code == 302
    assert set(FailedSignIns.objects.values_list("count", flat=True)) <= {0}


def test_an_account_is_closed_after_too_many_wrong_passwords_even_for_the_right_one(root):
    fail(limits.PER_ACCOUNT)
    answer = attempt(password="x")
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 15 * 60
    assert "Too many failed attempts to sign in. Try again in 15 minutes, at" in text(answer)


def test_it_opens_again_when_the_time_that_was_named_is_over(root):
    fail(limits.PER_ACCOUNT)
    assert attempt(password="x").status_code == 429
    pass_time(timedelta(minutes=14))
    assert "Try again in 1 minute, at" in text(attempt(password="x"))
    pass_time(timedelta(minutes=1, seconds=1))
    assert attempt(password="x").status_code == 302


def test_changing_the_address_does_not_help_against_the_accounts_limit(root):
    for number in range(limits.PER_ACCOUNT):
        attempt(address=f"203.0.113.{number + 1}")
    assert attempt(password="x", address="203.0.113.200").status_code == 429


def test_an_address_that_tries_many_accounts_is_closed_for_all(root):
    for number in range(limits.PER_ADDRESS):
        assert attempt(name=f"guess{number}").status_code == 200
    assert attempt(password="x").status_code == 429
    assert attempt(password="x", address="203.0.113.8").status_code == 302


def test_who_is_over_the_addresss_limit_does_not_close_accounts(root):
    for number in range(limits.PER_ADDRESS):
        attempt(name=f"guess{number}")
    for _ in range(limits.PER_ACCOUNT + 1):
        assert attempt().status_code == 429
    assert attempt(password="x", address="203.0.113.8").status_code == 302


def test_everybody_behind_one_ipv6_network_is_one_address(root):
    for number in range(limits.PER_ADDRESS):
        attempt(name=f"guess{number}", address=f"2001:db8:1:2::{number + 1:x}")
    assert attempt(password="x", address="2001:db8:1:2:ffff::1").status_code == 429
    assert attempt(password="x", address="2001:db8:1:3::1").status_code == 302


def test_the_header_of_a_client_makes_no_other_address(root):
    for number in range(limits.PER_ADDRESS):
        attempt(name=f"guess{number}", HTTP_X_FORWARDED_FOR=f"198.51.100.{number}")
    assert attempt(password="x", HTTP_X_FORWARDED_FOR="198.51.100.200").status_code == 429


def test_behind_a_proxy_only_the_proxys_word_counts(root, settings):
    settings.PROXY_COUNT = 1
    for number in range(limits.PER_ADDRESS):
        attempt(name=f"guess{number}", HTTP_X_FORWARDED_FOR=f"10.0.0.{number}, 198.51.100.9")
    assert attempt(password="x", HTTP_X_FORWARDED_FOR="10.9.9.9, 198.51.100.9").status_code == 429
    assert attempt(password="x", HTTP_X_FORWARDED_FOR="198.51.100.10").status_code == 302


def test_an_account_that_does_not_exist_looks_like_one_that_does(root):
    known = [attempt(name="root") for _ in range(limits.PER_ACCOUNT + 1)]
    unknown = [attempt(name="nobody") for _ in range(limits.PER_ACCOUNT + 1)]
    inactive = User.objects.create_user("gone", password="x", is_active=False)
    gone = [attempt(name="gone", password="x") for _ in range(limits.PER_ACCOUNT + 1)]
    assert not inactive.is_active
    for answers in (unknown, gone):
        assert [each.status_code for each in answers] == [each.status_code for each in known]
        assert [errors(each) for each in answers] == [errors(each) for each in known]


def errors(answer):
    # The minute may change between two attempts.
    return [each.partition(", at")[0] for each in answer.context["form"].non_field_errors()]


def test_capitals_make_no_second_account(root):
    fail(limits.PER_ACCOUNT // 2)
    fail(limits.PER_ACCOUNT - limits.PER_ACCOUNT // 2, name="ROOT")
    assert attempt(password="x").status_code == 429


def test_success_starts_the_account_anew(root):
    fail(limits.PER_ACCOUNT - 1)
    assert attempt(password="x").status_code == 302
    fail(limits.PER_ACCOUNT)


def test_over_a_unix_socket_without_an_address_accounts_are_still_limited(root):
    fail(limits.PER_ACCOUNT, address="")
    assert attempt(password="x", address="").status_code == 429


def test_old_counts_are_thrown_away_and_names_are_not_stored(root):
    attempt(name="secret-typed-as-name")
    assert "secret" not in str(list(FailedSignIns.objects.values_list()))
    pass_time(timedelta(hours=1))
    attempt(name="other")
    assert FailedSignIns.objects.filter(since__lt=timezone.now() - limits.WINDOW).count() == 0
    assert FailedSignIns.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_passwords_tried_at_once_are_looked_at_no_more_often_than_the_limit():
    people.make_superuser("root")
    looked_at: Counter[str] = Counter()
    lock = threading.Lock()

    def count(**kwargs):
        with lock:
            looked_at["password"] += 1

    def run(_):
        try:
            return attempt().status_code
        finally:
            connections.close_all()

    user_login_failed.connect(count, weak=False, dispatch_uid="test")
    try:
        with ThreadPoolExecutor(16) as pool:
            statuses = Counter(pool.map(run, range(40)))
    finally:
        user_login_failed.disconnect(dispatch_uid="test")
    assert statuses == {200: limits.PER_ACCOUNT, 429: 40 - limits.PER_ACCOUNT}
    assert looked_at["password"] == limits.PER_ACCOUNT


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_processes_share_the_limit():
    database = connection.settings_dict
    options = database["OPTIONS"]
    url = f"postgres://{database['USER']}@/{database['NAME']}?" + urlencode(
        {"host": database["HOST"] or options["host"], "port": database["PORT"] or options["port"]}
    )
    code = f"""
import django
django.setup()
from access import limits
for _ in range({limits.PER_ACCOUNT}):
    try:
        limits.count_attempt("root", None)
    except limits.TooManyAttempts:
        print("refused")
    else:
        print("allowed")
"""
    variables = {
        "RUNWAY_ENV": "development",
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "runway.settings",
    }
    processes = [
        subprocess.Popen(
            (sys.executable, "-c", code),
            cwd=settings.BASE_DIR,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = Counter(word for each in processes for word in each.communicate()[0].split())
    assert said == {"allowed": limits.PER_ACCOUNT, "refused": 2 * limits.PER_ACCOUNT}
