"""A query and where it stands, and what a check says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from prethrift_backend.verify.findings import Level, Place
from prethrift_backend.verify.promql.shapes import Known, Shapes
from prethrift_backend.verify.promql.tree import Node

Context: TypeAlias = Literal["alert", "record", "panel"]


@dataclass(frozen=True, slots=True)
class Query:
    """One expression: of an alert, a recording rule or a panel, and what stands beside it there.

    ``name`` is what findings are about: the alert, the recorded name, the panel. ``labels`` and ``annotations`` are the
    alert's own, templates included; ``for_seconds`` is how long it waits.
    """

    text: str
    context: Context = "panel"
    name: str = "query"
    place: Place | None = None
    for_seconds: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """What one check says of a query; the level is the rule's own where it is None."""

    rule: str
    message: str
    fix: str
    level: Level | None = None
    expected: str | None = None
    observed: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A query that could be read, and all that a check may ask about it."""

    query: Query
    tree: Node
    known: Known
    shapes: Shapes

    @property
    def is_alert(self) -> bool:
        """Whether the query decides that somebody is called."""
        return self.query.context == "alert"


Check: TypeAlias = Callable[[Subject], Iterator[Fault]]


def listed(words: object, *, limit: int = 8) -> str:
    """Return names for a sentence, sorted, the first few where there are many."""
    ordered = sorted(map(str, words)) if isinstance(words, (set, frozenset, list, tuple)) else [str(words)]
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return (", ".join(ordered[:limit]) or "none") + more
