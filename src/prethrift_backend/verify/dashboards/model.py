"""What a dashboard is made of, as frozen values; nothing here knows Grafana's JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, Self

PanelKind = Literal["stat", "timeseries", "heatmap", "table", "state-timeline"]

# The label matchers of every query. `environment` is a label that the scrape gives; where it gives none, "All", which
# is .*, matches as well.
SELECTOR: Final = 'job="$job",environment=~"$environment",instance=~"$instance"'
ROUTE_SELECTOR: Final = f'{SELECTOR},endpoint=~"$route"'

GRID_COLUMNS: Final = 24
# What a gauge that is 1 or 0 says.
UP_WORDS: Final = ((1.0, "up", "green"), (0.0, "down", "red"))


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel; ``legend`` is Grafana's template, ``exemplars`` asks for links to traces as well."""

    expression: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Threshold:
    """From ``value`` on the panel is of this colour, or has a line of it."""

    value: float
    colour: str = "red"


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; ``unit`` is one of Grafana's, ``words`` what is shown in place of a value, and its colour."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: PanelKind = "timeseries"
    thresholds: tuple[Threshold, ...] = ()
    words: tuple[tuple[float, str, str], ...] = ()
    columns: int = 8
    lines: int = 8
    is_stacked: bool = False

    def sized(self, columns: int, lines: int = 8) -> Self:
        """Return the panel with another size, in the units of Grafana's grid."""
        return replace(self, columns=columns, lines=lines)

    def marked(self, *thresholds: Threshold) -> Self:
        """Return the panel with thresholds."""
        return replace(self, thresholds=thresholds)

    def stacked(self) -> Self:
        """Return the panel with its series one upon the other."""
        return replace(self, is_stacked=True)

    def as_stat(self) -> Self:
        """Return the panel as a single number."""
        return replace(self, kind="stat", columns=4, lines=4)

    def as_timeline(self) -> Self:
        """Return the panel as bars of states over time, of values that are 1 or 0."""
        return replace(self, kind="state-timeline", words=UP_WORDS)


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading; they are set from left to right, and a new line begins where one is full."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard. ``name`` is that of its file, and with a prefix its address in Grafana."""

    name: str
    title: str
    description: str
    rows: tuple[Row, ...]
    has_route: bool = False

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, in order."""
        return tuple(panel for row in self.rows for panel in row.panels)
