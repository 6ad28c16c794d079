"""What is in the corpus, and what it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.corpus import __main__ as program
from tests.corpus.change import UNREADABLE, Change
from tests.corpus.changes import CHANGES, shortcomings, unchanged
from tests.corpus.commands import COMMANDS
from tests.corpus.judging import Result
from tests.corpus.report import as_failures, as_table, write_json

from prethrift_backend.verify.rules import RULES

FAULT = Change("a family is gone", "contracts", "diff", "M001")
FREE = Change("a comment more", "contracts", "diff", None)


def test_every_rule_and_command_is_there() -> None:
    """A change expects a rule that some command judges, by a command that exists."""
    assert {change.rule for change in CHANGES if change.rule is not None} <= {*RULES, UNREADABLE}
    assert {change.command for change in CHANGES} <= set(COMMANDS)


def test_the_corpus_is_as_large_as_it_has_to_be() -> None:
    """So many faults of each kind, so many harmless changes, each once."""
    assert list(shortcomings(CHANGES)) == []


def test_a_corpus_that_is_too_small_says_so() -> None:
    """A change that is taken away is missed, one that is there twice is told."""
    faults = [change for change in CHANGES if change.kind == "dashboards" and not change.is_harmless]

    assert any("kind dashboards" in lack for lack in shortcomings([c for c in CHANGES if c not in faults[5:]]))
    assert any("is there twice" in lack for lack in shortcomings([*CHANGES, CHANGES[0]]))


def test_a_fault_in_other_words_is_no_other_fault() -> None:
    """What is asked of the same command with the same edits counts once; of another command it is another question."""
    again = replace(CHANGES[0], name="something else")

    assert any("'something else' is the same fault" in lack for lack in shortcomings([*CHANGES, again]))
    assert list(shortcomings([*CHANGES, replace(again, command="docs")])) == []


def test_a_full_score_of_a_whole_corpus_is_success(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program ends with 0 where all is well, and with 1 where one change is not."""
    monkeypatch.setattr(program, "ROOT", tmp_path)

    def all_well(changes: Sequence[Change]) -> Iterator[Result]:
        return (Result(change, "quiet" if change.is_harmless else "reported") for change in changes)

    def one_missed(changes: Sequence[Change]) -> Iterator[Result]:
        return (replace(result, verdict="missed") if i == 99 else result for i, result in enumerate(all_well(changes)))

    monkeypatch.setattr(program, "judge_all", all_well)
    assert program.main([]) == 0
    monkeypatch.setattr(program, "judge_all", one_missed)
    assert program.main([]) == 1


def test_nothing_is_changed_once_for_each_command() -> None:
    """A command that reports the tree as it is would report every fault."""
    assert [(change.command, change.edits) for change in unchanged([FAULT, FREE])] == [("diff", ())]


def test_the_table_shows_each_change_and_the_score() -> None:
    """Kind, change, expected, reported, command, verdict, and what it comes to."""
    table = as_table([Result(FAULT, "reported", ("M001", "V001")), Result(FREE, "false alarm", ("V002",))])

    lines = table.splitlines()
    assert lines[0].split() == ["kind", "change", "expected", "reported", "by", "verdict"]
    assert lines[2].split("  ")[:2] == ["contracts", "a family is gone"]
    assert lines[2].endswith("reported")
    assert lines[3].endswith("FALSE ALARM")
    assert lines[-1] == "1 of 1 faults reported, 1 of 1 harmless changes reported: 50.0%"


def test_what_did_not_end_well_is_explained() -> None:
    """The words of the command are there for whoever has to mend it."""
    results = [Result(FAULT, "missed", words="exit status 0"), Result(FREE, "quiet")]

    assert as_failures(results) == ("missed: contracts: a family is gone: expected M001 of diff\n    exit status 0")


def test_every_result_is_kept(tmp_path: Path) -> None:
    """The document has the score and one entry a change."""
    write_json([Result(FAULT, "reported", ("M001",), seconds=0.123)], tmp_path / "build" / "corpus.json")

    document = json.loads((tmp_path / "build" / "corpus.json").read_text(encoding="utf-8"))
    assert (document["faults"], document["reported"], document["is_full"]) == (1, 1, True)
    assert document["results"][0] == {
        "kind": "contracts",
        "change": "a family is gone",
        "command": "diff",
        "expected": "M001",
        "reported": ["M001"],
        "verdict": "reported",
        "seconds": 0.12,
    }
