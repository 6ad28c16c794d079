"""What many replicas cost, reckoned from measured inputs: `python -m tests.support.capacity` writes it into the page.

With --check nothing is written: the exit status is 1 where docs/capacity.md differs by more than chance.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.capacity_inputs import (
    SERIES_OF_A_TARGET,
    SPANS_A_TRACE,
    Deployed,
    Inputs,
    Scrape,
    deployed,
    measure,
    objectives,
)
from tests.support.capacity_probes import REMOTE, Outage, ProbeCount, Reading, count_probes, intervals

from prethrift_backend.contracts import load_metrics
from prethrift_backend.stores._database_probe import RENEWAL_SECONDS

PAGE = Path(__file__).parents[2] / "docs" / "capacity.md"
REPLICAS = 1_000
# Arbitrary: a replica with one core that is asked for something now and then rather than pressed.
REQUESTS_PER_SECOND = 20
HEAD_RATE = 0.1
PUSH_SECONDS = 60.0
DAY_SECONDS = 86_400
KIB, MIB, GIB = 1024, 1024**2, 1024**3
# Bytes that a sample takes on disk: 1 to 2 (prometheus.io/docs/prometheus/latest/storage), so 2.
DISK_BYTES_A_SAMPLE = 2
# What gRPC takes in one message by default (config/configgrpc of the collector, max_recv_msg_size_mib).
GRPC_BYTES = 4 * MIB
# Two numbers of different runs agree within this share; times, ids and versions are of different lengths.
TOLERANCE = 0.08
WARM_SECONDS, END_SECONDS = 30, 90
OUTAGE_END_SECONDS = 60

Row = tuple[str, ...]


@dataclass(frozen=True)
class Counts:
    """Simulated replicas: all started at once and asked all the time; started apart; and these with an outage."""

    at_once: ProbeCount
    apart: ProbeCount
    after_outage: ProbeCount


def simulate(replicas: int = REPLICAS) -> Counts:
    """Run the health engines of as many replicas in virtual time."""
    chance = random.Random(2)
    files = deployed()
    reading = Reading((files.ready_seconds, files.health_scrape_seconds))
    apart = [5 * chance.random() for _ in range(replicas)]
    return Counts(
        count_probes([0.0] * replicas, until_seconds=END_SECONDS + 5, reading=reading),
        count_probes(apart, until_seconds=END_SECONDS + 5),
        count_probes(apart, until_seconds=END_SECONDS + 5, outage=Outage(WARM_SECONDS, OUTAGE_END_SECONDS)),
    )


def head_bytes_per_series(scrape: Scrape) -> float:
    """Return the memory of a series in Prometheus' head: Brian Brazil's formula, without that of unique values.

    732 bytes, 32 a label, the series' own text twice; all of it twice for the garbage collector
    (robustperception.io, "How much RAM does Prometheus 2.x need for cardinality and ingestion?").
    """
    return 2 * (732 + 32 * scrape.labels + 2 * scrape.name_bytes)


def series_of_target(scrape: Scrape) -> int:
    """Return the series that one replica is in Prometheus: both jobs, with what Prometheus adds to each target."""
    return scrape.series + scrape.health_series + 2 * SERIES_OF_A_TARGET


def tables(inputs: Inputs, counts: Counts) -> dict[str, str]:
    """Return each table of the page by its name."""
    files = deployed()
    rows: dict[str, Iterator[Row]] = {
        "inputs": _input_rows(inputs),
        "prometheus": _prometheus_rows(inputs, files),
        "traces": _trace_rows(inputs, files),
        "logs": _log_rows(inputs),
        "probes": _probe_rows(counts, files),
        "connections": _connection_rows(files),
    }
    return {name: "\n".join(f"| {' | '.join(row)} |" for row in found) for name, found in rows.items()}


def _input_rows(inputs: Inputs) -> Iterator[Row]:
    yield "measured", "value", "on what"
    yield "---", "---", "---"
    yield "series of a process, just started", _number(inputs.idle.series), "the application's own `/metrics`"
    yield "the same, every route answered in three ways", _number(inputs.busy.series), "the same"
    yield "of these on `/health` too", _number(inputs.busy.health_series), "the same"
    yield "a scrape", _size(inputs.busy.text_bytes), "OpenMetrics"
    yield "a scrape, compressed", _size(inputs.busy.gzip_bytes), "as Prometheus asks for it"
    yield "a push of metrics by OTLP", _size(inputs.push_gzip_bytes), "compressed, cumulative"
    yield "a span in OTLP", _size(inputs.span_bytes), "a batch of the exporter, not compressed"
    yield "a trace of 4 spans on the wire", _size(inputs.trace_gzip_bytes), "batches of the exporter, compressed"
    yield "an access line", _size(inputs.line_bytes), "JSON, 500 requests served"


def _prometheus_rows(inputs: Inputs, files: Deployed) -> Iterator[Row]:
    yield "", "just started", "every route answered", "at the contract's bound"
    yield "---", "---", "---", "---"
    bound = load_metrics().budget.series or 0
    each = [series_of_target(inputs.idle), series_of_target(inputs.busy), bound + 2 * SERIES_OF_A_TARGET]
    total = [REPLICAS * one for one in each]
    rates = [one / files.scrape_seconds for one in total]
    yield "series of a replica", *map(_number, each)
    yield f"series of {REPLICAS:,} replicas", *map(_number, total)
    yield "samples a second", *map(_number, rates)
    yield "memory of the head for them", *(_size(head_bytes_per_series(inputs.busy) * one) for one in total)
    yield "disk for 15 days", *(_size(one * DISK_BYTES_A_SAMPLE * 15 * DAY_SECONDS) for one in rates)
    scrapes = [inputs.idle, inputs.busy]
    sizes = [_size(REPLICAS * one.gzip_bytes / files.scrape_seconds) for one in scrapes]
    yield "scraped bytes a second, compressed", *sizes, "not measured"


def _trace_rows(inputs: Inputs, files: Deployed) -> Iterator[Row]:
    yield "", f"`TRACE_SAMPLE_RATE={HEAD_RATE:g}`", "`TRACE_SAMPLE_RATE=1`"
    yield "---", "---", "---"
    traces = [REPLICAS * REQUESTS_PER_SECOND * share for share in (HEAD_RATE, 1.0)]
    yield "traces a second", *map(_number, traces)
    yield "spans a second", *(_number(one * SPANS_A_TRACE) for one in traces)
    yield "to the front layer, bytes a second", *(_size(one * inputs.trace_gzip_bytes) for one in traces)
    yield "the same in a day", *(_size(one * inputs.trace_gzip_bytes * DAY_SECONDS) for one in traces)
    yield (
        "collectors of the second layer",
        *(_number(_collectors(one, files)) for one in traces),
    )
    waiting = [one * files.decision_seconds / _collectors(one, files) for one in traces]
    yield "traces that wait in each of them", *map(_number, waiting)
    yield "their bytes, as they came", *(_size(one * SPANS_A_TRACE * inputs.span_bytes) for one in waiting)
    kept = sum(share for _, share in objectives()) + files.kept_share
    yield "kept at most, while both objectives are met", *(_number(one * kept) for one in traces)
    yield "the largest request between the layers", *[_size(files.batch_spans * inputs.span_bytes)] * 2
    push = REPLICAS * inputs.push_gzip_bytes / PUSH_SECONDS
    yield "metrics by OTLP, bytes a second", *[_size(push)] * 2


def _collectors(traces_per_second: float, files: Deployed) -> int:
    return -int(-traces_per_second // files.traces_per_second)


def _log_rows(inputs: Inputs) -> Iterator[Row]:
    yield "", "a second", "a day"
    yield "---", "---", "---"
    lines = REPLICAS * REQUESTS_PER_SECOND
    for name, size in (("bytes", inputs.line_bytes), ("bytes of one replica", inputs.line_bytes / REPLICAS)):
        yield name, _size(lines * size), _size(lines * size * DAY_SECONDS)
    yield "lines", _number(lines), _number(lines * DAY_SECONDS)


def _probe_rows(counts: Counts, files: Deployed) -> Iterator[Row]:
    yield "checks a second", "by the formula", "simulated", "busiest: start at once", "started apart", "after an outage"
    yield ("---",) * 6
    for name, seconds in intervals().items():
        simulated = counts.at_once.per_second(name, WARM_SECONDS, END_SECONDS)
        peaks = (
            counts.at_once.peak(name, 0, END_SECONDS),
            counts.apart.peak(name, WARM_SECONDS, END_SECONDS),
            counts.after_outage.peak(name, OUTAGE_END_SECONDS, END_SECONDS),
        )
        yield f"`{name}`", _number(REPLICAS / seconds), _number(simulated), *map(_number, peaks)
    reads = REPLICAS * (1 / files.ready_seconds + 1 / files.health_scrape_seconds)
    answers = counts.at_once.answers / (END_SECONDS + 5)
    runs = reads * len(REMOTE)
    yield "questions that were answered", _number(reads), _number(answers), "", "", ""
    yield "runs, if each question had the checks run", _number(runs), "not simulated", "", "", ""


def _connection_rows(files: Deployed) -> Iterator[Row]:
    yield "connections to the database", "of a replica", f"of {REPLICAS:,}"
    yield "---", "---", "---"
    for name, each in (
        ("kept open by the pool", files.pool),
        ("more under load", files.overflow),
        ("the health check's own", 1),
        ("at most", files.pool + files.overflow + 1),
    ):
        yield name, _number(each), _number(each * REPLICAS)
    yield "renewals of the health check's own, a second", "", _number(REPLICAS / RENEWAL_SECONDS)


def _number(value: float) -> str:
    if value >= 100:
        digits = 3 - len(str(int(value)))
        return f"{round(value, min(0, digits)):,.0f}" if value >= 1_000 else f"{value:.0f}"
    return f"{value:.3g}"


def _size(size_bytes: float) -> str:
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size_bytes >= unit:
            return f"{_number(size_bytes / unit)} {name}"
    return f"{_number(size_bytes)} bytes"


def with_tables(page: str, found: Mapping[str, str]) -> str:
    """Put each table between its marks, ``<!-- capacity NAME -->`` and ``<!-- /capacity -->``."""
    for name, table in found.items():
        begin, end = f"<!-- capacity {name} -->\n", "<!-- /capacity -->"
        before, mark, rest = page.partition(begin)
        if not mark:
            raise ValueError(f"docs/capacity.md has no place for the table {name!r}: give it its two marks")
        page = f"{before}{begin}\n{table}\n\n{end}{rest.partition(end)[2]}"
    return page


_FIGURE = re.compile(r"(?<![\w.`=])\d[\d,]*(?:\.\d+)?(?![\w.])")


def differences(page: str, fresh: str) -> list[str]:
    """Return the lines of a page that differ from a fresh one, but for figures within the tolerance."""
    old, new = page.splitlines(), fresh.splitlines()
    changed = [f"{one!r} is now {other!r}" for one, other in zip(old, new, strict=False) if not _agree(one, other)]
    return changed if len(old) == len(new) else [*changed, f"{len(old)} lines are now {len(new)}"]


def _agree(line: str, fresh: str) -> bool:
    if _FIGURE.sub("#", line) != _FIGURE.sub("#", fresh):
        return False
    pairs = zip(_figures(line), _figures(fresh), strict=True)
    return all(abs(one - other) <= TOLERANCE * max(one, other) for one, other in pairs)


def _figures(line: str) -> list[float]:
    return [float(text.replace(",", "")) for text in _FIGURE.findall(line)]


def main(arguments: list[str]) -> int:
    """Write the page's tables anew, or with --check say what differs; return the exit status."""
    page = PAGE.read_text()
    fresh = with_tables(page, tables(measure(), simulate()))
    if "--check" not in arguments:
        PAGE.write_text(fresh)
        return 0
    changed = differences(page, fresh)
    for line in changed:
        print(f"docs/capacity.md: {line}: run `python -m tests.support.capacity`")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
