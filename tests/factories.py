"""Small functions that create what a test needs, asking only for what matters to it.

Partners, tenants, years, bundles and connections are made once: asked for again, they are found.
"""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.utils import timezone

from earthbeam import paths
from earthbeam.files import open_store
from earthbeam.jobs import unmatched
from earthbeam.models import (
    Bundle,
    BundleRevision,
    Job,
    JobFile,
    OutputSet,
    ResourceSummary,
    Run,
    RunError,
    RunMatches,
    UnmatchedIds,
)
from partners.models import OdsConnection, Partner, SchoolYear, SchoolYearConfig, Tenant

BUNDLE_TEMPLATE: dict[str, Any] = {
    "display_name": "Reading check",
    "path": "assessments/Reading_Check",
    "valid_edfi": ">=3.0",
    "report_resources": ["studentAssessments"],
    "input_files": [
        {
            "display_name": "Scores",
            "env_var": "INPUT_FILE",
            "is_required": True,
            "file_type": ["csv"],
        },
        {
            "display_name": "Skills",
            "env_var": "INPUT_FILE_SKILLS",
            "is_required": False,
            "file_type": ["csv"],
        },
    ],
    "input_params": [
        {"display_name": "School year", "env_var": "API_YEAR", "is_required": True},
        {
            "display_name": "Form",
            "env_var": "FORM",
            "is_required": False,
            "allowed_values": ["A", "B"],
        },
    ],
    "descriptor_mapping_files": ["gradeLevelDescriptors.csv"],
}

SCORES = b"student_id,score\n604822,12\n"

UNMATCHED_INPUT = (
    'student_id,name,score\r\n604822,Ben,10\r\n9001,Ana Díaz,12\r\n,"O""Brien, Pat",013\r\n'
    "604823,Dev,11\r\n604003,Kim,=9\r\n"
)
UNMATCHED_ROWS = (
    'student_id,name,score\r\n9001,Ana Díaz,12\r\n,"O""Brien, Pat",013\r\n604003,Kim,=9\r\n'
)
"""Those of the rows above that match no student: an unknown id, none, and a shared one."""


def make_partner(code: str = "ea", **fields: Any) -> Partner:
    """The partner; ``fields`` given for one that exists are set on it."""
    partner, _ = Partner.objects.update_or_create(
        id=code, defaults=fields, create_defaults={"name": code.upper(), **fields}
    )
    return partner


def make_tenant(code: str = "grand_bend", *, partner: Partner | None = None) -> Tenant:
    return Tenant.objects.get_or_create(partner=partner or make_partner(), code=code)[0]


def make_year(code: str = "2526") -> SchoolYear:
    start = 2000 + int(code[:2])
    return SchoolYear.objects.get_or_create(
        id=code, defaults={"start_year": start, "end_year": start + 1}
    )[0]


def make_config(
    *,
    partner: Partner | None = None,
    year: SchoolYear | None = None,
    enabled: bool = True,
    sends_to_ods: bool = True,
) -> SchoolYearConfig:
    return SchoolYearConfig.objects.update_or_create(
        partner=partner or make_partner(),
        school_year=year or make_year(),
        defaults={"enabled": enabled, "sends_to_ods": sends_to_ods},
    )[0]


def make_ods_connection(
    *,
    tenant: Tenant | None = None,
    year: SchoolYear | None = None,
    url: str = "http://127.0.0.1:9/ods",
    client_id: str = "ods-client",
    client_secret: str = "ods-secret",
) -> OdsConnection:
    """The tenant's active connection for the year."""
    return OdsConnection.objects.get_or_create(
        tenant=tenant or make_tenant(),
        school_year=year or make_year(),
        retired_at=None,
        defaults={"url": url, "client_id": client_id, "client_secret": client_secret},
    )[0]


def make_bundle(template: Mapping[str, Any] = BUNDLE_TEMPLATE) -> Bundle:
    """The bundle that ``template`` describes, enabled for every partner there is."""
    bundle, _ = Bundle.objects.update_or_create(
        path=template["path"],
        defaults={"display_name": template["display_name"], "template": dict(template)},
    )
    bundle.enabled_for.add(*Partner.objects.all())
    return bundle


def make_bundle_revision(commit: str = "a" * 40, **fields: Any) -> BundleRevision:
    return BundleRevision.objects.create(
        branch="main", commit=commit, **{"entries": [], "synced_at": timezone.now(), **fields}
    )


def make_job(
    *,
    tenant: Tenant | None = None,
    year: SchoolYear | None = None,
    bundle: Bundle | None = None,
    send_to_ods: bool = True,
    input_params: Mapping[str, str] | None = None,
    files: Mapping[str, tuple[str, bytes]] | None = None,
    **fields: Any,
) -> Job:
    """A job with its files stored and all that it needs: setting, bundle and ODS connection.

    ``files`` maps a template key to name and content; one small INPUT_FILE unless given.
    """
    tenant, year = tenant or make_tenant(), year or make_year()
    make_config(partner=tenant.partner, year=year, sends_to_ods=send_to_ods)
    if send_to_ods:
        make_ods_connection(tenant=tenant, year=year)
    bundle = bundle or make_bundle()
    values = {
        "tenant": tenant,
        "school_year": year,
        "bundle": bundle,
        "bundle_template": bundle.template,
        "bundle_branch": "main",
        "send_to_ods": send_to_ods,
        "input_params": dict(input_params or {}),
        "files_base": settings.FILES_BASE,
    }
    job = Job.objects.create(**(values | fields))
    files = {"INPUT_FILE": ("scores.csv", SCORES)} if files is None else files
    for key, (name, content) in files.items():
        stored_name = paths.input_name(key, name)
        size = store_file(job, f"input/{stored_name}", content)
        JobFile.objects.create(
            job=job, template_key=key, name=name, stored_name=stored_name, size=size
        )
    return job


def make_run(job: Job | None = None, status: str = Run.Status.NEW, **fields: Any) -> Run:
    """A run with the times that fit its ``status``."""
    now = timezone.now()
    started = status in (Run.Status.RUNNING, Run.Status.SUCCESS, Run.Status.ERROR)
    times = {
        "started_at": now if started else None,
        "ended_at": now if status not in Run.UNFINISHED else None,
    }
    values = {"job": job or make_job(), "status": status, "timeout_seconds": 3600}
    run = Run.objects.create(**(values | times | fields))
    Job.objects.filter(pk=run.job_id).update(last_run=run)
    return run


def make_matches(
    run: Run, *, rows: int = 312, ods: int = 251, across_years: int = 44, **fields: Any
) -> RunMatches:
    """Where the input's rows went; what is left is unmatched, and a successful run's problem."""
    unmatched = rows - ods - across_years
    values = {
        "input_rows": rows,
        "ods_matched": ods,
        "cross_year_matched": across_years,
        "unmatched": unmatched,
        "blank_ids": 0,
        "ambiguous_ids": 0,
        "id_name": "student_id",
        "id_type": "Local",
        "match_rate": (rows - unmatched) / rows,
    }
    if unmatched:
        UnmatchedIds.objects.create(run=run, name="student_id", type="Local", count=unmatched)
        Run.objects.filter(pk=run.pk, status=Run.Status.SUCCESS).update(has_problems=True)
    return RunMatches.objects.create(run=run, **(values | fields))


def make_summary(
    run: Run, resource: str = "studentAssessments", *, processed: int = 251, failed: int = 0
) -> ResourceSummary:
    """What became of a resource's records; refused ones are a successful run's problem."""
    if failed:
        succeeded = Run.objects.filter(pk=run.pk, status=Run.Status.SUCCESS)
        succeeded.update(has_problems=True, has_errors=True)
    return ResourceSummary.objects.create(
        run=run,
        resource=resource,
        records_processed=processed,
        records_skipped=0,
        records_failed=failed,
    )


def make_error(run: Run, code: str = "lightbeam_fetch", **payload: Any) -> RunError:
    """Why a run failed."""
    return RunError.objects.create(run=run, code=code, payload=payload)


def make_unmatched_run(
    *, original: bytes | None = None, rows_left: bytes | None = None, **fields: Any
) -> Run:
    """A run that succeeded, but left rows unmatched: three of five unless ``rows_left`` is given.

    ``fields`` are the job's.
    """
    original = UNMATCHED_INPUT.encode() if original is None else original
    content = UNMATCHED_ROWS.encode() if rows_left is None else rows_left
    job = make_job(**{"files": {"INPUT_FILE": ("scores.csv", original)}, **fields})
    run = make_run(job, Run.Status.SUCCESS, has_problems=True)
    rows = 3 if rows_left is None else len(list(csv.reader(io.StringIO(content.decode())))) - 1
    RunMatches.objects.create(
        run=run,
        input_rows=rows + 2,
        ods_matched=2,
        cross_year_matched=0,
        unmatched=rows,
        blank_ids=min(rows, 1),
        ambiguous_ids=int(rows > 1),
        id_name="student_id",
        id_type="State",
        match_rate=0.5,
    )
    UnmatchedIds.objects.create(run=run, name="student_id", type="State", count=rows)
    name = "input_no_student_id_match.csv"
    run.output_files.create(path=name, size=store_file(job, f"output/{name}", content))
    return run


LOADED_INPUT = "student_id,name,score\r\n604010,Ana,12\r\n604011,Bo,13\r\n604012,Kim,14\r\n"


def result_of(student: str, identifier: str = "") -> bytes:
    """A line of an ODS set: a result of the student."""
    record = {
        "assessmentReference": {"assessmentIdentifier": "A", "namespace": "uri://x"},
        "studentAssessmentIdentifier": identifier or f"r-{student}",
        "studentReference": {"studentUniqueId": student},
    }
    return json.dumps(record).encode() + b"\n"


def make_loaded_run(
    *,
    students: Sequence[str] = ("604010", "604011", "604012"),
    refused: Sequence[int] = (),
    **fields: Any,
) -> Run:
    """A run that has sent a result of each student to the ODS, which refused some lines.

    ``fields`` are the job's.
    """
    files = {"INPUT_FILE": ("scores.csv", LOADED_INPUT.encode())}
    run = make_run(make_job(**{"files": files, **fields}), Run.Status.SUCCESS)
    make_matches(run, rows=len(students), ods=len(students), across_years=0).save()
    RunMatches.objects.filter(run=run).update(refused_rows=len(refused))
    make_summary(run, processed=len(students), failed=len(refused))
    content = b"".join(map(result_of, students))
    make_output_set(
        run,
        sent_to_ods=True,
        content=content,
        sha256={"studentAssessments.jsonl": hashlib.sha256(content).hexdigest()},
        records={"studentAssessments": len(students)},
    )
    message = "Score must be between 1 and 10 characters in length. (at $.score)"
    failure = {"status_code": 400, "message": message, "file": "x", "count": len(refused)}
    failures = [failure | {"line_numbers": list(refused)}] if refused else []
    counts = {
        "records_processed": len(students),
        "records_skipped": 0,
        "records_failed": len(refused),
        "successes": [{"status_code": 201, "count": len(students) - len(refused)}],
        "failures": failures,
    }
    results = {"resources": {"studentAssessments": counts}}
    lines = [
        {
            "resource": "studentAssessments",
            "line": n,
            "rows": [n],
            "status": 400,
            "message": message,
        }
        for n in refused
    ]
    for name, stored in {
        "lb-send-results.json": json.dumps(results),
        "refused_records.jsonl": "".join(json.dumps(line) + "\n" for line in lines),
    }.items():
        size = store_file(run.job, f"output/{name}", stored.encode())
        run.output_files.create(path=name, size=size)
    run.refresh_from_db()
    return run


def told_of(run: Run) -> unmatched.Unmatched:
    """What a run said that left rows unmatched."""
    told = unmatched.of_run(run)
    assert told is not None
    return told


def store_file(job: Job, key: str, content: bytes = b"{}\n") -> int:
    """Store a file below the job's base path, such as ``output/ods/a.jsonl``; returns its bytes."""
    return open_store(paths.app_data_base_path(job)).save(io.BytesIO(content), key)


def make_output_set(
    run: Run, *, sent_to_ods: bool = False, content: bytes = b'{"a": 1}\n', **fields: Any
) -> OutputSet:
    """A set of one file that ``run`` has stored; published if the run has succeeded."""
    folder = "output/ods" if sent_to_ods else "output/non-ods"
    store_file(run.job, f"{folder}/studentAssessments.jsonl", content)
    values = {
        "partner": run.job.tenant.partner,
        "path": f"{paths.base_path(run.job)}/{folder}",
        "sent_to_ods": sent_to_ods,
        "files": ["studentAssessments.jsonl"],
        "published_at": run.ended_at if run.status == Run.Status.SUCCESS else None,
    }
    return OutputSet.objects.create(run=run, **(values | fields))
