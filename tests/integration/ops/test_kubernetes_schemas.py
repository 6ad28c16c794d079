"""The manifests are what Kubernetes accepts: each overlay is built by kustomize and held against the schemas."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]  # published without type information
import pytest
from jsonschema import Draft202012Validator, ValidationError
from tests.support.manifests import KUBERNETES, Document, Manifests

# The oldest has every field that is used; the newest is what the schemas know of.
VERSIONS = ("1.29", "1.37")
POD_MONITOR = json.loads((Path(__file__).parents[2] / "support" / "pod_monitor.schema.json").read_text())


def _validate(document: Document, version: str) -> None:
    if document["kind"] == "PodMonitor":  # of the Prometheus operator, which Kubernetes knows nothing of
        Draft202012Validator(POD_MONITOR).validate(document)
    else:
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_each_document_is_of_its_schema(overlay: Manifests, version: str) -> None:
    """No field is unknown, missing or of another type, in the oldest and the newest version of Kubernetes."""
    for document in overlay.documents:
        _validate(document, version)


@pytest.mark.parametrize("kind", ["Deployment", "PodMonitor"])
def test_a_misspelt_field_is_found(overlay: Manifests, kind: str) -> None:
    """The schemas are strict: a field that nobody knows would be ignored by the cluster, and by nobody noticed."""
    document = copy.deepcopy(overlay.only(kind))
    document["spec"]["selectors"] = {}

    with pytest.raises(ValidationError, match="selectors"):
        _validate(document, VERSIONS[-1])


def test_the_overlays_have_what_there_should_be(overlay: Manifests) -> None:
    """One server, its migration, and what belongs to them, each once."""
    kinds = sorted((document["kind"], document["metadata"]["name"]) for document in overlay.documents)

    assert len(kinds) == len(set(kinds))
    assert {kind for kind, _ in kinds} == {
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Job",
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PodMonitor",
        "Service",
        "ServiceAccount",
    }


def test_everything_is_in_the_namespace_of_the_overlay(overlay: Manifests) -> None:
    """Nothing falls into the namespace that happens to be the current one."""
    namespace = overlay.only("Namespace")["metadata"]["name"]

    assert {document["metadata"]["namespace"] for document in overlay.documents if document["kind"] != "Namespace"} == {
        namespace
    }


def test_every_file_of_the_base_is_used() -> None:
    """A manifest that no kustomization names is applied by nobody."""
    text = (KUBERNETES / "base" / "kustomization.yaml").read_text()

    files = {path.name for path in (KUBERNETES / "base").glob("*.yaml")} - {"kustomization.yaml"}
    assert files == {line.strip("- ") for line in text.splitlines() if line.endswith(".yaml")}
