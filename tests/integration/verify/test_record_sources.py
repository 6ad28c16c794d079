"""Where lines and spans come from: a file that grows, a command, a receiver on loopback."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind
from tests.support.ports import LOOPBACK, free_port
from tests.support.waiting import wait_for

from prethrift_backend.verify.live.client import LiveUsageError
from prethrift_backend.verify.records import otlp_tap, sources
from prethrift_backend.verify.records.options import RecordOptions
from prethrift_backend.verify.records.otlp_tap import OtlpTap
from prethrift_backend.verify.records.sources import LogCommand, LogFile, MemoryRecords, opened_sources
from prethrift_backend.verify.records.values import from_sdk

SOON_SECONDS = 20.0
SPAN = ReadableSpan(
    "GET",
    context=SpanContext(0xA, 0xB, is_remote=False),
    parent=SpanContext(0xA, 0xC, is_remote=True),
    resource=Resource({"service.name": "shop"}),
    attributes={"a": "b", "n": 1},
    kind=SpanKind.SERVER,
    start_time=1,
    end_time=2,
    instrumentation_scope=InstrumentationScope("shop"),
)
JSON = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [
                {
                    "scope": {"name": "shop"},
                    "spans": [
                        {
                            "traceId": "0" * 31 + "A",
                            "spanId": "0" * 15 + "b",
                            "parentSpanId": "0" * 15 + "c",
                            "name": "GET",
                            "kind": 2,
                            "aFieldOfTomorrow": 1,
                            "attributes": [
                                {"key": "a", "value": {"stringValue": "b"}},
                                {"key": "n", "value": {"intValue": "1"}},
                            ],
                        }
                    ],
                }
            ],
        }
    ]
}


def _append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def test_a_file_is_read_as_it_grows(tmp_path: Path) -> None:
    """What was there and what comes; the last line only when it has ended."""
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    with closing(LogFile(path)) as source:
        first = list(source.lines())
        _append(path, b"o\nthree\n")

        assert first == [b"one\n"]
        assert list(source.lines()) == [b"one\n", b"two\n", b"three\n"]
        assert source.fault() is None


def test_of_a_long_file_the_end_is_read(tmp_path: Path) -> None:
    """The first line of the end may be cut, and is left out; a file that was emptied begins again."""
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\nthree\n")
    with closing(LogFile(path, past_bytes=8)) as source:
        assert list(source.lines()) == [b"three\n"]
        path.write_bytes(b"four\n")

        assert list(source.lines()) == [b"three\n", b"four\n"]


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    """The text names it, and what to give."""
    with pytest.raises(LiveUsageError, match=r"'.*nothing'.*give the file"):
        LogFile(tmp_path / "nothing")


def _python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


def test_a_command_that_goes_on_is_read_as_it_prints() -> None:
    """As `kubectl logs -f` does; it is ended with the run, and all that it started."""
    code = "import os, sys, time; print(os.getpid(), flush=True); print('half', end='', flush=True); time.sleep(600)"
    source = LogCommand(_python(code))
    try:
        (line,) = wait_for(source.lines, SOON_SECONDS)
    finally:
        source.close()

    with pytest.raises(ProcessLookupError):
        os.kill(int(line), 0)


def test_a_child_that_will_not_end_is_ended_with_its_command() -> None:
    """What a command has started is not left behind, whether or not it listens."""
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    code = (
        "import subprocess, sys, time; "
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE); "
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(600)"
    )
    source = LogCommand(_python(code))
    try:
        (line,) = wait_for(source.lines, SOON_SECONDS)
    finally:
        source.close()

    wait_for(lambda: not _runs(int(line)), SOON_SECONDS)


def _runs(process_id: int) -> bool:
    """Say whether a process does anything; one that has ended may wait for whoever adopted it."""
    try:
        return ") Z " not in Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return False


def test_a_command_that_prints_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of the run is bounded, and the report says that not all was read."""
    monkeypatch.setattr(sources, "_ADDED_BYTES_MAX", 1024 * 1024)
    source = LogCommand(_python("while True: print('x' * 1000)"))
    try:
        fault = wait_for(source.fault, SOON_SECONDS)
        size = sum(map(len, source.lines()))
    finally:
        source.close()

    assert "more than 1048576 bytes" in str(fault)
    assert size < 1024 * 1024 + 65536


def test_a_file_that_grows_without_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a command is."""
    monkeypatch.setattr(sources, "_ADDED_BYTES_MAX", 4)
    path = tmp_path / "log"
    path.touch()
    with closing(LogFile(path, past_bytes=4)) as source:
        _append(path, b"one\ntwo\nthree\n")

        assert list(source.lines()) == [b"one\n", b"two\n"]
        assert source.fault()


def test_what_is_no_file_is_wrong_usage(tmp_path: Path) -> None:
    """A pipe has no end to begin at, and nobody waits for one that nobody writes to."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(LiveUsageError, match="--logs-command"):
        LogFile(tmp_path / "pipe")


def test_a_command_that_ends_is_run_again(tmp_path: Path) -> None:
    """As `kubectl logs` does: its last run is the log, and nothing is there twice."""
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    clock = iter(range(0, 10_000, 5))
    with closing(LogCommand(shlex.join(["cat", str(path)]), monotonic=lambda: float(next(clock)))) as source:
        wait_for(lambda: list(source.lines()) == [b"one\n"], SOON_SECONDS)
        _append(path, b"two\n")

        wait_for(lambda: list(source.lines()) == [b"one\n", b"two\n"], SOON_SECONDS)
        assert source.fault() is None


def test_a_command_that_fails_says_so() -> None:
    """With its status and the last that it said, without secrets."""
    with closing(LogCommand(_python("raise SystemExit('no such pod, password=hunter2')"))) as source:

        def fault() -> str | None:
            source.lines()
            return source.fault()

        text = wait_for(fault, SOON_SECONDS)

    assert text is not None
    assert "status 1" in text
    assert "no such pod" in text
    assert "hunter2" not in text


@pytest.mark.parametrize("command", ["", "'", "no-such-command-here --x", "a\0b"])
def test_a_command_that_cannot_be_run_is_wrong_usage(command: str) -> None:
    """It is found before anything is asked."""
    with pytest.raises(LiveUsageError, match="--logs-command"):
        LogCommand(command)


@pytest.fixture
def tap() -> Iterator[tuple[OtlpTap, str]]:
    """Give a receiver and its address."""
    port = free_port()
    with closing(OtlpTap(LOOPBACK, port)) as receiver:
        yield receiver, f"http://{LOOPBACK}:{port}"


def _post(address: str, body: bytes, content_type: str, **headers: str) -> httpx.Response:
    sent = {"content-type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return httpx.post(address, content=body, headers=sent, trust_env=False)


def test_protobuf_and_json_are_taken(tap: tuple[OtlpTap, str]) -> None:
    """Gzipped or not, the span is the one that the SDK had."""
    receiver, address = tap
    protobuf = encode_spans([SPAN]).SerializeToString()

    answers = [
        _post(f"{address}/v1/traces", protobuf, "application/x-protobuf"),
        _post(
            f"{address}/prefix/v1/traces", gzip.compress(protobuf), "application/x-protobuf", content_encoding="gzip"
        ),
        _post(f"{address}/v1/traces", json.dumps(JSON).encode(), "application/json; charset=utf-8"),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.headers["content-type"] for answer in answers][1:] == ["application/x-protobuf", "application/json"]
    assert receiver.spans() == [from_sdk(SPAN)] * 3


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "status"),
    [
        (b"\xff\xff", "application/x-protobuf", "identity", 400),
        (b"{", "application/json", "identity", 400),
        (b"[]", "application/json", "identity", 400),
        (json.dumps(JSON).replace("0A", "0x").encode(), "application/json", "identity", 400),
        (b"no gzip", "application/x-protobuf", "gzip", 400),
        (gzip.compress(b"x")[:-4], "application/x-protobuf", "gzip", 400),
    ],
)
def test_what_cannot_be_read_is_refused(
    tap: tuple[OtlpTap, str], body: bytes, content_type: str, encoding: str, status: int
) -> None:
    """An exporter is told, and nothing is kept."""
    receiver, address = tap

    assert _post(f"{address}/v1/traces", body, content_type, content_encoding=encoding).status_code == status
    assert receiver.spans() == []


def test_an_export_of_more_spans_than_are_kept_is_cut_off(
    tap: tuple[OtlpTap, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two bytes make a span: a small export must not fill the memory."""
    monkeypatch.setattr(otlp_tap, "_SPANS_MAX", 3)
    export = encode_spans([SPAN] * 2).SerializeToString()

    statuses = [_post(f"{tap[1]}/v1/traces", export, "application/x-protobuf").status_code for _ in range(3)]

    assert statuses == [200, 200, 200]
    assert len(tap[0].spans()) == 3


def test_other_signals_are_taken_and_forgotten(tap: tuple[OtlpTap, str]) -> None:
    """A service that sends its metrics to the same place goes on undisturbed."""
    receiver, address = tap

    assert _post(f"{address}/v1/metrics", b"anything", "application/x-protobuf").status_code == 200
    assert receiver.spans() == []


def test_a_request_without_a_length_or_too_long_is_refused(tap: tuple[OtlpTap, str]) -> None:
    """What is read is bounded."""
    _, address = tap
    connection = HTTPConnection(address.removeprefix("http://"))
    connection.request("POST", "/v1/traces", headers={"content-length": str(1 << 40)})
    long = connection.getresponse()
    connection.close()
    chunked = httpx.post(f"{address}/v1/traces", content=iter([b"x"]), trust_env=False)

    assert (long.status, chunked.status_code) == (413, 411)


def test_a_connection_that_is_kept_ends_with_the_receiver() -> None:
    """An exporter that goes on with it would send to nobody, and not find the next receiver."""
    port = free_port()
    with closing(HTTPConnection(LOOPBACK, port, timeout=SOON_SECONDS)) as connection:
        with closing(OtlpTap(LOOPBACK, port)):
            connection.request("POST", "/v1/traces", b"")
            connection.getresponse().read()
            kept = connection.sock

        assert kept.recv(1) == b""


def test_a_port_that_is_taken_is_wrong_usage(tap: tuple[OtlpTap, str]) -> None:
    """The text says which, and what to do."""
    _, address = tap
    port = int(address.rpartition(":")[2])

    with pytest.raises(LiveUsageError, match=f"{port}.*give a port"):
        OtlpTap(LOOPBACK, port)


def test_memory_stands_in_for_what_nobody_gives(tmp_path: Path) -> None:
    """An application in this process needs no file and no receiver; a file that is given goes before it."""
    path = tmp_path / "log"
    path.write_bytes(b"from the file\n")
    memory = MemoryRecords([b"from memory\n"], [SPAN])

    with opened_sources(RecordOptions(log_file=path), memory) as sources:
        assert sources.lines is not None
        assert sources.spans is memory
        assert list(sources.lines.lines()) == [b"from the file\n"]
        assert list(memory.spans()) == [from_sdk(SPAN)]
        assert (list(memory.lines()), memory.fault()) == ([b"from memory\n"], None)


def test_without_anything_there_are_no_sources() -> None:
    """Nothing is opened that nobody asked for."""
    with opened_sources(RecordOptions()) as sources:
        assert (sources.lines, sources.spans) == (None, None)
