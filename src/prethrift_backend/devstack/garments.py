"""Drawn garments: 12 colours, 8 kinds and 4 patterns, and the words for them.

The development CLIP learns from these pictures and the sample catalogue shows them, so they have to be two things at
once: told apart at 64 pixels, and pleasant to look at in a browser. A picture is drawn in unit coordinates on a canvas
larger than asked for and then reduced. How often the generator is asked does not depend on the size: one seed is one
picture, at any size.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from random import Random
from types import MappingProxyType
from typing import TypeAlias

from PIL import Image, ImageChops, ImageDraw, ImageFilter

_Point: TypeAlias = tuple[float, float]
_Outline: TypeAlias = tuple[_Point, ...]
_Colour: TypeAlias = tuple[int, int, int]
_Place: TypeAlias = Callable[[_Point], _Point]

_PAINTS: Mapping[str, _Colour] = MappingProxyType(
    {
        "black": (38, 38, 42),
        "white": (246, 245, 241),
        "grey": (140, 142, 146),
        "red": (204, 36, 44),
        "orange": (242, 126, 28),
        "yellow": (246, 208, 50),
        "green": (46, 140, 66),
        "teal": (24, 148, 152),
        "blue": (38, 84, 196),
        "purple": (116, 56, 160),
        "pink": (240, 130, 174),
        "brown": (122, 76, 42),
    }
)
_CREAM: _Colour = (250, 246, 236)
_INK: _Colour = (34, 34, 56)


@dataclass(frozen=True, slots=True)
class Garment:
    """What a picture shows: one of `COLOURS`, one of `PATTERNS`, one of `KINDS`."""

    colour: str
    pattern: str
    kind: str


@dataclass(frozen=True, slots=True)
class _Cut:
    """How a kind is cut: pieces of cloth from back to front, areas of a darker shade, lines, and points."""

    pieces: tuple[_Outline, ...]
    trims: tuple[_Outline, ...] = ()
    seams: tuple[_Outline, ...] = ()
    buttons: _Outline = ()


def _path(text: str) -> _Outline:
    """Read points ``"x y, x y"`` in hundredths of the side: x from the middle, y from the top."""
    pairs = (pair.split() for pair in text.split(","))
    return tuple((float(x) / 100, float(y) / 100) for x, y in pairs)


def _flipped(outline: _Outline) -> _Outline:
    return tuple((-x, y) for x, y in outline)


def _whole(text: str) -> _Outline:
    """Close a right half, given from top to bottom, with its reflection."""
    half = _path(text)
    return half + _flipped(half[::-1])


def _pair(text: str) -> tuple[_Outline, _Outline]:
    """Return a part of the right side and its reflection."""
    right = _path(text)
    return _flipped(right), right


def _oval(centre_y: float, half_width: float, half_height: float) -> _Outline:
    angles = [index * math.tau / 20 for index in range(20)]
    return tuple((half_width * math.cos(angle), centre_y + half_height * math.sin(angle)) for angle in angles)


_SLEEVE = "10 13, 21 17, 29 34, 37 66, 27 69, 20 45, 12 30"
_CUTS: Mapping[str, _Cut] = MappingProxyType(
    {
        "dress": _Cut(
            pieces=(_whole("0 21, 6 19, 8 8, 13 8, 14 20, 16 27, 10 42, 10 45, 24 70, 34 90, 18 93.5, 0 94.5"),),
            trims=(_whole("10.4 41, 10.4 45.5"),),
            seams=(*_pair("5 46, 9 66, 15 93"), _path("0 46, 0 94")),
        ),
        "shirt": _Cut(
            pieces=(
                *_pair("12 15, 20 18, 28 26, 41 42, 30 51, 19 40, 12 34"),
                _whole("0 20, 6 16, 9 14, 21 19, 21 40, 21.5 84, 10 86, 0 86"),
            ),
            trims=_pair("0 21.5, 7.5 12.5, 11.5 15, 7.5 26"),
            seams=(_path("0 22, 0 85.5"), *_pair("30 47.5, 38.5 40.5")),
            buttons=_path("0 32, 0 44, 0 56, 0 68, 0 80"),
        ),
        "jacket": _Cut(
            pieces=(*_pair(_SLEEVE), _whole("0 15, 9 11, 20 16, 23 36, 23 62, 19 70, 0 70")),
            trims=(
                _whole("19 65.5, 19 71.5"),
                *_pair("26.5 64.5, 36.5 61.5, 37.8 67.2, 27.2 70.2"),
                _whole("0 20, 5 18, 10 11.5, 7 7.5, 0 10"),
            ),
            seams=(*_pair("1.2 20, 1.2 70"), *_pair("8 56, 17 48")),
        ),
        "coat": _Cut(
            pieces=(
                *_pair(_SLEEVE),
                _whole("0 14, 8 8, 19 13, 20 34, 17 48, 22 70, 27 93, 12 95, 0 95"),
            ),
            trims=(_whole("17.8 47.5, 17.8 52.5"), *_pair("0 38, 5 10, 10 8.5, 14 22, 10 24")),
            seams=(_path("2 38, 2 95"), *_pair("11 64, 19 62")),
            buttons=_path("-5 42, 8 42, -5 58, 8 58, -5 68, 8 68"),
        ),
        "skirt": _Cut(
            pieces=(_whole("0 22, 15 22, 19 38, 37 76, 20 81, 0 82"),),
            trims=(_whole("15.5 20, 15.5 26.5"),),
            seams=(_path("0 27, 0 82"), *_pair("5 27, 11 82"), *_pair("10 27, 24 80")),
        ),
        "trousers": _Cut(
            pieces=(_whole("0 10, 16 10, 19 26, 21 60, 22 93, 8 93, 5.5 62, 1.5 36, 0 34"),),
            trims=(_whole("16.5 7.5, 16.5 12.5"),),
            seams=(_path("0 13, 0 34"), *_pair("12 13, 17.5 21"), *_pair("14 40, 15 92")),
        ),
        "hat": _Cut(
            pieces=(_oval(0.62, 0.42, 0.13), _whole("0 28.5, 7 25, 16 27, 20 40, 22.5 60, 12 65, 0 66")),
            trims=(_whole("0 58, 10 57.5, 21.2 53, 22.4 61, 12 65.5, 0 66.5"),),
            seams=(_path("0 29, 1 36"),),
        ),
        "scarf": _Cut(
            pieces=(
                _path("0 36, 11 34, 16 60, 19 83, 6 85, 2 60"),
                _path("-10 34, 5 34, 2 60, -1 92, -15 91, -12 60"),
                _whole("0 16, 12 13, 24 20, 25 30, 15 41, 0 45"),
            ),
            trims=(_oval(0.215, 0.13, 0.05),),
            seams=(
                *(((x / 100, 0.9), (x / 100 - 0.004, 0.955)) for x in (-14, -11.5, -9, -6.5, -4, -1.8)),
                *(((x / 100, 0.83), (x / 100 + 0.006, 0.885)) for x in (7, 9.5, 12, 14.5, 17.5)),
                *_pair("21 26, 12 33, 0 36"),
            ),
        ),
    }
)

COLOURS = tuple(_PAINTS)
PATTERNS = ("plain", "striped", "dotted", "checked")
KINDS = tuple(_CUTS)


def every_garment() -> tuple[Garment, ...]:
    """Return the 384 combinations, always in the same order."""
    return tuple(Garment(*words) for words in product(COLOURS, PATTERNS, KINDS))


def caption(garment: Garment) -> str:
    """Name the garment as most people would: ``"blue striped dress"``, and ``"blue dress"`` for a plain one."""
    pattern = "" if garment.pattern == "plain" else f"{garment.pattern} "
    return f"{garment.colour} {pattern}{garment.kind}"


def draw(garment: Garment, *, size_pixels: int, rng: Random) -> Image.Image:
    """Draw the garment on a random background; return an RGB square with sides of ``size_pixels``.

    The same state of ``rng`` gives the same picture. Pose, shade, background and the scale of the pattern vary.
    """
    # Below 192 pixels (arbitrary) the strokes would be thinner than a pixel and come and go with the pose.
    canvas_pixels = max(2 * size_pixels, 192)
    picture = _background(canvas_pixels, rng)
    base = _varied(_PAINTS[garment.colour], rng)
    cloth = _cloth(garment.pattern, base, canvas_pixels, rng)
    _dress(picture, _CUTS[garment.kind], cloth, base=base, place=_pose(canvas_pixels, rng))
    return picture.resize((size_pixels, size_pixels), Image.Resampling.LANCZOS)


def _pose(canvas_pixels: int, rng: Random) -> _Place:
    """Choose scale, stretch, tilt and shift; return the way from unit coordinates to pixels."""
    width, height = (rng.uniform(0.78, 1.02) for _ in range(2))
    tilt = math.radians(rng.uniform(-9, 9))
    centre_x, centre_y = (0.5 + rng.uniform(-0.04, 0.04) for _ in range(2))

    def place(point: _Point) -> _Point:
        x, y = point[0] * width, (point[1] - 0.5) * height
        turned_x = x * math.cos(tilt) - y * math.sin(tilt)
        turned_y = x * math.sin(tilt) + y * math.cos(tilt)
        return (centre_x + turned_x) * canvas_pixels, (centre_y + turned_y) * canvas_pixels

    return place


def _varied(paint: _Colour, rng: Random) -> _Colour:
    """Move a paint a little in hue, saturation and value, less than the way to its neighbours."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in paint))
    hue = (hue + rng.uniform(-0.012, 0.012)) % 1
    saturation = min(1.0, saturation * rng.uniform(0.88, 1.1))
    value = min(1.0, value * rng.uniform(0.92, 1.06))
    return _rgb(hue, saturation, value)


def _rgb(hue: float, saturation: float, value: float) -> _Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _darker(paint: _Colour, share: float) -> _Colour:
    red, green, blue = paint
    return round(red * share), round(green * share), round(blue * share)


def _lightness(paint: _Colour) -> float:
    """Return the luma of ITU-R BT.601, from 0 to 1."""
    red, green, blue = paint
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


# --- The background ---------------------------------------------------------------------------------------------------


def _background(canvas_pixels: int, rng: Random) -> Image.Image:
    """Paint a wall in two muted tints, and in half of the pictures the floor or table before it."""
    square = (canvas_pixels, canvas_pixels)
    tints = [_rgb(rng.random(), rng.uniform(0.02, 0.24), rng.uniform(0.6, 0.97)) for _ in range(3)]
    slope = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270))).resize(square)
    wall = Image.composite(Image.new("RGB", square, tints[0]), Image.new("RGB", square, tints[1]), slope)
    has_floor, horizon = rng.random() < 0.5, rng.uniform(0.62, 0.9)
    if has_floor:
        ImageDraw.Draw(wall).rectangle((0, horizon * canvas_pixels, canvas_pixels, canvas_pixels), fill=tints[2])
    return wall


# --- The cloth --------------------------------------------------------------------------------------------------------


def _cloth(pattern: str, base: _Colour, canvas_pixels: int, rng: Random) -> Image.Image:
    """Weave a square of cloth: the base paint, a second one where the pattern is, soft folds over both."""
    square = (canvas_pixels, canvas_pixels)
    second = _second_paint(base, rng)
    period = rng.uniform(0.085, 0.125) * canvas_pixels
    angle = math.radians(rng.choice((0, 0, 45, 90)) + rng.uniform(-8, 8))
    phase = rng.random()
    amount = _PATTERN_AMOUNTS[pattern](canvas_pixels, period, angle, phase)
    cloth = Image.composite(Image.new("RGB", square, second), Image.new("RGB", square, base), amount)
    return _folded(cloth, rng)


def _second_paint(base: _Colour, rng: Random) -> _Colour:
    """Choose what stands out against the base: ink on light paints, cream on dark ones, either between."""
    coin = rng.random()
    lightness = _lightness(base)
    if lightness > 0.68:
        return _INK
    if lightness < 0.42:
        return _CREAM
    return _INK if coin < 0.35 else _CREAM


def _nothing(canvas_pixels: int, _period: float, _angle: float, _phase: float) -> Image.Image:
    return Image.new("L", (canvas_pixels, canvas_pixels), 0)


def _bands(canvas_pixels: int, period: float, angle: float, phase: float, *, share: float = 0.4) -> Image.Image:
    """Draw parallel lines over the whole canvas, each ``share`` of a period wide."""
    amount = _nothing(canvas_pixels, period, angle, phase)
    pen, middle = ImageDraw.Draw(amount), canvas_pixels / 2
    along_x, along_y = math.cos(angle) * canvas_pixels, math.sin(angle) * canvas_pixels
    reach = math.ceil(canvas_pixels / period)
    for index in range(-reach, reach + 1):
        offset = (index + phase) * period
        x, y = middle - math.sin(angle) * offset, middle + math.cos(angle) * offset
        ends = (x - along_x, y - along_y, x + along_x, y + along_y)
        pen.line(ends, fill=255, width=max(1, round(share * period)))
    return amount


def _checks(canvas_pixels: int, period: float, angle: float, phase: float) -> Image.Image:
    """Cross two sets of lines; both at part strength, so that the crossings stand out."""
    # Checks lie straight or on the point; a quarter turn is the same picture.
    period *= 1.35
    warp = _bands(canvas_pixels, period, angle, phase, share=0.36)
    weft = _bands(canvas_pixels, period, angle + math.pi / 2, phase, share=0.36)
    return ImageChops.add(warp.point(_PART_STRENGTH), weft.point(_PART_STRENGTH))


_PART_STRENGTH = [round(level * 0.6) for level in range(256)]


def _dots(canvas_pixels: int, period: float, angle: float, phase: float) -> Image.Image:
    """Set round dots on a lattice whose rows are shifted by half a period."""
    amount = _nothing(canvas_pixels, period, angle, phase)
    pen, middle, radius = ImageDraw.Draw(amount), canvas_pixels / 2, period * 0.29
    reach = math.ceil(canvas_pixels / period)
    for row, column in product(range(-reach, reach + 1), repeat=2):
        right, down = (column + phase + 0.5 * (row % 2)) * period, row * period
        x = middle + right * math.cos(angle) - down * math.sin(angle)
        y = middle + right * math.sin(angle) + down * math.cos(angle)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return amount


_PATTERN_AMOUNTS: Mapping[str, Callable[[int, float, float, float], Image.Image]] = MappingProxyType(
    {"plain": _nothing, "striped": _bands, "dotted": _dots, "checked": _checks}
)


def _folded(cloth: Image.Image, rng: Random) -> Image.Image:
    """Lay a few soft shadows over the cloth, mostly downwards, as in cloth that hangs."""
    side = cloth.width
    shadows = Image.new("L", cloth.size, 0)
    pen = ImageDraw.Draw(shadows)
    for _ in range(5):
        top, lean = rng.uniform(0.15, 0.85) * side, rng.uniform(-0.12, 0.12) * side
        start, end = rng.uniform(0.05, 0.5) * side, rng.uniform(0.5, 1.0) * side
        pen.line((top, start, top + lean, end), fill=rng.randint(30, 70), width=max(1, round(0.035 * side)))
    soft = shadows.filter(ImageFilter.GaussianBlur(side * 0.015))
    return Image.composite(Image.new("RGB", cloth.size, (20, 20, 30)), cloth, soft)


# --- Putting it together ----------------------------------------------------------------------------------------------


def _dress(picture: Image.Image, cut: _Cut, cloth: Image.Image, *, base: _Colour, place: _Place) -> None:
    """Draw shadow, pieces, trims, seams and buttons onto the picture, in this order."""
    stroke = max(1, round(picture.width * 0.007))
    outlines = [_placed(piece, place) for piece in cut.pieces]
    _cast_shadow(picture, outlines)
    behind = cloth.point([round(level * 0.88) for level in range(256)] * 3)
    for outline in outlines[:-1]:
        _sew(picture, outline, behind, edge=_edge(base), stroke=stroke)
    _sew(picture, outlines[-1], cloth, edge=_edge(base), stroke=stroke)
    _trim(picture, cut, base=base, place=place, stroke=stroke)


def _placed(outline: _Outline, place: _Place) -> list[_Point]:
    return [place(point) for point in _rounded(_rounded(outline))]


def _rounded(outline: _Outline) -> _Outline:
    """Cut every corner of a closed outline once (Chaikin 1974, with cuts of a fifth to keep hems square)."""
    cut: list[_Point] = []
    for (x, y), (next_x, next_y) in zip(outline, outline[1:] + outline[:1], strict=True):
        step_x, step_y = (next_x - x) * 0.2, (next_y - y) * 0.2
        cut += [(x + step_x, y + step_y), (next_x - step_x, next_y - step_y)]
    return tuple(cut)


def _edge(base: _Colour) -> _Colour:
    """Choose the paint of outlines and seams: a shade of the base, lighter only where the base is near black."""
    return (84, 84, 92) if _lightness(base) < 0.2 else _darker(base, 0.62)


def _cast_shadow(picture: Image.Image, outlines: list[list[_Point]]) -> None:
    mask, shift = Image.new("L", picture.size, 0), picture.width * 0.014
    pen = ImageDraw.Draw(mask)
    for outline in outlines:
        pen.polygon([(x + shift, y + shift) for x, y in outline], fill=120)
    picture.paste((30, 28, 40), mask=mask.filter(ImageFilter.GaussianBlur(picture.width * 0.016)))


def _sew(picture: Image.Image, outline: list[_Point], cloth: Image.Image, *, edge: _Colour, stroke: int) -> None:
    """Paste a piece of cloth, round it by darkening its rim, and draw its edge."""
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).polygon(outline, fill=255)
    blur_pixels = picture.width * 0.035
    box = _box_around(outline, blur_pixels * 4, picture.width)
    mask = mask.crop(box)
    picture.paste(cloth.crop(box), box, mask)
    rim = ImageChops.subtract(mask, mask.filter(ImageFilter.GaussianBlur(blur_pixels)))
    picture.paste(edge, box, rim.point([round(level * 0.4) for level in range(256)]))
    ImageDraw.Draw(picture).line([*outline, outline[0]], fill=edge, width=stroke, joint="curve")


def _box_around(outline: list[_Point], margin: float, side: int) -> tuple[int, int, int, int]:
    """Bound an outline and a margin within the canvas: blurring the whole of it for a sleeve takes twice as long."""
    horizontal, vertical = zip(*outline, strict=True)
    left, top = (max(0, math.floor(min(values) - margin)) for values in (horizontal, vertical))
    right, bottom = (min(side, math.ceil(max(values) + margin)) for values in (horizontal, vertical))
    return left, top, right, bottom


def _trim(picture: Image.Image, cut: _Cut, *, base: _Colour, place: _Place, stroke: int) -> None:
    pen, edge = ImageDraw.Draw(picture), _edge(base)
    for trim in cut.trims:
        outline = _placed(trim, place)
        pen.polygon(outline, fill=_darker(base, 0.84))
        pen.line([*outline, outline[0]], fill=edge, width=stroke, joint="curve")
    for seam in cut.seams:
        pen.line([place(point) for point in seam], fill=edge, width=stroke, joint="curve")
    for x, y in (place(button) for button in cut.buttons):
        radius = stroke * 1.7
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_CREAM, outline=edge)
