"""The table of a run: as text, as Markdown, as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.overhead.race import Results, Spread
from tests.overhead.rows import BARE, ROWS, Row


@dataclass(frozen=True, slots=True)
class Part:
    """What was measured at one number of routes."""

    routes: int
    cpu: Results
    load: Results

    @property
    def rows(self) -> list[Row]:
        """The rows, in the order of the table."""
        return [row.at(self.routes) for row in ROWS]

    def added_us(self, row: Row) -> Spread | None:
        """Return the CPU time that a request takes more than bare, in microseconds; the time itself for bare."""
        if row not in self.cpu.values:
            return None
        if row.module == BARE.module:
            return Spread.of(self.cpu.values[row])
        return Spread.of(self.cpu.against_bare(lambda mine, its: mine - its)[row])

    def share(self, row: Row) -> Spread | None:
        """Return the throughput as a share of bare's."""
        if row not in self.load.values:
            return None
        return Spread.of(self.load.against_bare(lambda mine, its: mine / its)[row])

    def error(self, row: Row) -> str:
        """Return why something is missing."""
        return self.cpu.errors.get(row) or self.load.errors.get(row) or ""


HEADINGS = ("variant", "routes", "added µs a request", "quarters", "throughput, of bare", "quarters", "")


def _added(row: Row, spread: Spread | None) -> tuple[str, str]:
    if spread is None:
        return "", ""
    shown = f"({spread.median:.0f} in all)" if row.module == BARE.module else f"+{spread.median:.1f}"
    return shown, f"{spread.low:.1f} to {spread.high:.1f}"


def _share(spread: Spread | None) -> tuple[str, str]:
    return ("", "") if spread is None else (f"{spread.median:.2f}", f"{spread.low:.2f} to {spread.high:.2f}")


def lines(parts: Sequence[Part]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each line below the headings."""
    for part in parts:
        for row in part.rows:
            yield (
                row.name,
                str(row.routes),
                *_added(row, part.added_us(row)),
                *_share(part.share(row)),
                part.error(row),
            )


def as_text(parts: Sequence[Part]) -> str:
    """Return the table in columns."""
    table = [HEADINGS, *lines(parts)]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in {0, len(HEADINGS) - 1} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in table
    )


def as_markdown(parts: Sequence[Part]) -> str:
    """Return the table as Markdown."""
    table = [HEADINGS, ("---",) * len(HEADINGS), *lines(parts)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in table) + "\n"


def machine() -> dict[str, object]:
    """Return what the figures depend on."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def as_json(parts: Sequence[Part], *, versions: dict[str, str], load_by: str) -> str:
    """Return every value of every round."""
    found: list[dict[str, Any]] = []
    for part in parts:
        for row in part.rows:
            added, share = part.added_us(row), part.share(row)
            found.append(
                {
                    "variant": row.name,
                    "sampled": row.sampled,
                    "routes": row.routes,
                    "added_us": added and asdict(added),
                    "throughput_of_bare": share and asdict(share),
                    "cpu_us_rounds": part.cpu.values.get(row, []),
                    "requests_a_second_rounds": part.load.values.get(row, []),
                    "error": part.error(row) or None,
                }
            )
    return json.dumps({"machine": machine(), "load_by": load_by, "versions": versions, "rows": found}, indent=2)


def write(parts: Sequence[Part], *, folder: Path, versions: dict[str, str], load_by: str) -> None:
    """Keep the table in ``folder`` as overhead.json and overhead.md."""
    folder.mkdir(exist_ok=True)
    (folder / "overhead.json").write_text(as_json(parts, versions=versions, load_by=load_by))
    (folder / "overhead.md").write_text(as_markdown(parts))


def write_profiles(profiles: Mapping[Row, Any], *, folder: Path) -> None:
    """Keep which functions take most, as overhead-profile.txt."""
    folder.mkdir(exist_ok=True)
    (folder / "overhead-profile.txt").write_text("\n".join(_profile(row, found) for row, found in profiles.items()))


def _profile(row: Row, found: Any) -> str:
    heading = f"{row.name}: {found['cpu_us']:.1f} µs a request, {found['serving_us']:.1f} of them in the serving thread"
    lines = [
        f"{line['own_us']:8.2f} {line['total_us']:8.2f} {line['calls']:6.1f}  {line['function']}"
        for line in found["lines"]
    ]
    return "\n".join([heading, "  own µs    total  calls  function", *lines, ""])
