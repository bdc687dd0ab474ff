"""EDU's side of the demo: its loader fetches what went to no ODS, through the external API."""

from pathlib import Path

from runway.sandbox.edu_loader import Api, EduLoader, open_edu
from runway.sandbox.oidc import SandboxOidc
from runway.sandbox.oidc_issuer import Machine

CLIENT_ID, CLIENT_SECRET = "edu-loader", "demo-only"
RECORDS = "studentAssessments"


def issuer(partner: str) -> SandboxOidc:
    """Return the issuer of the loader's tokens, for ``partner`` only, as a context manager."""
    scopes = ("read:jobs", "read:jobs:output-files", f"partner:{partner}")
    return SandboxOidc(machines={CLIENT_ID: Machine(CLIENT_SECRET, scopes)})


class Sideloading:
    """The loader for ``partner``, and EDU's own count of what has arrived."""

    def __init__(
        self, app_url: str, issuer_url: str, partner: str, edu: dict[str, str], folder: Path
    ) -> None:
        api = Api(f"{app_url}/api/v1", issuer_url, CLIENT_ID, CLIENT_SECRET, audience=app_url)
        self._edu = edu
        self._loader = EduLoader(api, partner, lambda: open_edu(edu), folder / "edu-loader.lock")

    def poll(self) -> None:
        """Load what is new."""
        self._loader.poll()

    def arrived(self) -> int:
        """Return how many student records have arrived in EDU."""
        connection = open_edu(self._edu)
        try:
            cursor = connection.cursor()
            cursor.execute("select count(*) from runway_records where resource = ?", (RECORDS,))
            return int(cursor.fetchone()[0])
        finally:
            connection.close()
