"""One call of a check's function: a task for an async one, a thread of its own for a plain one.

A time limit does not stop a thread, and a task may ignore its cancellation. So a call can outlive its limit, and what
matters is that it then harms nobody: it holds no thread that others need (the default executor has few, and the
interpreter waits for all of them at exit), and the check is not called a second time while the first call lives.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass

from prethrift_backend.health.check import CheckFunction


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call gave back: a value, or the exception that it raised."""

    value: object = None
    error: Exception | None = None


class Caller:
    """Calls one check; knows whether the last call is still alive."""

    def __init__(self, name: str, check: CheckFunction) -> None:
        self._name = name
        self._check = check
        self._task: asyncio.Task[Outcome] | None = None
        self._thread_is_busy = False

    @property
    def is_stuck(self) -> bool:
        """Tell whether an earlier call has not ended yet."""
        return self._thread_is_busy or (self._task is not None and not self._task.done())

    def call(self, context: Context) -> asyncio.Task[Outcome]:
        """Start a call in ``context`` and return its task; the caller makes sure that nothing is stuck."""
        is_async = _is_async(self._check)
        run = self._run_async() if is_async else self._run_on_thread(context)
        self._task = asyncio.create_task(run, name=f"health-check-{self._name}", context=context)
        return self._task

    def cancel(self) -> asyncio.Task[Outcome] | None:
        """Ask a living call to end and return its task, if there is one. A thread cannot be asked."""
        if self._task is None or self._task.done():
            return None
        self._task.cancel()
        return self._task

    async def _run_async(self) -> Outcome:
        try:
            value = self._check()
            return Outcome(await value if inspect.isawaitable(value) else value)
        except Exception as error:  # noqa: BLE001 - any failure of a check is a result of that check
            return Outcome(error=error)

    async def _run_on_thread(self, context: Context) -> Outcome:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Outcome] = loop.create_future()
        self._thread_is_busy = True
        threading.Thread(
            target=self._body, args=(loop, answer, context.copy()), name=f"health-check-{self._name}", daemon=True
        ).start()
        outcome = await answer
        if isinstance(outcome.value, Awaitable):  # `lambda: store.ping()` is plain and gives a coroutine
            return await _awaited(outcome.value)
        return outcome

    def _body(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Outcome], context: Context) -> None:
        try:
            outcome = Outcome(context.run(self._check))
        except Exception as error:  # noqa: BLE001 - any failure of a check is a result of that check
            outcome = Outcome(error=error)
        finally:
            self._thread_is_busy = False
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_deliver, answer, outcome)


async def _awaited(value: Awaitable[object]) -> Outcome:
    try:
        return Outcome(await value)
    except Exception as error:  # noqa: BLE001 - any failure of a check is a result of that check
        return Outcome(error=error)


def _deliver(answer: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not answer.done():  # cancelled at the time limit
        answer.set_result(outcome)


def _is_async(check: object) -> bool:
    return inspect.iscoroutinefunction(check) or inspect.iscoroutinefunction(getattr(check, "__call__", None))  # noqa: B004 - asks what kind of call, not whether
