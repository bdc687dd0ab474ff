"""The ODS stand-in's Ed-Fi resources: their order, keys, required fields, and OpenAPI documents.

A small part of the Ed-Fi Data Standard, with its names: what assessment bundles send and what
lightbeam requests.
"""

from dataclasses import dataclass
from typing import Any

_DESCRIPTORS = (
    "academicSubject",
    "accommodation",
    "administrationEnvironment",
    "assessmentCategory",
    "assessmentItemResult",
    "assessmentPeriod",
    "assessmentReportingMethod",
    "gradeLevel",
    "language",
    "performanceLevel",
    "platformType",
    "reasonNotTested",
    "responseIndicator",
    "resultDatatypeType",
    "retestIndicator",
    "studentIdentificationSystem",
)

_ASSESSMENT = ("assessmentReference.assessmentIdentifier", "assessmentReference.namespace")
_STUDENT_ASSESSMENT = (
    "studentAssessmentReference.assessmentIdentifier",
    "studentAssessmentReference.namespace",
    "studentAssessmentReference.studentAssessmentIdentifier",
    "studentAssessmentReference.studentUniqueId",
)

MAX_LENGTHS = {
    "assessmentIdentifier": 60,
    "assessmentTitle": 255,
    "codeValue": 50,
    "identificationCode": 60,
    "namespace": 255,
    "shortDescription": 75,
    "studentAssessmentIdentifier": 60,
    "studentUniqueId": 32,
}
"""The longest text that Ed-Fi accepts for a field."""


@dataclass(frozen=True)
class Resource:
    """``identity`` is the natural key, as dotted paths into a record. All of it is required."""

    name: str
    order: int
    identity: tuple[str, ...]
    required: tuple[str, ...] = ()


RESOURCES: dict[str, Resource] = {
    resource.name: resource
    for resource in (
        *(
            Resource(f"{name}Descriptors", 1, ("namespace", "codeValue"), ("shortDescription",))
            for name in _DESCRIPTORS
        ),
        Resource("students", 2, ("studentUniqueId",), ("firstName", "lastSurname", "birthDate")),
        Resource(
            "studentEducationOrganizationAssociations",
            3,
            (
                "educationOrganizationReference.educationOrganizationId",
                "studentReference.studentUniqueId",
            ),
        ),
        Resource("learningStandards", 4, ("learningStandardId",), ("description", "namespace")),
        Resource(
            "assessments",
            5,
            ("assessmentIdentifier", "namespace"),
            ("assessmentTitle", "academicSubjects"),
        ),
        Resource("assessmentItems", 6, (*_ASSESSMENT, "identificationCode")),
        Resource("objectiveAssessments", 6, (*_ASSESSMENT, "identificationCode")),
        Resource(
            "studentAssessments",
            7,
            (*_ASSESSMENT, "studentAssessmentIdentifier", "studentReference.studentUniqueId"),
        ),
        Resource(
            "studentAssessmentEducationOrganizationAssociations",
            8,
            (
                "educationOrganizationAssociationTypeDescriptor",
                "educationOrganizationReference.educationOrganizationId",
                *_STUDENT_ASSESSMENT,
            ),
        ),
    )
}


def dependencies() -> list[dict[str, Any]]:
    """Return the resources in the order in which they can be loaded, like Ed-Fi's metadata."""
    return [
        {
            "resource": f"/ed-fi/{resource.name}",
            "order": resource.order,
            "operations": ["Create", "Update"],
        }
        for resource in RESOURCES.values()
    ]


def swagger(kind: str, base_url: str) -> dict[str, Any]:
    """Return the OpenAPI document of the "resources" or "descriptors", as clients use it."""
    chosen = [
        r for r in RESOURCES.values() if r.name.endswith("Descriptors") == (kind != "resources")
    ]
    paging = [
        {"name": name, "in": "query", "schema": {"type": type_}}
        for name, type_ in (("offset", "integer"), ("limit", "integer"), ("totalCount", "boolean"))
    ]
    schemas: dict[str, Any] = {}
    for resource in chosen:
        _describe(resource, schemas)
    return {
        "openapi": "3.0.1",
        "info": {"title": f"Ed-Fi {kind} (sandbox)", "version": "3"},
        "servers": [{"url": f"{base_url}/data/v3"}],
        "paths": {
            f"/ed-fi/{resource.name}": {"get": {"parameters": paging}, "post": {}}
            for resource in chosen
        },
        "components": {"schemas": schemas},
    }


def _describe(resource: Resource, schemas: dict[str, Any]) -> None:
    properties: dict[str, Any] = {}
    for path in (*resource.identity, *resource.required):
        name, _, inner = path.partition(".")
        if inner:
            key = f"edFi_{resource.name}_{name}"
            schema = schemas.setdefault(key, {"type": "object", "properties": {}, "required": []})
            schema["properties"][inner] = {"type": "string", "x-Ed-Fi-isIdentity": True}
            schema["required"].append(inner)
            properties[name] = {"$ref": f"#/components/schemas/{key}"}
        elif name == "academicSubjects":
            properties[name] = {"type": "array", "items": {"type": "object"}}
        else:
            identity = {"x-Ed-Fi-isIdentity": True} if path in resource.identity else {}
            properties[name] = {"type": "string"} | identity
    schemas[f"edFi_{resource.name.removesuffix('s')}"] = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }
