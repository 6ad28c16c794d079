"""Dashboards as Grafana's JSON, of the schema version that Grafana 10.4 wrote and later ones read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prethrift_backend.contracts import MetricsContract
from prethrift_backend.verify.dashboards.catalogue import make_pages
from prethrift_backend.verify.dashboards.model import GRID_COLUMNS, SELECTOR, Page, Panel, Query, Row
from prethrift_backend.verify.dashboards.variables import SOURCE, variables

_SCHEMA_VERSION: Final = 39
_ADDRESS: Final = "prethrift-{}"
_LETTERS: Final = "ABCDEFGHIJ"
_TAG: Final = "prethrift"
Json = dict[str, Any]


def render_dashboards(contract: MetricsContract) -> dict[str, str]:
    """Return the text of each dashboard by the name of its file.

    Raises ContractError where a panel asks for what the contract has not.
    """
    job = contract.scrape.job if contract.scrape is not None else ""
    return {
        f"{page.name}.json": json.dumps(render_page(page, job=job), indent=2, ensure_ascii=False) + "\n"
        for page in make_pages(contract)
    }


def render_page(page: Page, *, job: str) -> Json:
    """Return one dashboard; ``job`` is the one that is chosen at first."""
    return {
        "uid": _ADDRESS.format(page.name),
        "title": page.title,
        "description": f"{page.description} Made by `make docs` from contracts/metrics.txt: changes here are lost.",
        "tags": [_TAG],
        "schemaVersion": _SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [_link()],
        "annotations": {"list": [_starts()]},
        "templating": {"list": variables(job=job, has_route=page.has_route)},
        "panels": list(_rows(page.rows)),
    }


def _link() -> Json:
    return {
        "type": "dashboards",
        "title": "Prethrift",
        "icon": "external link",
        "tooltip": "",
        "targetBlank": False,
        "tags": [_TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
    }


def _starts() -> Json:
    return {
        "name": "Starts",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": f"changes(process_start_time_seconds{{{SELECTOR}}}[$__rate_interval]) > 0",
        "titleFormat": "start of {{instance}}",
    }


def _rows(rows: tuple[Row, ...]) -> Iterator[Json]:
    """Set row under row; the ids count up in the order of the page."""
    top, number = 0, 1
    for row in rows:
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": GRID_COLUMNS, "h": 1},
            "panels": [],
        }
        placed, height = _places(row.panels)
        for index, (panel, (left, down)) in enumerate(zip(row.panels, placed, strict=True), start=number + 1):
            place = {"x": left, "y": top + 1 + down, "w": panel.columns, "h": panel.lines}
            yield {"id": index, **_panel(panel), "gridPos": place}
        top += 1 + height
        number += 1 + len(row.panels)


def _places(panels: tuple[Panel, ...]) -> tuple[list[tuple[int, int]], int]:
    """Return where each panel begins within its row, and how high the row is."""
    places: list[tuple[int, int]] = []
    left = down = height = 0
    for panel in panels:
        if left + panel.columns > GRID_COLUMNS:
            left, down, height = 0, down + height, 0
        places.append((left, down))
        left, height = left + panel.columns, max(height, panel.lines)
    return places, down + height


def _panel(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "targets": [_target(query, letter, panel) for query, letter in zip(panel.queries, _LETTERS, strict=False)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
        "transformations": _TRANSFORMATIONS if panel.kind == "table" else [],
    }


def _target(query: Query, letter: str, panel: Panel) -> Json:
    formats = {"heatmap": "heatmap", "table": "table"}
    return {
        "refId": letter,
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "format": formats.get(panel.kind, "time_series"),
        "instant": panel.kind == "table",
        "range": panel.kind != "table",
        "exemplar": query.exemplars,
    }


def _defaults(panel: Panel) -> Json:
    defaults: Json = {"unit": panel.unit, "thresholds": _thresholds(panel)}
    if panel.kind in ("timeseries", "stat"):
        defaults["min"] = 0
    if panel.kind == "timeseries":
        defaults["custom"] = _drawing(panel)
    if panel.words:
        defaults["mappings"] = [_mapping(panel)]
    return defaults


def _thresholds(panel: Panel) -> Json:
    base = {"color": "green", "value": None}
    steps = [{"color": step.colour, "value": step.value} for step in panel.thresholds]
    return {"mode": "absolute", "steps": [base, *steps]}


def _drawing(panel: Panel) -> Json:
    drawing: Json = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": False}
    drawing["stacking"] = {"mode": "normal" if panel.is_stacked else "none", "group": "A"}
    drawing["thresholdsStyle"] = {"mode": "line" if panel.thresholds else "off"}
    return drawing


def _mapping(panel: Panel) -> Json:
    options = {f"{value:g}": {"text": text, "color": colour} for value, text, colour in panel.words}
    return {"type": "value", "options": options}


_LEGEND: Final[Json] = {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True}
_TOOLTIP: Final[Json] = {"mode": "multi", "sort": "desc"}
# Of a table, the time is the same in each line, and the value is a number of instances.
_TRANSFORMATIONS: Final[list[Json]] = [
    {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {"Value": "instances"}}}
]
_OPTIONS: Final[Mapping[str, Json]] = {
    "timeseries": {
        "legend": _LEGEND,
        "tooltip": _TOOLTIP,
    },
    "stat": {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "showPercentChange": False,
        "textMode": "auto",
        "wideLayout": True,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "scheme",
            "scheme": "Oranges",
            "steps": 64,
            "exponent": 0.5,
            "fill": "dark-orange",
            "reverse": False,
        },
        "legend": {"show": True},
        "showValue": "never",
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "tooltip": {"mode": "single", "yHistogram": False},
        "yAxis": {"axisPlacement": "left"},
        "rowsFrame": {"layout": "auto"},
    },
    "table": {"frameIndex": 0, "showHeader": True, "cellHeight": "sm"},
    "state-timeline": {
        "mergeValues": True,
        "showValue": "auto",
        "rowHeight": 0.9,
        "tooltip": _TOOLTIP,
        "legend": _LEGEND,
    },
}
