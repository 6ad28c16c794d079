"""The scrape against the metrics contract: families, labels, values, buckets, and what it all costs."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prethrift_backend.contracts import MetricFamily, MetricLabel, MetricsContract
from prethrift_backend.observability.metrics import VIOLATIONS
from prethrift_backend.verify.live.items import Ledger, listed
from prethrift_backend.verify.live.scrape import LiveSample, Scrape
from prethrift_backend.verify.live.versions import VersionRange, is_allowed

SCRAPE_ITEM: Final = "scrape"
BUDGET_ITEM: Final = "budget"
CONTRACT_ITEM: Final = "contract_info"

_NUMERIC_KINDS: Final = ("counter", "histogram")
# A segment that no route template has: a number, a UUID, or a long run of hexadecimal digits.
_RAW_SEGMENT: Final = re.compile(r"[0-9]+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}", re.IGNORECASE)
_WARN_SHARE: Final = 0.8
_UNKNOWN_MAX: Final = 100  # so many are told one by one; arbitrary
# Arbitrary: of a family without series its type and help can be held against the contract, its labels cannot.
_DECLARED_SHARE: Final = 0.5


def check_form(ledger: Ledger, scrape: Scrape) -> None:
    """Hold the scrape against the format alone: repetitions, buckets, odd values."""
    if scrape.repeated:
        ledger.find("LV069", "live", SCRAPE_ITEM, f"said twice: {listed(scrape.repeated)}")
    for name, samples in scrape.samples.items():
        twice = [key for key, count in Counter(sample.key for sample in samples).items() if count > 1]
        if twice:
            shown = _shown(next(sample for sample in samples if sample.key == twice[0]))
            ledger.find("LV068", "metrics", name, f"{len(twice)} series stand twice, such as {shown}")
        kind = scrape.types.get(name, "untyped")
        _check_values(ledger, name, kind, samples)
        if kind == "histogram":
            for labels, group in _histograms(samples).items():
                _check_histogram(ledger, name, labels, group)


def _check_values(ledger: Ledger, name: str, kind: str, samples: Iterable[LiveSample]) -> None:
    for sample in samples:
        if math.isnan(sample.value):
            ledger.find("LV073", "metrics", name, f"{_shown(sample)} is NaN", observed="NaN")
        elif kind in _NUMERIC_KINDS and not sample.name.endswith("_sum") and not 0 <= sample.value < math.inf:
            ledger.find("LV074", "metrics", name, f"{_shown(sample)} is {sample.value:g}", observed=sample.value)


def _histograms(samples: Iterable[LiveSample]) -> Mapping[tuple[tuple[str, str], ...], list[LiveSample]]:
    groups: dict[tuple[tuple[str, str], ...], list[LiveSample]] = {}
    for sample in samples:
        groups.setdefault(sample.without("le"), []).append(sample)
    return groups


def _check_histogram(
    ledger: Ledger, name: str, labels: tuple[tuple[str, str], ...], group: Sequence[LiveSample]
) -> None:
    where = "".join(f" {key}={value!r}" for key, value in labels)
    buckets = _buckets(group)
    pairs = list(itertools.pairwise(buckets))
    if any(not lower[0] < upper[0] or lower[1] > upper[1] for lower, upper in pairs):
        ledger.find("LV070", "metrics", name, f"the buckets of{where or ' it'} do not rise", observed=listed(buckets))
    ends = {sample.name.removeprefix(name): sample.value for sample in group if sample.name != f"{name}_bucket"}
    missing = [ending for ending in ("_sum", "_count") if ending not in ends]
    if missing:
        ledger.find("LV072", "metrics", name, f"{where.strip() or 'it'} has no {' and no '.join(missing)}")
    infinite = dict(buckets).get(math.inf)
    if "_count" in ends and infinite != ends["_count"]:
        message = f'the bucket le="+Inf" of{where or " it"} is not the count'
        ledger.find("LV071", "metrics", name, message, expected=f"{ends['_count']:g}", observed=infinite)


def _buckets(group: Iterable[LiveSample]) -> list[tuple[float, float]]:
    return [(_bound(sample), sample.value) for sample in group if "le" in sample.labels]


def _bound(sample: LiveSample) -> float:
    try:
        return float(sample.labels["le"])
    except ValueError:
        return math.nan  # rises over nothing, so that it is reported


def check_families(ledger: Ledger, scrape: Scrape, contract: MetricsContract) -> None:
    """Hold every family against its promise, and find those that nobody promised."""
    features = {family.presence for family in contract.families if family.name in scrape.samples}
    for family in contract.families:
        samples = scrape.samples.get(family.name, [])
        _check_presence(ledger, scrape, family, features)
        _check_about(ledger, scrape, family)
        if samples:
            ledger.saw("metrics", family.name)
            _check_labels(ledger, family, samples)
            _check_buckets(ledger, family, samples)
    _check_deprecated(ledger, scrape, contract)
    _check_unknown(ledger, scrape, contract)


def _check_unknown(ledger: Ledger, scrape: Scrape, contract: MetricsContract) -> None:
    known = {family.name for family in contract.families} | {gone.name for gone in contract.deprecations}
    unknown = [name for name in scrape.family_names if name not in known and not contract.is_external(name)]
    for name in unknown[:_UNKNOWN_MAX]:
        kind = scrape.types.get(name, "no type")
        ledger.find("LV080", "metrics", name, f"family {name!r} ({kind}) is in no contract", observed=name)
    rest = unknown[_UNKNOWN_MAX:]
    if rest:
        message = f"{len(rest)} more families are in no contract"
        ledger.find("LV080", "live", SCRAPE_ITEM, message, observed=listed(rest))


def _check_presence(ledger: Ledger, scrape: Scrape, family: MetricFamily, features: set[str]) -> None:
    name = family.name
    if name in scrape.samples:
        _check_initial(ledger, family, scrape.samples[name])
    elif family.presence == "always":
        ledger.saw("metrics", name)
        ledger.find("LV081", "metrics", name, f"family {name!r} has no series", expected="presence=always")
    elif family.presence.startswith("if="):
        feature = family.presence.removeprefix("if=")
        if family.presence in features and name not in scrape.types:
            ledger.find("LV082", "metrics", name, f"feature {feature!r} is on, and {name!r} is not there")
        ledger.missed("metrics", name, f"the feature {feature!r} shows nothing of it", is_due=False)
    elif family.presence == "after-error":
        ledger.missed("metrics", name, "no error has happened yet", is_due=False)
    else:
        share = _DECLARED_SHARE if name in scrape.types else 0.0
        ledger.missed("metrics", name, "no traffic has come yet that it counts", seen_share=share)


def _check_initial(ledger: Ledger, family: MetricFamily, samples: Iterable[LiveSample]) -> None:
    present = {tuple(sample.labels.get(name, "") for name in family.label_names) for sample in samples}
    missing = [values for values in family.initial_label_sets() if values not in present]
    if missing:
        message = f"{len(missing)} series of {family.name!r} that begin at 0 are not there"
        ledger.find("LV083", "metrics", family.name, message, expected=listed(missing))


def _check_about(ledger: Ledger, scrape: Scrape, family: MetricFamily) -> None:
    name = family.name
    if family.kind == "untyped" or (name not in scrape.types and name not in scrape.samples):
        return
    kind = scrape.types.get(name, "untyped")
    if kind != family.kind:
        ledger.find("LV084", "metrics", name, f"{name!r} is a {kind}", expected=family.kind, observed=kind)
    told = scrape.helps.get(name, "")
    if family.help and told.removeprefix("[DEPRECATED] ") != family.help:
        ledger.find("LV085", "metrics", name, f"HELP of {name!r} is another", expected=family.help, observed=told)


def _check_labels(ledger: Ledger, family: MetricFamily, samples: Sequence[LiveSample]) -> None:
    expected = set(family.label_names)
    for sample in samples:
        own = set(sample.labels) - ({"le"} if sample.name.endswith("_bucket") else set())
        if own != expected:
            message = f"{_shown(sample)} has other labels"
            names = listed(sorted(expected)) or "none"
            ledger.find(
                "LV086", "metrics", family.name, message, expected=names, observed=listed(sorted(own)) or "none"
            )
    for label in family.labels:
        values = {sample.labels[label.name] for sample in samples if label.name in sample.labels}
        _check_label_values(ledger, family, label, values)


def _check_label_values(ledger: Ledger, family: MetricFamily, label: MetricLabel, values: set[str]) -> None:
    name = family.name
    refused = sorted(value for value in values if not label.allows(value))
    if refused:
        message = f"label {label.name!r} of {name!r} has values that are not allowed: {label.rule}"
        ledger.find("LV087", "metrics", name, message, expected=label.rule, observed=listed(refused))
    unknown = sorted(values - set(label.values)) if label.kind == "enum+" else []
    if unknown:
        ledger.find("LV090", "metrics", name, f"label {label.name!r} has new values", observed=listed(unknown))
    raw = sorted(value for value in values if _holds_paths(family, label) and is_raw_path(value))
    if raw:
        message = f"label {label.name!r} of {name!r} holds paths as they were asked for"
        ledger.find("LV088", "metrics", name, message, expected="a route template", observed=listed(raw))
    most = label.most_values
    if most is not None and len(values) > most:
        message = f"label {label.name!r} of {name!r} has {len(values)} values"
        ledger.find("LV092", "metrics", name, message, expected=f"at most {most}", observed=len(values))


def _holds_paths(family: MetricFamily, label: MetricLabel) -> bool:
    """Say whether the samples of the contract show templates of paths under this label."""
    return any(dict(sample.labels).get(label.name, "").startswith("/") for sample in family.samples)


def is_raw_path(value: str) -> bool:
    """Say whether a path has an identifier in it where a template has a name."""
    return value.startswith("/") and any(map(_RAW_SEGMENT.fullmatch, value.split("/")))


def _check_buckets(ledger: Ledger, family: MetricFamily, samples: Sequence[LiveSample]) -> None:
    if family.kind != "histogram":
        return
    expected = {*family.buckets, math.inf}
    for labels, group in _histograms(samples).items():
        bounds = {bound for bound, _ in _buckets(group)}
        if bounds != expected:
            missing, extra = listed(sorted(expected - bounds)), listed(sorted(bounds - expected))
            where = "".join(f" {key}={value!r}" for key, value in labels)
            message = f"the buckets of {family.name!r}{where}: missing {missing or 'none'}, extra {extra or 'none'}"
            ledger.find("LV089", "metrics", family.name, message, expected=listed(sorted(expected)))


def _check_deprecated(ledger: Ledger, scrape: Scrape, contract: MetricsContract) -> None:
    for gone in contract.deprecations:
        if gone.name in scrape.types and "[DEPRECATED]" not in scrape.helps.get(gone.name, ""):
            message = f"{gone.name!r} is deprecated since {gone.since} and does not say so"
            ledger.find("LV091", "metrics", gone.name, message, expected="[DEPRECATED] in HELP")


def check_cost(ledger: Ledger, scrape: Scrape, contract: MetricsContract, *, size_bytes: int, seconds: float) -> None:
    """Hold what one scrape costs against the budget, and each family against its bound."""
    budget = contract.budget
    for rule, unit, used, allowed in (
        ("LV100", "series", scrape.series_count, budget.series),
        ("LV101", "bytes", size_bytes, budget.bytes),
        ("LV102", "seconds", seconds, budget.scrape_seconds),
    ):
        if allowed is None:
            continue
        ledger.saw("live", BUDGET_ITEM)
        if used > allowed * _WARN_SHARE:
            over = used > allowed
            message = f"the scrape has {used:g} {unit}"
            ledger.find(rule if over else "LV104", "live", BUDGET_ITEM, message, expected=f"at most {allowed:g}")
    for family in contract.families:
        count = len(scrape.samples.get(family.name, ()))
        if family.max_series is not None and count > family.max_series:
            message = f"{family.name!r} has {count} series"
            ledger.find("LV103", "metrics", family.name, message, expected=f"at most {family.max_series}")


def check_consistency(ledger: Ledger, scrapes: Sequence[Scrape], *, versions: VersionRange | None = None) -> None:
    """Hold scrapes that came one after the other against each other; ``versions`` may stand side by side."""
    for before, after in itertools.pairwise(scrapes):
        for name, samples in before.samples.items():
            kind = before.types.get(name, "untyped")
            if kind in _NUMERIC_KINDS:
                _check_growth(ledger, name, samples, after.samples.get(name, ()))
    _check_constant(ledger, scrapes, "process_start_time_seconds", "LV112")
    if not all(is_allowed(told_version(scrape) or "", versions) for scrape in scrapes):
        _check_constant(ledger, scrapes, CONTRACT_ITEM, "LV114")
    for scrape in scrapes:
        _check_flags(ledger, scrape)


def check_violations(ledger: Ledger, scrape: Scrape) -> None:
    """Tell what the process itself has counted as a breach of its contract."""
    broken = [sample for sample in scrape.samples.get(VIOLATIONS, ()) if sample.value > 0]
    if broken:
        message = f"the process has broken its contract {sum(sample.value for sample in broken):g} times"
        seen = listed(f"{_shown(sample)} {sample.value:g}" for sample in broken)
        ledger.find("LV115", "metrics", VIOLATIONS, message, expected="0", observed=seen)


def _check_growth(ledger: Ledger, name: str, before: Iterable[LiveSample], after: Iterable[LiveSample]) -> None:
    later = {sample.key: sample.value for sample in after}
    for sample in before:
        value = later.get(sample.key)
        if value is None:
            ledger.find("LV111", "metrics", name, f"{_shown(sample)} was there, and then not")
        # The sum of a histogram of negative values may fall; ours hold durations and counts, where it may not.
        elif value < sample.value:
            message = f"{_shown(sample)} fell from {sample.value:g} to {value:g}"
            ledger.find("LV110", "metrics", name, message, expected=f"at least {sample.value:g}", observed=value)


def _check_constant(ledger: Ledger, scrapes: Sequence[Scrape], name: str, rule: str) -> None:
    seen = {tuple(sorted((s.without(), s.value) for s in scrape.samples.get(name, ()))) for scrape in scrapes}
    if len(seen) > 1:
        ledger.find(rule, "metrics", name, f"{name!r} had {len(seen)} values in {len(scrapes)} scrapes")


def _check_flags(ledger: Ledger, scrape: Scrape) -> None:
    for name, samples in scrape.samples.items():
        if scrape.types.get(name) == "gauge" and name.endswith(("_up", "_info")):
            odd = [sample for sample in samples if sample.value not in (0.0, 1.0)]
            if odd:
                ledger.find("LV113", "metrics", name, f"{_shown(odd[0])} is {odd[0].value:g}", expected="0 or 1")


def check_identity(ledger: Ledger, scrape: Scrape, contract: MetricsContract) -> None:
    """Hold the version and the sha256 that the process names against the contract at hand.

    A contract that does not promise the family is not the one that the process names: a draft, or another team's words.
    """
    if contract.is_external(CONTRACT_ITEM):
        return
    told = _told(scrape)
    if not told:
        ledger.find("LV020", "metrics", CONTRACT_ITEM, "the scrape names no contract")
    for labels in told:
        version, sha256 = labels.get("version", ""), labels.get("sha256", "")
        if version != contract.version:
            message = f"the process has contract {version!r}, {_age(version, contract.version)} than the one at hand"
            ledger.find("LV021", "metrics", CONTRACT_ITEM, message, expected=contract.version, observed=version)
        elif sha256 != contract.sha256:
            message = f"the process has another text of contract {version}"
            ledger.find("LV022", "metrics", CONTRACT_ITEM, message, expected=contract.sha256, observed=sha256)


def _told(scrape: Scrape) -> list[Mapping[str, str]]:
    samples = scrape.samples.get(CONTRACT_ITEM, ())
    return [sample.labels for sample in samples if sample.labels.get("contract", "metrics") == "metrics"]


def told_version(scrape: Scrape) -> str | None:
    """Return the version of the metrics contract that the process names."""
    return next((labels.get("version", "") for labels in _told(scrape)), None)


def described_version(version: str | None, own: str) -> str:
    """Say in a few words how the version of a process stands to the one it is held against."""
    if version is None:
        return "the process names no contract"
    return f"contract {version}, " + ("equal" if version == own else f"{_age(version, own)} than {own}")


def _age(version: str, own: str) -> str:
    try:
        numbers, own_numbers = ([int(part) for part in text.split(".")] for text in (version, own))
    except ValueError:
        return "another"
    return "older" if numbers < own_numbers else "newer"


def _shown(sample: LiveSample) -> str:
    labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
    return f"{sample.name}{{{labels}}}" if labels else sample.name
