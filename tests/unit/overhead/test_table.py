"""The table of the session `overhead`: what it compares with what, and what it shows of a peer that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.overhead.race import ROOT, Child, ChildFailedError, Results, run_rounds
from tests.overhead.report import Part, as_markdown, as_text, write
from tests.overhead.rows import BARE, OURS_TENTH, ROWS, Row

PEER = ROWS[1]


def _results(routes: int) -> Results:
    values = {BARE: [10.0, 20.0], OURS_TENTH: [13.0, 27.0]}
    return Results(
        {row.at(routes): list(taken) for row, taken in values.items()}, {PEER.at(routes): "ImportError: no longer"}
    )


def test_differences_are_taken_within_a_round() -> None:
    """Each value is compared with that of bare in the same round, with as many routes."""
    few, many = _results(1), _results(200)
    both = Results({**few.values, **{row: [5.0, 5.0] for row in many.values}})

    differences = both.against_bare(lambda mine, its: mine - its)

    assert differences[OURS_TENTH] == [3.0, 7.0]
    assert differences[OURS_TENTH.at(200)] == [0.0, 0.0]


def test_peer_that_fails_keeps_its_line() -> None:
    """A peer that could not be built is shown with its error, and the others with their figures."""
    text = as_text([Part(200, _results(200), Results())])

    lines = {row.name: line for row in ROWS for line in text.splitlines() if line.startswith(row.name)}
    assert "ImportError: no longer" in lines[PEER.name]
    assert "+5.0" in lines[OURS_TENTH.name]
    assert "(15 in all)" in lines[BARE.name]


def test_table_is_kept_in_both_forms(tmp_path: Path) -> None:
    """The files hold every value of every round, and the table as Markdown."""
    parts = [Part(1, _results(1), _results(1))]

    write(parts, folder=tmp_path, versions={"fastapi": "1"}, load_by="wrk")

    kept = json.loads((tmp_path / "overhead.json").read_text())
    ours = next(row for row in kept["rows"] if row["variant"] == OURS_TENTH.name)
    assert (ours["cpu_us_rounds"], ours["added_us"]["median"]) == ([13.0, 27.0], 5.0)
    assert (tmp_path / "overhead.md").read_text() == as_markdown(parts)


def test_variant_that_fails_on_the_way_takes_no_further_part() -> None:
    """The others go on, and its error is kept."""

    class Dummy(Child):
        def __init__(self) -> None:
            """Start nothing."""

    def take(row: object, _: Child) -> float:
        if row == PEER:
            raise ChildFailedError("killed")
        return 1.0

    results = run_rounds({BARE: Dummy(), PEER: Dummy()}, Results(), rounds=3, take=take)

    assert (results.values, results.errors) == ({BARE: [1.0, 1.0, 1.0]}, {PEER: "killed"})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_has_its_variant(row: Row) -> None:
    """The module that a row names is there."""
    assert (ROOT / "tests" / "overhead" / "variants" / f"{row.module}.py").is_file()


def test_peers_are_pinned() -> None:
    """Two runs compare the same versions."""
    lines = (ROOT / "tests" / "overhead" / "requirements.txt").read_text().splitlines()

    assert [line for line in lines if line and not line.startswith("#") and "==" not in line] == []
