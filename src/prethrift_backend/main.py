"""The composition root: the one place where every part is made and given what it needs.

``build(settings)`` makes an application and opens nothing; its lifespan opens the parts in order and closes them in the
opposite one. ``uvicorn prethrift_backend.main:app`` works as well: ``app`` is made from the environment when asked for.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from pydantic import SecretStr
from starlette.routing import Route

from prethrift_backend.api import (
    ROUTERS,
    BodyLimit,
    Services,
    health_router,
    install_handlers,
    provide_services,
    use_problem_media_type,
)
from prethrift_backend.catalogue import MAX_PICTURE_BYTES, CatalogueService, SweepReport
from prethrift_backend.config import Settings, load_settings
from prethrift_backend.contracts import load_health_schema
from prethrift_backend.embeddings import CLIP_DIMENSIONS, TEXT_DIMENSIONS, Embeddings, ModelEmbeddings
from prethrift_backend.exceptions import ConfigurationError, ConfigurationFault, ModelsNotReadyError
from prethrift_backend.health import FAMILIES as HEALTH_FAMILIES
from prethrift_backend.health import (
    CheckCode,
    CheckWording,
    DetailsGate,
    HealthEndpoint,
    HealthEngine,
    HealthRegistry,
    Lifecycle,
    Readings,
    check_memory,
    drain_on_signals,
)
from prethrift_backend.observability import (
    Instrumented,
    Telemetry,
    configure,
    get_logger,
    instrument,
    mark_quiet,
)
from prethrift_backend.observability.exposition import MetricsEndpoint
from prethrift_backend.search import SearchService
from prethrift_backend.stores import ImageStore, Postgres

# FastAPI would instrument itself as soon as a global tracer provider is set: a second server span for each request.
_NO_TELEMETRY_OF_ITS_OWN: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}

# Room for the multipart frame and the text fields around a picture of the largest size.
_MAX_BODY_BYTES = MAX_PICTURE_BYTES + 64 * 1024

_MODELS_PATIENCE_SECONDS = 60.0  # arbitrary; the wait is taken up again at once
_MODELS_RETRY_SECONDS = 1.0
_WARM_UP_SECONDS = 5.0  # arbitrary: what a search takes at the very most, several times over

_NO_DATABASE = ConfigurationFault(
    name="DATABASE_URL",
    shown_value=None,
    rule="is not set",
    fix="give a PostgreSQL with pgvector, such as postgresql://user:password@host/database, "
    "or use 'prethrift-backend dev', which brings its own",
)

_DATABASE_WORDING = CheckWording(
    {
        CheckCode.OK: "Database connection successful",
        CheckCode.UNREACHABLE: "The database cannot be reached",
        CheckCode.TIMEOUT: "The database did not answer in time",
        CheckCode.AUTH_FAILED: "The database refused the credentials",
        CheckCode.NOT_FOUND: "The server has no such database",
        CheckCode.BUSY: "The database accepts no further connections",
        CheckCode.POOL_SATURATED: "Every pooled connection is in use, and none came back for a while",
    }
)
_VECTOR_WORDING = CheckWording(
    {
        CheckCode.OK: "pgvector computes distances, and the columns have the models' dimensions",
        CheckCode.NOT_FOUND: "pgvector or the table of items is missing: migrate the database",
        CheckCode.WRONG_DIMENSION: "The vectors in the database are not of the models' dimensions",
        CheckCode.WRONG_VERSION: "The pgvector of the database is not the version that its server brings",
    }
)
_MODEL_WORDING = CheckWording(
    {
        CheckCode.OK: f"Embedding models are loaded ({CLIP_DIMENSIONS} dimensions)",
        CheckCode.LOADING: "Embedding models are loading",
        CheckCode.UNREACHABLE: "Embedding models could not be loaded, or fail",
        CheckCode.TIMEOUT: "Embedding models did not answer in time",
        CheckCode.BUSY: "The queue of the embedding models is full",
        CheckCode.WRONG_DIMENSION: "Embedding models give vectors of a wrong dimension or length",
    }
)
_IMAGES_WORDING = CheckWording(
    {
        CheckCode.OK: "The bucket for pictures is there",
        CheckCode.UNREACHABLE: "The picture store cannot be reached",
        CheckCode.AUTH_FAILED: "There are no credentials for the picture store",
        CheckCode.FORBIDDEN: "The picture store does not let us look at the bucket",
        CheckCode.NOT_FOUND: "The bucket for pictures does not exist",
        CheckCode.WRONG_REGION: "The bucket for pictures is in another region than AWS_REGION",
        CheckCode.BUSY: "The picture store asks for fewer requests",
    }
)
_MEMORY_WORDING = CheckWording(
    {
        CheckCode.OK: "Memory use is within its limit",
        CheckCode.NOT_FOUND: "Memory use cannot be read on this system",
    }
)
_VECTOR_COLUMNS = {"clip_vector": CLIP_DIMENSIONS, "text_vector": TEXT_DIMENSIONS}

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What differs from the usual.

    Parts made elsewhere: the application uses them and leaves their opening and closing to their maker.
    ``register_checks`` adds health checks to those of the application. ``health_pace`` is how many times as often as
    usual the checks run: a test need not wait as long as a load balancer. ``on_drain`` is called by the event loop when
    draining begins. With ``ready_within_seconds`` the start waits for the models; when they take longer it fails, or
    goes on with ``serves_unready``.
    """

    telemetry: Telemetry | None = None
    postgres: Postgres | None = None
    images: ImageStore | None = None
    embeddings: Embeddings | None = None
    register_checks: Callable[[HealthRegistry], None] | None = None
    health_pace: float = 1.0
    on_drain: Callable[[], object] | None = None
    ready_within_seconds: float | None = None
    serves_unready: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that an application is made of."""

    telemetry: Telemetry
    postgres: Postgres
    images: ImageStore
    embeddings: Embeddings
    services: Services
    health: HealthEngine
    lifecycle: Lifecycle


def build(settings: Settings, *, overrides: Overrides | None = None) -> Instrumented:
    """Make the application.

    Raises:
        ConfigurationError: DATABASE_URL is not set.
    """
    _require_database(settings)
    given = overrides or Overrides()
    parts = _make_parts(settings, given)
    app = FastAPI(
        title="Prethrift",
        summary="Search for second-hand clothes, by words and by pictures.",
        version=settings.service_version,
        debug=settings.debug,
        telemetry=_NO_TELEMETRY_OF_ITS_OWN,
        form_limits={"max_files": 1, "max_fields": 10, "max_part_size": 32 * 1024},
        lifespan=partial(_lifespan, parts=parts, given=given, drain_seconds=settings.drain_seconds),
    )
    _add_routes(app, settings, parts)
    _observe_parts(parts)
    # FastAPI puts the models of included routes off until they are asked for. Then the first request would hold the
    # event loop for as long as that takes, 100 ms and more; describing the routes makes them now.
    app.openapi()
    return instrument(app, parts.telemetry)


def _require_database(settings: Settings) -> None:
    if settings.database_url is None:
        raise ConfigurationError([_NO_DATABASE])


def _make_parts(settings: Settings, given: Overrides) -> Parts:
    postgres = given.postgres or Postgres.from_settings(settings)
    images = given.images or ImageStore.from_settings(settings)
    embeddings = given.embeddings or ModelEmbeddings.from_settings(settings)
    registry = _register_checks(postgres, images, embeddings)
    if given.register_checks is not None:
        given.register_checks(registry)
    return Parts(
        telemetry=given.telemetry or configure(settings),
        postgres=postgres,
        images=images,
        embeddings=embeddings,
        services=Services(
            catalogue=CatalogueService(postgres, images, embeddings), search=SearchService(postgres, embeddings)
        ),
        health=HealthEngine(registry, sleep=partial(_sleep_at_pace, given.health_pace)),
        lifecycle=Lifecycle(),
    )


async def _sleep_at_pace(pace: float, seconds: float) -> None:
    await asyncio.sleep(seconds / pace)


def _register_checks(postgres: Postgres, images: ImageStore, embeddings: Embeddings) -> HealthRegistry:
    """Register the check of each resource; its owner knows how to ask, and the registry how often."""
    registry = HealthRegistry()
    vectors = partial(postgres.probe_vectors, _VECTOR_COLUMNS)
    registry.register("database", postgres.probe, wording=_DATABASE_WORDING)
    registry.register("pgvector", vectors, interval_seconds=30.0, depends_on="database", wording=_VECTOR_WORDING)
    registry.register("embedding_model", embeddings.probe, timeout_seconds=5.0, wording=_MODEL_WORDING)
    registry.register(
        "s3", images.probe, critical=False, interval_seconds=60.0, timeout_seconds=2.0, wording=_IMAGES_WORDING
    )
    registry.register("memory", check_memory, critical=False, wording=_MEMORY_WORDING)
    return registry


def _add_routes(app: FastAPI, settings: Settings, parts: Parts) -> None:
    provide_services(app, parts.services)
    app.add_middleware(BodyLimit, max_bytes=_MAX_BODY_BYTES)
    install_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    endpoint = HealthEndpoint(
        parts.health,
        parts.lifecycle,
        version=settings.service_version,
        environment=settings.environment,
        gate=DetailsGate(settings.health_details, token=_revealed(settings.health_token)),
    )
    app.include_router(health_router(endpoint, load_health_schema()))
    metrics = MetricsEndpoint(parts.telemetry.metrics.registry, token=_revealed(settings.metrics_token))
    app.router.routes.append(Route("/metrics", mark_quiet(metrics)))
    app.openapi = partial(_describe, app.openapi)  # type: ignore[method-assign] # FastAPI's documented way to extend it


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _describe(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    document = describe()
    use_problem_media_type(document)
    return document


def _observe_parts(parts: Parts) -> None:
    """Let the metrics read, at each scrape, what the parts know of themselves."""
    metrics = parts.telemetry.metrics
    metrics.observe("db_pool_connections", partial(_pool_readings, parts.postgres))
    if isinstance(parts.embeddings, ModelEmbeddings):  # others have no queue and no cache
        metrics.observe("embedding_queue_length", partial(_queue_readings, parts.embeddings))
        metrics.observe("embedding_cache_requests_total", partial(_cache_readings, parts.embeddings))
    for family in HEALTH_FAMILIES:
        metrics.observe(family.name, partial(_health_readings, parts, family.name))


def _health_readings(parts: Parts, name: str) -> Readings:
    return parts.health.readings(parts.lifecycle)[name]


def _pool_readings(postgres: Postgres) -> dict[tuple[str, ...], float]:
    return {(state,): count for state, count in asdict(postgres.pool_figures()).items()}


def _queue_readings(embeddings: ModelEmbeddings) -> dict[tuple[str, ...], float]:
    return {(operation,): length for operation, length in embeddings.queue_lengths.items()}


def _cache_readings(embeddings: ModelEmbeddings) -> dict[tuple[str, ...], float]:
    figures = embeddings.cache_figures
    return {("hit",): figures.hits, ("miss",): figures.misses, ("joined",): figures.joins}


@asynccontextmanager
async def _lifespan(_app: FastAPI, *, parts: Parts, given: Overrides, drain_seconds: float) -> AsyncIterator[None]:
    """Open the parts that are ours, in order, and close them in the opposite one.

    Nothing here waits for a model, the database or S3 unless it is told to: a server whose start waits for them cannot
    even say that it lives. Readiness tells the rest.
    """
    async with AsyncExitStack() as stack:
        if given.telemetry is None:
            stack.push_async_callback(parts.telemetry.aclose)
        # Before anything else is opened: a process can be told to end while it starts.
        tell = partial(_tell_of_draining, given.on_drain, drain_seconds)
        stack.enter_context(drain_on_signals(parts.lifecycle, drain_seconds=drain_seconds, on_drain=tell))
        if given.postgres is None:
            stack.push_async_callback(parts.postgres.aclose)
        if given.images is None:
            await parts.images.open()
            stack.push_async_callback(parts.images.aclose)
        if given.embeddings is None:
            parts.embeddings.start()
            stack.push_async_callback(parts.embeddings.aclose)
        parts.health.start()
        stack.push_async_callback(parts.health.aclose)
        await stack.enter_async_context(_becoming_ready(parts, given))
        yield
        parts.lifecycle.start_draining()


def _tell_of_draining(on_drain: Callable[[], object] | None, drain_seconds: float) -> None:
    _log.info("service_draining", drain_seconds=drain_seconds)
    if on_drain is not None:
        on_drain()


async def _mark_ready(parts: Parts) -> None:
    while True:
        try:
            await parts.embeddings.wait_ready(_MODELS_PATIENCE_SECONDS)
        except ModelsNotReadyError:
            # Still loading, or given up: readiness and the check of the models say which, and a restart is not ours.
            await asyncio.sleep(_MODELS_RETRY_SECONDS)
        else:
            await _warm_up(parts)
            parts.lifecycle.mark_ready()
            _log.info("service_ready")
            return


async def _wait_for(ready: asyncio.Task[None], seconds: float, *, fails: bool) -> None:
    done, _ = await asyncio.wait([ready], timeout=seconds)
    if done:
        ready.result()  # a fault of the wait itself ends the start
    elif fails:
        raise ModelsNotReadyError(f"the models were not ready within {seconds:g} s: their lines say why")


async def _warm_up(parts: Parts) -> None:
    """Search once before anybody does; where that fails, the checks say why, and the start goes on."""
    try:
        async with asyncio.timeout(_WARM_UP_SECONDS):
            await parts.services.search.warm_up()
    except Exception as error:  # noqa: BLE001 - a cold first search is no reason not to start
        _log.warning("warm_up_failed", error_type=type(error).__name__)


@asynccontextmanager
async def _becoming_ready(parts: Parts, given: Overrides) -> AsyncIterator[None]:
    """Mark the process ready once the models are: in the background, or first of all when there is a time for it."""
    task = asyncio.create_task(_mark_ready(parts))
    try:
        if given.ready_within_seconds is not None:
            await _wait_for(task, given.ready_within_seconds, fails=not given.serves_unready)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def sweep(settings: Settings, *, older_than_seconds: float, remove: bool) -> SweepReport:
    """Look through the catalogue of ``settings`` for pictures without an item and items without a picture.

    Raises:
        ConfigurationError: DATABASE_URL is not set.
        OperationalError: the database or S3 is away.
    """
    _require_database(settings)
    async with AsyncExitStack() as stack:
        postgres, images = Postgres.from_settings(settings), ImageStore.from_settings(settings)
        stack.push_async_callback(postgres.aclose)
        await images.open()
        stack.push_async_callback(images.aclose)
        catalogue = CatalogueService(postgres, images, ModelEmbeddings.from_settings(settings))  # never started
        return await catalogue.sweep(older_than_seconds=older_than_seconds, remove=remove)


def settle_heap() -> None:
    """Take what the start has made out of the garbage collector's sight; call it once, before serving.

    A full collection looks at every object there is and holds the event loop meanwhile, for 40 ms and more with the
    modules and routes of this application alone. They live as long as the process: looking at them finds nothing.
    """
    gc.collect()
    gc.freeze()


def __getattr__(name: str) -> Instrumented:
    """Make ``app`` from the environment for `uvicorn prethrift_backend.main:app`; the import makes nothing."""
    if name == "app":
        app = build(load_settings())
        settle_heap()
        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
