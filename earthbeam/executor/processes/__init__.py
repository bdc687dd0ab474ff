"""Child processes and threads: started, limited, watched, and ended with the run."""
