from django.apps import AppConfig


class RunwayConfig(AppConfig):
    name = "runway"
