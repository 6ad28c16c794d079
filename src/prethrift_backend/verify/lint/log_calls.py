"""Calls of loggers in a source: which event, at which level, by which logger, with which fields."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prethrift_backend.verify.lint.expressions import last_word
from prethrift_backend.verify.lint.source import Source, SourceModule

_LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "warn": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
    "fatal": "critical",
}
_GIVE_LOGGERS: Final = frozenset({"get_logger", "getLogger", "logger", "bind", "new", "get_stdlib_logger"})
_CALLED_LOGGERS: Final = frozenset({"log", "logger", "logging", "logs"})
# What a logger takes besides fields of a line.
_NO_FIELDS: Final = frozenset({"exc_info", "stack_info", "stacklevel", "extra"})


@dataclass(frozen=True, slots=True)
class LogCall:
    """One call of a logger.

    ``event`` is None where it is decided elsewhere; ``is_dynamic`` says that it is put together at this place.
    ``logger`` is None where it cannot be told, ``levels`` is empty then too. ``fields`` have what is given by name;
    ``is_whole`` says that nothing else is.
    """

    module: SourceModule
    node: ast.Call
    levels: tuple[str, ...]
    event: str | None
    is_dynamic: bool = False
    logger: str | None = None
    fields: tuple[tuple[str, ast.expr], ...] = ()
    is_whole: bool = True


def log_calls(source: Source) -> Iterator[LogCall]:
    """Yield every call of a logger that can be seen."""
    for module in source.modules.values():
        for call in module.calls:
            found = _log_call(call, module, source)
            if found is not None:
                yield found


def _log_call(call: ast.Call, module: SourceModule, source: Source) -> LogCall | None:
    written = _written_by(call, module, source)
    if written is None:
        return None
    levels, receiver, at = written
    event = call.args[at]
    text = source.text_of(event, module)
    return LogCall(
        module,
        call,
        levels,
        text,
        is_dynamic=text is None and is_put_together(event),
        logger=_logger_name(receiver, module, source),
        fields=tuple(_fields(call)),
        is_whole=all(keyword.arg is not None for keyword in call.keywords) and len(call.args) == at + 1,
    )


def _written_by(call: ast.Call, module: SourceModule, source: Source) -> tuple[tuple[str, ...], ast.expr, int] | None:
    """Return the levels and the logger of a call, and at which place the event stands; None where it is no such call.

    ``log.info("event")``, ``write("event")`` with ``write = log.info if … else log.warning``,
    ``partial(log.info, "event")`` and ``log.log(level, "event")``.
    """
    for at, candidate in ((0, call.func), (1, call.args[0] if call.args else None)):
        methods = _methods(candidate, module, source)
        if methods and len(call.args) > at:
            return tuple(_LEVELS[method.attr] for method in methods), methods[0].value, at
    if isinstance(call.func, ast.Attribute) and call.func.attr == "log" and len(call.args) > 1:
        levels = _levels_of(call.args[0])
        return (levels, call.func.value, 1) if levels else None
    return None


def _methods(expression: ast.expr | None, module: SourceModule, source: Source) -> list[ast.Attribute]:
    """Return the methods of loggers that an expression may be, nothing where it may be something else."""
    if isinstance(expression, ast.Attribute):
        is_method = expression.attr in _LEVELS and is_logger(expression.value, module, source)
        return [expression] if is_method else []
    if isinstance(expression, ast.IfExp):
        return [method for one in _branches(expression) for method in _methods(one, module, source)]
    values = module.assigned.get(expression.id, ()) if isinstance(expression, ast.Name) else ()
    is_choice = len(values) == 1 and isinstance(values[0], ast.IfExp | ast.Attribute)
    return [method for one in _branches(values[0]) for method in _methods(one, module, source)] if is_choice else []


def _branches(expression: ast.expr) -> list[ast.expr]:
    """Return what a value may be; names are left out, for they may go round in a circle."""
    if isinstance(expression, ast.IfExp):
        return [*_branches(expression.body), *_branches(expression.orelse)]
    return [expression] if isinstance(expression, ast.Attribute) else []


def _fields(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    for keyword in call.keywords:
        if keyword.arg is not None and keyword.arg not in _NO_FIELDS:
            yield keyword.arg, keyword.value
        elif isinstance(keyword.value, ast.Dict):  # extra={…} and **{…}
            yield from literal_keys(keyword.value)
    for argument in call.args[1:]:
        if isinstance(argument, ast.Dict):
            yield from literal_keys(argument)


def literal_keys(node: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    """Yield the entries of a dictionary whose keys are written out."""
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value, value


def _levels_of(expression: ast.expr) -> tuple[str, ...]:
    """Return the levels that the first argument of ``log`` may be, none where it is no level."""
    if isinstance(expression, ast.Constant):
        return (str(expression.value),) if expression.value in _LEVELS.values() else ()
    if isinstance(expression, ast.Attribute):
        level = _LEVELS.get(expression.attr.lower())
        return () if level is None else (level,)
    if isinstance(expression, ast.IfExp):
        both = _levels_of(expression.body), _levels_of(expression.orelse)
        return (*both[0], *both[1]) if all(both) else ()
    return ()


def is_put_together(expression: ast.expr) -> bool:
    """Say whether a text is made at this place: an f-string, '%', '+' or ``format``."""
    if isinstance(expression, ast.JoinedStr):
        return True
    if isinstance(expression, ast.BinOp):
        return isinstance(expression.op, ast.Mod | ast.Add) and any(
            isinstance(part, ast.Constant | ast.JoinedStr) or is_put_together(part)
            for part in (expression.left, expression.right)
        )
    if isinstance(expression, ast.Call):
        method = expression.func
        return isinstance(method, ast.Attribute) and method.attr in ("format", "join")
    return False


def is_logger(expression: ast.expr, module: SourceModule, source: Source) -> bool:
    """Say whether an expression is a logger, by what made it or by what it is called."""
    if isinstance(expression, ast.Call):
        return last_word(expression.func) in _GIVE_LOGGERS
    word = last_word(expression)
    if word is None:
        return False
    if word.strip("_").lower() in _CALLED_LOGGERS:
        return True
    values = module.assigned.get(word, ())
    if not values and isinstance(expression, ast.Name):
        found, owner = source.value_of(expression, module)
        values = () if found is expression or found is None else (found,)
        module = owner
    return any(isinstance(value, ast.Call) and last_word(value.func) in _GIVE_LOGGERS for value in values)


def _logger_name(expression: ast.expr, module: SourceModule, source: Source) -> str | None:
    """Return the name that the logger was asked for by, where it is written out."""
    if not isinstance(expression, ast.Call):
        word = last_word(expression)
        values = module.assigned.get(word or "", ())
        if not values and isinstance(expression, ast.Name):
            found, module = source.value_of(expression, module)
            values = () if found is None else (found,)
        calls = [value for value in values if isinstance(value, ast.Call)]
        if len(calls) != 1:
            return None
        expression = calls[0]
    return source.text_of(expression.args[0], module) if len(expression.args) == 1 else None
