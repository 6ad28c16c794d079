"""Rule files, their tests and dashboards of both sides of a comparison, and what changed in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from prethrift_backend.contracts import MetricsContract
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.alerts.cases import is_test_file, parse_test_file
from prethrift_backend.verify.diff.alerts import AlertSide, diff_alerts
from prethrift_backend.verify.diff.baseline import files_below, read_files_against
from prethrift_backend.verify.diff.changes import Change
from prethrift_backend.verify.diff.dashboards import diff_dashboards, unresolved
from prethrift_backend.verify.findings import Place
from prethrift_backend.verify.promql.checks import Known
from prethrift_backend.verify.promql.dashboards import Dashboard, parse_dashboard
from prethrift_backend.verify.promql.rule_files import RuleFile, know_rules, parse_rule_file
from prethrift_backend.verify.promql.scrape_configs import looks_like_rules, scrape_jobs, scrape_labels
from prethrift_backend.verify.promql.shapes import TARGET_LABELS
from prethrift_backend.verify.promql.tree import QueryError, check_installed

_RULES: Final = (".yml", ".yaml", ".rules")
_DASHBOARDS: Final = (".json",)


@dataclass(frozen=True)
class FileTexts:
    """The texts of one side by path, and the folders that the paths begin with."""

    texts: Mapping[str, str]
    roots: tuple[Path, ...] = ()

    @cached_property
    def rules(self) -> list[RuleFile]:
        """The rule files."""
        return [
            parse_rule_file(text.encode(), path=path)
            for path, text in self.texts.items()
            if path.endswith(_RULES) and not self._is_test(path) and looks_like_rules(text.encode())
        ]

    @cached_property
    def alerts(self) -> AlertSide:
        """The alerts, and their tests."""
        tests = [
            parse_test_file(text.encode(), path=path)
            for path, text in self.texts.items()
            if path.endswith(_RULES) and self._is_test(path)
        ]
        return AlertSide(self.rules, tests)

    @cached_property
    def dashboards(self) -> list[Dashboard]:
        """The files that are dashboards."""
        found = [parse_dashboard(text, path=path) for path, text in self.texts.items() if path.endswith(_DASHBOARDS)]
        return [one for one in found if isinstance(one, Dashboard) and ("panels" in one.model or "rows" in one.model)]

    def ending(self, suffixes: tuple[str, ...]) -> dict[str, str]:
        """Return the texts of these endings."""
        return {path: text for path, text in self.texts.items() if path.endswith(suffixes)}

    def _is_test(self, path: str) -> bool:
        # A folder 'tests' above the one that was named says nothing.
        own = next((Path(path).relative_to(root) for root in self.roots if Path(path).is_relative_to(root)), Path(path))
        return is_test_file(own if own.name else Path(path))


@dataclass(frozen=True)
class FilePair:
    """Both sides, and the jobs that the configurations of now scrape, with the labels that their targets get."""

    old: FileTexts
    new: FileTexts
    jobs: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()

    def changes(self, contract: MetricsContract | None, *, contract_changed: bool) -> Iterator[tuple[Place, Change]]:
        """Give what changed in alerts and dashboards, each with its place; nothing is read where nothing changed.

        ``contract`` is the new one. Raises ContractError where a module that reads such files is missing.
        """
        rules_changed = self.old.ending(_RULES) != self.new.ending(_RULES)
        dashboards_changed = self.old.ending(_DASHBOARDS) != self.new.ending(_DASHBOARDS)
        if not (rules_changed or dashboards_changed or contract_changed):
            return
        if rules_changed or self.new.dashboards:
            _check_installed()
        if rules_changed:
            for alert, change in diff_alerts(self.old.alerts, self.new.alerts):
                yield alert.place or Place(alert.name), change
        if dashboards_changed:
            yield from diff_dashboards(self.old.dashboards, self.new.dashboards)
        if contract is not None and self.new.dashboards:
            known = know_rules(
                self.new.rules, Known(contract, jobs=self.jobs, target_labels=TARGET_LABELS | self.labels)
            )
            yield from unresolved(self.new.dashboards, known)


def read_files(against: str, paths: Sequence[Path], *, folder: Path) -> FilePair:
    """Read both sides of the rule files, tests of rules and dashboards in these files and folders.

    ``against`` and ``folder`` are those of `read_against`. Raises ContractError.
    """
    suffixes = (*_RULES, *_DASHBOARDS)
    roots = tuple(paths)
    old = read_files_against(against, paths, folder=folder, suffixes=suffixes)
    files = [file for path in paths for file in files_below(path, suffixes)]
    new = {str(file): file.read_bytes().decode(errors="replace") for file in files}
    return FilePair(FileTexts(old, roots), FileTexts(new, roots), scrape_jobs(paths), scrape_labels(paths))


def _check_installed() -> None:
    try:
        check_installed()
    except QueryError as error:
        raise ContractError(str(error)) from error
