"""Both searches on a real database, with vectors of hashes: what is found, in which order, at what cost."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import event, text
from tests.support.asgi import Recorder

from prethrift_backend.catalogue.models import StoredPicture
from prethrift_backend.catalogue.repository import insert_item
from prethrift_backend.catalogue.schemas import NewItem
from prethrift_backend.embeddings import ItemVectors, ModelState, NullEmbeddings
from prethrift_backend.exceptions import ModelsNotReadyError
from prethrift_backend.search import SearchQuery, SearchResponse, SearchService, VisualQuery
from prethrift_backend.search.ranking import fused_score
from prethrift_backend.search.repository import (
    Filters,
    nearest_by_picture,
    text_parameters,
    text_statement,
    visual_parameters,
    visual_statement,
)
from prethrift_backend.stores import Postgres

COLOURS = {"red": (205, 35, 40), "blue": (40, 80, 190), "green": (40, 140, 60)}
KINDS = ("dress", "hat", "coat", "scarf")
EMBEDDINGS = NullEmbeddings()


def _picture(colour: str, shade: int = 0) -> Image.Image:
    red, green, blue = COLOURS[colour]
    return Image.new("RGB", (32, 32), (red, green, min(255, blue + shade)))


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


async def _fill(postgres: Postgres) -> None:
    number = 0
    for round_number in range(8):
        for colour in COLOURS:
            for kind in KINDS:
                number += 1
                new = NewItem(title=f"{colour} {kind}", description="", category=kind, price=Decimal(number))
                vectors = await EMBEDDINGS.embed_item(_picture(colour, round_number), new.text)
                await _insert(postgres, new, vectors)


async def _insert(postgres: Postgres, new: NewItem, vectors: ItemVectors) -> None:
    item_id = uuid4()
    picture = StoredPicture(f"items/{item_id}/a.png", "image/png", 32, 32, 100)
    async with postgres.begin() as connection:
        await insert_item(connection, item_id, new=new, picture=picture, vectors=vectors)


@pytest.fixture
async def postgres(migrated_database_url: str) -> AsyncIterator[Postgres]:
    """Open a database without items."""
    opened = Postgres(migrated_database_url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def search(postgres: Postgres) -> SearchService:
    """Search over 96 items: three colours, four kinds, eight of each."""
    await _fill(postgres)
    return SearchService(postgres, EMBEDDINGS)


@contextmanager
def counted_statements(postgres: Postgres) -> Iterator[list[str]]:
    """Collect every statement that the engine sends."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(postgres.engine.sync_engine, "before_cursor_execute", note)
    yield statements
    event.remove(postgres.engine.sync_engine, "before_cursor_execute", note)


async def test_text_search_puts_the_named_thing_first(search: SearchService) -> None:
    """The eight red hats come before everything else."""
    results = await search.text(SearchQuery("red hat", limit=8))

    assert {hit.item.title for hit in results.hits} == {"red hat"}


async def test_hits_say_why_they_are_there(search: SearchService) -> None:
    """Each hit has its rank and similarity by source, and its score is the sum of their shares."""
    hit = (await search.text(SearchQuery("red hat", limit=1))).hits[0]

    assert set(hit.sources) == {"picture", "text", "words"}
    assert hit.sources["words"].rank == 1
    assert hit.sources["text"].similarity == pytest.approx(1.0, abs=1e-5)
    assert hit.score == pytest.approx(fused_score({name: why.rank for name, why in hit.sources.items()}))


async def test_an_item_without_the_words_lacks_that_source(search: SearchService) -> None:
    """The source `words` proposes only what has all the words."""
    hits = (await search.text(SearchQuery("red hat", limit=96))).hits

    assert {hit.item.title for hit in hits if "words" in hit.sources} == {"red hat"}
    assert len(hits) == 96


async def test_visual_search_puts_the_shown_colour_first(search: SearchService) -> None:
    """A blue picture finds the 32 blue items, the most alike first."""
    results = await search.visual(_png(_picture("blue", 3)), VisualQuery(limit=32))

    assert all(hit.item.title.startswith("blue") for hit in results.hits)
    assert results.hits[0].score == results.hits[0].sources["picture"].similarity == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("is_visual", [False, True])
async def test_filters_hold_for_every_hit(search: SearchService, is_visual: bool) -> None:
    """No hit costs more than max_price, and all are of the category."""
    filters: dict[str, Any] = {"max_price": Decimal(40), "category": "coat", "limit": 50}

    if is_visual:
        results = await search.visual(_png(_picture("green")), VisualQuery(**filters))
    else:
        results = await search.text(SearchQuery("green coat", **filters))

    assert len(results.hits) == 10
    assert all(hit.item.category == "coat" and hit.item.price <= 40 for hit in results.hits)


@pytest.mark.parametrize(("max_price", "count"), [("1e30", 24), ("4.995", 1), ("5", 1), ("0", 0)])
async def test_any_price_is_a_limit(search: SearchService, max_price: str, count: int) -> None:
    """A limit may be larger or finer than a price can be; hats cost 2, 6, 10 and so on."""
    results = await search.text(SearchQuery("hat", category="hat", max_price=Decimal(max_price), limit=50))

    assert len(results.hits) == count


@pytest.mark.parametrize("is_visual", [False, True])
async def test_pages_together_are_the_one_large_page(search: SearchService, is_visual: bool) -> None:
    """Following next_offset shows each item once, in the order of a single large page."""

    async def page(limit: int, offset: int) -> Any:
        if is_visual:
            return await search.visual(_png(_picture("red")), VisualQuery(limit=limit, offset=offset))
        return await search.text(SearchQuery("blue dress", limit=limit, offset=offset))

    paged: list[Any] = []
    offset: int | None = 0
    while offset is not None:
        results = await page(7, offset)
        paged += [hit.item.id for hit in results.hits]
        offset = results.next_offset

    assert paged == [hit.item.id for hit in (await page(96, 0)).hits]
    assert len(set(paged)) == 96


async def test_the_last_page_names_no_next_one(search: SearchService) -> None:
    """A page that ends exactly at the last item has no next_offset."""
    results = await search.text(SearchQuery("hat", limit=24, offset=72))

    assert len(results.hits) == 24
    assert results.next_offset is None


@pytest.mark.parametrize("is_visual", [False, True])
async def test_a_search_is_one_statement(search: SearchService, postgres: Postgres, is_visual: bool) -> None:
    """Each search sends exactly one SQL statement."""
    with counted_statements(postgres) as statements:
        if is_visual:
            await search.visual(_png(_picture("red")), VisualQuery())
        else:
            await search.text(SearchQuery("red hat", max_price=Decimal(50), category="hat"))

    assert len(statements) == 1


@pytest.mark.parametrize("q", ["'; DROP TABLE items; --", '"unclosed', "!! & | <->", "ünïcödé 🧥", "a" * 200, "the"])
async def test_any_text_may_be_searched_for(search: SearchService, q: str) -> None:
    """Quotes, operators, stop words and other scripts are text like any other."""
    results = await search.text(SearchQuery(q, limit=5))

    assert len(results.hits) == 5


async def test_an_empty_catalogue_gives_an_empty_page(postgres: Postgres) -> None:
    """With no items there are no hits and no next page."""
    results = await SearchService(postgres, EMBEDDINGS).text(SearchQuery("red hat"))

    assert results.hits == ()
    assert results.next_offset is None


async def test_search_without_models_says_so(postgres: Postgres) -> None:
    """While the models load, a search raises what the API answers with 503."""
    search = SearchService(postgres, NullEmbeddings(state=ModelState.LOADING))

    with pytest.raises(ModelsNotReadyError):
        await search.text(SearchQuery("red hat"))


async def test_the_response_is_made_of_the_results(search: SearchService) -> None:
    """The HTTP model shows score, sources and the picture's path."""
    response = SearchResponse.of(await search.text(SearchQuery("red hat", limit=1))).model_dump(mode="json")

    hit = response["hits"][0]
    assert hit["image"]["url"] == f"/api/items/{hit['id']}/image"
    assert set(hit["sources"]["text"]) == {"rank", "similarity"}
    assert response["next_offset"] == 1


_MANY_ROWS = """
INSERT INTO items (id, title, category, price, picture_key, picture_media_type, picture_width, picture_height,
                   picture_bytes, clip_vector, text_vector)
SELECT gen_random_uuid(), 'thing ' || n, 'category ' || n % 20, n % 100, 'items/' || n, 'image/png', 1, 1, 1,
       (SELECT array_agg(random() - 0.5) FROM generate_series(1, 512) WHERE n > 0)::vector,
       (SELECT array_agg(random() - 0.5) FROM generate_series(1, 384) WHERE n > 0)::vector
FROM generate_series(1, 3000) AS n
"""


async def _plan(postgres: Postgres, statement: Any, values: dict[str, Any]) -> str:
    compiled = statement.compile(dialect=postgres.engine.dialect)
    async with postgres.connect() as connection:
        parameters = tuple((compiled.params | values)[name] for name in compiled.positiontup)
        rows = await connection.exec_driver_sql(f"EXPLAIN {compiled}", parameters)
        return "\n".join(row[0] for row in rows)


async def test_both_vector_indexes_are_used(postgres: Postgres) -> None:
    """Over 3,000 items the planner answers each vector source from its HNSW index, and finds as many as it should."""
    async with postgres.begin() as connection:
        await connection.execute(text(_MANY_ROWS))
    async with postgres.connect() as connection:
        await connection.execute(text("ANALYZE items"))
    vectors = await EMBEDDINGS.embed_query("thing")

    bare, query = Filters(max_price=False, category=False), SearchQuery("thing 7")

    text_plan = await _plan(postgres, text_statement(bare), text_parameters(query, vectors))
    visual_plan = await _plan(postgres, visual_statement(bare), visual_parameters(VisualQuery(), vectors.clip))

    assert "items_clip_vector_hnsw" in text_plan
    assert "items_text_vector_hnsw" in text_plan
    assert "items_search_words_gin" in text_plan
    assert "items_clip_vector_hnsw" in visual_plan


async def test_a_rare_filter_does_not_empty_the_page(postgres: Postgres) -> None:
    """The index scan goes on until the filter has let enough through."""
    async with postgres.begin() as connection:
        await connection.execute(text(_MANY_ROWS))
    search = SearchService(postgres, EMBEDDINGS)

    results = await search.text(SearchQuery("anything", category="category 7", limit=100))

    assert len(results.hits) == 100


async def test_nearest_by_picture_finds_the_picture_itself(search: SearchService, postgres: Postgres) -> None:
    """The nearest of a vector that is in the catalogue is at no distance."""
    vector = np.asarray(await EMBEDDINGS.embed_picture(_picture("red")))

    async with postgres.connect() as connection:
        nearest = await nearest_by_picture(connection, vector, 10)

    assert len(nearest) == 10


async def test_a_warm_up_builds_both_statements_and_counts_as_no_search(postgres: Postgres) -> None:
    """It asks the database twice, and no operation is counted for it."""
    recorder = Recorder()
    with counted_statements(postgres) as statements:
        await SearchService(postgres, EMBEDDINGS).warm_up()

    assert len(statements) == 2
    assert recorder.sample("search_operations_total", search_type="text", status="success") == 0
    await recorder.telemetry.aclose()
