"""Who uses an item, by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.diff.consumers import Use, read_consumers
from prethrift_backend.verify.reference.markdown import MARK

RULES = """groups:
- name: backend
  rules:
  - alert: Errors
    expr: |
      rate(cats_total{colour="red"}[5m])
        > 0.25
  - record: job:cats_total:rate1m
    expr: sum(rate(cats_total[1m])) - dogs_total
"""
PAGE = """# Cats

They count in `cats_total`.

| name | unit |
| `cats_seconds` | seconds; see http.route. |
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with rules, a page, a dashboard and a file that is none of these."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "cats.yml").write_text(RULES, encoding="utf-8")
    (tmp_path / "cats.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "cats.json").write_text('{\n"expr": "cats_total-birds_total"\n}\n', encoding="utf-8")
    (tmp_path / "cats.py").write_text("cats_total\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (Use(("cats_total",)), ["cats.json:2", "cats.md:3", "rules/cats.yml:6", "rules/cats.yml:9"]),
        (Use(("birds_total",)), ["cats.json:2"]),
        (Use(("dogs_total",)), ["rules/cats.yml:9"]),
        (Use(("cats",)), []),
        (Use(("job:cats_total:rate1m",)), ["rules/cats.yml:8"]),
        (Use(("cats_total",), ("colour", "red")), ["rules/cats.yml:6"]),
        (Use(("cats_total",), ("0.25",)), ["rules/cats.yml:6"]),
        (Use(("cats_total",), ("0.2",)), []),
        (Use(("cats_total",), only_rules=True), ["cats.json:2", "rules/cats.yml:6", "rules/cats.yml:9"]),
        (Use(("no", "dogs_total")), ["rules/cats.yml:9"]),
        (Use(("http.route",)), ["cats.md:6"]),
        (Use(("http",)), []),
    ],
)
def test_a_use_is_found_as_whole_words_of_one_passage(folder: Path, use: Use, expected: list[str]) -> None:
    """A rule, a line of a dashboard and a paragraph are looked at each on its own."""
    places = read_consumers([folder]).find(use)

    assert [str(place).removeprefix(f"{folder}/") for place in places] == expected


def test_short_ranges_are_found(folder: Path) -> None:
    """Ranges of rules are compared in seconds."""
    consumers = read_consumers([folder])

    assert [place.line for place in consumers.find_ranges_below(61)] == [9]
    assert [place.line for place in consumers.find_ranges_below(301)] == [6, 9]
    assert consumers.find_ranges_below(60) == ()


def test_a_file_may_be_named(folder: Path) -> None:
    """A file that is given is read, whatever its ending."""
    assert len(read_consumers([folder / "cats.py"]).find(Use(("cats_total",)))) == 1


def test_what_was_generated_uses_nothing(folder: Path) -> None:
    """The reference names every item of the contracts; that does not make it one of their users."""
    (folder / "reference.md").write_text(f"<!-- {MARK} -->\n\n`cats_total`\n", encoding="utf-8")

    places = read_consumers([folder]).find(Use(("cats_total",)))

    assert [place.path for place in places if "reference" in place.path] == []
    assert places != ()


def test_a_path_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """A typo in a path does not hide all consumers."""
    with pytest.raises(ContractError, match="no such file or folder"):
        read_consumers([tmp_path / "op"])
