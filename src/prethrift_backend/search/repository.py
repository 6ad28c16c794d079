"""The statements of search: one for each kind.

Each source is a CTE that gives its 200 best candidates, filters applied within, since a filter behind the source would
leave pages half empty. The text of the statement depends only on which filters are set, so that the driver's prepared
statements fit. ``rank()`` gives equals the same rank, and the id decides between equal scores: the order is total.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import (
    CTE,
    ColumnElement,
    Double,
    Float,
    Integer,
    Label,
    Numeric,
    Row,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from prethrift_backend.catalogue import Item
from prethrift_backend.catalogue.models import CLIP_TYPE, ITEM_COLUMNS, TEXT_TYPE, items, vector_text
from prethrift_backend.catalogue.repository import item_of
from prethrift_backend.embeddings import QueryVectors, Vector
from prethrift_backend.search.query import SearchQuery, VisualQuery
from prethrift_backend.search.ranking import CANDIDATES, RANK_CONSTANT, SOURCE_WEIGHTS, SourceRank


@dataclass(frozen=True, slots=True)
class Found:
    """An item that a search found, and why."""

    item: Item
    score: float
    sources: dict[str, SourceRank]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which filters a statement has; their values are parameters."""

    max_price: bool
    category: bool

    @classmethod
    def of(cls, query: VisualQuery) -> Filters:
        """Tell which filters a query sets."""
        return cls(query.max_price is not None, query.category is not None)


async def find_by_text(connection: AsyncConnection, query: SearchQuery, vectors: QueryVectors) -> list[Found]:
    """Return one hit more than the page holds, if there is one."""
    rows = await connection.execute(text_statement(Filters.of(query.page())), text_parameters(query, vectors))
    return [_found(row, SOURCE_WEIGHTS) for row in rows]


async def find_by_picture(connection: AsyncConnection, query: VisualQuery, vector: Vector) -> list[Found]:
    """Return one hit more than the page holds, if there is one; the score is the cosine similarity."""
    rows = await connection.execute(visual_statement(Filters.of(query)), visual_parameters(query, vector))
    return [_found(row, ("picture",)) for row in rows]


async def nearest_by_picture(connection: AsyncConnection, vector: Vector, limit: int) -> list[UUID]:
    """Return the ids of the nearest pictures, nearest first, by the index alone: for measuring its recall."""
    distance = items.c.clip_vector.cosine_distance(_parsed_once("clip", CLIP_TYPE))
    nearest = select(items.c.id).order_by(distance).limit(limit)
    return list((await connection.scalars(nearest, {"clip": vector_text(vector)})).all())


def text_parameters(query: SearchQuery, vectors: QueryVectors) -> dict[str, Any]:
    """Return the parameters of ``text_statement``."""
    words = {"q": query.q, "clip": vector_text(vectors.clip), "text": vector_text(vectors.text)}
    return _page_parameters(query.page()) | words


def visual_parameters(query: VisualQuery, vector: Vector) -> dict[str, Any]:
    """Return the parameters of ``visual_statement``."""
    return _page_parameters(query) | {"clip": vector_text(vector)}


def _page_parameters(query: VisualQuery) -> dict[str, Any]:
    filters = {"max_price": query.max_price, "category": query.category}
    given = {name: value for name, value in filters.items() if value is not None}
    return {"limit": query.limit + 1, "offset": query.offset} | given


@cache
def text_statement(filters: Filters) -> Select[Any]:
    """Build the hybrid search: three rankings fused by reciprocal rank.

    Built once for each set of filters: it is 1.5 ms of Python on the event loop, as much as the rest of a search.
    """
    conditions = _conditions(filters)
    sources = {
        "picture": _nearest("picture", items.c.clip_vector, _parsed_once("clip", CLIP_TYPE), conditions),
        "text": _nearest("text", items.c.text_vector, _parsed_once("text", TEXT_TYPE), conditions),
        "words": _matching(conditions),
    }
    proposals = union_all(*(_proposals(name, source, sources) for name, source in sources.items())).cte("proposals")
    fused = _fuse(proposals, sources)
    # In the order of the sources, never in that in which rows happen to arrive: sums of floats depend on it.
    score = sum(
        (_share(fused.c[f"{name}_rank"], SOURCE_WEIGHTS[name]) for name in sources), start=literal_column("0.0", Double)
    ).label("score")
    return _page(fused, score)


@cache
def visual_statement(filters: Filters) -> Select[Any]:
    """Build the search by picture: one ranking."""
    source = _nearest("picture", items.c.clip_vector, _parsed_once("clip", CLIP_TYPE), _conditions(filters))
    named = select(
        source.c.id, source.c.rank.label("picture_rank"), source.c.similarity.label("picture_similarity")
    ).cte("named")
    return _page(named, named.c.picture_similarity.label("score"))


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.max_price:
        # Without the column's precision, by which a limit of a thousand millions would not be a number.
        conditions.append(items.c.price <= bindparam("max_price", type_=Numeric()))
    if filters.category:
        conditions.append(items.c.category == bindparam("category", type_=Text()))
    return conditions


def _parsed_once(name: str, kind: VECTOR) -> ColumnElement[Any]:
    """Put the parameter into a subquery of its own, which is evaluated once; a bare cast is parsed for every row.

    Measured over 3,000 items: PostgreSQL's generic plan, which it takes from the sixth execution on, needed 140 ms.
    """
    return select(cast(bindparam(name, type_=Text()), kind)).scalar_subquery()


def _nearest(name: str, column: Any, vector: ColumnElement[Any], conditions: list[ColumnElement[bool]]) -> CTE:
    """Rank by cosine distance; the order by the bare operator, with a limit, is what the HNSW index answers."""
    distance = column.cosine_distance(vector).label("distance")
    nearest = (
        select(items.c.id, distance).where(*conditions).order_by(distance).limit(CANDIDATES).cte(f"{name}_nearest")
    )
    similarity = (1 - nearest.c.distance).label("similarity")
    return _ranked(name, nearest, similarity)


def _matching(conditions: list[ColumnElement[bool]]) -> CTE:
    """Rank by the words themselves, title before category before description; all words must be there."""
    wanted = func.websearch_to_tsquery(literal_column("'english'::regconfig"), bindparam("q", type_=Text()))
    # Divided by length (1): a title of three words that has all three says more than a long description.
    relevance = cast(func.ts_rank_cd(items.c.search_words, wanted, 1), Double).label("relevance")
    matching = (
        select(items.c.id, relevance)
        .where(items.c.search_words.bool_op("@@")(wanted), *conditions)
        .order_by(relevance.desc(), items.c.id)
        .limit(CANDIDATES)
        .cte("words_matching")
    )
    return _ranked("words", matching, matching.c.relevance.label("similarity"))


def _ranked(name: str, candidates: CTE, similarity: Label[Any]) -> CTE:
    rank = func.rank().over(order_by=similarity.element.desc()).label("rank")
    return select(candidates.c.id, rank, similarity).cte(name)


def _proposals(name: str, source: CTE, sources: dict[str, CTE]) -> Select[Any]:
    """Spread a source's ranks over the columns of all, so that one grouping brings an item's ranks together."""
    columns: list[ColumnElement[Any]] = [source.c.id]
    for other in sources:
        columns.append((source.c.rank if other == name else cast(null(), source.c.rank.type)).label(f"{other}_rank"))
        similarity = source.c.similarity if other == name else cast(null(), Double)
        columns.append(similarity.label(f"{other}_similarity"))
    return select(*columns)


def _fuse(proposals: CTE, sources: dict[str, CTE]) -> CTE:
    figures = [
        func.max(proposals.c[f"{name}_{figure}"]).label(f"{name}_{figure}")
        for name in sources
        for figure in ("rank", "similarity")
    ]
    return select(proposals.c.id, *figures).group_by(proposals.c.id).cte("fused")


def _share(rank: ColumnElement[int], weight: float) -> ColumnElement[float]:
    share = literal_column(f"{weight!r}::float8", Float) / (literal_column(str(RANK_CONSTANT)) + rank)
    return func.coalesce(share, literal_column("0.0"))


def _page(ranked: CTE, score: Label[float]) -> Select[Any]:
    """Cut the page out before the items are read: 21 rows are fetched, not 600."""
    page = (
        select(*ranked.c, score)
        .order_by(score.desc(), ranked.c.id)
        .limit(bindparam("limit", type_=Integer()))
        .offset(bindparam("offset", type_=Integer()))
    ).cte("page")
    figures = [column for column in page.c if column.name != "id"]
    return (
        select(*ITEM_COLUMNS, *figures)
        .join_from(page, items, items.c.id == page.c.id)
        .order_by(page.c.score.desc(), page.c.id)
    )


def _found(row: Row[Any], sources: Any) -> Found:
    figures = row._mapping  # the documented way to a column by name, underscore or not
    why = {
        name: SourceRank(rank=figures[f"{name}_rank"], similarity=figures[f"{name}_similarity"])
        for name in sources
        if figures[f"{name}_rank"] is not None
    }
    return Found(item_of(row), float(figures["score"]), why)
