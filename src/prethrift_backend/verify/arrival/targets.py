"""What Prometheus has of the service: its targets, the last scrapes, families and labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from prethrift_backend.contracts import MetricFamily, MetricsContract
from prethrift_backend.verify.arrival.api import Api, ArrivalFault, dictionaries
from prethrift_backend.verify.live.context import LiveContext
from prethrift_backend.verify.live.items import listed
from prethrift_backend.verify.live.scrape import LiveSample
from prethrift_backend.verify.live.scrape_checks import CONTRACT_ITEM
from prethrift_backend.verify.promql.rule_files import duration_seconds

# Traffic between our scrape and that of Prometheus makes series, and families come with it. Arbitrary.
_COUNT_SLACK: Final = 20
_COUNT_SHARE: Final = 0.25
_AGE_INTERVALS_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Target:
    """One target of the job, as Prometheus knows it."""

    instance: str
    url: str
    health: str
    error: str
    labels: frozenset[str]
    interval_seconds: float | None


def read_targets(api: Api, job: str) -> list[Target]:
    """Return the targets of a job."""
    active = dictionaries(api.data("/api/v1/targets", state="active").get("activeTargets"))
    return [_target(found) for found in active if _labels(found).get("job") == job]


def _labels(found: Mapping[str, Any]) -> dict[str, str]:
    labels = found.get("labels")
    return labels if isinstance(labels, dict) else {}


def _target(found: Mapping[str, Any]) -> Target:
    labels = _labels(found)
    texts = {key: str(found.get(key, "")) for key in ("scrapeUrl", "health", "lastError", "scrapeInterval")}
    return Target(
        str(labels.get("instance", "")),
        texts["scrapeUrl"],
        texts["health"],
        texts["lastError"],
        frozenset(labels),
        duration_seconds(texts["scrapeInterval"]) or None,
    )


def own_target(targets: Sequence[Target], base_url: str) -> Target:
    """Return the target that is the service itself, or any where none has its address."""
    own = urlsplit(base_url).netloc
    return next((target for target in targets if urlsplit(target.url).netloc == own), targets[0])


def target_faults(run: LiveContext, api: Api, job: str) -> list[ArrivalFault]:
    """Say what is wrong with the targets, or with what came of them; the first kind of fault hides the next."""
    targets = read_targets(api, job)
    if not targets:
        command = api.curl("/api/v1/targets")
        return [ArrivalFault("LV132", f"Prometheus scrapes nothing as job {job!r}", expected=job, reproduce=command)]
    down = [target for target in targets if target.health != "up"]
    if down:
        return [_down(down, targets, api)]
    return [*_freshness(targets, api, job), *_contents(run, targets, api, job)]


def _down(down: Sequence[Target], targets: Sequence[Target], api: Api) -> ArrivalFault:
    reason = down[0].error or ("it has not been scraped yet" if down[0].health == "unknown" else down[0].health)
    message = f"{len(down)} of {len(targets)} targets are not up: {listed(t.instance for t in down)}: {reason}"
    return ArrivalFault("LV131", message, expected="up == 1", reproduce=api.curl("/api/v1/targets"))


def _freshness(targets: Sequence[Target], api: Api, job: str) -> Iterator[ArrivalFault]:
    query = f"time() - timestamp(up{{job={_quoted(job)}}} == 1)"
    ages = {sample.labels.get("instance"): sample.value for sample in api.vector(query)}
    command = api.curl("/api/v1/query", query=query)
    for target in targets:
        age, interval = ages.get(target.instance), target.interval_seconds
        if age is None:
            yield ArrivalFault("LV131", f"{target.instance} has no up == 1", expected="up == 1", reproduce=command)
        elif interval is not None and age > _AGE_INTERVALS_MAX * interval:
            limit = f"at most {_AGE_INTERVALS_MAX * interval:g} s"
            message = f"the last scrape of {target.instance} is {age:.1f} s old"
            yield ArrivalFault("LV134", message, expected=limit, observed=f"{age:.1f} s", reproduce=command)


def interval_faults(run: LiveContext, targets: Iterable[Target]) -> Iterator[ArrivalFault]:
    """Hold how often Prometheus scrapes against the contract."""
    scrape = run.contract.scrape
    odd = [t for t in targets if scrape and t.interval_seconds not in (None, scrape.interval_seconds)]
    if odd and scrape:
        message = f"{odd[0].instance} is scraped every {odd[0].interval_seconds:g} s"
        yield ArrivalFault("LV306", message, expected=f"{scrape.interval_seconds:g} s")


def _contents(run: LiveContext, targets: Sequence[Target], api: Api, job: str) -> Iterator[ArrivalFault]:
    target = own_target(targets, run.client.base_url)
    query = f"{{job={_quoted(job)},instance={_quoted(target.instance)}}}"
    samples = api.vector(query)
    command = api.curl("/api/v1/query", query=query)
    yield from _count_faults(run, samples, command)
    by_name: dict[str, list[LiveSample]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    for family in run.contract.families:
        found = [sample for name in _wire_names(family) for sample in by_name.get(name, ())]
        if found:
            yield from _label_faults(family, found, target.labels, command)
        elif _is_due(run, family):
            message = f"{family.name!r} of {target.instance} has not arrived"
            yield ArrivalFault("LV135", message, signal="metrics", name=family.name, reproduce=command)


def _count_faults(run: LiveContext, samples: Iterable[LiveSample], command: str) -> Iterator[ArrivalFault]:
    told = [sample.value for sample in samples if sample.name == "scrape_samples_scraped"]
    if not told or not run.scrapes:
        return
    own = run.scrapes[-1][1].series_count
    if abs(told[0] - own) > max(_COUNT_SLACK, _COUNT_SHARE * own):
        message = f"Prometheus took {told[0]:g} samples"
        yield ArrivalFault("LV133", message, expected=f"about {own}", observed=told[0], reproduce=command)


def _wire_names(family: MetricFamily) -> tuple[str, ...]:
    endings = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}.get(family.kind, ("",))
    return tuple(f"{family.name}{ending}" for ending in endings)


def _is_due(run: LiveContext, family: MetricFamily) -> bool:
    """Say whether a family must be there: it always is, or the service shows it itself."""
    shown = run.scrapes[0][1].samples if run.scrapes else {}
    return family.presence == "always" or family.name in shown


def _label_faults(
    family: MetricFamily, samples: Iterable[LiveSample], added: frozenset[str], command: str
) -> Iterator[ArrivalFault]:
    expected = {_arrived_name(name, added): name for name in family.label_names}
    own = [{key: value for key, value in s.labels.items() if key not in added | {"le"}} for s in samples]
    odd = next((labels for labels in own if set(labels) != set(expected)), None)
    if odd is not None:
        message = f"{family.name!r} has arrived with other labels"
        names, seen = listed(sorted(expected)) or "none", listed(sorted(odd)) or "none"
        yield ArrivalFault(
            "LV136",
            message,
            signal="metrics",
            name=family.name,
            expected=names,
            observed=seen,
            reproduce=command,
        )
        return
    for label in family.labels:
        values = {labels[_arrived_name(label.name, added)] for labels in own}
        refused = sorted(value for value in values if not label.allows(value))
        if refused:
            message = f"label {label.name!r} of {family.name!r} has arrived with other values"
            yield ArrivalFault(
                "LV136",
                message,
                signal="metrics",
                name=family.name,
                expected=label.rule,
                observed=listed(refused),
                reproduce=command,
            )


def _arrived_name(name: str, added: frozenset[str]) -> str:
    """Return what Prometheus calls a label of the service that is called like one of the target."""
    return f"exported_{name}" if name in added else name


def fleet_versions(api: Api, job: str) -> dict[str, int]:
    """Return how many targets have each version of the metrics contract."""
    query = f"count by (version, contract) ({CONTRACT_ITEM}{{job={_quoted(job)}}})"
    found = [s for s in api.vector(query) if s.labels.get("contract", "metrics") == "metrics"]
    return {sample.labels.get("version", ""): int(sample.value) for sample in found}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def job_of(contract: MetricsContract) -> str | None:
    """Return the job that the contract names."""
    return contract.scrape.job if contract.scrape else None
