"""The programs that read what is deployed, kustomize and docker compose, and the decision whether their tests run.

`scripts/ci-tools` puts both under build/; those of the PATH do as well. The rules are those of Prometheus: in CI a
missing one fails the tests, on a user's machine they are not collected, and the run says so at its end.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = {
    "kustomize": ROOT / "build/deploy/usr/bin/kustomize",
    "docker-compose": ROOT / "build/deploy/usr/libexec/docker/cli-plugins/docker-compose",
}
_SECONDS = 60


@dataclass(frozen=True)
class DeployDecision:
    """Whether the tests are collected; `note` for the end of the run, `failure` for the tests to fail with."""

    is_collected: bool
    note: str | None = None
    failure: str | None = None


def find_program(name: str) -> str | None:
    """Return where a program is: that of `scripts/ci-tools` before that of the PATH."""
    own = PROGRAMS[name]
    return str(own) if own.is_file() else shutil.which(name)


def decide_deploy_tools(*, required: bool, find: Callable[[str], str | None] = find_program) -> DeployDecision:
    """Choose from what the machine has and whether the tests are required."""
    missing = [name for name in PROGRAMS if find(name) is None]
    if not missing:
        return DeployDecision(is_collected=True)
    what = f"there is no {' and no '.join(missing)} under build/ or in the PATH"
    if required:
        failure = f"{what}, and CI allows no run without it: run `scripts/ci-tools`"
        return DeployDecision(is_collected=True, failure=failure)
    note = f"the tests of ops/kubernetes and ops/compose.yaml were left out: {what} (`scripts/ci-tools` brings them)"
    return DeployDecision(is_collected=False, note=note)


def run_program(name: str, arguments: Sequence[str]) -> str:
    """Run one of the programs and return what it prints; what it complains of fails the test."""
    program = find_program(name)
    assert program is not None, f"{name} is neither under build/ nor in the PATH: run `scripts/ci-tools`"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr.strip(), done.stderr
    return done.stdout
