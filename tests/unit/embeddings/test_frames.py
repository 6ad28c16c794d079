"""The frames between the backend and the models' process."""

import asyncio
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prethrift_backend.embeddings.frames import Frame, FrameError, read_frame, receive_frame

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)
FRAMES = st.builds(Frame, st.dictionaries(st.text("abcxyz"), VALUES, max_size=4), st.binary(max_size=400))


async def _receive_in_pieces(data: bytes, piece_bytes: int, count: int) -> list[Frame]:
    reader = asyncio.StreamReader()

    async def feed() -> None:
        for start in range(0, len(data), piece_bytes):
            reader.feed_data(data[start : start + piece_bytes])
            await asyncio.sleep(0)

    feeding = asyncio.create_task(feed())
    frames = [await receive_frame(reader) for _ in range(count)]
    await feeding
    return frames


@given(frames=st.lists(FRAMES, max_size=4))
def test_frames_survive_the_blocking_side(frames: list[Frame]) -> None:
    """What was written is read back, frame by frame, and then the stream is at its end."""
    stream = io.BytesIO(b"".join(frame.encode() for frame in frames))

    assert [read_frame(stream) for _ in frames] == frames
    assert read_frame(stream) is None


@given(frames=st.lists(FRAMES, max_size=3), piece_bytes=st.integers(1, 300))
def test_frames_survive_the_asyncio_side_in_pieces(frames: list[Frame], piece_bytes: int) -> None:
    """However the pipe cuts the bytes up, the same frames arrive."""
    data = b"".join(frame.encode() for frame in frames)

    assert asyncio.run(_receive_in_pieces(data, piece_bytes, len(frames))) == frames


@given(frame=FRAMES, data=st.data())
def test_a_torn_frame_is_the_end(frame: Frame, data: st.DataObject) -> None:
    """A writer that died in the middle of a frame looks like the end of the stream, not like a shorter frame."""
    encoded = frame.encode()
    kept = data.draw(st.integers(0, len(encoded) - 1))

    assert read_frame(io.BytesIO(encoded[:kept])) is None


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"Loading weights: 100%", "something else writes to this pipe"),
        (b"PTE1" + b"\xff" * 8, "at most 268435456"),
        (b"PTE1\0\0\0\2\0\0\0\0[]", "must be a JSON object"),
        (b"PTE1\0\0\0\2\0\0\0\0{]", "not JSON"),
    ],
)
def test_noise_is_told_from_a_frame(data: bytes, complaint: str) -> None:
    """Bytes that are no frame are refused with the reason, before anything is allocated for them."""
    with pytest.raises(FrameError, match=complaint):
        read_frame(io.BytesIO(data))


@given(noise=st.binary(min_size=12, max_size=64))
def test_any_noise_is_refused_or_torn(noise: bytes) -> None:
    """No bytes make the reader raise anything but FrameError."""
    answer: Any
    try:
        answer = read_frame(io.BytesIO(noise))
    except FrameError:
        answer = None

    assert answer is None or isinstance(answer, Frame)
