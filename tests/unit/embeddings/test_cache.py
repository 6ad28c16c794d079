"""The cache of query vectors: what is kept, what is shared, what is not kept."""

import asyncio

import pytest

from prethrift_backend.embeddings.cache import SingleFlightCache


class Source:
    """A slow answer: each call waits until ``opened`` is set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.opened = asyncio.Event()
        self.failure: Exception | None = None
        self.cancelled = 0

    async def ask(self, key: str) -> str:
        """Answer a key with itself in capitals."""
        self.asked.append(key)
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return key.upper()


async def _settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


async def test_an_answer_is_kept() -> None:
    """The second call for a key does not ask again."""
    source = Source()
    source.opened.set()
    cache = SingleFlightCache(source.ask, capacity=2)

    answers = [await cache.get("a"), await cache.get("a")]

    assert answers == ["A", "A"]
    assert source.asked == ["a"]


async def test_the_least_recently_used_answer_goes_first() -> None:
    """A full cache lets go of the answer that was not used for longest."""
    source = Source()
    source.opened.set()
    cache = SingleFlightCache(source.ask, capacity=2)

    for key in ("a", "b", "a", "c", "a", "b"):
        await cache.get(key)

    assert source.asked == ["a", "b", "c", "b"]
    assert cache.figures.size == 2


async def test_concurrent_calls_share_one_question() -> None:
    """Ten callers with one key ask once, and the figures say so."""
    source = Source()
    cache = SingleFlightCache(source.ask, capacity=2)
    tasks = [asyncio.create_task(cache.get("a")) for _ in range(10)]
    await _settle()

    source.opened.set()

    assert await asyncio.gather(*tasks) == ["A"] * 10
    assert source.asked == ["a"]
    assert (cache.figures.misses, cache.figures.joins, cache.figures.hits) == (1, 9, 0)


async def test_a_failure_is_shared_and_not_kept() -> None:
    """Those who shared a failed question all hear of it; the next call asks again."""
    source = Source()
    source.failure = ValueError("no")
    cache = SingleFlightCache(source.ask, capacity=2)
    tasks = [asyncio.create_task(cache.get("a")) for _ in range(2)]
    source.opened.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    source.failure = None

    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError]
    assert await cache.get("a") == "A"


async def test_the_question_outlives_the_caller_who_asked_it() -> None:
    """When the first caller leaves, those who joined still get the answer from the same question."""
    source = Source()
    cache = SingleFlightCache(source.ask, capacity=2)
    first, second = (asyncio.create_task(cache.get("a")) for _ in range(2))
    await _settle()

    first.cancel()
    await _settle()
    source.opened.set()

    assert await second == "A"
    assert source.asked == ["a"]


async def test_a_question_that_nobody_waits_for_is_dropped() -> None:
    """When the last caller leaves, the question is cancelled, and a newcomer asks anew."""
    source = Source()
    cache = SingleFlightCache(source.ask, capacity=2)
    leaver = asyncio.create_task(cache.get("a"))
    await _settle()

    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    newcomer = asyncio.create_task(cache.get("a"))
    await _settle()
    source.opened.set()

    assert await newcomer == "A"
    assert (source.asked, source.cancelled) == (["a", "a"], 1)


async def test_the_outlook_is_what_a_call_then_finds() -> None:
    """First it is a miss; while that call is under way another would join it; after it the answer is there."""
    source = Source()
    cache = SingleFlightCache(source.ask, capacity=2)
    before = cache.outlook("a")
    task = asyncio.create_task(cache.get("a"))
    await _settle()
    meanwhile = cache.outlook("a")
    source.opened.set()
    await task

    assert (before, meanwhile, cache.outlook("a")) == ("miss", "joined", "hit")


async def test_nobody_joins_a_failed_call() -> None:
    """A call that failed is no call under way."""
    source = Source()
    source.failure = ValueError("no")
    source.opened.set()
    cache = SingleFlightCache(source.ask, capacity=2)
    with pytest.raises(ValueError, match="no"):
        await cache.get("a")

    assert cache.outlook("a") == "miss"
