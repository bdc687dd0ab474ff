import pytest
from django.urls import reverse

from earthbeam.models import DescriptorMapping
from tests import factories, people

pytestmark = pytest.mark.django_db


@pytest.fixture
def bundle():
    factories.make_partner("ea")
    factories.make_partner("tx")
    return factories.make_bundle()


def page(model, what="changelist", *args):
    return reverse(f"admin:earthbeam_{model}_{what}", args=args)


def test_a_partner_admin_enables_a_bundle_for_the_own_partner_only(bundle):
    client = people.logged_in(people.make_partner_admin())
    url = page("bundle", "change", bundle.pk)
    assert b">TX<" not in client.get(url).content
    client.post(url, {"enabled_for": []})
    assert [partner.pk for partner in bundle.enabled_for.all()] == ["tx"]
    client.post(url, {"enabled_for": ["ea"]})
    assert {partner.pk for partner in bundle.enabled_for.all()} == {"ea", "tx"}
    bundle.enabled_for.clear()
    client.post(url, {"enabled_for": ["ea", "tx"]})
    assert not bundle.enabled_for.exists()


def test_bundles_come_from_the_registry_only(bundle):
    client = people.logged_in(people.make_superuser())
    assert client.get(page("bundle", "add")).status_code == 403
    client.post(page("bundle", "change", bundle.pk), {"display_name": "Renamed", "enabled_for": []})
    bundle.refresh_from_db()
    assert bundle.display_name == "Reading check"


def test_descriptor_mappings_are_searched_here_and_changed_as_a_whole_elsewhere(bundle):
    fields = {"bundle": bundle, "descriptor_type": "a", "other_columns": []}
    foreign, mine = (
        DescriptorMapping.objects.create(partner_id=code, edfi_descriptor=f"of {code}", **fields)
        for code in ("tx", "ea")
    )
    client = people.logged_in(people.make_partner_admin())
    listed = client.get(page("descriptormapping"), {"q": "of"}).content.decode()
    assert "of ea" in listed
    assert "of tx" not in listed
    assert client.get(page("descriptormapping", "add")).status_code == 403
    assert client.get(page("descriptormapping", "change", mine.pk)).status_code == 200
    assert client.post(page("descriptormapping", "change", mine.pk), {}).status_code == 403
    assert client.get(page("descriptormapping", "change", foreign.pk)).status_code == 302
    for mapping in (foreign, mine):
        client.post(page("descriptormapping", "delete", mapping.pk), {"post": "yes"})
    assert DescriptorMapping.objects.count() == 2


@pytest.mark.parametrize("model", ["bundle", "descriptormapping"])
def test_a_user_has_no_business_with_bundles(bundle, model):
    assert people.logged_in(people.make_user()).get(page(model)).status_code == 403
