"""Alerts changed on purpose, and their own tests run on each change: a change that no test notices is A005.

For each alert a folder is made with nothing in it but the rules that it needs and the tests that speak of it, so that a
run takes a moment. JSON is YAML, so that nothing has to write YAML.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prethrift_backend.verify.alerts.cases import Plain, TestFile, TestGroup, plain
from prethrift_backend.verify.alerts.mutants import Mutant, MutantError, mutants
from prethrift_backend.verify.alerts.promtool import Promtool, PromtoolError
from prethrift_backend.verify.alerts.tests import alerts_of, groups_for, make_finding
from prethrift_backend.verify.findings import Finding
from prethrift_backend.verify.promql.query import Query
from prethrift_backend.verify.promql.rule_files import RuleFile
from prethrift_backend.verify.promql.yaml import YamlError, read_yaml

# Two at a time: promtool takes one processor, and a machine of CI often has two.
_WORKERS: Final = 2
# Arbitrary: an alert with more is better split; what is beyond is told as not tried.
MUTANTS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one alert: how many changes were made, which no test noticed, and why it could not be tried."""

    alert: Query
    tried: int = 0
    survivors: tuple[Mutant, ...] = ()
    trouble: str | None = None

    @property
    def finding(self) -> Finding | None:
        """All changes that no test noticed, as one finding of the alert."""
        if not self.survivors:
            return None
        what = f"{len(self.survivors)} of {self.tried} changes of {self.alert.name!r} are noticed by none of its tests"
        shown = "; ".join(f"{mutant.what}: {' '.join(mutant.expression.split())}" for mutant in self.survivors)
        fix = "add a case between the old and the new behaviour, near the threshold"
        return make_finding("A005", self.alert, what, expected="a test that fails", observed=shown, fix=fix)


def try_alerts(files: Sequence[RuleFile], tests: Sequence[TestFile], promtool: Promtool) -> list[Trial]:
    """Change every alert that has tests, and run them; two alerts at a time, in the order of the files."""
    subjects = list(_subjects(files, tests))
    with tempfile.TemporaryDirectory(prefix="rules-") as folder, ThreadPoolExecutor(_WORKERS) as pool:
        folders = [Path(folder) / str(number) for number in range(len(subjects))]
        return list(pool.map(lambda subject, own: _Bench(subject, own, promtool).run(), subjects, folders))


@dataclass(frozen=True, slots=True)
class _Subject:
    """One rule of an alert (``position`` among those of its name), and the tests that speak of it."""

    alert: Query
    position: int
    file: RuleFile
    tests: tuple[tuple[TestFile, tuple[TestGroup, ...]], ...]


def _subjects(files: Sequence[RuleFile], tests: Sequence[TestFile]) -> Iterator[_Subject]:
    for file in files:
        for name, alerts in alerts_of(file).items():
            found = [(test, tuple(groups_for(name, file, [test]))) for test in tests]
            own = tuple((test, groups) for test, groups in found if groups)
            for position, alert in enumerate(alerts if own else ()):
                yield _Subject(alert, position, file, own)


class _Bench:
    """A folder for one alert, in which its tests are run on changed rules.

    Each entry of the tests is a file of its own, and those that fire come first: most changes are noticed by the first.
    """

    def __init__(self, subject: _Subject, folder: Path, promtool: Promtool) -> None:
        self._subject = subject
        self._folder = folder
        self._promtool = promtool
        self._recordings: list[dict[str, Any]] = []
        self._alerts: list[dict[str, Any]] = []
        self._entries: list[Path] = []

    def run(self) -> Trial:
        alert = self._subject.alert
        try:
            found = mutants(alert)
            self._prepare()
            if not self._passes(None):
                return Trial(alert, trouble=f"the tests of {alert.name!r} fail without a change, run by themselves")
            survivors = tuple(mutant for mutant in found[:MUTANTS_MAX] if self._passes(mutant))
        except (MutantError, PromtoolError, YamlError, OSError) as error:
            return Trial(alert, trouble=f"{alert.name!r} was not tried: {error}")
        left = len(found) - MUTANTS_MAX
        trouble = f"{left} of {len(found)} changes of {alert.name!r} were not tried" if left > 0 else None
        return Trial(alert, min(len(found), MUTANTS_MAX), survivors, trouble)

    def _prepare(self) -> None:
        """Read the rules, and write the tests."""
        self._folder.mkdir()
        name = self._subject.alert.name
        self._recordings, self._alerts = list(self._read_recordings()), list(self._read_alerts())
        order = [group["name"] for group in (*self._recordings, *self._alerts)]
        entries = [(test, group) for test, groups in self._subject.tests for group in groups]
        for number, (test, group) in enumerate(sorted(entries, key=lambda entry: not entry[1].fires(name))):
            settings = {**(test.settings or {}), "group_eval_order": order, "rule_files": ["rules.json"]}
            path = self._folder / f"{number}_test.json"
            path.write_text(json.dumps({**settings, "tests": [_own_tests(group, name)]}))
            self._entries.append(path)

    def _passes(self, mutant: Mutant | None) -> bool:
        groups = [*self._recordings, *self._changed(mutant)]
        (self._folder / "rules.json").write_text(json.dumps({"groups": groups}))
        return all(self._promtool.test_rules([entry]).passed for entry in self._entries)

    def _read_recordings(self) -> Iterator[dict[str, Any]]:
        """Give the recording rules that the tests load, all in front of the alerts."""
        paths = sorted({path for test, _ in self._subject.tests for path in test.loaded})
        for number, group in enumerate(group for path in paths for group in _plain_groups(path)):
            rules = [rule for rule in _maps(group.get("rules")) if "record" in rule]
            if rules:
                yield {**group, "name": f"records {number}", "rules": rules}

    def _read_alerts(self) -> Iterator[dict[str, Any]]:
        """Give the alerts of the name; others are left out, unless they are asked for."""
        alert = self._subject.alert
        for number, group in enumerate(_plain_groups(Path(self._subject.file.path))):
            rules = [rule for rule in _maps(group.get("rules")) if "alert" in rule]
            kept = [rule for rule in rules if rule["alert"] == alert.name or "ALERTS" in alert.text]
            if kept:
                yield {**group, "name": f"alerts {number}", "rules": kept}

    def _changed(self, mutant: Mutant | None) -> Iterator[dict[str, Any]]:
        """Give the alerts, the one in question changed."""
        position = 0
        for group in self._alerts:
            rules = list(group["rules"])
            for place, rule in enumerate(rules):
                if rule["alert"] == self._subject.alert.name:
                    rules[place] = _changed(rule, mutant) if position == self._subject.position else rule
                    position += 1
            yield {**group, "rules": rules}


def _changed(rule: dict[str, Any], mutant: Mutant | None) -> dict[str, Any]:
    if mutant is None:
        return rule
    kept = {key: value for key, value in rule.items() if key != "for" or mutant.keeps_for}
    return {**kept, "expr": mutant.expression}


def _own_tests(group: TestGroup, alert: str) -> dict[str, Any]:
    """Return an entry of ``tests`` with what it expects of this alert only."""
    text = group.text if isinstance(group.text, dict) else {}
    kept = {key: value for key, value in text.items() if key not in ("promql_expr_test", "alert_rule_test")}
    own = [test for test in _maps(text.get("alert_rule_test")) if test.get("alertname") == alert]
    return {**kept, "alert_rule_test": own}


def _plain_groups(path: Path) -> list[dict[str, Any]]:
    root = plain(read_yaml(path.read_bytes()))
    return _maps(root.get("groups")) if isinstance(root, dict) else []


def _maps(value: Plain) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
