"""Pages for each person's own choices."""
