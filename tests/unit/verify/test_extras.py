"""The commands on contracts without what their extra installs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# A module that is None there cannot be imported: ModuleNotFoundError, as if it were not installed.
_SCRIPT = """
import sys
sys.modules |= dict.fromkeys(("httpx", "jsonschema", "promql_parser", "torch", "yaml"))
from prethrift_backend.cli import main
main(sys.argv[1:])
"""
_CONTRACTS = str(Path(__file__).parents[3] / "contracts")
_FREE = [["--help"], ["fmt", "--check"], ["rules"], ["diff", "--contracts", _CONTRACTS, "--against", _CONTRACTS]]


def _run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _SCRIPT, "contracts", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("arguments", _FREE, ids=lambda arguments: arguments[0])
def test_what_needs_no_extra_works_without_it(tmp_path: Path, arguments: list[str]) -> None:
    """The commands start, and what asks no server and reads no query does its work."""
    done = _run(*arguments, folder=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "http://127.0.0.1:1"],
        ["record", "--app", "shop:app", "--out", "drafts"],
        ["lint-queries", "."],
        ["lint", "--no-app"],
    ],
    ids=" ".join,
)
def test_what_needs_the_extra_names_it(tmp_path: Path, arguments: list[str]) -> None:
    """The others end with status 2 and the line that installs it, before anything is written."""
    (tmp_path / "rules.yml").write_text("groups: [{name: a, rules: [{record: a:b, expr: up}]}]\n")
    done = _run(*arguments, folder=tmp_path)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "pip install 'prethrift-backend[contracts]'" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rules.yml"]
