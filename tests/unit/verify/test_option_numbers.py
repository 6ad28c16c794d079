"""Numbers as options of the commands give them."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from prethrift_backend.verify.option_numbers import count, positive, share


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [(positive, "0.5", 0.5), (positive, "3600", 3600.0), (share, "0", 0.0), (share, "1", 1.0), (count, "10000", 10000)],
)
def test_a_number_within_its_bounds_is_read(read: Callable[[str], float], text: str, value: float) -> None:
    """The bounds themselves are within."""
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "bounds"),
    [
        (positive, "0", "from 0.001 to 3600"),
        (positive, "inf", "from 0.001 to 3600"),
        (positive, "soon", "from 0.001 to 3600"),
        (share, "-0.1", "from 0 to 1"),
        (share, "nan", "from 0 to 1"),
        (share, "90%", "from 0 to 1"),
        (count, "0", "from 1 to 10000"),
        (count, "10001", "from 1 to 10000"),
    ],
)
def test_what_is_no_such_number_is_told_with_the_bounds(read: Callable[[str], float], text: str, bounds: str) -> None:
    """The value stands in the text, and what may be given."""
    with pytest.raises(argparse.ArgumentTypeError, match=rf"'{text}' is no number {bounds}"):
        read(text)


def test_a_count_is_whole() -> None:
    """A part of a request or of a scrape is none: it is refused, and not cut off."""
    with pytest.raises(argparse.ArgumentTypeError, match=r"'2\.5' is no whole number from 1 to 10000"):
        count("2.5")
