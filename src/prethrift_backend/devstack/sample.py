"""The sample catalogue: second-hand garments that fill a developer's database, the same ones every time.

Every combination of colour, pattern and kind appears before any appears twice, so that each search that the
development CLIP understands finds something.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from random import Random
from types import MappingProxyType

from prethrift_backend.devstack.garments import Garment, caption, draw, every_garment

SAMPLE_COUNT = 600
PICTURE_PIXELS = 320

_CATEGORIES = MappingProxyType(
    {
        "dress": "dresses",
        "shirt": "shirts",
        "jacket": "jackets",
        "coat": "coats",
        "skirt": "skirts",
        "trousers": "trousers",
        "hat": "hats",
        "scarf": "scarves",
    }
)

# Whole euros between which a price of this kind lies when the condition is middling.
_PRICES = MappingProxyType(
    {
        "dress": (12, 65),
        "shirt": (6, 32),
        "jacket": (18, 85),
        "coat": (25, 110),
        "skirt": (8, 38),
        "trousers": (9, 45),
        "hat": (4, 28),
        "scarf": (4, 24),
    }
)
_LOWEST_PRICE, _HIGHEST_PRICE = Decimal(3), Decimal(120)

_FABRICS = MappingProxyType(
    {
        "dress": ("cotton", "viscose", "linen", "silk", "jersey"),
        "shirt": ("cotton", "linen", "flannel", "poplin"),
        "jacket": ("denim", "cotton twill", "wool", "corduroy"),
        "coat": ("wool", "a wool and cashmere mix", "gabardine", "loden"),
        "skirt": ("cotton", "wool", "linen", "viscose"),
        "trousers": ("cotton", "linen", "wool", "corduroy"),
        "hat": ("felt", "straw", "cotton", "wool"),
        "scarf": ("wool", "silk", "cotton", "cashmere"),
    }
)
_SIZES = ("XS", "S", "M", "M", "L", "L", "XL")
_UNSIZED = ("hat", "scarf")
_PATTERNS = MappingProxyType(
    {
        "plain": ("no pattern", "one even colour"),
        "striped": ("stripes all over", "clear stripes"),
        "dotted": ("polka dots", "round dots"),
        "checked": ("a check pattern", "woven checks"),
    }
)
# What a condition is called, and its share of the middling price.
_CONDITIONS = (
    ("As good as new", Decimal("1.15")),
    ("Worn twice", Decimal("1.05")),
    ("Very good condition", Decimal("1.00")),
    ("Good condition with light signs of wear", Decimal("0.80")),
    ("One small mend on the inside", Decimal("0.65")),
    ("A little faded by the sun", Decimal("0.60")),
)
_OCCASIONS = (
    "Lovely for a summer afternoon.",
    "Warm enough for the first cold days.",
    "Goes with almost anything.",
    "Bought for a wedding and hardly used since.",
    "From a smoke-free home.",
    "Cut a little wide, so it is comfortable.",
    "Washed, ironed and ready to wear.",
    "It has been waiting in my wardrobe for a second life.",
)


@dataclass(frozen=True, slots=True)
class SampleItem:
    """A garment for sale: what the catalogue stores of it, and what its picture shows."""

    title: str
    description: str
    category: str
    price: Decimal
    garment: Garment
    picture_seed: str

    def picture_png(self) -> bytes:
        """Draw the picture: a PNG with sides of 320 pixels, the same bytes every time."""
        picture = draw(self.garment, size_pixels=PICTURE_PIXELS, rng=_random(self.picture_seed))
        buffer = BytesIO()
        # 96 colours (arbitrary) keep it below 30 kB, and nobody sees the difference on flat cloth.
        # Median cut, Pillow's default: the octree takes a fifth of the time and leaves steps in the background.
        picture.quantize(96).save(buffer, format="PNG", optimize=True)
        return buffer.getvalue()


def sample_items(count: int = SAMPLE_COUNT) -> Iterator[SampleItem]:
    """Yield ``count`` items, always the same ones in the same order; pictures are drawn only when asked for.

    The first 384 are all different garments; then the round starts again with other poses, sizes and prices.
    """
    garments = list(every_garment())
    _random("sample catalogue").shuffle(garments)
    for number in range(count):
        yield _item(garments[number % len(garments)], number)


def _random(seed: str) -> Random:
    return Random(seed)  # noqa: S311  # a catalogue that is the same every time, no secrets


def _item(garment: Garment, number: int) -> SampleItem:
    rng = _random(f"sample item {number}")
    condition, share = rng.choice(_CONDITIONS)
    return SampleItem(
        title=_title(garment, rng),
        description=_description(garment, condition, rng),
        category=_CATEGORIES[garment.kind],
        price=_price(garment.kind, share, rng),
        garment=garment,
        picture_seed=f"sample picture {number}",
    )


def _title(garment: Garment, rng: Random) -> str:
    plain = f"plain {garment.colour} {garment.kind}" if garment.pattern == "plain" else caption(garment)
    return _capitalised(rng.choice((caption(garment), plain)))


def _description(garment: Garment, condition: str, rng: Random) -> str:
    """Say what a seller would: the thing and its cloth, its size, its condition, and a word of praise."""
    fabric, pattern = rng.choice(_FABRICS[garment.kind]), rng.choice(_PATTERNS[garment.pattern])
    size = "One size" if garment.kind in _UNSIZED else f"Size {rng.choice(_SIZES)}"
    praise = rng.choice(_OCCASIONS)
    return f"{_opening(garment)} made of {fabric}, with {pattern}. {size}. {condition}. {praise}"


def _opening(garment: Garment) -> str:
    words = f"{garment.colour} {garment.kind}"
    if garment.kind == "trousers":
        return _capitalised(words)
    return f"An {words}" if garment.colour[0] in "aeiou" else f"A {words}"


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


def _price(kind: str, share: Decimal, rng: Random) -> Decimal:
    """Choose a price between 3 and 120, in steps of 50 cents."""
    low, high = _PRICES[kind]
    steps = round(Decimal(rng.randint(low, high)) * share * 2)
    return min(max(Decimal(steps) / 2, _LOWEST_PRICE), _HIGHEST_PRICE).quantize(Decimal("0.01"))
