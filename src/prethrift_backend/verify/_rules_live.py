"""The rules over a running process (the stages of verify)."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
