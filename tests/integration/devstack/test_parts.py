"""The embedded PostgreSQL and the local S3, each as a process of its own."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from tests.support.waiting import wait_for

from prethrift_backend.config import Settings
from prethrift_backend.devstack.images import LocalS3
from prethrift_backend.devstack.postgres import EmbeddedPostgres
from prethrift_backend.exceptions import DevstackError
from prethrift_backend.stores import ImageNotFoundError, ImageStore


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder with a short path: that of a unix socket may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="prethrift-") as name:
        yield Path(name)


async def _store(s3: LocalS3) -> ImageStore:
    store = ImageStore.from_settings(Settings(aws_endpoint_url_s3=s3.endpoint_url))
    await store.open()
    await store.ensure_bucket()
    return store


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give credentials of any kind: the local S3 takes all."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")


async def test_objects_outlive_the_local_s3(folder: Path) -> None:
    """What was put is there after a restart, what was deleted is not."""
    with LocalS3(folder) as s3:
        store = await _store(s3)
        await store.put("items/ä.png", b"picture", media_type="image/png")
        await store.put("items/gone.png", b"gone", media_type="image/png")
        await store.delete("items/gone.png")
        await store.aclose()

    with LocalS3(folder) as s3:
        store = await _store(s3)
        kept = await store.get("items/ä.png")
        with pytest.raises(ImageNotFoundError):
            await store.get("items/gone.png")
        await store.aclose()

    assert (kept.data, kept.media_type) == (b"picture", "image/png")


def test_a_damaged_folder_of_the_local_s3_is_said_in_a_sentence(folder: Path) -> None:
    """A media type that cannot be read ends the start with the folder and the fix, and leaves no process."""
    bucket = folder / "pictures"
    bucket.mkdir()
    (bucket / "a").write_bytes(b"1")
    (bucket / "a=meta.json").write_bytes(b"not json")

    with pytest.raises(DevstackError, match="remove the folder"):
        LocalS3(folder).start()


async def _answers(postgres: EmbeddedPostgres) -> int:
    connection = await asyncpg.connect(postgres.url)
    try:
        answer: int = await connection.fetchval("SELECT 1")
        return answer
    finally:
        await connection.close()


async def test_the_embedded_postgres_starts_again_on_its_data(folder: Path) -> None:
    """It answers, stops, and answers again after a second start in the same process."""
    for _ in range(2):
        with EmbeddedPostgres(folder / "postgres") as postgres:
            assert await _answers(postgres) == 1


async def test_the_embedded_postgres_recovers_from_a_kill(folder: Path) -> None:
    """After SIGKILL of the server the next start works."""
    killed = EmbeddedPostgres(folder / "postgres")
    killed.start()
    pid = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(pid), 10)

    with EmbeddedPostgres(folder / "postgres") as postgres:
        assert await _answers(postgres) == 1


def test_a_server_that_is_gone_already_can_be_stopped(folder: Path) -> None:
    """Stopping after the server was killed is no error: there is nothing left to stop."""
    postgres = EmbeddedPostgres(folder / "postgres")
    postgres.start()
    pid = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)

    postgres.stop()

    wait_for(lambda: not psutil.pid_exists(pid), 10)


def test_a_broken_data_folder_is_said_in_a_sentence(folder: Path) -> None:
    """Damaged data end the start with the server's own words, the folder, and the fix."""
    with EmbeddedPostgres(folder / "postgres"):
        pass
    (folder / "postgres" / "PG_VERSION").write_text("junk")

    with pytest.raises(DevstackError, match=r"PG_VERSION.*remove .*fresh catalogue"):
        EmbeddedPostgres(folder / "postgres").start()
