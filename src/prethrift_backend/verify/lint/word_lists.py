"""Enumerations of texts in a source, held against the closed lists of the contracts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from prethrift_backend.contracts import Contracts
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.across import closed_lists
from prethrift_backend.verify.lint.expressions import last_word
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.lint.source import Source

_ENUMS: Final = frozenset({"StrEnum", "Enum"})
# From here on a list is meant to be another one. Arbitrary: a list of two that shares one is another list.
_LIKENESS: Final = 0.5


def check_word_lists(contracts: Contracts, source: Source) -> Iterator[Finding]:
    """Say which enumeration is nearly a closed list of a contract, and exactly none.

    An enumeration that has all values of a list and more, for its own use, is nobody's promise.
    """
    lists = [(about, name, frozenset(values)) for about, name, values in closed_lists(contracts)]
    for module in source.modules.values():
        for definition in module.classes:
            words = _words(definition)
            alike = [one for one in lists if _is_alike(words, one[2])]
            if alike and not any(listed <= words for _, _, listed in alike):
                about, name, listed = max(alike, key=lambda one: len(words & one[2]))
                message = f"{definition.name} of {module.name} has other words than {name!r} of {about.name!r}"
                here = About("code", definition.name, Place(module.path, definition.lineno))
                expected, observed = "|".join(sorted(listed)), "|".join(sorted(words))
                yield here.fault("CD017", message, "make the two one", expected=expected, observed=observed)


def _is_alike(words: frozenset[str], listed: frozenset[str]) -> bool:
    return bool(words) and len(words & listed) / len(words | listed) > _LIKENESS - 1e-9 and len(words & listed) > 1


def _words(definition: ast.ClassDef) -> frozenset[str]:
    if not any(last_word(base) in _ENUMS for base in definition.bases):
        return frozenset()
    values = (node.value for node in definition.body if isinstance(node, ast.Assign))
    return frozenset(one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str))
