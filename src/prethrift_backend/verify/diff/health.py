"""What changed between two health schemas: the form of the body, and what the descriptions say of its use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.diff.changes import Change
from prethrift_backend.verify.diff.consumers import Use
from prethrift_backend.verify.diff.schema import Difference, Node, compare, read_schema
from prethrift_backend.verify.health_words import described_paths, description

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_STATUS_CODE: Final = re.compile(r"[1-5]\d\d")
_MAJOR: Final = re.compile(r":(\d+)\Z")


@dataclass(frozen=True, slots=True)
class HealthSchema:
    """A health schema as text, as data and as a tree."""

    text: str
    document: Mapping[str, Any]
    root: Node

    @property
    def major(self) -> int | None:
        """The major version, the last part of ``$id``; None where there is none."""
        found = _MAJOR.search(str(self.document.get("$id", "")))
        return int(found[1]) if found else None

    def line_of(self, path: str) -> int | None:
        """Return the line on which the property of this path stands, as far as its name tells."""
        name = path.rpartition(".")[2].removesuffix("[]")
        found = re.search(f'^.*"{re.escape(name)}"\\s*:', self.text, re.MULTILINE) if name else None
        return self.text.count("\n", 0, found.end()) + 1 if found else None


def read_health_schema(text: str, *, source: str) -> HealthSchema:
    """Read a schema.

    Raises ContractError where it is no JSON object, is of another dialect or has a keyword that is not understood.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ContractError(
            f"{source}:{error.lineno}:{error.colno}: {error.msg}: a schema is JSON; correct it"
        ) from error
    except RecursionError as error:
        raise ContractError(f"{source}:1:1: too deep: a schema is flat enough to be read; correct it") from error
    if not isinstance(document, dict):
        raise ContractError(
            f"{source}:1:1: {type(document).__name__} at the top: a schema is a JSON object; correct it"
        )
    if document.get("$schema", _DIALECT) != _DIALECT:
        raise ContractError(f"{source}: $schema {document['$schema']!r}: the dialect is {_DIALECT}; write that")
    return HealthSchema(text, document, read_schema(document, source=source))


def diff_health(old: HealthSchema, new: HealthSchema) -> list[Change]:
    """Return every difference that a reader of health bodies can notice."""
    changes = [_change(difference, new) for difference in compare(old.root, new.root)]
    changes += [*_path_changes(old, new), *_status_changes(old, new)]
    if not changes and {**old.document, "$id": ""} != {**new.document, "$id": ""}:
        changes.append(Change("H010", "health", "descriptions", "the schema is explained in other words", line=1))
    return changes


def _change(difference: Difference, new: HealthSchema) -> Change:
    path = difference.path or "body"
    name = path.rpartition(".")[2].removesuffix("[]")
    return Change(
        difference.rule,
        "health",
        path,
        difference.message,
        expected=difference.expected,
        observed=difference.observed,
        line=new.line_of(path),
        use=Use((name,), ("health",)),
    )


def _path_changes(old: HealthSchema, new: HealthSchema) -> Iterator[Change]:
    before, after = (described_paths(schema.document) for schema in (old, new))
    for path in before:
        if path not in after:
            yield Change("H001", "health", path, f"{path} is no longer among the paths of the health body")


def _status_changes(old: HealthSchema, new: HealthSchema) -> Iterator[Change]:
    before, after = _mapping(old), _mapping(new)
    if before != after and before:
        message = "another status code comes with a status"
        line = new.line_of("status")
        yield Change("H002", "health", "status", message, expected=before, observed=after or "none", line=line)


def _mapping(schema: HealthSchema) -> str:
    """Return the statuses and the status codes in the order in which the description of ``status`` has them."""
    properties = schema.document.get("properties")
    status = properties.get("status") if isinstance(properties, dict) else None
    statuses = schema.root.properties.get("status", Node()).values or ()
    known = {str(json.loads(value)) for value in statuses}
    words = re.findall(r"\w+", description(status))
    said = [word for word in words if word in known or _STATUS_CODE.fullmatch(word)]
    return " ".join(said) if any(_STATUS_CODE.fullmatch(word) for word in said) else ""
