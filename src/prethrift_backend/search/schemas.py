"""What a search gives out over HTTP."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field

from prethrift_backend.catalogue import ItemOut
from prethrift_backend.catalogue.schemas import item_fields
from prethrift_backend.search.repository import Found
from prethrift_backend.search.service import SearchResults


class SourceOut(BaseModel):
    """Why one source proposed an item."""

    rank: int = Field(examples=[1], description="From 1; equals have the same.")
    similarity: float = Field(examples=[0.83], description="On this source's own scale: compare within it only.")


class Hit(ItemOut):
    """An item that was found, and why."""

    score: float = Field(
        examples=[0.0489],
        description="By words: the sum over the sources of 1 / (60 + rank). By picture: the cosine similarity.",
    )
    sources: dict[str, SourceOut] = Field(
        examples=[{"picture": {"rank": 2, "similarity": 0.31}, "text": {"rank": 1, "similarity": 0.83}}],
        description="The sources that proposed it: `picture`, `text`, `words`.",
    )

    @classmethod
    def of_found(cls, found: Found) -> Self:
        """Show what was found."""
        sources = {name: {"rank": why.rank, "similarity": why.similarity} for name, why in found.sources.items()}
        return cls.model_validate({**item_fields(found.item), "score": found.score, "sources": sources})


class SearchResponse(BaseModel):
    """One page of hits, best first."""

    hits: list[Hit]
    limit: int = Field(examples=[20])
    offset: int = Field(examples=[0])
    next_offset: int | None = Field(examples=[20], description="Where the next page starts; null on the last one.")

    @classmethod
    def of(cls, results: SearchResults) -> Self:
        """Show a page."""
        hits = [Hit.of_found(found) for found in results.hits]
        return cls(hits=hits, limit=results.limit, offset=results.offset, next_offset=results.next_offset)
