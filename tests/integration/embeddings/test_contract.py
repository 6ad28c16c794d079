"""What holds for every implementation of embeddings: the null is tested against the real one."""

import asyncio

import numpy as np
import pytest
from PIL import Image

from prethrift_backend.embeddings import Embeddings, ModelEmbeddings, ModelState, NullEmbeddings, Vector

# The models live in the session's loop, and so do the tests that ask them.
pytestmark = pytest.mark.asyncio(loop_scope="session")

TEXTS = ["blue striped dress", "", "  ", "Größe 38 · 裙子 · 👗", "\ud800 half a pair", "dress " * 5000]


@pytest.fixture(scope="session", params=["null", "model"])
def embeddings(request: pytest.FixtureRequest) -> Embeddings:
    """Give each implementation in turn."""
    if request.param == "null":
        return NullEmbeddings()
    loaded: ModelEmbeddings = request.getfixturevalue("models")
    return loaded


def _is_unit(vector: Vector, dimensions: int) -> bool:
    length = float(np.linalg.norm(vector.astype(np.float64)))
    return vector.shape == (dimensions,) and vector.dtype == np.float32 and abs(length - 1) < 1e-5


async def test_it_is_ready(embeddings: Embeddings) -> None:
    """Once waited for, the state is ready and there is no failure to tell."""
    await embeddings.wait_ready(1)

    assert (embeddings.state, embeddings.failure) == (ModelState.READY, None)


@pytest.mark.parametrize("text", TEXTS, ids=["plain", "empty", "blank", "unicode", "surrogate", "long"])
async def test_any_text_gives_two_unit_vectors(embeddings: Embeddings, text: str) -> None:
    """A query has 512 and 384 numbers, float32, of unit length, whatever the text."""
    vectors = await embeddings.embed_query(text)

    assert _is_unit(vectors.clip, 512)
    assert _is_unit(vectors.text, 384)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (64, 64), (900, 40)])
async def test_any_picture_gives_a_unit_vector(embeddings: Embeddings, mode: str, size: tuple[int, int]) -> None:
    """A picture has 512 numbers, float32, of unit length, whatever its mode and size."""
    assert _is_unit(await embeddings.embed_picture(Image.new(mode, size)), 512)


async def test_the_same_input_gives_the_same_vector(embeddings: Embeddings) -> None:
    """Alone or in a crowd, a text and a picture have one vector each, but for rounding."""
    picture = Image.new("RGB", (80, 60), (200, 30, 30))
    alone = await embeddings.embed_item(picture, "a red hat")

    crowd = [embeddings.embed_item(picture, text) for text in ("a red hat", "a much longer text about shoes")]
    together = (await asyncio.gather(*crowd))[0]

    np.testing.assert_allclose(together.clip, alone.clip, atol=1e-5)
    np.testing.assert_allclose(together.text, alone.text, atol=1e-5)


async def test_different_inputs_give_different_vectors(embeddings: Embeddings) -> None:
    """No two of these share a vector: nothing is dropped on the way."""
    first, second = [await embeddings.embed_query(text) for text in ("red hat", "green trousers")]
    red, blue = [await embeddings.embed_picture(Image.new("RGB", (64, 64), colour)) for colour in ("red", "blue")]

    assert first.text @ second.text < 0.999
    assert first.clip @ second.clip < 0.999
    assert red @ blue < 0.999


async def test_a_query_and_an_item_share_the_text_space(embeddings: Embeddings) -> None:
    """The same words have the same text vector as a query and as an item."""
    query = await embeddings.embed_query("wool coat")
    item = await embeddings.embed_item(Image.new("RGB", (64, 64)), "wool coat")

    np.testing.assert_allclose(item.text, query.text, atol=1e-5)


async def test_texts_and_pictures_share_the_clip_space(embeddings: Embeddings) -> None:
    """A plain red picture is nearer to "red" than to "blue" in either implementation."""
    picture = Image.new("RGB", (64, 64), (205, 35, 40))
    vector = await embeddings.embed_picture(picture)
    red, blue = [(await embeddings.embed_query(text)).clip for text in ("red", "blue")]

    assert vector @ red > vector @ blue


async def test_vectors_cannot_be_written_to(embeddings: Embeddings) -> None:
    """A vector may be shared with other callers, so nobody may change it."""
    vectors = await embeddings.embed_query("dress")

    assert not vectors.clip.flags.writeable
    assert not vectors.text.flags.writeable
