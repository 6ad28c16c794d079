"""Markdown read by a parser that nobody here wrote: text, code, tables, headings and links of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

_READER = MarkdownIt("commonmark").enable("table").enable("strikethrough")


def tokens(markdown: str) -> Iterator[Token]:
    """Yield every token of a page, those within others after the one that holds them."""
    for token in _READER.parse(markdown):
        yield token
        yield from token.children or ()


def html(markdown: str) -> str:
    """Return what a browser would be given."""
    return str(_READER.render(markdown))


def shown(markdown: str) -> str:
    """Return the text that a reader sees, code included; what a line of the source ends with is a space."""
    parts = (token.content for token in tokens(markdown) if token.type in ("text", "code_inline", "text_special"))
    return "".join(parts)


def kinds(markdown: str) -> set[str]:
    """Return the kinds of markup that a text is made of, text and paragraphs left out."""
    plain = {"text", "text_special", "inline", "paragraph_open", "paragraph_close", "softbreak"}
    return {token.type for token in tokens(markdown)} - plain


def links(markdown: str) -> list[str]:
    """Return where the links of a page lead."""
    return [str(token.attrs["href"]) for token in tokens(markdown) if token.type == "link_open"]


def anchors(markdown: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    found: set[str] = set()
    parsed = _READER.parse(markdown)
    for heading, content in pairwise(parsed):
        if heading.type == "heading_open":
            plain = re.sub(r"[^\w\- ]", "", shown(content.content).lower()).replace(" ", "-")
            numbered = (f"{plain}-{number}" for number in range(1, 1000))
            found.add(plain if plain not in found else next(name for name in numbered if name not in found))
    return found


def tables(markdown: str) -> list[list[list[str]]]:
    """Return the cells of each table, row by row, as their text is seen."""
    found: list[list[list[str]]] = []
    parsed = _READER.parse(markdown)
    for token, content in zip(parsed, [*parsed[1:], parsed[-1]], strict=True):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("td_open", "th_open"):
            found[-1][-1].append(shown(content.content) if content.type == "inline" else "")
    return found
