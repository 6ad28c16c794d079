"""The fixtures of the plugin, as every test run of an environment with this package has them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from tests.support.asgi import drive, http_scope
from tests.unit.observability.test_asgi import build_application

from prethrift_backend.config import Settings
from prethrift_backend.observability import SEARCH_OPERATIONS, get_logger, get_tracer, instrument
from prethrift_backend.observability.testing import Capture, CapturedSpan, OtlpRequest

SOURCE = Path(__file__).parents[3] / "src" / "prethrift_backend"
PLUGIN = SOURCE / "pytest_plugin.py"
# Loaded by name, or by the plugin where its options ask for it.
OTHER_PLUGINS = {
    SOURCE / "verify" / name for name in ("contract_tests.py", "coverage/app_plugin.py", "coverage/plugin.py")
}


@pytest.fixture
def telemetry_settings() -> Settings:
    """Override the plugin's settings for this file."""
    return Settings(service_name="shop", log_level="DEBUG", trace_sample_rate=1.0)


def test_lines_are_found(captured_logs: Callable[..., list[dict[str, Any]]]) -> None:
    """`captured_logs` finds lines by event and field, and tells of now."""
    get_logger("shop").info("user_login", attempt=1)
    assert len(captured_logs("user_login")) == 1

    get_logger("shop").info("user_login", attempt=2)

    assert [line["service"] for line in captured_logs("user_login", attempt=2)] == ["shop"]


def test_spans_are_found(captured_spans: Callable[..., list[CapturedSpan]]) -> None:
    """`captured_spans` finds finished spans by name."""
    with get_tracer("shop").start_as_current_span("pay"):
        assert captured_spans() == []

    assert [span.kind for span in captured_spans("pay")] == ["internal"]


def test_changes_of_metrics_are_told(metric_deltas: Callable[..., dict[str, float]]) -> None:
    """`metric_deltas` tells what changed."""
    SEARCH_OPERATIONS.labels(search_type="text", status="success").inc()

    assert metric_deltas() == {'search_operations_total{search_type="text",status="success"}': 1}


async def test_error_events_are_kept(
    captured_telemetry: Capture, captured_errors: Callable[[], list[dict[str, Any]]]
) -> None:
    """`captured_errors` has the event of a fault, and none of an expected error."""
    app = instrument(build_application(), captured_telemetry.telemetry)
    await drive(app, http_scope(path="/nowhere"))
    assert captured_errors() == []

    await drive(app, http_scope(path="/fail"))

    assert len(captured_errors()) == 1


def test_otlp_requests_are_decoded(captured_otlp: Callable[[], list[OtlpRequest]]) -> None:
    """`captured_otlp` shows what a collector would get."""
    with get_tracer("shop").start_as_current_span("pay"):
        pass

    (request,) = captured_otlp()
    assert [span.name for span in request.spans] == ["pay"]


def test_the_plugin_is_announced() -> None:
    """Every test run finds the plugin by its entry point."""
    (found,) = entry_points(group="pytest11", name="prethrift_telemetry")

    assert found.value == "prethrift_backend.pytest_plugin"


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_only_plugins_import_pytest() -> None:
    """Production code needs no test runner: in the whole package none but what a test runner loads imports it."""
    importers = {path for path in SOURCE.rglob("*.py") if {"pytest", "_pytest"} & _imports(path)}

    assert importers == {PLUGIN, *OTHER_PLUGINS}


@pytest.mark.parametrize("plugin", sorted(OTHER_PLUGINS), ids=lambda path: path.stem)
def test_nothing_imports_the_other_plugins(plugin: Path) -> None:
    """A module of the package that imported one would need a test runner; the plugin that pytest loads does so late."""
    name = ".".join(("prethrift_backend", *plugin.relative_to(SOURCE).with_suffix("").parts))
    importers = {path for path in SOURCE.rglob("*.py") if name in _imports(path)}

    assert importers <= {PLUGIN, *OTHER_PLUGINS}


def test_nothing_but_the_plugin_imports_the_tests_helpers() -> None:
    """The package knows nothing of what tests it."""
    prefix = "prethrift_backend.observability.testing"
    importers = {
        path.relative_to(SOURCE).parts[:2]
        for path in SOURCE.rglob("*.py")
        if any(name.startswith(prefix) for name in _imports(path))
    }

    assert importers == {("pytest_plugin.py",), ("observability", "testing")}
