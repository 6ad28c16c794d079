"""The routes of search: by words, and by a picture."""

from __future__ import annotations

from decimal import Decimal
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, File, Query, UploadFile
from pydantic import BaseModel, Field

from prethrift_backend.api.dependencies import Search
from prethrift_backend.api.problems import UPLOAD_PROBLEMS, problem_responses
from prethrift_backend.search import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    MAX_QUERY_CHARACTERS,
    MAX_REACH,
    SearchQuery,
    SearchResponse,
    VisualQuery,
)

router = APIRouter(prefix="/api/search", tags=["search"])


class Page(BaseModel):
    """What every search takes: the part of the results that is wanted, and the filters."""

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="How many hits at most.")
    offset: int = Field(
        0, ge=0, le=MAX_REACH - 1, description=f"How many hits to leave out; limit + offset is {MAX_REACH} at most."
    )
    max_price: Decimal | None = Field(
        None, ge=0, max_digits=10, decimal_places=2, description="Leave out what costs more.", examples=["40"]
    )
    category: str | None = Field(
        None, min_length=1, max_length=64, description="Only this category.", examples=["dress"]
    )


class TextPage(Page):
    """What a search by words takes."""

    q: str = Field(
        min_length=1,
        max_length=MAX_QUERY_CHARACTERS,
        description="What to look for, in your own words.",
        examples=["blue striped dress"],
    )


@router.get(
    "",
    summary="Search by words",
    response_description="The hits, best first; each says why it is there.",
    responses=problem_responses(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def search_by_text(page: Annotated[TextPage, Query()], search: Search) -> SearchResponse:
    """Find items by words: by the look of their pictures, by meaning and by the words themselves, fused by rank."""
    return SearchResponse.of(await search.text(SearchQuery(**page.model_dump())))


@router.post(
    "/visual",
    summary="Search by a picture",
    response_description="The hits, most alike first; each says why it is there.",
    responses=UPLOAD_PROBLEMS,
)
async def search_by_picture(
    image: Annotated[UploadFile, File(description="A JPEG, PNG or WebP picture of at most 10 MB.")],
    page: Annotated[Page, Query()],
    search: Search,
) -> SearchResponse:
    """Find the items whose pictures look most like the one given."""
    return SearchResponse.of(await search.visual(await image.read(), VisualQuery(**page.model_dump())))
