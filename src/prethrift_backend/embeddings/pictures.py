"""Pictures on their way to the models' process: cut down to the pixels that CLIP looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

# For a model whose preprocessing is not CLIP's: enough for every model of this size that we know of; arbitrary.
FALLBACK_SHORTEST_PX: Final = 448


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture as raw RGB, row by row, ``width * height * 3`` bytes."""

    width: int
    height: int
    data: bytes

    def image(self) -> Image.Image:
        """Return it as an image again."""
        return Image.frombytes("RGB", (self.width, self.height), self.data)


def cut_to(image: Image.Image, square_px: int | None) -> Pixels:
    """Return the pixels that a model with this preprocessing needs. Costly: call it off the event loop.

    CLIP scales the shorter side to ``square_px`` (bicubic) and keeps the square in the middle. That is done here in
    one step, on the part that is kept, so that a frame is small and a picture of 10000 x 10 pixels is never blown up;
    CLIP's own preprocessing then finds nothing left to do. Without ``square_px`` the picture is only made smaller.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if square_px is not None:
        return _pixels(rgb.resize((square_px, square_px), Image.Resampling.BICUBIC, box=_middle(rgb.size, square_px)))
    shrink = FALLBACK_SHORTEST_PX / min(rgb.size)
    if shrink >= 1:
        return _pixels(rgb)
    width, height = (max(1, round(side * shrink)) for side in rgb.size)
    return _pixels(rgb.resize((width, height), Image.Resampling.BICUBIC))


def describe(pictures: Sequence[Pixels]) -> tuple[list[tuple[int, int]], bytes]:
    """Return the sizes, for the header of a frame, and the pixels of all, for its payload."""
    return [(picture.width, picture.height) for picture in pictures], b"".join(picture.data for picture in pictures)


def unpack(header: Mapping[str, Any], payload: bytes) -> list[Pixels]:
    """Return the pictures of a frame whose header has ``sizes``; the inverse of ``describe``."""
    pictures, start = [], 0
    for width, height in header["sizes"]:
        end = start + width * height * 3
        pictures.append(Pixels(width, height, payload[start:end]))
        start = end
    return pictures


def _pixels(image: Image.Image) -> Pixels:
    return Pixels(image.width, image.height, image.tobytes())


def _middle(size: tuple[int, int], square_px: int) -> tuple[float, float, float, float]:
    """Return the part of the original that ends up in the square, rounded as transformers' CLIP rounds."""
    width, height = size
    shortest, longest = min(size), max(size)
    scaled = int(square_px * longest / shortest)
    start = (scaled - square_px) // 2 * longest / scaled
    end = start + square_px * longest / scaled
    return (start, 0, end, height) if width >= height else (0, start, width, end)
