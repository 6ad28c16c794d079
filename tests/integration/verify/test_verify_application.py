"""`contracts verify --app` on the real application, in this process and as a command."""

from __future__ import annotations

import subprocess

from tests.support.verify_targets import COMMAND

from prethrift_backend.verify.live.application import verify_application
from prethrift_backend.verify.live.options import LiveOptions


def test_this_application_is_verified_with_its_lines_and_spans() -> None:
    """Without a database it is up and says that it is not ready; every line and every span is held to its contract."""
    run = verify_application(None, options=LiveOptions(probe=True))

    stages = {stage.name: stage for stage in run.stages}
    assert [finding.rule for finding in run.outcome.findings if finding.level == "error"] == []
    assert run.outcome.inconclusive == ()
    assert stages["logs and spans"].note.startswith(tuple("123456789"))
    assert stages["correlate"].state == "pass"


def test_the_command_runs_this_application_where_no_address_is_given() -> None:
    """Nothing is started beforehand, and nothing but the reports is left behind."""
    done = subprocess.run(
        [str(COMMAND), "contracts", "verify", "--app"], capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "verified: 0 errors" in done.stdout
