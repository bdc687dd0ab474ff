"""ODS connections: allowed addresses, the check and its advice, the form, and the admin page."""
