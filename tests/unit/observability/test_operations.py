"""Operations: one span and one count for each run, by how it ended."""

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import pytest
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from tests.support.asgi import Recorder
from tests.support.span_list import Traced, attributes, traced

from prethrift_backend.contracts import parse_metrics
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


def test_any_field_can_be_added(recorder: Recorder) -> None:
    """A field of any name and any value costs neither the line nor, under strict, an exception."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    fields = {"self": 1, "event": 2, "method_name": 3, "odd": Broken()}
    with track_search_operation("text") as operation:
        operation.add(**fields)

    (line,) = recorder.lines("search_completed")
    assert (line["field_event"], line["method_name"], "Broken" in line["odd"]) == (2, 3, True)


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


async def _cancelled_search() -> asyncio.Task[None]:
    """Return the task of a search that has begun and is cancelled."""
    entered = asyncio.Event()

    async def search() -> None:
        async with track_search_operation("text"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(search())
    await entered.wait()
    task.cancel()
    return task


async def test_a_cancelled_operation_is_no_error(recorder: Recorder) -> None:
    """A cancelled task counts as cancelled and stays cancelled."""
    task = await _cancelled_search()

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
    """Proxies and operations do nothing when nothing is configured, and nothing of it shows up later."""
    SEARCH_OPERATIONS.labels(search_type="visual", status="success").inc()
    HTTP_REQUEST_DURATION.labels(method="GET", endpoint="/x").observe(1)
    with track_search_operation("text_search") as operation:
        operation.add(result_count=1)

    later = Recorder()
    assert later.sample("search_operations_total", search_type="visual", status="success") == 0
    assert later.sample("search_operations_total", search_type="text", status="success") == 0
    assert later.lines("search_completed") == []


def test_a_fault_in_the_counting_does_not_fail_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the metrics are broken, the operation goes on and the fault is counted."""
    recorder = Recorder(strict=False)
    monkeypatch.setattr(recorder.telemetry.metrics, "find", None)

    with track_search_operation("text_search"):
        pass

    assert recorder.telemetry.errors == 1
    recorder.telemetry.close()


def test_an_operation_is_a_span_with_its_fields(traced_all: Traced) -> None:
    """The span has the operation's name, how it ended, and what was added, under the names of its kind."""
    with track_search_operation("text_search") as operation:
        operation.add(result_count=12, item_id=UUID(int=1), nothing=None)

    (span,) = traced_all.spans.spans
    assert (span.name, span.kind, span.status.status_code) == ("search text", SpanKind.INTERNAL, StatusCode.UNSET)
    assert attributes(span) == {
        "search.type": "text",
        "search.result_count": 12,
        "search.item_id": str(UUID(int=1)),
        "outcome": "success",
    }


def test_the_span_is_current_inside_and_no_longer_after(traced_all: Traced) -> None:
    """What runs inside is a child; what was current before is current again after."""
    with traced_all.request():
        server = get_current_span()
        with track_search_operation("text_search"), track_embedding_operation("clip"):
            inside = get_current_span()

        assert get_current_span() is server

    assert inside.get_span_context() == traced_all.spans.named("embedding clip").get_span_context()
    assert traced_all.spans.paths() == [
        ["server"],
        ["server", "search text"],
        ["server", "search text", "embedding clip"],
    ]


def test_an_error_is_shown_without_its_text(traced_all: Traced) -> None:
    """A failed operation's span has the class of the error and status ERROR; the text stays in the log."""
    with pytest.raises(ValueError, match="words"), track_search_operation("visual"):
        raise ValueError("words of a user")

    (span,) = traced_all.spans.spans
    assert attributes(span) == {"search.type": "visual", "outcome": "error", "error.type": "ValueError"}
    assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())


async def test_a_cancelled_operation_has_a_span_without_error(traced_all: Traced) -> None:
    """Cancellation ends the span with an outcome of its own, and that is no error."""
    task = await _cancelled_search()
    await asyncio.wait([task])

    (span,) = traced_all.spans.spans
    assert attributes(span) == {"search.type": "text", "outcome": "cancelled"}
    assert span.status.status_code is StatusCode.UNSET


async def test_operations_at_the_same_time_do_not_meet(traced_all: Traced) -> None:
    """Each of several tasks has its own span as the current one, below the span that was current when it began."""

    async def embed(name: str) -> bool:
        async with track_embedding_operation(name):
            own = get_current_span()
            await asyncio.sleep(0)
            return get_current_span() is own

    with traced_all.request():
        kept = await asyncio.gather(*(embed(name) for name in ("clip", "text", "clip")))

    assert kept == [True, True, True]
    assert [path[:-1] for path in traced_all.spans.paths() if len(path) == 2] == [["server"]] * 3


def test_an_unsampled_trace_has_no_spans_and_every_count(traced_all: Traced) -> None:
    """Below a span that is not recorded nothing is recorded; counter, duration and the current ids are as ever."""
    with traced_all.request(is_sampled=False):
        server = get_current_span()
        with track_search_operation("text_search") as operation:
            operation.add(result_count=1)
            assert get_current_span() is server

    assert traced_all.spans.spans == []
    assert traced_all.sample("search_operations_total", search_type="text", status="success") == 1
    assert traced_all.sample("search_duration_seconds_count", search_type="text") == 1


def test_the_duration_leads_to_the_span_when_it_is_sampled(traced_all: Traced) -> None:
    """The histogram's exemplar has the ids of the operation's own span; an unsampled one leaves none."""
    with track_embedding_operation("clip"):
        pass
    with traced_all.request(is_sampled=False), track_search_operation("text"):
        pass

    (span,) = traced_all.spans.spans
    (exemplar,) = traced_all.exemplars("embedding_duration_seconds")
    assert span.context is not None
    assert exemplar == {"trace_id": f"{span.context.trace_id:032x}", "span_id": f"{span.context.span_id:016x}"}
    assert traced_all.exemplars("search_duration_seconds") == []


def test_one_object_is_one_run() -> None:
    """Entering an operation again is refused, whether it runs or has ended, and the text says what to do."""
    operation = track_search_operation("text_search")
    with operation, pytest.raises(RuntimeError, match="call track_search_operation"):
        operation.__enter__()

    with pytest.raises(RuntimeError, match="one object is one run"), operation:
        pass


async def test_a_decorated_function_is_tracked_at_each_call(traced_all: Traced) -> None:
    """Functions and coroutine functions may be decorated; each call is a run, and the result passes."""

    @track_search_operation("text_search")
    def search(q: str) -> str:
        return q.upper()

    @track_embedding_operation("clip_embedding")
    async def embed(q: str) -> str:
        return q.lower()

    assert (search("a"), search(q="b"), await embed("C")) == ("A", "B", "c")
    assert traced_all.spans.names == ["search text", "search text", "embedding clip"]
    assert traced_all.sample("search_operations_total", search_type="text", status="success") == 2


def test_a_generator_cannot_be_decorated() -> None:
    """A generator has no one end to count; the text says what to do."""

    def stream() -> Iterator[int]:
        yield 1

    async def async_stream() -> AsyncIterator[int]:
        yield 1

    for function in (stream, async_stream):
        with pytest.raises(TypeError, match="write `with`"):
            track_search_operation("text")(function)


def test_a_stream_that_is_closed_from_elsewhere_is_cancelled_quietly(traced_all: Traced) -> None:
    """A generator that is closed in another context ends its operation without a fault of the telemetry."""

    def stream() -> Iterator[int]:
        with track_search_operation("text"):
            yield 1

    complaints: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign] # a handler of one test
    logging.getLogger("opentelemetry.context").addHandler(handler)
    running = stream()
    contextvars.copy_context().run(next, running)
    contextvars.copy_context().run(running.close)  # type: ignore[attr-defined] # it is a generator

    logging.getLogger("opentelemetry.context").removeHandler(handler)
    assert complaints == []
    assert attributes(traced_all.spans.named("search text"))["outcome"] == "cancelled"
    assert not get_current_span().is_recording()
    assert traced_all.telemetry.errors == 0


def test_a_contract_without_the_families_is_no_fault() -> None:
    """Where another team's contract has no family for searches, an operation has its span and its line."""
    text = "# CONTRACT metrics 1.0.0\n# HELP own_total Own.\n# TYPE own_total counter\nown_total 1\n"
    with traced(contract=parse_metrics(text, source="own.txt")) as made:
        with track_search_operation("text_search"):
            SEARCH_OPERATIONS.labels(search_type="visual", status="success").inc()

        assert made.spans.names == ["search text"]
        assert made.telemetry.errors == 0
