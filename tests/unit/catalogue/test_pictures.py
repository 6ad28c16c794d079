"""What becomes of uploaded bytes: kept, made upright, stripped, or refused with the right error."""

import struct
import warnings
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from prethrift_backend.catalogue.pictures import MAX_PICTURE_BYTES, Picture, PictureReader, normalise_picture
from prethrift_backend.exceptions import BodyTooLargeError, InvalidPictureError, UnsupportedPictureError

FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
REFUSALS = (InvalidPictureError, UnsupportedPictureError, BodyTooLargeError)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return the image as the bytes of a file."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def halves(mode: str = "RGB") -> Image.Image:
    """Draw a picture 40 pixels wide and 20 high, left half red, right half blue."""
    image = Image.new(mode, (40, 20), "blue")
    image.paste("red", (0, 0, 20, 20))
    return image


def png_header(width: int, height: int) -> bytes:
    """Write a PNG that claims these dimensions and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


SAMPLES = [encoded(halves(), kind) for kind in FORMATS]


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_is_taken_and_kept(kind: str) -> None:
    """JPEG, PNG and WebP stay what they are, with their dimensions."""
    picture = normalise_picture(encoded(halves(), kind))

    assert (picture.media_type, picture.width, picture.height) == (FORMATS[kind], 40, 20)
    assert Image.open(BytesIO(picture.data)).format == kind
    assert picture.image.mode == "RGB"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_mode_of_png_is_taken(mode: str) -> None:
    """Grey, palette, alpha and 16 bits come out as something that a model can look at."""
    source = Image.new(mode, (8, 8)) if mode == "I;16" else halves().convert(mode)

    assert normalise_picture(encoded(source, "PNG")).image.mode == "RGB"


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    """Half of 65,535 becomes half of 255, not white."""
    picture = normalise_picture(encoded(Image.new("I;16", (4, 4), 32768), "PNG"))

    assert picture.image.getpixel((0, 0)) == (128, 128, 128)


def test_a_cmyk_jpeg_is_taken() -> None:
    """What comes from a print shop becomes RGB."""
    assert normalise_picture(encoded(halves().convert("CMYK"), "JPEG")).image.mode == "RGB"


@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    [
        (1, (40, 20), (2, 10)),
        (2, (40, 20), (37, 10)),
        (3, (40, 20), (37, 10)),
        (5, (20, 40), (10, 2)),
        (6, (20, 40), (10, 2)),
        (8, (20, 40), (10, 37)),
    ],
)
def test_the_orientation_is_applied(orientation: int, size: tuple[int, int], red_at: tuple[int, int]) -> None:
    """The picture stands upright in its pixels, so that nobody needs the tag."""
    exif = Image.Exif()
    exif[0x0112] = orientation

    image = normalise_picture(encoded(halves(), "PNG", exif=exif)).image

    assert image.size == size
    assert image.getpixel(red_at) == (255, 0, 0)


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_but_the_pixels_is_passed_on(kind: str) -> None:
    """No place, name, comment or profile is left in what is stored."""
    exif = Image.Exif()
    exif[0x010E] = "SECRET-PLACE"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options: dict[str, object] = {"exif": exif, "icc_profile": profile}
    if kind == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Comment", "SECRET-PLACE")  # type: ignore[attr-defined]  # a PngInfo
    if kind == "JPEG":
        options["comment"] = b"SECRET-PLACE"
    upload = encoded(halves(), kind, **options)
    assert b"SECRET-PLACE" in upload

    stored = normalise_picture(upload).data

    assert b"SECRET-PLACE" not in stored
    assert not {"exif", "icc_profile", "comment", "Comment"} & set(Image.open(BytesIO(stored)).info)


def test_transparent_parts_are_white_for_the_model_and_stay_in_the_file() -> None:
    """The models see a garment on white; the page that shows it may put it on anything."""
    picture = normalise_picture(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), "PNG"))

    assert picture.image.getpixel((0, 0)) == (255, 255, 255)
    assert Image.open(BytesIO(picture.data)).mode == "RGBA"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_picture_is_taken(kind: str) -> None:
    """What is stored does not move."""
    moving = encoded(halves(), kind, save_all=True, append_images=[Image.new("RGB", (40, 20), "green")])

    picture = normalise_picture(moving)

    assert getattr(Image.open(BytesIO(picture.data)), "n_frames", 1) == 1
    red, green, _ = picture.image.getpixel((5, 10))  # type: ignore[misc]  # a pixel of RGB
    assert red > 200 > green


@pytest.mark.parametrize("data", [b"GIF89a" + bytes(50), b"%PDF-1.7", b"<svg/>", b"\x00"])
def test_other_content_is_unsupported(data: bytes) -> None:
    """What a file begins with decides; nobody gave us its name."""
    with pytest.raises(UnsupportedPictureError):
        normalise_picture(data)


def test_no_bytes_are_no_picture() -> None:
    """An empty upload is said to be empty."""
    with pytest.raises(InvalidPictureError, match="empty"):
        normalise_picture(b"")


@pytest.mark.parametrize("sample", SAMPLES, ids=FORMATS)
def test_a_truncated_picture_is_refused(sample: bytes) -> None:
    """Half a file is not shown with a grey half."""
    with pytest.raises(InvalidPictureError, match="cut short"):
        normalise_picture(sample[: len(sample) // 2])


@pytest.mark.parametrize("size", [(30_000, 30_000), (6_400, 6_400), (20_000, 1), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_by_the_header(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb never gets as far as the decoder."""

    def explode(*_: object) -> None:
        pytest.fail("the picture was decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", explode)
    with pytest.raises(InvalidPictureError):
        normalise_picture(png_header(*size))


async def test_a_large_upload_is_refused_before_anything_else() -> None:
    """One byte above the limit is enough."""
    with pytest.raises(BodyTooLargeError, match=str(MAX_PICTURE_BYTES)):
        await PictureReader().read(bytes(MAX_PICTURE_BYTES + 1))


async def test_the_reader_does_the_same_in_a_thread() -> None:
    """Off the event loop, the same picture comes out."""
    assert (await PictureReader().read(SAMPLES[1])).data == normalise_picture(SAMPLES[1]).data


def taken_or_refused(data: bytes) -> Picture | None:
    """Normalise; any error but the three refusals, and any warning, is a failure of the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return normalise_picture(data)
        except REFUSALS:
            return None


@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\x00\x00\x00WEBP"]), st.binary(max_size=400)
)
def test_random_bytes_never_do_anything_else(magic: bytes, rest: bytes) -> None:
    """Whatever is sent is taken or refused."""
    taken_or_refused(magic + rest)


@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=12),
    st.integers(0, 10_000),
)
def test_damaged_pictures_never_do_anything_else(sample: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    """A real picture with bytes changed or cut off is taken or refused."""
    damaged = bytearray(sample)
    for place, value in changes:
        damaged[place % len(damaged)] = value

    taken_or_refused(bytes(damaged[: len(damaged) - cut % len(damaged)]))
