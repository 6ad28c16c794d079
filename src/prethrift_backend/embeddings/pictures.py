"""Pictures on their way to the models' process: cut down to the pixels that CLIP looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

# For a model whose preprocessing is not CLIP's: enough for every model of this size that we know of; arbitrary.
FALLBACK_SHORTEST_PX: Final = 448
# Up to this ratio of the sides the result is CLIP's own to the last bit; arbitrary, no photograph is longer.
LONGEST_RATIO: Final = 4


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

    CLIP scales the shorter side to ``square_px`` (bicubic) and keeps the square in the middle. The same is done here,
    so that a frame is small; CLIP's own preprocessing then finds nothing left to do. Without ``square_px`` the picture
    is only made smaller.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if square_px is not None:
        return _pixels(_middle_square(_shortened(rgb), square_px))
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


def _shortened(image: Image.Image) -> Image.Image:
    """Return the middle of a picture that is very long, so that 20000 x 2 pixels are not blown up to gigabytes."""
    most = LONGEST_RATIO * min(image.size)
    if max(image.size) <= most:
        return image
    width, height = (min(side, most) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _middle_square(image: Image.Image, square_px: int) -> Image.Image:
    """Scale the shorter side and crop, rounding as transformers' CLIPImageProcessor rounds."""
    longest_px = int(square_px * max(image.size) / min(image.size))
    size = (longest_px, square_px) if image.width >= image.height else (square_px, longest_px)
    left, top = ((side - square_px) // 2 for side in size)
    # Not in one step with ``box=``: Pillow's result then differs near the edges, by up to 24 of 255 on noise.
    scaled = image.resize(size, Image.Resampling.BICUBIC)
    return scaled.crop((left, top, left + square_px, top + square_px))
