"""The rules over a running process (the stages of verify)."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

_REACH: Final = (
    Rule(
        "LV010",
        "The certificate is good for some time",
        "warning",
        "WIRE",
        "A certificate that runs out takes every probe and every scrape with it. Renew it.",
    ),
    Rule(
        "LV011",
        "The address answers itself",
        "error",
        "WIRE",
        "Probes and scrapers do not follow redirects everywhere, and none is followed here. Give the final address.",
    ),
)

_IDENTITY: Final = (
    Rule(
        "LV020",
        "The process says which contract it has",
        "warning",
        None,
        "Without contract_info nobody can tell contracts in a fleet apart. Export it: version and sha256 as labels.",
    ),
    Rule(
        "LV021",
        "The contract version of the process is the one it is held against",
        "error",
        "QUERY",
        "The process was built from another contract. Deploy it again, or name its contract with --contracts.",
    ),
    Rule(
        "LV022",
        "The contract of the process is the same text",
        "error",
        "QUERY",
        "One version stands for one text. A contract was edited without a new version: raise it and deploy again.",
    ),
)

_LIVENESS: Final = (
    Rule(
        "LV030",
        "Liveness answers 200 while the process can answer",
        "error",
        "WIRE",
        "Anything else restarts the container. Liveness looks at nothing but itself.",
    ),
    Rule(
        "LV031",
        "Liveness does not follow the dependencies",
        "error",
        "WIRE",
        "A restart does not bring a database back; it only adds an outage. Take the checks out of liveness.",
    ),
    Rule(
        "LV032",
        "A health answer comes in time",
        "error",
        "WIRE",
        "A probe gives up after a second as a rule. Answer from what is known, and refresh it beside.",
    ),
    Rule("LV033", "A health answer is small", "warning", "COST", "It is asked for every few seconds. Leave out bulk."),
    Rule(
        "LV034",
        "A health answer is not cached",
        "error",
        "WIRE",
        "A cache would tell of a health that is over. Send Cache-Control: no-store.",
    ),
    Rule(
        "LV035",
        "HEAD is GET without its body",
        "error",
        "WIRE",
        "Some balancers probe with HEAD. Answer it with the status of GET and with no body.",
    ),
    Rule(
        "LV036",
        "A health endpoint refuses other methods",
        "error",
        "WIRE",
        "A probe that sends the wrong method has to be told so. Answer 405 with Allow.",
    ),
)

_HEALTH: Final = (
    Rule(
        "LV040",
        "The status code and the body agree",
        "error",
        "WIRE",
        "Balancers read the code, people and scripts the body. Answer 503 for unhealthy, 200 for everything else.",
    ),
    Rule(
        "LV041",
        "A 503 says when to ask again",
        "warning",
        "WIRE",
        "Clients without Retry-After come back all at once. Send it.",
    ),
    Rule(
        "LV042",
        "Asking often does not check often",
        "warning",
        "COST",
        "Each probe would be work for the dependencies, and a crowd of probes an attack. Keep results for a moment.",
    ),
    Rule(
        "LV050",
        "A health body is as its JSON Schema says",
        "error",
        "QUERY",
        "Scripts read these fields. Mend the body, or change the schema with a new version.",
    ),
    Rule(
        "LV051",
        "The checks are those of the contract, each once",
        "error",
        "QUERY",
        "Alerts name checks. Rename the check, or add it to the values of the label.",
    ),
    Rule(
        "LV052",
        "A health body is of now",
        "error",
        "QUERY",
        "An old or a future time is a cached answer or a wrong clock. Find out which.",
    ),
    Rule(
        "LV053",
        "A health body holds no secret",
        "error",
        None,
        "The endpoint is read by many. Take the value out, and change the secret: it has been shown.",
    ),
    Rule(
        "LV054",
        "A health body holds no stack trace",
        "error",
        None,
        "It tells strangers of the code and helps nobody who probes. Log it, and answer with a sentence.",
    ),
    Rule(
        "LV055",
        "Details are hidden from whoever sends no token",
        "error",
        None,
        "A token was given, so details are promised to its owner alone. Set HEALTH_DETAILS=authorized.",
    ),
    Rule(
        "LV056",
        "The service says that it is well",
        "info",
        None,
        "Not a breach of the contract: the service keeps it by saying so. Look at the checks.",
    ),
    Rule(
        "LV057",
        "The whole follows from its checks",
        "error",
        "WIRE",
        "A service that says healthy with an unhealthy critical check hides an outage. Let critical checks decide.",
    ),
    Rule(
        "LV058",
        "A health body is JSON",
        "error",
        "WIRE",
        "Everything that reads health reads JSON. Send application/json with a JSON object.",
    ),
    Rule(
        "LV059",
        "Health and its metrics agree",
        "error",
        "QUERY",
        "Alerts read the metrics, balancers the endpoint. Feed both from one result.",
    ),
)

_SCRAPE: Final = (
    Rule("LV060", "The scrape answers 200", "error", "WIRE", "Prometheus takes nothing else. Mend the endpoint."),
    Rule(
        "LV061",
        "The content type is the one of the format",
        "error",
        "WIRE",
        "Prometheus 3 refuses a scrape without a content type that it knows. Send "
        "text/plain; version=0.0.4; charset=utf-8 or application/openmetrics-text; version=1.0.0; charset=utf-8.",
    ),
    Rule("LV062", "The charset is UTF-8 and said so", "error", "WIRE", "Add charset=utf-8, and write the body so."),
    Rule(
        "LV063",
        "OpenMetrics is served to those who ask for it",
        "warning",
        "WIRE",
        "Exemplars exist in that format alone. Look at the Accept header.",
    ),
    Rule(
        "LV064",
        "OpenMetrics ends with # EOF, the text format does without",
        "error",
        "WIRE",
        "It tells a whole scrape from one that was cut off. End OpenMetrics with it, and nothing else.",
    ),
    Rule("LV065", "A compressed scrape can be read", "error", "WIRE", "Prometheus asks for gzip. Mend or drop it."),
    Rule("LV066", "The text format can be read", "error", "WIRE", "One bad line loses the whole scrape. Mend it."),
    Rule("LV067", "OpenMetrics can be read", "error", "WIRE", "One bad line loses the whole scrape. Mend it."),
    Rule("LV068", "A series stands once", "error", "WIRE", "Prometheus drops the second, or all. Register it once."),
    Rule("LV069", "HELP and TYPE stand once a family", "error", "WIRE", "A scraper may refuse it. Write them once."),
    Rule("LV070", "Buckets rise", "error", "WIRE", "le and the counts rise together. Write all buckets in order."),
    Rule(
        "LV071",
        "The +Inf bucket equals the count",
        "error",
        "QUERY",
        "histogram_quantile reads +Inf, averages read _count. Write both from one number.",
    ),
    Rule("LV072", "A histogram has its sum and its count", "error", "QUERY", "Averages need both. Write them."),
    Rule("LV073", "No value is NaN", "error", "QUERY", "One NaN makes every sum NaN. Leave the series out instead."),
    Rule("LV074", "No counter is negative or infinite", "error", "QUERY", "rate() cannot use it. Count up from 0."),
    Rule(
        "LV075",
        "Both formats have the same families",
        "error",
        "QUERY",
        "What a query finds must not depend on what the scraper asked for. Write both from one registry.",
    ),
)

_FAMILIES: Final = (
    Rule(
        "LV080",
        "A family is in the contract",
        "error",
        "COST",
        "What is not promised is not reviewed, and a status or an id in a name makes a family each. Declare it, or use "
        "a label.",
    ),
    Rule(
        "LV081",
        "A family that is always there is there",
        "error",
        "QUERY",
        "Queries find nothing. Export it from the start.",
    ),
    Rule(
        "LV082",
        "The families of a feature come together",
        "warning",
        "QUERY",
        "Others of the feature are there. Export this one as well, or correct its presence.",
    ),
    Rule(
        "LV083",
        "A series that begins at 0 is there",
        "error",
        "QUERY",
        "increase() loses the first event of a series that is not there before. Create it at the start.",
    ),
    Rule("LV084", "TYPE is as the contract says", "error", "QUERY STORE", "Queries depend on it. Mend the family."),
    Rule("LV085", "HELP is as the contract says", "warning", None, "It is what people read in a query. Mend the text."),
    Rule(
        "LV086",
        "The labels are those of the contract",
        "error",
        "QUERY",
        "Labels make the series: one more or one less breaks sums and joins. Mend the family.",
    ),
    Rule("LV087", "A label value is allowed", "error", "QUERY COST", "Map it to a listed value, or list it."),
    Rule(
        "LV088",
        "A path is a template",
        "error",
        "COST",
        "A raw path makes a series for every id. Use the route template, such as /api/items/{id}.",
    ),
    Rule("LV089", "The buckets are those of the contract", "error", "QUERY", "Quantiles depend on them. Mend them."),
    Rule("LV090", "A label value is known", "warning", "QUERY", "The list is open; add the value to it."),
    Rule(
        "LV091",
        "A family that will go says so in its HELP",
        "warning",
        None,
        "Who still queries it has to learn of it. Begin the HELP with [DEPRECATED].",
    ),
    Rule("LV092", "A label has no more values than promised", "error", "COST", "Bound it with an overflow value."),
)

_COST: Final = (
    Rule("LV100", "The scrape has no more series than its budget", "error", "COST", "Find the family that grew."),
    Rule("LV101", "The scrape is no longer than its budget", "error", "COST", "Drop labels, or raise the budget."),
    Rule("LV102", "The scrape takes no longer than its budget", "error", "COST", "Find the reader that is slow."),
    Rule("LV103", "A family has no more series than promised", "error", "COST", "Bound the values of its labels."),
    Rule("LV104", "The scrape leaves a fifth of its budget", "warning", "COST", "Look at what grew before it is full."),
)

_CONSISTENCY: Final = (
    Rule(
        "LV110",
        "A counter does not fall",
        "error",
        "QUERY STORE",
        "Several workers answer in turn, each with its own count. Share the registry between them.",
    ),
    Rule(
        "LV111",
        "A series does not vanish",
        "error",
        "QUERY STORE",
        "Several workers answer in turn, each with its own series. Share the registry between them.",
    ),
    Rule(
        "LV112",
        "One process answers",
        "error",
        "QUERY STORE",
        "process_start_time_seconds changed: several workers without a shared registry, or a restart meanwhile. Share "
        "the registry, or find out what has restarted the process.",
    ),
    Rule(
        "LV113",
        "A gauge of yes and no is 0 or 1",
        "error",
        "QUERY",
        "Names in _up and _info promise it. Set nothing else.",
    ),
    Rule("LV114", "All answers have one contract", "error", "QUERY", "A roll-out is under way, or hangs: wait, look."),
    Rule(
        "LV115",
        "The process has not broken its own contract",
        "warning",
        "QUERY",
        "contract_violations_total counts values that were mapped or dropped, so that some series say less than they "
        "should. Its labels name the family and the label: mend the code that sets it, or add the value to the "
        "contract; the count begins anew with the process.",
    ),
)

_PROBE: Final = (
    Rule("LV120", "Each request is counted once", "error", "QUERY", "Count a request where its answer has ended."),
    Rule("LV121", "Each request is timed once", "error", "QUERY", "Observe the duration of every request."),
    Rule(
        "LV122",
        "An unknown path makes no series",
        "error",
        "COST",
        "Anybody could fill the memory. Count all paths without a route under one value.",
    ),
    Rule("LV123", "An odd method makes no series of its own", "error", "COST", "Map it to the overflow value."),
    Rule("LV124", "Requests in progress go back", "error", "QUERY", "Lower the gauge on every way out, errors too."),
    Rule(
        "LV125", "A bad traceparent is ignored", "error", "WIRE", "A stranger's header must fail no request. Drop it."
    ),
)

READING_RULES: Final[tuple[Rule, ...]] = (
    *_REACH,
    *_IDENTITY,
    *_LIVENESS,
    *_HEALTH,
    *_SCRAPE,
    *_FAMILIES,
    *_COST,
    *_CONSISTENCY,
)
"""Those that a run judges which sends nothing that leaves a trace."""

RULES: Final[tuple[Rule, ...]] = (*READING_RULES, *_PROBE)
