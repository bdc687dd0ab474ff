"""What the admin's lists share: filters, search, and read-only rows."""
