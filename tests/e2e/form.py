"""Which form of the session is run: the short one of every change, or the nightly one with its long soak."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

SHORT: Final = "short"
NIGHTLY: Final = "nightly"
NAME: Final = "PRETHRIFT_E2E"


def is_nightly(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell which form the environment asks for; raises ValueError where it asks for neither."""
    chosen = environ.get(NAME, SHORT)
    if chosen not in {SHORT, NIGHTLY}:
        raise ValueError(f"{NAME}={chosen!r} is no form of the session: give {SHORT} or {NIGHTLY}")
    return chosen == NIGHTLY
