"""Uploaded bytes made into a picture that may be stored and shown, or refused.

Nothing of the upload is passed on: the picture is decoded and encoded anew, upright, in sRGB, without EXIF (which
holds places and names), comments, thumbnails or whatever else lay behind the pixels.
"""

from __future__ import annotations

import asyncio
import threading
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
from opentelemetry.trace import SpanKind
from PIL import Image, ImageCms

from prethrift_backend.exceptions import BodyTooLargeError, InvalidPictureError, UnsupportedPictureError
from prethrift_backend.observability.child_spans import ChildSpan

READING_SPAN: Final = "read picture"

MAX_PICTURE_BYTES: Final = 10 * 1024 * 1024
# 40 megapixels: above what phones save by default (12 to 24), and 160 MB when decoded with alpha, of which the lock
# below allows one at a time.
MAX_PICTURE_PIXELS: Final = 40_000_000
# The longest side that the WebP format can have; nothing sane is longer.
MAX_SIDE_PIXELS: Final = 16_383
# Arbitrary: no visible loss against an upload that was compressed before.
_QUALITY: Final = 90

_ORIENTATION_TAG: Final = 0x0112
# EXIF 2.32, section 4.6.4, Orientation: what turns the stored picture upright.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# warnings.catch_warnings changes the whole process and must not overlap with itself; and one decoder at a time keeps
# the memory of large pictures within bounds. The lock is state of the module because what it guards is the process's.
_one_decoder = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    media_type: str
    extension: str
    keeps_alpha: bool


_JPEG = _Format("JPEG", "image/jpeg", "jpg", keeps_alpha=False)
_PNG = _Format("PNG", "image/png", "png", keeps_alpha=True)
_WEBP = _Format("WEBP", "image/webp", "webp", keeps_alpha=True)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture fit to be stored.

    ``data`` is the encoded picture, ``image`` the same decoded for the models: RGB, transparent parts white. The sides
    are in pixels, after turning it upright.
    """

    data: bytes
    media_type: str
    extension: str
    image: Image.Image
    width: int
    height: int


class PictureReader:
    """Normalise pictures off the event loop, one at a time, so that no more than one thread is taken by them."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Semaphore(1)

    async def read(self, data: bytes) -> Picture:
        """Do what ``normalise_picture`` does, in a thread."""
        _check_size(data)
        # Its own wait for the one before it included: that is where the time of an upload goes.
        with ChildSpan(__name__, READING_SPAN, kind=SpanKind.INTERNAL, attributes={"picture.bytes": len(data)}):
            async with self._one_at_a_time:
                return await asyncio.to_thread(normalise_picture, data)


def normalise_picture(data: bytes) -> Picture:
    """Decode, turn upright, and encode anew what was uploaded; of an animation, the first picture.

    Takes up to a second for the largest pictures: call it in a thread. Raise BodyTooLargeError above 10 MiB,
    UnsupportedPictureError for what is not JPEG, PNG or WebP by content, and InvalidPictureError for what is broken,
    truncated or has too many pixels.
    """
    _check_size(data)
    kind = _recognise(data)
    with _one_decoder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PIL finds odd about a stranger's file concerns nobody here
        try:
            return _normalise(data, kind)
        except (InvalidPictureError, MemoryError):
            raise
        except Exception as error:  # PIL lets nearly any error out of broken bytes, and all are the file's fault
            raise InvalidPictureError(
                f"the {kind.name} picture cannot be decoded: it is broken or cut short; save it again and send that"
            ) from error


def _check_size(data: bytes) -> None:
    if len(data) > MAX_PICTURE_BYTES:
        raise BodyTooLargeError(
            f"the picture has {len(data)} bytes: at most {MAX_PICTURE_BYTES} are allowed; send a smaller one"
        )


def _recognise(data: bytes) -> _Format:
    if not data:
        raise InvalidPictureError("the picture is empty: send the bytes of a JPEG, PNG or WebP file")
    if data.startswith(b"\xff\xd8\xff"):
        return _JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _WEBP
    raise UnsupportedPictureError(
        f"the picture begins with {data[:8].hex(' ')}, which is not JPEG, PNG or WebP: the content decides, not the "
        "name; convert it to one of these"
    )


def _normalise(data: bytes, kind: _Format) -> Picture:
    with Image.open(BytesIO(data), formats=(kind.name,)) as opened:
        _check_dimensions(opened)
        opened.load()
        image = _in_plain_mode(_in_srgb(_in_eight_bits(opened)))
        image = _upright(image, _orientation(opened))
    flat = _on_white(image)
    stored = image if kind.keeps_alpha else flat
    return Picture(_encode(stored, kind), kind.media_type, kind.extension, flat, flat.width, flat.height)


def _check_dimensions(image: Image.Image) -> None:
    """Judge by the header: nothing is decoded yet."""
    width, height = image.size
    if width * height > MAX_PICTURE_PIXELS or max(width, height) > MAX_SIDE_PIXELS:
        raise InvalidPictureError(
            f"the picture has {width} x {height} pixels: at most {MAX_PICTURE_PIXELS} in all and {MAX_SIDE_PIXELS} on "
            "a side are allowed; send a smaller one"
        )


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # noqa: BLE001 - broken EXIF is common, PIL raises all sorts, and the pixels are good
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = _UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Bring 16-bit grey, which PNG may have, to 8 bits; PIL's own conversion clips it to white."""
    if not image.mode.startswith("I"):
        return image
    grey = Image.fromarray((np.asarray(image).clip(0, 65535) // 256).astype(np.uint8))
    grey.info = dict(image.info)
    return grey


def _in_srgb(image: Image.Image) -> Image.Image:
    """Convert by the picture's own colour profile; a profile that cannot be used is left out."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in {"RGB", "RGBA", "CMYK", "L"}:
        return image
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        opaque = image.convert("RGB") if alpha else image
        converted = ImageCms.profileToProfile(opaque, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return image
    if converted is None:
        return image
    if alpha:
        converted.putalpha(alpha)
    return converted


def _in_plain_mode(image: Image.Image) -> Image.Image:
    """Return a copy in RGB, or RGBA where some of it may be transparent, that carries nothing but its pixels."""
    mode = "RGBA" if image.has_transparency_data else "RGB"
    plain = image.convert(mode) if image.mode != mode else image.copy()
    plain.info = {}
    return plain


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def _encode(image: Image.Image, kind: _Format) -> bytes:
    options: dict[str, Any] = {} if kind is _PNG else {"quality": _QUALITY}
    buffer = BytesIO()
    image.save(buffer, format=kind.name, **options)
    return buffer.getvalue()
