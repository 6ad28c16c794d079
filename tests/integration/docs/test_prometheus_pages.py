"""What the pages of docs/ say, done as a newcomer does it: from nothing to a trace, a scrape and an alert, and on.

The walk has the real collector, Prometheus and Alertmanager, with this project's own files by a faster clock, and a
folder of its own with a backend that has its data there.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.clock import write_prometheus
from tests.support.ports import LOOPBACK
from tests.support.walks import Walk, run_blocks_of

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
FIRST = "getting-started"
OTHERS = ("settings", "logging", "tracing", "metrics", "errors", "security", "deploying", "troubleshooting")
PORTS = (8000, 4318, 4317, 9090, 9093)

# The walk waits for models to load and an alert to fire, twice.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Give a folder for the backend's data. Of root's pytest it cannot be: the next run closes that to other users."""
    with tempfile.TemporaryDirectory(prefix="prethrift-home-") as home:
        Path(home).chmod(0o755)  # PostgreSQL refuses to run as root, and the user it runs as must come through
        yield Path(home)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[Walk]:
    """Lay out what the project's folder has, in one of the test's; its ports are free ones."""
    folder = tmp_path_factory.mktemp("newcomer")
    environ = {"XDG_DATA_HOME": str(home), "NO_PROXY": LOOPBACK}
    with Walk(folder, shown_ports=PORTS, environ=environ) as walk:
        (folder / ".venv").symlink_to(ROOT / ".venv")
        prometheus = folder / "ops" / "prometheus"
        prometheus.mkdir(parents=True)
        target, alertmanager = (f"{LOOPBACK}:{walk.ports[port]}" for port in (8000, 9093))
        write_prometheus(prometheus, targets=[target], alertmanager=alertmanager)
        shutil.copytree(ROOT / "ops" / "alertmanager", folder / "ops" / "alertmanager")
        yield walk


@pytest.fixture(scope="module")
def started(walk: Walk) -> Walk:
    """Walk through the first page, which leaves all of it running."""
    for block in run_blocks_of((DOCS / f"{FIRST}.md").read_text()):
        walk.run(block)
    return walk


def test_a_newcomer_gets_to_a_trace_a_scrape_and_an_alert(prometheus_tools: None, started: Walk) -> None:
    """Each command of the first page ends well and prints what is shown; the alert fires, and goes by itself."""
    status, printed = started.output_of("prethrift-backend health")

    assert status == 0, printed


@pytest.mark.parametrize("page", OTHERS)
def test_the_commands_of_a_page_print_what_it_shows(prometheus_tools: None, started: Walk, page: str) -> None:
    """The examples of the other pages work on what the first one has left running."""
    blocks = run_blocks_of((DOCS / f"{page}.md").read_text())

    for block in blocks:
        started.run(block)

    assert blocks
