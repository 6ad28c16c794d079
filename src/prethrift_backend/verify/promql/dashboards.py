"""Grafana dashboards as JSON: the queries of all panels, and what else a dashboard needs (DB1, DB2)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prethrift_backend.verify.findings import Finding, Item, Place
from prethrift_backend.verify.promql.checks import Fault, Known, Query, lint_query, to_finding
from prethrift_backend.verify.promql.variables import substitute

# Panels that draw no query.
_WITHOUT_QUERY: Final = frozenset(
    {"row", "text", "news", "dashlist", "alertlist", "annolist", "welcome", "gettingstarted"}
)
# Panels whose values have no unit: words, or a unit a column.
_WITHOUT_UNIT: Final = frozenset({"table", "logs", "traces", "nodeGraph", "geomap", "canvas"})
_DEPTH_MAX: Final = 20
_LABEL_VALUES: Final = re.compile(r"\s*label_values\(\s*(?:(?P<query>.+),)?\s*(?P<label>\w+)\s*\)\s*", re.DOTALL)
_QUERY_RESULT: Final = re.compile(r"\s*query_result\((?P<query>.+)\)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard, its JSON as it came, and the text for line numbers."""

    path: str
    model: Mapping[str, Any]
    text: str = ""

    def place(self, fragment: object = None) -> Place:
        """Return the place of a text that stands in the file, or of the file."""
        if not isinstance(fragment, str) or not fragment:
            return Place(self.path)
        for written in (json.dumps(fragment), json.dumps(fragment, ensure_ascii=False)):
            position = self.text.find(written)
            if position >= 0:
                return Place(self.path, self.text.count("\n", 0, position) + 1)
        return Place(self.path)


def lint_dashboards(paths: Iterable[Path], known: Known) -> tuple[list[Finding], list[Item]]:
    """Return what is wrong with dashboards, and every panel that was looked at; a file that is none is a finding."""
    findings: list[Finding] = []
    items: list[Item] = []
    for path in paths:
        read = read_dashboard(path)
        if isinstance(read, Finding):
            findings.append(read)
            continue
        findings.extend(lint_dashboard(read, known))
        items.extend(
            Item("dashboards", _panel_name(panel, read), read.place(panel.get("title")))
            for panel in panels(read)
            if _has_queries(panel)
        )
    return findings, items


def read_dashboard(path: Path) -> Dashboard | Finding:
    """Read a file; a finding says why it is no dashboard."""
    try:
        return parse_dashboard(path.read_bytes().decode(), path=str(path))
    except OSError as error:
        return _unreadable(str(path), None, f"the file cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return _unreadable(str(path), None, "no JSON")


def parse_dashboard(text: str, *, path: str) -> Dashboard | Finding:
    """Read the text of a file as `read_dashboard` does; ``path`` is what findings call it."""
    try:
        model = json.loads(text)
    except json.JSONDecodeError as error:
        return _unreadable(path, error.lineno, f"no JSON: {error.msg}")
    except (RecursionError, ValueError):
        return _unreadable(path, None, "no JSON")
    # Grafana's interface exports the model itself, its API puts it into an envelope.
    model = model.get("dashboard", model) if isinstance(model, dict) else model
    return Dashboard(path, model, text) if isinstance(model, dict) else _unreadable(path, 1, "no JSON object")


def _unreadable(path: str, line: int | None, what: str) -> Finding:
    query = Query("", "panel", path, Place(path, line))
    return to_finding(Fault("PQ000", what, "save the dashboard's JSON model"), query)


def lint_dashboard(dashboard: Dashboard, known: Known) -> list[Finding]:
    """Return what is wrong with one dashboard."""
    return [
        *_variables(dashboard, known),
        *(finding for panel in panels(dashboard) for finding in _panel(panel, dashboard, known)),
    ]


def panels(dashboard: Dashboard) -> Iterator[Mapping[str, Any]]:
    """Give all panels, those of rows included, whichever way the rows are written."""
    yield from _panels_of(dashboard.model, 0)


def _panels_of(model: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    for panel in (*_objects(model.get("panels")), *_objects(model.get("rows"))):
        if "type" in panel or "targets" in panel:
            yield panel
        if depth < _DEPTH_MAX:
            yield from _panels_of(panel, depth + 1)


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


# Panels.


def _panel(panel: Mapping[str, Any], dashboard: Dashboard, known: Known) -> Iterator[Finding]:
    if not _has_queries(panel):
        return
    name, place = _panel_name(panel, dashboard), dashboard.place(panel.get("title"))
    targets = [target for target in _objects(panel.get("targets")) if target.get("hide") is not True]
    if not targets:
        yield _db2(name, place, "the panel has no query", "add one, or take the panel away")
    if targets and _kind(panel) not in _WITHOUT_UNIT and not _unit(panel):
        yield _db2(name, place, "the panel has no unit: seconds and bytes are shown as bare numbers", "choose a unit")
    for source in _fixed_sources([panel, *targets]):
        fix = "choose a variable of type datasource, such as ${datasource}"
        yield _db2(name, place, f"the data source {source!r} exists in one Grafana only", fix)
    for target in targets:
        if isinstance(target.get("expr"), str) and _speaks_promql(target, panel):
            yield from _target(target["expr"], name, dashboard, known)


def _has_queries(panel: Mapping[str, Any]) -> bool:
    return _kind(panel) not in _WITHOUT_QUERY and "libraryPanel" not in panel


def _kind(panel: Mapping[str, Any]) -> str:
    kind = panel.get("type")
    return kind if isinstance(kind, str) else ""


def _panel_name(panel: Mapping[str, Any], dashboard: Dashboard) -> str:
    title = panel.get("title") or f"panel {panel.get('id', '?')}"
    return f"{dashboard.model.get('title') or dashboard.path}: {title}"


def _unit(panel: Mapping[str, Any]) -> object:
    defaults = _object(_object(panel.get("fieldConfig")).get("defaults"))
    axes = _objects(panel.get("yaxes"))
    return defaults.get("unit") or panel.get("format") or any(axis.get("format") for axis in axes)


def _fixed_sources(owners: Iterable[Mapping[str, Any]]) -> list[str]:
    uids = [_object(owner.get("datasource")).get("uid") for owner in owners]
    fixed = [uid for uid in uids if isinstance(uid, str) and uid and not uid.startswith(("$", "[[", "-- ", "grafana"))]
    return list(dict.fromkeys(fixed))


def _speaks_promql(target: Mapping[str, Any], panel: Mapping[str, Any]) -> bool:
    kinds = [_object(owner.get("datasource")).get("type") for owner in (target, panel)]
    kind = next((kind for kind in kinds if kind), "prometheus")
    return kind == "prometheus" or (isinstance(kind, str) and kind.startswith("$"))


def _target(text: str, name: str, dashboard: Dashboard, known: Known) -> Iterator[Finding]:
    place = dashboard.place(text)
    written = substitute(text, _declared(dashboard), interval_seconds=known.interval_seconds)
    for variable in written.unknown:
        what = f"the variable ${variable} is not declared: it stays in the query as it stands"
        fault = Fault("DB1", what, "add it to the dashboard's variables, or correct its name", observed=variable)
        yield to_finding(fault, Query(text, "panel", name, place))
    yield from lint_query(Query(written.text, "panel", name, place), known)


def _db2(name: str, place: Place, what: str, fix: str) -> Finding:
    return to_finding(Fault("DB2", what, fix), Query("", "panel", name, place))


# Variables.


def _declared(dashboard: Dashboard) -> dict[str, str]:
    return {str(variable.get("name", "")): _value(variable) for variable in _list(dashboard)}


def _list(dashboard: Dashboard) -> list[Mapping[str, Any]]:
    return _objects(_object(dashboard.model.get("templating")).get("list"))


def _value(variable: Mapping[str, Any]) -> str:
    """Return what a variable stands for; "" where that is chosen later."""
    value = variable.get("query")
    if variable.get("type") == "constant" and isinstance(value, str):
        return value
    if variable.get("type") == "interval" and isinstance(value, str):
        return next((word for word in re.split(r"[,\s]+", value) if re.fullmatch(r"\d+(?:ms|[smhdwy])", word)), "")
    return ""


def _variables(dashboard: Dashboard, known: Known) -> Iterator[Finding]:
    for variable in _list(dashboard):
        name = f"{dashboard.model.get('title') or dashboard.path}: ${variable.get('name', '?')}"
        place = dashboard.place(variable.get("name"))
        if variable.get("includeAll") is True and not variable.get("allValue"):
            what = "'All' becomes a list of every value: long, and without the series that have none"
            yield _db2(name, place, what, "set allValue to .*")
        for source in _fixed_sources([variable]):
            fix = "choose a variable of type datasource, such as ${datasource}"
            yield _db2(name, place, f"the data source {source!r} exists in one Grafana only", fix)
        if variable.get("type") == "query":
            yield from _variable_query(variable, name, place, dashboard, known)


def _variable_query(
    variable: Mapping[str, Any], name: str, place: Place, dashboard: Dashboard, known: Known
) -> Iterator[Finding]:
    text, label = _inner_query(variable)
    if not text:
        return
    written = substitute(text, _declared(dashboard), interval_seconds=known.interval_seconds).text
    findings = lint_query(Query(written, "panel", name, place), known)
    yield from (finding for finding in findings if finding.rule in ("PQ000", "PQ002", "PQ003", "PQ004", "PQ011"))
    found = re.match(r"[a-zA-Z_:][a-zA-Z0-9_:]*", written)
    series = known.series(found[0]) if found is not None else None
    if series is None:
        return
    if label and not series.shape.may_have(label):
        fault = Fault(
            "PQ003", f"{series.name!r} has no label {label!r}: the variable has no values", "correct the label"
        )
        yield to_finding(fault, Query(text, "panel", name, place))
    if series.family is not None and series.family.presence in ("after-traffic", "after-error"):
        what = f"its values come from {series.name!r}, which is there only {series.family.presence.replace('-', ' ')}"
        yield _db2(name, place, what, "take them from a family with presence=always, such as up or build_info")


def _inner_query(variable: Mapping[str, Any]) -> tuple[str, str]:
    """Return the PromQL within Grafana's own functions, and the label whose values are asked for."""
    query = variable.get("query")
    text = _object(query).get("query") if isinstance(query, dict) else query
    if not isinstance(text, str):
        return "", ""
    found = _LABEL_VALUES.fullmatch(text)
    if found is not None:
        return (found["query"] or "").strip(), found["label"]
    found = _QUERY_RESULT.fullmatch(text)
    return (found["query"].strip() if found is not None else ""), ""
