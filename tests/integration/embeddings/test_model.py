"""The models' process: loading, batching, dying, coming back, and leaving the event loop alone."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from tests.support.loop_monitor import watch_loop
from tests.support.waiting import wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.embeddings import (
    EmbeddingInterruptedError,
    ModelEmbeddings,
    ModelState,
    RestartPolicy,
)
from prethrift_backend.embeddings.pictures import cut_to
from prethrift_backend.exceptions import ModelsNotReadyError

LOAD_DEADLINE_SECONDS = 120.0
SOON = RestartPolicy(first_delay_seconds=0.01, longest_delay_seconds=0.05)


@contextlib.asynccontextmanager
async def _running(clip_model: str, text_model: str) -> AsyncIterator[ModelEmbeddings]:
    embeddings = ModelEmbeddings(clip_model=clip_model, text_model=text_model, restarts=SOON)
    embeddings.start()
    try:
        yield embeddings
    finally:
        await embeddings.aclose()


def _pid(embeddings: ModelEmbeddings) -> int:
    assert embeddings.facts is not None
    return embeddings.facts.pid


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE  # an orphan that nobody has collected yet
    except psutil.NoSuchProcess:
        return True


async def test_the_loop_is_never_held_while_models_load_and_embed(model_settings: Settings) -> None:
    """From start to ready, through 64 concurrent items, no hold of the event loop reaches 50 ms."""
    embeddings = ModelEmbeddings.from_settings(model_settings)
    pictures = [Image.new("RGB", (1200, 900), (shade, 80, 90)) for shade in range(64)]
    async with watch_loop() as holds:
        embeddings.start()
        state_after_start = embeddings.state
        await embeddings.wait_ready(LOAD_DEADLINE_SECONDS)
        await asyncio.gather(*(embeddings.embed_item(picture, f"item {i}") for i, picture in enumerate(pictures)))
        await asyncio.gather(*(embeddings.embed_query(f"query {i}") for i in range(64)))
        await embeddings.aclose()

    assert state_after_start is ModelState.LOADING
    assert len(holds.gaps_seconds) > 50  # it did watch
    assert holds.longest_ms < 50


@pytest.mark.asyncio(loop_scope="session")
async def test_a_crowd_is_served_in_full_batches(models: ModelEmbeddings) -> None:
    """64 concurrent queries take two batches of 32 a model, not 64 calls."""
    before = models.figures

    await asyncio.gather(*(models.embed_query(f"a crowd, number {i}") for i in range(64)))

    for kind in ("clip_text", "text"):
        assert models.figures[kind].batches_total - before[kind].batches_total == 2
        assert models.figures[kind].items_total - before[kind].items_total == 64


@pytest.mark.asyncio(loop_scope="session")
async def test_a_query_is_embedded_once(models: ModelEmbeddings) -> None:
    """The same query again, at once or later, costs no further item."""
    before = models.figures["text"].items_total

    await asyncio.gather(*(models.embed_query("asked by many") for _ in range(5)))
    await models.embed_query("asked by many")

    assert models.figures["text"].items_total - before == 1


@pytest.mark.parametrize("size", [(64, 64), (640, 480), (333, 1000), (21, 63)])
def test_cutting_leaves_clip_nothing_to_do(size: tuple[int, int], clip_folder: str) -> None:
    """CLIP's own preprocessing gives the same numbers for the cut picture as for the whole one."""
    from transformers import CLIPImageProcessorPil  # noqa: PLC0415 - seconds of import, for this test alone

    processor = CLIPImageProcessorPil.from_pretrained(clip_folder)
    side = processor.crop_size["height"]
    noise = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    whole = Image.fromarray(noise)

    cut = cut_to(whole, side).image()

    expected = processor(images=whole, return_tensors="np")["pixel_values"]
    np.testing.assert_array_equal(processor(images=cut, return_tensors="np")["pixel_values"], expected)


async def test_a_killed_process_is_replaced(clip_folder: str, text_folder: str) -> None:
    """SIGKILL fails the calls in flight as operational, refuses the next, and a new process answers after that."""
    async with _running(clip_folder, text_folder) as embeddings:
        await embeddings.wait_ready(LOAD_DEADLINE_SECONDS)
        first_pid = _pid(embeddings)
        os.kill(first_pid, signal.SIGSTOP)  # so that the call is surely in flight when the process dies
        in_flight = asyncio.create_task(embeddings.embed_query("lost"))
        await wait_for_async(lambda: embeddings.figures["text"].in_flight, 10)

        os.kill(first_pid, signal.SIGKILL)
        with pytest.raises(EmbeddingInterruptedError):
            await in_flight
        await wait_for_async(lambda: embeddings.state is not ModelState.READY, 10)
        with pytest.raises(ModelsNotReadyError):
            await embeddings.embed_query("too soon")
        await embeddings.wait_ready(LOAD_DEADLINE_SECONDS)

        assert _pid(embeddings) != first_pid
        assert (await embeddings.embed_query("lost")).clip.shape == (512,)


async def test_closing_ends_the_process(clip_folder: str, text_folder: str) -> None:
    """After aclose there is no child, also when it was closed while it loaded, and calls are refused."""
    before = set(psutil.Process().children())
    async with _running(clip_folder, text_folder) as embeddings:
        (child,) = await wait_for_async(lambda: set(psutil.Process().children()) - before, 10)

    assert not child.is_running()
    assert embeddings.state is ModelState.NOT_LOADED
    with pytest.raises(ModelsNotReadyError):
        await embeddings.embed_query("dress")


async def test_a_stopped_process_is_killed_within_the_grace(clip_folder: str, text_folder: str) -> None:
    """A child that does not listen, here because it is stopped, does not hold the shutdown up."""
    async with _running(clip_folder, text_folder) as embeddings:
        await embeddings.wait_ready(LOAD_DEADLINE_SECONDS)
        pid = _pid(embeddings)
        os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(10):
            await embeddings.aclose()

    assert not psutil.pid_exists(pid)


PARENT = """
import asyncio, sys
from prethrift_backend.embeddings import ModelEmbeddings

async def main():
    embeddings = ModelEmbeddings(clip_model=sys.argv[1], text_model=sys.argv[2])
    embeddings.start()
    await embeddings.wait_ready(120)
    print(embeddings.facts.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_process_dies_with_its_parent(clip_folder: str, text_folder: str) -> None:
    """When the backend is killed by SIGKILL and can tell nobody, its models' process ends all the same."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, clip_folder, text_folder, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())

    parent.kill()
    await parent.wait()

    await wait_for_async(lambda: _is_gone(pid), 20)


async def test_a_model_of_other_dimensions_is_refused(text_folder: str) -> None:
    """A text model in CLIP's place fails for good, with name, numbers and fix, and is not tried again."""
    async with _running(text_folder, text_folder) as embeddings:
        with pytest.raises(ModelsNotReadyError, match=r"CLIP_MODEL=.* gives vectors of 384 numbers: .* holds 512"):
            await embeddings.wait_ready(LOAD_DEADLINE_SECONDS)

        assert embeddings.state is ModelState.FAILED
        assert embeddings.failure is not None


async def test_a_folder_that_is_not_there_is_refused(text_folder: str, tmp_path: Path) -> None:
    """A path without a model names the setting and the path."""
    async with _running(str(tmp_path / "none"), text_folder) as embeddings:
        with pytest.raises(ModelsNotReadyError, match=r"CLIP_MODEL=.*none' is not a folder"):
            await embeddings.wait_ready(LOAD_DEADLINE_SECONDS)


async def test_a_missing_extra_is_named(
    clip_folder: str, text_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without sentence-transformers the failure is the line that installs it."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['sentence_transformers'] = None")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async with _running(clip_folder, text_folder) as embeddings:
        with pytest.raises(ModelsNotReadyError, match=r"pip install 'prethrift-backend\[embeddings\]'"):
            await embeddings.wait_ready(LOAD_DEADLINE_SECONDS)
