"""Logfire with its own defaults, but for the receiver: nothing is sent to its makers, spans go to the common sink."""

from __future__ import annotations

import logfire
from tests.overhead.variants._otlp import span_processor
from tests.overhead.variants.bare import make_app
from tests.overhead.workload import Variant


def build(routes: int, sink: str, *, sampled: float) -> Variant:
    """Make the variant; scrubbing is on, as it is by default."""
    logfire.configure(
        send_to_logfire=False,
        service_name="overhead",
        console=False,
        additional_span_processors=[span_processor(sink)],
        sampling=logfire.SamplingOptions(head=sampled),
        inspect_arguments=False,
    )
    app = make_app(routes)
    logfire.instrument_fastapi(app)

    def drain() -> None:
        logfire.force_flush()

    return Variant(app, drain)
