"""The rules over contracts by themselves (F..., by file) and against the code (CD..., V006)."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

_METRICS: Final = (
    Rule(
        "FM001",
        "A family's name and its unit agree",
        "error",
        "QUERY",
        "OpenMetrics asks for the unit at the end of the name (before _total); a reader of the name alone would take "
        "the number for another. Rename the family, or correct unit=.",
    ),
    Rule(
        "FM002",
        "A family counts in base units",
        "warning",
        "QUERY",
        "Prometheus' convention is seconds, bytes and ratios from 0 to 1: dashboards then need no conversion, and two "
        "families can be put together. Convert where the value is recorded.",
    ),
    Rule(
        "FM003",
        "Names of families and labels follow the conventions",
        "warning",
        help="snake_case, no type of metric in the name, no colon (those are names that recording rules make), no "
        "abbreviated unit. promtool says the same of a running process.",
    ),
    Rule(
        "FM004",
        "HELP says something that the name does not",
        "warning",
        help="The person on call reads it at night. Say what is counted, and what is left out.",
    ),
    Rule(
        "FM005",
        "Sample lines are a scrape that Prometheus would take",
        "error",
        "WIRE",
        "They are fixtures of tests: no series twice, counts not below 0, buckets that rise up to +Inf, and +Inf the "
        "same as _count.",
    ),
    Rule(
        "FM006",
        "The bounds of all families stay within the budget",
        "error",
        "COST",
        "Each family may be within its bound and the scrape still be too large. Lower max= of a SERIES line, or raise "
        "BUDGET on purpose.",
    ),
    Rule(
        "FM007",
        "Every family and every open label is bounded",
        "warning",
        "COST",
        "Without max= of SERIES, or of each open label, anybody who can choose a value can make series without end. "
        "Where BUDGET has series=, each family says its part of it.",
    ),
    Rule(
        "FM008",
        "presence= and init= agree with the labels",
        "error",
        "QUERY",
        "A series that is there from the start has to be made at the start: by init=, or because there are no labels. "
        "What init= makes is not after-traffic or after-error.",
    ),
    Rule(
        "FM009",
        "What was to go by a version is gone by then, and not before",
        "error",
        "QUERY",
        "DEPRECATED remove= and META expires= name a version. Before it the family is still exported, from then on it "
        "is not in the contract.",
    ),
    Rule(
        "FM010",
        "SCRAPE and BUDGET fit together",
        "error",
        "WIRE",
        "Prometheus refuses a time-out above the interval, and a scrape that may take as long as the time-out fails "
        "on a bad day. A path begins with '/'.",
    ),
    Rule(
        "FM011",
        "A stable family says since when and whose it is",
        "warning",
        help="since= is what a reader of old data asks for, owner= whom they ask. since= is not later than the "
        "contract's own version.",
    ),
    Rule(
        "FM012",
        "EXTERNAL names no promised family",
        "error",
        help="A family is promised or merely allowed; a pattern that takes a promised one hides what becomes of it. "
        "Make the pattern narrower.",
    ),
    Rule(
        "FM013",
        "A label means no single person, request or thing",
        "error",
        "COST",
        "Ids, addresses and raw paths have as many values as there are visitors. They belong in logs and traces, "
        "which a figure is led to by its exemplar.",
    ),
    Rule(
        "FM014",
        "A label is not called what Prometheus calls its own",
        "error",
        "QUERY",
        "job and instance are set by the scrape; a label of that name becomes exported_job, and queries miss it.",
    ),
    Rule(
        "FM015",
        "A pattern of a label limits it, and no value is empty",
        "warning",
        "QUERY",
        "A pattern that takes any text is 'open'. An empty value is the same series as one without the label.",
    ),
)

_LOGS: Final = (
    Rule(
        "FL001",
        "A field has one type in all events",
        "error",
        "QUERY",
        "An index takes the type of the first line and refuses the lines of the other, in silence.",
    ),
    Rule(
        "FL002",
        "An event's level is one that a line may have, and fits its name",
        "warning",
        "QUERY",
        "The levels are those of 'FIELD * level'. What failed or was lost is at warning or above: alerts by level "
        "pass over it otherwise. A stable promise at debug is not there in production.",
    ),
    Rule(
        "FL003",
        "Every line says when, how grave and what",
        "error",
        "QUERY",
        "Without timestamp, level and event no line can be searched for by them. Where spans are promised, trace_id "
        "leads from a line to its trace.",
    ),
    Rule(
        "FL004",
        "No field or attribute is promised that never occurs",
        "error",
        help="NEVER-KEY takes a key that ends with its word as well, such as user_password: the value would be taken "
        "out of every line. Name the field otherwise.",
    ),
    Rule(
        "FL005",
        "A contract of lines or spans says what never occurs",
        "warning",
        help="Without NEVER-KEY and NEVER-VALUE nothing looks for secrets. What one of the two files names, the other "
        "names too: a secret is one wherever it stands.",
    ),
    Rule(
        "FL006",
        "A text has room where it is promised",
        "error",
        help="max= of a field is below max-bytes of a line, that of an attribute not above max-text; a span has no "
        "more attributes than it may.",
    ),
    Rule(
        "FL007",
        "A condition is one that somebody can tell",
        "error",
        help="required-if= names the state of things (request, span, user, exception, error) or, in upper case, a "
        "setting of settings.txt.",
    ),
)

_SPANS: Final = (
    Rule(
        "FS001",
        "A span falls under one promise",
        "error",
        "QUERY",
        "Two blocks with one kind, scope and form of name take the same spans; such a span breaks the contract "
        "whatever it holds.",
    ),
    Rule(
        "FS002",
        "A span's name is made of few values",
        "error",
        "COST",
        "Names are grouped by. One with a path, an address or an id in it is another name for each request.",
    ),
    Rule(
        "FS003",
        "Attributes are in lower case, with dots or '_' between",
        "warning",
        "QUERY",
        "So OpenTelemetry's conventions have them, and searches are by exact name.",
    ),
    Rule(
        "FS004",
        "An attribute has one type in all spans",
        "error",
        "QUERY",
        "A store of traces keeps one type a name, and loses the other.",
    ),
    Rule(
        "FS005",
        "A span that can fail says why",
        "warning",
        "QUERY",
        "error.type is there if and only if the span failed (OpenTelemetry). Where STATUS has error, promise "
        "error.type required-if=error; where it has not, leave it out.",
    ),
    Rule("FS006", "A span is not its own parent", "error", help="parent= leads to a span that begins a trace."),
    Rule(
        "FS007",
        "The resource says which service speaks",
        "warning",
        "QUERY",
        "A store of traces groups by service.name; without it everything is unknown_service.",
    ),
)

_SETTINGS: Final = (
    Rule(
        "FE001",
        "A setting that holds a secret is marked so",
        "error",
        help="Only what is marked secret is masked in logs, errors and 'config'. The name says that it is one.",
    ),
    Rule("FE002", "A secret has no default", "error", help="A default stands in the source, where everybody reads it."),
    Rule(
        "FE003",
        "What is required has no default there",
        "warning",
        help="With a default it is never missing, and the process starts with what nobody chose.",
    ),
    Rule(
        "FE004",
        "A setting says its unit",
        "warning",
        help="DRAIN=10 may be seconds or minutes. End the name in _SECONDS, _MS or _BYTES.",
    ),
)

_HEALTH: Final = (
    Rule(
        "FH001",
        "The schema can be read, and compared with a later one",
        "error",
        help="It is JSON Schema 2020-12 of the keywords that 'diff' understands; what it does not, nobody could "
        "compare.",
    ),
    Rule(
        "FH002",
        "A format is checked",
        "error",
        help="An unknown format takes any text, 'yesterday' for a date-time.",
    ),
    Rule(
        "FH003",
        "A status is one of a closed list",
        "error",
        "QUERY",
        "Consumers switch on it. List its values by enum.",
    ),
    Rule(
        "FH004",
        "The body is a closed object with a required status",
        "warning",
        "WIRE",
        "additionalProperties false, so that a typo in a name is found, and what a probe reads is always there.",
    ),
    Rule(
        "FH005",
        "What is required is described, and no value stands twice",
        "error",
        help="A closed object that requires a property it does not have takes no body at all.",
    ),
)

_OVERHEAD: Final = (
    Rule(
        "FO001",
        "A figure can be what is promised",
        "error",
        help="A count is a whole number, and what is measured (bytes, times, a ratio) has a most: it is never the same "
        "twice.",
    ),
    Rule(
        "FO002",
        "A figure of a case has one limit",
        "error",
        help="Where every version of Python has a limit, a second one for a single version contradicts it.",
    ),
    Rule(
        "FO003",
        "A case is limited for every version of Python",
        "warning",
        help="Lines, spans and metric operations do not depend on the version. On a version that no line names, "
        "nothing else is held to anything.",
    ),
)

_ACROSS: Final = (
    Rule(
        "FX001",
        "One name has one list of values in all contracts",
        "warning",
        "QUERY",
        "The label, the field and the attribute of one name lead from a figure to its lines and traces. Where two or "
        "more places agree and one differs a little, one of them was forgotten.",
    ),
)

_CODE: Final = (
    Rule(
        "V006",
        "Every promise has a producer, and every producer a promise",
        "error",
        "QUERY",
        "A family, event, span, setting or endpoint that the code has and no contract names is nobody's to rely on; "
        "one that a contract names and nothing produces is waited for in vain.",
    ),
    Rule("CD001", "A family has the type that is promised", "error", "QUERY STORE", "rate() and quantiles need it."),
    Rule("CD002", "A family has the help that is promised", "warning", help="Write one of the two anew."),
    Rule(
        "CD003",
        "A family is used with the labels that are promised",
        "error",
        "QUERY",
        "Labels are the identity of a series. A wrong set of them raises, or is dropped and counted.",
    ),
    Rule("CD004", "A histogram has the buckets that are promised", "error", "QUERY STORE", "Quantiles jump otherwise."),
    Rule(
        "CD005",
        "No metric is made past the contract",
        "error",
        "COST",
        "Where families are made from metrics.txt, one that is made by hand has no bound, no overflow and no promise. "
        "Declare it there, and take it by its name.",
    ),
    Rule(
        "CD006",
        "No raw path, address, id or count is the value of a label",
        "error",
        "COST",
        "Each visitor makes a series of his own. Use the template of the route, or a word of a closed list.",
    ),
    Rule(
        "CD007",
        "The name of an event is written out",
        "error",
        "QUERY",
        "An f-string, '%' or '+' makes a new event of every value, and none can be searched for. Write a static name "
        "and give the values as fields.",
    ),
    Rule(
        "CD008",
        "An event is written as it is promised",
        "error",
        "QUERY",
        "By its logger, at one of its levels, with all of its required fields and no others.",
    ),
    Rule(
        "CD009",
        "A label has a value that is promised",
        "error",
        "QUERY",
        "A value outside of the list is exported as the overflow value, or not at all.",
    ),
    Rule(
        "CD010",
        "No secret is in a field of a line or an attribute of a span",
        "error",
        help="NEVER-KEY names the key. What redacts it is the last line of defence, not the first: leave it out.",
    ),
    Rule(
        "CD011",
        "A span's name holds no path, id, count or status",
        "error",
        "COST",
        "Names are grouped by. Use the template of the route, and give the values as attributes.",
    ),
    Rule(
        "CD012",
        "Every promised field and attribute is set somewhere",
        "error",
        "QUERY",
        "Its name stands nowhere in the source, so that nothing can set it.",
    ),
    Rule(
        "CD013",
        "A setting is read as it is promised",
        "error",
        "WIRE",
        "Type, default, secret, group and where it is required are what whoever deploys relies on.",
    ),
    Rule(
        "CD014",
        "The environment is read through the settings",
        "warning",
        help="What is read past them is in no contract, is not checked at the start and not shown by 'config'.",
    ),
    Rule(
        "CD015",
        "A promised endpoint answers GET",
        "error",
        "WIRE",
        "A probe and a scraper send GET; another method alone is 405 to them.",
    ),
    Rule(
        "CD016",
        "A series that is promised from the start is there at the start",
        "error",
        "QUERY",
        "presence=always and init= say so; until the first event a ratio has no value and absent() fires. Call "
        "labels(...) for each set where the family is made.",
    ),
    Rule(
        "CD017",
        "An enumeration in the code has the words that are promised",
        "error",
        "QUERY",
        "Most of its words are those of a closed list in a contract, so that it is meant to be that one; consumers "
        "switch on the words. It may have more, for itself.",
    ),
)

RULES: Final[tuple[Rule, ...]] = (*_METRICS, *_LOGS, *_SPANS, *_SETTINGS, *_HEALTH, *_OVERHEAD, *_ACROSS, *_CODE)
