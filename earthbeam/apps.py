from django.apps import AppConfig


class EarthbeamConfig(AppConfig):
    name = "earthbeam"
    verbose_name = "Assessments"

    def ready(self) -> None:
        from earthbeam.models import Bundle, Webhook
        from partners import audit

        audit.watch(
            Bundle, fields=["path", "display_name", "in_registry"], relations=["enabled_for"]
        )
        audit.watch(Webhook, fields=["partner", "format", "url", "enabled"])
