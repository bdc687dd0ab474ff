from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("earthbeam", "0011_run_outcome"),
    ]

    operations = [
        migrations.AddField(
            model_name="runmatches",
            name="peak_memory_mb",
            field=models.PositiveIntegerField(
                help_text="The most memory that the executor and its programs needed, in MB.",
                null=True,
            ),
        ),
    ]
