"""The stored results of one run: what the page and its plots are made of."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.perf.scale.points import Point

ROOT: Final = Path(__file__).parents[3]
FOLDER: Final = ROOT / "docs" / "performance"
_STORE: Final = FOLDER / "scale.json"


@dataclass(frozen=True, slots=True)
class Results:
    """What was measured of each axis, and on what."""

    machine: str
    axes: Mapping[str, Sequence[Point]]

    def store(self) -> None:
        """Write them to docs/performance/scale.json."""
        axes = {
            name: [
                {"size": point.size, **{key: round(value, 3) for key, value in point.figures.items()}}
                for point in points
            ]
            for name, points in self.axes.items()
        }
        FOLDER.mkdir(exist_ok=True)
        _STORE.write_text(json.dumps({"machine": self.machine, "axes": axes}, indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls) -> Results:
        """Read what is stored."""
        stored = json.loads(_STORE.read_text())
        axes = {name: [_point(dict(row)) for row in rows] for name, rows in stored["axes"].items()}
        return cls(stored["machine"], axes)


def _point(row: dict[str, float]) -> Point:
    return Point(int(row.pop("size")), row)


def machine() -> str:
    """Say what kind of machine this is; nothing of its name or its folders."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    processor = model[1].strip() if model else platform.machine()
    return f"{os.cpu_count()} cores of {processor}, CPython {platform.python_version()}"
