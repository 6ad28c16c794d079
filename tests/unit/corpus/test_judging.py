"""The corpus itself bites: each way in which it could pass and ought not to makes it fail."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.corpus.change import UNREADABLE, Change, File
from tests.corpus.commands import Report
from tests.corpus.judging import Score, judge, score
from tests.corpus.tree import ROOT, Tree

METRICS = File("contracts/metrics.txt", in_columns=True)
GONE = Change(
    "a type changes", "contracts", "diff", "M003", (METRICS.swap("TYPE build_info gauge", "TYPE build_info untyped"),)
)
FREE = Change("a comment more", "contracts", "diff", None, (METRICS.append("# words"),), raises="patch")
SILENT = Report(0, frozenset())


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Give a tree of contracts."""
    for name in ("tree", "pristine"):
        shutil.copytree(ROOT / "contracts", tmp_path / name / "contracts")
    return Tree(tmp_path / "tree", tmp_path / "pristine")


def test_a_fault_that_is_reported_is_good(tree: Tree) -> None:
    """The command fails and names the rule."""
    result = judge(GONE, tree)

    assert (result.verdict, result.is_good) == ("reported", True)
    assert "M003" in result.rules


def test_a_fault_with_another_rule_is_missed(tree: Tree) -> None:
    """It does not do that the command fails: it has to say why."""
    result = judge(replace(GONE, rule="M001"), tree)

    assert (result.verdict, result.is_good) == ("missed", False)
    assert "M003" in result.words


def test_a_fault_that_does_not_fit_is_not_good(tree: Tree) -> None:
    """A change that changes nothing shows nothing."""
    result = judge(replace(GONE, edits=(METRICS.swap("TYPE gone gauge", "TYPE gone counter"),)), tree)

    assert (result.verdict, result.is_good) == ("does not fit", False)


def test_a_harmless_change_that_is_reported_is_not_good(tree: Tree) -> None:
    """A false alarm is as bad as a fault that nobody notices."""
    assert judge(FREE, tree).verdict == "quiet"
    assert judge(replace(FREE, raises=None), tree).verdict == "false alarm"


def test_a_warning_alone_is_a_false_alarm(tree: Tree) -> None:
    """What is reported is reported, whatever the command ends with."""
    assert judge(FREE, tree, run=lambda _change, _tree: Report(0, frozenset({"M041"}))).verdict == "false alarm"


@pytest.mark.parametrize("status", [2, 3])
def test_a_command_that_cannot_tell_has_not_done_its_duty(tree: Tree, status: int) -> None:
    """Wrong usage and too little seen are neither a report nor a word that all is well."""
    assert judge(FREE, tree, run=lambda _change, _tree: Report(status, frozenset())).verdict == "false alarm"
    assert judge(GONE, tree, run=lambda _change, _tree: Report(status, frozenset({"M003"}))).verdict == "missed"


def test_a_text_that_cannot_be_read_is_reported_with_its_place(tree: Tree) -> None:
    """A contract that is none ends the command with 2; which file and which line it is has to be said."""
    typo = Change("a typo", "contracts", "diff", UNREADABLE, (METRICS.append("# LABLE build_info host open"),))

    assert judge(typo, tree).verdict == "reported"
    assert judge(replace(GONE, rule=UNREADABLE), tree).verdict == "missed"
    assert judge(typo, tree, run=lambda _change, _tree: Report(2, frozenset(), "no contracts")).verdict == "missed"


def test_a_command_that_breaks_is_a_failure(tree: Tree) -> None:
    """An error of the corpus itself does not pass for a verdict."""

    def breaks(_change: Change, _tree: Tree) -> Report:
        raise TypeError("no such thing")

    result = judge(GONE, tree, run=breaks)

    assert (result.verdict, result.is_good) == ("failed", False)
    assert "TypeError: no such thing" in result.words


@pytest.mark.parametrize("status", [0, 1])
def test_a_command_that_writes_no_report_is_a_failure(tree: Tree, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """It ends as if all were well, or as if it had found something, and has judged nothing."""

    def ends(_arguments: list[str]) -> None:
        raise SystemExit(status)

    monkeypatch.setattr("prethrift_backend.cli.main", ends)

    for change in (FREE, GONE):
        result = judge(change, tree)
        assert result.verdict == "failed"
        assert f"exit status {status} and no report" in result.words


def test_the_tree_is_as_before_after_each_change(tree: Tree) -> None:
    """A change is made for its command alone; the time of the file comes back as well, for what is compiled of it."""
    path = tree.root / "contracts" / "metrics.txt"
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    seen: list[str] = []

    def run(_change: Change, _tree: Tree) -> Report:
        seen.append(path.read_text(encoding="utf-8"))
        return SILENT

    judge(GONE, tree, run=run)

    assert "TYPE build_info untyped" in seen[0]
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_the_score_is_full_only_where_all_is_good(tree: Tree) -> None:
    """One fault that is missed, or one false alarm, and the corpus fails; so does one without faults."""
    good, quiet = judge(GONE, tree), judge(FREE, tree)
    missed = judge(GONE, tree, run=lambda _change, _tree: SILENT)
    alarm = judge(FREE, tree, run=lambda _change, _tree: Report(1, frozenset({"M001"})))

    assert score([good, quiet]) == Score(1, 1, 1, 1)
    assert score([good, quiet]).is_full
    assert not score([good, missed]).is_full
    assert not score([good, alarm]).is_full
    assert not score([quiet]).is_full
