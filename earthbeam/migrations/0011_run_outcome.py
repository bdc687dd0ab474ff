from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("earthbeam", "0010_missing_id_columns"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="edu_unavailable",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Why EDU could not be used although cross-year matching was on: a code of edu/errors.py.",
                max_length=100,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="has_errors",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="It succeeded, but the ODS refused records.",
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="waiting_for_edu_since",
            field=models.DateTimeField(
                help_text="The run needs EDU's roster, and is not launched until EDU is there.",
                null=True,
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("edu_unavailable", ""), _negated=True),
                fields=["-created_at"],
                name="run_without_edu",
            ),
        ),
        migrations.RunSQL(
            """
            update earthbeam_run set has_errors = true where status = 'success' and has_problems
                and exists (select from earthbeam_resourcesummary of
                            where of.run_id = earthbeam_run.id and records_failed > 0)
            """,
            migrations.RunSQL.noop,
        ),
    ]
