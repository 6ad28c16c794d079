"""The report of the session: one HTML file with what each step said, how it ended, and its charts.

Nothing in it is loaded from elsewhere, and it has no script: it can be kept, sent and opened anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

from tests.e2e.plots import Chart, draw

PATH: Final = Path(__file__).parents[2] / "build" / "e2e-report.html"
# A browser that is told so loads nothing, whatever a text of a log may contain.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = (
    "body{font:15px/1.5 sans-serif;max-width:900px;margin:2em auto;padding:0 1em;color:#222}"
    "pre{background:#f6f6f6;padding:.8em;overflow-x:auto;font-size:12px;white-space:pre-wrap}"
    "td,th{padding:.2em 1em .2em 0;text-align:left}.passed{color:#27703f}.failed{color:#b3261e;font-weight:bold}"
    "svg{width:100%;border:1px solid #ddd;margin:.4em 0}"
)


@dataclass(frozen=True)
class Ended:
    """How a step ended, and after how long; ``problem`` is what a failure says."""

    outcome: str
    seconds: float
    problem: str = ""


@dataclass
class Step:
    """What one step leaves for the report."""

    name: str
    title: str = ""
    said: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)


@dataclass
class Report:
    """What the session has seen so far; steps stand in the order in which they began."""

    steps: dict[str, Step] = field(default_factory=dict)

    def begin(self, name: str, title: str = "") -> Step:
        """Return the step of this name, a new one where there is none yet."""
        return self.steps.setdefault(name, Step(name, title))

    def html(self, *, heading: str, ended: Mapping[str, Ended]) -> str:
        """Return the whole file; ``ended`` tells by the step's name how it ended."""
        body = "".join([f"<h1>{escape(heading)}</h1>", *_overview(list(self.steps), ended), *self._steps(ended)])
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
            f"<title>{escape(heading)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
        )

    def write(self, path: Path, *, heading: str, ended: Mapping[str, Ended]) -> Path:
        """Write the file, its folder made if need be, and return its path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.html(heading=heading, ended=ended), encoding="utf-8")
        return path

    def _steps(self, ended: Mapping[str, Ended]) -> Iterator[str]:
        for step in self.steps.values():
            yield f'<h2 id="{escape(step.name)}">{escape(_words(step.name))}</h2>'
            yield f"<p>{escape(step.title)}</p>"
            yield from _problem(ended.get(step.name))
            yield f"<pre>{escape(chr(10).join(step.said))}</pre>"
            yield from map(draw, step.charts)


def _overview(names: Sequence[str], ended: Mapping[str, Ended]) -> Iterator[str]:
    yield "<table><tr><th>step</th><th>outcome</th><th>seconds</th></tr>"
    for name in names:
        end = ended.get(name, Ended("not ended", 0.0))
        kind = "passed" if end.outcome == "passed" else "failed"
        yield (
            f'<tr><td><a href="#{escape(name)}">{escape(_words(name))}</a></td>'
            f'<td class="{kind}">{escape(end.outcome)}</td><td>{end.seconds:.1f}</td></tr>'
        )
    yield "</table>"


def _problem(end: Ended | None) -> Iterator[str]:
    if end is not None and end.problem:
        yield f'<pre class="failed">{escape(end.problem)}</pre>'


def _words(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")
