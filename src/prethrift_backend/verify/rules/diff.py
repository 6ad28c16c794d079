"""The rules over breaking changes (M, H, L, S, C, O, V001-V003)."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

_METRICS: Final = (
    Rule(
        "M001",
        "A family stays",
        "error",
        "QUERY",
        "Queries of a family that is gone go empty in silence. Announce "
        "it with DEPRECATED and go on exporting it until the version that the line names.",
    ),
    Rule(
        "M002",
        "A family keeps its name",
        "error",
        "QUERY",
        "A rename is a removal to every query. Export both names "
        "for a minor version at least, the old one DEPRECATED with replaced-by=.",
    ),
    Rule(
        "M003",
        "A family keeps its type",
        "error",
        "QUERY STORE",
        "rate(), histogram_quantile() and stored history depend on the type. Add a family under another name.",
    ),
    Rule(
        "M004",
        "A family keeps its unit",
        "error",
        "STORE",
        "Thresholds and history mean another number. Add a family with the new unit in its name.",
    ),
    Rule("M005", "A family is new, or its end is announced", "info", None, "Nothing breaks; it needs a minor version."),
    Rule(
        "M006",
        "The workers' values become one as they did",
        "error",
        "QUERY STORE",
        "A sum and a maximum of the same gauge are different numbers. Add a family for the other one.",
    ),
    Rule(
        "M010",
        "A label stays",
        "error",
        "QUERY",
        "Matchers and groupings by the label find nothing. Keep it, or add a family without it.",
    ),
    Rule(
        "M011",
        "A family gains no label",
        "error",
        "QUERY STORE COST",
        "Labels are the identity of a series: a new "
        "one splits all of them and breaks one-to-one matching. Add a family, or a label with one constant value.",
    ),
    Rule(
        "M012",
        "A value of a closed list stays",
        "warning",
        "QUERY",
        "A matcher that names the value goes silent. Keep it, or change the matchers first.",
    ),
    Rule(
        "M013",
        "A closed list of values gains none",
        "warning",
        "QUERY",
        "A consumer may list the values and leave the new one out. Look at the consumers.",
    ),
    Rule(
        "M014",
        "What a label may say gets no wider",
        "warning",
        "COST",
        "More values are more series. Bound them with max=.",
    ),
    Rule("M015", "The overflow value keeps its name", "warning", "QUERY", "Queries that leave it out count it in."),
    Rule(
        "M020",
        "A bucket stays",
        "warning",
        "QUERY STORE",
        "Quantiles jump where a bound moves, and a rule that names the bound as le goes empty. Keep it and add others.",
    ),
    Rule("M021", "A bucket is new", "info", "COST", "Every label set has one more series."),
    Rule(
        "M030",
        "Bounds on series are not raised",
        "warning",
        "COST",
        "More series may be stored. Keep the sum of all max= below BUDGET series.",
    ),
    Rule(
        "M031",
        "A series is there as soon as it was",
        "warning",
        "QUERY",
        "A ratio has no value and absent() fires while a series is missing. Keep presence= and init=.",
    ),
    Rule(
        "M040",
        "Prometheus finds the metrics where they were",
        "error",
        "WIRE QUERY",
        "The scrape fails, and queries that name the job go empty. Serve both for a while.",
    ),
    Rule(
        "M041",
        "The scrape interval is not raised",
        "warning",
        "QUERY",
        "A range shorter than four intervals loses its rate when one scrape fails. Lengthen the ranges first.",
    ),
    Rule("M050", "Words and lower bounds", "info", None, "Nothing breaks."),
    Rule(
        "M060",
        "A promise holds as long as was said",
        "error",
        None,
        "Stability is not lowered, and no version is moved to an earlier one, under those who rely on it.",
    ),
)

_HEALTH: Final = (
    Rule("H001", "A health endpoint stays", "error", "WIRE", "A probe of it gets 404 and restarts what is well."),
    Rule(
        "H002",
        "A status comes with the status code that it had",
        "error",
        "WIRE",
        "A load balancer reads the code alone.",
    ),
    Rule(
        "H003",
        "A field of the body stays, required and of its type",
        "error",
        "QUERY",
        "Scripts read it without looking twice.",
    ),
    Rule(
        "H004",
        "A closed list of values gains none",
        "error",
        "QUERY",
        "Consumers switch on it and have no branch for the new value.",
    ),
    Rule(
        "H005",
        "A closed object gains no field",
        "error",
        "WIRE",
        "A validator with additionalProperties false refuses the body.",
    ),
    Rule(
        "H009", "Bounds and patterns of a value get no wider", "warning", "QUERY", "A reader may have relied on them."
    ),
    Rule("H010", "Words", "info", None, "Nothing breaks."),
    Rule("H011", "A rule between fields holds on", "error", "QUERY", "A reader may conclude one field from another."),
    Rule("H012", "A value has narrower bounds", "info", None, "Every new body is one that the old schema allows."),
    Rule("H013", "An optional field stays", "warning", "QUERY", "Whoever shows it shows nothing."),
    Rule("H014", "An open object gains a field", "info", None, "Readers of an open object pass over it."),
)

_LOGS: Final = (
    Rule(
        "L001",
        "An event stays and keeps its name",
        "error",
        "QUERY",
        "Searches and alerts for it find nothing. Write both for a minor version.",
    ),
    Rule(
        "L002",
        "A field stays, required and of its type",
        "error",
        "QUERY",
        "Searches by it find nothing, and an index refuses a line whose field has another type.",
    ),
    Rule("L003", "A field is new", "info", None, "Nothing breaks; it needs a minor version."),
    Rule(
        "L004",
        "An event keeps its level",
        "warning",
        "QUERY",
        "Alerts by level change, and a line that goes below info is not there in production.",
    ),
    Rule(
        "L005",
        "What never occurs goes on never occurring",
        "error",
        None,
        "It guards secrets. An exception with a reason is the only way.",
    ),
    Rule("L006", "The volume is not raised", "warning", "COST", "Every line is paid for."),
    Rule(
        "L007",
        "Lines can be put together",
        "error",
        "QUERY",
        "Without the field nothing leads from a line to its request or trace.",
    ),
    Rule("L008", "An event is new", "info", None, "Nothing breaks; it needs a minor version."),
    Rule("L009", "Words and lower bounds", "info", None, "Nothing breaks."),
    Rule(
        "L010",
        "A field has the values that it had",
        "warning",
        "QUERY",
        "A search that lists the values misses the new one, or waits for one that does not come.",
    ),
    Rule("L011", "An event comes from the logger that it had", "warning", "QUERY", "Filters by logger lose it."),
    Rule("L012", "A line keeps its form", "error", "WIRE", "Collectors parse lines by it."),
)

_SPANS: Final = (
    Rule("S001", "A span stays and keeps its names", "error", "QUERY", "Searches and panels by name find nothing."),
    Rule(
        "S002",
        "A span keeps kind, scope, parent and status",
        "error",
        "QUERY",
        "Service maps, error rates and filters are made of them.",
    ),
    Rule("S003", "An attribute stays, required and of its type", "error", "QUERY", "Searches by it find nothing."),
    Rule("S004", "An attribute is new", "info", None, "Nothing breaks; it needs a minor version."),
    Rule("S005", "A span gets no more names than it had", "warning", "COST", "Receivers keep a series for each name."),
    Rule(
        "S006",
        "What never occurs goes on never occurring",
        "error",
        None,
        "It guards secrets and people. An exception with a reason is the only way.",
    ),
    Rule(
        "S007", "A span, or an event or link in it, is new", "info", None, "Nothing breaks; it needs a minor version."
    ),
    Rule("S008", "Words and lower bounds", "info", None, "Nothing breaks."),
    Rule("S009", "The volume is not raised", "warning", "COST", "Every span is paid for."),
    Rule(
        "S010",
        "An attribute has the values that it had",
        "warning",
        "QUERY",
        "A search that lists the values misses the new one, or waits for one that does not come.",
    ),
    Rule("S011", "An event or a link of a span stays", "error", "QUERY", "Error views read exceptions from events."),
)

_SETTINGS: Final = (
    Rule("C001", "A setting stays", "error", "WIRE", "A deployment that sets it goes on as if it did not."),
    Rule("C002", "A setting keeps its type and values", "error", "WIRE", "A deployment that sets it does not start."),
    Rule("C003", "A default stays", "warning", None, "A deployment that does not set it behaves in another way."),
    Rule("C004", "A secret stays one", "error", None, "Its value may be shown in logs and reports."),
    Rule("C005", "A setting does not become required", "error", "WIRE", "A deployment without it does not start."),
    Rule("C006", "A setting or a value of one is new", "info", None, "Nothing breaks; it needs a minor version."),
    Rule("C007", "Words, and demands that are less", "info", None, "Nothing breaks."),
)

_OVERHEAD: Final = (
    Rule(
        "O001",
        "What work costs goes on having a limit",
        "error",
        "COST",
        "Without a budget nobody notices when a request costs more. Keep the case and its figures.",
    ),
    Rule(
        "O002",
        "A budget is not raised",
        "warning",
        "COST",
        "Whoever serves with it pays for every request. Say in the change what it is for.",
    ),
    Rule("O003", "A budget is lowered, or stated in another way", "info", None, "Nothing breaks."),
    Rule("O004", "A case or figure is limited from now on", "info", None, "Nothing breaks; it needs a minor version."),
)

_VERSIONS: Final = (
    Rule(
        "V001",
        "A change moves the version as far as it must",
        "error",
        None,
        "What breaks a consumer needs a major "
        "version, what is added a minor one. What is beta may break in a minor version, what is in development in "
        "any.",
    ),
    Rule(
        "V002",
        "A version has one text, and goes up",
        "error",
        None,
        "Mixed fleets are told apart by the version. Every change of the file moves it, a comment's too.",
    ),
    Rule(
        "V003",
        "A deprecation names a successor and leaves time",
        "error",
        None,
        "It says replaced-by=, and goes with a later major version than the one it is announced in.",
    ),
)

RULES: Final[tuple[Rule, ...]] = (*_METRICS, *_HEALTH, *_LOGS, *_SPANS, *_SETTINGS, *_OVERHEAD, *_VERSIONS)
