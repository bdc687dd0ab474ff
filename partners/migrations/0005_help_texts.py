import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("partners", "0004_keep_edu_rosters"),
    ]

    operations = [
        migrations.AlterField(
            model_name="eduprocess",
            name="seen_at",
            field=models.DateTimeField(help_text="When it last reported."),
        ),
        migrations.AlterField(
            model_name="partner",
            name="cross_year_match_enabled",
            field=models.BooleanField(
                default=False,
                help_text="Match rows that are not in the ODS roster against EDU's roster of all years.",
                verbose_name="cross-year matching",
            ),
        ),
        migrations.AlterField(
            model_name="partner",
            name="descriptor_namespace",
            field=models.CharField(
                blank=True,
                help_text="Replaces the bundles' default, such as uri://ed-fi.org. Leave empty to use their default.",
                max_length=255,
                validators=[
                    django.core.validators.RegexValidator(
                        "^uri://[A-Za-z0-9][A-Za-z0-9.-]*(/[A-Za-z0-9._~-]+)*\\Z",
                        "A namespace such as uri://ed-fi.org: uri:// and a name, without # and without / at its end.",
                    )
                ],
            ),
        ),
        migrations.AlterField(
            model_name="partner",
            name="id",
            field=models.CharField(
                max_length=50,
                primary_key=True,
                serialize=False,
                validators=[
                    django.core.validators.RegexValidator(
                        "^[a-z0-9][a-z0-9_-]*$", "Use only lowercase letters, digits, -, and _."
                    )
                ],
                verbose_name="code",
            ),
        ),
        migrations.AlterField(
            model_name="partner",
            name="keep_edu_rosters_until",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="Until then, jobs keep the EDU roster with their files.",
                null=True,
                verbose_name="EDU rosters kept until",
            ),
        ),
        migrations.AlterConstraint(
            model_name="odsconnection",
            name="one_active_ods_connection",
            constraint=models.UniqueConstraint(
                condition=models.Q(("retired_at", None)),
                fields=("tenant", "school_year"),
                name="one_active_ods_connection",
                violation_error_message="This tenant already has an active ODS connection for that year. Retire it first.",
            ),
        ),
    ]
