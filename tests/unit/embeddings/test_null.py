"""The null embeddings: what holds beyond the contract that tests/integration/embeddings tests for both."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from prethrift_backend.embeddings import Embeddings, ModelState, NullEmbeddings
from prethrift_backend.exceptions import ModelsNotReadyError


def test_it_is_an_implementation_of_the_protocol() -> None:
    """The type checker accepts it where embeddings are wanted, and it is ready without a start."""
    embeddings: Embeddings = NullEmbeddings()

    assert embeddings.state is ModelState.READY
    assert embeddings.failure is None


@given(text=st.text(max_size=40))
async def test_any_text_has_a_direction(text: str) -> None:
    """Any text at all, the empty one too, gives unit vectors of the right shapes."""
    vectors = await NullEmbeddings().embed_query(text)

    assert (vectors.clip.shape, vectors.text.shape) == ((512,), (384,))
    assert np.linalg.norm(vectors.clip) == pytest.approx(1, abs=1e-6)


async def test_texts_that_share_words_are_near() -> None:
    """A title with a query's words is nearer to it than one with others."""
    embeddings = NullEmbeddings()
    query, near, far = [
        (await embeddings.embed_query(text)).text for text in ("blue dress", "A Blue striped dress", "green hat")
    ]

    assert query @ near > 0.5 > query @ far


async def test_a_picture_is_near_the_name_of_its_colour() -> None:
    """Texts and pictures lie in one space as far as colours go."""
    embeddings = NullEmbeddings()
    picture = await embeddings.embed_picture(Image.new("RGB", (40, 30), (200, 30, 30)))
    red, blue = [(await embeddings.embed_query(text)).clip for text in ("red hat", "blue hat")]

    assert picture @ red > 0.5 > picture @ blue


@pytest.mark.parametrize("state", [ModelState.NOT_LOADED, ModelState.LOADING, ModelState.FAILED])
async def test_it_can_play_dead(state: ModelState) -> None:
    """With a state other than ready every call raises what the real one raises."""
    embeddings = NullEmbeddings(state=state)

    with pytest.raises(ModelsNotReadyError, match=state.value):
        await embeddings.embed_query("dress")
    with pytest.raises(ModelsNotReadyError):
        await embeddings.wait_ready(1)
