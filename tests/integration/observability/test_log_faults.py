"""What the log is written to fails: a pipe that nobody reads, a full disk, a file that is moved, removed or in the way.

In each case requests are answered as before, memory has a bound, what is lost is counted, and the log says so itself
when it can.
"""

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import pytest
from tests.support.asgi import Recorder
from tests.support.log_process import LINES
from tests.support.waiting import wait_for

from prethrift_backend.observability import get_logger

LOG = get_logger("faults")
PATIENCE_SECONDS = 30.0
# The queue holds 8 MB at most; as much again for what is in the writer's hand and for the allocator, arbitrary.
BOUND_BYTES = 16 * 1024 * 1024
# More than the queue and the pipe together can hold.
MANY = 600
LINES_A_REQUEST = LINES + 1


class Logging:
    """The process of tests/support/log_process.py, with its standard output in a pipe that nobody has to read."""

    def __init__(self, *, prepare: Callable[[], None] | None = None, **settings: str) -> None:
        reading, writing = os.pipe()
        self.log = os.fdopen(reading, "rb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.log_process"],
            stdin=subprocess.PIPE,
            stdout=writing,
            stderr=subprocess.PIPE,
            env={**os.environ, "LOG_FORMAT": "json", **settings},
            cwd=Path(__file__).parents[3],
            preexec_fn=prepare,  # noqa: PLW1509 - this process has no other thread at that time
        )
        os.close(writing)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stderr, self.log):
            if stream is not None:
                stream.close()

    def serve(self, requests: int) -> dict[str, Any]:
        """Have it serve, and return its report."""
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._process.stdin.write(b"%d\n" % requests)
        self._process.stdin.flush()
        line = self._process.stderr.readline()
        assert line.startswith(b"{"), line + self._process.stderr.read()
        report: dict[str, Any] = orjson.loads(line)
        return report

    def end(self) -> int:
        """Close its input, and return its status; TimeoutExpired when it hangs."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(PATIENCE_SECONDS)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of its log, until it ends."""
        for line in self.log:
            yield orjson.loads(line)


def test_a_pipe_that_nobody_reads_holds_nobody() -> None:
    """Requests are answered, memory has a bound, lost lines are counted, and the process ends by itself."""
    with Logging() as process:
        report = process.serve(MANY)
        status = process.end()

    assert report["answered"] == MANY
    assert report["errors"] == 0
    assert report["dropped"] > 0
    assert report["grown_bytes"] < BOUND_BYTES
    assert status == 0


def test_a_pipe_that_is_read_again_tells_what_is_missing() -> None:
    """The lines that got through are whole, and one line says how many did not."""
    with Logging() as process:
        dropped = process.serve(MANY)["dropped"]
        found: list[dict[str, Any]] = []
        reader = threading.Thread(target=lambda: found.extend(process.lines()))
        reader.start()
        wait_for(lambda: any(line["event"] == "log_lines_dropped" for line in tuple(found)), PATIENCE_SECONDS)
        process.serve(1)
        status = process.end()
        reader.join(PATIENCE_SECONDS)

    told = [line for line in found if line["event"] == "log_lines_dropped"]
    assert status == 0
    assert [(line["output"], line["level"]) for line in told] == [("stream", "warning")]
    assert told[0]["count"] == dropped
    assert len(found) + dropped == (MANY + 2) * LINES_A_REQUEST + 1


def test_a_pipe_whose_reader_is_gone_ends_nobody() -> None:
    """When nobody is there to read, lines are dropped and counted and the process lives."""
    with Logging() as process:
        process.log.close()
        process.serve(1)
        wait_for(lambda: process.serve(1)["dropped"] > 0, PATIENCE_SECONDS)
        report = process.serve(5)
        status = process.end()

    assert (report["answered"], report["errors"], status) == (5, 0, 0)


def test_a_full_disk_costs_the_file_only() -> None:
    """Where the disk takes nothing, lines of the file are dropped and counted; those of the stream are all there."""
    with Logging(LOG_FILE="/dev/full") as process:
        found: list[dict[str, Any]] = []
        reader = threading.Thread(target=lambda: found.extend(process.lines()))
        reader.start()
        process.serve(10)
        lines = 11 * LINES_A_REQUEST
        wait_for(lambda: process.serve(0)["dropped"] == lines, PATIENCE_SECONDS)
        report = process.serve(0)
        status = process.end()
        reader.join(PATIENCE_SECONDS)

    assert (report["errors"], status) == (0, 0)
    assert len(found) == lines


def limit_files() -> None:
    """Let no file of this process grow beyond 100,000 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_a_disk_that_fills_up_and_is_made_room_on(tmp_path: Path) -> None:
    """A file that takes no more is moved away: the next one begins with whole lines and says what is missing."""
    path = tmp_path / "log"
    with Logging(prepare=limit_files, LOG_FILE=str(path)) as process:
        reader = threading.Thread(target=lambda: list(process.lines()))
        reader.start()
        process.serve(20)
        # All of them: what came later would fill the next file as well.
        wait_for(lambda: process.serve(0)["is_idle"], PATIENCE_SECONDS)
        dropped = process.serve(0)["dropped"]
        assert dropped > 0
        path.rename(tmp_path / "log.1")
        process.serve(1)
        wait_for(lambda: path.exists() and b"log_lines_dropped" in path.read_bytes(), PATIENCE_SECONDS)
        status = process.end()
        reader.join(PATIENCE_SECONDS)

    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    (told,) = [line for line in lines if line["event"] == "log_lines_dropped"]
    assert status == 0
    assert (told["output"], told["count"] >= dropped) == ("file", True)
    assert len(lines) == LINES_A_REQUEST + 1


def events(path: Path) -> list[str]:
    """Return the events in a log file; none where there is no file."""
    return [orjson.loads(line)["event"] for line in path.read_bytes().splitlines()] if path.is_file() else []


@pytest.mark.parametrize("way", ["moved", "removed", "truncated"])
def test_rotation_loses_no_line(tmp_path: Path, way: str) -> None:
    """Lines go on in a file of the same name, however the old one went."""
    path = tmp_path / "log"
    recorder = Recorder(log_file=path)
    LOG.error("before")
    wait_for(lambda: events(path) == ["before"], PATIENCE_SECONDS)
    if way == "moved":
        path.rename(tmp_path / "log.1")
    elif way == "removed":
        path.unlink()
    else:
        path.write_bytes(b"")

    LOG.error("after")
    wait_for(lambda: events(path) == ["after"], PATIENCE_SECONDS)

    recorder.telemetry.close()
    assert recorder.sample("log_events_dropped_total") == 0


def test_a_file_in_whose_place_is_something_else_comes_back(tmp_path: Path) -> None:
    """While the file cannot be opened its lines are dropped and counted; afterwards it says how many."""
    path = tmp_path / "log"
    recorder = Recorder(log_file=path)
    path.unlink()
    path.mkdir()
    for number in range(3):
        LOG.error("lost", number=number)
    wait_for(lambda: recorder.sample("log_events_dropped_total") == 3, PATIENCE_SECONDS)
    path.rmdir()

    LOG.error("found")
    wait_for(lambda: "log_lines_dropped" in events(path), PATIENCE_SECONDS)

    assert [line["event"] for line in recorder.lines()] == ["lost"] * 3 + ["found"]
    assert events(path) == ["found", "log_lines_dropped"]
    told = orjson.loads(path.read_bytes().splitlines()[1])
    assert (told["output"], told["count"]) == ("file", 3)
