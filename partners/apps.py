from django.apps import AppConfig


class PartnersConfig(AppConfig):
    name = "partners"

    def ready(self) -> None:
        from django.contrib.auth.models import User

        from partners import audit, models

        audit.watch(
            models.Partner,
            fields=[
                *("id", "name", "cross_year_match_enabled", "identity_checks"),
                "descriptor_namespace",
            ],
        )
        audit.watch(models.Tenant)
        audit.watch(models.SchoolYear)
        audit.watch(models.SchoolYearConfig)
        # A connection's secret never changes, and comparing one that cannot be decrypted would
        # fail.
        audit.watch(models.OdsConnection, leave_out=["client_secret"])
        audit.watch(models.Membership, relations=["tenants"])
        audit.watch(
            User,
            fields=[
                *("username", "first_name", "last_name", "email", "password"),
                *("is_active", "is_staff", "is_superuser"),
            ],
            secrets=["password"],
            relations=["groups", "user_permissions"],
        )
