"""The look at the machine's Docker engine."""

import gc
from pathlib import Path

import pytest
from tests.support.containers import probe_engine


def test_no_engine_is_a_problem_and_no_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nobody answers the report says so, and no socket is left behind to fail another test."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")

    report = probe_engine("any/image")
    gc.collect()

    assert report.engine_found is False
    assert "no Docker engine answers" in str(report.problem)
