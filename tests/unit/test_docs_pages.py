"""The pages of docs/ as a whole: their links, what they name, and that each example is run or says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from tests.support.documents import blocks_of
from tests.support.walks import left_out_of, run_blocks_of

from prethrift_backend.contracts import load_contracts

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WALKED = (
    *("getting-started", "settings", "logging", "tracing", "metrics", "errors"),
    *("security", "deploying", "troubleshooting"),
)
PAGES = sorted(path for path in DOCS.rglob("*.md") if "decisions" not in path.parts)
EXECUTABLE = {"console", "sh", "shell", "bash", "python", "http"}
# Pages whose examples have a test of their own.
HELD_BY = {
    "README.md": "tests/integration/test_main_job.py",
    "docs/contracts.md": "tests/integration/test_docs_contracts.py",
    "docs/health.md": "tests/unit/test_docs_health.py",
    "docs/observability.md": "tests/unit/test_docs_observability.py",
    "docs/capacity.md": "tests/integration/ops/test_capacity.py",
    **{f"docs/{name}.md": "tests/integration/docs/test_prometheus_pages.py" for name in WALKED},
}
# Each block that is not run, with its reason in the page; a new one is added here, where somebody sees it.
NOT_RUN = {"docs/getting-started.md": ["the tests run in what it sets up"]}


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


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_every_example_has_a_test_that_runs_it(page: Path) -> None:
    """A page with examples is held by a test that is there, and what is left out is known, with its reason."""
    name = page.relative_to(ROOT).as_posix()
    examples = [block for block in blocks_of(page.read_text()) if block.language in EXECUTABLE]

    assert not examples or (ROOT / HELD_BY[name]).is_file()
    assert [one.reason for one in left_out_of(page.read_text())] == NOT_RUN.get(name, [])


@pytest.mark.parametrize("name", WALKED)
def test_every_example_of_a_walked_page_is_run_or_says_why_not(name: str) -> None:
    """None of its examples is in a language that the walk would pass over."""
    page = (DOCS / f"{name}.md").read_text()
    examples = [block for block in blocks_of(page) if block.language in EXECUTABLE]

    assert len(run_blocks_of(page)) + len(left_out_of(page)) == len(examples)


def test_make_run_is_what_the_walk_runs() -> None:
    """The walk replaces `make run` by the command behind it, so that it sets up nothing."""
    (recipe,) = re.findall(r"^run: .*\n\t(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert recipe == "@exec $(BIN)/prethrift-backend dev"


def test_every_alert_and_setting_page_is_reached_from_the_index() -> None:
    """Each page of docs/ is linked from the index, or listed by its groups."""
    index = (DOCS / "index.md").read_text()

    assert [name for name in WALKED if f"({name}.md)" not in index] == []
