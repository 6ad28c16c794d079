"""``health.schema.json`` held against itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from prethrift_backend.contracts import Contracts
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.diff.health import HealthSchema, read_health_schema
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.findings import About

FILE_NAME: Final = "health.schema.json"
# What a format needs to be looked at, by the extra that this package asks for; None is the standard library.
_FORMATS: Final[Mapping[str, str | None]] = {
    "date": None,
    "email": None,
    "ipv4": None,
    "ipv6": None,
    "regex": None,
    "uuid": None,
    "date-time": "rfc3339_validator",
    "time": "rfc3339_validator",
    "duration": "isoduration",
    "hostname": "fqdn",
    "uri": "rfc3986_validator",
    "uri-reference": "rfc3986_validator",
    "json-pointer": "jsonpointer",
}


def check_health(contracts: Contracts) -> Iterator[Finding]:
    """Return what is wrong with the health schema.

    Raises ContractError where a format cannot be checked here, since the extra is not installed.
    """
    path = contracts.directory / FILE_NAME
    about = About("health", FILE_NAME, Place(str(path)))
    try:
        schema = read_health_schema(path.read_bytes().decode(), source=str(path))
    except ContractError as error:
        fix = "say it with the keywords that 'diff' understands, or correct it"
        yield about.fault("FH001", str(error).partition("\n")[0].removeprefix(f"{path}:"), fix)
        return
    yield from _check_top(schema, about)
    for name, node in _nodes(schema.document):
        yield from _check_node(name, node, schema, about)


def _check_top(schema: HealthSchema, about: About) -> Iterator[Finding]:
    top = schema.document
    if top.get("additionalProperties") is not False and top.get("unevaluatedProperties") is not False:
        yield about.fault("FH004", "the body may have properties that nobody named", "add additionalProperties false")
    if "status" not in top.get("required", ()):
        yield about.fault("FH004", "the body need not have a status", "add 'status' to required")


def _nodes(node: object, name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every object of the document with the name that it stands under."""
    if isinstance(node, dict):
        yield name, node
        for key, value in node.items():
            yield from _nodes(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _nodes(value, name)


def _check_node(name: str, node: Mapping[str, Any], schema: HealthSchema, about: About) -> Iterator[Finding]:
    here = about.at(schema.line_of(name) or 0)
    yield from _check_format(name, node, here)
    yield from _check_lists(name, node, here)
    properties = node.get("properties")
    if isinstance(properties, dict) and node.get("type", "object") == "object":
        yield from _check_required(name, node, properties, here)
        status = properties.get("status")
        if isinstance(status, dict) and "enum" not in (found := _resolved(status, schema)) and "const" not in found:
            yield about.at(schema.line_of("status") or 0).fault("FH003", "a status may be any value", "list its values")


def _resolved(node: Mapping[str, Any], schema: HealthSchema) -> Mapping[str, Any]:
    name = str(node.get("$ref", "")).rpartition("/")[2]
    found = schema.document.get("$defs", {}).get(name, node) if name else node
    return found if isinstance(found, dict) else node


def _check_format(name: str, node: Mapping[str, Any], about: About) -> Iterator[Finding]:
    kind = node.get("format")
    if not isinstance(kind, str):
        return
    if kind not in _FORMATS:
        yield about.fault("FH002", f"format {kind!r} of {name!r} is checked by nothing", "correct it, or use a pattern")
        return
    module = _FORMATS[kind]
    if module is not None and find_spec(module) is None:
        # No fault of the contract's: what holds bodies against it is not there.
        what = f"format {kind!r} of {name!r} needs the module {module!r}, which is not installed"
        raise ContractError(f"{FILE_NAME}: {what}: pip install 'prethrift-backend[contracts]'")


def _check_lists(name: str, node: Mapping[str, Any], about: About) -> Iterator[Finding]:
    for key in ("enum", "required"):
        values = node.get(key)
        if isinstance(values, list) and any(values.index(value) != at for at, value in enumerate(values)):
            yield about.fault("FH005", f"{key} of {name or 'the body'!r} has a value twice", "take one away")


def _check_required(
    name: str, node: Mapping[str, Any], properties: Mapping[str, Any], about: About
) -> Iterator[Finding]:
    if node.get("additionalProperties") is not False:
        return
    required = node.get("required", ())
    for missing in [key for key in required if key not in properties]:
        message = f"{missing!r} of {name or 'the body'!r} is required and not described"
        yield about.fault("FH005", message, "add it to properties, or take it off required")


def schema_path(contracts: Contracts) -> Path:
    """Return where the schema stands."""
    return contracts.directory / FILE_NAME
