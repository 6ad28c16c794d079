"""Fields and attributes as rows of a table; what logs and spans say alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prethrift_backend.contracts import Count, NeverWord
from prethrift_backend.contracts.values import PromisedValue
from prethrift_backend.verify.reference.markdown import alternatives, code, paragraph, table, text


def values_table(name: str, values: Iterable[PromisedValue]) -> str:
    """Return a table of fields or attributes; ``name`` heads its first column."""
    rows = [(code(one.name), code(str(one.type)), requirement(one), text(one.note)) for one in values]
    return table((name, "type", "required", "meaning"), rows)


def requirement(value: PromisedValue) -> str:
    """Return when a value has to be there, in Markdown."""
    if value.required_if:
        return f"if {' and '.join(code(condition) for condition in value.required_if)}"
    return "yes" if value.required else "no"


def requirement_words(value: PromisedValue) -> str:
    """Return the same for plain text; empty where it is optional."""
    return f"required if {' and '.join(value.required_if)}" if value.required_if else "required" * value.required


def how_often(count: Count | None) -> str:
    """Return how often something happens, in Markdown."""
    if count is None:
        return "any number of times"
    per = f" for each {text(count.per)}" if count.per else ""
    return f"{'exactly' if count.is_exact else 'at most'} {count.most}{per}"


def never(keys: Sequence[NeverWord], values: Sequence[NeverWord]) -> Iterator[str]:
    """Yield what nothing ever holds."""
    if keys:
        yield paragraph(f"Never a key, at any depth, whatever its case: {alternatives(word.name for word in keys)}.")
    if values:
        yield paragraph(f"Never a value that looks like one of: {alternatives(word.name for word in values)}.")
