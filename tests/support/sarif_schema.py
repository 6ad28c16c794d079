"""The part of SARIF 2.1.0 that our reports use, as a JSON Schema (draft 7, as the standard's own is).

Written from the text of the standard (OASIS, sarif-v2.1.0-errata01-os; the section stands beside each object), since
no Python package has the official schema. Every object is closed as in the official one, so a property that the
standard does not know, or that this part leaves out, fails.
"""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}
INDEX = {"type": "integer", "minimum": -1}
LEVEL = {"enum": ["none", "note", "warning", "error"]}


def _closed(properties: dict[str, Any], *, required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": {**properties, "properties": {"$ref": "#/definitions/propertyBag"}},
    }


def _many(name: str, *, unique: bool = False) -> dict[str, Any]:
    return {"type": "array", "uniqueItems": unique, "items": {"$ref": f"#/definitions/{name}"}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/{name}"}


SARIF_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    # 3.13 sarifLog
    **_closed(
        {"$schema": {"type": "string", "format": "uri"}, "version": {"enum": ["2.1.0"]}, "runs": _many("run")},
        required=("version", "runs"),
    ),
    "definitions": {
        # 3.8 property bags; tags are a set of strings
        "propertyBag": {
            "type": "object",
            "properties": {"tags": {"type": "array", "uniqueItems": True, "items": TEXT}},
        },
        # 3.14
        "run": _closed(
            {
                "tool": _closed({"driver": _ref("toolComponent")}, required=("driver",)),
                "automationDetails": _closed({"id": TEXT}),
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "invocations": _many("invocation"),
                "results": _many("result"),
            },
            required=("tool",),
        ),
        # 3.19
        "toolComponent": _closed(
            {"name": TEXT, "version": TEXT, "rules": _many("reportingDescriptor", unique=True)}, required=("name",)
        ),
        # 3.49
        "reportingDescriptor": _closed(
            {
                "id": TEXT,
                "shortDescription": _ref("multiformatMessageString"),
                "help": _ref("multiformatMessageString"),
                "defaultConfiguration": _closed({"level": LEVEL}),
            },
            required=("id",),
        ),
        # 3.12
        "multiformatMessageString": _closed({"text": TEXT, "markdown": TEXT}, required=("text",)),
        # 3.20; times are UTC to the second or finer, with a Z (3.9)
        "invocation": _closed(
            {
                "executionSuccessful": {"type": "boolean"},
                "exitCode": {"type": "integer"},
                "endTimeUtc": {
                    "type": "string",
                    "format": "date-time",
                    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$",
                },
                "toolExecutionNotifications": _many("notification"),
            },
            required=("executionSuccessful",),
        ),
        # 3.58
        "notification": _closed({"level": LEVEL, "message": _ref("message")}, required=("message",)),
        # 3.11
        "message": {**_closed({"text": TEXT, "markdown": TEXT, "id": TEXT}), "anyOf": [{"required": ["text"]}]},
        # 3.27
        "result": _closed(
            {
                "ruleId": TEXT,
                "ruleIndex": INDEX,
                "level": LEVEL,
                "message": _ref("message"),
                "locations": _many("location"),
                "relatedLocations": _many("location", unique=True),
                "partialFingerprints": {"type": "object", "additionalProperties": TEXT},
                "suppressions": _many("suppression", unique=True),
            },
            required=("message",),
        ),
        # 3.28
        "location": _closed(
            {"physicalLocation": _ref("physicalLocation"), "logicalLocations": _many("logicalLocation", unique=True)}
        ),
        # 3.29
        "physicalLocation": _closed(
            {
                "artifactLocation": _closed({"uri": {"type": "string", "format": "uri-reference"}}),
                "region": _closed(
                    {
                        "startLine": {"type": "integer", "minimum": 1},
                        "startColumn": {"type": "integer", "minimum": 1},
                    },
                    required=("startLine",),
                ),
            },
            required=("artifactLocation",),
        ),
        # 3.33
        "logicalLocation": _closed({"name": TEXT, "kind": TEXT}),
        # 3.35
        "suppression": _closed({"kind": {"enum": ["inSource", "external"]}, "justification": TEXT}, required=("kind",)),
    },
}
