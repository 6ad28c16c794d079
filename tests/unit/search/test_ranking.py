"""Reciprocal rank fusion, by its formula."""

import pytest

from prethrift_backend.search.query import MAX_REACH
from prethrift_backend.search.ranking import CANDIDATES, fused_score


def test_the_score_is_the_sum_of_the_shares() -> None:
    """1 / (60 + rank), over the sources that proposed the item."""
    assert fused_score({"picture": 1, "words": 4}) == pytest.approx(1 / 61 + 1 / 64)


def test_two_sources_that_agree_beat_one_that_is_sure() -> None:
    """An item in the middle of two rankings comes before one at the top of a single one."""
    assert fused_score({"picture": 50, "text": 50}) > fused_score({"words": 1})


def test_every_page_is_within_the_candidates() -> None:
    """A single source gives enough candidates for the farthest page."""
    assert CANDIDATES >= MAX_REACH
