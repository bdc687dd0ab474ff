"""`manage.py worker`: launch queued runs, and do the housekeeping."""

import asyncio
import logging
import signal
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector

from earthbeam.errors import LauncherMisconfigured
from earthbeam.launchers import sandbox
from earthbeam.notify import notices
from earthbeam.tasks import BUNDLES_QUEUE, HOUSEKEEPING_QUEUE, LAUNCH_QUEUE, RETENTION_QUEUE
from runway import metrics

logger = logging.getLogger(__name__)

DEFAULT_CONCURRENCY = 2
_OTHER_THREADS = 6


class Command(BaseCommand):
    help = "Launch queued runs, reap lost ones and tidy the queue, until told to stop."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--concurrency",
            type=int,
            default=DEFAULT_CONCURRENCY,
            help="How many launches run at once; with the local launcher each lasts as long as "
            "its run (default: %(default)s).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        assert isinstance(app.connector, DjangoConnector)
        if options["concurrency"] < 1:
            raise CommandError("--concurrency must be at least 1.")
        if settings.METRICS_PORT:
            metrics.serve(settings.METRICS_PORT)
        if settings.EXECUTOR_LAUNCHER == "local":
            with suppress(LauncherMisconfigured):  # `check` and every launch report it
                logger.info("%s", sandbox.describe())
        with app.replace_connector(app.connector.get_worker_connector()):
            asyncio.run(_serve(options["concurrency"]))


async def _serve(concurrency: int) -> None:
    """Serve the queues until SIGTERM or SIGINT, which also end launches in progress.

    Each launch blocks a thread, and asyncio's own thread pool is small (six on two cores), so the
    pool is sized for the concurrency.
    """
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(concurrency + _OTHER_THREADS))
    stop_asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_asked.set)
    async with app.open_async():
        waiting = asyncio.create_task(stop_asked.wait())
        workers = [
            asyncio.create_task(_work(LAUNCH_QUEUE, concurrency)),
            asyncio.create_task(_work(HOUSEKEEPING_QUEUE, concurrency=1)),
            asyncio.create_task(_work(notices.QUEUE, concurrency=1)),
            asyncio.create_task(_work(BUNDLES_QUEUE, concurrency=1)),
            asyncio.create_task(_work(RETENTION_QUEUE, concurrency=1)),
        ]
        await asyncio.wait([waiting, *workers], return_when=asyncio.FIRST_COMPLETED)
        for task in (waiting, *workers):
            task.cancel()
        results = await asyncio.gather(*workers, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    if not stop_asked.is_set():
        raise CommandError("The worker stopped by itself; the log above says why. Start it again.")


async def _work(queue: str, concurrency: int) -> None:
    await app.run_worker_async(
        queues=[queue],
        name=queue,
        concurrency=concurrency,
        install_signal_handlers=False,
        shutdown_graceful_timeout=0.1,
    )
