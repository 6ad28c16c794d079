"""Code that can be read to say something else than it promised; nothing of it has to run."""

from __future__ import annotations

from typing import Final

from tests.corpus.change import Change, Edit
from tests.corpus.code_files import (
    EXPORTERS,
    MAIN,
    METRICS,
    NAMES,
    PICTURES,
    REQUEST_METRICS,
    SERVICE,
    SETTINGS,
    SHOP,
)

INGESTED: Final = '_log.info("item_ingested", item_id=str(item.id), picture_bytes=stored.size_bytes)'
DELETED: Final = '_log.info("item_deleted", item_id=str(item_id))'
COUNT: Final = "self._requests.labels(method=method, endpoint=endpoint, status_code=str(status))"
_CONNECTION: Final = "self._connections.labels(endpoint=endpoint, close_code=str(close_code))"
_FIRST_BYTES: Final = "self._first_bytes.labels(endpoint=endpoint)"
_BACKGROUND: Final = "self._background.labels(status=status)"
_PICTURE_SPAN: Final = 'kind=SpanKind.INTERNAL, attributes={"picture.bytes": len(data)}'
_METRICS_TOKEN: Final = "metrics_token: Annotated[SecretStr, _Token] | None"
_POOL: Final = '    metrics.observe("db_pool_connections", partial(_pool_readings, parts.postgres))\n'
_IMPORTS: Final = "from uuid import UUID, uuid4\n"


def _lint(rule: str, name: str, *edits: Edit) -> Change:
    return Change(name, "code", "lint (code)", rule, edits)


def _shop(rule: str, name: str, edit: Edit) -> Change:
    return Change(f"the shop: {name}", "code", "lint (shop)", rule, (edit,))


SOURCE_FAULTS: Final = (
    _lint("V006", "an event that is called otherwise", SERVICE.within(INGESTED, "item_ingested", "item_added")),
    _lint("CD008", "an event at another level than promised", SERVICE.within(DELETED, "info", "error")),
    _lint(
        "CD008", "an event without a required field", SERVICE.within(INGESTED, ", picture_bytes=stored.size_bytes", "")
    ),
    _lint("CD008", "an event with a field that is not promised", SERVICE.within(DELETED, "))", "), by=1)")),
    _lint(
        "CD007",
        "the name of an event is put together",
        SERVICE.within(DELETED, '"item_deleted"', 'f"item_deleted_{item_id}"'),
    ),
    _lint("CD010", "a secret in a field of a line", SERVICE.within(DELETED, "))", '), password="x")')),
    _lint("CD003", "a label is dropped", REQUEST_METRICS.within(COUNT, ", status_code=str(status)", "")),
    _lint("CD003", "a label is added", REQUEST_METRICS.within(_CONNECTION, "(endpoint", '(host="a", endpoint')),
    _lint(
        "CD009",
        "a label with a value that is not allowed",
        REQUEST_METRICS.within(_BACKGROUND, "status=status", 'status="failed"'),
    ),
    _lint(
        "CD006",
        "a raw path as the value of a label",
        REQUEST_METRICS.within(_FIRST_BYTES, "=endpoint", '=scope["path"]'),
    ),
    _lint(
        "CD005",
        "a metric is made past the contract",
        SERVICE.after(_IMPORTS, '\nfrom prometheus_client import Counter\n\nCATS = Counter("cats_total", "Cats.")\n'),
    ),
    _lint(
        "CD001",
        "a counter is made as a gauge",
        METRICS.swap("self.family.help, self.family.kind", 'self.family.help, "gauge"'),
    ),
    _shop("CD004", "a bucket is left out", SHOP.swap("buckets=(0.01, 0.1, 1.0)", "buckets=(0.01, 1.0)")),
    _shop("CD001", "a counter is a gauge", SHOP.swap("orders = Counter(", "orders = Gauge(")),
    _shop("CD002", "other words than the contract's", SHOP.swap('"Orders by how they are paid."', '"Orders."')),
    _shop("CD003", "a label is called otherwise", SHOP.swap('("payment",)', '("method",)')),
    _shop("V006", "a family is called otherwise", SHOP.swap('"shop_stock_items"', '"shop_stock"')),
    _lint(
        "CD016",
        "a series is not there at the start",
        METRICS.swap("in family.initial_label_sets() if", "in family.initial_label_sets()[1:] if"),
    ),
    _lint("V006", "a family that nobody feeds", MAIN.cut(_POOL)),
    _lint("V006", "a metric is renamed", NAMES.swap('"http_requests_total"', '"http_request_total"')),
    _lint(
        "V006",
        "a setting is renamed",
        SETTINGS.swap("    trace_console: bool", "    trace_stderr: bool"),
        EXPORTERS.swap("settings.trace_console", "settings.trace_stderr"),
    ),
    _lint("CD013", "another default of a setting", SETTINGS.swap("_application(8000,", "_application(8080,")),
    _lint("CD013", "a secret that is none any more", SETTINGS.within(_METRICS_TOKEN, "SecretStr", "str")),
    _lint(
        "CD014",
        "the environment is read past the settings",
        MAIN.after("import asyncio\n", "import os\n"),
        MAIN.swap("    if settings.database_url is None:", '    if os.environ.get("NO_DATABASE") is not None:'),
    ),
    _lint("V006", "a promised endpoint is elsewhere", MAIN.swap('Route("/metrics"', 'Route("/internal/metrics"')),
    _lint(
        "CD015",
        "a promised endpoint does not answer GET",
        MAIN.swap("mark_quiet(metrics)))", 'mark_quiet(metrics), methods=["POST"]))'),
    ),
    _lint(
        "CD011",
        "an id in the name of a span",
        PICTURES.swap("ChildSpan(__name__, READING_SPAN,", 'ChildSpan(__name__, f"read picture {uuid4()}",'),
    ),
    _lint(
        "V006",
        "a span that is called otherwise",
        PICTURES.swap("READING_SPAN: Final = ", 'READING_SPAN: Final = "open picture"  # '),
    ),
    _lint("CD012", "an attribute that nothing sets", PICTURES.within(_PICTURE_SPAN, "picture.bytes", "picture.size")),
)
