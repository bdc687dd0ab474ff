from django.apps import AppConfig


class EarthbeamConfig(AppConfig):
    name = "earthbeam"
