"""What the health check asks of embeddings: their state, and one vector that can be trusted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import numpy as np

from prethrift_backend.embeddings.protocol import (
    CLIP_DIMENSIONS,
    TEXT_DIMENSIONS,
    EmbeddingFailedError,
    EmbeddingInterruptedError,
    ModelState,
    Vector,
)
from prethrift_backend.exceptions import EmbeddingQueueFullError, ModelsNotReadyError, ProbeFailedError

CANARY_TEXT: Final = "a blue dress"
CANARY_LIMIT_SECONDS: Final = 4.5  # just under the five seconds that the check has, so that the reason comes from here
SUCCESS_SECONDS: Final = 60.0
# As long as a start may take: several times the slowest load that was measured. Arbitrary.
LOADING_SECONDS: Final = 120.0
DETAILS: Final[Mapping[str, object]] = {
    "embedding_dimension": CLIP_DIMENSIONS,
    "text_embedding_dimension": TEXT_DIMENSIONS,
}

_DIMENSIONS: Final = {"clip": CLIP_DIMENSIONS, "text": TEXT_DIMENSIONS}
_TOLERANCE: Final = 1e-3  # of a length of 1; float32 over 512 terms is a thousand times better, float16 is not

_STATE_CODES: Final[Mapping[ModelState, str]] = {
    ModelState.NOT_LOADED: "loading",
    ModelState.LOADING: "loading",
    ModelState.FAILED: "unreachable",
}
_ERROR_CODES: Final[Mapping[type[Exception], str]] = {
    TimeoutError: "timeout",
    ModelsNotReadyError: "loading",
    EmbeddingInterruptedError: "loading",
    EmbeddingQueueFullError: "busy",
    EmbeddingFailedError: "unreachable",
}


class Successes:
    """When each of the two models last gave vectors as they should be; what is older than a minute does not count."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._forgot_at = clock()

    def note(self, model: str, rows: Vector) -> None:
        """Note what a model gave, if it is sound; ``rows`` has shape (n, dimensions)."""
        if is_sound(model, rows):
            self._last[model] = self._clock()

    def forget(self) -> None:
        """Forget all: other models are being loaded from now on."""
        self._last.clear()
        self._forgot_at = self._clock()

    @property
    def are_overdue(self) -> bool:
        """Tell whether models that are still loading should have been there long ago."""
        return self._clock() - self._forgot_at > LOADING_SECONDS

    @property
    def are_recent(self) -> bool:
        """Tell whether both models gave something sound within the last minute."""
        now = self._clock()
        return all(now - self._last.get(model, -SUCCESS_SECONDS) < SUCCESS_SECONDS for model in _DIMENSIONS)


def is_sound(model: str, rows: Vector) -> bool:
    """Tell whether every row has the model's dimension and the length 1; NaN and infinity have no such length."""
    if rows.ndim != 2 or not len(rows) or rows.shape[1] != _DIMENSIONS[model]:
        return False
    lengths = np.linalg.norm(rows, axis=1)
    return bool(np.all(np.abs(lengths - 1) <= _TOLERANCE))  # false for NaN


def check_state(state: ModelState) -> None:
    """Raise ProbeFailedError unless the models are ready."""
    code = _STATE_CODES.get(state)
    if code is not None:
        raise ProbeFailedError(code)


def check_vectors(*, clip: Vector, text: Vector) -> None:
    """Raise ProbeFailedError with wrong_dimension unless both vectors, of one dimension each, are sound."""
    if not (is_sound("clip", clip[np.newaxis]) and is_sound("text", text[np.newaxis])):
        raise ProbeFailedError("wrong_dimension")


@contextmanager
def canary_faults() -> Iterator[None]:
    """Raise ProbeFailedError in place of what embedding raises on purpose; anything else is a bug and passes."""
    try:
        yield
    except tuple(_ERROR_CODES) as error:
        raise ProbeFailedError(_ERROR_CODES[type(error)]) from error
