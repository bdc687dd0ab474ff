"""Pages about runs and output sets, and the job page's data on one run."""
