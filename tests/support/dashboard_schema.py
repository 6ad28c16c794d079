"""The part of Grafana's dashboard model that ops/grafana uses, as a JSON schema.

Written from Grafana's own description of schema version 39 (its packages @grafana/schema and its documentation), and
stricter: a key that is not here is one that nobody has looked up.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]


def _object(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _list(items: Schema, fewest: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": fewest}


_TEXT: Final[Schema] = {"type": "string"}
_SAID: Final[Schema] = {"type": "string", "minLength": 1}
_YES_OR_NO: Final[Schema] = {"type": "boolean"}
_NUMBER: Final[Schema] = {"type": "number"}
_COLOUR: Final[Schema] = {"enum": ["green", "orange", "red", "blue"]}
_SOURCE: Final = _object({"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}})
_LEGEND: Final = _object(
    {
        "calcs": {"const": []},
        "displayMode": {"enum": ["list", "table", "hidden"]},
        "placement": {"enum": ["bottom", "right"]},
        "showLegend": _YES_OR_NO,
    }
)
_TOOLTIP: Final = _object({"mode": {"enum": ["single", "multi", "none"]}, "sort": {"enum": ["asc", "desc", "none"]}})
_PLACE: Final = _object(
    {
        "x": {"type": "integer", "minimum": 0, "maximum": 23},
        "y": {"type": "integer", "minimum": 0},
        "w": {"type": "integer", "minimum": 1, "maximum": 24},
        "h": {"type": "integer", "minimum": 1},
    }
)
_TARGET: Final = _object(
    {
        "refId": {"type": "string", "pattern": "^[A-Z]$"},
        "datasource": _SOURCE,
        "editorMode": {"const": "code"},
        "expr": _SAID,
        "legendFormat": _SAID,
        "format": {"enum": ["time_series", "heatmap", "table"]},
        "instant": _YES_OR_NO,
        "range": _YES_OR_NO,
        "exemplar": _YES_OR_NO,
    }
)
_THRESHOLDS: Final = _object(
    {
        "mode": {"const": "absolute"},
        "steps": _list(_object({"color": _COLOUR, "value": {"type": ["number", "null"]}}), fewest=1),
    }
)
_DRAWING: Final = _object(
    {
        "drawStyle": {"enum": ["line", "bars", "points"]},
        "lineWidth": _NUMBER,
        "fillOpacity": {"type": "integer", "minimum": 0, "maximum": 100},
        "showPoints": {"enum": ["never", "auto", "always"]},
        "spanNulls": _YES_OR_NO,
        "stacking": _object({"mode": {"enum": ["none", "normal", "percent"]}, "group": _TEXT}),
        "thresholdsStyle": _object({"mode": {"enum": ["off", "line", "dashed", "area"]}}),
    }
)
_MAPPING: Final = _object(
    {
        "type": {"const": "value"},
        "options": {"type": "object", "additionalProperties": _object({"text": _SAID, "color": _COLOUR})},
    }
)
# Grafana's names of units: per second, requests per second, seconds, bytes, a share of 1, and a bare number.
_UNIT: Final[Schema] = {"enum": ["cps", "reqps", "s", "bytes", "percentunit", "short"]}
_FIELDS: Final = _object(
    {
        "defaults": _object(
            {"unit": _UNIT, "thresholds": _THRESHOLDS, "min": _NUMBER, "custom": _DRAWING,
             "mappings": _list(_MAPPING)},
            optional=("min", "custom", "mappings"),
        ),
        "overrides": {"const": []},
    }
)  # fmt: skip

_OPTIONS: Final[dict[str, Schema]] = {
    "timeseries": _object({"legend": _LEGEND, "tooltip": _TOOLTIP}),
    "stat": _object(
        {
            "colorMode": {"enum": ["value", "background", "none"]},
            "graphMode": {"enum": ["none", "area", "line"]},
            "justifyMode": {"enum": ["auto", "center"]},
            "orientation": {"enum": ["auto", "vertical", "horizontal"]},
            "percentChangeColorMode": {"enum": ["standard", "inverted", "same_as_value"]},
            "showPercentChange": _YES_OR_NO,
            "textMode": {"enum": ["auto", "value", "value_and_name", "name", "none"]},
            "wideLayout": _YES_OR_NO,
            "reduceOptions": _object({"calcs": _list(_SAID, fewest=1), "fields": _TEXT, "values": _YES_OR_NO}),
        }
    ),
    "heatmap": _object(
        {
            "calculate": _YES_OR_NO,
            "cellGap": _NUMBER,
            "color": _object(
                {
                    "mode": {"enum": ["scheme", "opacity"]},
                    "scheme": _SAID,
                    "steps": {"type": "integer", "minimum": 2, "maximum": 128},
                    "exponent": _NUMBER,
                    "fill": _SAID,
                    "reverse": _YES_OR_NO,
                }
            ),
            "legend": _object({"show": _YES_OR_NO}),
            "showValue": {"enum": ["auto", "never", "always"]},
            "exemplars": _object({"color": _SAID}),
            "tooltip": _object({"mode": {"enum": ["single", "multi", "none"]}, "yHistogram": _YES_OR_NO}),
            "yAxis": _object({"axisPlacement": {"enum": ["auto", "left", "right", "hidden"]}}),
            "rowsFrame": _object({"layout": {"enum": ["auto", "le", "ge", "unknown"]}}),
        }
    ),
    "table": _object(
        {"frameIndex": {"const": 0}, "showHeader": _YES_OR_NO, "cellHeight": {"enum": ["sm", "md", "lg"]}}
    ),
    "state-timeline": _object(
        {
            "mergeValues": _YES_OR_NO,
            "showValue": {"enum": ["auto", "never", "always"]},
            "rowHeight": {"type": "number", "minimum": 0, "maximum": 1},
            "tooltip": _TOOLTIP,
            "legend": _LEGEND,
        }
    ),
}
_ORGANIZE: Final = _object(
    {
        "id": {"const": "organize"},
        "options": _object(
            {
                "excludeByName": {"type": "object", "additionalProperties": _YES_OR_NO},
                "renameByName": {"type": "object", "additionalProperties": _SAID},
            }
        ),
    }
)
_ROW: Final = _object(
    {
        "id": {"type": "integer", "minimum": 1},
        "type": {"const": "row"},
        "title": _SAID,
        "collapsed": {"const": False},
        "gridPos": _PLACE,
        "panels": {"const": []},
    }
)


def _panel(kind: str, options: Schema) -> Schema:
    return _object(
        {
            "id": {"type": "integer", "minimum": 1},
            "type": {"const": kind},
            "title": _SAID,
            "description": _SAID,
            "datasource": _SOURCE,
            "targets": _list(_TARGET, fewest=1),
            "fieldConfig": _FIELDS,
            "options": options,
            "transformations": _list(_ORGANIZE),
            "gridPos": _PLACE,
        }
    )


_CHOICE: Final[Schema] = {"anyOf": [_SAID, _list(_SAID, fewest=1)]}
_VARIABLE: Final = _object(
    {
        "name": {"type": "string", "pattern": r"^\w+$"},
        "label": _SAID,
        "type": {"enum": ["query", "datasource"]},
        "query": {"anyOf": [{"const": "prometheus"}, _object({"query": _SAID, "refId": _SAID})]},
        "refresh": {"enum": [0, 1, 2]},
        "sort": {"type": "integer", "minimum": 0, "maximum": 8},
        "hide": {"enum": [0, 1, 2]},
        "multi": _YES_OR_NO,
        "includeAll": _YES_OR_NO,
        "allValue": _SAID,
        "options": {"const": []},
        "datasource": _SOURCE,
        "definition": _SAID,
        "current": _object({"selected": _YES_OR_NO, "text": _CHOICE, "value": _CHOICE}),
    },
    optional=("sort", "allValue", "datasource", "definition", "current"),
)
_LINK: Final = _object(
    {
        "type": {"enum": ["dashboards", "link"]},
        "title": _SAID,
        "icon": _SAID,
        "tooltip": _TEXT,
        "targetBlank": _YES_OR_NO,
        "tags": _list(_SAID, fewest=1),
        "asDropdown": _YES_OR_NO,
        "includeVars": _YES_OR_NO,
        "keepTime": _YES_OR_NO,
    }
)
_ANNOTATION: Final = _object(
    {
        "name": _SAID,
        "datasource": _SOURCE,
        "enable": _YES_OR_NO,
        "iconColor": _COLOUR,
        "expr": _SAID,
        "titleFormat": _SAID,
    }
)

DASHBOARD_SCHEMA: Final[Schema] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **_object(
        {
            "uid": {"type": "string", "pattern": "^[a-z0-9-]{1,40}$"},
            "title": _SAID,
            "description": _SAID,
            "tags": _list(_SAID, fewest=1),
            "schemaVersion": {"const": 39},
            "version": {"type": "integer", "minimum": 1},
            "editable": _YES_OR_NO,
            "graphTooltip": {"enum": [0, 1, 2]},
            "refresh": {"type": "string", "pattern": r"^\d+[smh]$"},
            "time": _object({"from": _SAID, "to": _SAID}),
            "timezone": {"enum": ["browser", "utc"]},
            "links": _list(_LINK),
            "annotations": _object({"list": _list(_ANNOTATION)}),
            "templating": _object({"list": _list(_VARIABLE, fewest=1)}),
            "panels": _list({"anyOf": [_ROW, *(_panel(kind, options) for kind, options in _OPTIONS.items())]}),
        }
    ),
}
