"""Dates as pages come from the server; times.js rewrites those with a time as the browser would."""

DATE_FORMAT = "M j, Y"
TIME_FORMAT = "g:i A"
DATETIME_FORMAT = "M j, Y, g:i A T"
