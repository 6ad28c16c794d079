"""Numbers as options of commands give them, as types for argparse."""

from __future__ import annotations

import argparse


def positive(text: str) -> float:
    """Read seconds, or how many a second: up to an hour, and never nothing."""
    return _between(text, least=0.001, most=3600.0)


def share(text: str) -> float:
    """Read a part of a whole, from 0 to 1."""
    return _between(text, least=0.0, most=1.0)


def count(text: str) -> int:
    """Read how many, from 1 to 10,000."""
    number = _between(text, least=1, most=10000)
    if not number.is_integer():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 10000")
    return int(number)


def _between(text: str, *, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least:g} to {most:g}")
    return value
