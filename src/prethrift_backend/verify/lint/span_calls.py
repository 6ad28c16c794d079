"""Starts of spans in a source: under which name, of which scope, with which attributes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prethrift_backend.verify.lint.expressions import last_word
from prethrift_backend.verify.lint.log_calls import literal_keys
from prethrift_backend.verify.lint.source import Source, SourceModule

# OpenTelemetry's tracers, and this package's spans below a request; the name is the first or the second argument.
_STARTS: Final = {"start_span": 0, "start_as_current_span": 0, "start_child": 1, "ChildSpan": 1}
_ATTRIBUTES: Final = frozenset({"attributes", "span_attributes"})
_GIVE_TRACERS: Final = frozenset({"get_tracer", "tracer"})


@dataclass(frozen=True, slots=True)
class SpanStart:
    """One start of a span.

    ``form`` is the name with a ``{}`` for each part that is known only when it runs; None where nothing of it is
    known. ``parts`` are those parts. ``scope`` is None where it cannot be told.
    """

    module: SourceModule
    node: ast.Call
    form: str | None
    parts: tuple[ast.expr, ...] = ()
    scope: str | None = None


def span_starts(source: Source) -> Iterator[SpanStart]:
    """Yield every start of a span that can be seen."""
    for module in source.modules.values():
        for call in module.calls:
            at = _name_at(call)
            name = _argument(call, at, "name") if at is not None else None
            if name is not None:
                form, parts = _form(name, module, source)
                yield SpanStart(module, call, form, parts, _scope(call, module, source))


def _name_at(call: ast.Call) -> int | None:
    word = last_word(call.func)
    if word in _STARTS:
        return _STARTS[word]
    # super().__init__(scope, name) in a class whose base is one of ours.
    function = call.func
    is_super = isinstance(function, ast.Attribute) and function.attr == "__init__" and _is_super(function.value)
    return 1 if is_super and any(keyword.arg == "kind" for keyword in call.keywords) else None


def _is_super(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Call) and last_word(expression.func) == "super"


def _argument(call: ast.Call, at: int, name: str) -> ast.expr | None:
    if len(call.args) > at and not any(isinstance(one, ast.Starred) for one in call.args):
        return call.args[at]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _form(name: ast.expr, module: SourceModule, source: Source) -> tuple[str | None, tuple[ast.expr, ...]]:
    text = source.text_of(name, module)
    if text is not None:
        return text, ()
    if not isinstance(name, ast.JoinedStr):
        if isinstance(name, ast.BinOp):
            return None, (name.left, name.right)
        return None, tuple(name.args) if isinstance(name, ast.Call) else ()
    known = ""
    parts: list[ast.expr] = []
    for part in name.values:
        inner = part.value if isinstance(part, ast.FormattedValue) else part
        text = source.text_of(inner, module)
        known += "{}" if text is None else text
        parts += [inner] if text is None else []
    return known, tuple(parts)


def _scope(call: ast.Call, module: SourceModule, source: Source) -> str | None:
    """Return the scope: an argument of ours, or what the tracer was asked for by."""
    function = call.func
    if last_word(function) not in ("start_span", "start_as_current_span"):
        return source.text_of(call.args[0], module) if call.args else None
    tracer = function.value if isinstance(function, ast.Attribute) else function
    if not isinstance(tracer, ast.Call):
        word = last_word(tracer) or ""
        values = [value for value in module.assigned.get(word, ()) if isinstance(value, ast.Call)]
        if len(values) != 1:
            return None
        tracer = values[0]
    is_known = last_word(tracer.func) in _GIVE_TRACERS and bool(tracer.args)
    return source.text_of(tracer.args[0], module) if is_known else None


def attribute_names(source: Source) -> Iterator[tuple[SourceModule, ast.expr, str]]:
    """Yield every name of an attribute that is written out where it is given to a span, with the place of it."""
    for module in source.modules.values():
        for call in module.calls:
            if _sets(call.func) and len(call.args) == 2:
                name = source.text_of(call.args[0], module)
                if name is not None:
                    yield module, call.args[0], name
        for written in _dictionaries(module):
            yield from ((module, value, name) for name, value in literal_keys(written))


def _sets(function: ast.expr) -> bool:
    """Say whether a call sets an attribute of a span: anything else may be ``set`` as well."""
    if not isinstance(function, ast.Attribute):
        return False
    owner = last_word(function.value) or ""
    return function.attr == "set_attribute" or (function.attr == "set" and owner.endswith(("span", "operation")))


def _dictionaries(module: SourceModule) -> Iterator[ast.Dict]:
    """Yield what is given, or kept, as attributes."""
    for call in module.calls:
        for keyword in call.keywords:
            if keyword.arg == "attributes" and isinstance(keyword.value, ast.Dict):
                yield keyword.value
    for word, values in module.assigned.items():
        if word.strip("_") in _ATTRIBUTES:
            yield from (value for value in values if isinstance(value, ast.Dict))
