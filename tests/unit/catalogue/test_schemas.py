"""What may be taken into the catalogue, and how an item is shown."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from pydantic import ValidationError

from prethrift_backend.catalogue import Item, ItemOut, NewItem, StoredPicture

GOOD = {"title": " Red hat ", "category": "hat", "price": "9.50"}


def test_white_space_around_texts_is_dropped() -> None:
    """A title is kept as it is meant."""
    assert NewItem.model_validate(GOOD).title == "Red hat"


@pytest.mark.parametrize(
    "change",
    [
        {"title": "  "},
        {"title": "a" * 201},
        {"title": "a\x00b"},
        {"title": "\ud800"},
        {"price": "-1"},
        {"price": "1.234"},
        {"price": "NaN"},
        {"currency": "euro"},
        {"category": ""},
    ],
)
def test_what_cannot_be_stored_is_refused(change: dict[str, str]) -> None:
    """Every rule of the table is checked before the table is asked."""
    with pytest.raises(ValidationError):
        NewItem.model_validate({**GOOD, **change})


def test_the_text_model_reads_title_and_description() -> None:
    """Both are in the text, and no stray full stop where there is no description."""
    assert NewItem.model_validate(GOOD).text == "Red hat"
    assert NewItem.model_validate({**GOOD, "description": "Felt."}).text == "Red hat. Felt."


def test_an_item_is_shown_without_its_key() -> None:
    """The path of the picture is ours, not the store's, and the price keeps its cents."""
    picture = StoredPicture("items/secret-key.png", "image/png", 4, 3, 99)
    item = Item(UUID(int=1), "Red hat", "", "hat", Decimal("9.50"), "EUR", picture, datetime(2026, 1, 1, tzinfo=UTC))

    shown = ItemOut.of(item).model_dump(mode="json")

    assert shown["image"]["url"] == f"/api/items/{UUID(int=1)}/image"
    assert shown["price"] == "9.50"
    assert "secret-key" not in str(shown)
