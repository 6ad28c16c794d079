"""Everything that ``contracts lint`` looks at, as one outcome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from prethrift_backend.contracts import Contracts
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.findings import Finding, Item, Outcome
from prethrift_backend.verify.items import items_of, overhead_items
from prethrift_backend.verify.lint.contracts import lint_contracts
from prethrift_backend.verify.reference.rendering import check_reference
from prethrift_backend.verify.rules import alerts as _rules_alerts
from prethrift_backend.verify.rules import docs as _rules_docs
from prethrift_backend.verify.rules import lint as _rules_lint
from prethrift_backend.verify.rules import promql as _rules_promql

# What shows a single contract item as an item of its own, wherever else it stands.
_CODE_RULES: Final = ("CD", "V006")


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of a lint found: its findings, what it looked at, and the rules that it judged."""

    findings: tuple[Finding, ...] = ()
    items: tuple[Item, ...] = ()
    rules: tuple[str, ...] = field(default=())


def contracts_part(contracts: Contracts, *, why_no_code: str | None) -> Part:
    """Hold the contracts against themselves; where no code is looked at, their items say why."""
    findings = tuple(lint_contracts(contracts))
    items = items_of(contracts)
    if why_no_code is not None:
        items = tuple(replace(item, not_observed=why_no_code) for item in items)
    return Part(
        findings, (*items, *overhead_items(contracts), *_files(contracts)), _ids(_rules_lint.RULES, is_code=False)
    )


def code_rules() -> tuple[str, ...]:
    """Return the rules over code."""
    return _ids(_rules_lint.RULES, is_code=True)


def docs_part(contracts: Contracts, folder: Path) -> Part:
    """Hold the generated reference against the contracts.

    Raises ContractError where a file of the folder cannot be read.
    """
    if not folder.is_dir():
        raise ContractError(f"--docs {str(folder)!r} is no folder: the reference is generated into one; correct it")
    findings = tuple(check_reference(contracts, folder))
    return Part(findings, (Item("docs", str(folder)),), tuple(rule.id for rule in _rules_docs.RULES))


def query_rules() -> tuple[str, ...]:
    """Return the rules over queries and alerts."""
    return tuple(rule.id for rule in (*_rules_promql.RULES, *_rules_alerts.RULES))


def as_outcome(parts: Sequence[Part], *, target: str) -> Outcome:
    """Put the parts together: the findings sorted and each once, an item as observed where one part observed it."""
    findings = dict.fromkeys(finding for part in parts for finding in part.findings)
    return Outcome(
        "lint",
        tuple(sorted(findings, key=_order)),
        items=tuple(_merged(item for part in parts for item in part.items)),
        rules=tuple(sorted({rule for part in parts for rule in part.rules})),
        target=target,
    )


def _order(finding: Finding) -> tuple[str, str, str, str]:
    return finding.signal, finding.name, finding.rule, finding.message


def _merged(items: Iterable[Item]) -> Iterator[Item]:
    found: dict[tuple[str, str], Item] = {}
    for item in items:
        key = (item.signal, item.name)
        if key not in found or (found[key].not_observed is not None and item.not_observed is None):
            found[key] = item
    yield from found.values()


def _files(contracts: Contracts) -> Iterator[Item]:
    """Yield each file as an item: what is wrong with it as a whole is nobody else's.

    Files that promise nothing, all of them, are nothing that could be well.
    """
    promises_something = bool(items_of(contracts) or overhead_items(contracts))
    for signal, contract in (
        ("metrics", contracts.metrics),
        ("logs", contracts.logs),
        ("spans", contracts.spans),
        ("settings", contracts.settings),
        ("overhead", contracts.overhead),
    ):
        if contract is not None:
            why_not = None if promises_something else "the contracts promise nothing"
            yield Item(signal, Path(contract.source).name, None, why_not)  # type: ignore[arg-type] # words of Signal


def _ids(rules: Iterable[object], *, is_code: bool) -> tuple[str, ...]:
    ids = [str(getattr(rule, "id", "")) for rule in rules]
    return tuple(name for name in ids if name.startswith(_CODE_RULES) is is_code)
