"""Prometheus' and Alertmanager's own files with a faster clock, and the addresses of a test.

There is one rule for all times in them, in scrape configuration, rules and routes alike: a minute lasts a second, and
nothing is shorter than a second. So `[5m]` becomes `[5s]`, `for: 30m` 30 s, a scrape every 15 s one every second. What
an expression compares with stays: shares, numbers, seconds of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

OPS = Path(__file__).parents[2] / "ops"
FASTER = 60
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+)(ms|[smhdw])")
# In an expression a duration stands in brackets or behind `offset`.
_IN_EXPRESSION = re.compile(r"(?<=\[)\d+[smhdw](?=\])|(?<=offset )\d+[smhdw]\b")
_TIMES = frozenset(
    {
        *("scrape_interval", "scrape_timeout", "evaluation_interval", "interval", "for", "keep_firing_for"),
        *("group_wait", "group_interval", "repeat_interval"),
    }
)


def faster(duration: str) -> str:
    """Return a duration by the faster clock."""
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise ValueError(f"the duration {duration!r} is not one number with one unit: write it as 15s or 5m")
    return f"{max(1, round(int(found[1]) * _UNITS[found[2]] / FASTER))}s"


def with_faster_clock(value: Any) -> Any:
    """Return a copy of a loaded file whose times are by the faster clock."""
    if isinstance(value, Mapping):
        return {key: _faster_entry(key, entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [with_faster_clock(entry) for entry in value]
    return value


def _faster_entry(key: str, value: Any) -> Any:
    if key in _TIMES:
        return faster(value)
    if key == "expr":
        return _IN_EXPRESSION.sub(lambda found: faster(found[0]), value)
    return with_faster_clock(value)


def write_prometheus(folder: Path, *, targets: Sequence[str], alertmanager: str) -> Path:
    """Write configuration and rules for these targets (host:port); return the path of the configuration."""
    source = OPS / "prometheus"
    configuration = with_faster_clock(yaml.safe_load((source / "prometheus.yml").read_text()))
    configuration["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    for job in configuration["scrape_configs"]:
        # Of staging nobody would be paged.
        job["static_configs"] = [{"targets": list(targets), "labels": {"environment": "production"}}]
    for name in configuration["rule_files"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(yaml.safe_dump(with_faster_clock(yaml.safe_load((source / name).read_text()))))
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration))
    return path


def alertmanager_text(*, inbox: str) -> str:
    """Return Alertmanager's configuration with a webhook for each receiver: ``inbox`` and the receiver's name."""
    configuration = with_faster_clock(yaml.safe_load((OPS / "alertmanager" / "alertmanager.yml").read_text()))
    for receiver in configuration["receivers"]:
        receiver["webhook_configs"] = [{"url": f"{inbox}/{receiver['name']}", "send_resolved": True}]
    return yaml.safe_dump(configuration)
