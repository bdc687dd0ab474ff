"""A season of a large installation, inserted directly into PostgreSQL, for the admin's pages.

Its distribution is realistic: bursts of jobs over ten months, most complete, some with unmatched
rows, some with errors, most of which are resolved. A job has about three runs, a run sixteen
updates.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection
from psycopg import sql


@dataclass(frozen=True)
class Size:
    """The number of rows."""

    jobs: int = 100_000
    tenants: int = 1_000
    updates: int = 5_000_000

    @property
    def runs(self) -> int:
        return max(self.jobs, self.updates // UPDATES_A_RUN)


UPDATES_A_RUN = 16
PARTNERS = 20

# Bulk loading without foreign key checks, since the statements below keep them valid.
_FAST = (
    "set synchronous_commit = off",
    "set session_replication_role = replica",
    "set work_mem = '256MB'",
    "set maintenance_work_mem = '512MB'",
)

_STATEMENTS = (
    """insert into partners_partner (id, name, cross_year_match_enabled, descriptor_namespace,
           edu_generation, edu_connected_at, cross_year_changed_by)
       select 'p' || n, 'Collaborative ' || n, n % 2 = 0, '', 0,
           case when n % 4 = 0 then now() end, ''
       from generate_series(1, {partners}) n""",
    """insert into partners_tenant (partner_id, code, name)
       select 'p' || 1 + n % {partners}, 'district_' || n, 'District ' || n || ' ISD'
       from generate_series(1, {tenants}) n""",
    """insert into partners_schoolyear (id, start_year, end_year)
       select lpad((y % 100)::text, 2, '0') || lpad(((y + 1) % 100)::text, 2, '0'), y, y + 1
       from generate_series(2022, 2026) y""",
    """insert into partners_schoolyearconfig (partner_id, school_year_id, enabled, sends_to_ods)
       select p.id, y.id, y.start_year >= 2024, y.start_year >= 2025
       from partners_partner p, partners_schoolyear y""",
    # Every fiftieth active connection failed its last test.
    """insert into partners_odsconnection
           (tenant_id, school_year_id, url, client_id, client_secret, created_at, retired_at,
           checked_at, check_ok, check_message, saved_anyway_reason)
       select t.id, y.id, 'https://ods.example.org/' || t.code, 'client' || t.id, 'x',
           now() - age * interval '30 days', case when age > 1 then now() end,
           now() - age * interval '30 days', age > 1 or t.id % 50 > 1,
           case when age > 1 or t.id % 50 > 1 then 'It works.'
               else 'The ODS answered 401 Unauthorized. Check the key and the secret.' end, ''
       from partners_tenant t, partners_schoolyear y, generate_series(1, 2) age
       where y.start_year >= 2024 and (y.start_year = 2024 or t.id % 10 > 0)""",
    """insert into auth_user (username, email, password, first_name, last_name, is_staff, is_active,
           is_superuser, date_joined)
       select 'person' || n, 'person' || n || '@example.org', '!', 'Person', n::text, true, true,
           n = 1, now() from generate_series(1, {tenants}) n""",
    """insert into partners_membership (user_id, partner_id, role)
       select id, 'p' || 1 + id % {partners},
           case when id % 10 = 2 then 'partner_admin' else 'user' end
       from auth_user where not is_superuser""",
    """insert into partners_membership_tenants (membership_id, tenant_id)
       select m.id, t.id from partners_membership m
       join lateral (select id from partners_tenant where partner_id = m.partner_id
                     order by (id * 7919 + m.id * 104729) % 1009 limit 3) t on true
       where m.role = 'user'""",
    """insert into earthbeam_bundle (path, display_name, template, in_registry,
           student_id_columns)
       select 'assessments/Assessment_' || n, 'Assessment ' || n,
           jsonb_build_object('display_name', 'Assessment ' || n,
               'path', 'assessments/Assessment_' || n, 'valid_edfi', '>=3.0',
               'report_resources', jsonb_build_array('studentAssessments'),
               'input_files', jsonb_build_array(jsonb_build_object('display_name', 'Scores',
                   'env_var', 'INPUT_FILE', 'is_required', true,
                   'file_type', jsonb_build_array('csv'))),
               'input_params', jsonb_build_array(), 'note', repeat('word ', 100)), true,
           '[]'
       from generate_series(1, 60) n""",
    """insert into earthbeam_bundle_enabled_for (bundle_id, partner_id)
       select b.path, p.id from earthbeam_bundle b, partners_partner p""",
    """insert into earthbeam_descriptormapping (partner_id, bundle_id, descriptor_type,
           other_columns, edfi_descriptor, local_descriptor)
       select p.id, b.path, case n % 2 when 0 then 'gradeLevelDescriptors'
               else 'performanceLevelDescriptors' end,
           jsonb_build_object('grade', n), 'uri://ed-fi.org/GradeLevelDescriptor#' || n, n::text
       from partners_partner p, earthbeam_bundle b, generate_series(1, 20) n""",
    # Bursts: four fifths of the jobs in three of the ten months.
    """insert into earthbeam_job (id, tenant_id, school_year_id, bundle_id, bundle_template,
           bundle_branch, send_to_ods, input_params, files_base, created_at, created_by_id,
           api_client)
       select gen_random_uuid(), t.id, y.id, b.path, b.template, 'main', y.start_year >= 2025,
           '{{}}', 'file:///srv/runway', now() - case when n % 5 = 0 then 300 * random()
               else 20 + 90 * (n % 3) + 15 * random() end * interval '1 day',
           case when n % 4 > 0 then u.id end,
           case when n % 4 = 0 then 'loader-' || n % 12 else '' end
       from generate_series(1, {jobs}) n
       join (select *, row_number() over (order by id) - 1 as i from partners_tenant) t
           on t.i = (n * 7919) % {tenants}
       join (select *, row_number() over (order by path) - 1 as i from earthbeam_bundle) b
           on b.i = n % 60
       join (select *, row_number() over (order by id) - 1 as i from auth_user) u
           on u.i = (n * 31) % {tenants}
       join partners_schoolyear y on y.start_year = 2024 + n % 2""",
    """insert into earthbeam_jobfile (job_id, template_key, name, stored_name, size, sha256)
       select id, 'INPUT_FILE', name, 'INPUT_FILE__' || name, 100000, md5(id::text) || md5(name)
       from (select id, 'scores_' || substr(id::text, 1, 6) || '_'
                 || to_char(created_at, 'YYYYMMDD') || '.csv' as name from earthbeam_job) named""",
    """insert into earthbeam_run (id, job_id, status, timeout_seconds, created_at, started_at,
           ended_at, started_by_id, api_client, launch_reference, has_problems, has_errors,
           executor_size)
       select gen_random_uuid(), id,
           case when attempt < last then 'error' when kind < 0.001 then 'new'
               when kind < 0.002 then 'running' when kind < 0.1 then 'error' else 'success' end,
           3600,
           created_at + attempt * interval '1 hour',
           created_at + attempt * interval '1 hour 1 minute',
           case when kind >= 0.002 or attempt < last
               then created_at + attempt * interval '1 hour 5 minutes' end,
           created_by_id, api_client, '', attempt = last and kind >= 0.8,
           attempt = last and kind >= 0.97, ''
       from (select *, random() as kind, {runs_a_job} as last from earthbeam_job) job,
           generate_series(1, last) attempt""",
    """update earthbeam_job set last_run_id = last.id,
           resolved_at = case when random() < 0.8 and (last.status = 'error' or last.has_problems)
               then last.ended_at end
       from (select distinct on (job_id) id, job_id, status, has_problems, ended_at
             from earthbeam_run order by job_id, created_at desc) last
       where last.job_id = earthbeam_job.id""",
    """insert into earthbeam_runupdate (run_id, action, status, at)
       select run.id, (array['refresh_bundle_code', 'earthmover_deps', 'get_student_roster',
               'get_input_files', 'earthmover_run', 'lightbeam_send', 'upload_output', 'done']
           )[1 + step / 2], (array['begin', 'success'])[1 + step % 2],
           run.created_at + step * interval '20 seconds'
       from earthbeam_run run, generate_series(0, {updates_a_run} - 1) step""",
    """insert into earthbeam_runerror (run_id, code, payload, at)
       select id, (array['lightbeam_send', 'lightbeam_fetch', 'insufficient_matches',
               'earthmover_run', 'cross_year_roster_fetch', 'unknown'])[1 + (random() * 5)::int],
           jsonb_build_object('stacktrace', repeat('trace ', 50)), ended_at
       from earthbeam_run where status = 'error'""",
    """insert into earthbeam_runmatches (run_id, input_rows, ods_matched, cross_year_matched,
           unmatched, blank_ids, ambiguous_ids, id_name, id_type, match_rate)
       select id, 312, 251, 61 - unmatched, unmatched, 0, 0, 'student_id', 'Local', 0.9
       from (select id, case when has_problems then 17 else 0 end as unmatched
             from earthbeam_run where status = 'success') run""",
    """insert into earthbeam_unmatchedids (run_id, name, type, count)
       select id, 'student_id', 'Local', 17 from earthbeam_run where has_problems""",
    """insert into earthbeam_resourcesummary (run_id, resource, records_processed,
           records_skipped, records_failed)
       select id, resource, 251, 0, 0 from earthbeam_run, unnest(array['assessments',
           'objectiveAssessments', 'studentAssessments']) resource where status = 'success'""",
    """insert into earthbeam_outputset (uid, run_id, partner_id, path, sent_to_ods, files,
           created_at, published_at)
       select gen_random_uuid(), run.id, t.partner_id,
           t.partner_id || '/' || t.code || '/' || job.school_year_id || '/' || job.id
               || '/output/' || side, side = 'ods', '["studentAssessments.jsonl"]', run.ended_at,
           run.ended_at
       from earthbeam_run run join earthbeam_job job on job.id = job_id
       join partners_tenant t on t.id = job.tenant_id, unnest(array['ods', 'non-ods']) side
       where run.status = 'success'""",
    """insert into earthbeam_outputfile (run_id, path, size)
       select id, path, 1000 from earthbeam_run, unnest(array['ods/studentAssessments.jsonl',
           'non-ods/studentAssessments.jsonl', 'input_no_student_id_match.csv']) path
       where status = 'success'""",
    """insert into earthbeam_runlog (run_id, text)
       select id, repeat('a line of the log' || chr(10), 20) from earthbeam_run
       where status <> 'new'""",
    """insert into django_admin_log (action_time, object_id, object_repr, action_flag,
           change_message, content_type_id, user_id)
       select job.created_at, job.id, 'job', 2, 'Ran again.', c.id, job.created_by_id
       from earthbeam_job job, django_content_type c
       where c.app_label = 'earthbeam' and c.model = 'job' and created_by_id is not null""",
    """insert into earthbeam_jobnote (job_id, author_id, text, at)
       select id, created_by_id, 'Asked the district about ' || id, created_at
       from earthbeam_job where created_by_id is not null and random() < 0.1""",
    # Some jobs have another job's unmatched rows.
    """update earthbeam_job set parent_id = parent.id
       from (select distinct on (tenant_id) id, tenant_id from earthbeam_job
             order by tenant_id, created_at) parent
       where parent.tenant_id = earthbeam_job.tenant_id and parent.id <> earthbeam_job.id
           and random() < 0.03""",
    """insert into earthbeam_webhook (partner_id, url, enabled, secret, previous_secret, created_at)
       select id, 'https://hooks.example.org/' || id, true, 'x', '', now()
       from partners_partner where id <> 'p1'""",
    """insert into earthbeam_notice (id, run_id, webhook_id, body, created_at, tries, next_try_at,
           delivered_at, outcome)
       select gen_random_uuid(), run.id, hook.id, '{{}}', run.ended_at, 1, null, run.ended_at, '204'
       from earthbeam_run run join earthbeam_job job on job.id = job_id
       join partners_tenant t on t.id = job.tenant_id
       join earthbeam_webhook hook on hook.partner_id = t.partner_id
       where run.ended_at is not null""",
    """insert into auditlog_logentry (content_type_id, object_pk, object_repr, action, changes_text,
           changes, actor_id, timestamp, additional_data)
       select c.id, job.id::text, 'job', 3, '', '{{}}', job.created_by_id, job.created_at,
           '{{"event": "file downloaded", "file": "output/input_no_student_id_match.csv"}}'
       from earthbeam_job job, django_content_type c
       where c.app_label = 'earthbeam' and c.model = 'job' and created_by_id is not null""",
    """insert into procrastinate_jobs (queue_name, task_name, priority, args, status, attempts)
       select 'default', 'earthbeam.tasks.launch_run', 0, jsonb_build_object('run_id', id),
           (case status when 'new' then 'todo' else 'succeeded' end)::procrastinate_job_status, 1
       from earthbeam_run""",
)


def seed(size: Size) -> None:
    """Fill the migrated, empty database that Django is connected to."""
    last = size.runs // size.jobs
    rest = size.runs - last * size.jobs
    values = {
        "partners": PARTNERS,
        "tenants": size.tenants,
        "jobs": size.jobs,
        "updates_a_run": UPDATES_A_RUN,
        # The mean results in the requested number of updates.
        "runs_a_job": f"{last} + (random() < {rest / size.jobs})::int",
    }
    with connection.cursor() as cursor:
        for statement in _FAST:
            cursor.execute(statement)
        cursor.execute("select setseed(0.5)")  # the same season each time
        with _later_indexes("earthbeam_runupdate"):
            for statement in _STATEMENTS:
                cursor.execute(statement.format(**values))
        for statement in _FAST:
            cursor.execute(f"re{statement.partition(' =')[0]}")
        # The updates above left dead versions of each job, which a real season would not.
        cursor.execute("vacuum full earthbeam_job")
        cursor.execute("vacuum analyze")


@contextmanager
def _later_indexes(table: str) -> Iterator[None]:
    """Drop the table's indexes, except the primary key's, and restore them afterwards."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select conname, pg_get_constraintdef(oid) from pg_constraint "
            "where conrelid = %s::regclass and contype = 'u'",
            [table],
        )
        constraints = cursor.fetchall()
        cursor.execute(
            "select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index "
            "where indrelid = %s::regclass and not indisprimary and not exists "
            "(select from pg_constraint where conindid = indexrelid)",
            [table],
        )
        indexes = cursor.fetchall()
        name = sql.Identifier(table)
        for constraint, _ in constraints:
            cursor.execute(
                sql.SQL("alter table {} drop constraint {}").format(
                    name, sql.Identifier(constraint)
                )
            )
        for index, _ in indexes:
            cursor.execute(f"drop index {index}")
        yield
        for constraint, definition in constraints:
            cursor.execute(
                sql.SQL("alter table {} add constraint {} {}").format(
                    name, sql.Identifier(constraint), sql.SQL(definition)
                )
            )
        for _, definition in indexes:
            cursor.execute(definition)
