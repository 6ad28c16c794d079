"""What the catalogue takes in and gives out over HTTP."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from prethrift_backend.catalogue.models import Item


def check_storable(value: str) -> str:
    """Return ``value`` if PostgreSQL can hold it; raise ValueError for NUL and for half of a surrogate pair."""
    if "\x00" in value:
        raise ValueError("the text holds a NUL character, which cannot be stored: leave it out")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("the text holds half of a surrogate pair, which is no character: leave it out")
    return value


_Storable = AfterValidator(check_storable)


class NewItem(BaseModel):
    """An item before it is taken in."""

    model_config = ConfigDict(frozen=True)

    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), _Storable]
    description: Annotated[str, StringConstraints(strip_whitespace=True, max_length=5000), _Storable] = ""
    category: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), _Storable]
    price: Annotated[Decimal, Field(ge=0, max_digits=10, decimal_places=2)]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "EUR"

    @property
    def text(self) -> str:
        """What the text model reads of the item."""
        return f"{self.title}. {self.description}" if self.description else self.title


class ImageOut(BaseModel):
    """Where an item's picture is, and what it is; the sides are in pixels."""

    url: str = Field(examples=["/api/items/5f0c3a52-6f3e-4c55-9d0f-0a2c6b0f9f11/image"])
    media_type: str = Field(examples=["image/jpeg"])
    width: int = Field(examples=[640])
    height: int = Field(examples=[480])


class ItemOut(BaseModel):
    """One item of the catalogue."""

    id: UUID = Field(examples=["5f0c3a52-6f3e-4c55-9d0f-0a2c6b0f9f11"])
    title: str = Field(examples=["Blue striped dress"])
    description: str = Field(examples=["Worn twice, size M, light cotton."])
    category: str = Field(examples=["dress"])
    price: Decimal = Field(examples=["24.50"], description="As text, so that no cent is lost.")
    currency: str = Field(examples=["EUR"])
    image: ImageOut
    created_at: datetime = Field(examples=["2026-03-01T12:00:00Z"])

    @classmethod
    def of(cls, item: Item) -> Self:
        """Show ``item``."""
        return cls(**item_fields(item))


def item_fields(item: Item) -> dict[str, object]:
    """Return what an ItemOut, or a model that extends it, says of ``item``."""
    image = ImageOut(
        url=f"/api/items/{item.id}/image",
        media_type=item.picture.media_type,
        width=item.picture.width,
        height=item.picture.height,
    )
    return {
        "id": item.id,
        "title": item.title,
        "description": item.description,
        "category": item.category,
        "price": item.price,
        "currency": item.currency,
        "image": image,
        "created_at": item.created_at,
    }
