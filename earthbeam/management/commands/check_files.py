"""`manage.py check_files`: whether the database and the file storage belong together."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from earthbeam.files import fault
from earthbeam.jobs import file_check


class Command(BaseCommand):
    help = (
        "Compare the database's input files and output sets with the file storage, as after a "
        "restore. Changes nothing. Exit status: 0 if all files are there, 1 if some are missing."
    )

    def handle(self, **options: Any) -> None:
        try:
            lost = list(file_check.missing())
            more = list(file_check.left_over())
        except OSError as error:
            raise CommandError(
                f"The file storage cannot be read ({fault(error)}). Check FILES_BASE."
            ) from None
        for each in lost:
            self.stdout.write(f"job {each.job_id}: {each.what} {each.problem}")
        for folder, files in more:
            self.stdout.write(f"no job: {files} files in {folder}")
        if more:
            self.stdout.write(
                "Folders without a job are from after the database's backup, or of an upload in "
                "progress. Delete those that are older than a day."
            )
        if lost:
            self.stdout.write(
                f"{len(lost)} files are missing. Submit these jobs again, or restore the files."
            )
            sys.exit(1)
        self.stdout.write("Every file of the database is in the storage.")
