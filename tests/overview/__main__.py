"""Draw docs/images/overview.svg: the overview's panels, from a real Prometheus' answers: ``nox -s overview``.

A backend with its database, S3, collector and Prometheus is started on loopback. Traffic comes for a little more than a
minute, the same from the same seed, in waves; twice the database is away for a moment. The figures are those of the
machine that draws; what the picture shows is the dashboard.
"""

from __future__ import annotations

import json
import math
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
from tests.overview.drawing import Series, Span, draw_dashboard
from tests.support.dashboards import FOLDER, Looking, ask, queries_of
from tests.support.waiting import wait_for
from tests.support.watched_backend import Watched, watched_backend

PICTURE: Final = Path(__file__).parents[2] / "docs" / "images" / "overview.svg"
SECONDS: Final = 80.0
# Twice: the first failures make the series of their status, and only from then on it rises.
_OUTAGES_AT: Final = (10.0, 55.0)
_WAVE_SECONDS: Final = 40.0
_LONGEST_PAUSE_SECONDS: Final = 0.12
_DASHBOARD: Final = FOLDER / "overview.json"


def main() -> int:
    """Draw the picture and say where it is."""
    model = json.loads(_DASHBOARD.read_text())
    with tempfile.TemporaryDirectory(prefix="prethrift-overview-") as folder, watched_backend(Path(folder)) as watched:
        print(f"traffic on {watched.address} for {SECONDS:g} s")
        began = _send_traffic(watched)
        looking = Looking(scrape_seconds=1.0, seconds=SECONDS, end=began + SECONDS)
        answers = ask_all(watched.prometheus_url, model, looking)
        print(f"answers: {dict(sorted(watched.traffic.statuses.items()))}")
    span = Span(began, began + SECONDS, looking.step_seconds)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw_dashboard(model, answers, span))
    print(f"{PICTURE.relative_to(PICTURE.parents[2])}: {PICTURE.stat().st_size} bytes")
    return 0


def _send_traffic(watched: Watched) -> float:
    """Send requests in waves for the time that is drawn, and return when it began."""
    wait_for(lambda: _is_scraped(watched), 30)
    began = time.time()
    outages = list(_OUTAGES_AT)
    while (elapsed := time.time() - began) < SECONDS:
        if outages and elapsed > outages[0]:
            watched.fail_for_a_moment()
            outages.pop(0)
        watched.traffic.send_round()
        time.sleep(_LONGEST_PAUSE_SECONDS * (1 + math.cos(2 * math.pi * elapsed / _WAVE_SECONDS)))
    return began


def _is_scraped(watched: Watched) -> bool:
    answer = httpx.get(f"{watched.prometheus_url}/api/v1/query", params={"query": "health_up"}, trust_env=False)
    return bool(answer.json()["data"]["result"])


def ask_all(prometheus_url: str, model: Mapping[str, Any], looking: Looking) -> dict[int, list[Series]]:
    """Return what Prometheus answers to each panel, by the panel's id."""
    answers: dict[int, list[Series]] = {}
    with httpx.Client(base_url=prometheus_url, trust_env=False, timeout=30) as client:
        for panel in model["panels"]:
            single = {**model, "panels": [panel]}
            answers[panel["id"]] = [
                Series(name_of(query.legend, found["metric"]), _points(found["values"]))
                for query in queries_of(single)
                for found in ask(client, query, looking)
            ]
    return answers


def name_of(legend: str, labels: Mapping[str, str]) -> str:
    """Return what a legend says of one series."""
    return "" if legend == "__auto" else re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def _points(values: list[list[Any]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(at), float(value)) for at, value in values)


if __name__ == "__main__":
    sys.exit(main())
