"""One table of all rules.

Each part of the checks writes its rules in a ``_rules_*`` module of its own, as data that imports `Rule` and nothing
else; here they are put together. So a check may look its rule up here, and no import goes round in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from prethrift_backend.verify import (
    _rules_alerts,
    _rules_arrival,
    _rules_coverage,
    _rules_diff,
    _rules_docs,
    _rules_exceptions,
    _rules_inject,
    _rules_lint,
    _rules_live,
    _rules_promql,
    _rules_records,
)
from prethrift_backend.verify._rule import Rule

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
        _rules_alerts,
        _rules_arrival,
        _rules_coverage,
        _rules_diff,
        _rules_docs,
        _rules_exceptions,
        _rules_inject,
        _rules_lint,
        _rules_live,
        _rules_promql,
        _rules_records,
    )
)
