"""Pages about runs and output sets, and what the job page shows of one run."""
