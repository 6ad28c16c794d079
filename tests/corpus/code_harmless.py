"""Code that is written otherwise and says the same, or says more and has promised it."""

from __future__ import annotations

from typing import Final

from tests.corpus.change import Change, Edit, Part
from tests.corpus.code_files import (
    EXPOSITION,
    HEALTH_HTTP,
    HTTP_EXCHANGE,
    REQUEST_METRICS,
    SERVICE,
)
from tests.corpus.contract_faults import DELETED_EVENT, LOGS
from tests.corpus.source_faults import COUNT, DELETED, INGESTED

_NEW_EVENT: Final = """EVENT item_shown level=debug logger=prethrift_backend.catalogue.service stability=beta
  item_id string max=36 required"""
_SHOW: Final = "        return item\n\n    async def read_image"
_SHOWN: Final = '_log.debug("item_shown", item_id=str(item_id))'
_BASE_HEADERS: Final = '("x-content-type-options", "nosniff")'


def _well(name: str, *edits: Edit, command: str = "lint (code)", raises: Part | None = None) -> Change:
    return Change(name, "code", command, None, edits, raises=raises)


CODE_HARMLESS: Final = (
    _well(
        "a comment more",
        HTTP_EXCHANGE.swap(
            "        # All in seconds after the start;", "        # All of these in seconds after the start;"
        ),
    ),
    _well(
        "a docstring in other words", SERVICE.swap('"""Return how many items there are."""', '"""Count the items."""')
    ),
    _well(
        "a variable is called otherwise",
        REQUEST_METRICS.swap(
            "sum(not one.is_quiet() for one in list(served))", "sum(not each.is_quiet() for each in list(served))"
        ),
    ),
    _well(
        "a value has a name before it is a field",
        SERVICE.swap(INGESTED, f"size = stored.size_bytes\n        {INGESTED.replace('stored.size_bytes', 'size')}"),
    ),
    _well(
        "labels are named in another order",
        REQUEST_METRICS.within(COUNT, "method=method, endpoint=endpoint", "endpoint=endpoint, method=method"),
    ),
    _well(
        "an error says it in other words",
        SERVICE.swap("exists already: choose another id", "is there already: choose another id"),
    ),
    _well("a constant has another value", SERVICE.swap("_SWEEP_BATCH = 500", "_SWEEP_BATCH = 400")),
    _well(
        "an event more, with its promise",
        LOGS.append(_NEW_EVENT),
        SERVICE.within(_SHOW, "return item\n", f"{_SHOWN}\n        return item\n"),
        command="docs, lint (code)",
        raises="minor",
    ),
    _well(
        "an optional field more, with its promise",
        LOGS.after(DELETED_EVENT, "  picture_key string max=1024\n"),
        SERVICE.within(DELETED, "))", "), picture_key=key)"),
        command="docs, lint (code)",
        raises="minor",
    ),
    _well(
        "gzip at another level",
        EXPOSITION.swap("_GZIP_LEVEL: Final = 4", "_GZIP_LEVEL: Final = 6"),
        command="verify (backend)",
    ),
    _well(
        "a header more",
        HEALTH_HTTP.after(_BASE_HEADERS, ', ("referrer-policy", "no-referrer")'),
        command="verify (backend)",
    ),
)
