"""Waiting with a deadline."""

import pytest
from tests.support.waiting import DeadlineExceededError, wait_for, wait_for_async


def test_wait_for_gives_the_first_true_answer() -> None:
    """The condition is asked again until it is true, and its answer is handed on."""
    answers = iter([0, "", "ready"])

    assert wait_for(lambda: next(answers), 5) == "ready"


def test_wait_for_says_what_did_not_happen() -> None:
    """At the deadline the error names what was waited for and the last answer."""
    with pytest.raises(DeadlineExceededError, match=r"the moon did not come true within 0 s: .* 0"):
        wait_for(lambda: 0, 0, what="the moon")


async def test_wait_for_async_takes_coroutines() -> None:
    """A coroutine function is awaited each time."""
    answers = iter([None, 7])

    async def condition() -> int | None:
        return next(answers)

    assert await wait_for_async(condition, 5) == 7


async def test_wait_for_async_has_a_deadline() -> None:
    """A condition that never comes true ends in an error."""
    with pytest.raises(DeadlineExceededError):
        await wait_for_async(lambda: False, 0)
