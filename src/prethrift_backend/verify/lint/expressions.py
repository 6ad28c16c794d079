"""Expressions of a source whose values have no end: what a visitor sent, an id, a count."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from prethrift_backend.verify.lint.source import Function, SourceModule

# request.url.path, scope["path"], connection.headers: as it came.
_RAW_ATTRIBUTES: Final = frozenset(
    {"url", "raw_path", "query_params", "path_params", "query_string", "headers", "cookies", "client"}
    | {"base_url", "email"}
)
_RAW_KEYS: Final = frozenset({"path", "raw_path", "query_string", "headers", "client"})
_RAW_NAMES: Final = frozenset({"url", "raw_path", "full_path", "email", "user_agent", "ip", "uuid"})
# A new value each time, or a number without an end.
_RAW_CALLS: Final = frozenset(
    {"uuid4", "uuid1", "uuid7", "token_hex", "token_urlsafe", "random", "randint"}
    | {"len", "hash", "id", "time", "time_ns", "monotonic", "perf_counter"}
)
# What gives back what it got, but for its form.
_PASS_ON: Final = frozenset(
    {"str", "repr", "lower", "upper", "strip", "rstrip", "lstrip", "decode", "removeprefix", "removesuffix"}
    | {"format", "join", "get"}
)
_ID_ENDINGS: Final = ("_id", "_uuid", "_email", "_url")
_STATUS_NAMES: Final = frozenset({"status", "status_code", "code"})


def is_raw(expression: ast.expr, module: SourceModule, line: int | None = None) -> bool:
    """Say whether a value is what a visitor sent, an id or a count; not what a function makes of it.

    A name counts by what it was assigned in the function around ``line``.
    """
    if isinstance(expression, ast.Name):
        if expression.id in _RAW_NAMES or expression.id.endswith(_ID_ENDINGS):
            return True
        return line is not None and any(is_raw(value, module) for value in _assigned(expression.id, module, line))
    if isinstance(expression, ast.Attribute | ast.Subscript):
        return _is_raw_attribute(expression) if isinstance(expression, ast.Attribute) else _is_raw_key(expression)
    if isinstance(expression, ast.Call):
        return _is_raw_call(expression, module, line)
    return any(is_raw(part, module, line) for part in _parts(expression))


def _parts(expression: ast.expr) -> list[ast.expr]:
    """Return what a text is put together from, at this place."""
    if isinstance(expression, ast.JoinedStr):
        return [part.value for part in expression.values if isinstance(part, ast.FormattedValue)]
    return [expression.left, expression.right] if isinstance(expression, ast.BinOp) else []


def _is_raw_attribute(expression: ast.Attribute) -> bool:
    if expression.attr in _RAW_ATTRIBUTES or expression.attr.endswith(_ID_ENDINGS):
        return True
    inner = expression.value
    return isinstance(inner, ast.Attribute | ast.Subscript) and (
        _is_raw_attribute(inner) if isinstance(inner, ast.Attribute) else _is_raw_key(inner)
    )


def _is_raw_key(expression: ast.Subscript) -> bool:
    key, owner = expression.slice, expression.value
    if (last_word(owner) or "").strip("_") == "scope" and isinstance(key, ast.Constant) and key.value in _RAW_KEYS:
        return True
    return isinstance(owner, ast.Attribute) and _is_raw_attribute(owner)


def _is_raw_call(expression: ast.Call, module: SourceModule, line: int | None) -> bool:
    """Say whether a call gives back what it got: a change of type, a cut, a look into a mapping."""
    function, arguments = expression.func, expression.args
    name = last_word(function) or ""
    if name in _RAW_CALLS:
        return True
    if isinstance(function, ast.Name) or name in ("format", "join"):
        return name in _PASS_ON and any(is_raw(argument, module, line) for argument in arguments)
    if not isinstance(function, ast.Attribute):
        return False
    if name == "get" and arguments and _is_raw_key(ast.Subscript(function.value, arguments[0])):
        return True
    return name in _PASS_ON and is_raw(function.value, module, line)


def last_word(expression: ast.expr) -> str | None:
    """Return the name that an expression ends in: ``_log`` of ``self._log``."""
    if isinstance(expression, ast.Name):
        return expression.id
    return expression.attr if isinstance(expression, ast.Attribute) else None


def _assigned(name: str, module: SourceModule, line: int) -> list[ast.expr]:
    """Return what the name is assigned in the innermost function around a line."""
    around = [one for one in module.functions if _is_in(line, one)]
    if not around:
        return []
    function = max(around, key=lambda one: one.lineno)
    return [value for value in module.assigned.get(name, ()) if _is_in(value.lineno, function)]


def values_at(expression: ast.expr, module: SourceModule) -> Sequence[ast.expr]:
    """Return what a name or attribute is assigned: in the functions around it, from the inside, else in the module.

    A parameter is assigned by whoever calls, and nothing is known of it.
    """
    name = last_word(expression) or ""
    if isinstance(expression, ast.Name):
        around = [one for one in module.functions if _is_in(expression.lineno, one)]
        for function in sorted(around, key=lambda one: one.lineno, reverse=True):
            values = [value for value in module.assigned.get(name, ()) if _is_in(value.lineno, function)]
            if values or name in _parameters(function):
                return values
    return module.assigned.get(name, ())


def _is_in(line: int, function: Function) -> bool:
    return function.lineno <= line <= (function.end_lineno or function.lineno)


def _parameters(function: Function) -> set[str]:
    given = function.args
    extra = [one for one in (given.vararg, given.kwarg) if one is not None]
    return {one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, *extra)}


def is_status(expression: ast.expr) -> bool:
    """Say whether a value is called a status."""
    if isinstance(expression, ast.Call) and expression.args:
        return is_status(expression.args[0])
    if isinstance(expression, ast.Attribute):
        return expression.attr in _STATUS_NAMES
    return isinstance(expression, ast.Name) and expression.id in _STATUS_NAMES
