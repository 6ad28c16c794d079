"""The routes of the catalogue: put an item in, look at it and its picture, take it out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Header, Response, UploadFile
from pydantic import Field

from prethrift_backend.api.dependencies import Catalogue
from prethrift_backend.api.problems import UPLOAD_PROBLEMS, problem_responses
from prethrift_backend.catalogue import ItemOut, NewItem

router = APIRouter(prefix="/api/items", tags=["items"])

_NO_ITEM = problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)

_IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")


class ItemForm(NewItem):
    """An item and its picture, as a form sends them."""

    image: UploadFile = Field(description="A JPEG, PNG or WebP picture of at most 10 MB.")


# A picture never changes under its id, so that whoever has it need not ask again.
_IMAGE_CACHE_CONTROL = "public, max-age=31536000, immutable"


@router.post(
    "",
    summary="Put an item in",
    status_code=HTTPStatus.CREATED,
    response_description="The item as it is kept; Location names it.",
    responses=UPLOAD_PROBLEMS,
)
async def add_item(
    form: Annotated[ItemForm, Form(media_type="multipart/form-data")], catalogue: Catalogue, response: Response
) -> ItemOut:
    """Keep an item and its picture, both searchable at once; if anything fails, neither is kept."""
    new = NewItem(**form.model_dump(exclude={"image"}))
    item = await catalogue.ingest(new, await form.image.read())
    response.headers["Location"] = f"/api/items/{item.id}"
    return ItemOut.of(item)


@router.get("/{item_id}", summary="Look at an item", responses=_NO_ITEM)
async def get_item(item_id: UUID, catalogue: Catalogue) -> ItemOut:
    """Look at one item."""
    return ItemOut.of(await catalogue.get(item_id))


@router.get(
    "/{item_id}/image",
    summary="Look at an item's picture",
    response_class=Response,
    responses={
        **_NO_ITEM,
        200: {
            "description": "The picture.",
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _IMAGE_TYPES},
        },
        304: {"description": "Not Modified: the caller has this picture."},
    },
)
async def get_item_image(
    item_id: UUID, catalogue: Catalogue, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Look at the picture of an item."""
    image = await catalogue.read_image(item_id)
    headers = {
        "ETag": image.etag,
        "Cache-Control": _IMAGE_CACHE_CONTROL,
        "X-Content-Type-Options": "nosniff",
    }
    if if_none_match is not None and _names(if_none_match, image.etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(image.data, media_type=image.media_type, headers=headers)


def _names(if_none_match: str, etag: str) -> bool:
    """Tell whether the header names the entity tag, by the weak comparison of RFC 9110 section 13.1.2."""
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return any(tag in ("*", etag.removeprefix("W/")) for tag in tags)


@router.delete("/{item_id}", summary="Take an item out", status_code=HTTPStatus.NO_CONTENT, responses=_NO_ITEM)
async def delete_item(item_id: UUID, catalogue: Catalogue) -> None:
    """Take an item and its picture out."""
    await catalogue.delete(item_id)
