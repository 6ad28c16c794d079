"""``metrics.txt`` held against itself: what each line may say alone, and what they cannot say together."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from prethrift_backend.contracts import Deprecation, MetricFamily, MetricLabel, MetricSample, MetricsContract
from prethrift_backend.verify.diff.changes import parse_version
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.lint.names import check_family_name, check_label_name

# Texts that a pattern would have to refuse some of to be a limit.
_ANY_TEXTS: Final = ("x", "7", "/a/b?c=d", "Ä \U0001f455", "-" * 300)


def check_metrics(contract: MetricsContract) -> Iterator[Finding]:
    """Return what is wrong with a metrics contract beyond what its parser refuses."""
    yield from _check_scrape(contract)
    yield from _check_budget(contract)
    for family in contract.families:
        about = About("metrics", family.name, Place(contract.source, family.line))
        yield from check_family_name(family, about)
        yield from _check_labels(family, about)
        yield from _check_bounds(family, contract, about)
        yield from _check_presence(family, about)
        yield from _check_samples(family, about)
        yield from _check_promise(family, contract, about)
    for gone in contract.deprecations:
        yield from _check_deprecation(gone, contract)


# The file as a whole.


def _check_scrape(contract: MetricsContract) -> Iterator[Finding]:
    scrape, budget = contract.scrape, contract.budget
    if scrape is None:
        return
    about = About("metrics", "SCRAPE", Place(contract.source, scrape.line))
    if scrape.timeout_seconds > scrape.interval_seconds:
        message = f"timeout={scrape.timeout_seconds:g}s is above interval={scrape.interval_seconds:g}s"
        yield about.fault("FM010", message, "lower the time-out: Prometheus refuses such a job")
    if not scrape.path.startswith("/"):
        yield about.fault("FM010", f"path={scrape.path} does not begin with '/'", f"write path=/{scrape.path}")
    if budget.scrape_seconds is not None and budget.scrape_seconds >= scrape.timeout_seconds:
        message = f"a scrape may take {budget.scrape_seconds:g} s, and is given up after {scrape.timeout_seconds:g} s"
        yield about.at(budget.line).fault("FM010", message, "lower scrape_seconds= of BUDGET")


def _check_budget(contract: MetricsContract) -> Iterator[Finding]:
    budget = contract.budget
    about = About("metrics", "BUDGET", Place(contract.source, budget.line or None))
    series = sum(_most(family) for family in contract.families)
    if budget.series is not None and series > budget.series:
        message = f"the families may have {series:g} series together, and BUDGET is {budget.series}"
        yield about.fault("FM006", message, "lower max= of a SERIES line, or raise BUDGET on purpose")
    size = sum(_most(family) * max(_sizes(family), default=0) for family in contract.families)
    if budget.bytes is not None and size > budget.bytes:
        message = f"{series:g} series as long as the samples are {size:g} bytes, and BUDGET is {budget.bytes}"
        fix = "lower max= of a SERIES line, shorten names, or raise BUDGET on purpose"
        yield about.fault("FM006", message, fix, level="warning")


def _most(family: MetricFamily) -> int:
    """Return how many series a family may have; nothing where that is bounded nowhere, which is a fault of its own."""
    return family.max_series or family.most_series or 0


def _sizes(family: MetricFamily) -> Iterator[int]:
    for sample in family.samples:
        yield len(sample.name) + sum(len(name) + len(value) + 4 for name, value in sample.labels) + 8


# One family.


def _check_labels(family: MetricFamily, about: About) -> Iterator[Finding]:
    for label in family.labels:
        here = about.at(label.line)
        yield from check_label_name(family, label, here)
        yield from _check_values(family, label, here)


def _check_values(family: MetricFamily, label: MetricLabel, about: About) -> Iterator[Finding]:
    where = f"the label {label.name!r} of {family.name!r}"
    if label.kind != "match":
        return
    if label.allows(""):
        yield about.fault("FM015", f"the pattern of {where} takes an empty value", "ask for one character at least")
    if all(label.allows(text) for text in _ANY_TEXTS):
        yield about.fault("FM015", f"the pattern of {where} takes any text", "write 'open', or a narrower pattern")


def _check_bounds(family: MetricFamily, contract: MetricsContract, about: About) -> Iterator[Finding]:
    if family.max_series is not None:
        return
    if family.most_series is None:
        unbounded = next(label.name for label in family.labels if label.most_values is None)
        message = f"nothing bounds the series of {family.name!r}: its label {unbounded!r} may have any number of values"
        yield about.fault("FM007", message, "add max= to SERIES, or to the LABEL line")
    elif contract.budget.series is not None:
        message = f"{family.name!r} says not how much of the BUDGET it may use"
        yield about.fault("FM007", message, f"add max={family.most_series} to its SERIES line")


def _check_presence(family: MetricFamily, about: About) -> Iterator[Finding]:
    if family.init is not None and family.presence.startswith("after-"):
        message = f"{family.name!r} is made at the start by init=, and said to be there {family.presence}"
        yield about.fault("FM008", message, "write presence=always, or take init= away")
    needs_init = family.kind in ("counter", "histogram") and any(label.kind != "const" for label in family.labels)
    if family.presence == "always" and family.init is None and needs_init:
        message = f"{family.name!r} is said to be there always, and nothing makes its series at the start"
        yield about.fault("FM008", message, "add init=all, or init=label:value, or write presence=after-traffic")


def _check_promise(family: MetricFamily, contract: MetricsContract, about: About) -> Iterator[Finding]:
    if family.stability == "stable" and not (family.since and family.owner):
        missing = " and ".join(name for name in ("since", "owner") if getattr(family, name) is None)
        yield about.fault("FM011", f"{family.name!r} is stable and has no {missing}=", "add it to META")
    if family.since is not None and parse_version(family.since) > parse_version(contract.version):
        message = f"{family.name!r} is there since {family.since}, and the contract is {contract.version}"
        yield about.fault("FM011", message, "correct since=, or raise the version of the contract", level="error")
    if family.expires is not None and parse_version(family.expires) <= parse_version(contract.version):
        message = f"{family.name!r} expired with {family.expires}, and the contract is {contract.version}"
        yield about.fault("FM009", message, "take the family away, or agree on a later version")
    if contract.is_external(family.name):
        message = f"{family.name!r} is promised, and an EXTERNAL pattern takes it"
        yield about.fault("FM012", message, "make the pattern narrower, or take the family away")


def _check_deprecation(gone: Deprecation, contract: MetricsContract) -> Iterator[Finding]:
    about = About("metrics", gone.name, Place(contract.source, gone.line))
    if gone.replaced_by is None:
        yield about.fault("V003", f"{gone.name!r} is DEPRECATED and nothing replaces it", "add replaced-by=FAMILY")
    if parse_version(gone.remove)[0] <= parse_version(gone.since)[0]:
        message = f"{gone.name!r} goes with {gone.remove}, and is DEPRECATED since {gone.since}"
        yield about.fault("V003", message, f"write remove={parse_version(gone.since)[0] + 1}.0.0 or later")
    is_due = parse_version(gone.remove) <= parse_version(contract.version)
    is_there = any(family.name == gone.name for family in contract.families)
    if is_due and is_there:
        message = f"{gone.name!r} was to go with {gone.remove}, and the contract is {contract.version}"
        yield about.fault("FM009", message, "take the family and its DEPRECATED line away")
    if not is_due and not is_there:
        message = f"{gone.name!r} stays until {gone.remove}, and the contract does not have it any more"
        yield about.fault("FM009", message, "declare it again until then, or take the DEPRECATED line away")


# Sample lines, as a scrape.


def _check_samples(family: MetricFamily, about: About) -> Iterator[Finding]:
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    for sample in family.samples:
        key = (sample.name, frozenset(sample.labels))
        if key in seen:
            message = f"the series of a sample of {family.name!r} stands twice"
            yield about.at(sample.line).fault("FM005", message, "take one of the two away")
        seen.add(key)
        if family.kind in ("counter", "histogram") and not _is_count(family, sample):
            message = f"a sample of {family.name!r} is {sample.value:g}: a count is 0 or more"
            yield about.at(sample.line).fault("FM005", message, "correct the number")
    if family.kind == "histogram":
        yield from _check_histogram(family, about)


def _is_count(family: MetricFamily, sample: MetricSample) -> bool:
    return sample.value >= 0 or sample.name == f"{family.name}_sum"


def _check_histogram(family: MetricFamily, about: About) -> Iterator[Finding]:
    """Hold the samples of one set of labels to one another, those that are there."""
    buckets: dict[frozenset[tuple[str, str]], list[tuple[float, float, int]]] = defaultdict(list)
    counts: dict[frozenset[tuple[str, str]], float] = {}
    for sample in family.samples:
        own = frozenset(pair for pair in sample.labels if pair[0] != "le")
        if sample.name.endswith("_bucket"):
            bound = float(dict(sample.labels)["le"].replace("+Inf", "inf"))
            buckets[own].append((bound, sample.value, sample.line))
        elif sample.name.endswith("_count"):
            counts[own] = sample.value
    for own, found in buckets.items():
        found.sort()
        here = about.at(found[-1][2])
        if any(lower[1] > upper[1] for lower, upper in pairwise(found)):
            yield here.fault("FM005", f"the buckets of a sample of {family.name!r} fall", "each holds those below it")
        if not math.isinf(found[-1][0]):
            yield here.fault("FM005", f"a sample of {family.name!r} has no +Inf", 'add a line with le="+Inf"')
        elif counts.get(own, found[-1][1]) != found[-1][1]:
            message = f"+Inf of a sample of {family.name!r} is not its _count"
            yield here.fault("FM005", message, "correct one of the two")
