"""Items and their pictures: taken in, shown, removed."""

from prethrift_backend.catalogue.models import Item, StoredPicture
from prethrift_backend.catalogue.pictures import (
    MAX_PICTURE_BYTES,
    MAX_PICTURE_PIXELS,
    Picture,
    PictureReader,
    normalise_picture,
)
from prethrift_backend.catalogue.schemas import ImageOut, ItemOut, NewItem, check_storable
from prethrift_backend.catalogue.service import CatalogueService, ItemExistsError, SweepReport

__all__ = [
    "MAX_PICTURE_BYTES",
    "MAX_PICTURE_PIXELS",
    "CatalogueService",
    "ImageOut",
    "Item",
    "ItemExistsError",
    "ItemOut",
    "NewItem",
    "Picture",
    "PictureReader",
    "StoredPicture",
    "SweepReport",
    "check_storable",
    "normalise_picture",
]
