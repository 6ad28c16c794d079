"""What the rest of the backend knows about embeddings: the calls, the shapes and the errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prethrift_backend.exceptions import OperationalError, PrethriftError

Vector: TypeAlias = NDArray[np.float32]
"""One embedding: float32, of unit length, read-only."""

CLIP_DIMENSIONS: Final = 512
TEXT_DIMENSIONS: Final = 384


class EmbeddingInterruptedError(OperationalError):
    """The models' process ended while it worked on this embedding; another one is being started."""

    code = "embedding_interrupted"


class EmbeddingFailedError(PrethriftError):
    """A model raised on an input that it should have taken: a bug, not a passing fault."""

    code = "embedding_failed"


class ModelState(StrEnum):
    """How far the models are."""

    NOT_LOADED = "not_loaded"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, eq=False)
class QueryVectors:
    """A query in both spaces: ``clip`` has shape (512,), ``text`` (384,)."""

    clip: Vector
    text: Vector


@dataclass(frozen=True, slots=True, eq=False)
class ItemVectors:
    """An item in both spaces: ``clip`` of its picture, shape (512,), ``text`` of its words, (384,)."""

    clip: Vector
    text: Vector


class Embeddings(Protocol):
    """Turn texts and pictures into vectors of unit length.

    Every ``embed_*`` raises ModelsNotReadyError while there is no model, EmbeddingQueueFullError when too many wait
    already, and EmbeddingInterruptedError when the models went away half-way.
    """

    @property
    def state(self) -> ModelState:
        """How far the models are."""
        ...

    @property
    def failure(self) -> str | None:
        """Why there are no models, as a sentence; None unless something went wrong."""
        ...

    def start(self) -> None:
        """Begin to load the models in the background; return at once. Needs a running event loop."""
        ...

    async def wait_ready(self, timeout_seconds: float) -> None:
        """Return once the models answer; raise ModelsNotReadyError when they failed or the time is over."""
        ...

    async def embed_query(self, text: str) -> QueryVectors:
        """Embed a search text in both spaces; the answer may come from a cache."""
        ...

    async def embed_picture(self, image: Image.Image) -> Vector:
        """Embed a picture in the CLIP space, shape (512,)."""
        ...

    async def embed_item(self, image: Image.Image, text: str) -> ItemVectors:
        """Embed an item's picture in the CLIP space and its text in the text space."""
        ...

    async def probe(self) -> Mapping[str, object]:
        """Tell whether the models answer; return details of them, or raise ProbeFailedError. Begins no load."""
        ...

    async def aclose(self) -> None:
        """Let go of the models within two seconds; waiting calls get ModelsNotReadyError."""
        ...
