"""The checks, one session each: the same commands for people and for CI. `nox -l` lists them.

The sessions run in `.venv`, which `make setup` makes and each session calls first: the models' library alone weighs
gigabytes, so that an environment a session would cost more than all the tests. Only `overhead` has one of its own, with
the packages that it compares and without the models.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
BIN = ROOT / ".venv" / "bin"
# What the session `perf` leaves, and ends with, where the machine was unfit to compare times.
UNFIT, UNFIT_STATUS = ROOT / "build" / "unfit.txt", 3

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "typecheck", "imports", "docs", "unit", "fuzz", "corpus", "integration", "e2e", "perf"]
nox.options.stop_on_first_error = True


def run(session: nox.Session, program: str, *arguments: str, success: tuple[int, ...] = (0,)) -> None:
    """Run a program of `.venv`, made first where it is missing."""
    session.run("make", "--no-print-directory", "-s", "setup", external=True, silent=False)
    session.run(str(BIN / program), *arguments, external=True, success_codes=success)


def run_pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest with what was given behind `--`, or else with the session's own arguments."""
    run(session, "pytest", *arguments, *session.posargs)


def run_gates(session: nox.Session, marked: str, *options: str) -> None:
    """Run the tests of tests/perf that are ``marked`` so; where the machine was unfit, nothing failed or passed.

    nox knows success and failure alone. So the process ends here, with the status of its own; or it goes on to the
    other sessions where PERF_UNFIT is `skip`, and the summary says that this one was skipped.
    """
    run(session, "pytest", "tests/perf", "-m", marked, *options, *session.posargs, success=(0, UNFIT_STATUS))
    if not UNFIT.exists():
        return
    if os.environ.get("PERF_UNFIT") == "skip":
        session.skip(UNFIT.read_text().strip())
    sys.exit(UNFIT_STATUS)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and common mistakes, by ruff: rules and format."""
    run(session, "ruff", "check")
    run(session, "ruff", "format", "--check")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check the types of src and tests, by mypy in strict mode."""
    run(session, "mypy")


@nox.session
def imports(session: nox.Session) -> None:
    """Check the layers of the package, by import-linter."""
    run(session, "lint-imports")


@nox.session
def contracts(session: nox.Session) -> None:
    """Hold the contracts to their form, and against the code, the queries and the docs."""
    run(session, "prethrift-backend", "contracts", "fmt", "--check")
    run(session, "prethrift-backend", "contracts", "lint", "--fail-on", "warning")
    run(session, "python", "scripts/write_dashboards", "--check")


@nox.session
def docs(session: nox.Session) -> None:
    """Make the documentation a site, build/site; a link that leads nowhere is an error."""
    run(session, "sphinx-build", "-q", "-E", "-W", "--keep-going", "docs", "build/site")


@nox.session
def unit(session: nox.Session) -> None:
    """Test single parts: no socket, no model, no database; all of them exercise every stable item of the contracts."""
    if session.posargs:  # some of them exercise some of it
        run_pytest(session, "tests/unit")
        return
    floor = ["--floor", "1", "--stability", "stable", "--record", str(ROOT / "build" / "coverage-unit.json")]
    run(session, "prethrift-backend", "contracts", "coverage", *floor, "--", "tests/unit")


@nox.session
def integration(session: nox.Session) -> None:
    """Test on real parts: PostgreSQL with pgvector (embedded and in a container), S3 over HTTP, the models."""
    run_pytest(session, "tests/integration")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz the running backend with schemathesis: the health endpoints and the API, by their OpenAPI document."""
    run_pytest(session, "tests/fuzz")


@nox.session
def perf(session: nox.Session) -> None:
    """Measure what has a limit; prints one table, keeps it in build/perf.json; status 3 where the machine is unfit."""
    (ROOT / "build").mkdir(exist_ok=True)  # pytest-benchmark opens its file at once
    store = ["--benchmark-enable", "--benchmark-quiet", f"--benchmark-json={ROOT / 'build' / 'benchmark.json'}"]
    # Tests of a minute on two cores: a machine that others want as well must not end them.
    run_gates(session, "not bench and not gates", *store, "--timeout=600")


@nox.session
def corpus(session: nox.Session) -> None:
    """Spoil a copy of the tree in small ways, and see each way reported, and nothing else; keeps build/corpus.json."""
    run(session, "python", "-m", "tests.corpus", *session.posargs)


@nox.session
def e2e(session: nox.Session) -> None:
    """Run all of production on loopback, and let it meet a day of operation; `-- --nightly` soaks for ten minutes."""
    if "--nightly" in session.posargs:
        session.env["PRETHRIFT_E2E"] = "nightly"
    # -s: what each step sees is printed while it goes on.
    run(session, "pytest", "tests/e2e", "-s", *(one for one in session.posargs if one != "--nightly"))


@nox.session
def gates(session: nox.Session) -> None:
    """Try the gate on changes: of 20 runs of unchanged code under load none fails, and 5 % more work never passes."""
    run_gates(session, "gates", "-s")


@nox.session
def scale(session: nox.Session) -> None:
    """Measure how the telemetry's cost grows with routes, series, load and depth; writes docs/performance.md anew."""
    run(session, "python", "-m", "tests.perf.scale", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure over 100,000 items: takes long, and CI does not run it."""
    run_pytest(session, "tests/perf", "-m", "bench", "--benchmark-enable", "--timeout=3600")


@nox.session
def overview(session: nox.Session) -> None:
    """Draw the picture of the overview dashboard, docs/images/overview.svg, from what a real Prometheus answers."""
    run(session, "python", "-m", "tests.overview")


@nox.session(venv_backend="venv", reuse_venv=True)
def overhead(session: nox.Session) -> None:
    """Compare the cost of the telemetry with its peers', all in one run; prints a table, keeps build/overhead.json."""
    session.install("--quiet", "-c", "constraints.txt", "-r", "tests/overhead/requirements.txt", "-e", ".")
    session.run("python", "-m", "tests.overhead", *session.posargs)
