"""A client of the ODS stand-in, and records that it takes."""

from typing import Any

import requests

from runway.sandbox.ods import SandboxOds

ROSTER = "studentEducationOrganizationAssociations"
ASSESSMENT = {
    "assessmentIdentifier": "A-1",
    "namespace": "uri://sandbox.example/Test",
    "assessmentTitle": "A test",
    "academicSubjects": [
        {"academicSubjectDescriptor": "uri://ed-fi.org/AcademicSubjectDescriptor#Reading"}
    ],
}
RESULT: dict[str, Any] = {
    "studentAssessmentIdentifier": "R-1",
    "assessmentReference": {
        "assessmentIdentifier": "A-1",
        "namespace": "uri://sandbox.example/Test",
    },
    "studentReference": {"studentUniqueId": "604010"},
}


class Client(requests.Session):
    """A client of the ODS with a token."""

    def __init__(self, ods: SandboxOds) -> None:
        super().__init__()
        self.base = f"{ods.url}/data/v3/ed-fi"
        self.token_url = f"{ods.url}/oauth/token"
        self.credentials = (ods.client_id, ods.client_secret)
        self.renew()

    def renew(self) -> None:
        answer = requests.post(
            self.token_url,
            data={"grant_type": "client_credentials"},
            auth=self.credentials,
            timeout=10,
        )
        assert answer.status_code == 200
        self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def page(self, **query: Any) -> requests.Response:
        return self.get(f"{self.base}/{ROSTER}", params=query, timeout=10)

    def submit(self, resource: str, record: Any) -> requests.Response:
        return self.post(f"{self.base}/{resource}", json=record, timeout=10)
