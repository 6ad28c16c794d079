"""All changes of the corpus, in the order of their kinds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tests.corpus.alert_faults import ALERT_FAULTS, ALERT_HARMLESS
from tests.corpus.change import KINDS, Change
from tests.corpus.code_faults import CODE_FAULTS
from tests.corpus.code_harmless import CODE_HARMLESS
from tests.corpus.contract_faults import CONTRACT_FAULTS, CONTRACT_HARMLESS
from tests.corpus.dashboard_faults import DASHBOARD_FAULTS, DASHBOARD_HARMLESS
from tests.corpus.docs_faults import DOCS_FAULTS, DOCS_HARMLESS
from tests.corpus.process_faults import PROCESS_CHANGES
from tests.corpus.record_faults import RECORD_FAULTS
from tests.corpus.source_faults import SOURCE_FAULTS

CHANGES: Final[tuple[Change, ...]] = (
    *CODE_FAULTS,
    *RECORD_FAULTS,
    *SOURCE_FAULTS,
    *CODE_HARMLESS,
    *CONTRACT_FAULTS,
    *CONTRACT_HARMLESS,
    *ALERT_FAULTS,
    *ALERT_HARMLESS,
    *DASHBOARD_FAULTS,
    *DASHBOARD_HARMLESS,
    *DOCS_FAULTS,
    *DOCS_HARMLESS,
    *PROCESS_CHANGES,
)

FAULTS_MIN: Final = 120
HARMLESS_MIN: Final = 40
FAULTS_OF_KIND_MIN: Final = {"code": 35, "contracts": 30, "alerts": 20, "dashboards": 8, "docs": 5, "process": 25}


def unchanged(changes: Sequence[Change]) -> list[Change]:
    """Return for each kind and command a change of nothing: what it reports, it would report of every change.

    Two shops are a fault however little is changed.
    """
    pairs = dict.fromkeys((change.kind, change.command) for change in changes if "two" not in change.command)
    return [Change("nothing is changed", kind, command, None) for kind, command in pairs]


def shortcomings(changes: Sequence[Change]) -> Iterator[str]:
    """Say where the corpus is smaller than it has to be, or names a change twice."""
    faults = [change for change in changes if not change.is_harmless]
    harmless = len(changes) - len(faults)
    if len(faults) < FAULTS_MIN:
        yield f"{len(faults)} faults: there have to be {FAULTS_MIN}"
    if harmless < HARMLESS_MIN:
        yield f"{harmless} harmless changes: there have to be {HARMLESS_MIN}"
    for kind in KINDS:
        count = sum(change.kind == kind for change in faults)
        if count < FAULTS_OF_KIND_MIN[kind]:
            yield f"{count} faults of kind {kind}: there have to be {FAULTS_OF_KIND_MIN[kind]}"
    made = [(change.command, change.edits, change.fault, change.raises) for change in faults]
    for change, what in zip(faults, made, strict=True):
        if made.count(what) > 1:
            yield f"{change.kind}: {change.name!r} is the same fault as another, in other words"
    names = [(change.kind, change.name) for change in changes]
    for kind, name in sorted({pair for pair in names if names.count(pair) > 1}):
        yield f"{kind}: {name!r} is there twice"
