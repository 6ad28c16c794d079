"""The sample catalogue: always the same, complete, and fit to be sold."""

from decimal import Decimal
from io import BytesIO
from itertools import islice

import pytest
from PIL import Image

from prethrift_backend.devstack import sample
from prethrift_backend.devstack.garments import every_garment
from prethrift_backend.devstack.sample import SAMPLE_COUNT, SampleItem, sample_items


@pytest.fixture(scope="module", name="items")
def all_items() -> list[SampleItem]:
    """List the whole catalogue once."""
    return list(sample_items())


def test_the_catalogue_has_600_items(items: list[SampleItem]) -> None:
    """Without a count there are 600."""
    assert len(items) == SAMPLE_COUNT == 600


def test_the_catalogue_is_the_same_every_time(items: list[SampleItem]) -> None:
    """A second round yields equal items in the same order."""
    assert list(sample_items()) == items


def test_a_smaller_catalogue_is_the_beginning_of_the_larger(items: list[SampleItem]) -> None:
    """An item does not depend on how many follow, so a filling that was cut short can go on."""
    assert list(sample_items(25)) == items[:25]


def test_every_combination_is_for_sale(items: list[SampleItem]) -> None:
    """All 384 combinations are among the first 384 items."""
    assert {item.garment for item in items[:384]} == set(every_garment())


def test_titles_name_colour_and_kind(items: list[SampleItem]) -> None:
    """A title starts with a capital and has the words that people search by."""
    for item in items:
        words = item.title.lower().split()

        assert item.title[0].isupper()
        assert {item.garment.colour, item.garment.kind} <= set(words)
        assert item.garment.pattern in words or item.garment.pattern == "plain"


def test_descriptions_are_varied_sentences(items: list[SampleItem]) -> None:
    """Nearly no description repeats, none names another colour, and articles fit their nouns."""
    descriptions = [item.description for item in items]

    assert len(set(descriptions)) > 570
    assert all(item.garment.colour in item.description.lower() for item in items)
    assert not [text for text in descriptions if text.startswith(("A orange", "A trousers", "An b"))]
    assert all(text.endswith(".") for text in descriptions)


def test_trousers_and_dresses_are_categories_in_the_plural(items: list[SampleItem]) -> None:
    """The category is the plural of the kind, one for each kind."""
    categories = {item.garment.kind: item.category for item in items}

    assert len(set(categories.values())) == 8
    assert (categories["dress"], categories["scarf"], categories["trousers"]) == ("dresses", "scarves", "trousers")


def test_prices_are_money_between_3_and_120(items: list[SampleItem]) -> None:
    """Prices are decimals with two places, within the bounds, and not all alike."""
    prices = [item.price for item in items]

    assert all(Decimal(3) <= price <= Decimal(120) for price in prices)
    assert {price.as_tuple().exponent for price in prices} == {-2}
    assert len(set(prices)) > 50


def test_pictures_are_small_pngs_of_320_pixels(items: list[SampleItem]) -> None:
    """A picture opens as PNG, is 320 pixels square and below 30 kB."""
    for item in items[:384:16]:
        data = item.picture_png()
        picture = Image.open(BytesIO(data))

        assert (picture.format, picture.size) == ("PNG", (320, 320))
        assert len(data) < 30_000


def test_a_picture_is_the_same_bytes_every_time(items: list[SampleItem]) -> None:
    """The picture's bytes are repeatable, so the image store sees no change when it is filled again."""
    assert items[3].picture_png() == items[3].picture_png()


def test_the_same_garment_twice_has_two_pictures(items: list[SampleItem]) -> None:
    """Item 384 shows the garment of item 0 in another pose."""
    assert items[384].garment == items[0].garment
    assert items[384].picture_png() != items[0].picture_png()


def test_pictures_are_drawn_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing the catalogue draws nothing."""

    def refuse(*_args: object, **_options: object) -> None:
        pytest.fail("a picture was drawn")

    monkeypatch.setattr(sample, "draw", refuse)

    assert len(list(islice(sample_items(), 50))) == 50
