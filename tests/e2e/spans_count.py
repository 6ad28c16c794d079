"""The books of a load: what clients were answered, the replicas' access lines, nginx's, and the spans that arrived."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.collector import SERVER, ArrivedSpan
from tests.e2e.load_results import Answer
from tests.e2e.replicas import Replica


@dataclass(frozen=True)
class AccessLine:
    """What a replica has written of one request."""

    replica: str
    request_id: str
    trace_id: str
    status: int


@dataclass(frozen=True)
class Books:
    """One load in three books: the answers of the clients, the access lines, the server spans of the collector."""

    answers: list[Answer]
    lines: list[AccessLine]
    spans: list[ArrivedSpan]

    def answers_without_line(self) -> list[Answer]:
        """Return answers that no replica has written of."""
        written = {line.request_id for line in self.lines}
        return [answer for answer in self.answers if answer.request_id not in written]

    def repeated_lines(self) -> list[str]:
        """Return the ids of requests that have more than one access line: nginx asked twice."""
        return [name for name, count in Counter(line.request_id for line in self.lines).items() if count > 1]

    def lines_without_span(self) -> list[AccessLine]:
        """Return access lines whose server span has not arrived."""
        arrived = {span.trace_id for span in self.spans}
        return [line for line in self.lines if line.trace_id not in arrived]

    def spans_without_line(self) -> list[ArrivedSpan]:
        """Return server spans of which no access line tells."""
        written = {line.trace_id for line in self.lines}
        return [span for span in self.spans if span.trace_id not in written]

    def repeated_spans(self) -> list[str]:
        """Return the ids of spans that arrived more than once."""
        return [name for name, count in Counter(span.span_id for span in self.spans).items() if count > 1]

    def summary(self) -> str:
        """Say how many each book has, and what is not in all of them."""
        return (
            f"{len(self.answers)} answers, {len(self.lines)} access lines, {len(self.spans)} server spans; "
            f"{len(self.lines_without_span())} lines without a span, {len(self.spans_without_line())} spans without a "
            f"line, {len(self.answers_without_line())} answers without a line"
        )


def access_lines(replica: Replica, ids: Iterable[str]) -> list[AccessLine]:
    """Return what a replica has written of the requests with these ids."""
    wanted = set(ids)
    return [
        AccessLine(replica.name, record["request_id"], record["trace_id"], record["status_code"])
        for record in replica.log_lines()
        if record.get("event") == "request_completed" and record.get("request_id") in wanted
    ]


def server_spans(
    arrived: Iterable[ArrivedSpan], lines: Iterable[AccessLine], answers: Iterable[Answer]
) -> list[ArrivedSpan]:
    """Return the server spans of a load: those whose trace an access line or an answer names."""
    wanted = {line.trace_id for line in lines} | {answer.trace_id for answer in answers}
    return [span for span in arrived if span.kind == SERVER and span.trace_id in wanted]


def upstreams(access_log: Path, ids: Iterable[str]) -> Mapping[str, list[str]]:
    """Return whom nginx asked for each request with one of these ids, host:port in the order of the tries."""
    wanted = set(ids)
    records: Iterable[dict[str, Any]] = map(json.loads, access_log.read_text().rpartition("\n")[0].splitlines())
    return {
        record["request_id"]: [one.strip() for one in record["upstream"].split(",")]
        for record in records
        if record["request_id"] in wanted
    }
