"""The ODS stand-in's records: upserts by natural key, with Ed-Fi's refusals."""

import threading
import uuid
from collections.abc import Iterator
from typing import Any

from runway.sandbox.ods.resources import MAX_LENGTHS, RESOURCES, Resource

Record = dict[str, Any]

ROSTER = "studentEducationOrganizationAssociations"
STUDENTS = "students"


class Refused(Exception):
    """The ODS refuses a record: the HTTP status and body of the response."""

    def __init__(self, status: int, kind: str, title: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = problem(status, kind, title, detail) | more


def problem(status: int, kind: str, title: str, detail: str) -> Record:
    """Return an Ed-Fi 7 problem report. ``message`` is for clients of earlier versions."""
    return {
        "detail": detail,
        "type": f"urn:ed-fi:api:{kind}",
        "title": title,
        "status": status,
        "correlationId": uuid.uuid4().hex,
        "message": detail,
    }


def invalid(errors: dict[str, list[str]]) -> Refused:
    """Return the refusal of a record with wrong fields: JSON path to messages."""
    return Refused(
        400,
        "bad-request:data-validation-failed",
        "Data Validation Failed",
        "Data validation failed. See 'validationErrors' for details.",
        validationErrors=errors,
    )


class Store:
    """The ODS's data. Thread-safe."""

    def __init__(
        self, roster: list[Record], names: list[Record], descriptor_namespaces: tuple[str, ...]
    ) -> None:
        self._own = {ROSTER: roster, STUDENTS: names}
        self._descriptor_namespaces = descriptor_namespaces
        self._records: dict[str, dict[tuple[str, ...], Record]] = {name: {} for name in RESOURCES}
        self._keys_by_id: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in RESOURCES}
        self._students = {(record["studentReference"]["studentUniqueId"],) for record in roster}
        self._lock = threading.Lock()

    def page(self, resource: str, offset: int, limit: int) -> tuple[list[Record], int]:
        """Return a page of a resource's records, and how many there are in total."""
        with self._lock:
            records = self._own.get(resource)
            if records is None:
                records = list(self._records[resource].values())
        return records[offset : offset + limit], len(records)

    def received(self, resource: str) -> list[Record]:
        """Return the records that were sent here, each as last sent, in order of arrival."""
        with self._lock:
            return list(self._records[resource].values())

    def counts(self) -> dict[str, int]:
        """Return how many records of each resource were sent here, without those that have none."""
        with self._lock:
            return {name: len(records) for name, records in self._records.items() if records}

    def upsert(self, name: str, record: Any) -> bool:
        """Store a record. True if its key is new. Raises Refused."""
        resource = RESOURCES[name]
        if not isinstance(record, dict):
            raise invalid({"$": ["The request body must be a JSON object."]})
        if errors := _wrong_fields(resource, record):
            raise invalid(errors)
        key = tuple(str(_value(record, path)) for path in resource.identity)
        with self._lock:
            self._check_references(record)
            if errors := self._unknown_descriptors(record):
                raise invalid(errors)
            new = key not in self._records[name]
            self._records[name][key] = record
            self._keys_by_id[name][_id_of(key)] = key
        return new

    def find(self, name: str, values: dict[str, str]) -> list[Record] | None:
        """Return the record with this natural key, with its ``id``, or none.

        ``values`` are those of the key, by field. Returns None if they are not a whole key.
        """
        fields = [path.rpartition(".")[2] for path in RESOURCES[name].identity]
        if not set(fields) <= values.keys():
            return None
        key = tuple(values[field] for field in fields)
        with self._lock:
            record = self._records[name].get(key)
        return [] if record is None else [{"id": _id_of(key), **record}]

    def delete(self, name: str, record_id: str) -> bool:
        """Delete a record by its ``id``. False if there is none. Raises Refused if it is in use."""
        with self._lock:
            key = self._keys_by_id[name].get(record_id)
            if key is None:
                return False
            if name == "studentAssessments" and self._has_associations(key):
                raise Refused(
                    409,
                    "data-conflict:dependent-item-exists",
                    "Dependent Item Exists",
                    "The requested action cannot be performed because this item is referenced by "
                    "existing 'StudentAssessmentEducationOrganizationAssociation' item(s).",
                )
            del self._keys_by_id[name][record_id]
            del self._records[name][key]
        return True

    def _has_associations(self, key: tuple[str, ...]) -> bool:
        associations = self._records["studentAssessmentEducationOrganizationAssociations"]
        return any(each[-len(key) :] == key for each in associations)

    def _check_references(self, record: Record) -> None:
        for path, reference in _references(record):
            title, known = self._known(path.rpartition(".")[2], reference)
            if not known:
                raise Refused(
                    409,
                    "data-conflict:unresolved-reference",
                    "Unresolved Reference",
                    f"The referenced '{title}' item does not exist.",
                )

    def _known(self, name: str, reference: Record) -> tuple[str, bool]:
        def key(*fields: str) -> tuple[str, ...]:
            return tuple(str(reference.get(field)) for field in fields)

        assessment = ("assessmentIdentifier", "namespace")
        match name:
            case "studentReference":
                return "Student", key("studentUniqueId") in self._students
            case "assessmentReference":
                return "Assessment", key(*assessment) in self._records["assessments"]
            case "objectiveAssessmentReference":
                identity = key(*assessment, "identificationCode")
                return "ObjectiveAssessment", identity in self._records["objectiveAssessments"]
        return name, True

    def _unknown_descriptors(self, record: Record) -> dict[str, list[str]]:
        errors: dict[str, list[str]] = {}
        for path, value in _walk(record):
            field = path.rpartition(".")[2]
            if not field.endswith("Descriptor") or not isinstance(value, str):
                continue
            namespace, _, code = value.partition("#")
            if namespace.rpartition("/")[0] in self._descriptor_namespaces:
                continue  # built into the ODS
            if (namespace, code) not in self._records.get(f"{field}s", {}):
                title = field[0].upper() + field[1:]
                errors[path] = [f"{title} value '{value}' does not exist."]
        return errors


def _id_of(key: tuple[str, ...]) -> str:
    """Return the ``id`` of the record with this natural key."""
    return uuid.uuid5(uuid.NAMESPACE_OID, "\n".join(key)).hex


def _wrong_fields(resource: Resource, record: Record) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    for path in (*resource.identity, *resource.required):
        value = _value(record, path)
        name = path.rpartition(".")[2]
        title = name[0].upper() + name[1:]
        longest = MAX_LENGTHS.get(name)
        if value is None or value in ("", []):
            errors[f"$.{path}"] = [f"{title} is required."]
        elif longest and len(str(value)) > longest:
            errors[f"$.{path}"] = [f"{title} must be between 1 and {longest} characters in length."]
    return errors


def _value(record: Any, path: str) -> Any:
    for name in path.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return record


def _references(record: Record) -> Iterator[tuple[str, Record]]:
    for path, value in _walk(record):
        if path.endswith("Reference") and isinstance(value, dict):
            yield path, value


def _walk(value: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """Yield every value inside ``value`` with its JSON path."""
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inner = [(f"{path}.{name}", item) for name, item in value.items()]
    elif isinstance(value, list):
        inner = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    for place, item in inner:
        yield place, item
        yield from _walk(item, place)
