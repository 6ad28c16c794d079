"""This package with everything on, and every trace sent to Sentry as well."""

from __future__ import annotations

from tests.overhead.variants import ours
from tests.overhead.workload import Variant


def build(routes: int, sink: str, *, sampled: float) -> Variant:
    """Make the variant."""
    return ours.build(routes, sink, sampled=sampled, sentry_traces=True)
