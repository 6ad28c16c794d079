"""The rules over alert rules, recording rules and dashboards (PQ, DB, A, D)."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

RULES: Final[tuple[Rule, ...]] = ()
