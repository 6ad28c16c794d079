"""Operations: counted once, at their end, by how they ended."""

import asyncio

import pytest
from tests.support.asgi import Recorder

from prethrift_backend.observability import (
    EMBEDDING_OPERATIONS,
    HTTP_REQUEST_DURATION,
    SEARCH_OPERATIONS,
    track_embedding_operation,
    track_search_operation,
)


def test_a_search_is_counted_as_success(recorder: Recorder) -> None:
    """A block that ends well counts once, and its fields are on the one DEBUG line."""
    with track_search_operation("text_search") as operation:
        operation.add(result_count=12)

    (line,) = recorder.lines("search_completed")
    assert recorder.sample("search_operations_total", search_type="text", status="success") == 1
    shown = (line["search_type"], line["status"], line["result_count"], line["level"])
    assert shown == ("text", "success", 12, "debug")


async def test_the_asynchronous_form_is_the_same(recorder: Recorder) -> None:
    """`async with` counts as `with` does."""
    async with track_embedding_operation("clip"):
        pass

    assert recorder.sample("embedding_operations_total", operation_type="clip", status="success") == 1


def test_an_exception_is_counted_and_passes(recorder: Recorder) -> None:
    """An exception counts as error and reaches the caller."""
    with pytest.raises(ValueError, match="no"), track_search_operation("visual_search"):
        raise ValueError("no")

    assert recorder.sample("search_operations_total", search_type="visual", status="error") == 1
    assert [line["error_type"] for line in recorder.lines("search_completed")] == ["ValueError"]


async def test_a_cancelled_operation_is_no_error(recorder: Recorder) -> None:
    """A cancelled task counts as cancelled and stays cancelled."""
    entered = asyncio.Event()

    async def search() -> None:
        async with track_search_operation("text"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(search())
    await entered.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert recorder.sample("search_operations_total", search_type="text", status="cancelled") == 1
    assert recorder.sample("search_operations_total", search_type="text", status="error") == 0


def test_nested_operations_are_counted_apart(recorder: Recorder) -> None:
    """An operation in another, and one that fails in one that succeeds, each count for themselves."""

    def embed() -> None:
        with track_embedding_operation("text") as inner:
            inner.add(where="inner")
            raise ValueError("inner")

    with track_search_operation("text_search") as outer:
        outer.add(where="outer")
        with pytest.raises(ValueError, match="inner"):
            embed()

    assert recorder.sample("embedding_operations_total", operation_type="text", status="error") == 1
    assert recorder.sample("search_operations_total", search_type="text", status="success") == 1
    assert [line["where"] for line in recorder.lines()] == ["inner", "outer"]


def test_the_proxies_work_as_users_write_them(recorder: Recorder) -> None:
    """A proxy finds the family of the current telemetry."""
    SEARCH_OPERATIONS.labels(search_type="visual", status="success").inc()
    EMBEDDING_OPERATIONS.labels(operation_type="clip", status="error").inc(2)
    HTTP_REQUEST_DURATION.labels(method="GET", endpoint="/x").observe(0.2)

    assert recorder.sample("search_operations_total", search_type="visual", status="success") == 1
    assert recorder.sample("embedding_operations_total", operation_type="clip", status="error") == 2
    assert recorder.sample("http_request_duration_seconds_sum", method="GET", endpoint="/x") == 0.2


def test_nothing_happens_without_a_telemetry() -> None:
    """Proxies and operations do nothing when nothing is configured."""
    SEARCH_OPERATIONS.labels(search_type="visual", status="success").inc()
    HTTP_REQUEST_DURATION.labels(method="GET", endpoint="/x").observe(1)
    with track_search_operation("text_search") as operation:
        operation.add(result_count=1)


def test_a_fault_in_the_counting_does_not_fail_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the metrics are broken, the operation goes on and the fault is counted."""
    recorder = Recorder(strict=False)
    monkeypatch.setattr(recorder.telemetry.metrics, "family", None)

    with track_search_operation("text_search"):
        pass

    assert recorder.telemetry.errors == 1
    recorder.telemetry.close()
