"""Frames: how the backend and the models' process talk through a pair of pipes.

A frame is a prefix (magic, two lengths), a JSON header that says what it is, and raw bytes: pixels one way, float32
rows the other. Nothing is pickled, so that nothing read from the pipe can run.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Protocol

import orjson

_PREFIX: Final = struct.Struct("!4sII")
_MAGIC: Final = b"PTE1"
# Arbitrary, far above what a full batch needs; it stops a stray length from asking for gigabytes.
_LONGEST_BYTES: Final = 256 * 1024 * 1024


class FrameError(ValueError):
    """The bytes are not a frame: something else writes to the pipe, or the two ends differ in version."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: ``header`` is JSON, ``payload`` raw bytes that the header describes."""

    header: Mapping[str, Any]
    payload: bytes = b""

    def encode(self) -> bytes:
        """Return the frame as bytes; raise FrameError when it is too long."""
        header = orjson.dumps(self.header)
        _check_lengths(len(header), len(self.payload))
        return _PREFIX.pack(_MAGIC, len(header), len(self.payload)) + header + self.payload


class AsyncReader(Protocol):
    """The part of asyncio.StreamReader that is needed here."""

    async def readexactly(self, n: int, /) -> bytes:
        """Return exactly so many bytes; raise asyncio.IncompleteReadError at the end."""
        ...


def read_frame(stream: BinaryIO) -> Frame | None:
    """Read one frame from a blocking stream; None at its end, also when that comes in the middle of a frame."""
    prefix = stream.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size:
        return None
    header_bytes, payload_bytes = _lengths(prefix)
    body = stream.read(header_bytes + payload_bytes)
    return _frame(body, header_bytes) if len(body) == header_bytes + payload_bytes else None


async def receive_frame(reader: AsyncReader) -> Frame:
    """Read one frame from an asyncio stream; raise asyncio.IncompleteReadError at its end."""
    header_bytes, payload_bytes = _lengths(await reader.readexactly(_PREFIX.size))
    return _frame(await reader.readexactly(header_bytes + payload_bytes), header_bytes)


def _lengths(prefix: bytes) -> tuple[int, int]:
    magic, header_bytes, payload_bytes = _PREFIX.unpack(prefix)
    if magic != _MAGIC:
        raise FrameError(f"a frame begins with {magic!r}: it must be {_MAGIC!r}; something else writes to this pipe")
    _check_lengths(header_bytes, payload_bytes)
    return header_bytes, payload_bytes


def _check_lengths(header_bytes: int, payload_bytes: int) -> None:
    if header_bytes + payload_bytes > _LONGEST_BYTES:
        raise FrameError(
            f"a frame of {header_bytes + payload_bytes} bytes: at most {_LONGEST_BYTES} are allowed; "
            "send fewer items at once"
        )


def _frame(body: bytes, header_bytes: int) -> Frame:
    try:
        header = orjson.loads(body[:header_bytes])
    except orjson.JSONDecodeError as error:
        raise FrameError("the header of a frame is not JSON; the two ends differ in version") from error
    if not isinstance(header, dict):
        raise FrameError(f"the header of a frame is a {type(header).__name__}: it must be a JSON object")
    return Frame(header, body[header_bytes:])
