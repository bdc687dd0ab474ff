"""The start page: what needs attention, connections in trouble, and matches by week."""
