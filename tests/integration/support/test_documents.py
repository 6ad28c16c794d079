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


@pytest.mark.parametrize("shown", ["", "…\n", "one\n…\n"])
@pytest.mark.parametrize("command", ["echo one; exit 3", "(echo one; exit 3)", "(echo one; exit 3) | cat"])
def test_no_line_left_out_hides_a_failure(command: str, shown: str, tmp_path: Path) -> None:
    """A command that fails is told of, whatever its page leaves out, and behind a pipe too."""
    for after in ("", "$ true\n…\n"):
        with pytest.raises(AssertionError, match="line 1"):
            _run(tmp_path, f"$ {command}\n{shown}{after}")


def test_a_status_that_is_shown_is_that_of_the_last_part(tmp_path: Path) -> None:
    """What fails before the pipe is told of, though the page shows how the last part ends."""
    _run(tmp_path, "$ echo one | grep -c two\n0\n$ echo $?\n1\n")

    with pytest.raises(AssertionError, match=r"ended with 1 \(3 1\)"):
        _run(tmp_path, "$ (exit 3) | grep -c two\n0\n$ echo $?\n1\n")


def test_what_stops_reading_early_is_no_failure(tmp_path: Path) -> None:
    """A writer that nobody reads any longer has done what it should."""
    _run(tmp_path, "$ yes | head -n 1\ny\n$ seq 100000 | grep -m 1 2\n2\n")


def test_files_are_written_and_added_to(tmp_path: Path) -> None:
    """A + behind the name adds to the end."""
    with DocumentRun(tmp_path) as document:
        for block in blocks_of(PAGE.replace("```console server\n$ serve\n```", "") + "```text a/b.txt+\ntwo\n```\n"):
            document.run(block)

    assert (tmp_path / "a" / "b.txt").read_text() == "one\ntwo\n"
