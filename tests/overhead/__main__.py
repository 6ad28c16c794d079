"""Measure this package against its peers, and print one table: ``nox -s overhead``; see docs/overhead.md."""

from __future__ import annotations

import argparse
import time
from importlib.metadata import PackageNotFoundError, version

from tests.overhead import load
from tests.overhead.race import ROOT, Results, ask_each, race, receiver, run_load
from tests.overhead.report import Part, as_text, write, write_profiles
from tests.overhead.rows import BARE, OURS_ALL, OURS_NONE, OURS_TENTH, ROWS

SHOWN_VERSIONS = (
    "fastapi",
    "starlette",
    "uvicorn",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-fastapi",
    "prometheus-fastapi-instrumentator",
    "structlog",
    "sentry-sdk",
    "logfire",
)
REQUESTS = 1000
# At 200 routes everything takes longer, and the differences are larger.
PROCESSES = 2
ROUNDS = {1: 8, 200: 4}
LOAD_ROUNDS = {1: 5, 200: 2}


def main() -> None:
    """Measure everything, print the table, keep it in build/."""
    options = _options()
    print(f"load by {load.name()}; rounds in random order; each variant in a process of its own", flush=True)
    parts, began_at = [], time.monotonic()
    with receiver() as sink:
        for routes in options.routes:
            rows = [row.at(routes) for row in ROWS]
            rounds = _rounds(ROUNDS, routes, options)
            cpu = race(rows, sink=sink, rounds=rounds, requests=REQUESTS, processes=PROCESSES)
            load_rounds = _rounds(LOAD_ROUNDS, routes, options)
            throughput = Results() if options.no_load else run_load(rows, sink=sink, rounds=load_rounds)
            parts.append(Part(routes, cpu, throughput))
            print(f"{routes} routes: measured after {time.monotonic() - began_at:.0f} s", flush=True)
        profiles = ask_each([BARE, OURS_NONE, OURS_TENTH, OURS_ALL], "profile", REQUESTS, sink=sink)
    write_profiles(profiles, folder=ROOT / "build")
    write(parts, folder=ROOT / "build", versions=_versions(), load_by=load.name())
    print(as_text(parts))
    print("every value: build/overhead.json; the table: build/overhead.md; our functions: build/overhead-profile.txt")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--routes", type=int, nargs="+", default=[1, 200], help="how many routes the application has")
    parser.add_argument("--quick", action="store_true", help="a quarter of the rounds, to see that it works")
    parser.add_argument("--no-load", action="store_true", help="the CPU time only, no server")
    return parser.parse_args()


def _rounds(known: dict[int, int], routes: int, options: argparse.Namespace) -> int:
    rounds = known.get(routes, min(known.values()))
    return max(2, rounds // 4) if options.quick else rounds


def _versions() -> dict[str, str]:
    found = {}
    for name in SHOWN_VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


if __name__ == "__main__":
    main()
