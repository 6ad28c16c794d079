"""The whole application in this process, its checks at a pace that a test can wait for."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from tests.support.waiting import wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.embeddings import NullEmbeddings
from prethrift_backend.main import Overrides, build

# The slowest check but S3's runs every 0.6 s then, and three failures in a row come within two seconds.
PACE = 50.0
DEADLINE_SECONDS = 30.0


@dataclass
class Served:
    """A running application, asked over ASGI."""

    client: httpx.AsyncClient

    async def status(self, kind: str) -> int:
        """Return the status code of ``/health/ready`` or ``/health/live``."""
        return (await self.client.get(f"/health/{kind}")).status_code

    async def health(self) -> dict[str, Any]:
        """Return the body of ``/health``."""
        body: dict[str, Any] = (await self.client.get("/health")).json()
        return body

    async def checks(self) -> dict[str, dict[str, Any]]:
        """Return the checks by name."""
        return {check["name"]: check for check in (await self.health())["checks"]}

    async def codes(self) -> dict[str, str]:
        """Return the code of each check."""
        return {name: check["details"]["code"] for name, check in (await self.checks()).items()}

    async def until(self, name: str, code: str) -> dict[str, Any]:
        """Wait until the check has this code, and return the check."""

        async def check() -> dict[str, Any] | None:
            found = (await self.checks())[name]
            return found if found["details"]["code"] == code else None

        found = await wait_for_async(check, DEADLINE_SECONDS, what=f"{name} is {code}")
        assert found is not None
        return found

    async def until_all_are_well(self) -> None:
        """Wait until every check is."""

        async def well() -> bool:
            return set((await self.codes()).values()) == {"ok"}

        await wait_for_async(well, DEADLINE_SECONDS, what="every check is ok")

    async def until_ready(self, status: int) -> None:
        """Wait until readiness answers ``status``."""

        async def answered() -> bool:
            return await self.status("ready") == status

        await wait_for_async(answered, DEADLINE_SECONDS, what=f"/health/ready answers {status}")


@contextlib.asynccontextmanager
async def served(settings: Settings, overrides: Overrides | None = None) -> AsyncIterator[Served]:
    """Run the application with its lifespan; its models are the null ones unless ``overrides`` has others."""
    given = replace(overrides or Overrides(), health_pace=PACE)
    app = build(settings, overrides=replace(given, embeddings=given.embeddings or NullEmbeddings()))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        yield Served(client)


@pytest.fixture
def settings_for(s3_endpoint: str, images_bucket: str) -> SettingsFor:
    """Give a maker of settings with a working S3."""
    return SettingsFor(s3_endpoint, images_bucket)


@dataclass(frozen=True)
class SettingsFor:
    """Makes settings for a database; the S3 is a working one."""

    endpoint: str
    bucket: str

    def __call__(self, database_url: str) -> Settings:
        """Return settings for ``database_url``."""
        return Settings(
            database_url=SecretStr(database_url), aws_endpoint_url_s3=self.endpoint, images_bucket=self.bucket
        )
