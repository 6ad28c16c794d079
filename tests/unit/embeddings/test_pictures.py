"""Pictures on their way to the models' process."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from prethrift_backend.embeddings.pictures import FALLBACK_SHORTEST_PX, Pixels, cut_to, describe, unpack


def _noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_a_very_long_picture_is_not_blown_up() -> None:
    """A picture of 20000 x 2 pixels becomes one square."""
    pixels = cut_to(Image.new("RGB", (20_000, 2)), 224)

    assert (pixels.width, pixels.height, len(pixels.data)) == (224, 224, 224 * 224 * 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    """Whatever the mode, three bytes a pixel are sent."""
    assert len(cut_to(Image.new(mode, (10, 10)), 8).data) == 8 * 8 * 3


def test_without_a_square_a_picture_is_only_made_smaller() -> None:
    """For a model with other preprocessing the proportions are kept, and a small picture stays as it is."""
    large, small = cut_to(Image.new("RGB", (2000, 1000)), None), cut_to(Image.new("RGB", (20, 10)), None)

    assert (large.width, large.height) == (2 * FALLBACK_SHORTEST_PX, FALLBACK_SHORTEST_PX)
    assert (small.width, small.height) == (20, 10)


@given(sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=5))
def test_pictures_survive_the_frame(sizes: list[tuple[int, int]]) -> None:
    """Pictures of different sizes are found again in one payload."""
    pictures = [Pixels(width, height, _noise(width, height).tobytes()) for width, height in sizes]

    header, payload = describe(pictures)

    assert unpack({"sizes": header}, payload) == pictures
