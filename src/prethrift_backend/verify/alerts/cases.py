"""The unit tests of rules that promtool runs, read as values: which series they feed in, and which alerts they expect.

Only what promtool's format has for alerts is looked at; promtool itself says what is wrong with the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeAlias

from prethrift_backend.verify.findings import Place
from prethrift_backend.verify.promql.tree import Matcher, QueryError, Selector, metric_name, parse
from prethrift_backend.verify.promql.yaml import YamlError, YamlValue, read_yaml

Plain: TypeAlias = "str | list[Plain] | dict[str, Plain] | None"

_STALE_OR_MISSING: Final = re.compile(r"(?:\s*(?:_|stale)(?:x\d+)?)*\s*")


@dataclass(frozen=True, slots=True)
class Series:
    """One series that a test feeds in; one whose values are all missing is not there."""

    name: str
    labels: Mapping[str, str]

    def is_of(self, selector: Selector, *, labels: frozenset[str] | None = None) -> bool:
        """Say whether the selector takes this series, by the name and by the matchers of ``labels`` (None: all)."""
        wanted = metric_name(selector)
        if wanted is not None and wanted != self.name:
            return False
        others = (matcher for matcher in selector.matchers if matcher.name != "__name__")
        return all(_takes(m, self.labels.get(m.name, "")) for m in others if labels is None or m.name in labels)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a test expects of an alert at one moment."""

    alert: str
    fires: bool
    place: Place


@dataclass(frozen=True, slots=True)
class TestGroup:
    """One entry of ``tests``: what is fed in, and what is expected; ``text`` is all of it, to compare and to run."""

    __test__ = False  # not for pytest

    name: str
    series: tuple[Series, ...]
    expectations: tuple[Expectation, ...]
    text: Plain
    place: Place

    def expects(self, alert: str) -> bool:
        """Say whether something is expected of the alert."""
        return any(expectation.alert == alert for expectation in self.expectations)

    def fires(self, alert: str) -> bool:
        """Say whether the alert is expected to fire at some moment."""
        return any(expectation.fires for expectation in self.expectations if expectation.alert == alert)


@dataclass(frozen=True, slots=True)
class TestFile:
    """A file of tests; ``fault`` says why it cannot be read, with the line."""

    __test__ = False

    path: str
    rule_files: tuple[str, ...] = ()
    groups: tuple[TestGroup, ...] = ()
    fault: str | None = None
    fault_line: int | None = None
    settings: Mapping[str, Plain] | None = None  # of the whole file: evaluation_interval, group_eval_order

    @property
    def loaded(self) -> list[Path]:
        """The rule files that these tests load and that are there."""
        folder = Path(self.path).parent
        return [found.resolve() for pattern in self.rule_files for found in _found(folder, pattern)]

    def tests_file(self, rules: Path) -> bool:
        """Say whether the rule file is one that these tests load."""
        return rules.resolve() in self.loaded


def read_test_file(path: Path) -> TestFile:
    """Read a file of tests; what cannot be read is its fault."""
    try:
        return parse_test_file(path.read_bytes(), path=str(path))
    except OSError as error:
        return TestFile(str(path), fault=f"the file cannot be read: {error.strerror}")


def parse_test_file(content: bytes, *, path: str) -> TestFile:
    """Read the text of a file of tests."""
    try:
        root = read_yaml(content)
    except YamlError as error:
        return TestFile(path, fault=f"no YAML: {error}", fault_line=error.line)
    keys = _keys(root)
    groups = tuple(_group(item, path) for item in _items(keys.get("tests")))
    files = tuple(item.value for item in _items(keys.get("rule_files")) if isinstance(item.value, str))
    settings = {name: plain(value) for name, value in keys.items() if name not in ("tests", "rule_files")}
    return TestFile(path, files, groups, settings=settings)


def plain(value: YamlValue | None) -> Plain:
    """Return a value without its lines."""
    if value is None:
        return None
    if isinstance(value.value, list):
        return [plain(item) for item in value.value]
    if isinstance(value.value, dict):
        return {name: plain(item) for name, item in value.value.items()}
    return value.value


def is_test_file(file: Path) -> bool:
    """Say whether a path is that of promtool's tests, by its folder or its name."""
    return "tests" in file.parts or file.stem.endswith(("_test", ".test", "-test", "_tests"))


def _found(folder: Path, pattern: str) -> Iterator[Path]:
    path = folder / pattern
    if path.is_file():
        yield path
    elif set("*?[") & set(path.name) and path.parent.is_dir():  # promtool takes patterns, too
        yield from path.parent.glob(path.name)


def _group(item: YamlValue, path: str) -> TestGroup:
    keys = _keys(item)
    name = keys.get("name")
    expectations = tuple(_expectations(keys.get("alert_rule_test"), path))
    title = name.value if name is not None and isinstance(name.value, str) else ""
    return TestGroup(title, tuple(_series(keys.get("input_series"))), expectations, plain(item), Place(path, item.line))


def _series(items: YamlValue | None) -> Iterator[Series]:
    for item in _items(items):
        keys = _keys(item)
        written, values = plain(keys.get("series")), plain(keys.get("values"))
        if isinstance(written, str) and isinstance(values, str) and not _STALE_OR_MISSING.fullmatch(values):
            yield from _read_series(written)


@lru_cache(maxsize=4096)
def _read_series(text: str) -> tuple[Series, ...]:
    try:
        node = parse(text)
    except QueryError:
        return ()
    name = metric_name(node) if isinstance(node, Selector) else None
    if not isinstance(node, Selector) or name is None:
        return ()
    return (Series(name, {matcher.name: matcher.value for matcher in node.matchers if matcher.operator == "="}),)


def _expectations(items: YamlValue | None, path: str) -> Iterator[Expectation]:
    for item in _items(items):
        keys = _keys(item)
        alert = plain(keys.get("alertname"))
        if isinstance(alert, str):
            yield Expectation(alert, bool(_items(keys.get("exp_alerts"))), Place(path, item.line))


def _keys(item: YamlValue | None) -> Mapping[str, YamlValue]:
    return item.value if item is not None and isinstance(item.value, dict) else {}


def _items(item: YamlValue | None) -> Sequence[YamlValue]:
    return item.value if item is not None and isinstance(item.value, list) else ()


def _takes(matcher: Matcher, value: str) -> bool:
    if matcher.operator in ("=", "!="):
        return (matcher.value == value) == (matcher.operator == "=")
    try:
        found = re.fullmatch(matcher.value, value) is not None
    except re.error:  # RE2 and Python differ: give it the benefit of the doubt
        return True
    return found == (matcher.operator == "=~")
