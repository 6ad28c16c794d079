"""The files of ops/otel-collector, read: what a collector would have of them, and what its policies would keep."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from tests.support.rotel import ReceivedSpan

OPS = Path(__file__).parents[2] / "ops" / "otel-collector"
FILES = ("front.yaml", "sampling.yaml", "node.yaml")
_SCHEMA = Path(__file__).with_name("otel_collector.schema.json")
_VARIABLE = re.compile(r"\$\{env:([A-Z][A-Z0-9_]*)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class CollectorConfig:
    """One file, with what its anchors stand for."""

    name: str
    tree: dict[str, Any]

    @property
    def pipelines(self) -> dict[str, dict[str, list[str]]]:
        """The pipelines by name."""
        found: dict[str, dict[str, list[str]]] = self.tree["service"]["pipelines"]
        return found

    def known(self, place: str) -> set[str]:
        """Return the names that a pipeline may have at ``place``: connectors are receivers and exporters."""
        connectors = set(self.tree.get("connectors", {})) if place in {"receivers", "exporters"} else set()
        return set(self.tree[place]) | connectors

    def used(self, place: str) -> set[str]:
        """Return the names that pipelines have at ``place``."""
        return {name for pipeline in self.pipelines.values() for name in pipeline[place]}

    def policies(self) -> dict[str, dict[str, Any]]:
        """Return the settings of each policy of tail sampling, by its type."""
        return {
            policy["type"]: policy[policy["type"]] for policy in self.tree["processors"]["tail_sampling"]["policies"]
        }

    def port(self, protocol: str) -> str:
        """Return the port at which OTLP is received by ``grpc`` or ``http``."""
        endpoint: str = self.tree["receivers"]["otlp"]["protocols"][protocol]["endpoint"]
        return endpoint.rsplit(":", 1)[1]


def read_collector_config(name: str) -> CollectorConfig:
    """Read one of the files."""
    return CollectorConfig(name, yaml.safe_load((OPS / name).read_text()))


def schema_faults(tree: object) -> list[str]:
    """Return what the schema says against a configuration, as ``path: message``."""
    validator = Draft202012Validator(json.loads(_SCHEMA.read_text()))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(tree)]


def texts(tree: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text of a configuration with its path."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from texts(value, f"{path}.{key}")
    elif isinstance(tree, list):
        for value in tree:
            yield from texts(value, path)
    elif isinstance(tree, str):
        yield path, tree


def variables(tree: object) -> set[str]:
    """Return the names of the environment variables that a configuration reads."""
    return {match[1] for _, text in texts(tree) for match in _VARIABLE.finditer(text)}


def resolved(text: str, environ: Mapping[str, str]) -> str:
    """Put the environment's values in place of ``${env:NAME:-default}``, as a collector does."""
    return _VARIABLE.sub(lambda match: environ.get(match[1]) or match[2] or "", text)


def seconds_of(duration: str) -> float:
    """Return the seconds of a duration in Go's form, of one unit."""
    match = re.fullmatch(r"(\d+)(ms|s|m|h)", duration)
    assert match is not None, f"{duration!r} is not a duration of one unit"
    return int(match[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[match[2]]


def certainly_kept(policies: Mapping[str, Mapping[str, Any]], trace: list[ReceivedSpan]) -> bool:
    """Tell whether the policies that are not left to chance keep a trace, but for that of its duration."""
    attribute = policies["boolean_attribute"]
    wanted = {f"STATUS_CODE_{code}" for code in policies["status_code"]["status_codes"]}
    return any(
        _status(span) in wanted or span.attributes.get(attribute["key"]) == str(attribute["value"]).lower()
        for span in trace
    )


def _status(span: ReceivedSpan) -> str:
    code = span.fields.get("Status code", "")
    return code if code.startswith("STATUS_CODE_") else f"STATUS_CODE_{code.upper()}"
