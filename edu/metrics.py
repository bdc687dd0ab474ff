"""What EDU's rosters count, for Prometheus."""

from prometheus_client import Counter, Histogram

ROSTERS = Counter("runway_rosters", "Rosters that were requested from EDU.", ["outcome"])
ROSTER_ROWS = Counter("runway_roster_rows", "Students in the rosters that were streamed.")
ROSTER_BYTES = Counter("runway_roster_bytes", "Bytes of the rosters, before any compression.")
ROSTER_SECONDS = Histogram(
    "runway_roster_seconds",
    "Seconds from a roster's request to its last byte.",
    buckets=(0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600),
)
