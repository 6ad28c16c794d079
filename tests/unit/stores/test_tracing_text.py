"""What is said of a statement: operation, table, and a text that holds no value."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prethrift_backend.catalogue.models import items
from prethrift_backend.search.repository import Filters, text_statement, visual_statement
from prethrift_backend.stores import Postgres
from prethrift_backend.stores._sql_text import MAX_TEXT, describe


@pytest.mark.parametrize(
    ("statement", "summary"),
    [
        ("SELECT 1", "SELECT"),
        ("select id from items where id = $1::UUID", "SELECT items"),
        ("INSERT INTO items (id, title) VALUES ($1, $2) RETURNING id", "INSERT items"),
        ("UPDATE ONLY public.items SET price = $1", "UPDATE public.items"),
        ('DELETE FROM "My Items" WHERE id = $1', 'DELETE "My Items"'),
        ("WITH a AS (SELECT id FROM items), b AS (SELECT 1) SELECT * FROM a JOIN items ON true", "SELECT items"),
        ("WITH a (id) AS MATERIALIZED (SELECT 1) SELECT * FROM a", "SELECT"),
        ("WITH gone AS (DELETE FROM old RETURNING id) INSERT INTO items SELECT * FROM gone", "INSERT items"),
        ("SELECT name FROM unnest($1::text[]) AS name", "SELECT"),
        ("SELECT * FROM (SELECT * FROM items) AS inner_items", "SELECT"),
        ("-- first\n/* then */ ANALYZE items", "ANALYZE"),
        ("EXPLAIN SELECT * FROM items", "EXPLAIN items"),
        ("  (SELECT 1)", "OTHER"),
        ("", "OTHER"),
        ("SELECT", "SELECT"),
        ("SELECT * FROM", "SELECT"),
    ],
)
def test_the_summary_is_operation_and_table(statement: str, summary: str) -> None:
    """The name of a span says what is done, and to which table, where that is plain."""
    assert describe(statement).summary == summary


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'SECRET'",
        "SELECT 'it''s SECRET'",
        r"SELECT E'it\'s SECRET'",
        "SELECT U&'SECRET'",
        "SELECT $$SECRET$$",
        "SELECT $tag$ $$ SECRET $tag$",
        "SELECT 1 -- SECRET",
        "SELECT 1 /* SECRET */",
        "SELECT 1 /* a /* b */ SECRET */",
        "SELECT 1 /* SECRET",
        "SELECT 'SECRET",
        "SELECT $$SECRET",
        "SELECT * FROM items WHERE title='SECRET'AND price=5",
    ],
)
def test_no_value_and_no_comment_is_shown(statement: str) -> None:
    """Text in quotes of any kind becomes ?, and comments vanish, whether they end or not."""
    assert "SECRET" not in describe(statement).text


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("SELECT 4111111111111111, -1.5e-10, .5, 0x1F, 1_000", "SELECT ?, -?, ?, ?, ?"),
        ("SELECT $1, $12 FROM items2 WHERE a1 = 7", "SELECT $1, $12 FROM items2 WHERE a1 = ?"),
        ("SELECT $1::VECTOR(512) <=> clip_vector", "SELECT $1::VECTOR(?) <=> clip_vector"),
        ("SELECT  1,\n\n  2 /* x */ , 3", "SELECT ?, ? , ?"),
        ('SELECT "a ""1"" b" FROM "t 1"', 'SELECT "a ""1"" b" FROM "t 1"'),
        ("SELECT note'x'", "SELECT note?"),
    ],
)
def test_everything_else_is_shown(statement: str, text: str) -> None:
    """Names, parameters and operators stay as they are; white space is one blank."""
    assert describe(statement).text == text


def test_a_long_statement_is_cut() -> None:
    """A statement of megabytes is read and shown as far as the bound, and not in the middle of a value."""
    described = describe(f"SELECT {', '.join(f'column_{number}' for number in range(200_000))}, 'SECRET'")
    in_value = describe(f"SELECT '{'SECRET ' * 100_000}'")

    assert (len(described.text), described.text[-1]) == (MAX_TEXT, "…")
    assert in_value.text == "SELECT ?"


def test_the_statements_of_the_backend_have_names_that_tell() -> None:
    """Both searches read items, whatever subqueries they have."""
    dialect = Postgres("postgresql://nobody@nowhere/none").engine.dialect
    statements = [
        *(build(Filters(max_price=True, category=True)) for build in (text_statement, visual_statement)),
        items.select().where(items.c.price <= 5),
    ]

    assert [describe(str(statement.compile(dialect=dialect))).summary for statement in statements] == [
        "SELECT items"
    ] * 3


@given(st.text(alphabet="aA1 '\"$-/*\n(),.E\\;:", max_size=60))
def test_any_text_can_be_described(statement: str) -> None:
    """Whatever is sent, valid or not, is described without an error, and no quote is left open."""
    described = describe(statement)

    assert described.operation
    assert "'" not in re.sub('"[^"]*"', "", described.text)


@given(st.text(max_size=40), st.sampled_from(["SELECT '{}'", "SELECT $q${}$q$, 1", "SELECT /*{}*/ 1"]))
def test_no_text_in_quotes_comes_through(value: str, form: str) -> None:
    """A value never shows, quoted as it has to be."""
    canary = "canary"
    quoted = (value + canary).replace("'", "''").replace("$", "").replace("*/", "").replace("/*", "")

    assert canary not in describe(form.format(quoted)).text
