"""What a record of a test run means: which promises it exercised, which not, and what broke them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from prethrift_backend.contracts.values import Stability
from prethrift_backend.verify.coverage.items import CoverageItem
from prethrift_backend.verify.coverage.record import CoverageRecord, TestFault
from prethrift_backend.verify.findings import Finding, Item, Level, Outcome, Place
from prethrift_backend.verify.rules import RULES
from prethrift_backend.verify.rules.coverage import RULES as COVERAGE_RULES
from prethrift_backend.verify.rules.records import LINE_RULES, SPAN_RULES

Selected: TypeAlias = Literal["stable", "beta", "all"]

_STABILITIES: Final[Mapping[Selected, frozenset[Stability]]] = {
    "stable": frozenset({"stable"}),
    "beta": frozenset({"stable", "beta"}),
    "all": frozenset({"stable", "beta", "development"}),
}
_NOT_EXERCISED: Final = "no test exercises it"
_NOTHING_RAN: Final = "no test ran"
_MOST_FIX: Final = "mend what writes it, or mark the test with contract_unobserved(reason) where it does so on purpose"


@dataclass(frozen=True, slots=True)
class Coverage:
    """A record held against the items of a contract that count: those of the selected stability."""

    items: tuple[CoverageItem, ...]
    record: CoverageRecord

    def test_of(self, item: CoverageItem) -> str | None:
        """Return the first test that exercised an item."""
        return self.record.exercised.get((item.signal, item.name))

    @property
    def missing(self) -> tuple[CoverageItem, ...]:
        """Those that no test exercised."""
        return tuple(item for item in self.items if self.test_of(item) is None)

    @property
    def share(self) -> float:
        """The share of items that were exercised, 0 where there are none."""
        return 1 - len(self.missing) / len(self.items) if self.items else 0.0


def select(items: Iterable[CoverageItem], record: CoverageRecord, *, stability: Selected) -> Coverage:
    """Return the coverage of the items that are as firm as ``stability``, or firmer."""
    return Coverage(tuple(item for item in items if item.stability in _STABILITIES[stability]), record)


def outcome_of(coverage: Coverage, *, floor: float, target: str | None = None) -> Outcome:
    """Return findings and items; below the floor (a share) each item that is missing is an error, else a warning."""
    record = coverage.record
    rules = (*(rule.id for rule in COVERAGE_RULES), *LINE_RULES, *SPAN_RULES)
    if not record.test_count and record.exit_status in (0, 5):
        items = tuple(_item(item, _NOTHING_RAN) for item in coverage.items)
        return Outcome("coverage", items=items, rules=rules, inconclusive=(_NOTHING_RAN,), target=target)
    level: Level = "error" if coverage.share < floor else "warning"
    findings = (
        *_run_findings(record),
        *(_missing(item, level) for item in coverage.missing),
        *_fault_findings(record.faults, coverage.items),
    )
    seen = {(item.signal, item.name): coverage.test_of(item) for item in coverage.items}
    items = tuple(
        _item(item, None if seen[item.signal, item.name] is not None else _NOT_EXERCISED) for item in coverage.items
    )
    return Outcome("coverage", findings, items=items, rules=rules, inconclusive=record.unjudged, target=target)


def table_lines(coverage: Coverage) -> Iterator[str]:
    """Yield the table: each item with its signal, its stability and the first test that exercised it."""
    rows = [("signal", "stability", "item", "exercised by")]
    rows += [(one.signal, one.stability, one.name, coverage.test_of(one) or "-") for one in coverage.items]
    yield from _aligned(rows)


def summary_lines(coverage: Coverage) -> Iterator[str]:
    """Yield how many items of each signal were exercised."""
    rows = [("signal", "items", "exercised", "share")]
    for signal in dict.fromkeys(item.signal for item in coverage.items):
        part = Coverage(tuple(item for item in coverage.items if item.signal == signal), coverage.record)
        rows.append((signal, *_figures(part)))
    yield from _aligned([*rows, ("all", *_figures(coverage))])
    yield f"{coverage.record.test_count} tests ran"


def _figures(coverage: Coverage) -> tuple[str, str, str]:
    count = len(coverage.items)
    # Cut and not rounded: 100 % is all of them.
    return str(count), str(count - len(coverage.missing)), f"{int(coverage.share * 1000) / 10:.1f} %"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _item(item: CoverageItem, not_observed: str | None) -> Item:
    return Item(item.signal, item.name, item.place, not_observed)


def _missing(item: CoverageItem, level: Level) -> Finding:
    rule = RULES["CV001" if item.of is None else "CV002"]
    return Finding(
        rule.id,
        level,
        item.signal,
        item.name,
        f"{_NOT_EXERCISED} ({item.stability})",
        place=item.place,
        fix=rule.help,
    )


def _run_findings(record: CoverageRecord) -> Iterator[Finding]:
    if record.exit_status:
        message = f"the test run ended with {record.exit_status}"
        yield Finding("CV003", "error", "code", "pytest", message, expected="0", fix=RULES["CV003"].help)


def _fault_findings(faults: Iterable[TestFault], items: Iterable[CoverageItem]) -> Iterator[Finding]:
    places: dict[tuple[str, str], Place | None] = {(item.signal, item.name): item.place for item in items}
    for fault in faults:
        rule = RULES[fault.rule]
        yield Finding(
            fault.rule,
            rule.level,
            fault.signal,
            fault.name,
            f"{fault.message} (in {fault.test})",
            category=rule.category,
            expected=fault.expected,
            observed=fault.observed,
            place=places.get((fault.signal, fault.name)),
            fix=f"{rule.help} {_MOST_FIX[0].upper()}{_MOST_FIX[1:]}.",
            reproduce=f"pytest '{fault.test}'",
        )
