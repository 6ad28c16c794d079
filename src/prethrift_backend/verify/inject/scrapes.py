"""Scrapes before and after a service was treated badly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prethrift_backend.verify.inject.wire import WireAnswer
from prethrift_backend.verify.live.items import listed
from prethrift_backend.verify.live.scrape import LiveSample, Scrape, read_scrape


def check_runs(before: Scrape | None, after: Scrape | None) -> Mapping[str, float]:
    """Return how often each check of health has run between two scrapes, where the service counts that."""
    runs: dict[str, float] = {}
    for sign, scrape in ((-1, before), (1, after)):
        for sample in () if scrape is None else scrape.samples.get("health_checks_total", ()):
            name = sample.labels.get("check", "")
            runs[name] = runs.get(name, 0.0) + sign * sample.value
    return runs


def parsed(answer: WireAnswer) -> Scrape | None:
    """Return the scrape that an answer is, None where it is none."""
    if answer.status != 200:
        return None
    try:
        return read_scrape(answer.body.decode())
    except ValueError:
        return None


def scrape_fault(answer: WireAnswer) -> str | None:
    """Say what is wrong with a scrape, None for a whole one."""
    if answer.status != 200:
        return f"answered {answer.status}"
    scrape = parsed(answer)
    if scrape is None or not scrape.samples:
        return "it cannot be read"
    return f"said twice: {listed(scrape.repeated)}" if scrape.repeated else None


def total(scrape: Scrape, name: str) -> float:
    """Return the sum of all series of a family."""
    return sum(sample.value for sample in scrape.samples.get(name, ()))


def new_series(before: Scrape, after: Scrape) -> Sequence[LiveSample]:
    """Return the series that were not there before."""
    old = {sample.key for sample in _all(before)}
    return [sample for sample in _all(after) if sample.key not in old]


def _all(scrape: Scrape) -> Iterator[LiveSample]:
    return (sample for samples in scrape.samples.values() for sample in samples)
