"""The commands that have to report changes, run on a changed copy of the tree."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import httpx
from tests.corpus.backend import TOKEN
from tests.corpus.change import Change
from tests.corpus.process_faults import make_service
from tests.corpus.service import OPTIONS, listening
from tests.corpus.tree import ROOT, Tree
from tests.support.alternating import alternating
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess

from prethrift_backend import cli

# Info is what a reader may like to know; it is no report of a fault.
_REPORTED: Final = frozenset({"error", "warning"})
# Well, or violated; the others say that nothing was judged.
_JUDGED: Final = frozenset({0, 1})
_SECONDS_MAX: Final = 60
_SHOP: Final = "tests/support/foreign_shop"
_START_SECONDS: Final = 30.0
# What a caller may send: a secret, and what some readers take for the end of a line.
_TOLD: Final = "Bearer abcdefgh1234567890abcdef\u2028coat"
_COMMON: Final = ("--fail-on", "warning")
_QUERIES: Final = ("ops/prometheus", "ops/grafana")


@dataclass(frozen=True, slots=True)
class Report:
    """What one run of a command said: its exit status, the rules it reported, and its words to people."""

    status: int
    rules: frozenset[str]
    words: str = ""


Runner: TypeAlias = Callable[[Change, Tree], Report]


def run_command(change: Change, tree: Tree) -> Report:
    """Run the command of a change on the tree as it is now."""
    return COMMANDS[change.command](change, tree)


# In this process: the command as it is, without the second that a new interpreter takes to load it.


def _in_process(tree: Tree, *arguments: str) -> Report:
    report = tree.root / "report.json"
    status, words = _run_here(tree, *arguments, "--report", f"json={report}", *_COMMON)
    return _report(status, report, words)


def _run_here(tree: Tree, *arguments: str) -> tuple[int, str]:
    """Run a command line in the folder of the tree, and return its exit status and its words."""
    words = io.StringIO()
    with contextlib.chdir(tree.root), contextlib.redirect_stdout(words), contextlib.redirect_stderr(words):
        try:
            cli.main(["contracts", *arguments])
        except SystemExit as end:
            return (end.code if isinstance(end.code, int) else 1), words.getvalue()
    return 0, words.getvalue()


def _report(status: int, path: Path, words: str) -> Report:
    """Read what a command wrote, and take the file away: the next run may write none.

    Raises RuntimeError where a command that ends as if it had judged has written nothing.
    """
    if not path.is_file():
        if status in _JUDGED:
            raise RuntimeError(f"exit status {status} and no report: the command has judged nothing\n{words}")
        return Report(status, frozenset(), words)
    findings = json.loads(path.read_text(encoding="utf-8"))["findings"]
    path.unlink()
    shown = "\n".join(f"{finding['rule']} {finding['name']}: {finding['message']}" for finding in findings)
    rules = frozenset(finding["rule"] for finding in findings if finding["level"] in _REPORTED)
    return Report(status, rules, f"{words}{shown}")


def _diff(_change: Change, tree: Tree) -> Report:
    against = str(tree.pristine / "contracts")
    return _in_process(tree, "diff", "--against", against, "--contracts", "contracts")


def _lint_queries(_change: Change, tree: Tree) -> Report:
    return _in_process(tree, "lint-queries", *_QUERIES, "--contracts", "contracts")


def _lint(_change: Change, tree: Tree) -> Report:
    return _in_process(tree, "lint", "--no-app", "--contracts", "contracts")


def _docs(_change: Change, tree: Tree) -> Report:
    return _in_process(tree, "docs", "--check", "--contracts", "contracts", "--out", "docs/reference")


def _verify(change: Change, tree: Tree) -> Report:
    with listening(make_service(change.fault)) as service:
        return _in_process(tree, "verify", service.url, "--contracts", str(service.contracts), *service.options)


# The shop of another team, as real processes.


def _verify_shop(change: Change, tree: Tree) -> Report:
    with _shop(tree, change.fault) as port:
        return _in_process(tree, "verify", f"http://{LOOPBACK}:{port}", "--probe", *_of_shop())


def _verify_two_shops(_change: Change, tree: Tree) -> Report:
    """Put two workers behind one address; each has counted what came to it alone."""
    with _shop(tree) as one, _shop(tree) as other, alternating([one, other]) as port:
        for asked in (one, one, other):
            httpx.get(f"http://{LOOPBACK}:{asked}/unknown", trust_env=False)
        return _in_process(tree, "verify", f"http://{LOOPBACK}:{port}", *_of_shop())


def _of_shop() -> tuple[str, ...]:
    paths = ("--live-path", "/livez", "--ready-path", "/readyz", "--health-path", "/healthz")
    return ("--contracts", f"{_SHOP}/contracts", *paths, *OPTIONS)


@contextlib.contextmanager
def _shop(tree: Tree, fault: str = "") -> Iterator[int]:
    """Serve the shop, spoiled in a way that it knows itself, and yield its port."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"{_SHOP.replace('/', '.')}.app:app", "--port", str(port)]
    environ = {**_environment(tree), "SHOP_FAULT": fault}
    with ServerProcess(command, environ=environ, directory=tree.root) as process:
        process.wait_for_http(f"http://{LOOPBACK}:{port}/livez", deadline_seconds=_START_SECONDS)
        yield port


# The backend of the changed copy as a process, asked by the command of the work tree.


def _verify_backend(_change: Change, tree: Tree) -> Report:
    folder, tap = tree.root / "backend", free_port()
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.corpus.backend", str(folder), f"http://{LOOPBACK}:{tap}"]
    try:
        with ServerProcess(command, environ=_environment(tree), directory=tree.root) as process:
            process.wait_for(lambda: _is_settled(folder), _START_SECONDS, what="an answer of /health")
            try:
                return _in_process(tree, "verify", _address(folder), *_options_of_backend(folder, tap))
            finally:
                process.send(signal.SIGKILL)  # its end is not what is asked: it would wait for a collector that is gone
    finally:
        shutil.rmtree(folder)


def _options_of_backend(folder: Path, tap: int) -> tuple[str, ...]:
    records = ("--logs", str(folder / "backend.log"), "--otlp-tap", str(tap), "--trace-trust", "parent")
    return ("--contracts", "contracts", "--probe", "--token", TOKEN, *records, *OPTIONS)


def _address(folder: Path) -> str:
    return f"http://{LOOPBACK}:{(folder / 'port').read_text(encoding='utf-8')}"


def _is_settled(folder: Path) -> bool:
    """Say whether it has answered for its health, however: by then each check has run."""
    if not (folder / "port").is_file():
        return False
    try:
        httpx.get(f"{_address(folder)}/health", params={"q": _TOLD}, timeout=5.0, trust_env=False)
    except httpx.TransportError:
        return False
    return True


# In a process of its own: the command line of the changed copy.


def _in_own_process(tree: Tree, *arguments: str) -> Report:
    report = tree.root / "report.json"
    command = [sys.executable, "-m", "prethrift_backend.cli", "contracts", *arguments]
    done = subprocess.run(
        [*command, "--report", f"json={report}", *_COMMON],
        cwd=tree.root,
        env=_environment(tree),
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS_MAX,
    )
    return _report(done.returncode, report, f"{done.stdout}{done.stderr}")


def _environment(tree: Tree) -> dict[str, str]:
    """Return an environment in which the copy comes before the installed package, and nothing is compiled."""
    return {**os.environ, "PYTHONPATH": f"{tree.root / 'src'}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}


def _diff_line(_change: Change, tree: Tree) -> Report:
    return _in_own_process(tree, "diff", "--against", str(tree.pristine / "contracts"))


def _lint_queries_line(_change: Change, tree: Tree) -> Report:
    return _in_own_process(tree, "lint-queries", *_QUERIES)


def _verify_app(_change: Change, tree: Tree) -> Report:
    return _in_own_process(tree, "verify", "--app", "--probe", *OPTIONS)


def _lint_code(_change: Change, tree: Tree) -> Report:
    return _in_own_process(tree, "lint")


def _lint_with_docs(_change: Change, tree: Tree) -> Report:
    """Write the reference anew, as the author of a contract does, and lint the code."""
    reference = tree.root / "reference"
    try:
        status, words = _run_here(tree, "docs", "--contracts", "contracts", "--out", str(reference))
        if status != 0:
            raise RuntimeError(f"docs ended with {status}: there is nothing to lint against\n{words}")
        return _in_own_process(tree, "lint", "--docs", str(reference))
    finally:
        shutil.rmtree(reference, ignore_errors=True)


def _lint_shop(_change: Change, tree: Tree) -> Report:
    application = f"{_SHOP.replace('/', '.')}.app:app"
    return _in_own_process(tree, "lint", "--contracts", f"{_SHOP}/contracts", "--app", application)


COMMANDS: Final[dict[str, Runner]] = {
    "diff": _diff,
    "diff (command line)": _diff_line,
    "docs": _docs,
    "docs, lint (code)": _lint_with_docs,
    "lint": _lint,
    "lint (code)": _lint_code,
    "lint (shop)": _lint_shop,
    "lint-queries": _lint_queries,
    "lint-queries (command line)": _lint_queries_line,
    "verify": _verify,
    "verify (backend)": _verify_backend,
    "verify (shop)": _verify_shop,
    "verify (two shops)": _verify_two_shops,
    "verify --app": _verify_app,
}
