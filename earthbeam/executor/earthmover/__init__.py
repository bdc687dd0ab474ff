"""earthmover: the warm process that runs it, faster operations, and the transform of each set."""
