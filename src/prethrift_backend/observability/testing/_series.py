"""The samples of a registry as a mapping, and the difference of two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

# What moves by itself, whatever a test does: figures of the process, and of its event loop.
_RESTLESS: Final = ("process_", "python_", "event_loop_lag_seconds")


def read_series(registry: CollectorRegistry) -> dict[str, float]:
    """Return the value of each series under its name and labels as the exposition writes them."""
    samples = (sample for metric in registry.collect() for sample in metric.samples)
    return {_text(sample): sample.value for sample in samples if not sample.name.startswith(_RESTLESS)}


def differences(before: Mapping[str, float], after: Mapping[str, float], *, buckets: bool) -> dict[str, float]:
    """Return by how much each series changed; those that did not are left out, and a new one changed from 0."""
    changes = {name: value - before.get(name, 0.0) for name, value in after.items()}
    return {name: change for name, change in changes.items() if change and (buckets or not _is_bucket(name))}


def _is_bucket(name: str) -> bool:
    return name.partition("{")[0].endswith("_bucket")


def _text(sample: Sample) -> str:
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
    return f"{sample.name}{{{labels}}}" if labels else sample.name


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
