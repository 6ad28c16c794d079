"""Answers kept by query: the most recent ones, each asked for once however many ask."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

ResultT = TypeVar("ResultT")
CacheResult: TypeAlias = Literal["hit", "joined", "miss"]


@dataclass(frozen=True, slots=True)
class CacheFigures:
    """How often an answer was there (``hits``), was on its way (``joins``), or had to be asked for (``misses``)."""

    size: int
    hits: int
    joins: int
    misses: int


@dataclass(slots=True)
class _Flight(Generic[ResultT]):
    """A call on its way; ``waiters`` counts those who still want its answer."""

    task: asyncio.Task[ResultT]
    waiters: int = 0


class SingleFlightCache(Generic[ResultT]):
    """Keep the ``capacity`` most recently used answers of ``ask``.

    Concurrent calls with one key share one call of ``ask``. A failure reaches all who shared it and is not kept. The
    shared call goes on while anyone waits for it, and is cancelled when the last one has left.
    """

    def __init__(self, ask: Callable[[str], Awaitable[ResultT]], *, capacity: int) -> None:
        self._ask = ask
        self._capacity = capacity
        self._answers: OrderedDict[str, ResultT] = OrderedDict()
        self._flights: dict[str, _Flight[ResultT]] = {}
        self._hits = self._joins = self._misses = 0

    @property
    def figures(self) -> CacheFigures:
        """What is kept and what was saved, as of now."""
        return CacheFigures(size=len(self._answers), hits=self._hits, joins=self._joins, misses=self._misses)

    def outlook(self, key: str) -> CacheResult:
        """Return what ``get`` would find now: an answer, a call under way to join, or neither."""
        if key in self._answers:
            return "hit"
        flight = self._flights.get(key)
        return "miss" if flight is None or flight.task.done() else "joined"

    async def get(self, key: str) -> ResultT:
        """Return the answer for ``key``; raises what ``ask`` raises."""
        if key in self._answers:
            self._hits += 1
            self._answers.move_to_end(key)
            return self._answers[key]
        return await self._join(key, self._flight(key))

    def _flight(self, key: str) -> _Flight[ResultT]:
        flight = self._flights.get(key)
        if flight is not None and not flight.task.done():
            self._joins += 1
            return flight
        self._misses += 1
        self._flights[key] = flight = _Flight(asyncio.create_task(self._fetch(key), name="embedding-query"))
        return flight

    async def _fetch(self, key: str) -> ResultT:
        answer = await self._ask(key)
        self._answers[key] = answer
        if len(self._answers) > self._capacity:
            self._answers.popitem(last=False)
        return answer

    async def _join(self, key: str, flight: _Flight[ResultT]) -> ResultT:
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flight.task.done() or not flight.waiters:
                self._land(key, flight)

    def _land(self, key: str, flight: _Flight[ResultT]) -> None:
        # A newcomer must not join a call that is being cancelled, nor be thrown out of one that began since.
        if self._flights.get(key) is flight:
            del self._flights[key]
        flight.task.cancel()
