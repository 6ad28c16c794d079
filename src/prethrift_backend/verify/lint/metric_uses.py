"""What a source does with metrics, held against ``metrics.txt``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from prethrift_backend.contracts import MetricFamily, MetricsContract
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.expressions import is_raw
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.lint.metric_calls import FamilyUse, LabelUse, family_uses, label_uses
from prethrift_backend.verify.lint.source import Source


@dataclass(frozen=True)
class MetricUses:
    """The uses of metrics in a source, and the contract that they keep.

    ``own`` is the source that is judged, ``source`` may have more. ``is_bound`` says that the application makes its
    families from the contract, so that a family made by hand is one too many.
    """

    contract: MetricsContract
    own: Source
    source: Source
    is_bound: bool

    def findings(self) -> Iterator[Finding]:
        """Say which families are strange to the contract, which labels they are not promised, and what is nobody's."""
        for use in family_uses(self.own):
            yield from self._judge(use)
        for call in label_uses(self.own):
            yield from self._judge_labels(call)
        if self.is_bound:
            for family in self.contract.families:
                if family.name not in self.source.used_texts:
                    about = About("metrics", family.name, Place(self.contract.source, family.line))
                    message = f"{family.name!r} is promised, and nothing in the source feeds it"
                    yield about.fault("V006", message, "feed it, or announce its end with DEPRECATED")

    @cached_property
    def _families(self) -> dict[str, MetricFamily]:
        return {family.name: family for family in self.contract.families}

    def _judge(self, use: FamilyUse) -> Iterator[Finding]:
        about = About("metrics", use.name, Place(use.module.path, use.node.lineno))
        family = self._families.get(use.name)
        if use.is_made and self.is_bound:
            message = f"{use.name!r} is made by hand, past {self.contract.source}"
            yield about.fault("CD005", message, "declare it there, and take it from the metrics by its name")
        elif family is None:
            if not self.contract.is_external(use.name):
                message = f"{use.name!r} is used, and {self.contract.source} does not promise it"
                yield about.fault("V006", message, "declare it there, or correct the name")
        elif use.kind and family.kind not in (use.kind, "untyped"):
            message = f"{use.name!r} is used as a {use.kind}"
            fix = "correct the use or TYPE"
            yield about.fault("CD001", message, fix, expected=family.kind, observed=use.kind)

    def _judge_labels(self, call: LabelUse) -> Iterator[Finding]:
        family = self._families.get(call.family or "")
        about = About("metrics", call.family or call.module.name, Place(call.module.path, call.node.lineno))
        for value in call.values:
            if is_raw(value, call.module, call.node.lineno):
                message = f"a label has the value {ast.unparse(value)!r}: as many series as there are visitors"
                yield about.fault("CD006", message, "use the template of the route, or a word of a closed list")
        if family is not None:
            yield from _differences(call, family, about)
        elif call.family is None and self.is_bound and call.is_whole and call.named and not call.placed:
            yield from self._strange_labels(call, about)

    def _strange_labels(self, call: LabelUse, about: About) -> Iterator[Finding]:
        """Say where no family at all has these labels; which one is meant cannot be told."""
        given = {name for name, _ in call.named}
        if not any(given == set(family.label_names) for family in self.contract.families):
            message = f"no family has the labels {', '.join(sorted(given))}"
            yield about.fault("CD003", message, "give the labels that the contract has")


def _differences(call: LabelUse, family: MetricFamily, about: About) -> Iterator[Finding]:
    given = dict(call.named)
    if call.placed:
        given |= dict(zip(family.label_names, call.placed, strict=False))
    is_count_wrong = bool(call.placed) and len(call.placed) != len(family.labels)
    if call.is_whole and (set(given) != set(family.label_names) or is_count_wrong):
        message = f"{family.name!r} is given other labels than it has"
        expected, observed = ", ".join(family.label_names) or "none", ", ".join(given) or "none"
        yield about.fault("CD003", message, "give exactly these", expected=expected, observed=observed)
    for label in family.labels:
        value = given.get(label.name)
        if isinstance(value, ast.Constant) and not label.allows(str(value.value)):
            message = f"the label {label.name!r} of {family.name!r} is given {value.value!r}"
            yield about.fault("CD009", message, "give a value that is promised, or promise it", expected=label.rule)
