"""One table of all rules.

Each part of the checks writes its rules in a module of its own in this package, as data that imports `Rule` and
nothing else; here they are put together. So a check may look its rule up here, and no import goes round in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from prethrift_backend.verify._rule import Rule
from prethrift_backend.verify.rules import (
    alerts,
    arrival,
    coverage,
    diff,
    docs,
    exceptions,
    inject,
    lint,
    live,
    promql,
    records,
)

__all__ = ["RULES", "Rule", "make_table"]


def make_table(parts: Iterable[Iterable[Rule]]) -> Mapping[str, Rule]:
    """Return the rules of all parts by id, sorted.

    Raises ValueError where two have one id.
    """
    table: dict[str, Rule] = {}
    for rule in (rule for part in parts for rule in part):
        if rule.id in table:
            raise ValueError(f"rule {rule.id!r} is there twice: an id has one meaning; give one of them another id")
        table[rule.id] = rule
    return MappingProxyType(dict(sorted(table.items())))


RULES: Final = make_table(
    module.RULES
    for module in (
        alerts,
        arrival,
        coverage,
        diff,
        docs,
        exceptions,
        inject,
        lint,
        live,
        promql,
        records,
    )
)
