"""The writer: a bounded queue, a thread, and outputs that fail, hang and come back."""

import errno
import gc
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import orjson
import pytest
from tests.support.asgi import Recorder
from tests.support.waiting import wait_for

from prethrift_backend.observability import get_logger
from prethrift_backend.observability.logs import FileOutput, StreamOutput, Writer

LOG = get_logger("writing")


class Stuck:
    """An output that waits until it is let go, and can be told to fail."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.free = threading.Event()
        self.written = b""
        self.is_closed = False
        self.error: Exception | None = None

    def write(self, lines: bytes) -> None:
        """Wait, then fail or keep the lines."""
        self.entered.set()
        self.free.wait()
        if self.error is not None:
            raise self.error
        self.written += lines

    def close(self) -> None:
        """Note the end."""
        self.is_closed = True


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    """Make an output that is let go when the test is over, whatever it found."""
    made = Stuck()
    yield made
    made.free.set()


def writer_at(output: Stuck, *, dropped: list[int], capacity: int = 3, capacity_bytes: int = 1000) -> Writer:
    """Return a writer whose thread hangs in ``output`` with one line in its hand."""
    writer = Writer(output, on_drop=dropped.append, capacity=capacity, capacity_bytes=capacity_bytes)
    writer.put(b"first\n", urgent=True)
    assert output.entered.wait(5)
    return writer


def test_a_stuck_output_holds_nobody_and_drops_are_counted(stuck: Stuck) -> None:
    """When the output does not take lines, putting returns at once and what does not fit is counted."""
    dropped: list[int] = []
    writer = writer_at(stuck, dropped=dropped)

    for _ in range(5):
        writer.put(b"more\n")

    assert dropped == [1, 1]
    stuck.free.set()
    writer.close()
    assert stuck.written == b"first\n" + b"more\n" * 3


def test_the_queue_is_bounded_in_bytes_too(stuck: Stuck) -> None:
    """Long lines are refused before there are as many of them as short ones may be."""
    dropped: list[int] = []
    writer = writer_at(stuck, dropped=dropped, capacity=1000, capacity_bytes=100)

    for _ in range(10):
        writer.put(b"x" * 49 + b"\n")

    assert sum(dropped) == 8
    stuck.free.set()
    writer.close()
    assert len(stuck.written) == len(b"first\n") + 100


def test_closing_does_not_wait_for_a_stuck_output(stuck: Stuck) -> None:
    """What an output does not take in time counts as dropped, the line that it hangs on as well."""
    dropped: list[int] = []
    writer = writer_at(stuck, dropped=dropped)
    writer.put(b"second\n")

    writer.close(timeout_seconds=0)

    assert sum(dropped) == 2


def test_a_closed_writer_counts_what_comes_later(stuck: Stuck) -> None:
    """A line after the end is dropped and counted; a second close does nothing."""
    stuck.free.set()
    dropped: list[int] = []
    writer = Writer(stuck, on_drop=dropped.append)
    writer.close()
    writer.close()

    writer.put(b"late\n")

    assert (dropped, stuck.written, stuck.is_closed) == ([1], b"", True)


def test_an_output_that_recovers_is_told_of_once(stuck: Stuck) -> None:
    """When writing works again, how many lines were lost is written once, behind the first that is not."""
    stuck.free.set()
    stuck.error = OSError(errno.ENOSPC, "no space")
    dropped: list[int] = []
    writer = Writer(stuck, on_drop=dropped.append, describe_loss=lambda count: b"%d\n" % count)
    for _ in range(3):
        writer.put(b"lost\n", urgent=True)
    wait_for(lambda: sum(dropped) == 3, 5)
    stuck.error = None

    writer.put(b"one\n", urgent=True)
    wait_for(lambda: stuck.written, 5)
    writer.put(b"two\n", urgent=True)

    writer.close()
    assert stuck.written == b"one\n3\ntwo\n"


class Bell:
    """A bell that only notes that it was rung."""

    def __init__(self, rings: list[None]) -> None:
        self.put = rings.append


def test_a_finalizer_may_log_in_the_middle_of_a_put(stuck: Stuck) -> None:
    """The garbage collector may run anywhere: what logs from a finalizer does not wait for itself."""
    stuck.free.set()
    dropped: list[int] = []
    writer = Writer(stuck, on_drop=dropped.append, capacity=100_000)

    class Dying:
        def __del__(self) -> None:
            writer.put(b"dying\n", urgent=True)

    def burst() -> None:
        for _ in range(2000):
            circle = [Dying()]
            circle.append(cast("Dying", circle))
            del circle
            writer.put(b"alive\n", urgent=True)

    thread = threading.Thread(target=burst, daemon=True)
    thread.start()
    thread.join(20)

    assert not thread.is_alive()
    gc.collect()
    writer.close()
    assert stuck.written.count(b"alive\n") == 2000
    assert stuck.written.count(b"dying\n") == 2000


def test_a_thread_that_sleeps_is_rung_for_once(stuck: Stuck, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the lines that come before the thread wakes up, the first rings the bell and no other."""
    stuck.free.set()
    dropped: list[int] = []
    writer = Writer(stuck, on_drop=dropped.append)
    wait_for(lambda: writer._is_asleep, 5)
    rings: list[None] = []
    monkeypatch.setattr(writer, "_bell", Bell(rings))

    for _ in range(100):
        writer.put(b"line\n")

    assert rings == [None]
    monkeypatch.undo()
    writer._bell.put(None)
    writer.close()
    assert stuck.written == b"line\n" * 100


@pytest.mark.parametrize("way", ["moved", "removed", "folder_removed"])
def test_a_log_file_survives_rotation(tmp_path: Path, way: str) -> None:
    """After the file was moved or removed, with its folder or without, lines go to a new one of the same name."""
    path = tmp_path / "folder" / "log"
    output = FileOutput(path)
    output.write(b"one\n")
    if way == "moved":
        path.rename(tmp_path / "log.1")
    else:
        path.unlink()
    if way == "folder_removed":
        path.parent.rmdir()

    output.write(b"two\n")

    output.close()
    assert path.read_bytes() == b"two\n"


def test_a_file_that_cannot_be_opened_again_is_taken_up_later(tmp_path: Path) -> None:
    """While something else has the file's name each write is refused; when it is gone, lines go there again."""
    path = tmp_path / "log"
    output = FileOutput(path)
    path.unlink()
    path.mkdir()

    with pytest.raises(IsADirectoryError):
        output.write(b"lost\n")
    path.rmdir()
    output.write(b"found\n")

    output.close()
    assert path.read_bytes() == b"found\n"


def test_half_a_line_is_not_glued_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a disk filled up in the middle of a line, the next line begins on a line of its own."""
    path = tmp_path / "log"
    output = FileOutput(path)
    real, answers = os.write, [4]

    def fill(descriptor: int, view: memoryview) -> int:
        if not answers:
            raise OSError(errno.ENOSPC, "no space")
        return real(descriptor, view[: answers.pop()])

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(OSError, match="no space"):
        output.write(b"first line\n")
    monkeypatch.setattr(os, "write", real)

    output.write(b"second\n")

    output.close()
    assert path.read_bytes() == b"firs\nsecond\n"


def test_a_non_blocking_stream_gets_all(tmp_path: Path) -> None:
    """A pipe that somebody made non-blocking gets every byte, as soon as it has room."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    lines = b"x" * 200_000 + b"\n"
    got: list[bytes] = []
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb", buffering=0) as stream:
        thread = threading.Thread(target=lambda: got.append(reader.read(len(lines))))
        thread.start()

        StreamOutput(cast("IO[bytes]", stream)).write(lines)

        thread.join(5)
    assert got == [lines]


def test_what_was_printed_before_comes_first(tmp_path: Path) -> None:
    """A stream's own buffer is written out before lines go past it."""
    with (tmp_path / "out").open("wb") as stream:
        stream.write(b"banner\n")
        StreamOutput(stream).write(b"line\n")

    assert (tmp_path / "out").read_bytes() == b"banner\nline\n"


def test_a_stream_that_somebody_closed_is_not_written_to_by_number(tmp_path: Path) -> None:
    """The descriptor of a closed stream may be another file's: lines are refused and do not land there."""
    stream = (tmp_path / "out").open("wb")
    output = StreamOutput(stream)
    number = stream.fileno()
    stream.close()
    other = os.open(tmp_path / "other", os.O_CREAT | os.O_WRONLY)
    assert other == number

    with pytest.raises(ValueError, match="closed"):
        output.write(b"line\n")

    os.close(other)
    assert (tmp_path / "other").read_bytes() == b""


class Refusing(io.BytesIO):
    """A stream that refuses while it is told to."""

    refuses = True

    def write(self, lines: object) -> int:
        """Refuse, or keep the lines."""
        if self.refuses:
            raise OSError(errno.ENOSPC, "no space")
        return super().write(cast("bytes", lines))


def test_lost_lines_are_logged_once_when_writing_works_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log itself says how many lines are missing from it, where they would stand."""
    stream = Refusing()
    monkeypatch.setattr(io, "BytesIO", lambda: stream)
    recorder = Recorder()
    for _ in range(3):
        LOG.error("lost")
    wait_for(lambda: recorder.sample("log_events_dropped_total") == 3, 5)
    stream.refuses = False

    LOG.error("found")
    wait_for(lambda: b"log_lines_dropped" in stream.getvalue(), 5)
    LOG.error("found")

    lines = [orjson.loads(line) for line in recorder.text().splitlines()]
    assert [(line["event"], line.get("output"), line.get("count")) for line in lines] == [
        ("found", None, None),
        ("log_lines_dropped", "stream", 3),
        ("found", None, None),
    ]


def test_a_stuck_stream_does_not_keep_lines_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each output has a thread of its own."""
    entered, free = threading.Event(), threading.Event()

    class Hanging(io.BytesIO):
        def write(self, lines: object) -> int:
            entered.set()
            free.wait()
            return super().write(cast("bytes", lines))

    monkeypatch.setattr(io, "BytesIO", Hanging)
    path = tmp_path / "log"
    recorder = Recorder(log_file=path)
    LOG.error("one")
    assert entered.wait(5)
    LOG.error("two")

    wait_for(lambda: b"two" in path.read_bytes(), 5)

    free.set()
    assert [line["event"] for line in recorder.lines()] == ["one", "two"]
