"""A start with a slow load in the background, as probes see it."""

from __future__ import annotations

import asyncio

from tests.support.waiting import wait_for_async
from tests.unit.health._parts import Harness, valid_body

from prethrift_backend.health import CheckCode, CheckFailed


class _Loading(Harness):
    """A model that loads in the background and marks the process ready, as the composition root does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.loads, self.state = asyncio.Event(), "loading"
        self.registry.register("embedding_model", self.look)
        self.task = asyncio.create_task(self._load())

    async def look(self) -> None:
        if self.state != "ready":
            raise CheckFailed(CheckCode.LOADING if self.state == "loading" else CheckCode.UNREACHABLE)

    async def _load(self) -> None:
        await self.loads.wait()
        if self.state == "loading":
            self.state = "ready"
            self.lifecycle.mark_ready()

    async def answers(self) -> list[tuple[int, str]]:
        found = [await self.endpoint.answer(kind) for kind in ("live", "ready", "health")]
        return [(answer.status_code, valid_body(answer)["status"]) for answer in found]


async def test_load_shows_in_readiness_and_not_in_liveness() -> None:
    """While the model loads: live 200, ready 503, health degraded; then all are well, with no restart."""
    stack = _Loading()
    before = []
    for _ in range(5):
        await stack.run_checks()
        before.append(await stack.answers())

    stack.loads.set()
    await wait_for_async(stack.task.done, 5)
    await stack.run_checks()

    assert before == [[(200, "healthy"), (503, "unhealthy"), (200, "degraded")]] * 5
    assert await stack.answers() == [(200, "healthy"), (200, "healthy"), (200, "healthy")]


async def test_load_that_fails_keeps_ready_down_and_live_up() -> None:
    """A restart would not help, so liveness stays; after the grace /health tells the failure as well."""
    stack = _Loading()
    stack.state = "failed"
    stack.loads.set()
    await wait_for_async(stack.task.done, 5)
    await stack.run_checks()
    within_grace = await stack.answers()
    await stack.run_checks(8)

    assert within_grace == [(200, "healthy"), (503, "unhealthy"), (200, "degraded")]
    assert await stack.answers() == [(200, "healthy"), (503, "unhealthy"), (503, "unhealthy")]
