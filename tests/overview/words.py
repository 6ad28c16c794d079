"""Values and times as Grafana writes them, for the units that the dashboards use."""

from __future__ import annotations

import math
from typing import Final

_SECONDS: Final = ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs"))
_BYTES: Final = ((2.0**30, 2.0**-30, "GiB"), (2.0**20, 2.0**-20, "MiB"), (2.0**10, 2.0**-10, "KiB"), (0.0, 1.0, "B"))
_MANY: Final = ((1e6, 1e-6, "Mil"), (1e3, 1e-3, "K"), (0.0, 1.0, ""))
_SCALES: Final = {"s": _SECONDS, "bytes": _BYTES, "percentunit": ((0.0, 100.0, "%"),)}
_ENDINGS: Final = {"reqps": "req/s", "cps": "c/s"}


def write_value(value: float, unit: str) -> str:
    """Write a value with its unit, to three digits."""
    if math.isnan(value):
        return "no data"
    if value == 0 and unit == "s":
        return "0 s"
    scales = _SCALES.get(unit, _MANY)
    factor, scale = next((factor, name) for least, factor, name in scales if abs(value) >= least)
    number = _digits(value * factor)
    return f"{number}{scale} {_ENDINGS[unit]}" if unit in _ENDINGS else f"{number} {scale}".rstrip()


def _digits(value: float) -> str:
    """Round to three digits, and write whole numbers as such."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(decimals, 3)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def write_time(seconds: float) -> str:
    """Write a time since the start as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def ticks(highest: float, unit: str, *, most: int = 4) -> list[float]:
    """Return round numbers from 0 to just above a value: steps of 1, 2 or 5 of some power of ten, of MiB for bytes."""
    whole = 2.0**20 if unit == "bytes" else 1.0
    if highest <= 0:
        return [0.0, whole]
    rough = highest / whole / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough * (1 - 1e-9))
    return [step * whole * number for number in range(math.ceil(highest / whole / step - 1e-9) + 1)]
