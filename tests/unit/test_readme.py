"""What the README says, held against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prethrift_backend.cli import _make_parser
from prethrift_backend.config import Settings
from prethrift_backend.config.report import render_settings_table
from prethrift_backend.observability import EXPOSED_HEADERS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_settings_table_is_that_of_the_settings() -> None:
    """The table between the markers is what `make docs` writes."""
    assert render_settings_table() in README


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z]+)", README))))
def test_every_make_target_exists(target: str) -> None:
    """A target that the README names is in the Makefile."""
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("session", sorted(set(re.findall(r"nox -s ([a-z0-9]+)", README))))
def test_every_session_exists(session: str) -> None:
    """A nox session that the README names is in the noxfile."""
    assert re.search(rf"^def {session}\(", (ROOT / "noxfile.py").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"prethrift-backend ([a-z]+)`", README))))
def test_every_command_exists(command: str) -> None:
    """A command that the README names is one that the command line takes."""
    assert _make_parser().parse_args([command]).command


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_link_leads_somewhere(path: str) -> None:
    """A file that the README links to is there."""
    assert (ROOT / path).exists()


def test_every_folder_of_the_map_exists() -> None:
    """Each folder in the map of folders is there."""
    rows = re.findall(r"^\| (`[^|]+/[^|]*`) \|", README, re.MULTILINE)
    folders = [name.strip("`") for row in rows for name in row.split(", ")]

    assert folders
    assert [
        folder
        for folder in folders
        if folder.startswith(("src", "tests", "docs", "contracts", "scripts", ".ci")) and not (ROOT / folder).is_dir()
    ] == []


def test_every_answer_carries_what_is_said() -> None:
    """The headers that the README names are those that the layer sets."""
    (sentence,) = re.findall(r"Every answer carries ([^;]+);", README)

    assert re.findall(r"`([^`]+)`", sentence) == list(EXPOSED_HEADERS)


def test_every_setting_in_the_text_exists() -> None:
    """A setting that the text names is one; the table is held above."""
    text = README.partition("<!-- settings")[0] + README.partition("<!-- /settings -->")[2]
    others = {"AWS_ACCESS_KEY_ID", "PIP_EXTRA_INDEX_URL"}
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", text)) - others

    assert {name for name in named if name.lower() not in Settings.model_fields} == set()
    assert {"OTLP_ENDPOINT", "JAEGER_ENDPOINT", "SENTRY_DSN", "TRACE_CONSOLE"} <= named
