"""The Prometheus of ops/prometheus on loopback: its own configuration and rules, with other addresses and intervals.

A test cannot wait for a scrape every fifteen seconds. So the intervals, of the scrapes and of the groups of rules, are
shortened all to one, and nothing else is: expressions and their windows are those of the files.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from tests.support.processes import LOOPBACK, ServerProcess, free_port

OPS = Path(__file__).parents[2] / "ops" / "prometheus"
START_SECONDS = 60.0
# In place of an address, which is another at each run.
INSTANCE = "backend-1"


def shortened_configuration(folder: Path, *, target: str, seconds: float) -> Path:
    """Write configuration and rules into a folder, for one target (host:port); return the configuration's path."""
    configuration = yaml.safe_load((OPS / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": _ms(seconds), "evaluation_interval": _ms(seconds)}
    configuration["alerting"] = {}
    for job in configuration["scrape_configs"]:
        job["scrape_interval"] = job["scrape_timeout"] = _ms(seconds)
        for static in job["static_configs"]:
            static["targets"] = [target]
            static["labels"]["instance"] = INSTANCE
    (folder / "rules").mkdir()
    for name in configuration["rule_files"]:
        (folder / name).write_text(yaml.safe_dump(_shortened_rules(OPS / name)))
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration))
    return path


def _shortened_rules(path: Path) -> dict[str, Any]:
    rules: dict[str, Any] = yaml.safe_load(path.read_text())
    for group in rules["groups"]:
        group.pop("interval", None)
    return rules


def _ms(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


@contextmanager
def ops_prometheus(folder: Path, *, target: str, seconds: float) -> Iterator[str]:
    """Run it with its data in the folder, exemplars among it; yield its address. Leaving the block ends it."""
    configuration = shortened_configuration(folder, target=target, seconds=seconds)
    subprocess.run(["promtool", "check", "config", str(configuration)], check=True, capture_output=True, timeout=60)
    address = f"{LOOPBACK}:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
    with ServerProcess(command, directory=folder) as process:
        process.wait_for_http(f"http://{address}/-/ready", START_SECONDS)
        yield f"http://{address}"
