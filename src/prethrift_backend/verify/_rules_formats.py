"""The rules over the contract files themselves, against the code and the docs (V005, V006 and the like)."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
