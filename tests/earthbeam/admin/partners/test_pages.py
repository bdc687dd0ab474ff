import re
from functools import partial

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from earthbeam import paths
from earthbeam.bundles.descriptor_mapping_csv import MappingTable
from earthbeam.bundles.descriptor_mappings import current, fingerprint, replace
from earthbeam.files import open_store
from earthbeam.jobs.year_settings import YearSetting, settings_of
from earthbeam.models import DescriptorMapping, Run
from partners.models import OdsConnection, Partner
from tests import factories, people
from tests.at_once import at_once

pytestmark = pytest.mark.django_db

KIND = "gradeLevelDescriptors"
FIRST = "uri://ed-fi.org/GradeLevelDescriptor#First grade"
CSV = f"grade,edfi_descriptor,local_descriptor\n1,{FIRST},local 1\n2,{FIRST},\n"
PAGES = ["years", "year_tenants", "bundles", "mappings", "mapping", "mapping_export"]


@pytest.fixture
def partner():
    return factories.make_partner(name="Example")


@pytest.fixture
def bundle(partner):
    return factories.make_bundle()


@pytest.fixture
def admin(partner):
    return people.logged_in(people.make_partner_admin(partner=partner))


def page(name, partner="ea"):
    return reverse(f"admin:partners_partner_{name}", args=(partner,))


def text(answer):
    return " ".join(answer.content.decode().split())


def log():
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


# --- Who may -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_for_admins_of_that_partner(name, bundle):
    factories.make_partner("tx")
    factories.make_year()
    query = {"year": "2526", "bundle": bundle.pk, "type": KIND}
    mine = people.logged_in(people.make_partner_admin())
    assert mine.get(page(name), query).status_code == 200
    assert mine.get(page(name, "tx"), query).status_code == 404
    assert mine.get(page(name, "nobody"), query).status_code == 404
    assert people.logged_in(people.make_superuser()).get(page(name, "tx"), query).status_code == 200
    assert people.logged_in(people.make_user()).get(page(name), query).status_code in (403, 404)


def test_posts_to_another_partner_change_nothing(bundle, admin):
    far = factories.make_partner("tx")
    factories.make_year()
    admin.post(page("bundles", "tx"), {"enabled": [bundle.pk]})
    admin.post(page("years", "tx"), years("tx", ("2526", "ods")) | {"confirmed": "yes"})
    admin.post(f"{page('mapping', 'tx')}?bundle={bundle.pk}&type={KIND}", {"text": CSV})
    assert not far.bundles.exists()
    assert settings_of(far) == {}
    assert not DescriptorMapping.objects.exists()


# --- The partner's page ------------------------------------------------------------------------


def test_the_partners_page_tells_what_belongs_to_it_in_few_queries(
    admin, bundle, django_assert_max_num_queries
):
    factories.make_config()
    for code in ("a", "b", "c"):
        factories.make_ods_connection(tenant=factories.make_tenant(code))
    OdsConnection.objects.filter(tenant__code="a").update(check_ok=False)
    with django_assert_max_num_queries(20):
        shown = text(admin.get(page("change")))
    assert "enabled: 2025-26" in shown
    assert "active; 1 failed the last test, 2 not tested" in shown
    for name in ("years", "bundles", "mappings"):
        assert page(name) in shown


@pytest.mark.parametrize("name", PAGES)
def test_pages_take_few_queries_however_much_there_is(
    name, admin, bundle, django_assert_max_num_queries
):
    for n in range(12):
        factories.make_ods_connection(tenant=factories.make_tenant(f"t{n}"))
        factories.make_tenant(f"unconnected{n}")
    for code in ("2324", "2425", "2526", "2627"):
        factories.make_config(year=factories.make_year(code))
    for n in range(12):
        other = {**factories.BUNDLE_TEMPLATE, "path": f"assessments/A{n}"}
        factories.make_bundle(other).enabled_for.add(factories.make_partner())
    table = MappingTable(("grade",), tuple((str(n), FIRST, "") for n in range(30)))
    replace(Partner.objects.get(), bundle, KIND, table, seen=fingerprint(MappingTable()))
    with django_assert_max_num_queries(20):
        answer = admin.get(page(name), {"year": "2526", "bundle": bundle.pk, "type": KIND})
    assert answer.status_code == 200


def test_its_links_to_lists_narrow_them_to_the_partner(partner):
    factories.make_ods_connection()
    far = factories.make_tenant("far_away", partner=factories.make_partner("tx"))
    factories.make_ods_connection(tenant=far)
    root = people.logged_in(people.make_superuser())
    shown = root.get(page("change")).content.decode()
    links = re.findall(r'href="(/admin/partners/(?:tenant|odsconnection)/\?[^"]+)"', shown)
    assert len(links) == 2
    for url in links:
        answer = root.get(url.replace("&amp;", "&"))
        assert answer.status_code == 200
        rows = list(answer.context["cl"].result_list)
        assert [getattr(row, "tenant", row).code for row in rows] == ["grand_bend"]


def test_a_descriptor_namespace_is_checked(admin):
    answer = admin.post(page("change"), {"name": "Example", "descriptor_namespace": "ed-fi.org"})
    assert "A namespace such as uri://ed-fi.org" in text(answer)
    admin.post(page("change"), {"name": "Example", "descriptor_namespace": "uri://ea.example"})
    assert Partner.objects.get().descriptor_namespace == "uri://ea.example"


# --- Assessments -------------------------------------------------------------------------------


def other_bundle(name="Other", **values):
    bundle = factories.make_bundle(
        factories.BUNDLE_TEMPLATE | {"path": f"assessments/{name}", "display_name": name}
    )
    type(bundle).objects.filter(pk=bundle.pk).update(**values)
    return bundle


def test_assessments_are_enabled_and_disabled(admin, partner, bundle):
    far = factories.make_partner("tx")
    bundle.enabled_for.add(far)
    other = other_bundle()
    partner.bundles.remove(other)
    admin.post(page("bundles"), {"was": [bundle.pk], "enabled": [other.pk]})
    assert list(partner.bundles.all()) == [other]
    assert far.bundles.filter(pk=bundle.pk).exists()
    assert log() == ["Enabled Other. Disabled Reading check."]


def test_what_somebody_else_enabled_meanwhile_stays(admin, partner, bundle):
    other = other_bundle()
    partner.bundles.set([bundle, other])  # as of now; the form was shown when none was
    admin.post(page("bundles"), {"was": [], "enabled": []})
    assert set(partner.bundles.all()) == {bundle, other}
    assert log() == []


def test_an_assessment_that_is_not_in_the_registry_can_only_be_disabled(admin, partner, bundle):
    gone = other_bundle("Gone", in_registry=False)
    assert "No longer offered" in text(admin.get(page("bundles")))
    admin.post(page("bundles"), {"was": [bundle.pk, gone.pk], "enabled": [bundle.pk]})
    assert list(partner.bundles.all()) == [bundle]
    assert gone.pk not in text(admin.get(page("bundles")))
    admin.post(page("bundles"), {"was": [bundle.pk], "enabled": [bundle.pk, gone.pk]})
    assert list(partner.bundles.all()) == [bundle]


@pytest.mark.parametrize("pk", ["assessments/Other\0", "assessments/None"])
def test_assessments_that_there_cannot_be_change_nothing(admin, partner, bundle, pk):
    admin.post(page("bundles"), {"was": [pk + "2"], "enabled": [pk]})
    assert list(partner.bundles.all()) == [bundle]
    assert log() == []


# --- School years ------------------------------------------------------------------------------


def years(partner, *enabled, shown=("2526",)):
    """What the form posts when it was loaded now, with only these years enabled."""
    seen = fingerprint_of(partner)
    fields = {"seen": seen, "year": list(shown)}
    for year, goes in enabled:
        fields |= {f"enabled-{year}": "on", f"to-{year}": goes}
    return fields


def fingerprint_of(partner):
    from earthbeam.jobs.year_settings import fingerprint

    return fingerprint(settings_of(Partner.objects.get(pk=partner)))


def test_a_change_of_years_is_shown_first_and_saved_when_confirmed(admin, partner):
    job = factories.make_job()
    run = factories.make_run(job, Run.Status.RUNNING)
    type(job).objects.update(last_run=run)
    fields = years("ea")
    shown = text(admin.post(page("years"), fields))
    assert "2025-26: enabled, to the ODS → not enabled" in shown
    assert "1 job is queued or running" in shown
    assert settings_of(partner)["2526"].enabled
    saved = admin.post(page("years"), fields | {"confirmed": "yes"}, follow=True)
    assert "Saved. 2025-26: enabled, to the ODS → not enabled." in text(saved)
    assert not settings_of(partner)["2526"].enabled
    assert log() == ["Changed school years. 2025-26: enabled, to the ODS → not enabled."]


def test_the_confirmation_posts_what_was_chosen(admin, partner):
    factories.make_year("2425")
    factories.make_year("2526")
    fields = years("ea", ("2526", "edu"), ("2425", "ods"), shown=("2425", "2526"))
    shown = admin.post(page("years"), fields).content.decode()
    form = dict(re.findall(r'name="((?:enabled|to|seen)[^"]*)" value="([^"]*)"', shown))
    form["year"] = re.findall(r'name="year" value="([^"]*)"', shown)
    edited = text(admin.post(page("years"), form | {"edit": "yes"}))
    assert 'name="enabled-2425" aria-label="2024-25: enabled" checked' in edited
    assert settings_of(partner) == {}
    admin.post(page("years"), form | {"confirmed": "yes"})
    assert settings_of(partner) == {
        "2425": YearSetting(True, True),
        "2526": YearSetting(True, False),
    }


def test_nothing_changed_asks_for_no_confirmation(admin, partner):
    factories.make_config()
    answer = admin.post(page("years"), years("ea", ("2526", "ods")), follow=True)
    assert "Nothing was changed." in text(answer)
    assert log() == []


def test_years_that_there_cannot_be_change_nothing(admin, partner):
    answer = admin.post(page("years"), years("ea", shown=("25\0",)), follow=True)
    assert "Nothing was changed." in text(answer)
    assert log() == []


def test_a_stale_change_of_years_is_refused_before_and_at_the_confirmation(admin, partner):
    factories.make_year()
    fields = years("ea", ("2526", "edu"))
    factories.make_config()  # somebody else
    for more in ({}, {"confirmed": "yes"}):
        answer = admin.post(page("years"), fields | more, follow=True)
        assert "Nothing was saved: someone else changed the school years" in text(answer)
    assert settings_of(partner) == {"2526": YearSetting(True, True)}


@pytest.mark.django_db(transaction=True)
def test_of_two_who_confirm_at_once_one_is_told_that_the_other_was_first(partner):
    factories.make_year()
    clients = [people.logged_in(people.make_partner_admin(name)) for name in ("a", "b")]
    wishes = [years("ea", ("2526", goes)) | {"confirmed": "yes"} for goes in ("ods", "edu")]
    answers = at_once(
        [
            partial(client.post, page("years"), fields, follow=True)
            for client, fields in zip(clients, wishes, strict=True)
        ]
    )
    told = [("Saved." in text(each), "someone else changed" in text(each)) for each in answers]
    assert sorted(told) == [(False, True), (True, False)]


def test_years_say_how_many_tenants_are_ready_and_who_is_not(
    admin, partner, django_assert_max_num_queries
):
    factories.make_config()
    factories.make_config(year=factories.make_year("2425"), sends_to_ods=False)
    factories.make_ods_connection()
    for code in "bcdefgh":
        factories.make_tenant(code)
    with django_assert_max_num_queries(20):
        shown = text(admin.get(page("years")))
    assert "1 of 8" in shown
    assert ">b</a>" in shown
    assert "and 2 more" in shown
    assert "Depends on roster files" in shown
    partner.cross_year_match_enabled = True
    partner.save()
    assert "Cross-year matching is on" in text(admin.get(page("years")))


def test_the_tenants_of_a_year_are_listed_with_what_they_lack(admin, partner):
    factories.make_config()
    factories.make_ods_connection()
    factories.make_tenant("second")
    shown = text(admin.get(page("year_tenants"), {"year": "2526"}))
    assert "grand_bend" in shown
    assert "Not tested" in shown
    assert "Missing" in shown
    missing = text(admin.get(page("year_tenants"), {"year": "2526", "missing": ""}))
    assert "second" in missing
    assert "grand_bend" not in missing
    assert admin.get(page("year_tenants"), {"year": "9999"}).status_code == 404


def test_roster_files_are_looked_for_on_demand(admin, partner):
    year = factories.make_config(sends_to_ods=False).school_year
    there, absent = factories.make_tenant("there"), factories.make_tenant("absent")
    put_roster(there, year)
    shown = text(admin.get(page("year_tenants"), {"year": "2526"}))
    assert shown.index("No roster file") < shown.index("Roster file found")
    for tenant, words in ((there, "Roster file found"), (absent, "No roster file")):
        url = reverse("admin:partners_tenant_change", args=(tenant.pk,))
        assert "Check for the roster" in text(admin.get(url))
        assert words not in text(admin.get(url))
        assert words in text(admin.get(url, {"roster": "2526"}))


def test_a_storage_that_does_not_answer_is_no_missing_roster(admin, partner, settings, tmp_path):
    factories.make_config(sends_to_ods=False)
    factories.make_tenant()
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    settings.FILES_BASE = f"file://{loop}"
    shown = text(admin.get(page("year_tenants"), {"year": "2526"}))
    assert "No roster file" in shown or "does not respond" in shown


def put_roster(tenant, year):
    import io

    from django.conf import settings

    open_store(settings.FILES_BASE).save(io.BytesIO(b"{}\n"), paths.roster_key(tenant, year))


def test_the_tenants_page_leads_to_its_connections(admin):
    factories.make_config()
    tenant = factories.make_tenant()
    url = reverse("admin:partners_tenant_change", args=(tenant.pk,))
    shown = text(admin.get(url))
    assert f"?tenant={tenant.pk}&amp;school_year=2526" in shown
    connection = factories.make_ods_connection()
    assert connection.url in text(admin.get(url))


# --- Descriptor mappings -----------------------------------------------------------------------


@pytest.fixture
def mapping(bundle):
    return f"{page('mapping')}?bundle={bundle.pk}&type={KIND}"


def confirmed(shown):
    (value,) = re.findall(r'name="confirmed" value="([^"]+)"', shown.content.decode())
    return value


def put(partner, bundle, *rows):
    table = MappingTable(("grade",), rows)
    replace(partner, bundle, KIND, table, seen=fingerprint(current(partner, bundle, KIND)))


def test_mappings_are_shown_before_they_are_replaced(admin, partner, bundle, mapping):
    put(partner, bundle, ("1", FIRST, "old"), ("3", FIRST, ""))
    file = SimpleUploadedFile("m.csv", CSV.encode("utf-8-sig"))
    shown = admin.post(mapping, {"file": file})
    counts = re.findall(r'rw-figure">(\d+)<', shown.content.decode())
    assert counts == ["1", "1", "1", "0"]
    assert current(partner, bundle, KIND).rows[0][-1] == "old"
    saved = admin.post(mapping, {"confirmed": confirmed(shown)}, follow=True)
    assert "1 added, 1 removed, 1 changed, 0 unchanged" in text(saved)
    assert current(partner, bundle, KIND).rows == (("1", FIRST, "local 1"), ("2", FIRST, ""))
    assert log() == [
        f"Mappings for Reading check, {KIND}: 1 added, 1 removed, 1 changed, 0 unchanged."
    ]


def test_the_download_is_what_the_upload_takes(admin, partner, bundle, mapping):
    put(partner, bundle, ("1", FIRST, "é, “x”"), ("2", FIRST, ""))
    query = {"bundle": bundle.pk, "type": KIND}
    answer = admin.get(page("mapping_export"), query)
    assert 'filename="ea_Reading_Check_gradeLevelDescriptors.csv"' in answer["Content-Disposition"]
    file = SimpleUploadedFile("m.csv", answer.content)
    assert "Nothing changed" in text(admin.post(mapping, {"file": file}, follow=True))


def test_there_is_no_download_of_what_can_have_no_mappings(admin, bundle):
    query = {"bundle": bundle.pk, "type": "a\r\nSet-Cookie: b=c"}
    assert admin.get(page("mapping_export"), query).status_code == 404


def test_a_file_with_mistakes_changes_nothing_and_lists_them(admin, partner, bundle, mapping):
    shown = text(admin.post(mapping, {"text": CSV + "3,,\n4,x\n"}))
    assert "Row 4: edfi_descriptor is empty." in shown
    assert "Row 5: it has 2 cells" in shown
    assert "3,,\n4,x" in admin.post(mapping, {"text": CSV + "3,,\n4,x\n"}).content.decode()
    assert not DescriptorMapping.objects.exists()


def test_mappings_of_what_is_not_enabled_or_not_known_are_refused(admin, partner, bundle, mapping):
    unknown = mapping.replace(KIND, "subjectDescriptors")
    assert "takes mappings of gradeLevelDescriptors only" in text(
        admin.post(unknown, {"text": CSV})
    )
    put(partner, bundle, ("1", FIRST, ""))
    partner.bundles.clear()
    assert "is not enabled for Example" in text(admin.post(mapping, {"text": CSV}))
    assert admin.get(mapping.replace("Reading_Check", "Nothing")).status_code == 404
    # What is there can still be seen and removed.
    assert "Not enabled" in text(admin.get(page("mappings")))
    shown = admin.post(mapping, {"remove": "yes"})
    admin.post(mapping, {"confirmed": confirmed(shown)})
    assert not DescriptorMapping.objects.exists()


def test_a_bundle_disabled_meanwhile_is_refused_at_the_confirmation(admin, partner, mapping):
    shown = admin.post(mapping, {"text": CSV})
    partner.bundles.clear()
    answer = admin.post(mapping, {"confirmed": confirmed(shown)}, follow=True)
    assert "Nothing was saved." in text(answer)
    assert not DescriptorMapping.objects.exists()


def test_a_stale_replacement_is_refused(admin, partner, bundle, mapping):
    shown = admin.post(mapping, {"text": CSV})
    put(partner, bundle, ("9", FIRST, ""))
    answer = admin.post(mapping, {"confirmed": confirmed(shown)}, follow=True)
    assert "someone else changed these mappings" in text(answer)
    assert current(partner, bundle, KIND).rows == (("9", FIRST, ""),)


def test_a_confirmation_is_good_for_its_own_set_only(admin, partner, bundle, mapping):
    other = other_bundle()
    signed = confirmed(admin.post(mapping, {"text": CSV}))
    elsewhere = mapping.replace(bundle.pk, other.pk)
    for url, value in ((elsewhere, signed), (mapping, signed[:-2] + "xx")):
        assert "Choose the file again" in text(admin.post(url, {"confirmed": value}, follow=True))
    assert not DescriptorMapping.objects.exists()


def test_other_columns_than_before_are_pointed_out(admin, partner, bundle, mapping):
    put(partner, bundle, ("1", FIRST, ""))
    shown = text(admin.post(mapping, {"text": CSV.replace("grade,", "level,")}))
    assert "The columns change, from grade to level" in shown


def test_every_set_of_the_partner_is_listed(admin, partner, bundle):
    free = factories.make_bundle(
        factories.BUNDLE_TEMPLATE
        | {"path": "assessments/Free", "display_name": "Free", "descriptor_mapping_files": []}
    )
    put(partner, bundle, ("1", FIRST, ""))
    shown = text(admin.get(page("mappings")))
    assert "1 of your own" in shown
    assert f'value="{free.pk}"' in shown
