"""What a partner admin would have set up before the first file."""

import io
import secrets

from django.contrib.auth.models import User
from django.core.management import call_command

from earthbeam.models import Bundle
from partners.models import OdsConnection, Partner, SchoolYear, SchoolYearConfig, Tenant
from runway.sandbox.ods.server import CLIENT_ID, CLIENT_SECRET
from runway.sandbox.population import CURRENT_YEAR, TENANT

PARTNER = "ea"
USERNAME = "demo"


def seed(ods_url: str) -> str:
    """Create the partner with its district, year, ODS, bundles, and an administrator.

    Returns the administrator's new password.
    """
    call_command("sync_bundles", stdout=io.StringIO())
    partner = Partner.objects.create(
        id=PARTNER, name="Example Education Agency", cross_year_match_enabled=True
    )
    tenant = Tenant.objects.create(partner=partner, code=TENANT, name="Grand Bend ISD")
    start = CURRENT_YEAR - 1
    year = SchoolYear.objects.create(
        id=f"{start % 100:02d}{CURRENT_YEAR % 100:02d}", start_year=start, end_year=CURRENT_YEAR
    )
    SchoolYearConfig.objects.create(partner=partner, school_year=year)
    OdsConnection.objects.create(
        tenant=tenant,
        school_year=year,
        url=ods_url,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
    )
    partner.bundles.set(Bundle.objects.all())
    password = secrets.token_urlsafe(12)
    User.objects.create_superuser(USERNAME, password=password)
    return password
