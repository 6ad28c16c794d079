"""Findings and outcomes for the tests of reports: a plain example of each kind, and strategies for hostile ones."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from prethrift_backend.verify.findings import LEVELS, Excused, Finding, Item, Outcome, Place
from prethrift_backend.verify.verdict import Run

RUN = Run(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "1.2.3", "error", "/repo")

REMOVED = Finding(
    "M001",
    "error",
    "metrics",
    "http_requests_total",
    "the family is gone",
    category="QUERY",
    expected="a counter",
    observed="nothing",
    place=Place("/repo/contracts/metrics.txt", 12, 3),
    consumers=(Place("/repo/ops/alerts.yml", 7),),
    fix="put it back, or announce it with DEPRECATED",
    reproduce="curl -s http://127.0.0.1:8000/metrics",
)
ADDED = Finding("L003", "info", "logs", "search_completed", "the field 'page' is new")
LOUDER = Finding("L006", "warning", "logs", "search_completed", "the rate is raised", place=Place("contracts/logs.txt"))

OUTCOME = Outcome(
    "diff",
    (ADDED, LOUDER, REMOVED),
    items=(
        Item("metrics", "http_requests_total", Place("/repo/contracts/metrics.txt", 12)),
        Item("logs", "search_completed"),
        Item("spans", "GET {route}", not_observed="no request was traced"),
        Item("health", "database"),
    ),
    rules=("L003", "L006", "M001"),
    excused=(Excused(REMOVED, "agreed with its users", "2027-01-31"),),
    target="origin/main",
)
CLEAN = Outcome("lint", items=(Item("metrics", "http_requests_total"),))
BLIND = Outcome("verify", items=(Item("metrics", "http_requests_total", not_observed="no answer"),))

# What breaks formats: line ends of every kind, quotation marks, tags, ends of CDATA, workflow commands, controls,
# lone surrogates, placeholders and links of SARIF, Markdown.
_HOSTILE = st.sampled_from(
    [
        "\n",
        "\r\n",
        "\r",
        "\x00",
        "\x1b[31m",
        "\x85",
        "\u2028",
        "\u202e",
        "\ufffe",
        "\ud800",
        "\U0001f455",
        '"',
        "'",
        "\\",
        "]]>",
        "<b>&amp;",
        "::error file=x::y",
        "%0A",
        ",:",
        "|",
        "`",
        "{0}",
        "[a](1)",
        "\n# TYPE x gauge\n",
        "",
    ]
)
TEXTS = st.lists(st.one_of(_HOSTILE, st.text(st.characters(), max_size=5)), max_size=4).map("".join)
_NUMBERS = st.none() | st.integers(0, 10_000)
PLACES = st.builds(Place, TEXTS, _NUMBERS, _NUMBERS)
_SIGNALS = st.sampled_from(["metrics", "logs", "spans", "health", "live"])
FINDINGS = st.builds(
    Finding,
    TEXTS,
    st.sampled_from(LEVELS),
    _SIGNALS,
    TEXTS,
    TEXTS,
    category=st.none() | TEXTS,
    expected=st.none() | TEXTS,
    observed=st.none() | TEXTS,
    place=st.none() | PLACES,
    consumers=st.lists(PLACES, max_size=2).map(tuple),
    fix=TEXTS,
    reproduce=st.none() | TEXTS,
)
_ITEMS = st.builds(Item, _SIGNALS, TEXTS, st.none() | PLACES, st.none() | TEXTS)
OUTCOMES = st.builds(
    Outcome,
    TEXTS,
    st.lists(FINDINGS, max_size=3).map(tuple),
    items=st.lists(_ITEMS, max_size=3).map(tuple),
    rules=st.just(("V004",)),
    inconclusive=st.lists(TEXTS, max_size=2).map(tuple),
    target=st.none() | TEXTS,
    excused=st.lists(st.builds(Excused, FINDINGS, TEXTS, st.just("2027-01-31")), max_size=2).map(tuple),
)
RUNS = st.builds(
    Run,
    st.just(RUN.at),
    st.just("1.2.3"),
    st.sampled_from(["error", "warning", "info", "none"]),
    st.sampled_from(["", "/repo"]),
)
