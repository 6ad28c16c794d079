"""Search as the API calls it: embed, ask the database once, cut the page."""

from __future__ import annotations

from dataclasses import dataclass

from prethrift_backend.catalogue import PictureReader
from prethrift_backend.embeddings import Embeddings
from prethrift_backend.observability import track_search_operation
from prethrift_backend.search import repository
from prethrift_backend.search.query import MAX_REACH, SearchQuery, VisualQuery
from prethrift_backend.search.repository import Found
from prethrift_backend.stores import Postgres

_WARM_UP_WORDS = "blue dress"


@dataclass(frozen=True, slots=True)
class SearchResults:
    """One page. ``next_offset`` starts the next page of the same limit; None where there is none."""

    hits: tuple[Found, ...]
    limit: int
    offset: int
    next_offset: int | None


class SearchService:
    """Both searches; the database and the models are opened and closed by whoever made them."""

    def __init__(self, postgres: Postgres, embeddings: Embeddings) -> None:
        self._postgres = postgres
        self._embeddings = embeddings
        self._pictures = PictureReader()

    async def text(self, query: SearchQuery) -> SearchResults:
        """Search by words; raise an OperationalError when the models or the database are away."""
        async with track_search_operation("text_search") as operation:
            vectors = await self._embeddings.embed_query(query.q)
            # Only now: a connection that waits for a model is a connection that others miss.
            async with self._postgres.connect() as connection:
                found = await repository.find_by_text(connection, query, vectors)
            results = _page_of(found, query.page())
            operation.add(result_count=len(results.hits))
        return results

    async def visual(self, picture: bytes, query: VisualQuery) -> SearchResults:
        """Search by a picture; raise the errors of ``normalise_picture``, or an OperationalError as ``text`` does."""
        async with track_search_operation("visual_search") as operation:
            read = await self._pictures.read(picture)
            vector = await self._embeddings.embed_picture(read.image)
            async with self._postgres.connect() as connection:
                found = await repository.find_by_picture(connection, query, vector)
            results = _page_of(found, query)
            operation.add(result_count=len(results.hits))
        return results

    async def warm_up(self) -> None:
        """Run each search once and forget it; the first caller would else pay for building and planning them.

        Counted nowhere, since nobody searched. Raise what ``text`` raises.
        """
        query = SearchQuery(_WARM_UP_WORDS, limit=1)
        vectors = await self._embeddings.embed_query(query.q)
        async with self._postgres.connect() as connection:
            await repository.find_by_text(connection, query, vectors)
            await repository.find_by_picture(connection, query.page(), vectors.clip)


def _page_of(found: list[Found], query: VisualQuery) -> SearchResults:
    hits = tuple(found[: query.limit])
    next_offset = query.offset + query.limit
    is_followed = len(found) > query.limit and next_offset + query.limit <= MAX_REACH
    return SearchResults(hits, query.limit, query.offset, next_offset if is_followed else None)
