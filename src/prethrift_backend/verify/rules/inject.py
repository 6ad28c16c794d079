"""The rules over a service that is treated badly (stage 15 of verify, ``--inject``)."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

TRAFFIC_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "LV140",
        "Probes answer a burst",
        "error",
        "WIRE",
        "Many balancers ask at once after a restart. Answer probes from what is kept, without a queue.",
    ),
    Rule(
        "LV141",
        "A burst of probes runs each check once",
        "error",
        "COST",
        "Probes would take the dependency down that they look at. Keep the result for a moment.",
    ),
    Rule(
        "LV142",
        "Slow clients hold nobody up",
        "error",
        "WIRE",
        "A handful of clients that send byte by byte takes the service away. Read requests on the event loop.",
    ),
    Rule(
        "LV143",
        "What is too long is refused",
        "error",
        "WIRE",
        "Bound the request line and the headers, and answer 414 or 431: an error of the server's own wakes people.",
    ),
    Rule(
        "LV144",
        "Identifiers of strangers are not taken over as they are",
        "error",
        "WIRE",
        "They end in logs, traces and answers. Take what has the form of an identifier, else make a new one.",
    ),
    Rule(
        "LV145",
        "Many unknown paths make no series",
        "error",
        "COST",
        "Anybody could fill the memory. Count all paths without a route under one value.",
    ),
    Rule(
        "LV146",
        "Odd methods are refused and make no series",
        "error",
        "COST",
        "Answer 405 or 501, and map the label to its overflow value.",
    ),
    Rule(
        "LV147",
        "Scrapes at the same time are all whole",
        "error",
        "WIRE",
        "Two servers of Prometheus scrape at once. Render each answer from its own reading.",
    ),
    Rule(
        "LV148",
        "Requests under pressure are counted once each",
        "error",
        "QUERY",
        "Count where an answer ends, whichever way it ends: also where the client has gone.",
    ),
    Rule(
        "LV149",
        "What went up comes down again",
        "error",
        "COST",
        "Connections or requests that clients have left stay behind. Close them where the client goes.",
    ),
    Rule(
        "LV150",
        "The service is alive after everything",
        "error",
        "WIRE",
        "One client has taken it away from all. Look at the last thing that was sent.",
    ),
)
"""Those over what clients do."""

OUTAGE_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "LV151",
        "Readiness falls when a dependency goes",
        "error",
        "WIRE",
        "Traffic keeps coming that can only fail. Register a critical check for the dependency.",
    ),
    Rule(
        "LV152",
        "Liveness stays while a dependency is away",
        "error",
        "WIRE",
        "All instances would be restarted at once, and the outage made longer. Liveness looks at nothing else.",
    ),
    Rule(
        "LV153",
        "The metrics of health follow",
        "error",
        "QUERY",
        "Alerts look at metrics, not at probes. Export the state of every check.",
    ),
    Rule(
        "LV154",
        "All is well again when the dependency is back",
        "error",
        "WIRE",
        "Somebody would have to restart it by hand. Make connections anew after an error.",
    ),
)
"""Those over an outage that a command brings about."""

RULES: Final[tuple[Rule, ...]] = (*TRAFFIC_RULES, *OUTAGE_RULES)
