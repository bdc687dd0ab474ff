"""The demo's third job: wrong cells are corrected and loaded again, and then all is taken back."""

from pathlib import Path
from uuid import UUID

from earthbeam.models import Run
from runway.demo.jobs import Person, received, watch
from runway.sandbox.input_files import NO_DATE, NO_LEVEL, write_interim_file_with_mistakes


def run(person: Person, ods_url: str, folder: Path) -> bool:
    """Submit, correct, and withdraw. True if the ODS's own counts are what they should be."""
    sample = write_interim_file_with_mistakes(folder)
    rows, held, refused = sample.expected.rows, sample.expected.unmatched, 1
    print(f"\nA few wrong cells: {sample.path.name}, {rows} rows")
    before = received(ods_url)
    job = person.submit(sample)
    load = _ended(job, quiet=False)
    good = load.status == Run.Status.SUCCESS
    if not good:
        return False
    counts = [
        ("rows in the file", load.matches.input_rows, rows),
        ("held: a date that is none", load.matches.untransformable or 0, held),
        ("refused by the ODS: an unknown level", load.matches.refused_rows or 0, refused),
        ("in the ODS before, by its own count", before, before),
        ("  after the load", received(ods_url), before + rows - held - refused),
    ]
    corrected = [
        person.correct(job, "unmatched", NO_DATE, "01/20/2026"),
        person.correct(job, "refused", NO_LEVEL, "High"),
    ]
    for each in corrected:
        _ended(each)
    counts.append(("  after all three are corrected", received(ods_url), before + rows))
    for each in (job, *corrected):
        person.withdraw(each)
        _ended(each)
    counts.append(("  after all of it is withdrawn", received(ods_url), before))
    print()
    for label, count, wanted in counts:
        verdict = "" if count == wanted else f"  expected {wanted}!"
        print(f"  {label:<40}{count:>5}{verdict}")
    return all(count == wanted for _, count, wanted in counts)


def _ended(job: UUID, *, quiet: bool = True) -> Run:
    """Wait until the job's last run has ended."""
    run = Run.objects.filter(job_id=job).latest("created_at")
    watch(run, quiet=quiet)
    return run
