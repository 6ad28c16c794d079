"""Edits of a change: what they replace, and that they fit or fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.corpus.change import Change, Edit, File, MisfitError, Part, raised


def test_an_edit_replaces_what_stands_once() -> None:
    """One place is changed, and nothing else."""
    assert Edit("a.py", "two", "2").apply("one two three") == "one 2 three"


@pytest.mark.parametrize("text", ["one three", "two and two"])
def test_an_edit_that_fits_nowhere_or_twice_is_a_misfit(text: str) -> None:
    """The code has moved, and the change has to move with it."""
    with pytest.raises(MisfitError, match=r"a\.py: 'two' stands [02] times"):
        Edit("a.py", "two", "2").apply(text)


def test_an_edit_that_changes_nothing_is_a_misfit() -> None:
    """What replaces a text by itself is no fault that anybody could report."""
    with pytest.raises(MisfitError, match="replaced by itself"):
        Edit("a.py", "two", "two").apply("one two three")


def test_columns_may_move() -> None:
    """In a file with columns, any number of spaces stands for any other."""
    assert File("a.txt", in_columns=True).swap("max=1 presence", "max=2 presence").apply("max=1    presence") == (
        "max=2 presence"
    )


def test_an_edit_without_a_text_to_replace_appends() -> None:
    """Lines can be added at the end."""
    assert File("a.txt").append("three").apply("one\ntwo\n") == "one\ntwo\nthree\n"


def test_a_part_of_a_text_is_replaced_within_it() -> None:
    """A word that stands often is found by what stands around it."""
    assert File("a").within("b c", "b", "x").apply("b a b c b") == "b a x c b"


def test_edits_of_one_file_follow_one_another(tmp_path: Path) -> None:
    """A change of two places of one file makes both."""
    (tmp_path / "a.txt").write_text("one two", encoding="utf-8")
    file = File("a.txt")

    texts = Change("c", "docs", "lint", None, (file.swap("one", "1"), file.swap("two", "2"))).texts(tmp_path)

    assert texts == {tmp_path / "a.txt": "1 2"}


def test_a_file_that_is_gone_is_a_misfit(tmp_path: Path) -> None:
    """A change of a file that was renamed does not pass in silence."""
    with pytest.raises(MisfitError, match="no such file"):
        Change("c", "docs", "lint", None, (File("a.txt").swap("one", "1"),)).texts(tmp_path)


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [
        ("# CONTRACT logs 1.2.3\n", "major", "# CONTRACT logs 2.0.0\n"),
        ("# CONTRACT logs 1.2.3\n", "minor", "# CONTRACT logs 1.3.0\n"),
        ("# CONTRACT logs 1.2.3\n", "patch", "# CONTRACT logs 1.2.4\n"),
        ('{"$id": "urn:a:health:1"}', "major", '{"$id": "urn:a:health:2"}'),
        ('{"$id": "urn:a:health:1"}', "minor", '{"$id": "urn:a:health:1"}'),
    ],
)
def test_a_version_is_raised(text: str, part: Part, expected: str) -> None:
    """Text contracts have three parts, a schema has one."""
    assert raised(text, part) == expected
