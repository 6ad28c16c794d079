"""What the health check hears of embeddings: their state, what they did last, and a canary when they were idle."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from tests.support.waiting import wait_for_async

from prethrift_backend.embeddings import (
    EmbeddingFailedError,
    EmbeddingInterruptedError,
    ModelEmbeddings,
    ModelState,
    NullEmbeddings,
    _probing,
)
from prethrift_backend.embeddings._probing import CANARY_TEXT, SUCCESS_SECONDS, Successes, is_sound
from prethrift_backend.exceptions import ModelsNotReadyError, ProbeFailedError
from prethrift_backend.health import CheckCode

DIMENSIONS = {"clip_text": 512, "text": 384}


def unit_rows(count: int, dimensions: int) -> Any:
    """Return vectors of length 1."""
    rows = np.zeros((count, dimensions), dtype=np.float32)
    rows[:, 0] = 1
    return rows


class _Process:
    """Stands in for the models' process: notes what it is asked and answers, or raises, as it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Sequence[str]]] = []
        self.error: Exception | None = None
        self.spoil: Any = lambda rows: rows
        self.gate = asyncio.Event()
        self.gate.set()

    async def request(self, kind: str, fields: Mapping[str, Any], _payload: bytes = b"") -> Any:
        self.asked.append((kind, fields["texts"]))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.spoil(unit_rows(len(fields["texts"]), DIMENSIONS[kind]))


class _Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def ready(process: _Process, *, queue_size: int = 4, clock: _Clock | None = None) -> ModelEmbeddings:
    """Build embeddings whose models are ready, without a process."""
    embeddings = ModelEmbeddings(clip_model="none", text_model="none", queue_size=queue_size)
    embeddings._process = process  # type: ignore[assignment]  # stands in for the real one
    embeddings._state = ModelState.READY
    embeddings._successes = Successes(clock=clock or _Clock())
    return embeddings


async def _code(embeddings: ModelEmbeddings | NullEmbeddings) -> str:
    with pytest.raises(ProbeFailedError) as caught:
        await embeddings.probe()
    return caught.value.probe_code


async def test_idle_models_are_asked_for_one_text() -> None:
    """Both models embed the canary, and the answer tells the dimensions."""
    process = _Process()

    details = await ready(process).probe()

    assert details == {"embedding_dimension": 512, "text_embedding_dimension": 384}
    assert sorted(process.asked) == [("clip_text", [CANARY_TEXT]), ("text", [CANARY_TEXT])]


async def test_what_they_did_for_somebody_counts() -> None:
    """After a real query no canary is sent for a minute; then one is, and counts for a minute itself."""
    process, clock = _Process(), _Clock()
    embeddings = ready(process, clock=clock)
    await embeddings.embed_query("a red hat")
    clock.now += SUCCESS_SECONDS - 0.1
    await embeddings.probe()
    within = len(process.asked)
    clock.now += 0.1
    await embeddings.probe()
    after = len(process.asked)
    await embeddings.probe()

    assert (within, after, len(process.asked)) == (2, 4, 4)


async def test_a_success_of_one_model_says_nothing_of_the_other() -> None:
    """A text that only the text model saw leaves the canary to be sent."""
    process = _Process()
    embeddings = ready(process)
    await embeddings._texts.submit("words")

    await embeddings.probe()

    assert ("clip_text", [CANARY_TEXT]) in process.asked


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (ModelState.NOT_LOADED, "loading"),
        (ModelState.LOADING, "loading"),
        (ModelState.FAILED, "unreachable"),
    ],
)
async def test_a_state_short_of_ready_is_named(state: ModelState, code: str) -> None:
    """The real and the null embeddings say the same, and neither asks a model or begins a load."""
    process = _Process()
    embeddings = ready(process)
    embeddings._state = state

    assert [await _code(embeddings), await _code(NullEmbeddings(state=state))] == [code, code]
    assert process.asked == []
    assert embeddings._supervisor is None


async def test_loading_for_ever_is_no_longer_loading() -> None:
    """Two minutes after a load began, and no sooner, it counts as one that will not end."""
    clock = _Clock()
    embeddings = ready(_Process(), clock=clock)
    embeddings._state = ModelState.LOADING
    codes = []
    for seconds in (_probing.LOADING_SECONDS, 0.1):
        clock.now += seconds
        codes.append(await _code(embeddings))

    assert codes == ["loading", "timeout"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows[:, :-1],
        lambda rows: np.full_like(rows, np.nan),
        lambda rows: np.full_like(rows, np.inf),
        lambda rows: rows * 1.01,
        np.zeros_like,
    ],
)
async def test_vectors_that_cannot_be_right_are_seen(spoil: Any) -> None:
    """A wrong dimension, NaN, infinity and a length other than 1 are told, also after real work gave such vectors."""
    process = _Process()
    process.spoil = spoil
    embeddings = ready(process)
    await embeddings.embed_query("somebody's words")

    assert await _code(embeddings) == "wrong_dimension"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelsNotReadyError("gone"), "loading"),
        (EmbeddingInterruptedError("gone"), "loading"),
        (EmbeddingFailedError("a bug"), "unreachable"),
    ],
)
async def test_a_canary_that_fails_says_why(error: Exception, code: str) -> None:
    """What embedding raises on purpose has a word each."""
    process = _Process()
    process.error = error

    assert await _code(ready(process)) == code


async def test_a_full_queue_is_busy() -> None:
    """The canary takes no place that somebody waits for: it is refused like anybody else."""
    process = _Process()
    process.gate.clear()
    embeddings = ready(process, queue_size=1)
    work = [asyncio.create_task(embeddings._texts.submit("in flight"))]
    await wait_for_async(lambda: process.asked, 10)
    work.append(asyncio.create_task(embeddings._texts.submit("waiting")))
    await asyncio.sleep(0)

    code = await _code(embeddings)

    process.gate.set()
    await asyncio.gather(*work)
    assert code == "busy"


async def test_models_that_hang_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer within the limit is a timeout, and the canary does not stay in the queue."""
    monkeypatch.setattr("prethrift_backend.embeddings.model.CANARY_LIMIT_SECONDS", 0.01)
    process = _Process()
    process.gate.clear()
    embeddings = ready(process)

    assert await _code(embeddings) == "timeout"
    assert embeddings.figures["text"].queue_length == 0
    await embeddings.aclose()


async def test_other_models_begin_anew() -> None:
    """What the models of before did does not count for those that were started after them."""
    process = _Process()
    embeddings = ready(process)
    await embeddings.embed_query("words")
    embeddings._successes.forget()

    await embeddings.probe()

    assert len(process.asked) == 4


async def test_the_null_embeddings_are_probed_alike() -> None:
    """Ready null embeddings give the same details as the real ones."""
    assert await NullEmbeddings().probe() == {"embedding_dimension": 512, "text_embedding_dimension": 384}


def test_no_vector_at_all_is_not_sound() -> None:
    """An empty answer is no success."""
    assert not is_sound("clip", np.empty((0, 512), dtype=np.float32))


def test_every_word_is_of_the_closed_list() -> None:
    """The embeddings do not know the health's list; their words are in it all the same."""
    words = {*_probing._STATE_CODES.values(), *_probing._ERROR_CODES.values()}

    assert words <= {code.value for code in CheckCode}
