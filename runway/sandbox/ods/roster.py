"""The ODS stand-in's roster and students, in the format of Ed-Fi's resources."""

import uuid
from collections.abc import Iterable
from typing import Any

from runway.sandbox.population import (
    SECOND_ED_ORG_ID,
    TENANT,
    TWO_ED_ORGS,
    WITHOUT_CODES,
    Student,
)

_SYSTEM = "uri://ed-fi.org/StudentIdentificationSystemDescriptor"


def roster(students: Iterable[Student], year: int) -> list[dict[str, Any]]:
    """Return the sample district's students of ``year`` as Ed-Fi associations.

    Some of them are odd, as in real districts: one has no studentIdentificationCodes, one occurs
    twice under different education organizations, and two share a State ID (population.py).
    """
    rows: list[dict[str, Any]] = []
    for student in students:
        if student.tenant != TENANT or year not in student.years:
            continue
        rows.append(_association(student, student.ed_org_id, "LocalEducationAgency"))
        if student.unique_id == TWO_ED_ORGS:
            rows.append(_association(student, SECOND_ED_ORG_ID, "School"))
    return rows


def names(students: Iterable[Student], year: int) -> list[dict[str, Any]]:
    """Return the sample district's students of ``year`` as Ed-Fi's students."""
    return [
        {
            "id": _id(student.unique_id),
            "studentUniqueId": student.unique_id,
            "birthDate": student.birth_date.isoformat(),
            "firstName": student.first_name,
            "lastSurname": student.last_name,
            "otherNames": [],
            "_etag": "5250000000000000000",
        }
        for student in students
        if student.tenant == TENANT and year in student.years
    ]


def _association(student: Student, ed_org_id: int, ed_org_type: str) -> dict[str, Any]:
    collection = "schools" if ed_org_type == "School" else "localEducationAgencies"
    record: dict[str, Any] = {
        "id": _id(f"{student.unique_id}/{ed_org_id}"),
        "educationOrganizationReference": {
            "educationOrganizationId": ed_org_id,
            "link": {"rel": ed_org_type, "href": f"/ed-fi/{collection}/{_id(str(ed_org_id))}"},
        },
        "studentReference": {
            "studentUniqueId": student.unique_id,
            "link": {"rel": "Student", "href": f"/ed-fi/students/{_id(student.unique_id)}"},
        },
        "addresses": [],
        "electronicMails": [],
        "languages": [],
        "studentCharacteristics": [],
    }
    if student.unique_id != WITHOUT_CODES:
        record["studentIdentificationCodes"] = [
            {
                "studentIdentificationSystemDescriptor": f"{_SYSTEM}#{system}",
                "assigningOrganizationIdentificationCode": system,
                "identificationCode": code,
            }
            for system, code in (("State", student.state_id), ("Local", student.local_id))
        ]
    return record | {"_etag": "5250000000000000000", "_lastModifiedDate": "2026-01-01T00:00:00Z"}


def _id(key: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"sandbox-ods/{key}").hex
