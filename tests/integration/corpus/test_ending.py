"""The corpus as a process that somebody ends."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.support.processes import ServerProcess

ROOT = Path(__file__).parents[3]


def test_a_run_that_is_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    """SIGTERM, which the time limit of a CI sends, ends it before it is through, and takes the copies away."""
    command = [sys.executable, "-m", "tests.corpus", "--by", "lint (code)"]
    with ServerProcess(command, environ={**os.environ, "TMPDIR": str(tmp_path)}, directory=ROOT) as run:
        run.wait_for(lambda: any(tmp_path.glob("*/worker-*/pristine/ops")), 60, what="a copy to make changes in")

        run.send(signal.SIGTERM)

        assert run.wait_for_exit(60) == 128 + signal.SIGTERM
        assert list(tmp_path.iterdir()) == []
