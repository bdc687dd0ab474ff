"""Partners, their tenants, school years, ODS connections, and members."""

from django.conf import settings
from django.core.validators import (
    MaxValueValidator,
    MinValueValidator,
    RegexValidator,
    URLValidator,
)
from django.db import models
from django.db.models import F, Q

from partners.encryption import EncryptedTextField

_slug = RegexValidator(r"^[a-z0-9][a-z0-9_-]*$", "Use only lowercase letters, digits, -, and _.")
_code = RegexValidator(r"^[^/\\\x00-\x1f]+$", "Slashes and control characters are not allowed.")
_namespace = RegexValidator(
    r"^uri://[A-Za-z0-9][A-Za-z0-9.-]*(/[A-Za-z0-9._~-]+)*\Z",
    "A namespace such as uri://ed-fi.org: uri:// and a name, without # and without / at its end.",
)
_school_year_id = RegexValidator(r"^\d{4}$", "Four digits, such as 2526 for 2025-26.")
_DAYS = [MinValueValidator(1), MaxValueValidator(3650)]


class Partner(models.Model):
    """A state or collaborative that runs Runway for its districts."""

    class IdentityChecks(models.TextChoices):
        OFF = "off", "Off"
        REPORT = "report", "Report: load rows that disagree, and list them"
        HOLD = "hold", "Hold: leave rows that disagree unmatched"

    id = models.CharField("code", primary_key=True, max_length=50, validators=[_slug])
    name = models.CharField(max_length=200)
    cross_year_match_enabled = models.BooleanField(
        "cross-year matching",
        default=False,
        help_text="Match rows that are not in the ODS roster against EDU's roster of all years.",
    )
    identity_checks = models.CharField(
        max_length=10,
        choices=IdentityChecks,
        default=IdentityChecks.OFF,
        db_default=IdentityChecks.OFF,  # for the previous release, which does not know the column
        help_text="Compare each row's name and birth date with the student that its ID leads to, "
        "and suggest students for unmatched rows. Runs then read students' names and birth dates "
        "from the ODS and from EDU; they are kept in the job's files only.",
    )
    descriptor_namespace = models.CharField(
        max_length=255,
        blank=True,
        validators=[_namespace],
        help_text="Replaces the bundles' default, such as uri://ed-fi.org. Leave empty to use "
        "their default.",
    )
    edu_generation = models.PositiveIntegerField(
        "EDU connection generation",
        default=0,
        editable=False,
        help_text="Adding one makes every process replace its EDU connections.",
    )
    edu_connected_at = models.DateTimeField(
        "last connection to EDU", null=True, blank=True, editable=False
    )
    keep_edu_rosters_until = models.DateTimeField(
        "EDU rosters kept until",
        null=True,
        blank=True,
        editable=False,
        help_text="Until then, jobs keep the EDU roster with their files.",
    )
    # In addition to the admin's history, which is deleted with a person.
    cross_year_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    cross_year_changed_by = models.CharField(max_length=200, blank=True, editable=False)
    identity_checks_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    identity_checks_changed_by = models.CharField(
        max_length=200, blank=True, db_default="", editable=False
    )

    keep_confirmed_days = models.PositiveIntegerField(
        "days to keep confirmed students",
        default=400,
        db_default=400,  # for the previous release, which does not know the column
        validators=_DAYS,
        help_text="A student whom a person has chosen for an ID is remembered for so many days, "
        "and then forgotten.",
    )
    keep_input_days = models.PositiveIntegerField(
        "days to keep input files",
        default=90,
        db_default=90,  # for the previous release, which does not know the column
        validators=_DAYS,
        help_text="Input files, rosters, and rows that need attention are destroyed so many days "
        "after a job's last run. The job cannot be run again then.",
    )
    keep_output_days = models.PositiveIntegerField(
        "days to keep output sets",
        default=400,
        db_default=400,
        validators=_DAYS,
        help_text="Output sets are destroyed so many days after a job's last run. The job cannot "
        "be withdrawn then.",
    )
    keep_log_days = models.PositiveIntegerField(
        "days to keep run logs",
        default=90,
        db_default=90,
        validators=_DAYS,
        help_text="Logs of runs are destroyed so many days after a job's last run.",
    )
    users_may_withdraw = models.BooleanField(
        "users may withdraw jobs",
        default=False,
        db_default=False,  # for the previous release, which does not know the column
        help_text="Allow users, not only partner admins, to delete from the ODS what a job has "
        "loaded.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class EduProcess(models.Model):
    """A web process's latest report of its connections to a partner's EDU: edu_processes.py."""

    process = models.CharField(max_length=200, help_text="Host and process id.")
    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="edu_processes")
    generation = models.PositiveIntegerField()
    in_use = models.PositiveIntegerField()
    idle = models.PositiveIntegerField()
    connecting = models.PositiveIntegerField()
    waiting = models.PositiveIntegerField(help_text="Callers who wait for a connection.")
    made_at = models.DateTimeField(help_text="When its pool was made.")
    seen_at = models.DateTimeField(help_text="When it last reported.")

    class Meta:
        ordering = ["process", "generation"]
        indexes = [models.Index(fields=["seen_at"], name="edu_process_seen_at")]

    def __str__(self) -> str:
        return f"EDU connections of {self.partner_id} in {self.process}"

    @property
    def open(self) -> int:
        return self.in_use + self.idle


class Tenant(models.Model):
    """One district of a partner."""

    partner = models.ForeignKey(Partner, on_delete=models.PROTECT, related_name="tenants")
    code = models.CharField(max_length=100, validators=[_code])
    name = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["partner", "code"]
        constraints = [
            models.UniqueConstraint(fields=["partner", "code"], name="tenant_code_once_a_partner")
        ]

    def __str__(self) -> str:
        return f"{self.name or self.code} ({self.partner_id})"


class SchoolYear(models.Model):
    """A school year, such as 2526 for 2025-26. Ed-Fi names it by its end year, 2026."""

    id = models.CharField(primary_key=True, max_length=4, validators=[_school_year_id])
    start_year = models.PositiveSmallIntegerField()
    end_year = models.PositiveSmallIntegerField(unique=True)

    class Meta:
        ordering = ["-end_year"]
        constraints = [
            models.CheckConstraint(
                condition=Q(end_year=F("start_year") + 1), name="school_year_ends_a_year_later"
            )
        ]

    def __str__(self) -> str:
        return f"{self.start_year}-{self.end_year % 100:02d}"


class SchoolYearConfig(models.Model):
    """Whether a partner accepts jobs for a school year, and whether they go to an ODS."""

    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="school_years")
    school_year = models.ForeignKey(SchoolYear, on_delete=models.PROTECT)
    enabled = models.BooleanField(default=True)
    sends_to_ods = models.BooleanField("sends to the ODS", default=True)

    class Meta:
        verbose_name = "school year setting"
        ordering = ["partner", "-school_year"]
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "school_year"], name="school_year_config_once_a_partner"
            )
        ]

    def __str__(self) -> str:
        return f"{self.school_year_id} for {self.partner_id}"


class OdsConnection(models.Model):
    """How to reach a tenant's ODS for a school year. An edit retires one and creates a new one."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="ods_connections")
    school_year = models.ForeignKey(SchoolYear, on_delete=models.PROTECT)
    url = models.URLField(
        "ODS URL", max_length=500, validators=[URLValidator(schemes=["http", "https"])]
    )
    client_id = models.CharField(max_length=200)
    client_secret = EncryptedTextField()
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Result of the last test: ods/check.py.
    checked_at = models.DateTimeField("last tested", null=True, blank=True, editable=False)
    check_ok = models.BooleanField("works", null=True, blank=True, editable=False)
    check_message = models.TextField("what the test said", blank=True, editable=False)
    saved_anyway_reason = models.CharField(
        "saved although its test failed, because", max_length=300, blank=True, editable=False
    )

    class Meta:
        verbose_name = "ODS connection"
        ordering = ["tenant", "-school_year", "-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "school_year"],
                condition=Q(retired_at=None),
                name="one_active_ods_connection",
                violation_error_message=(
                    "This tenant already has an active ODS connection for that year. "
                    "Retire it first."
                ),
            )
        ]

    def __str__(self) -> str:
        # Lists need ``select_related`` for both, or each line would take two queries.
        return f"ODS of {self.tenant} for {self.school_year}"

    @property
    def is_active(self) -> bool:
        return self.retired_at is None


class Membership(models.Model):
    """What a person may see and do: some tenants' jobs, or all of a partner's jobs and settings."""

    class Role(models.TextChoices):
        USER = "user", "User: jobs of their tenants"
        PARTNER_ADMIN = "partner_admin", "Partner admin: settings and all jobs of the partner"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    partner = models.ForeignKey(Partner, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role, default=Role.USER)
    tenants = models.ManyToManyField(
        Tenant, blank=True, help_text="For users; partner admins see all tenants of the partner."
    )

    class Meta:
        ordering = ["partner", "user"]
        constraints = [
            models.UniqueConstraint(fields=["user", "partner"], name="membership_once_a_partner")
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.partner_id} ({self.get_role_display().split(':')[0]})"
