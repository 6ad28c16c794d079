"""What is promised as stable, in all its values: `contracts coverage` asks for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from tests.support.asgi import Recorder, drive, http_scope
from tests.unit.observability.test_asgi import build_application

from prethrift_backend.observability import (
    SEARCH_OPERATIONS,
    instrument,
    track_embedding_operation,
    track_search_operation,
)
from prethrift_backend.observability.context import current_request

_TRACKERS: list[tuple[str, Callable[[str], Any], str]] = [
    (f"{family}_operations_total", track, kind)
    for family, track, kinds in (
        ("search", track_search_operation, ("text", "visual")),
        ("embedding", track_embedding_operation, ("clip", "text")),
    )
    for kind in kinds
]


@pytest.mark.parametrize(
    ("error", "status"), [(None, "success"), (OSError, "error"), (asyncio.CancelledError, "cancelled")]
)
@pytest.mark.parametrize(("family", "track", "kind"), _TRACKERS)
def test_every_operation_ends_in_every_way(
    recorder: Recorder,
    family: str,
    track: Callable[[str], Any],
    kind: str,
    error: type[BaseException] | None,
    status: str,
) -> None:
    """Each kind of search and of embedding is counted as success, error or cancelled."""
    with _ended_by(error), track(kind):
        if error is not None:
            raise error

    label = "search_type" if family.startswith("search") else "operation_type"
    assert recorder.sample(family, **{label: kind, "status": status}) == 1


def _ended_by(error: type[BaseException] | None) -> AbstractContextManager[object]:
    return nullcontext() if error is None else pytest.raises(error)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
async def test_every_method_is_counted(recorder: Recorder, method: str) -> None:
    """Under its own name, or as _OTHER where it is none of HTTP's usual ones."""
    await drive(instrument(build_application(), recorder.telemetry), http_scope(path="/nowhere", method=method))

    shown = "_OTHER" if method == "BREW" else method
    assert recorder.sample("http_requests_total", method=shown, endpoint="__unmatched__", status_code="404") == 1


async def test_statements_are_on_the_access_line(recorder: Recorder) -> None:
    """Where a request has sent any to the database."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        request = current_request()
        assert request is not None
        request.statements += 2
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    await drive(instrument(app, recorder.telemetry), http_scope())

    (line,) = recorder.lines("request_completed")
    assert line["db_statements"] == 2


def test_a_use_that_breaks_the_contract_is_counted() -> None:
    """Outside of strict mode it neither raises nor makes a series."""
    recorder = Recorder(strict=False)

    SEARCH_OPERATIONS.labels(search_type="smell", status="success").inc()

    assert recorder.sample("contract_violations_total", family="search_operations_total", label="search_type") == 1
