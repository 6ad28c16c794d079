"""A process that forks after `configure`: nothing is lost, nothing is sent twice, no two ids are the same."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.otlp_receiver import FaultyReceiver

ROOT = Path(__file__).parents[3]


def test_a_forked_process_sends_its_own_lines_and_spans(otlp_receiver: FaultyReceiver) -> None:
    """The request before the fork arrives once; those of child and parent after it arrive, each in its own trace."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.forking", otlp_receiver.endpoint],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (ran.returncode, ran.stderr) == (0, "")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert sorted(line["method"] for line in lines if line["event"] == "request_completed") == ["GET", "POST", "PUT"]
    assert len({line["trace_id"] for line in lines}) == 3
    assert sorted(name for request in otlp_receiver.requests for name in request.span_names) == ["GET", "POST", "PUT"]
