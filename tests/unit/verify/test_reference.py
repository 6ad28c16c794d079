"""The generated reference: what its pages say, that all of it is right, and that drift is noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from markdown_it.token import Token
from tests.support import markdown

from prethrift_backend.contracts import Contracts, load_contracts
from prethrift_backend.contracts._samples import parse_sample
from prethrift_backend.verify.findings import Place
from prethrift_backend.verify.promql.checks import Known, Query, lint_query
from prethrift_backend.verify.records.log_checks import LogChecks
from prethrift_backend.verify.reference.files import write_reference
from prethrift_backend.verify.reference.markdown import MARK
from prethrift_backend.verify.reference.rendering import check_reference, render_reference

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"
SHOP = ROOT / "tests" / "support" / "foreign_shop" / "contracts"
HELP = "Cats | dogs, `sh -c` <b>and</b> &amp; [a](x) *b* __c__ a\\\\b\\nsecond line"
HOSTILE = {
    "metrics.txt": f"""\
# CONTRACT metrics 1.0.0
# SCRAPE job=a|b interval=120s
# <img src=x> in a comment | of a family
# HELP cats:total_total {HELP}
# TYPE cats:total_total counter
# META cats:total_total unit=<b> owner=a|b
# the label's | own `words`
# LABEL cats:total_total kind match a\\|b|`+|<.> max=3 overflow=<|`>
# SERIES cats:total_total max=4
# HELP catstotal_total The same anchor.
# TYPE catstotal_total counter
# DEPRECATED catstotal_total since=1.0.0 remove=2.0.0 replaced-by=cats:total_total
# EXTERNAL process_*
""",
    "logs.txt": """\
# CONTRACT logs 1.0.0
FIELD * event string required # <b>|
EVENT a.b level=info logger=a|`b` count<=1/request # it | <happened> `x`
  f match a\\|b|`+ required # [x](y)
EVENT ab level=info|error
""",
    "spans.txt": """\
# CONTRACT spans 1.0.0
# <!--
SPAN server kind=server scope=a.*|`b
  NAME GET {x} | <b> `x`
  x enum a|`b`|<c>
  STATUS unset | error # *all*
  EVENT it|`s count<=2 # <e>
    y string # __y__
  LINK <caller> # [z]
""",
    "settings.txt": """\
# CONTRACT settings 1.0.0
SETTING A enum a|`b`|<c> default=`b` group=<g|> # <b>a|b</b>
SETTING B str default=development:a|b,staging:<x>,production:`y` group=<g|> secret required=production
""",
    "health.schema.json": json.dumps(
        {
            "description": "The body of /a|b and /health/{x} <b>\nin two lines `x`",
            "type": "object",
            "properties": {
                "status": {"enum": ["up|`", "<down>"], "description": "<i> | `x`"},
                "p|`<": {"type": "string", "pattern": "^a\\|b$"},
            },
        }
    ),
}


@pytest.fixture(scope="module")
def own() -> Contracts:
    """Load the project's contracts."""
    return load_contracts(ROOT / "contracts")


@pytest.fixture
def hostile(tmp_path: Path) -> Contracts:
    """Load contracts in which every text holds what is markup elsewhere."""
    for name, text in HOSTILE.items():
        (tmp_path / name).write_text(text)
    return load_contracts(tmp_path)


def test_the_reference_of_this_tree_is_what_the_contracts_make(own: Contracts) -> None:
    """Nobody changed a contract without `make docs`, or a generated file by hand."""
    assert [f"{finding.message}: run 'make docs'" for finding in check_reference(own, REFERENCE)] == []


def test_the_same_contracts_give_the_same_bytes(own: Contracts, tmp_path: Path) -> None:
    """No time, no folder and no order of a set is in what is written: a copy elsewhere gives the same files."""
    shutil.copytree(own.directory, tmp_path / "copy")

    assert render_reference(load_contracts(tmp_path / "copy")) == render_reference(own)


def test_every_file_says_that_it_is_generated(own: Contracts) -> None:
    """The mark stands where it is looked for, and each page ends with one line end."""
    files = render_reference(own)

    assert [name for name, text in files.items() if MARK not in text[:600]] == []
    assert [name for name, text in files.items() if not text.endswith("\n") or text.endswith("\n\n")] == []


@pytest.mark.parametrize("folder", [ROOT / "contracts", SHOP], ids=["own", "foreign"])
def test_links_lead_somewhere(folder: Path) -> None:
    """Each link of a page leads to a heading of that page, or to a file of the reference."""
    files = render_reference(load_contracts(folder))
    for name in (name for name in files if name.endswith(".md")):
        targets = {f"#{anchor}" for anchor in markdown.anchors(files[name])} | files.keys()

        assert [link for link in markdown.links(files[name]) if link not in targets] == [], name


def test_every_item_has_its_heading(own: Contracts) -> None:
    """Families, events, spans are headings of their pages; settings, and fields of the body, rows of a table."""
    files = render_reference(own)
    assert own.logs is not None
    assert own.spans is not None
    assert own.settings is not None

    headings = {name: [line for line in files[name].splitlines() if line.startswith("###")] for name in files}
    assert headings["metrics.md"] == [f"### `{family.name}`" for family in own.metrics.families]
    assert headings["events.md"] == [f"### `{event.name}`" for event in own.logs.events]
    assert headings["spans.md"] == [f"### `{span.key}`" for span in own.spans.spans]
    rows = [row for table in markdown.tables(files["settings.md"]) for row in table[1:]]
    assert [row[0] for row in rows] == [setting.name for setting in own.settings.settings]
    assert all(row[4] for row in rows)


@pytest.mark.parametrize("folder", [ROOT / "contracts", SHOP], ids=["own", "foreign"])
def test_the_queries_pass_the_lint(folder: Path) -> None:
    """Each query of metrics.md means what it says, by the rules that hold for dashboards; there is one a family."""
    metrics = load_contracts(folder).metrics
    queries = [block.content for block in _blocks(render_reference(load_contracts(folder))["metrics.md"], "promql")]

    assert len(queries) >= len(metrics.families)
    assert [finding for query in queries for finding in lint_query(Query(query.strip()), Known(metrics))] == []


def test_a_query_looks_back_over_four_scrapes(hostile: Contracts) -> None:
    """Where the scrape is slow, the range of a rate is longer."""
    queries = [block.content for block in _blocks(render_reference(hostile)["metrics.md"], "promql")]

    assert "rate(cats:total_total[8m])" in queries[0]


@pytest.mark.parametrize("folder", [ROOT / "contracts", SHOP], ids=["own", "foreign"])
def test_the_example_lines_keep_the_contract(folder: Path) -> None:
    """Every event has an example, and the checks of log lines find nothing in it."""
    contracts = load_contracts(folder)
    assert contracts.logs is not None
    checks = LogChecks(contracts.logs)
    lines = [block.content.strip().encode() for block in _blocks(render_reference(contracts)["events.md"], "json")]

    assert [checks.event_of(line) for line in lines] == list(contracts.logs.events)
    assert [fault for line in lines for fault in checks.faults(line)] == []


@pytest.mark.parametrize("folder", [ROOT / "contracts", SHOP], ids=["own", "foreign"])
def test_the_example_series_keep_the_contract(folder: Path) -> None:
    """Every family has an example of its own name and labels, with values that they allow."""
    contracts = load_contracts(folder)
    blocks = [block.content for block in _blocks(render_reference(contracts)["metrics.md"], "text")]

    assert len(blocks) == len(contracts.metrics.families)
    for family, block in zip(contracts.metrics.families, blocks, strict=True):
        sample = parse_sample(block.splitlines()[0], 1)
        values = {name: value for name, value in sample.labels if name != "le"}
        assert sample.name.startswith(family.name)
        assert tuple(values) == family.label_names
        assert [label.name for label in family.labels if not label.allows(values[label.name])] == []


@pytest.mark.parametrize("folder", [ROOT / "contracts", SHOP], ids=["own", "foreign"])
def test_the_example_body_keeps_its_schema(folder: Path) -> None:
    """The body of health.md is one that the schema allows, formats included."""
    contracts = load_contracts(folder)
    (block,) = _blocks(render_reference(contracts)["health.md"], "json")

    assert contracts.health_schema is not None
    validator = Draft202012Validator(contracts.health_schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert list(validator.iter_errors(json.loads(block.content))) == []


def test_only_what_there_is_has_a_page(tmp_path: Path) -> None:
    """A folder with metrics and a health schema alone, which names no path, gives no page on the rest."""
    shutil.copy(SHOP / "metrics.txt", tmp_path)
    schema = json.loads((SHOP / "health.schema.json").read_text())
    (tmp_path / "health.schema.json").write_text(json.dumps({**schema, "description": "Of the shop."}))

    files = render_reference(load_contracts(tmp_path))

    assert list(files) == ["health.md", "index.md", "metrics.md", "registry/attributes.yaml", "registry/metrics.yaml"]
    assert "names no path" in files["health.md"]
    assert "`shop_orders_total`" in files["metrics.md"]
    assert "events.md" not in files["index.md"]


def test_comments_of_the_contracts_are_told(own: Contracts) -> None:
    """What explains an item there explains it here."""
    files = render_reference(own)

    assert "the route template, /api/items/{id}" in files["metrics.md"]
    assert "Probes and the scrape have the first of these at level debug." in files["events.md"]
    assert "(TRACE_TRUST=link)" in markdown.shown(files["spans.md"])
    assert "the port to listen on" in files["settings.md"]


def test_hostile_texts_are_shown_and_mean_nothing(hostile: Contracts) -> None:
    """Bars, backticks, HTML and links in a contract are text on its pages, and every table keeps its columns."""
    files = render_reference(hostile)

    for name in (name for name in files if name.endswith(".md")):
        page = files[name].removeprefix(f"<!-- {MARK} -->")
        used = {token.type for token in markdown.tokens(page)}
        assert used.isdisjoint({"html_block", "em_open", "strong_open", "s_open", "image", "hr", "blockquote_open"}), (
            name
        )
        inline = {token.content for token in markdown.tokens(page) if token.type == "html_inline"}
        assert inline <= {"<code>", "</code>"}, name
        assert [table for table in markdown.tables(page) if len({len(row) for row in table}) > 1] == [], name
    assert "Cats | dogs, `sh -c` <b>and</b> &amp; [a](x) *b* __c__ a\\b second line" in markdown.shown(
        files["metrics.md"]
    )


def test_links_of_hostile_names_lead_somewhere(hostile: Contracts) -> None:
    """Names that differ by signs alone have anchors of their own."""
    files = render_reference(hostile)

    for name in ("metrics.md", "events.md", "spans.md"):
        links = markdown.links(files[name])
        assert {link for link in links if not link.startswith("#")} <= files.keys(), name
        assert {link.removeprefix("#") for link in links} <= markdown.anchors(files[name]), name
    assert {"#a.b", "#ab", "#ab-1"} & set(markdown.links(files["events.md"])) == {"#ab", "#ab-1"}


def test_a_deprecated_family_names_its_successor(hostile: Contracts) -> None:
    """Until when it stays, and what to use, stands with the family and in a list of its own."""
    page = render_reference(hostile)["metrics.md"]

    assert page.count("since 1.0.0, gone with 2.0.0; use [`cats:total_total`](#catstotal_total)") == 2


def test_what_differs_is_found_by_file_and_line(
    own: Contracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed line, a file that is missing and one that is left over are told, with the command that mends it."""
    monkeypatch.chdir(ROOT)
    write_reference(render_reference(own), tmp_path)
    assert check_reference(own, tmp_path) == []
    text = (tmp_path / "metrics.md").read_text()
    (tmp_path / "metrics.md").write_text(text.replace("Completed HTTP requests;", "Completed requests;", 1))
    (tmp_path / "spans.md").unlink()
    (tmp_path / "old.md").write_text(f"<!-- {MARK} -->\n")
    (tmp_path / "ours.md").write_text("by hand\n")

    found = check_reference(own, tmp_path)

    line = 1 + text[: text.index("Completed HTTP requests;")].count("\n")
    assert [(one.rule, one.name, one.place) for one in found] == [
        ("V005", "metrics.md", Place(str(tmp_path / "metrics.md"), line)),
        ("V005", "spans.md", Place(str(tmp_path / "spans.md"))),
        ("V005", "old.md", Place(str(tmp_path / "old.md"), 1)),
    ]
    assert found[0].expected is not None
    assert "Completed HTTP requests;" in found[0].expected
    assert found[0].fix == f"run 'prethrift-backend contracts docs --contracts contracts --out {tmp_path}'"


def test_other_line_ends_are_a_difference(own: Contracts, tmp_path: Path) -> None:
    """Bytes are compared, not what a reader takes them for."""
    write_reference(render_reference(own), tmp_path)
    (tmp_path / "index.md").write_bytes((tmp_path / "index.md").read_bytes().replace(b"\n", b"\r\n"))

    assert [finding.name for finding in check_reference(own, tmp_path)] == ["index.md"]


def _blocks(page: str, language: str) -> list[Token]:
    return [token for token in markdown.tokens(page) if token.type == "fence" and token.info == language]
