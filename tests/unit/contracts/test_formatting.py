"""The canonical form of the contract files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from prethrift_backend.contracts import (
    MetricsContract,
    find_contracts,
    parse_logs,
    parse_metrics,
    parse_overhead,
    parse_settings,
    parse_spans,
)
from prethrift_backend.contracts.formatting import format_contract
from prethrift_backend.exceptions import ContractError

PARSERS: dict[str, Callable[..., Any]] = {
    "metrics": parse_metrics,
    "logs": parse_logs,
    "spans": parse_spans,
    "overhead": parse_overhead,
    "settings": parse_settings,
}
SIGNALS = pytest.mark.parametrize("signal", PARSERS)


def shipped(signal: str) -> str:
    """Return the text of the project's own contract."""
    return (find_contracts() / f"{signal}.txt").read_text(encoding="utf-8")


def formatted(text: str) -> str:
    """Return the canonical form."""
    return format_contract(text, source="c.txt")


def stated(text: str, signal: str) -> Any:
    """Return what a text states: all but its digest, and the help that a bare line does not have."""
    contract = PARSERS[signal](text, source="c.txt")
    if isinstance(contract, MetricsContract):
        families = [
            dataclasses.replace(family, help="") if family.help == "Not described yet." else family
            for family in contract.families
        ]
        contract = dataclasses.replace(contract, families=tuple(families))
    return dataclasses.replace(contract, sha256="")


@SIGNALS
def test_the_shipped_files_are_canonical(signal: str) -> None:
    """`prethrift-backend contracts fmt contracts/*.txt` changes nothing."""
    assert formatted(shipped(signal)) == shipped(signal)


METRICS = """# EXTERNAL  python_*
# SERIES jobs_total presence=always   max=20
# what it counts
# HELP jobs_total   Jobs  done.
# TYPE jobs_total   counter
jobs_total{  kind="a" , longer="}\\"\\\\n" , }   1
# LABEL jobs_total kind   enum a|b   overflow=a
# LABEL jobs_total longer open overflow=c max=9

# of the worker

#\tTYPE wait_seconds histogram
# HELP wait_seconds Wait.
# BUCKETS wait_seconds  0.10   1
wait_seconds_bucket{le="0.1"}1
# META wait_seconds since=1.0.0 stability=beta
# the shop's

#   BUDGET bytes=20 series=100
# DEPRECATED job_total remove=2.0.0 since=1.0.0



# SCRAPE interval=15s job=shop
# CONTRACT metrics 1.0.0
# at the end
"""
CANONICAL = """# the shop's

# CONTRACT  metrics 1.0.0
# SCRAPE    job=shop interval=15s
# BUDGET    series=100 bytes=20

# what it counts
# HELP jobs_total Jobs  done.
# TYPE jobs_total counter
# LABEL jobs_total kind   enum a|b overflow=a
# LABEL jobs_total longer open max=9 overflow=c
# SERIES jobs_total max=20 presence=always
jobs_total{kind="a",longer="}\\"\\\\n"} 1

# of the worker

# HELP wait_seconds Wait.
# TYPE wait_seconds histogram
# META  wait_seconds stability=beta since=1.0.0
# BUCKETS wait_seconds 0.10 1
wait_seconds_bucket{le="0.1"} 1

# DEPRECATED job_total since=1.0.0 remove=2.0.0

# EXTERNAL python_*

# at the end
"""


def test_metrics_are_laid_out() -> None:
    """Header, families as blocks, tombstones, libraries; words in order, comments where they were."""
    assert formatted(METRICS) == CANONICAL


def test_a_bare_list_becomes_a_contract() -> None:
    """Names and labels alone are written out with all directives, comments kept."""
    text = "# jobs\njobs_total{ kind,path}\n\nup\n"

    assert formatted(text) == (
        "# CONTRACT  metrics 0.0.0\n\n"
        "# jobs\n# HELP jobs_total Not described yet.\n# TYPE jobs_total untyped\n"
        "# LABEL jobs_total kind open\n# LABEL jobs_total path open\n\n"
        "# HELP up Not described yet.\n# TYPE up untyped\n"
    )


def test_empty_lines_between_comments_are_one() -> None:
    """Sections of comments stay apart, and above their block."""
    text = "# CONTRACT metrics 1.0.0\n\n\n# a\n\n\n# b\n\n\nup\n"

    assert formatted(text).startswith("# CONTRACT  metrics 1.0.0\n\n# a\n\n# b\n\n# HELP up ")


@pytest.mark.parametrize("name", ["CONTRACT", "DEPRECATED", "sample", "HELP"])
def test_a_family_may_be_called_as_a_directive(name: str) -> None:
    """Only what stands in a comment is a directive."""
    assert stated(formatted(f"{name}{{a}}\n"), "metrics") == stated(f"{name}{{a}}\n", "metrics")


def test_a_bare_line_beside_directives_is_folded_in() -> None:
    """What the directives say already is not said again; the labels take the order of the bare line."""
    text = "# CONTRACT metrics 1.0.0\n# LABEL up b const x\n# LABEL up a open\n# and\nup{a,b}\n"

    assert formatted(text) == (
        "# CONTRACT  metrics 1.0.0\n\n# and\n# HELP up Not described yet.\n# TYPE up untyped\n"
        "# LABEL up a open\n# LABEL up b const x\n"
    )


def test_logs_are_laid_out() -> None:
    """Directives come in order, options and words too; comments stay above their lines, columns are fixed."""
    text = (
        "EVENT order_placed   open-fields count<=1 level=info   # each\n\n   # whose\n"
        "      order_id   string  or-null max=36   required #ours\n#CONTRACT\n # CONTRACT   logs 1.0.0\n"
        " total number   >=0   #  in cents\n\n\n#of all\nFIELD   *   at  date-time\nRECORD one-per-line json # lines"
    ).replace("#ours", "# ours")

    assert formatted(text) == (
        "#CONTRACT\n# CONTRACT logs 1.0.0\nRECORD   json one-per-line  # lines\n\n#of all\n"
        "FIELD *  at           date-time\nEVENT order_placed level=info count<=1 open-fields  # each\n  # whose\n"
        "  order_id             string max=36 or-null                               required  # ours\n"
        "  total                number >=0                                          # in cents\n"
    )


def test_spans_are_laid_out() -> None:
    """Within a span: names, attributes, status, events with their attributes, links, OPEN."""
    text = (
        "# CONTRACT spans 1.0.0\nSPAN job scope=shop kind=internal\n  OPEN # more\n  EVENT failed\n      why int 1..2\n"
        "  LINK a count<=1\n  b string required\n  STATUS error|unset\n  NAME a |  {b}\nRESOURCE c int # d\n"
    )

    assert formatted(text) == (
        "# CONTRACT spans 1.0.0\nRESOURCE c                            int                                # d\n"
        "SPAN job kind=internal scope=shop\n  NAME a | {b}\n"
        "  b                              string                                              required\n"
        "  STATUS error|unset\n  EVENT failed\n    why                          int 1..2\n  LINK a count<=1\n"
        f"  OPEN{' ' * 79}# more\n"
    )


def test_budgets_are_laid_out() -> None:
    """A budget is one line; the version of Python stands before the figures, which keep their order."""
    text = "# CONTRACT overhead 1.0.0\nBUDGET probe   spans=0 py=3.11 opcodes<=1340  # here\n"

    assert formatted(text) == (
        "# CONTRACT overhead 1.0.0\nBUDGET probe                   py=3.11 spans=0 opcodes<=1340  # here\n"
    )


def test_settings_are_laid_out() -> None:
    """A setting is one line with its options in order."""
    text = "# CONTRACT settings 1.0.0\n\n\nSETTING PORT int secret group=app default=1 # here\n"

    assert formatted(text) == (
        "# CONTRACT settings 1.0.0\n\nSETTING PORT                    int default=1 group=app secret  # here\n"
    )


def test_a_text_with_faults_is_left_alone() -> None:
    """What cannot be read is not formatted: the faults are told instead."""
    with pytest.raises(ContractError, match=r"c\.txt:2:1: directive 'EVNT' is unknown"):
        formatted("# CONTRACT logs 1.0.0\nEVNT a\n")


def test_a_text_without_a_contract_line_is_known_by_its_name() -> None:
    """The fault is that of the right parser."""
    with pytest.raises(ContractError, match=r"add '# CONTRACT spans 1\.0\.0'"):
        format_contract("", source="some/spans.txt")


COMMENT_LINES = ["# a word", "#", "#   more", "# of it", "# sample x", "# A b"]
COMMENTS = st.lists(st.sampled_from([*COMMENT_LINES, "", "\t", "# of it \t"]), max_size=2)
SPACES = st.sampled_from([" ", " ", "  ", "\t", " \t "])


def _groups(lines: list[str], indent: int) -> list[list[str]]:
    """Split lines into groups, each a line at this depth with those below it."""
    groups: list[list[str]] = []
    for line in lines:
        if not line.startswith(" " * (indent + 1)) or not groups:
            groups.append([])
        groups[-1].append(line)
    return groups


def _blocks(signal: str) -> list[list[str]]:
    lines = [line for line in shipped(signal).split("\n") if line.startswith("# CONTRACT") or "#" not in line[:1]]
    if signal != "metrics":
        return _groups([line for line in lines if line], 0)
    return [block.split("\n") for block in shipped(signal).strip().split("\n\n")]


def _mixed(draw: st.DrawFn, block: list[str], signal: str) -> list[str]:
    """Put the lines of a block in another order that states the same, or nearly."""
    if signal == "metrics":
        directives = draw(st.permutations([line for line in block if line.startswith("#")]))
        return [*directives, *(line for line in block if not line.startswith("#"))]
    inner = draw(st.permutations(_groups(block[1:], 2)))
    return [block[0], *(line for group in inner for line in group)]


def _respaced(draw: st.DrawFn, line: str) -> str:
    if line[:1].isalpha() and "{" in line:  # a sample: spaces within its values are its own
        return line
    indent = line[: len(line) - len(line.lstrip(" "))]
    return indent + draw(SPACES).join(line.split())


@st.composite
def _rewritten(draw: st.DrawFn, signal: str) -> str:
    """Return the shipped contract with blocks left out and moved, lines too, spaced otherwise and commented."""
    blocks = _blocks(signal)
    places = draw(st.lists(st.integers(1, len(blocks) - 1), unique=True, max_size=6))
    chosen = draw(st.permutations([blocks[0], *(blocks[place] for place in places)]))
    written: list[str] = []
    for block in chosen:
        for line in _mixed(draw, block, signal):
            written += [*(draw(COMMENTS) if draw(st.booleans()) else []), _respaced(draw, line)]
    text = "\n".join(written) + draw(st.sampled_from(["", "\n", "\n\n# end"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))


@SIGNALS
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_what_is_stated_stays_and_twice_is_once(signal: str, data: st.DataObject) -> None:
    """The canonical form states the same, has every comment, and is its own canonical form."""
    text = data.draw(_rewritten(signal))
    try:
        before = stated(text, signal)
    except ContractError:
        assume(False)

    once = formatted(text)

    assert stated(once, signal) == before
    assert formatted(once) == once
    assert _comments(once) == _comments(text)


def _comments(text: str) -> list[str]:
    return sorted(line.strip() for line in text.splitlines() if line.strip() in COMMENT_LINES)


NAMES = st.sampled_from(["up", "jobs_total", "wait", "a:b"])
BARE = st.builds(
    lambda name, labels, gap: f"{name}{gap}{{{gap}{f'{gap},'.join(labels)}{gap}}}" if labels else name,
    NAMES,
    st.lists(st.sampled_from(["a", "b", "kind"]), unique=True),
    st.sampled_from(["", " "]),
)
LOOSE = st.one_of(BARE, st.sampled_from(["# a word", "", "# LABEL up a enum x|y", "# META jobs_total since=1.0.0"]))


@settings(deadline=None)
@given(st.lists(LOOSE, max_size=8), st.booleans())
def test_bare_lists_state_the_same_afterwards(lines: list[str], has_header: bool) -> None:
    """Names, labels and their order come through the full form, and it is stable."""
    text = "\n".join(["# CONTRACT metrics 1.0.0"] * has_header + lines)
    try:
        before = stated(text, "metrics")
    except ContractError:
        assume(False)

    once = formatted(text)

    assert stated(once, "metrics") == before
    assert formatted(once) == once


@settings(deadline=None)
@given(st.text())
def test_no_text_crashes_the_formatter(text: str) -> None:
    """Any text is formatted or refused with ContractError."""
    try:
        once = formatted(text)
    except ContractError:
        return
    assert formatted(once) == once


def test_the_form_ends_with_one_line_end() -> None:
    """Neither none nor two."""
    assert formatted("# CONTRACT settings 1.0.0\n\n\n") == "# CONTRACT settings 1.0.0\n"


def test_a_file_is_named_by_path(tmp_path: Path) -> None:
    """A path with folders and another ending is still known by its stem."""
    with pytest.raises(ContractError, match=r"contract of 'nothing'"):
        format_contract("# CONTRACT nothing 1.0.0", source=str(tmp_path / "settings.txt"))
