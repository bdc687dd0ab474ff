from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("earthbeam", "0004_list_indexes")]

    operations = [
        migrations.AddField(
            model_name="bundle",
            name="student_id_columns",
            field=models.JSONField(
                default=list,
                help_text="Of the input, any of which may hold student ids; none: not known.",
            ),
        ),
    ]
