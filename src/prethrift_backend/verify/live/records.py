"""Stages 11 and 12: one trace through answer, lines, spans and exemplars; every line and span by its contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prethrift_backend.contracts import LogEvent, SpanPromise, load_logs, load_spans
from prethrift_backend.verify.findings import Level, Place, Signal
from prethrift_backend.verify.live.client import LiveUsageError
from prethrift_backend.verify.live.context import LiveContext
from prethrift_backend.verify.records import correlation
from prethrift_backend.verify.records.correlation import CORRELATION_ITEM, SentRequest
from prethrift_backend.verify.records.log_checks import ANY_LINE, LogChecks
from prethrift_backend.verify.records.sets import line_count_faults, parent_faults, span_count_faults
from prethrift_backend.verify.records.span_checks import ANY_SPAN, SpanChecks
from prethrift_backend.verify.records.values import ObservedSpan, RecordFault, read_line
from prethrift_backend.verify.rules import records as _rules_records

# Enough that a service which samples a part of its traces shows one, few enough for any rate limit. Arbitrary.
_REQUESTS: Final = 3
_LOOK_SECONDS: Final = 0.1
_OPENMETRICS_ACCEPT: Final = "application/openmetrics-text;version=1.0.0"
_SHOWN_FAULTS: Final = 3


@dataclass(frozen=True, slots=True)
class _Seen:
    """What came so far; a source that nobody gave gives nothing."""

    lines: Sequence[bytes]
    spans: Sequence[ObservedSpan]

    @property
    def fields(self) -> list[dict[str, object]]:
        return [fields for fields in map(read_line, self.lines) if fields is not None]


def promise(run: LiveContext) -> None:
    """Enter events and spans, where somebody gives lines and spans.

    Raises LiveUsageError where lines or spans are given and the contracts say nothing of them.
    """
    if run.options.probe and _has_sources(run):
        run.ledger.promise("live", CORRELATION_ITEM, Place(run.contract.source))
    logs, spans = _log_checks(run), _span_checks(run)
    if logs is not None:
        run.ledger.promise("logs", ANY_LINE, Place(logs.contract.source))
        for event in logs.contract.events:
            run.ledger.promise("logs", event.name, Place(logs.contract.source, event.line))
    if spans is not None:
        run.ledger.promise("spans", ANY_SPAN, Place(spans.contract.source))
        for span in spans.contract.spans:
            run.ledger.promise("spans", span.key, Place(spans.contract.source, span.line))


def judged_rules(run: LiveContext) -> tuple[str, ...]:
    """Return the ids of the rules that the run judges with what it is given."""
    rules: list[str] = []
    if run.options.probe and _has_sources(run):
        rules += _rules_records.CORRELATION_RULES
    if run.sources.lines is not None:
        rules += _rules_records.LINE_RULES
    if run.sources.spans is not None:
        rules += _rules_records.SPAN_RULES
    return tuple(rules)


def _log_checks(run: LiveContext) -> LogChecks | None:
    if run.sources.lines is None or not _is_promised(run, "logs.txt", is_given=run.options.records.gives_lines):
        return None
    return LogChecks(load_logs(run.folder))


def _span_checks(run: LiveContext) -> SpanChecks | None:
    if run.sources.spans is None or not _is_promised(run, "spans.txt", is_given=run.options.records.gives_spans):
        return None
    return SpanChecks(load_spans(run.folder))


def _is_promised(run: LiveContext, name: str, *, is_given: bool) -> bool:
    path: Path = run.folder / name
    if not path.is_file() and is_given and not run.is_adopted:
        what = "lines" if name == "logs.txt" else "spans"
        raise LiveUsageError(f"{what} are given, and {str(run.folder)!r} has no {name}: write one, or leave them out")
    return path.is_file()


# Stage 11.


def correlate(run: LiveContext) -> None:
    """Send requests in traces of our own, and look for each trace wherever the service speaks of its requests."""
    if not run.options.probe:
        run.ledger.skip(11, "correlate", "needs --probe: it sends requests")
        return
    if not _has_sources(run):
        run.ledger.skip(11, "correlate", ", ".join(_missing_sources(run)))
        return
    with run.ledger.stage(11, "correlate") as notes:
        run.sent = [correlation.send(run.client) for _ in range(_REQUESTS)]
        run.ledger.saw("live", CORRELATION_ITEM)
        logs, spans = _log_checks(run), _span_checks(run)
        seen = _awaited(run, logs)
        trust, faults = run.options.records.trust, list[RecordFault]()
        if spans is not None or (logs is not None and logs.has_traces):
            faults += correlation.answer_faults(run.sent, trust=trust)
        if logs is not None and seen.lines:
            faults += correlation.line_faults(logs, seen.fields, run.sent)
        if spans is not None and seen.spans:
            faults += correlation.span_faults(seen.spans, run.sent, trust=trust)
        _enter(run, faults)
        notes.extend([*_exemplar_notes(run, seen), *_missing_sources(run)])


def _exemplar_notes(run: LiveContext, seen: _Seen) -> list[str]:
    """Judge exemplars; how bad one of another trace is depends on whether ours were sampled for certain."""
    headers = {"Accept": _OPENMETRICS_ACCEPT}
    answer = run.client.ask(run.metrics_path, headers=headers, token=run.options.tokens.metrics)
    named = correlation.exemplar_traces(answer.body.decode(errors="replace"))
    sampled = [request for request in run.sent if correlation.server_spans(seen.spans, request)]
    _enter(run, correlation.exemplar_faults(named, sampled or run.sent), level=None if sampled else "warning")
    return [] if named else ["no exemplars"]


def _has_sources(run: LiveContext) -> bool:
    return run.sources.lines is not None or run.sources.spans is not None


def _missing_sources(run: LiveContext) -> list[str]:
    missing = []
    if run.sources.lines is None:
        missing.append("no --logs")
    if run.sources.spans is None:
        missing.append("no --otlp-tap")
    return missing


def _seen(run: LiveContext) -> _Seen:
    lines, spans = run.sources.lines, run.sources.spans
    return _Seen([] if lines is None else list(lines.lines()), [] if spans is None else list(spans.spans()))


def _awaited(run: LiveContext, logs: LogChecks | None) -> _Seen:
    """Wait until lines and spans of every request are there, and a moment longer for what should not be."""
    seen = _until(run, lambda seen: _is_whole(run, logs, seen))
    run.client.clock.sleep(_LOOK_SECONDS)
    return _seen(run) if seen.lines or seen.spans else seen


def _until(run: LiveContext, is_enough: Callable[[_Seen], bool]) -> _Seen:
    clock = run.client.clock
    deadline = clock.monotonic() + run.options.records.wait_seconds
    while not is_enough(seen := _seen(run)) and clock.monotonic() < deadline:
        clock.sleep(_LOOK_SECONDS)
    return seen


def _is_whole(run: LiveContext, logs: LogChecks | None, seen: _Seen) -> bool:
    if run.sources.spans is not None and not all(correlation.server_spans(seen.spans, one) for one in run.sent):
        return False
    if logs is None:
        return True
    counted = Counter((_event_name(logs, fields), fields.get(logs.request_key)) for fields in seen.fields)
    expected = [event.name for event in logs.contract.events if _comes_with_each_request(event)]
    return all(
        any(counted[name, request_id] for request_id in request.request_ids)
        for request in run.sent
        for name in expected
    )


def _event_name(logs: LogChecks, fields: Mapping[str, object]) -> str | None:
    event = logs.event_in(fields)
    return None if event is None else event.name


def _comes_with_each_request(event: LogEvent) -> bool:
    return event.count is not None and event.count.is_exact and event.count.per == "request"


# Stage 12.


def look(run: LiveContext) -> None:
    """Hold every line and every span that came against its contract."""
    logs, spans = _log_checks(run), _span_checks(run)
    if logs is None and spans is None:
        run.ledger.skip(12, "logs and spans", ", ".join(_missing_sources(run)) or "no logs.txt, no spans.txt")
        return
    with run.ledger.stage(12, "logs and spans") as notes:
        seen = _seen(run) if run.sent else _until(run, lambda seen: _has_some(seen, logs, spans))
        if logs is not None:
            notes.append(_look_at_lines(run, logs, seen))
        if spans is not None:
            notes.append(_look_at_spans(run, spans, seen.spans))


def _has_some(seen: _Seen, logs: LogChecks | None, spans: SpanChecks | None) -> bool:
    return (logs is None or bool(seen.lines)) and (spans is None or bool(seen.spans))


def _look_at_lines(run: LiveContext, checks: LogChecks, seen: _Seen) -> str:
    source = run.sources.lines
    fault = None if source is None else source.fault()
    if fault is not None:
        run.ledger.inconclusive.append(fault)
    elif not seen.lines:
        run.ledger.inconclusive.append("no line came: give --probe, or the log that the service writes")
    fields = seen.fields
    faults = [fault for line in seen.lines for fault in checks.faults(line)]
    faults += line_count_faults(checks, fields, sent=_logged_ids(run, checks, fields))
    observed = {name for name in (_event_name(checks, one) for one in fields) if name is not None}
    _settle(run, "logs", observed | ({ANY_LINE} if seen.lines else set()))
    for event in checks.contract.events:
        if event.name not in observed:
            _miss(run, "logs", event, is_due=bool(run.sent) and _comes_with_each_request(event))
    _enter(run, faults)
    return f"{len(seen.lines)} lines"


def _logged_ids(run: LiveContext, checks: LogChecks, lines: Iterable[Mapping[str, object]]) -> list[str]:
    """Return the id that the lines have of each request that was sent."""
    known = {fields.get(checks.request_key) for fields in lines}
    return [next((one for one in sent.request_ids if one in known), sent.request_ids[0]) for sent in run.sent]


def _look_at_spans(run: LiveContext, checks: SpanChecks, spans: Sequence[ObservedSpan]) -> str:
    if not spans:
        run.ledger.inconclusive.append("no span came: give --probe, and let the service export to the tap")
    faults = [fault for span in spans for fault in checks.faults(span)]
    faults += span_count_faults(checks, spans, sent=_traces(run.sent))
    faults += parent_faults(checks, spans)
    observed = {found.key for found in map(checks.promise_of, spans) if found is not None}
    _settle(run, "spans", observed | ({ANY_SPAN} if spans else set()))
    for one in checks.contract.spans:
        if one.key not in observed:
            _miss(run, "spans", one, is_due=False)
    _enter(run, faults)
    return f"{len(spans)} spans"


def _traces(sent: Iterable[SentRequest]) -> set[str]:
    return {trace for request in sent for trace in (request.own_trace_id, request.trace_id)}


def _settle(run: LiveContext, signal: Signal, observed: Collection[str]) -> None:
    for name in observed:
        run.ledger.saw(signal, name)


def _miss(run: LiveContext, signal: Signal, item: LogEvent | SpanPromise, *, is_due: bool) -> None:
    """Note what did not come; most of it needs a cause that a run has no right to bring about."""
    name = item.name if isinstance(item, LogEvent) else item.key
    what = "line" if signal == "logs" else "span"
    run.ledger.missed(signal, name, f"no {what} of it came while the run looked", is_due=is_due)


def _enter(run: LiveContext, faults: Iterable[RecordFault], *, level: Level | None = None) -> None:
    """Enter faults, one finding for each rule and item: it says how many there are, and shows the first."""
    grouped: dict[tuple[str, str], list[RecordFault]] = {}
    for fault in faults:
        grouped.setdefault((fault.rule, fault.name), []).append(fault)
    for (rule, name), found in grouped.items():
        first, messages = found[0], list(dict.fromkeys(fault.message for fault in found))
        message = "; ".join(messages[:_SHOWN_FAULTS]) + (f" ({len(found)} times)" if len(found) > 1 else "")
        run.ledger.find(
            rule,
            _signal(rule, name),
            name,
            message,
            expected=first.expected,
            observed=first.observed,
            level=level,
        )


def _signal(rule: str, name: str) -> Signal:
    if name == CORRELATION_ITEM:
        return "live"
    return "spans" if rule.startswith("SP") or rule == "CR003" else "logs"
