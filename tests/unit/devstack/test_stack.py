"""What `prethrift-backend dev` is asked for, before it starts anything."""

from __future__ import annotations

import pytest

from prethrift_backend.devstack import stack
from prethrift_backend.devstack.filling import sample_id
from prethrift_backend.devstack.sample import sample_items
from prethrift_backend.exceptions import DevstackError


@pytest.mark.parametrize("garments", [-1, 0, stack._FEWEST_GARMENTS - 1, 601])
def test_a_number_of_garments_that_cannot_be_is_refused(garments: int) -> None:
    """The range is said."""
    with pytest.raises(DevstackError, match=rf"--garments {garments} cannot be: give a number from 40 to 600"):
        stack.run(None, garments=garments)


def test_the_picture_to_try_is_among_the_fewest_garments() -> None:
    """What is printed to try works however few there are."""
    fewest = [sample_id(number) for number, _ in enumerate(sample_items(stack._FEWEST_GARMENTS))]

    assert stack._red_hat() in fewest
