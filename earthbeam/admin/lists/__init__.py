"""What the admin's lists share: filters, search, and rows that nobody edits."""
