"""Nothing that a contract says is markup: every text is shown as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import markdown

from prethrift_backend.verify.reference import markdown as written

HOSTILE = [
    "a|b",
    "a\\|b",
    "`code`",
    "``",
    "` `",
    "*bold* _it_ __very__ ~~gone~~",
    "<script>alert(1)</script>",
    "<!-- comment",
    "&lt;&amp;",
    "[a](javascript:x) ![i](x) [ref][a] [a]: x",
    "snake_case_name __unmatched__ _private",
    "\\",
    "ends with \\",
    "$x$ and $$y$$",
    "[^\\s`|]+|\\d{2}",
    "<https://example.com>",
]
LINE_STARTS = ["# heading", "- item", "+ item", "1. one", "1) one", "> quote", "===", "---", "| a | b |", "    code"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_text_is_shown_and_is_no_markup(value: str) -> None:
    """In a paragraph and in a table the reader sees the text itself."""
    made = written.paragraph(written.text(value))

    assert markdown.shown(made) == value
    assert markdown.kinds(made) == set()
    assert markdown.tables(written.table(("a", "b"), [(written.text(value), "end")]))[0][1] == [value, "end"]


@pytest.mark.parametrize("value", HOSTILE)
def test_code_is_shown_as_it_is(value: str) -> None:
    """Backticks, bars and backslashes stay what they are, in a table too; there is one cell."""
    table = written.table(("a", "b"), [(written.code(value), "end")])

    cells = markdown.tables(table)[0][1]
    assert len(cells) == 2
    assert cells[1] == "end"
    if "|" not in value or "\\" not in value:  # else it is HTML, which this reader does not take apart
        assert cells[0] == value
        assert "<script" not in markdown.html(table)


@pytest.mark.parametrize("value", LINE_STARTS)
def test_the_beginning_of_a_line_is_no_markup(value: str) -> None:
    """A wrapped line may begin with what makes a heading, a list or a rule, and does not make one."""
    made = written.paragraph(written.text("word " * 23 + value))

    assert markdown.kinds(made) == set()
    assert markdown.kinds(written.paragraph(written.text(value))) == set()


@pytest.mark.parametrize("value", ["two\nlines", "a\u2028b", "a\u202eb", "tab\there", "\ud800"])
def test_what_cannot_be_seen_is_one_space_or_an_escape(value: str) -> None:
    """No character of a text ends a line, turns the direction or breaks the encoding of the file."""
    made = written.text(value)

    assert made.isprintable()
    assert made.encode().decode() == made


@given(TEXTS)
def test_any_text_is_shown_on_one_line(value: str) -> None:
    """Whatever the text: nothing of it is markup, and a table keeps its cells."""
    made = written.text(value)
    table = written.table(("a", "b"), [(made, written.code(value))])

    assert markdown.kinds(written.paragraph(made)) == set()
    assert [len(row) for row in markdown.tables(table)[0]] == [2, 2]
    assert "<" not in made


@given(TEXTS)
def test_a_block_ends_where_it_ends(value: str) -> None:
    """No content of a block of code ends it early."""
    page = f"{written.block(value, 'text')}\n\nafter"

    fences = [token for token in markdown.tokens(page) if token.type == "fence"]
    assert len(fences) == 1
    assert markdown.shown(page).endswith("after")


def test_anchors_are_those_of_the_headings() -> None:
    """The same names, twice or alike but for signs, have different anchors, as GitHub gives them."""
    headings = ["Metrics", "a.b", "ab", "Every line", "ab-1"]
    page = "\n\n".join(f"## {written.text(heading)}" for heading in headings)

    assert set(written.make_anchors(headings).values()) == markdown.anchors(page)
    assert written.make_anchors(["ab", "a.b"]) == {"ab": "ab", "a.b": "ab-1"}
