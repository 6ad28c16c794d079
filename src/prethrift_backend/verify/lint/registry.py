"""The families that an application has registered, held against ``metrics.txt``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Metric

from prethrift_backend.contracts import MetricFamily, MetricsContract
from prethrift_backend.exceptions import ContractError
from prethrift_backend.observability import redact_text
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.lint.metric_calls import exported_name

# What the classic format calls the types of prometheus_client.
_KINDS: Final = {"unknown": "untyped", "info": "gauge", "stateset": "gauge", "gaugehistogram": "histogram"}

# Their values stand in labels that no declaration names.
_LABELLED_BY_VALUE: Final = frozenset({"info", "stateset"})


@dataclass(frozen=True, slots=True)
class Registered:
    """One family of a registry; ``label_names`` and ``buckets`` are None where nothing says them yet."""

    name: str
    kind: str
    help: str
    label_names: frozenset[str] | None
    buckets: tuple[float, ...] | None
    label_sets: frozenset[frozenset[tuple[str, str]]]


def registered_families(registry: CollectorRegistry) -> dict[str, Registered]:
    """Return the families of a registry by their names in the classic format, as they are before any traffic.

    Raises ContractError where one of its collectors fails.
    """
    collectors: list[Any] = list(registry._collector_to_names)
    try:
        found = [_described(metric, one) for one in collectors for metric in one.collect()]
    except Exception as error:
        reason = redact_text(str(error)).partition("\n")[0]  # it may hold the address that was asked, password and all
        raise ContractError(
            f"the application's metrics cannot be collected: {type(error).__name__}: {reason}; mend the collector that "
            f"fails, or collect later than the application is made"
        ) from error
    return {family.name: family for family in found}


def _described(metric: Metric, collector: Any) -> Registered:
    sets = frozenset(frozenset((k, v) for k, v in sample.labels.items() if k != "le") for sample in metric.samples)
    declared = getattr(collector, "_labelnames", None)
    names = frozenset(name for labels in sets for name, _ in labels) if sets else None
    bounds = getattr(collector, "_upper_bounds", None) or getattr(collector, "_kwargs", {}).get("buckets")
    return Registered(
        exported_name(metric.name, metric.type),
        _KINDS.get(metric.type, metric.type),
        metric.documentation,
        names if declared is None or metric.type in _LABELLED_BY_VALUE else frozenset(declared),
        None if bounds is None else tuple(float(bound) for bound in bounds if not math.isinf(float(bound))),
        sets,
    )


def check_registry(contract: MetricsContract, registered: Mapping[str, Registered]) -> Iterator[Finding]:
    """Say where a registry and a contract differ; families that it does not have are another's to judge."""
    families = {family.name: family for family in contract.families}
    for name, found in registered.items():
        family = families.get(name)
        if family is not None:
            yield from _differences(family, found, contract)
        elif not contract.is_external(name):
            about = About("metrics", name, Place(contract.source))
            message = f"the application exports {name!r}, and {contract.source} does not promise it"
            yield about.fault(
                "V006", message, "declare it there, name it EXTERNAL where a library makes it, or drop it"
            )


def _differences(family: MetricFamily, found: Registered, contract: MetricsContract) -> Iterator[Finding]:
    about = About("metrics", family.name, Place(contract.source, family.line))
    if family.kind == "untyped":
        yield from _labels(family, found, about)
        return
    if found.kind != family.kind:
        yield about.fault(
            "CD001", f"{family.name!r} has another type", "correct one", expected=family.kind, observed=found.kind
        )
    if found.help != family.help:
        yield about.fault(
            "CD002", f"{family.name!r} has another help", "correct one", expected=family.help, observed=found.help
        )
    yield from _labels(family, found, about)
    if found.buckets is not None and found.buckets != family.buckets:
        expected, observed = _shown(family.buckets), _shown(found.buckets)
        yield about.fault(
            "CD004", f"{family.name!r} has other buckets", "correct one", expected=expected, observed=observed
        )
    yield from _initial(family, found, about)


def _shown(bounds: tuple[float, ...]) -> str:
    return " ".join(f"{bound:g}" for bound in bounds)


def _labels(family: MetricFamily, found: Registered, about: About) -> Iterator[Finding]:
    expected, observed = set(family.label_names), found.label_names
    if observed is not None and observed != expected:
        message = f"{family.name!r} has other labels"
        words = ", ".join(sorted(expected)) or "none", ", ".join(sorted(observed)) or "none"
        yield about.fault("CD003", message, "correct one", expected=words[0], observed=words[1])
        return
    for label in family.labels:
        values = sorted({value for labels in found.label_sets for name, value in labels if name == label.name})
        for value in [one for one in values if not label.allows(one)]:
            message = f"the label {label.name!r} of {family.name!r} has the value {value!r}"
            yield about.at(label.line).fault("CD009", message, "correct it, or promise it", expected=label.rule)


def _initial(family: MetricFamily, found: Registered, about: About) -> Iterator[Finding]:
    names = family.label_names
    promised = {frozenset(zip(names, values, strict=True)) for values in family.initial_label_sets()}
    missing = promised - found.label_sets if found.label_names == frozenset(names) else set()
    if missing:
        first = ", ".join(f"{name}={value}" for name, value in sorted(min(missing, key=sorted)))
        message = f"{family.name!r} is not there for {first} before the first event, and init= says so"
        yield about.fault("CD016", message, "call labels(...) for each set where the family is made")
    elif family.presence == "always" and not found.label_sets:
        message = f"{family.name!r} has no series before the first event, and presence=always says so"
        yield about.fault("CD016", message, "call labels(...) for each set where the family is made")
