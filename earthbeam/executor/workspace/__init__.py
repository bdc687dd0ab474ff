"""The run's folders and files: input files, artifacts, and output sets."""
