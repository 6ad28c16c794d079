"""What changed in dashboards: links that lead nowhere (D001), queries that the new contract cannot answer (D002)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from prethrift_backend.verify.diff.changes import Change
from prethrift_backend.verify.findings import Place
from prethrift_backend.verify.promql.checks import Known
from prethrift_backend.verify.promql.dashboards import Dashboard, lint_dashboard, panels

# What says that a query asks for something that is not there.
_UNRESOLVED: Final = ("PQ000", "PQ002", "PQ003", "PQ004", "PQ011")


def diff_dashboards(old: Sequence[Dashboard], new: Sequence[Dashboard]) -> Iterator[tuple[Place, Change]]:
    """Give what changed, each with its place: the dashboard of now, or the one that is gone."""
    by_path = {dashboard.path: dashboard for dashboard in new}
    by_uid = {uid: dashboard for dashboard in new if (uid := dashboard.model.get("uid"))}
    for before in old:
        after = by_path.get(before.path) or by_uid.get(before.model.get("uid"))
        if after is None:
            message = f"the dashboard {_title(before)!r} is gone"
            yield Place(before.path), Change("D001", "dashboards", _title(before), message)
        else:
            yield from _changes(before, after)


def unresolved(dashboards: Sequence[Dashboard], known: Known) -> Iterator[tuple[Place, Change]]:
    """Give the queries of panels and variables that the contract has nothing for."""
    for dashboard in dashboards:
        for finding in lint_dashboard(dashboard, known):
            if finding.rule in _UNRESOLVED and finding.level == "error":
                change = Change("D002", "dashboards", finding.name, finding.message, fix=finding.fix)
                yield finding.place or Place(dashboard.path), change.shown(finding.expected, finding.observed)


def _changes(old: Dashboard, new: Dashboard) -> Iterator[tuple[Place, Change]]:
    before, after = old.model.get("uid"), new.model.get("uid")
    if before and before != after:
        message = f"the uid of the dashboard {_title(new)!r} changed: links to it lead nowhere"
        yield Place(new.path), Change("D001", "dashboards", _title(new), message).shown(str(before), str(after))
    here: dict[str, list[Any]] = {}
    for panel in panels(new):
        here.setdefault(_panel(panel), []).append(panel.get("id"))
    for panel in [one for one in panels(old) if one.get("type") != "row"]:
        name, number, numbers = f"{_title(new)}: {_panel(panel)}", panel.get("id"), here.get(_panel(panel))
        if numbers is None:
            message = f"the panel {_panel(panel)!r} is gone from the dashboard {_title(new)!r}"
            yield Place(new.path), Change("D001", "dashboards", name, message)
        elif number is not None and number not in numbers:
            message = f"the panel {_panel(panel)!r} of {_title(new)!r} has another number: links to it lead elsewhere"
            now = ", ".join("none" if one is None else str(one) for one in numbers)
            yield Place(new.path), Change("D001", "dashboards", name, message).shown(str(number), now)


def _title(dashboard: Dashboard) -> str:
    return str(dashboard.model.get("title") or dashboard.path)


def _panel(panel: Mapping[str, Any]) -> str:
    return str(panel.get("title") or f"panel {panel.get('id', '?')}")
