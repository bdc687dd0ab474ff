from django.apps import AppConfig


class EduConfig(AppConfig):
    """EDU: credentials, pooled connections, and the roster stream; no models, no views."""

    name = "edu"
    verbose_name = "EDU"

    def ready(self) -> None:
        from edu import checks  # noqa: F401  (registers the system checks)
