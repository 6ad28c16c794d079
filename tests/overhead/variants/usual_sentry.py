"""The usual stack with Sentry's SDK beside it, its framework integrations on, as it comes."""

from __future__ import annotations

import sentry_sdk
from tests.overhead.variants import usual
from tests.overhead.workload import Variant


def build(routes: int, sink: str, *, sampled: float) -> Variant:
    """Make the variant; Sentry samples as many transactions as the others sample traces, and sends to the same sink."""
    dsn = f"{sink.replace('http://', 'http://key@')}/1"
    sentry_sdk.init(dsn=dsn, traces_sample_rate=sampled, environment="production")
    stack = usual.build(routes, sink, sampled=sampled)

    def drain() -> None:
        stack.drain()
        sentry_sdk.flush()

    return Variant(stack.app, drain)
