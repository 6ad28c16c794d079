"""The check of the models, with the real ones in their process: loading, held, killed, and never to be had."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import pytest
from tests.integration.health.conftest import SettingsFor, served

from prethrift_backend.devstack.stack import development_models
from prethrift_backend.embeddings import ModelEmbeddings, RestartPolicy
from prethrift_backend.main import Overrides

SOON = RestartPolicy(first_delay_seconds=0.01, longest_delay_seconds=0.05)
LOAD_DEADLINE_SECONDS = 120.0


@pytest.fixture
async def models() -> AsyncIterator[ModelEmbeddings]:
    """Begin to load the development models."""
    folders = development_models()
    embeddings = ModelEmbeddings(clip_model=folders["clip_model"], text_model=folders["text_model"], restarts=SOON)
    embeddings.start()
    yield embeddings
    await embeddings.aclose()


async def test_held_and_killed_models_are_seen(
    migrated_database_url: str, settings_for: SettingsFor, models: ModelEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading is degraded and not ready; a held process times out and costs readiness; a killed one comes back."""
    monkeypatch.setattr("prethrift_backend.embeddings._probing.SUCCESS_SECONDS", 0.0)
    monkeypatch.setattr("prethrift_backend.embeddings.model.CANARY_LIMIT_SECONDS", 0.5)
    async with served(settings_for(migrated_database_url), Overrides(embeddings=models)) as app:
        loading, early = await app.until("embedding_model", "loading"), await app.status("ready")
        await models.wait_ready(LOAD_DEADLINE_SECONDS)
        await app.until_ready(200)
        assert models.facts is not None
        os.kill(models.facts.pid, signal.SIGSTOP)
        await app.until("embedding_model", "timeout")
        await app.until_ready(503)
        os.kill(models.facts.pid, signal.SIGCONT)
        await app.until_ready(200)
        os.kill(models.facts.pid, signal.SIGKILL)
        killed = await app.until("embedding_model", "loading")
        await models.wait_ready(LOAD_DEADLINE_SECONDS)
        await app.until("embedding_model", "ok")

    assert (loading["status"], early, killed["status"]) == ("degraded", 503, "degraded")


async def test_the_canary_is_nobodys_embedding(models: ModelEmbeddings) -> None:
    """It takes the way of every text, once while it is fresh, and leaves no answer in the cache of queries."""
    await models.wait_ready(LOAD_DEADLINE_SECONDS)

    for _ in range(3):
        await models.probe()

    assert models.figures["text"].items_total == models.figures["clip_text"].items_total == 1
    assert models.cache_figures.size == 0


async def test_models_that_cannot_be_had_keep_the_traffic_away(
    migrated_database_url: str, settings_for: SettingsFor
) -> None:
    """A folder that does not exist ends in failed: unhealthy, never ready, and alive."""
    missing = ModelEmbeddings(clip_model="/nowhere/clip", text_model="/nowhere/text", restarts=SOON)
    missing.start()
    async with served(settings_for(migrated_database_url), Overrides(embeddings=missing)) as app:
        check = await app.until("embedding_model", "unreachable")
        statuses = [await app.status("ready"), await app.status("live")]
    await missing.aclose()

    assert check["status"] == "unhealthy"
    assert statuses == [503, 200]
