"""The rules of a search query, for every caller."""

from decimal import Decimal
from typing import Any

import pytest

from prethrift_backend.exceptions import InvalidQueryError
from prethrift_backend.search import SearchQuery, VisualQuery


def test_the_text_is_kept_without_white_space_around_it() -> None:
    """The cache of query vectors sees one query, not three."""
    assert SearchQuery("  red hat\n").q == "red hat"


@pytest.mark.parametrize("q", ["", "   ", "a" * 201, "a\x00b", "\udc80"])
def test_a_text_that_cannot_be_searched_for_is_refused(q: str) -> None:
    """Empty, long, or not storable as text."""
    with pytest.raises(InvalidQueryError):
        SearchQuery(q)


@pytest.mark.parametrize(
    "page",
    [
        {"limit": 0},
        {"limit": 101},
        {"offset": -1},
        {"limit": 20, "offset": 181},
        {"max_price": Decimal(-1)},
        {"max_price": Decimal("NaN")},
        {"max_price": Decimal("Infinity")},
        {"category": "a\x00"},
    ],
)
def test_a_page_out_of_range_is_refused_in_both_searches(page: dict[str, Any]) -> None:
    """Both kinds of search hold to the same rules."""
    with pytest.raises(InvalidQueryError):
        SearchQuery("hat", **page)
    with pytest.raises(InvalidQueryError):
        VisualQuery(**page)


def test_the_last_page_that_is_allowed_is_allowed() -> None:
    """Limit + offset may be exactly 200."""
    assert VisualQuery(limit=100, offset=100).offset == 100
