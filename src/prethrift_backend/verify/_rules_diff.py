"""The rules over breaking changes (M, H, L, S, A, D, V001-V003)."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
