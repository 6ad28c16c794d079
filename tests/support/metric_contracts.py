"""What is served held against a metrics contract, both ways."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Metric

from prethrift_backend.contracts import MetricsContract
from prethrift_backend.observability.metrics import MetricSet


def differences(metrics: Iterable[Metric], contract: MetricsContract) -> set[str]:
    """Compare what is served with what is promised: names, types, help, labels, buckets."""
    served = {metric.name: metric for metric in metrics if not contract.is_external(metric.name)}
    promised = {family.name.removesuffix("_total"): family for family in contract.families}
    found = set(served) ^ set(promised)
    for name in set(served) & set(promised):
        metric, family = served[name], promised[name]
        if (metric.type, metric.documentation) != (family.kind, family.help):
            found.add(f"{name}: type or help")
        if {key for sample in metric.samples for key in sample.labels} - {"le"} - set(family.label_names):
            found.add(f"{name}: labels")
        bounds = {float(sample.labels["le"]) for sample in metric.samples if "le" in sample.labels}
        if bounds - {float("inf")} != set(family.buckets):
            found.add(f"{name}: buckets")
    return found


def use_every_family(metrics: MetricSet) -> None:
    """Make one series of each family with the values of its example in the contract."""
    for family in metrics.contract.families:
        if family.name in ("build_info", "contract_info"):  # these are set from the start
            continue
        values = dict(family.samples[0].labels)
        values.pop("le", None)
        child = metrics.family(family.name).labels(**values)
        child.observe(0.2) if family.kind == "histogram" else child.inc()
