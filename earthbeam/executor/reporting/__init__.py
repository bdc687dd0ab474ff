"""What leaves the executor: reports to the app, progress, and the log, without student data."""
