"""Embeddings without a model: vectors made of hashes, for tests that must not load one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

import numpy as np
from PIL import Image

from prethrift_backend.embeddings._probing import CANARY_TEXT, DETAILS, canary_faults, check_state, check_vectors
from prethrift_backend.embeddings.protocol import (
    CLIP_DIMENSIONS,
    TEXT_DIMENSIONS,
    ItemVectors,
    ModelState,
    QueryVectors,
    Vector,
)
from prethrift_backend.exceptions import ModelsNotReadyError

# The colours that a picture can be said to show, and what they look like.
_COLOURS: Final = {
    "black": (20, 20, 20),
    "white": (240, 240, 240),
    "grey": (128, 128, 128),
    "red": (205, 35, 40),
    "orange": (240, 140, 30),
    "yellow": (240, 220, 60),
    "green": (40, 140, 60),
    "blue": (40, 80, 190),
    "purple": (120, 50, 150),
    "pink": (240, 150, 185),
    "brown": (115, 75, 40),
}


class NullEmbeddings:
    """Deterministic vectors of the right shapes and of unit length; ready from the start.

    A text is the sum of a hash vector for each of its words, so texts that share words are near each other, and
    nothing else about meaning holds. A picture lies in the same space as far as that can be had without a model: near
    the name of the colour in its middle, with a small part of its own. ``state`` may be set by a test, to see what
    others do when there are no models.
    """

    def __init__(self, *, state: ModelState = ModelState.READY) -> None:
        self.state = state

    @property
    def failure(self) -> str | None:
        """A sentence when the state was set to failed."""
        return "the null embeddings were told to fail" if self.state is ModelState.FAILED else None

    def start(self) -> None:
        """Do nothing: there is nothing to load."""

    async def wait_ready(self, timeout_seconds: float) -> None:  # noqa: ARG002 - part of the protocol
        """Return at once; raise ModelsNotReadyError when the state was set to anything but ready."""
        self._check_ready()

    async def embed_query(self, text: str) -> QueryVectors:
        """Embed the words of a text in both spaces."""
        self._check_ready()
        return QueryVectors(clip=_words(text, CLIP_DIMENSIONS), text=_words(text, TEXT_DIMENSIONS))

    async def embed_picture(self, image: Image.Image) -> Vector:
        """Embed a picture near the name of its colour."""
        self._check_ready()
        return _picture(image)

    async def embed_item(self, image: Image.Image, text: str) -> ItemVectors:
        """Embed an item's picture and its words."""
        self._check_ready()
        return ItemVectors(clip=_picture(image), text=_words(text, TEXT_DIMENSIONS))

    async def probe(self) -> Mapping[str, object]:
        """Look at the state and embed a text; return the dimensions, as the real embeddings do."""
        check_state(self.state)
        with canary_faults():
            vectors = await self.embed_query(CANARY_TEXT)
        check_vectors(clip=vectors.clip, text=vectors.text)
        return DETAILS

    async def aclose(self) -> None:
        """Do nothing: nothing is held."""

    def _check_ready(self) -> None:
        if self.state is not ModelState.READY:
            raise ModelsNotReadyError(f"the null embeddings are {self.state.value!r}: they must be ready")


def _words(text: str, dimensions: int) -> Vector:
    words = re.findall(r"\w+", text.lower()) or [""]
    return _unit(np.sum([_hashed(word.encode(), dimensions) for word in words], axis=0))


def _picture(image: Image.Image) -> Vector:
    small = image.convert("RGB").resize((8, 8))
    pixels = np.asarray(small, dtype=np.float32)
    middle = pixels[2:6, 2:6].reshape(-1, 3).mean(axis=0)
    colour = min(_COLOURS, key=lambda name: float(np.sum((middle - np.asarray(_COLOURS[name])) ** 2)))
    own = _hashed(small.tobytes(), CLIP_DIMENSIONS)
    return _unit(_hashed(colour.encode(), CLIP_DIMENSIONS) + np.float32(0.1) * own)


def _hashed(data: bytes, dimensions: int) -> Vector:
    # An extendable hash gives as many bytes as are asked for, the same on every platform and in every version.
    digest = hashlib.shake_128(data).digest(4 * dimensions)
    return _unit(np.frombuffer(digest, dtype="<u4").astype(np.float64) / 2**31 - 1)


def _unit(vector: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Vector:
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    unit.setflags(write=False)
    return unit
