"""Text and picture search over the catalogue."""

from prethrift_backend.search.query import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    MAX_QUERY_CHARACTERS,
    MAX_REACH,
    SearchQuery,
    VisualQuery,
)
from prethrift_backend.search.ranking import SourceRank
from prethrift_backend.search.repository import Found
from prethrift_backend.search.schemas import Hit, SearchResponse, SourceOut
from prethrift_backend.search.service import SearchResults, SearchService

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "MAX_QUERY_CHARACTERS",
    "MAX_REACH",
    "Found",
    "Hit",
    "SearchQuery",
    "SearchResponse",
    "SearchResults",
    "SearchService",
    "SourceOut",
    "SourceRank",
    "VisualQuery",
]
