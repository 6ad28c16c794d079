"""Documents that no longer say what the contracts say; and prose that anybody may write otherwise."""

from __future__ import annotations

from typing import Final

from tests.corpus.change import Change, Edit, File
from tests.corpus.contract_faults import LOGS, METRICS, SETTINGS

_METRICS_PAGE: Final = File("docs/reference/metrics.md")
_EVENTS_PAGE: Final = File("docs/reference/events.md")
_SETTINGS_PAGE: Final = File("docs/reference/settings.md")
_OPENAPI: Final = File("docs/reference/schema/health.openapi.json")
_REGISTRY: Final = File("docs/reference/registry/metrics.yaml")
_INDEX: Final = File("docs/reference/index.md")


def _breaks(name: str, edit: Edit, *, command: str = "docs") -> Change:
    return Change(name, "docs", command, "V005", (edit,))


def _fits(name: str, edit: Edit) -> Change:
    return Change(name, "docs", "lint", None, (edit,))


DOCS_FAULTS: Final = (
    _breaks(
        "a metric has another name on its page",
        _METRICS_PAGE.swap("### `search_operations_total`", "### `searches_total`"),
    ),
    _breaks(
        "an example that is stale",
        _EVENTS_PAGE.swap('"item_id": "example", "picture_bytes": 1}', '"item_id": "example"}'),
    ),
    _breaks("a default that is no longer so", _SETTINGS_PAGE.swap("8000", "8080")),
    _breaks("a schema that was edited by hand", _OPENAPI.swap('"openapi": "3', '"openapi":  "3')),
    _breaks("a registry that was edited by hand", _REGISTRY.append("# by hand")),
    _breaks("help that the pages do not have yet", METRICS.swap("Searches, by text or", "Searches, by words or")),
    _breaks(
        "an event that the pages do not have yet",
        LOGS.append("EVENT cat_seen level=info logger=cats stability=beta"),
        command="lint",
    ),
    _breaks(
        "a setting that the pages do not have yet",
        SETTINGS.append("SETTING CAT str default=unset group=models"),
        command="lint",
    ),
)

DOCS_HARMLESS: Final = (
    _fits("a page of prose goes on", File("docs/observability.md").append("That is all.")),
    _fits("a runbook in other words", File("docs/runbooks/DatabaseDown.md").append("Then tell those who wait.")),
    _fits("a decision has a note", File("docs/decisions/0001-models-in-a-child-process.md").append("It held.")),
    _fits("a word more in the README", File("README.md").append("Have a look around.")),
)
