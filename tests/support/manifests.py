"""The manifests of an overlay of ops/kubernetes, as kustomize builds them, and what a pod's environment becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tests.support.deploy_tools import run_program

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "ops" / "kubernetes"
OVERLAYS = tuple(sorted(path.name for path in (KUBERNETES / "overlays").iterdir()))

Document = dict[str, Any]

# A value for each secret: what an operator would put into the Secret, of the form that the settings ask for.
SECRETS = {
    "DATABASE_URL": "postgresql://prethrift:secret@postgres.example.com:5432/prethrift",
    "OTLP_API_KEY": "a-key-of-the-collector",
    "SENTRY_DSN": "https://key@sentry.example.com/1",
    "METRICS_TOKEN": "a-token-for-the-metrics",
    "HEALTH_TOKEN": "a-token-for-the-health",
}


@dataclass(frozen=True)
class Manifests:
    """All documents of one overlay."""

    documents: tuple[Document, ...]

    def all(self, kind: str) -> list[Document]:
        """Return the documents of a kind."""
        return [document for document in self.documents if document["kind"] == kind]

    def only(self, kind: str) -> Document:
        """Return the one document of a kind."""
        (document,) = self.all(kind)
        return document

    @property
    def pods(self) -> Iterator[Document]:
        """The templates of pods, the server's first."""
        for kind in ("Deployment", "Job"):
            yield self.only(kind)["spec"]["template"]

    @property
    def server(self) -> Document:
        """The container of the server."""
        return container_of(self.only("Deployment")["spec"]["template"])

    @property
    def configuration(self) -> dict[str, str]:
        """What the ConfigMap holds."""
        found: dict[str, str] = self.only("ConfigMap")["data"]
        return found


@cache
def build_overlay(name: str) -> Manifests:
    """Build an overlay with kustomize; once a run, since nothing changes it."""
    return Manifests(build_documents(KUBERNETES / "overlays" / name))


def build_documents(folder: Path) -> tuple[Document, ...]:
    """Build a folder with kustomize."""
    return tuple(yaml.safe_load_all(run_program("kustomize", ["build", str(folder)])))


def container_of(pod: Document) -> Document:
    """Return the one container of a pod: each runs one process."""
    (container,) = pod["spec"]["containers"]
    found: Document = container
    return found


def environment_of(pod: Document, manifests: Manifests) -> dict[str, str]:
    """Return the variables that Kubernetes would start the container with, with SECRETS in the Secret."""
    container = container_of(pod)
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        assert source["configMapRef"]["name"] == manifests.only("ConfigMap")["metadata"]["name"]
        found |= manifests.configuration
    return found | {variable["name"]: _value(variable, pod) for variable in container.get("env", ())}


def _value(variable: Document, pod: Document) -> str:
    if "value" in variable:
        return str(variable["value"])
    source = variable["valueFrom"]
    if "secretKeyRef" in source:
        return SECRETS[source["secretKeyRef"]["key"]]
    path: str = source["fieldRef"]["fieldPath"]
    if path.startswith("metadata.labels['"):
        return str(pod["metadata"]["labels"][path.removeprefix("metadata.labels['").removesuffix("']")])
    return {"metadata.name": "prethrift-backend-7d4b9c6f5-abcde", "metadata.namespace": "prethrift"}[path]
