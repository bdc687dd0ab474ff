"""Bundle code: the mirror of the repository, a run's checkout, and descriptor mappings."""
