"""Tries the tables of matrix.py, and that nothing is missing from them.

The whole way in is tried, with the session of each role: addresses by the ids of what is somebody
else's, bulk actions with them, look-ups, completions. Every visit is rolled back.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.messages import get_messages
from django.db import transaction
from django.http import HttpResponseBase
from django.test import RequestFactory
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from tests.access.matrix import (
    ACTION_TARGETS,
    ACTIONS,
    AGAIN,
    MEMBERS,
    MODELS,
    NO,
    NONE,
    PAGES,
    PUBLIC_API,
    SIGN_IN,
    YES,
    Visit,
)
from tests.access.world import HIDDEN_FROM, ROLES, SUPERUSER, World, make_world, snapshot

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

FILES = "admin:earthbeam_job_file"
ADD_IT = "is in no table: add it to the matrix (tests/access/matrix.py tells how)"


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def one_world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Made once, as it takes far longer than a visit."""
    with django_db_blocker.unblock(), rolled_back():
        yield make_world()


@pytest.fixture
def world(one_world: World) -> Iterator[World]:
    """As if made anew: a test's changes are rolled back, and who signed out is back."""
    cookies = {role: SimpleCookie(each.cookies) for role, each in one_world.clients.items()}
    yield one_world
    for role, client in one_world.clients.items():
        client.cookies = cookies[role]


# --- Nothing is missing ---------------------------------------------------------------------------


def addresses(resolver: Any = None, spaces: str = "", route: str = "") -> Iterator[tuple[str, str]]:
    """The name and the route of every URL that there is."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = route + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = f"{spaces}{entry.namespace}:" if entry.namespace else spaces
            yield from addresses(entry, inner, path)
        else:
            assert isinstance(entry, URLPattern)
            yield (spaces + entry.name if entry.name else path), path


def label(model: Any) -> str:
    return str(model._meta.label_lower)


def standard_pages() -> dict[str, dict[str, Visit]]:
    """The visits of MODELS by the names of their URLs, and of the short form of their pages."""
    visits: dict[str, dict[str, Visit]] = {}
    for name, model in MODELS.items():
        for page, by_method in model.visits(name).items():
            visits[f"admin:{name.replace('.', '_')}_{page}"] = by_method
        short = f"admin/{name.replace('.', '/')}/<path:object_id>/"
        # It leads to the page's full address, whether there is such a thing or not.
        visits[short] = {"GET": Visit(MEMBERS, (f"{{{name}.pk}}",))}
    return visits


VISITS = {
    (name, method): visit
    for name, by_method in {**standard_pages(), **PAGES}.items()
    for method, visit in by_method.items()
}


def test_every_address_is_in_the_matrix():
    missing = {
        f"{name} ({route}) {ADD_IT}"
        for name, route in addresses()
        if not route.startswith("api/") and name not in {name for name, _ in VISITS}
    }
    assert missing == set()


def test_the_matrix_has_no_address_that_is_gone():
    assert {name for name, _ in VISITS} - {name for name, _ in addresses()} == set()


def every_action() -> set[tuple[str, str]]:
    request = RequestFactory().get("/")
    found = set()
    for model, model_admin in admin.site._registry.items():
        # Superusers are offered all that there is.
        request.user = type("Root", (), {"is_active": True, "is_superuser": True, "pk": 0})()
        request.user.has_perm = lambda *_: True  # type: ignore[method-assign]
        found |= {(label(model), action) for action in model_admin.get_actions(request)}
    return found


def test_every_bulk_action_is_in_the_matrix():
    missing = every_action() - set(ACTIONS)
    assert {f"{action} of {model} {ADD_IT}" for model, action in missing} == set()
    assert set(ACTIONS) - every_action() == set()


# --- Visits ---------------------------------------------------------------------------------------


def filled(text: Any, targets: dict[str, Any]) -> Any:
    """``{partners.partner.pk}`` and the like replaced by what they name."""
    if callable(text):
        return text(targets)
    if not isinstance(text, str):
        return text

    def value(found: re.Match[str]) -> str:
        app, model, attribute = found[1].split(".")
        return str(getattr(targets[f"{app}.{model}"], attribute))

    return re.sub(r"\{(\w+\.\w+\.\w+)\}", value, text)


def url_of(name: str, visit: Visit, targets: dict[str, Any]) -> str:
    args = [str(filled(each, targets)) for each in visit.args]
    try:
        # As the admin writes ids: a slash is part of a bundle's.
        ids = args if name == FILES else [each.replace("/", "_2F") for each in args]
        url = reverse(name, args=ids)
    except NoReverseMatch:  # a route without a name
        url = "/" + re.sub(r"<[^>]+>|\(.*\)\$", lambda _: args.pop(0), name)
    query = "&".join(f"{key}={filled(each, targets)}" for key, each in visit.query.items())
    return f"{url}?{query}" if query else url


NOT_THERE = ("doesn’t exist", "This job does not exist")


def word_for(method: str, answer: HttpResponseBase, visit: Visit) -> str:
    """What somebody got, in a word of the matrix."""
    if answer.status_code == 403:
        return NO
    if answer.status_code == 404:
        return NONE
    if answer.status_code in (301, 302):
        if answer["Location"].startswith("/admin/login/"):
            return SIGN_IN
        told = [str(each) for each in get_messages(answer.wsgi_request)]  # type: ignore[attr-defined]
        return NONE if any(none in each for each in told for none in NOT_THERE) else YES
    if answer.status_code == 200:
        wrong = not visit.answers_in_place or 'class="errornote"' in shown(answer)
        return AGAIN if method == "POST" and wrong else YES
    return f"status {answer.status_code}"


def shown(answer: HttpResponseBase) -> str:
    return "" if answer.streaming else answer.content.decode()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "method"), VISITS)
def test_everybody_gets_what_the_matrix_says(world, name, method):
    visit = VISITS[name, method]
    url = url_of(name, visit, world.targets)
    before = snapshot()
    wrong = []
    for role in ROLES:
        with rolled_back():
            client = world.clients[role]
            data = {key: filled(each, world.targets) for key, each in visit.data.items()}
            answer = client.get(url) if method == "GET" else client.post(url, data)
            word, changed = word_for(method, answer, visit), snapshot() != before
        if word != visit.who[role]:
            wrong.append(f"{role} gets {word!r}, not {visit.who[role]!r}")
        if changed and (method == "GET" or word != YES):
            wrong.append(f"{role} got {word!r}, and still something changed")
        if method == "POST" and word == YES and changed == visit.stores_nothing:
            wrong.append(
                f"{role} got {word!r}, and {'something' if changed else 'nothing'} changed"
            )
        wrong += [f"{role} sees {mark}…" for mark in HIDDEN_FROM[role] if mark in shown(answer)]
    assert wrong == [], f"{method} {url}"


@pytest.mark.parametrize(("model", "action"), ACTIONS)
def test_bulk_actions_reach_what_the_matrix_says(world, model, action):
    url = reverse(f"admin:{model.replace('.', '_')}_changelist")
    target = world.targets[ACTION_TARGETS.get((model, action), model)]
    data = {"action": action, "_selected_action": target.pk, "post": "yes"}
    before = snapshot()
    did = []
    for role in ROLES:
        with rolled_back():
            answer = world.clients[role].post(url, data)
            if snapshot() != before:
                did.append(role)
        assert [mark for mark in HIDDEN_FROM[role] if mark in shown(answer)] == [], role
    assert tuple(did) == ACTIONS[model, action]


# --- Ways around ----------------------------------------------------------------------------------


def lists() -> list[str]:
    return [label(model) for model in admin.site._registry]


@pytest.mark.parametrize("model", lists())
def test_searches_filters_and_look_ups_find_nothing_that_is_hidden(world, model):
    url = reverse(f"admin:{model.replace('.', '_')}_changelist")
    model_admin = admin.site._registry[type(world.targets[model])]
    lookup = getattr(model_admin, "partner_lookup", None)
    queries = [{"q": "of-"}, {"_to_field": "id"}, {"_popup": "1"}, {"all": ""}, {"o": "1"}]
    for partner in ("ea", "tx"):
        queries.append({"partner": partner})
        if lookup:
            path = "id" if lookup == "pk" else f"{lookup}__id"
            queries += [{f"{path}__exact": partner}, {f"{path}__startswith": partner}]
    queries += [{"tenant": each} for each in ("grand-bend", "lakeside", "tx")]
    queries += [{"person": each} for each in ("jo", "kim", "lou", "max")]
    for role in ROLES:
        for query in queries if HIDDEN_FROM[role] else ():
            text = shown(world.clients[role].get(url, query))
            # A search box says what was searched for.
            text = text.replace('value="of-"', "")
            seen = [mark for mark in HIDDEN_FROM[role] if mark in text]
            assert seen == [], f"{role} sees {seen} at {url} with {query}"


def completions() -> list[tuple[str, str]]:
    return [
        (label(model), field)
        for model, model_admin in admin.site._registry.items()
        for field in model_admin.autocomplete_fields
    ]


@pytest.mark.parametrize(("model", "field"), completions())
def test_completions_offer_nothing_that_is_hidden(world, model, field):
    app, name = model.split(".")
    for role in ROLES:
        answer = world.clients[role].get(
            reverse("admin:autocomplete"),
            {"app_label": app, "model_name": name, "field_name": field, "term": ""},
        )
        seen = [mark for mark in HIDDEN_FROM[role] if mark in shown(answer)]
        assert seen == [], f"{role} is offered {seen}"
        if role == SUPERUSER:
            assert answer.json()["results"]


@pytest.mark.parametrize("model", lists())
def test_things_are_not_reached_by_another_of_their_fields(world, model):
    """``?_to_field=`` finds an object by a field of one's choice."""
    target = world.targets[model]
    page = f"admin:{model.replace('.', '_')}_change"
    for to_field in ("id", "pk", "name", "partner", "code", "uid", "username"):
        value = str(getattr(target, to_field, "") or target.pk)
        url = reverse(page, args=[value.replace("/", "_2F")])
        for role in ROLES:
            answer = world.clients[role].get(url, {"_to_field": to_field})
            assert answer.status_code in (200, 302, 400, 403, 404)
            seen = [mark for mark in HIDDEN_FROM[role] if mark in shown(answer)]
            assert seen == [], f"{role} sees {seen} at {url} by {to_field}"


def test_a_file_of_one_job_is_not_reached_by_the_id_of_another(world):
    ours, theirs = world.targets["earthbeam.job"], world.others["earthbeam.job"]
    for role in ROLES:
        if role == SUPERUSER:
            continue
        for key in (
            f"output/../../{theirs.pk}/output/ods/of-tx.jsonl",
            f"input/../../../../../tx/of-tx-tenant/2526/{theirs.pk}/output/ods/of-tx.jsonl",
        ):
            url = reverse(FILES, args=[ours.pk, key])
            assert world.clients[role].get(url).status_code in (302, 404), role


def api_addresses() -> list[str]:
    return [route for _, route in addresses() if route.startswith("api/")]


@pytest.mark.parametrize("route", api_addresses())
def test_nobodys_session_opens_an_api(world, route):
    url = "/" + re.sub(r"<[^>]+>", str(world.targets["earthbeam.run"].pk), route)
    refusals = {401, 403, 404, 405, 503}
    before = snapshot()
    for role in ROLES:
        for method in ("get", "post", "put", "delete"):
            answer = getattr(world.clients[role], method)(url)
            public = {200} if method == "get" and route in PUBLIC_API else set()
            assert answer.status_code in (public or refusals), f"{role} {method} {url}"
            marks = {mark for each in HIDDEN_FROM.values() for mark in each}
            assert [mark for mark in marks if mark in shown(answer)] == []
    assert snapshot() == before
