"""Every log event in the source, held against ``contracts/logs.txt``, and the other way round.

Read from the source and not from a run: some of these lines are written only when a disk is full.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.log_contract import EVENTS as ALL_EVENTS

SOURCE = Path(__file__).parents[2] / "src" / "prethrift_backend"
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


@dataclass(frozen=True)
class Written:
    """One call of a logger: where, at which level, which event, with which fields."""

    logger: str
    level: str
    event: str
    fields: frozenset[str]


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
        yield name, ast.parse(path.read_text())


def _written() -> Iterator[Written]:
    """Yield each call ``_log.level("event", field=...)`` whose event is a literal."""
    for logger, module in _modules():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and _is_logging(node.func):
                assert isinstance(node.args[0], ast.Constant), f"{logger}: an event is a static name"
                fields = frozenset(keyword.arg or "**" for keyword in node.keywords) - {"exc_info"}
                assert isinstance(node.func, ast.Attribute)
                yield Written(logger, node.func.attr, str(node.args[0].value), fields)


def _is_logging(function: ast.expr) -> bool:
    is_method = isinstance(function, ast.Attribute) and function.attr in LEVELS
    return is_method and isinstance(function.value, ast.Name) and function.value.id == "_log"  # type: ignore[attr-defined] # narrowed by is_method


def test_every_event_that_is_written_is_promised() -> None:
    """Event, logger, level and fields of each call are those of the contract."""
    strangers = []
    for line in _written():
        promise = ALL_EVENTS.get(line.event)
        if promise is None or (
            line.logger != promise.logger
            or line.level not in promise.levels
            or not promise.required <= line.fields <= promise.required | promise.optional
        ):
            strangers.append(line)

    assert strangers == []
    assert len(list(_written())) > 15  # the calls were found at all


def test_every_event_that_is_promised_is_written() -> None:
    """The module that an event's logger names holds the event's name."""
    names = {logger: _strings(module) for logger, module in _modules()}
    own = {event: promise.logger for event, promise in ALL_EVENTS.items() if promise.logger in names}

    assert [event for event, logger in own.items() if event not in names[logger]] == []
    # The telemetry layer's lines have the package as their logger; their own test makes each of them happen.
    assert {promise.logger for promise in ALL_EVENTS.values()} - set(names) == {"prethrift_backend.observability"}


def _strings(module: ast.Module) -> set[str]:
    return {node.value for node in ast.walk(module) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
