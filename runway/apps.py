from django.apps import AppConfig


class RunwayConfig(AppConfig):
    name = "runway"

    def ready(self) -> None:
        from runway import checks  # noqa: F401  (registers the system checks)
