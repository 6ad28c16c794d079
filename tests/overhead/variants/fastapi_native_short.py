"""FastAPI's own telemetry with one span a request: the spans of its own operations are off."""

from __future__ import annotations

from tests.overhead.variants import fastapi_native
from tests.overhead.workload import Variant


def build(routes: int, sink: str, *, sampled: float) -> Variant:
    """Make the variant."""
    return fastapi_native.build(routes, sink, sampled=sampled, operation_spans=False)
