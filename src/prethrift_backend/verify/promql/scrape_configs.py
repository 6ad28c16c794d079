"""Prometheus' own configuration, as far as queries are about it: the jobs that it scrapes, and the labels it adds.

It lies in the same folders as rule files do, and is YAML as well, like what other programs read; so the kinds of file
are told apart by what stands in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from prethrift_backend.verify.promql.yaml import YamlError, YamlValue, read_yaml

_SUFFIXES: Final = (".yml", ".yaml")
_SCRAPES: Final = re.compile(rb"^[\"']?scrape_configs[\"']?\s*:", re.MULTILINE)
# At the beginning of a line, of an entry, or of a mapping in braces: JSON is YAML.
_RULES: Final = re.compile(rb"^[ \t]*(?:-[ \t]+|\{[ \t]*)*[\"']?(?:groups|alert|record|expr)[\"']?\s*:", re.MULTILINE)


def is_rule_file(path: Path) -> bool:
    """Say whether a YAML file looks like one of rules, right or wrong.

    Configurations of Prometheus, and what belongs to other programs, look like none; what cannot be read does, so that
    it is told.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return True
    return looks_like_rules(content)


def looks_like_rules(content: bytes) -> bool:
    """Say the same of a text."""
    return _SCRAPES.search(content) is None and _RULES.search(content) is not None


def scrape_jobs(paths: Iterable[Path]) -> frozenset[str]:
    """Return the jobs that the configurations of Prometheus among these files, and in these folders, scrape."""
    return frozenset(job for path in paths for file in _files(path) for job in _jobs(file))


def scrape_labels(paths: Iterable[Path]) -> frozenset[str]:
    """Return the labels that those configurations give to targets which they name themselves."""
    return frozenset(label for path in paths for file in _files(path) for label in _labels(file))


def _files(path: Path) -> list[Path]:
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in found if file.suffix in _SUFFIXES and file.is_file()]


def _jobs(file: Path) -> list[str]:
    jobs = [_key(item, "job_name") for item in _scrapes(file)]
    return [job.value for job in jobs if job is not None and isinstance(job.value, str)]


def _labels(file: Path) -> list[str]:
    targets = (item for scrape in _scrapes(file) for item in _items(_key(scrape, "static_configs")))
    labels = [_key(item, "labels") for item in targets]
    return [name for item in labels if item is not None and isinstance(item.value, dict) for name in item.value]


def _scrapes(file: Path) -> list[YamlValue]:
    try:
        content = file.read_bytes()
        root = read_yaml(content) if _SCRAPES.search(content) is not None else None
    except (OSError, YamlError):  # promtool says what is wrong with it
        return []
    return _items(_key(root, "scrape_configs"))


def _key(item: YamlValue | None, name: str) -> YamlValue | None:
    return item.value.get(name) if item is not None and isinstance(item.value, dict) else None


def _items(item: YamlValue | None) -> list[YamlValue]:
    return item.value if item is not None and isinstance(item.value, list) else []
