"""What may be asked for. The rules hold for every caller, HTTP or not."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from prethrift_backend.catalogue import check_storable
from prethrift_backend.exceptions import InvalidQueryError

MAX_QUERY_CHARACTERS = 200
DEFAULT_LIMIT = 20
MAX_LIMIT = 100
# How far the pages of one search reach: each source gives so many candidates, whatever the page, so that the order
# is the same on all pages. Whoever looks at more than 200 hits should ask more precisely.
MAX_REACH = 200


@dataclass(frozen=True, slots=True)
class VisualQuery:
    """The page that is wanted and the filters; raise InvalidQueryError when made with what breaks a rule."""

    limit: int = DEFAULT_LIMIT
    offset: int = 0
    max_price: Decimal | None = None
    category: str | None = None

    def __post_init__(self) -> None:
        _check_page(self.limit, self.offset)
        _check_price(self.max_price)
        if self.category is not None:
            _check_text("category", self.category)


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A text search: ``q`` is kept without white space around it."""

    q: str
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    max_price: Decimal | None = None
    category: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "q", self.q.strip())
        if not 1 <= len(self.q) <= MAX_QUERY_CHARACTERS:
            raise InvalidQueryError(
                f"q has {len(self.q)} characters without the white space around it: give 1 to {MAX_QUERY_CHARACTERS}"
            )
        _check_text("q", self.q)
        self.page()

    def page(self) -> VisualQuery:
        """Return the same page and filters without the text; making it checks them."""
        return VisualQuery(self.limit, self.offset, self.max_price, self.category)


def _check_page(limit: int, offset: int) -> None:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidQueryError(f"limit={limit!r} is out of range: give 1 to {MAX_LIMIT}")
    if offset < 0:
        raise InvalidQueryError(f"offset={offset!r} is negative: give 0 or more")
    if limit + offset > MAX_REACH:
        raise InvalidQueryError(
            f"limit={limit!r} and offset={offset!r} reach beyond hit {MAX_REACH}: their sum may be {MAX_REACH} at "
            "most; ask for something more precise"
        )


def _check_price(max_price: Decimal | None) -> None:
    if max_price is not None and not (max_price.is_finite() and max_price >= 0):
        raise InvalidQueryError(f"max_price={str(max_price)!r} is not a price: give a number from 0")


def _check_text(name: str, value: str) -> None:
    try:
        check_storable(value)
    except ValueError as error:
        raise InvalidQueryError(f"{name} cannot be searched for: {error}") from error
