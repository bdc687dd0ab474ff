from django.apps import AppConfig


class ExecutorConfig(AppConfig):
    name = "earthbeam.executor"
    label = "executor"
