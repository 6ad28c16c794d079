"""The pages of docs/ as a whole: their links, what they name, and that each example is run or says why not."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest
from markdown_it import MarkdownIt
from pydantic import SecretStr
from starlette.routing import Route
from tests.support.documents import blocks_of
from tests.support.markdown import tables
from tests.support.walks import left_out_of, run_blocks_of

from prethrift_backend.cli import _make_parser
from prethrift_backend.config import Settings
from prethrift_backend.contracts import load_contracts
from prethrift_backend.embeddings import NullEmbeddings
from prethrift_backend.main import Overrides, build
from prethrift_backend.observability.testing import Capture

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WALKED = (
    *("getting-started", "settings", "logging", "tracing", "metrics", "errors"),
    *("security", "deploying", "troubleshooting"),
)
PAGES = sorted(path for path in DOCS.rglob("*.md") if "decisions" not in path.parts)
EXECUTABLE = {"console", "sh", "shell", "bash", "python", "http"}
# Pages whose examples have a test of their own, by its module.
HELD_BY = {
    "README.md": "tests.integration.test_main_job",
    "docs/contracts.md": "tests.integration.test_docs_contracts",
    "docs/health.md": "tests.unit.test_docs_health",
    "docs/observability.md": "tests.unit.test_docs_observability",
    "docs/capacity.md": "tests.integration.ops.test_capacity",
    **{f"docs/{name}.md": "tests.integration.docs.test_prometheus_pages" for name in WALKED},
}
# Each block that is not run, with its reason in the page; a new one is added here, where somebody sees it.
NOT_RUN = {"docs/getting-started.md": ["it changes the machine", "the tests run in what it sets up"]}


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges and the site make them."""
    tokens = MarkdownIt().parse(page.read_text())
    titles = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _links(page: Path) -> list[str]:
    """Return the targets of a page's links, outside of its examples."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", text)


def _broken(page: Path, target: str) -> bool:
    if re.match(r"[a-z]+:", target):  # no test reaches outside: its form is all that can be held
        return re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]+(/\S*)?", target) is None
    path, _, anchor = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    if not found.exists():
        return True
    return bool(anchor) and found.suffix == ".md" and anchor not in _anchors(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """Files, headings of pages, and the form of addresses elsewhere."""
    assert [target for target in _links(page) if _broken(page, target)] == []


@pytest.mark.parametrize("target", ["nowhere.md", "health.md#nowhere", "#nowhere", "http://plain.example"])
def test_a_link_that_leads_nowhere_is_found(target: str) -> None:
    """A file, a heading of another page, one of the same, and an address without encryption."""
    assert _broken(DOCS / "index.md", target)


def _known_names() -> set[str]:
    contracts = load_contracts()
    assert contracts.logs is not None
    assert contracts.settings is not None
    families = contracts.metrics.families
    return {
        *(family.name for family in families),
        *(label.name for family in families for label in family.labels),
        *(value for family in families for label in family.labels for value in label.values),
        *(event.name for event in contracts.logs.events),
        *(field.name for field in contracts.logs.fields),
        *(field.name for event in contracts.logs.events for field in event.fields),
        *(setting.name for setting in contracts.settings.settings),
        *re.findall(r"`(\w+)`", (DOCS / "health.md").read_text()),  # codes and checks; that page has a test
    }


OF_OTHERS = {"OTEL_EXPORTER_OTLP_ENDPOINT"}


@pytest.mark.parametrize("name", WALKED)
def test_what_a_page_names_is_in_the_contracts(name: str) -> None:
    """A setting, a metric, an event or a field in backticks is one of the contracts'."""
    text = re.sub(r"^```.*?^```$", "", (DOCS / f"{name}.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([A-Za-z][a-z0-9]*(?:_[a-z0-9]+)+|[A-Z]+(?:_[A-Z0-9]+)+)`", text))
    spans = (ROOT / "contracts" / "spans.txt").read_text()

    assert named - _known_names() - OF_OTHERS == set()
    assert [one for one in re.findall(r"`(prethrift\.\w+)`", text) if one not in spans] == []


def _is(value: object, page: Path) -> bool:
    """Tell whether a value is a page: its path, its text, or its name, alone or among others."""
    if isinstance(value, tuple | list):
        return any(_is(one, page) for one in value)
    return value in (page, page.read_text(), page.stem)


def _holds(module: ModuleType, page: Path) -> bool:
    """Tell whether the tests of a module use a name whose value is the page."""
    names = {name for name, value in vars(module).items() if _is(value, page)}
    used = {node.id for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Name)}
    return bool(names & used)


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_every_example_has_a_test_that_runs_it(page: Path) -> None:
    """A page with examples is held by a test that has the page in its hands; what is left out has a known reason."""
    name = page.relative_to(ROOT).as_posix()
    examples = [block for block in blocks_of(page.read_text()) if block.language in EXECUTABLE]

    assert not examples or _holds(importlib.import_module(HELD_BY[name]), page)
    assert [one.reason for one in left_out_of(page.read_text())] == NOT_RUN.get(name, [])


def test_a_test_that_does_not_have_the_page_does_not_hold_it() -> None:
    """That a file of tests is there is not enough."""
    module = importlib.import_module(HELD_BY["docs/health.md"])

    assert not _holds(module, DOCS / "observability.md")


def _sessions() -> set[str]:
    return set(re.findall(r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_the_sessions_and_targets_that_a_page_names_are_there(page: Path) -> None:
    """`nox -s NAME` is a session, `make NAME` at the begin of a command a target of the Makefile."""
    text = page.read_text()
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"nox -s (\w+)", text)) - _sessions() == set()
    assert set(re.findall(r"(?:^\$ |^|`)make ([a-z]+)", text, re.MULTILINE)) - targets == set()


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the commands of a parser, each with its own."""
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(commands.choices)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_the_commands_that_a_page_names_are_there(page: Path) -> None:
    """`prethrift-backend NAME` and `prethrift-backend contracts NAME`, in examples and in the text."""
    commands = _choices(_make_parser(with_contracts=True))
    known = {*commands, *(f"contracts {name}" for name in _choices(commands["contracts"]))}

    assert set(re.findall(r"prethrift-backend ((?:contracts )?[a-z][\w-]*)", page.read_text())) - known == set()


def _receivers() -> list[set[str]]:
    """Return the settings of each row of the list of receivers."""
    (rows,) = (
        rows for rows in tables((DOCS / "observability.md").read_text()) if rows[0][:2] == ["receiver", "settings"]
    )
    return [set(row[1].split()) for row in rows[1:]]


@pytest.mark.parametrize(
    "block", [block.text for block in blocks_of((DOCS / "deploying.md").read_text()) if block.language == "text"]
)
def test_the_settings_for_a_vendor_are_those_of_the_list(block: str) -> None:
    """The page on deploying has the form that the list of receivers has, which its own test tries."""
    assert set(block.split()) in _receivers()


@pytest.mark.parametrize("name", WALKED)
def test_every_example_of_a_walked_page_is_run_or_says_why_not(name: str) -> None:
    """None of its examples is in a language that the walk would pass over."""
    page = (DOCS / f"{name}.md").read_text()
    examples = [block for block in blocks_of(page) if block.language in EXECUTABLE]

    assert len(run_blocks_of(page)) + len(left_out_of(page)) == len(examples)


def test_every_path_of_the_application_is_in_the_table_of_security(captured_telemetry: Capture) -> None:
    """Whatever can be asked falls under a row that says whom to give it to."""
    settings = Settings(database_url=SecretStr("postgresql://shop:word@127.0.0.1:5432/shop"))
    given = Overrides(telemetry=captured_telemetry.telemetry, embeddings=NullEmbeddings())
    app = build(settings, overrides=given)
    paths = {*app.openapi()["paths"], *(one.path for one in app.router.routes if isinstance(one, Route))}
    listed = next(table[1:] for table in tables((DOCS / "security.md").read_text()) if table[0][0] == "path")
    named = tuple(path for row in listed for path in re.findall(r"/[\w/]+", row[0]))

    assert "/metrics" in paths
    assert {path for path in paths if not path.startswith(named)} == set()


def test_make_run_is_what_the_walk_runs() -> None:
    """The walk replaces `make run` by the command behind it, so that it sets up nothing."""
    (recipe,) = re.findall(r"^run: .*\n\t(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert recipe == "@exec $(BIN)/prethrift-backend dev"


def test_every_alert_and_setting_page_is_reached_from_the_index() -> None:
    """Each page of docs/ is linked from the index, or listed by its groups."""
    index = (DOCS / "index.md").read_text()

    assert [name for name in WALKED if f"({name}.md)" not in index] == []
