"""Waiting for a condition with a deadline, which is what tests do where they would otherwise sleep."""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

T = TypeVar("T")

# Arbitrary: short enough that a wait adds nothing to a test one could notice.
PAUSE_SECONDS = 0.02


class DeadlineExceededError(AssertionError):
    """A condition that a test waited for did not come true in time."""


def wait_for(condition: Callable[[], T], deadline_seconds: float, *, what: str | None = None) -> T:
    """Call `condition` until its answer is true, and return that answer.

    Raises DeadlineExceededError, which names the condition and its last answer, after `deadline_seconds`.
    """
    end = time.monotonic() + deadline_seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            raise DeadlineExceededError(_complaint(condition, answer, deadline_seconds, what))
        time.sleep(PAUSE_SECONDS)
    return answer


@overload
async def wait_for_async(
    condition: Callable[[], Coroutine[Any, Any, T]], deadline_seconds: float, *, what: str | None = None
) -> T: ...


@overload
async def wait_for_async(condition: Callable[[], T], deadline_seconds: float, *, what: str | None = None) -> T: ...


async def wait_for_async(condition: Callable[[], Any], deadline_seconds: float, *, what: str | None = None) -> Any:
    """Do as `wait_for` does without holding the event loop; `condition` may be a coroutine function."""
    end = time.monotonic() + deadline_seconds
    while not (answer := await _resolved(condition())):
        if time.monotonic() > end:
            raise DeadlineExceededError(_complaint(condition, answer, deadline_seconds, what))
        await asyncio.sleep(PAUSE_SECONDS)
    return answer


async def _resolved(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


def _complaint(condition: object, answer: object, deadline_seconds: float, what: str | None) -> str:
    named = what or getattr(condition, "__qualname__", repr(condition))
    return f"{named} did not come true within {deadline_seconds:g} s: the last answer was {answer!r}"
