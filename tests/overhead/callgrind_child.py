"""So many requests of one arm, for callgrind to count: ``python -m tests.overhead.callgrind_child ARM REQUESTS``."""

from __future__ import annotations

import gc
import os
import sys

from tests.overhead.paired_child import answer, ask, observed

WARM_UP_REQUESTS = 100


def main(arm: str, requests: str) -> None:
    """Serve the requests; what comes before and after is the same whatever their number."""
    app = answer if arm == "bare" else observed()
    ask(app, WARM_UP_REQUESTS)
    gc.collect()
    gc.freeze()
    gc.disable()
    ask(app, int(requests))
    os._exit(0)  # nothing that was said is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
