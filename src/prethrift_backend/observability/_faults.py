"""Faults as values: what an exception and its chain say, taken down where it was caught, without holding any frame.

The exception itself is not handed on. Its traceback holds frames, and those hold whatever was in them: sockets,
sessions, secrets. The thread that sends would be the last to let go of them, and finalizers of the event loop's objects
would run there.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple

from prethrift_backend.exceptions import ExpectedError, OperationalError
from prethrift_backend.observability.redaction import CAPTURED_TEXT

# Arbitrary bounds. Of a deeper stack, which only a recursion without end has, the middle is left out.
_MAX_FRAMES: Final = 100
_MAX_CHAIN: Final = 20

# How a program is stopped is no fault of it.
_STOPS: Final = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)

_REPORTED_BY: Final = "__prethrift_reported_by__"
_numbers: Final = itertools.count(1)


class Frame(NamedTuple):
    """One line of a stack."""

    file: str
    line: int
    function: str
    module: str


@dataclass(frozen=True, slots=True)
class Raised:
    """One exception of a chain; ``parent`` is the place in the chain of the one that it belongs to.

    ``source`` says how: as ``__cause__``, as ``__context__``, or as ``exceptions[2]`` of a group.
    """

    type: str
    module: str
    text: str
    frames: tuple[Frame, ...]
    parent: int | None
    source: str | None
    is_group: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """What makes two faults the same one: an operational error is known by its code, a bug by its place."""

    type: str
    place: str
    is_operational: bool


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Give the exceptions of a group and of the groups in it, or ``error`` itself where it is none."""
    pending = deque([error])
    while pending:
        current = pending.popleft()
        if isinstance(current, BaseExceptionGroup):
            pending.extend(current.exceptions)
        else:
            yield current


def is_fault(error: BaseException) -> bool:
    """Return whether ``error`` is anybody's fault: not a caller's mistake, and not the end of the program."""
    return any(not isinstance(leaf, (ExpectedError, *_STOPS)) for leaf in leaves(error))


def kind_of(error: BaseException) -> Kind:
    """Return what ``error`` is counted under; costs a walk down its traceback and no more."""
    leaf = next(leaf for leaf in leaves(error) if not isinstance(leaf, (ExpectedError, *_STOPS)))
    name = _type_name(type(leaf))
    if isinstance(leaf, OperationalError):
        return Kind(name, leaf.code, is_operational=True)
    return Kind(name, _innermost(leaf.__traceback__ or error.__traceback__), is_operational=False)


def _innermost(trace: TracebackType | None) -> str:
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _type_name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class Reported:
    """Which exceptions one reporter has reported; the note is on the exception, so nothing has to be kept."""

    def __init__(self) -> None:
        self._number = next(_numbers)

    def note(self, error: BaseException) -> bool:
        """Note ``error`` as reported; return False where it was already, alone or as all that a group holds."""
        if self._is_noted(error) or all(self._is_noted(leaf) for leaf in leaves(error)):
            return False
        for noted in {error, *leaves(error)} if isinstance(error, BaseExceptionGroup) else (error,):
            # Past __setattr__, which an exception that is a frozen dataclass refuses.
            vars(noted)[_REPORTED_BY] = (*_reporters(noted), self._number)
        return True

    def _is_noted(self, error: BaseException) -> bool:
        return self._number in _reporters(error)


def _reporters(error: BaseException) -> tuple[int, ...]:
    numbers: tuple[int, ...] = vars(error).get(_REPORTED_BY, ())
    return numbers


def take_down(error: BaseException) -> tuple[Raised, ...]:
    """Return ``error`` and what stands behind it, itself first; bounded, and free of loops."""
    taken: list[Raised] = []
    seen: set[int] = set()
    pending: deque[tuple[BaseException, int | None, str | None]] = deque([(error, None, None)])
    while pending and len(taken) < _MAX_CHAIN:
        current, parent, source = pending.popleft()
        if id(current) in seen:
            continue
        seen.add(id(current))
        place = len(taken)
        taken.append(_raised(current, parent, source))
        pending.extend((behind, place, how) for behind, how in _behind(current))
    return tuple(taken)


def _raised(error: BaseException, parent: int | None, source: str | None) -> Raised:
    kind = type(error)
    return Raised(
        type=kind.__qualname__,
        module=kind.__module__,
        text=_text(error),
        frames=_frames(error.__traceback__),
        parent=parent,
        source=source,
        is_group=isinstance(error, BaseExceptionGroup),
    )


def _behind(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    if error.__cause__ is not None:
        yield error.__cause__, "__cause__"
    elif error.__context__ is not None and not error.__suppress_context__:
        yield error.__context__, "__context__"
    if isinstance(error, BaseExceptionGroup):
        for position, member in enumerate(error.exceptions[:_MAX_CHAIN]):
            yield member, f"exceptions[{position}]"


def _text(error: BaseException) -> str:
    try:
        text = "\n".join([str(error), *map(str, getattr(error, "__notes__", ()))])
    except Exception as fault:  # noqa: BLE001 - somebody else's __str__; the event matters more than this text
        return f"[cannot be shown: {type(fault).__name__}]"
    return text[:CAPTURED_TEXT]


def _frames(trace: TracebackType | None) -> tuple[Frame, ...]:
    nodes: list[TracebackType] = []
    while trace is not None:
        nodes.append(trace)
        trace = trace.tb_next
    if len(nodes) > _MAX_FRAMES:
        nodes = nodes[: _MAX_FRAMES // 2] + nodes[-_MAX_FRAMES // 2 :]
    return tuple(map(_frame, nodes))


def _frame(node: TracebackType) -> Frame:
    code = node.tb_frame.f_code
    module = node.tb_frame.f_globals.get("__name__")
    return Frame(code.co_filename, node.tb_lineno, code.co_qualname, module if type(module) is str else "")
