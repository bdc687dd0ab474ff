"""The run's folders and files: input files, delimited text, artifacts, and output sets."""
