"""The span contract as frozen values: which spans there are, and what each has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

from prethrift_backend.contracts.values import Count, NeverWord, PromisedValue, Stability
from prethrift_backend.exceptions import ContractError

SpanKindName = Literal["internal", "server", "client", "producer", "consumer"]
SpanStatus = Literal["unset", "ok", "error"]

_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class SpanAttribute(PromisedValue):
    """One attribute of a span, of an event in it, or of the resource."""


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """An event within a span; ``count`` is None where it may happen any number of times."""

    name: str
    count: Count | None = None
    attributes: tuple[SpanAttribute, ...] = ()
    note: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SpanLink:
    """A link to another span, by the name that the contract gives it."""

    name: str
    count: Count | None = None
    note: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SpanLimits:
    """What one span has at most; ``max_text`` is in characters."""

    max_attributes: int | None = None
    max_events: int | None = None
    max_links: int | None = None
    max_text: int | None = None
    note: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SpanPromise:
    """One kind of span, by its ``key`` in the contract.

    ``scope`` is the instrumentation scope, perhaps with ``*``. ``names`` are the names that the span may have, where
    ``{attribute}`` stands for that attribute's value. ``parent`` is the key of the span it always stands in.
    ``is_open`` says that attributes and events may come which are not listed. ``status_note`` and ``open_note`` are the
    comments on those two.
    """

    key: str
    kind: SpanKindName
    scope: str
    names: tuple[str, ...] = ()
    stability: Stability = "development"
    count: Count | None = None
    parent: str | None = None
    attributes: tuple[SpanAttribute, ...] = ()
    statuses: tuple[SpanStatus, ...] = ("unset", "error")
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()
    is_open: bool = False
    note: str = field(default="", compare=False)
    status_note: str = field(default="", compare=False)
    open_note: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    @property
    def max_links(self) -> int | None:
        """How many links it has at most; None where one of them has no bound."""
        bounds = [link.count.most for link in self.links if link.count is not None]
        return sum(bounds) if len(bounds) == len(self.links) else None

    def attribute(self, name: str) -> SpanAttribute | None:
        """Return the attribute of this name, None where it is not listed."""
        return next((one for one in self.attributes if one.name == name), None)

    def covers(self, *, name: str, kind: str, scope: str, attributes: Mapping[str, object]) -> bool:
        """Say whether a span with this name, kind (lower case), scope and these attributes is of this kind."""
        return kind == self.kind and fnmatchcase(scope, self.scope) and self.allows_name(name, attributes)

    def allows_name(self, name: str, attributes: Mapping[str, object]) -> bool:
        """Say whether a span with these attributes may have this name."""
        return name in {_PLACEHOLDER.sub(lambda found: _filled(found, attributes), form) for form in self.names}


def _filled(found: re.Match[str], attributes: Mapping[str, object]) -> str:
    return str(attributes.get(found[1], found[0]))


def placeholders(name: str) -> tuple[str, ...]:
    """Return the attributes that a name is made of."""
    return tuple(_PLACEHOLDER.findall(name))


@dataclass(frozen=True, slots=True)
class SpansContract:
    """Everything that one span contract promises; ``resource`` is what every span says of its process."""

    version: str
    sha256: str
    source: str = field(compare=False)
    limits: SpanLimits = SpanLimits()
    resource: tuple[SpanAttribute, ...] = ()
    spans: tuple[SpanPromise, ...] = ()
    never_keys: tuple[NeverWord, ...] = ()
    never_values: tuple[NeverWord, ...] = ()
    _by_key: Mapping[str, SpanPromise] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_key", {span.key: span for span in reversed(self.spans)})

    def span(self, key: str) -> SpanPromise:
        """Return the span of this key.

        Raises ContractError where the contract has none.
        """
        if key in self._by_key:
            return self._by_key[key]
        rule = "a span is made only where the contract names it"
        raise ContractError(f"span {key!r} is not in {self.source}: {rule}; add a SPAN block for it there")
