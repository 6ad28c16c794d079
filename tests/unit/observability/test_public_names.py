"""The public surface of the package, held against a stored list."""

from pathlib import Path

from prethrift_backend import observability


def test_the_public_names_are_those_of_the_list() -> None:
    """A name that appears or goes is a decision: change `public_names.txt` with it."""
    stored = Path(__file__).with_name("public_names.txt").read_text().split()

    assert observability.__all__ == stored


def test_every_public_name_exists() -> None:
    """What is announced can be imported."""
    assert all(hasattr(observability, name) for name in observability.__all__)
