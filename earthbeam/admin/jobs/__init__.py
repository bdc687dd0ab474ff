"""Pages about jobs: the list, a new job, the job page, its actions, files, and unmatched rows."""
