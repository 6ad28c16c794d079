"""The rules over what a service says of itself: lines of the log, spans, and one trace through all of it."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

_LINES: Final = (
    Rule("LG001", "A line is UTF-8", "error", "WIRE", "Shippers drop or garble what is not. Encode the line so."),
    Rule(
        "LG002",
        "A line is one JSON object",
        "error",
        "WIRE",
        "Whatever else stands in the stream is lost to every search by field. Send it through the same handler.",
    ),
    Rule(
        "LG003",
        "Nothing ends a line but its end",
        "error",
        "WIRE",
        "U+0085, U+2028 and U+2029 part a line for some readers, so that a caller could forge one. Write them as "
        "escapes of JSON.",
    ),
    Rule(
        "LG004",
        "A line does not command a terminal",
        "warning",
        None,
        "Control characters move the cursor, and marks of direction show another text than the one that is there. "
        "Write them as escapes of JSON.",
    ),
    Rule("LG005", "A line is no longer than promised", "error", "COST", "Shippers cut or drop it. Shorten its values."),
    Rule("LG006", "A promised field is there", "error", "QUERY", "Searches by it miss the line. Add the field."),
    Rule("LG007", "A field has the promised type", "error", "QUERY", "Indexes refuse it. Mend it where it is written."),
    Rule("LG008", "A field is promised", "error", "QUERY", "Declare it under its EVENT, or add open-fields there."),
    Rule(
        "LG009",
        "A promised logger writes promised events alone",
        "error",
        "QUERY",
        "Nobody searches for an event that the contract does not name. Add an EVENT for it, or correct its name.",
    ),
    Rule(
        "LG010",
        "An event is promised",
        "warning",
        "QUERY",
        "It has the form of an event and not of a sentence. Add an EVENT for it, or correct its name.",
    ),
    Rule("LG011", "An event has a promised level", "error", "QUERY", "Alerts on levels miss it, or page. Mend it."),
    Rule("LG012", "An event comes from its logger", "error", "QUERY", "Levels are set by logger. Use that one."),
    Rule(
        "LG013",
        "No key of NEVER-KEY is in a line",
        "error",
        None,
        "What is called so holds a secret sooner or later. Take the field out, and change the secret: it was written.",
    ),
    Rule(
        "LG014",
        "No value of NEVER-VALUE is in a line",
        "error",
        None,
        "Everybody who reads logs has it now. Hide it where lines are rendered, and change the secret.",
    ),
    Rule(
        "LG020",
        "An event comes as often as promised",
        "error",
        "QUERY",
        "Rates and budgets are worked out from these lines. Write the event where a request ends, whichever way it "
        "does, and once.",
    ),
)

_SPANS: Final = (
    Rule(
        "SP001",
        "A span falls under exactly one promise",
        "error",
        "QUERY",
        "Nobody searches for a span that the contract does not name. Add a SPAN for it, or correct its name or scope.",
    ),
    Rule("SP002", "A span has the promised kind", "error", "QUERY", "Service graphs are drawn by kind. Mend it."),
    Rule("SP003", "A span has a promised status", "error", "QUERY", "Error rates are counted by it. Mend it."),
    Rule("SP004", "A promised attribute is there", "error", "QUERY", "Searches by it miss the span. Set it."),
    Rule("SP005", "An attribute has the promised type", "error", "QUERY", "Backends drop or split it. Mend the value."),
    Rule("SP006", "An attribute is promised", "error", "QUERY", "Declare it, or add OPEN to the span."),
    Rule("SP007", "An event of a span is promised", "error", "QUERY", "Declare it, or add OPEN to the span."),
    Rule("SP008", "A span has its events as often as promised", "error", "COST", "Record it once, where it happens."),
    Rule("SP009", "A span has no more links than promised", "error", "COST", "Declare the link, or leave it out."),
    Rule(
        "SP010",
        "The resource is as promised",
        "error",
        "QUERY",
        "It says whose span it is. Set it where the tracer provider is made.",
    ),
    Rule("SP011", "A span is no larger than promised", "error", "COST", "Receivers drop what is. Bound what it holds."),
    Rule(
        "SP012",
        "No key of NEVER-KEY is in a span",
        "error",
        None,
        "What is called so holds a secret, or names a person. Take the attribute out.",
    ),
    Rule(
        "SP013",
        "No value of NEVER-VALUE is in a span",
        "error",
        None,
        "Everybody who reads traces has it now. Hide it before spans are exported, and change the secret.",
    ),
    Rule(
        "SP020",
        "A span comes as often as promised",
        "error",
        "COST",
        "A second one for the same thing doubles every rate worked out from spans. Find who makes it.",
    ),
    Rule(
        "SP021",
        "A span stands in its promised parent",
        "error",
        "QUERY",
        "Out of its trace it explains nothing. Start it while the parent is current, or hand the context over.",
    ),
)

_CORRELATION: Final = (
    Rule(
        "CR001",
        "The answer names its trace",
        "warning",
        "QUERY",
        "Whoever reports a fault could say which trace it was. Answer with traceresponse or X-Trace-Id.",
    ),
    Rule(
        "CR002",
        "The line of a request has its trace and its request id",
        "error",
        "QUERY",
        "From a trace nobody finds its lines. Take the context of the caller over before anything is logged.",
    ),
    Rule(
        "CR003",
        "The span of a request is in the trace that was sent",
        "error",
        "QUERY",
        "The caller's trace ends at the door. Extract traceparent before the server span is started.",
    ),
    Rule(
        "CR004",
        "An exemplar names a trace that was sent",
        "error",
        "QUERY",
        "From a slow bucket nobody finds a trace. Give the histogram an exemplar where the request is sampled.",
    ),
    Rule(
        "CR005",
        "A trusted caller's trace is gone on with",
        "error",
        "QUERY",
        "--trace-trust=parent promises it. Extract traceparent, or say what else becomes of it.",
    ),
)

LINE_RULES: Final = tuple(rule.id for rule in _LINES)
"""Those that a run judges which is given lines."""

SPAN_RULES: Final = tuple(rule.id for rule in _SPANS)
"""Those that a run judges which is given spans."""

CORRELATION_RULES: Final = tuple(rule.id for rule in _CORRELATION)
"""Those that a run judges which sends requests."""

RULES: Final[tuple[Rule, ...]] = (*_LINES, *_SPANS, *_CORRELATION)
