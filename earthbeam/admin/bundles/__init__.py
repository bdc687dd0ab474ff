"""Pages about bundles and the revisions of the bundle repository."""
