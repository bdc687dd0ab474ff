"""Child processes and threads: start, limit, watch, and end them with the run."""
