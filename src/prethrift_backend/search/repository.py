"""The statements of search: one for each kind.

Each source is a CTE that gives its 200 best candidates, filters applied within, since a filter behind the source would
leave pages half empty. The text of the statement depends only on which filters are set, so that the driver's prepared
statements fit. ``rank()`` gives equals the same rank, and the id decides between equal scores: the order is total.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import (
    CTE,
    ColumnElement,
    Double,
    Float,
    Label,
    Numeric,
    Row,
    Select,
    Text,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from prethrift_backend.catalogue import Item
from prethrift_backend.catalogue.models import CLIP_TYPE, ITEM_COLUMNS, TEXT_TYPE, items, vector_literal
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


async def find_by_text(connection: AsyncConnection, query: SearchQuery, vectors: QueryVectors) -> list[Found]:
    """Return one hit more than the page holds, if there is one."""
    rows = await connection.execute(text_statement(query, vectors))
    return [_found(row, SOURCE_WEIGHTS) for row in rows]


async def find_by_picture(connection: AsyncConnection, query: VisualQuery, vector: Vector) -> list[Found]:
    """Return one hit more than the page holds, if there is one; the score is the cosine similarity."""
    rows = await connection.execute(visual_statement(query, vector))
    return [_found(row, ("picture",)) for row in rows]


async def nearest_by_picture(connection: AsyncConnection, vector: Vector, limit: int) -> list[UUID]:
    """Return the ids of the nearest pictures, nearest first, by the index alone: for measuring its recall."""
    distance = items.c.clip_vector.cosine_distance(_parsed_once(vector, CLIP_TYPE))
    return list((await connection.scalars(select(items.c.id).order_by(distance).limit(limit))).all())


def text_statement(query: SearchQuery, vectors: QueryVectors) -> Select[Any]:
    """Build the hybrid search: three rankings fused by reciprocal rank."""
    filters = _filters(query.page())
    sources = {
        "picture": _nearest("picture", items.c.clip_vector, _parsed_once(vectors.clip, CLIP_TYPE), filters),
        "text": _nearest("text", items.c.text_vector, _parsed_once(vectors.text, TEXT_TYPE), filters),
        "words": _matching(query.q, filters),
    }
    proposals = union_all(*(_proposals(name, source, sources) for name, source in sources.items())).cte("proposals")
    fused = _fuse(proposals, sources)
    # In the order of the sources, never in that in which rows happen to arrive: sums of floats depend on it.
    score = sum(
        (_share(fused.c[f"{name}_rank"], SOURCE_WEIGHTS[name]) for name in sources), start=literal_column("0.0", Double)
    ).label("score")
    return _page(query.page(), fused, score)


def visual_statement(query: VisualQuery, vector: Vector) -> Select[Any]:
    """Build the search by picture: one ranking."""
    source = _nearest("picture", items.c.clip_vector, _parsed_once(vector, CLIP_TYPE), _filters(query))
    named = select(
        source.c.id, source.c.rank.label("picture_rank"), source.c.similarity.label("picture_similarity")
    ).cte("named")
    return _page(query, named, named.c.picture_similarity.label("score"))


def _filters(query: VisualQuery) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = []
    if query.max_price is not None:
        # Without the column's precision, by which a limit of a thousand millions would not be a number.
        filters.append(items.c.price <= literal(query.max_price, Numeric()))
    if query.category is not None:
        filters.append(items.c.category == query.category)
    return filters


def _parsed_once(vector: Vector, kind: VECTOR) -> ColumnElement[Any]:
    """Put the parameter into a subquery of its own, which is evaluated once; a bare cast is parsed for every row.

    Measured over 3,000 items: PostgreSQL's generic plan, which it takes from the sixth execution on, needed 140 ms.
    """
    return select(vector_literal(vector, kind)).scalar_subquery()


def _nearest(name: str, column: Any, vector: ColumnElement[Any], filters: list[ColumnElement[bool]]) -> CTE:
    """Rank by cosine distance; the order by the bare operator, with a limit, is what the HNSW index answers."""
    distance = column.cosine_distance(vector).label("distance")
    nearest = select(items.c.id, distance).where(*filters).order_by(distance).limit(CANDIDATES).cte(f"{name}_nearest")
    similarity = (1 - nearest.c.distance).label("similarity")
    return _ranked(name, nearest, similarity)


def _matching(q: str, filters: list[ColumnElement[bool]]) -> CTE:
    """Rank by the words themselves, title before category before description; all words must be there."""
    wanted = func.websearch_to_tsquery(literal_column("'english'::regconfig"), literal(q, Text))
    # Divided by length (1): a title of three words that has all three says more than a long description.
    relevance = cast(func.ts_rank_cd(items.c.search_words, wanted, 1), Double).label("relevance")
    matching = (
        select(items.c.id, relevance)
        .where(items.c.search_words.bool_op("@@")(wanted), *filters)
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


def _page(query: VisualQuery, ranked: CTE, score: Label[float]) -> Select[Any]:
    """Cut the page out before the items are read: 21 rows are fetched, not 600."""
    page = (
        select(*ranked.c, score).order_by(score.desc(), ranked.c.id).limit(query.limit + 1).offset(query.offset)
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
