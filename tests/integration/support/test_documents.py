"""Documents that are run: how blocks and commands are read, and what counts as shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.documents import Block, Command, DocumentRun, blocks_of, commands_of

PAGE = """Words.

```console server
$ serve
```

```text a/b.txt
one
```
"""


def _run(folder: Path, text: str) -> None:
    with DocumentRun(folder) as document:
        document.run(Block("console", "", text, 1))


def test_a_block_has_its_word_and_its_line() -> None:
    """The word behind the language says what the block is for."""
    assert blocks_of(PAGE) == [Block("console", "server", "$ serve\n", 4), Block("text", "a/b.txt", "one\n", 8)]


def test_a_command_goes_on_behind_a_backslash() -> None:
    """What follows is what it prints."""
    assert commands_of("$ a \\\n  b\none\n$ c\n") == [Command("a \\\n  b", ("one",)), Command("c", ())]


@pytest.mark.parametrize(
    "shown",
    ["one\ntwo\nthree 1.5 s\n", "…\nthree 9.9 s\n", "one\n…\n", "one\nt…\nthree 0.1 s\n", "…\n"],
)
def test_what_is_printed_as_shown_passes(shown: str, tmp_path: Path) -> None:
    """Lines may be left out, a line may go on, and times differ."""
    _run(tmp_path, f"$ printf 'one\\ntwo\\nthree 0.3 s\\n'\n{shown}")


@pytest.mark.parametrize("shown", ["", "one\n", "two\n…\n", "…\ntwo\n", "one\nx…\nthree 0.3 s\n"])
def test_what_is_printed_otherwise_fails(shown: str, tmp_path: Path) -> None:
    """Also where the page shows nothing."""
    with pytest.raises(AssertionError, match="line 1"):
        _run(tmp_path, f"$ printf 'one\\ntwo\\nthree 0.3 s\\n'\n{shown}")


def test_a_command_that_fails_has_to_say_so(tmp_path: Path) -> None:
    """The status is on the page, or it is 0."""
    _run(tmp_path, "$ (exit 3)\n$ echo $?\n3\n")

    with pytest.raises(AssertionError, match="ended with 3"):
        _run(tmp_path, "$ (exit 3)\n")


def test_files_are_written_and_added_to(tmp_path: Path) -> None:
    """A + behind the name adds to the end."""
    with DocumentRun(tmp_path) as document:
        for block in blocks_of(PAGE.replace("```console server\n$ serve\n```", "") + "```text a/b.txt+\ntwo\n```\n"):
            document.run(block)

    assert (tmp_path / "a" / "b.txt").read_text() == "one\ntwo\n"
