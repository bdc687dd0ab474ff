"""Lists and the dashboard ask the database as often for many rows as for few."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from earthbeam.models import DescriptorMapping, JobNote, OutputSet, Run, RunUpdate
from earthbeam.paths import base_path
from partners.models import Membership
from tests import factories, people

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

MAX_QUERIES = 20

PAGES = ["admin:index"] + [
    f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    for model in admin.site._registry
]


def make_rows(number: int) -> None:
    """Of everything that is listed, ``number`` more, each of a tenant, a bundle and a person."""
    for _ in range(number):
        n = OutputSet.objects.count()
        tenant = factories.make_tenant(f"district_{n}")
        bundle = factories.make_bundle(
            {**factories.BUNDLE_TEMPLATE, "path": f"assessments/A{n}", "display_name": f"A {n}"}
        )
        person = people.make_user(f"person_{n}", tenant=tenant)
        job = factories.make_job(
            tenant=tenant, bundle=bundle, created_by=person, api_client=f"client_{n}"
        )
        JobNote.objects.create(job=job, text=f"note {n}")
        factories.make_error(factories.make_run(job, Run.Status.ERROR), "lightbeam_send")
        done = factories.make_run(job, Run.Status.SUCCESS)
        factories.make_matches(done)
        RunUpdate.objects.create(run=done, action="done", status="success")
        busy = factories.make_job(tenant=tenant, bundle=bundle, created_by=person)
        factories.make_run(busy, Run.Status.RUNNING)
        failed = factories.make_job(tenant=tenant, bundle=bundle, created_by=person)
        factories.make_error(factories.make_run(failed, Run.Status.ERROR), "lightbeam_send")
        path = f"{base_path(job)}/output/ods"
        OutputSet.objects.create(
            run=done, partner=tenant.partner, path=path, sent_to_ods=True, files=["a.jsonl"]
        )
        DescriptorMapping.objects.create(
            partner=tenant.partner,
            bundle=bundle,
            descriptor_type="gradeLevelDescriptors",
            other_columns={},
            edfi_descriptor=f"uri://ed-fi.org/GradeLevelDescriptor#{n}",
        )


def a_superuser():
    return people.make_superuser()


def a_user():
    """Of all tenants that there are to be."""
    user = people.make_user(tenant=factories.make_tenant("district_0"))
    membership = Membership.objects.get(user=user)
    membership.tenants.set([factories.make_tenant(f"district_{n}") for n in range(20)])
    return user


@pytest.mark.parametrize("make_person", [a_superuser, people.make_partner_admin, a_user])
def test_pages_take_as_many_queries_for_many_rows_as_for_few(
    make_person, django_assert_max_num_queries
):
    person = make_person()
    client = people.logged_in(person)
    make_rows(2)
    few = {}
    for page in PAGES:
        with CaptureQueriesContext(connection) as queries:
            if client.get(reverse(page)).status_code == 200:
                few[page] = queries
    make_rows(13)
    assert len(few) >= 4
    for page in few:
        with django_assert_max_num_queries(min(MAX_QUERIES, len(few[page]) + 2)):
            client.get(reverse(page))


@pytest.mark.parametrize("search", ["district_1", "client note", "a 1 district_1 more words here"])
def test_a_search_takes_few_queries(search, django_assert_max_num_queries):
    client = people.logged_in(people.make_partner_admin())
    make_rows(15)
    for model in ("job", "run", "outputset"):
        with django_assert_max_num_queries(MAX_QUERIES):
            answer = client.get(reverse(f"admin:earthbeam_{model}_changelist"), {"q": search})
        assert answer.status_code == 200
