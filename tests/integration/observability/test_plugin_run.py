"""The plugin in a test run of somebody else: found by its entry point, light at the start, quiet under warnings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs" / "observability.md"

TESTS = """
import sys

HEAVY = ("opentelemetry", "prometheus_client", "pydantic", "sentry_sdk", "structlog", "prethrift_backend.observability")
AT_START = [name for name in HEAVY if name in sys.modules]


def test_the_start_is_light():
    assert "prethrift_backend.pytest_plugin" in sys.modules
    assert AT_START == []


def test_own_promise(captured_telemetry, captured_logs, captured_spans, metric_deltas, captured_errors, captured_otlp):
    from prethrift_backend.observability import get_logger, get_tracer, track_search_operation

    with get_tracer("shop").start_as_current_span("pay"):
        get_logger("shop").info("paid", amount=3)
    with track_search_operation("text_search"):
        pass

    assert [line["amount"] for line in captured_logs("paid")] == [3]
    assert captured_spans("pay")[0].trace_id == captured_logs("paid")[0]["trace_id"]
    assert metric_deltas()['search_operations_total{search_type="text",status="success"}'] == 1
    assert captured_errors() == []
    assert "pay" in [span.name for request in captured_otlp() for span in request.spans]


def test_other_tests_do_not_notice(capsys):
    assert "prethrift_backend.observability" in sys.modules
    import logging

    assert logging.getLogger().level == logging.WARNING
"""


def _run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with this plugin, by the name of its entry point, and none of the others that are installed."""
    command = [sys.executable, "-W", "error", "-m", "pytest", "-p", "prethrift_telemetry", "-p", "no:cacheprovider"]
    environ = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [*command, *arguments, str(folder)],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_run_with_every_warning_an_error(tmp_path: Path) -> None:
    """A folder without any configuration of ours: pytest finds the fixtures, and nothing warns."""
    (tmp_path / "test_shop.py").write_text(TESTS)

    done = _run_pytest(tmp_path, "-q", "-W", "error")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_the_examples_of_the_docs_pass(tmp_path: Path) -> None:
    """The test file on the page, run as it stands there."""
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    (example,) = [block for block in blocks if "def telemetry_settings" in block]
    (tmp_path / "test_example.py").write_text(example)

    done = _run_pytest(tmp_path, "-q", "-W", "error")

    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_fixtures_say_what_they_are(tmp_path: Path) -> None:
    """`pytest --fixtures` lists each with its sentence."""
    shown = _run_pytest(tmp_path, "--fixtures").stdout

    named = set(re.findall(r"^(\w+) -- .*pytest_plugin.py", shown, re.MULTILINE))
    assert named == {
        "captured_errors",
        "captured_logs",
        "captured_otlp",
        "captured_spans",
        "captured_telemetry",
        "metric_deltas",
        "telemetry_settings",
    }
