"""Drawing: repeatable, varied, and every combination of words is a picture of its own."""

from random import Random

import pytest
from PIL import Image, ImageChops, ImageStat

from prethrift_backend.devstack.garments import COLOURS, KINDS, PATTERNS, Garment, caption, draw, every_garment

DRESS = Garment(colour="blue", pattern="striped", kind="dress")


def drawn(garment: Garment, *, seed: int = 1, size_pixels: int = 64) -> Image.Image:
    """Draw with a generator of its own."""
    return draw(garment, size_pixels=size_pixels, rng=Random(seed))  # a picture, no secret


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of the channels, from 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def test_there_are_384_different_garments() -> None:
    """Twelve colours, four patterns and eight kinds make 384 combinations, dress and hat among the kinds."""
    garments = every_garment()

    assert (len(COLOURS), len(PATTERNS), len(KINDS)) == (12, 4, 8)
    assert len(set(garments)) == len(garments) == 384
    assert {"dress", "hat"} <= set(KINDS)


def test_the_order_of_the_garments_is_fixed() -> None:
    """Two calls list the garments in the same order, because the sample catalogue is shuffled from it."""
    assert every_garment() == every_garment()


def test_all_combinations_are_drawn_and_differ() -> None:
    """Every combination is drawn as a square RGB picture, and no two with the same seed are alike."""
    pictures = [drawn(garment) for garment in every_garment()]

    assert {(picture.mode, picture.size) for picture in pictures} == {("RGB", (64, 64))}
    assert len({picture.tobytes() for picture in pictures}) == 384


def test_the_same_seed_draws_the_same_picture() -> None:
    """A picture depends on garment, size and seed alone, to the byte."""
    assert drawn(DRESS).tobytes() == drawn(DRESS).tobytes()


def test_another_seed_draws_another_picture() -> None:
    """Pose and background vary: twenty seeds give twenty pictures."""
    assert len({drawn(DRESS, seed=seed).tobytes() for seed in range(20)}) == 20


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("size_pixels", [96, 320])
def test_a_seed_is_one_picture_at_any_size(pattern: str, size_pixels: int) -> None:
    """A larger drawing, reduced, is the small drawing: uploads are large, and the model sees 64 pixels."""
    garment = Garment(colour="red", pattern=pattern, kind="coat")
    small, large = drawn(garment), drawn(garment, size_pixels=size_pixels)

    reduced = large.resize((64, 64), Image.Resampling.BICUBIC)

    assert mean_difference(small, reduced) < 5
    assert mean_difference(small, drawn(garment, seed=2)) > 10


@pytest.mark.parametrize(
    ("garment", "expected"),
    [
        (DRESS, "blue striped dress"),
        (Garment(colour="red", pattern="plain", kind="hat"), "red hat"),
    ],
)
def test_a_caption_is_what_people_type(garment: Garment, expected: str) -> None:
    """Colour, pattern, kind; a plain garment has no word for its pattern."""
    assert caption(garment) == expected


def test_captions_tell_all_garments_apart() -> None:
    """No two garments share a caption."""
    assert len({caption(garment) for garment in every_garment()}) == 384
